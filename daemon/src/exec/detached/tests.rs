//! What is kept of detached runs, for how long, and what a restart leaves of them.

use super::*;

fn table(dir: &tempfile::TempDir) -> Table {
    Table::open(dir.path().join("runs"))
}

/// A run with this on its stdout, as a worker leaves it.
fn left(table: &mut Table, text: &'static [u8], ended_ms: u64) -> String {
    let id = RunId::new().to_string();
    let run = table.enter(&id).unwrap();
    let (mut stdout, _) = run.place.make().unwrap();
    stdout.push(&text.into());
    let facts = Facts {
        pid: 7,
        started_ms: 1,
        ended_ms,
        exit_code: (ended_ms > 0).then_some(3),
        ..Facts::default()
    };
    run.place.save(&facts).unwrap();
    id
}

fn finished(table: &Table, id: &str) -> v1::ExecFinished {
    let run = table.get(id).expect("the run is kept");
    run.progress.borrow().finished.expect("it has ended")
}

#[test]
fn a_restart_keeps_what_had_ended_and_calls_lost_what_had_not() {
    let dir = tempfile::tempdir().unwrap();
    let mut before = table(&dir);
    let ended = left(&mut before, b"done", now_ms());
    let running = left(&mut before, b"half", 0);
    drop(before);
    for _ in 0..2 {
        let mut after = table(&dir);
        assert_eq!(after.ids(), [ended.clone(), running.clone()]);
        let whole = finished(&after, &ended);
        assert_eq!((whole.stdout_bytes, whole.lost), (4, false));
        let code = whole.exit.and_then(|exit| exit.outcome);
        assert_eq!(code, Some(v1::exit::Outcome::Code(3)));
        let lost = finished(&after, &running);
        assert_eq!((lost.stdout_bytes, lost.lost, lost.exit), (4, true, None));
    }
}

#[test]
fn a_run_is_forgotten_a_day_after_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let mut before = table(&dir);
    let hours = |hours: u64| now_ms() - hours * 60 * 60 * 1000;
    let old = left(&mut before, b"old", hours(25));
    let young = left(&mut before, b"young", hours(23));
    let mut after = table(&dir);
    assert_eq!(after.ids(), [young]);
    assert!(!dir.path().join("runs").join(old).exists());
}

#[test]
fn a_new_run_takes_the_place_of_an_ended_one_and_of_no_living_one() {
    let dir = tempfile::tempdir().unwrap();
    let mut before = table(&dir);
    let ended = left(&mut before, b"", now_ms());
    let mut full = table(&dir);
    for _ in 1..limits::MAX_DETACHED_RUNS {
        full.enter(&RunId::new().to_string()).unwrap();
    }
    assert!(full.get(&ended).is_some());
    full.enter(&RunId::new().to_string()).unwrap();
    assert!(full.get(&ended).is_none());
    let refused = full.enter(&RunId::new().to_string()).unwrap_err();
    assert_eq!(refused.reason, "too-many-execs");
}

#[test]
fn a_run_that_nobody_needs_leaves_its_place_and_the_others_stay() {
    let dir = tempfile::tempdir().unwrap();
    let mut before = table(&dir);
    let unneeded = left(&mut before, b"", now_ms());
    let needed = left(&mut before, b"", now_ms());
    let mut after = table(&dir);
    // Of one that is in lists, nobody can say that.
    after.get(&needed).unwrap().nobody_needs_it();
    after.get(&unneeded).unwrap().may_be_forgotten();
    after.get(&unneeded).unwrap().nobody_needs_it();
    assert_eq!(after.ids(), [needed]);
    // A living one is not forgotten, whatever is said of it.
    let living = RunId::new().to_string();
    let place = after.enter(&living).unwrap();
    place.may_be_forgotten();
    place.nobody_needs_it();
    assert!(after.ids().contains(&living));
}

#[test]
fn an_id_that_is_none_names_no_directory() {
    let dir = tempfile::tempdir().unwrap();
    let mut table = table(&dir);
    for id in ["../escape", "", "x", "/etc"] {
        assert_eq!(table.enter(id).unwrap_err().reason, "bad-id");
    }
    let id = RunId::new().to_string();
    table.enter(&id).unwrap();
    assert_eq!(table.enter(&id).unwrap_err().reason, "run-id-taken");
}
