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

#[test]
fn what_the_role_closed_or_hid_too_deep_stops_everything() {
    use std::os::unix::fs::PermissionsExt as _;

    let directory = tempfile::tempdir().unwrap();
    let quota = quota(directory.path(), 1 << 20);
    let mut deep = directory.path().to_owned();
    for _ in 0..210 {
        deep.push("d");
    }
    std::fs::create_dir_all(&deep).unwrap();
    assert_eq!(room(&quota, 1).unwrap_err(), "quota-unmeasurable");
    std::fs::remove_dir_all(directory.path().join("d")).unwrap();
    let closed = directory.path().join("closed");
    std::fs::create_dir(&closed).unwrap();
    std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o300)).unwrap();
    // Root reads it all the same.
    if std::fs::read_dir(&closed).is_err() {
        assert_eq!(room(&quota, 1).unwrap_err(), "quota-unmeasurable");
    }
    std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o700)).unwrap();
    room(&quota, 1).unwrap();
}

#[test]
fn directories_in_each_other_count_once_and_small_things_a_block() {
    let directory = tempfile::tempdir().unwrap();
    let inner = directory.path().join("inner");
    std::fs::create_dir(&inner).unwrap();
    std::fs::write(inner.join("f"), vec![1; 1 << 20]).unwrap();
    let both = vec![directory.path().to_owned(), inner.clone(), inner];
    let quota = Arc::new(Quota::new(both, (1 << 20) + (1 << 19)));
    drop(room(&quota, 1 << 18).unwrap());
    assert_eq!([0, 1, 4096, 4097].map(on_disk), [4096, 4096, 4096, 8192]);
    assert_eq!(on_disk(u64::MAX), u64::MAX);
}
