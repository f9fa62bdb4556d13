//! A spool keeps what it took, in order, over crashes and outages, within its bound.

use futures_util::FutureExt as _;

use super::*;

const ROOMY: u64 = 64 << 20;

fn report(n: u64) -> v1::Report {
    v1::Report {
        key: n.to_string(),
        at_ms: n,
        what: Some(v1::report::What::Event(v1::ReportedEvent {
            action: "x".repeat(100),
            ..v1::ReportedEvent::default()
        })),
        ..v1::Report::default()
    }
}

fn reports(range: std::ops::Range<u64>) -> Vec<v1::Report> {
    range.map(report).collect()
}

fn drain(spool: &Spool) -> Vec<String> {
    let mut keys = Vec::new();
    while let Some(batch) = spool.next().unwrap() {
        assert!(batch.reports.len() <= BATCH);
        keys.extend(batch.reports.iter().map(|report| report.key.clone()));
        spool.delivered(&batch).unwrap();
    }
    keys
}

fn keys(range: std::ops::Range<u64>) -> Vec<String> {
    range.map(|n| n.to_string()).collect()
}

/// How many reports this one says were lost.
fn lost_by(report: &v1::Report) -> &str {
    let Some(v1::report::What::Event(told)) = &report.what else {
        panic!("not an event");
    };
    assert_eq!(told.action, "reports-lost");
    &told.detail["count"]
}

fn files(directory: &Path) -> usize {
    fs::read_dir(directory).unwrap().count()
}

#[test]
fn what_was_taken_is_delivered_in_order_and_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::open(dir.path(), ROOMY).unwrap();
    for start in (0..30_000).step_by(1000) {
        spool.append(&reports(start..start + 1000), 0);
    }
    assert!(files(dir.path()) > 2, "several segments");
    assert_eq!(drain(&spool), keys(0..30_000));
    assert_eq!(files(dir.path()), 0);
    spool.append(&reports(1..3), 0);
    assert_eq!(drain(&spool), keys(1..3));
}

#[test]
fn what_was_not_delivered_before_a_crash_is_delivered_after_it() {
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::open(dir.path(), ROOMY).unwrap();
    spool.append(&reports(0..10), 0);
    let batch = spool.next().unwrap().unwrap();
    assert_eq!(batch.reports.len(), 10);
    // The answer never came.
    drop(spool);
    let spool = Spool::open(dir.path(), ROOMY).unwrap();
    spool.append(&reports(10..12), 0);
    assert_eq!(drain(&spool), keys(0..12));
}

#[test]
fn a_write_that_a_crash_cut_off_costs_only_itself() {
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::open(dir.path(), ROOMY).unwrap();
    spool.append(&reports(0..10), 0);
    drop(spool);
    let file = fs::read_dir(dir.path()).unwrap().next().unwrap().unwrap();
    let file = OpenOptions::new().write(true).open(file.path()).unwrap();
    file.set_len(file.metadata().unwrap().len() - 5).unwrap();
    let spool = Spool::open(dir.path(), ROOMY).unwrap();
    spool.append(&reports(10..12), 0);
    let mut expected = keys(0..9);
    expected.extend(keys(10..12));
    assert_eq!(drain(&spool), expected);
}

#[test]
fn garbage_in_a_segment_ends_that_segment_only() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(
        dir.path().join("00000000000000000001.reports"),
        [0xff; 4096],
    )
    .unwrap();
    fs::write(dir.path().join("unrelated"), "x").unwrap();
    let spool = Spool::open(dir.path(), ROOMY).unwrap();
    spool.append(&reports(0..3), 0);
    assert_eq!(drain(&spool), keys(0..3));
}

#[test]
fn above_the_bound_the_oldest_stay_and_the_loss_is_told_when_there_is_room_again() {
    let dir = tempfile::tempdir().unwrap();
    let each = report(1000).encode_length_delimited_to_vec().len() as u64;
    let spool = Spool::open(dir.path(), each * 100).unwrap();
    for n in 1000..1150 {
        spool.append(&[report(n)], 0);
    }
    assert_eq!(spool.lost(), 50);
    let mut delivered = drain(&spool);
    assert_eq!(delivered, keys(1000..1100));
    spool.append(&[report(2000)], 7);
    delivered.clear();
    let batch = spool.next().unwrap().unwrap();
    assert_eq!(lost_by(&batch.reports[0]), "57");
    assert_eq!(batch.reports[1].key, "2000");
    assert_eq!(spool.lost(), 0);
}

#[test]
fn a_spool_on_a_disk_that_fails_counts_and_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let inside = dir.path().join("spool");
    let spool = Spool::open(&inside, ROOMY).unwrap();
    fs::remove_dir(&inside).unwrap();
    spool.append(&reports(0..3), 0);
    assert_eq!(spool.lost(), 3);
    spool.append(&reports(3..5), 2);
    assert_eq!(spool.lost(), 7, "the count was not written either");
    fs::create_dir(&inside).unwrap();
    spool.append(&reports(5..6), 0);
    let batch = spool.next().unwrap().unwrap();
    assert_eq!(lost_by(&batch.reports[0]), "7");
    assert_eq!(
        drain(&spool).len(),
        2,
        "the count, and the one that had a disk"
    );
}

#[test]
fn nobody_is_sent_for_reports_that_are_damaged() {
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::open(dir.path(), ROOMY).unwrap();
    assert!(spool.has_some().now_or_never().is_none());
    spool.append(&reports(0..1), 0);
    let file = fs::read_dir(dir.path()).unwrap().next().unwrap().unwrap();
    let bytes = file.metadata().unwrap().len() as usize;
    fs::write(file.path(), vec![0xff; bytes]).unwrap();
    assert!(spool.has_some().now_or_never().is_some());
    assert!(spool.next().unwrap().is_none());
    assert!(spool.has_some().now_or_never().is_none());
    spool.append(&reports(1..2), 0);
    assert!(spool.has_some().now_or_never().is_some());
    let batch = spool.next().unwrap().unwrap();
    assert_eq!(lost_by(&batch.reports[0]), "1", "it is told of");
    spool.delivered(&batch).unwrap();
    assert_eq!(batch.reports[1].key, keys(1..2)[0]);
    assert!(spool.has_some().now_or_never().is_none());
}

#[tokio::test]
async fn whoever_delivers_is_woken_by_the_first_report() {
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::open(dir.path(), ROOMY).unwrap();
    let (waiting, writing) = (spool.clone(), spool.clone());
    let write = tokio::task::spawn_blocking(move || writing.append(&reports(0..1), 0));
    waiting.has_some().await;
    write.await.unwrap();
    assert_eq!(drain(&spool), keys(0..1));
}
