//! From one end to another, by the transfer engine.

use std::time::Duration;

use bytes::Bytes;
use cmdop_client::Error;
use cmdop_client::transfer::{self, Failed, Location, Options, Report, Transfer};
use tokio::sync::watch;

use super::super::super::jobs::Progress;
use super::super::super::work::{Policy, What, Work};
use super::super::super::{Wish, path};
use super::{Tally, Worker, remove_copied};

/// How often it is told how far it is.
const TELL_EVERY: Duration = Duration::from_millis(250);

/// How long a lost connection is waited for: the user sees it, and can end it.
const PATIENCE: Duration = Duration::from_secs(600);

impl Worker {
    pub(super) async fn transfer(&mut self, work: &Work, tally: &mut Tally) -> Result<(), Error> {
        // One name for all of it, by which those who follow events know it.
        let options = options(work);
        for (names, target) in parts(work) {
            if !self.goes_on().await {
                tally.is_cancelled = true;
                return Ok(());
            }
            let sources: Vec<Location> = names
                .iter()
                .map(|name| work.from.child(name).location())
                .collect();
            let connection = Some(self.pool.connection());
            let options = options.clone();
            let mut transfer = Transfer::start(connection, sources, target, options, &self.owner);
            let before = tally.progress.clone();
            let report = self.drive(&mut transfer, &before).await?;
            tally.progress = sum(&before, &report.progress);
            tally.is_cancelled |= report.cancelled;
            for failed in &report.failed {
                tally.refused(&failed.path, &failed.error, work);
            }
            if tally.is_cancelled {
                return Ok(());
            }
            if work.what == What::Move {
                let arrived = arrived(work, names, &report.failed);
                self.remove_all(work, &arrived, tally).await?;
            }
        }
        Ok(())
    }

    /// What was moved is copied: it goes from where it was.
    async fn remove_all(
        &mut self,
        work: &Work,
        names: &[Bytes],
        tally: &mut Tally,
    ) -> Result<(), Error> {
        for name in names {
            if !self.goes_on().await {
                tally.is_cancelled = true;
                return Ok(());
            }
            let from = work.from.child(name);
            match remove_copied(&self.pool, &from, &work.target(name)).await {
                Ok(()) => {}
                Err(error @ Error::Refused(_)) => tally.refused(&from.path, &error, work),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Waits for its end, tells how far it is, and hands on what the user wants. All branches are cancel-safe.
    async fn drive(&mut self, transfer: &mut Transfer, before: &Progress) -> Result<Report, Error> {
        let mut tick = tokio::time::interval(TELL_EVERY);
        loop {
            let wish = *self.wishes.borrow_and_update();
            transfer.wish(match wish {
                Wish::Run => transfer::Wish::Run,
                Wish::Pause => transfer::Wish::Pause,
                Wish::Cancel => transfer::Wish::Cancel,
            });
            tokio::select! {
                report = transfer.wait() => return report,
                () = changed(&mut self.wishes) => {}
                _ = tick.tick(), if wish != Wish::Pause => {
                    self.tell(&sum(before, &transfer.progress()));
                }
            }
        }
    }
}

/// The sources of which nothing failed and nothing was skipped. Each is compared before it is removed: failures
/// that were too many to be listed are found there.
fn arrived(work: &Work, names: Vec<Bytes>, failed: &[Failed]) -> Vec<Bytes> {
    let is_whole = |name: &Bytes| {
        let source = work.from.child(name).path;
        let inside = path::join(&source, b"");
        !failed
            .iter()
            .any(|failed| failed.path == source || failed.path.starts_with(&inside))
    };
    names.into_iter().filter(is_whole).collect()
}

/// The user wants something else.
async fn changed(wishes: &mut watch::Receiver<Wish>) {
    if wishes.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// What goes into the directory as it is called, and apart from it each that gets another name.
fn parts(work: &Work) -> Vec<(Vec<Bytes>, Location)> {
    let (others, plain): (Vec<Bytes>, Vec<Bytes>) = {
        let names = work.names.iter().cloned();
        names.partition(|name| work.others.contains_key(name))
    };
    let mut parts = Vec::new();
    if !plain.is_empty() {
        let mut target = work.to.location();
        // With a slash it is a directory or refused, and never a new name.
        target.path = path::join(&path::join(&target.path, b""), b"");
        parts.push((plain, target));
    }
    for name in others {
        let target = work.target(&name).location();
        parts.push((vec![name], target));
    }
    parts
}

fn options(work: &Work) -> Options {
    Options {
        recursive: true,
        resume: work.is_again || work.policy == Policy::Resume,
        keep_existing: matches!(work.policy, Policy::Keep | Policy::Skip),
        limit: work.limit,
        patience: PATIENCE,
        ..Options::default()
    }
}

/// What was done before, and this.
fn sum(before: &Progress, progress: &transfer::Progress) -> Progress {
    Progress {
        files_done: before.files_done + progress.files_done,
        files_total: before.files_total + progress.files_total,
        bytes_done: before.bytes_done + progress.bytes_done,
        bytes_total: before.bytes_total + progress.bytes_total,
        rate: progress.rate,
        left: progress.left(),
        current: path::shown(&progress.current),
    }
}
