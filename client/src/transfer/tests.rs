//! A transfer as a file browser drives it, between two directories of this computer: no network, the same
//! engine.

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use super::*;
use crate::files::Files;

/// How long anything may take here.
const PATIENCE: Duration = Duration::from_secs(60);

struct Ground {
    directory: tempfile::TempDir,
    owner: TaskTracker,
}

fn ground() -> Ground {
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join("from")).unwrap();
    std::fs::create_dir(directory.path().join("to")).unwrap();
    Ground {
        directory,
        owner: TaskTracker::new(),
    }
}

fn here(path: &Path) -> Location {
    Location {
        place: Place::Here,
        path: Bytes::copy_from_slice(path.as_os_str().as_bytes()),
    }
}

fn content(size: usize) -> Vec<u8> {
    (0..size as u32)
        .flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes())
        .take(size)
        .collect()
}

impl Ground {
    fn write(&self, name: &str, size: usize) {
        std::fs::write(self.directory.path().join("from").join(name), content(size)).unwrap();
    }

    fn start(&self, options: Options) -> Transfer {
        let from = here(&self.directory.path().join("from/."));
        let to = here(&self.directory.path().join("to"));
        let options = Options {
            recursive: true,
            ..options
        };
        Transfer::start(None, vec![from], to, options, &self.owner)
    }

    fn copied(&self, name: &str) -> Option<Vec<u8>> {
        std::fs::read(self.directory.path().join("to").join(name)).ok()
    }
}

/// Looks at the progress until it is as wanted.
async fn until(transfer: &Transfer, is_wanted: impl Fn(&Progress) -> bool) -> Progress {
    let looking = async {
        loop {
            let progress = transfer.progress();
            if is_wanted(&progress) {
                return progress;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, looking).await.unwrap()
}

async fn end(mut transfer: Transfer) -> Report {
    tokio::time::timeout(PATIENCE, transfer.wait())
        .await
        .unwrap()
        .unwrap()
}

fn slow() -> Options {
    Options {
        limit: Some(8 << 20),
        ..Options::default()
    }
}

#[tokio::test]
async fn a_paused_transfer_stands_still_and_goes_on() {
    let ground = ground();
    ground.write("large", 6 << 20);
    let transfer = ground.start(slow());
    until(&transfer, |progress| progress.bytes_sent > 1 << 20).await;
    transfer.wish(Wish::Pause);
    // What is under way still arrives, and nothing after it.
    let window = chunk::MAX_UNDER_WAY;
    let before = transfer.progress().bytes_sent;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let paused = transfer.progress();
    assert!(paused.bytes_sent < 6 << 20 && paused.bytes_sent - before <= window);
    assert_eq!(ground.copied("large"), None);
    transfer.wish(Wish::Run);
    let report = end(transfer).await;
    assert!(report.failed.is_empty() && !report.cancelled, "{report:?}");
    assert_eq!(ground.copied("large"), Some(content(6 << 20)));
}

#[tokio::test]
async fn a_cancelled_transfer_leaves_no_half_file_and_is_gone_on_with() {
    let ground = ground();
    ground.write("large", 4 << 20);
    let transfer = ground.start(slow());
    until(&transfer, |progress| progress.bytes_sent > 2 << 20).await;
    transfer.wish(Wish::Cancel);
    transfer.wish(Wish::Run);
    let report = end(transfer).await;
    assert!(report.cancelled, "an end is an end");
    assert_eq!(ground.copied("large"), None);
    let again = end(ground.start(Options {
        resume: true,
        ..Options::default()
    }))
    .await;
    assert!(again.failed.is_empty(), "{again:?}");
    assert!(again.progress.bytes_sent <= 2 << 20, "{again:?}");
    assert_eq!(again.progress.bytes_done, 4 << 20);
    assert_eq!(ground.copied("large"), Some(content(4 << 20)));
}

#[tokio::test]
async fn what_cannot_be_copied_is_told_in_order_and_keeps_nothing_else() {
    let ground = ground();
    for name in ["a", "b", "c"] {
        ground.write(name, 10);
    }
    for name in ["a", "c"] {
        std::fs::create_dir(ground.directory.path().join("to").join(name)).unwrap();
    }
    let report = end(ground.start(Options::default())).await;
    let orders: Vec<_> = report.failed.iter().map(|failed| failed.order).collect();
    assert!(orders.len() == 2 && orders.is_sorted(), "{report:?}");
    assert_eq!(ground.copied("b"), Some(content(10)));
    assert_eq!(
        (report.progress.failures, report.progress.files_done),
        (2, 2)
    );
}

#[tokio::test]
async fn two_files_are_compared_by_their_hashes() {
    let ground = ground();
    ground.write("one", 1 << 20);
    ground.write("two", 1 << 20);
    let path = |name: &str| here(&ground.directory.path().join("from").join(name)).path;
    let (mut left, mut right) = (Files::here().await.unwrap(), Files::here().await.unwrap());
    let same = verify((&mut left, &path("one")), (&mut right, &path("two"))).await;
    assert_eq!(same.unwrap(), Difference::Same);
    ground.write("two", (1 << 20) - 1);
    let differs = verify((&mut left, &path("one")), (&mut right, &path("two"))).await;
    assert_eq!(differs.unwrap(), Difference::Bytes(256 << 10));
    // A question that was refused leaves the streams usable.
    verify((&mut left, &path("one")), (&mut right, b"/nowhere"))
        .await
        .unwrap_err();
}
