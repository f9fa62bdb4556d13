//! A quota as those who write meet it: what counts, what is kept free, and when it is measured.

use std::path::Path;

use cmdop_proto::v1;

use super::*;

fn with_answers<T>(run: impl FnOnce(&Answers<'_>) -> T) -> T {
    let mut caller = |_: v1::FileResponse| true;
    run(&Answers::new(1, &mut caller))
}

fn room(quota: &Arc<Quota>, bytes: u64) -> Result<Room, String> {
    with_answers(|answers| {
        Room::take(Some(quota), bytes, b"/f", answers).map_err(|stop| match stop {
            Stop::Refused(refusal) => refusal.reason,
            Stop::Gone => panic!("somebody listens"),
        })
    })
}

fn quota(directory: &Path, limit: u64) -> Arc<Quota> {
    Arc::new(Quota::new(vec![directory.to_owned()], limit))
}

#[test]
fn what_lies_there_counts_and_what_was_removed_does_not() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("f");
    std::fs::write(&file, vec![1; 1 << 20]).unwrap();
    std::fs::hard_link(&file, directory.path().join("the same")).unwrap();
    let quota = quota(directory.path(), 2 << 20);
    assert_eq!(room(&quota, 2 << 20).unwrap_err(), "quota-full");
    drop(room(&quota, (1 << 20) - 4096).unwrap());
    std::fs::remove_file(directory.path().join("the same")).unwrap();
    std::fs::remove_file(&file).unwrap();
    room(&quota, 2 << 20).unwrap();
}

#[test]
fn what_is_announced_is_kept_free_and_given_back() {
    let directory = tempfile::tempdir().unwrap();
    let quota = quota(directory.path(), 1000);
    let first = room(&quota, 600).unwrap();
    assert_eq!(room(&quota, 600).unwrap_err(), "quota-full");
    drop(first);
    room(&quota, 600).unwrap();
}

#[test]
fn a_file_that_grows_beyond_what_was_announced_is_stopped() {
    let directory = tempfile::tempdir().unwrap();
    let quota = quota(directory.path(), 1000);
    let mut room = room(&quota, 100).unwrap();
    with_answers(|answers| {
        room.spend(100, b"/f", answers).unwrap();
        room.spend(900, b"/f", answers).unwrap();
        // The measure before a refusal finds nothing there: it was not really written.
        room.spend(1001, b"/f", answers).unwrap_err();
    });
}

#[test]
fn without_a_quota_there_is_room_for_everything() {
    with_answers(|answers| {
        let mut room = Room::take(None, u64::MAX, b"/f", answers).unwrap();
        room.spend(u64::MAX, b"/f", answers).unwrap();
    });
}
