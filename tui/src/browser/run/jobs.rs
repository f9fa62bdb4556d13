//! What is done in the background: copied, moved, deleted, verified, one source after the other.
//!
//! What is moved to another end is copied there, proved by the transfer, compared with what is there then, and only
//! then removed here. Whatever differs stays, and is told.

mod compare;
mod transfer;

use std::sync::Arc;

use cmdop_client::Error;
use cmdop_client::files::Files;
use cmdop_proto::{Refusal, v1};
use tokio::sync::{mpsc, watch};
use tokio_util::task::TaskTracker;

use super::super::jobs::{Ended, Progress};
use super::super::work::{Policy, What, Work};
use super::super::{End, Event, JobEvent, JobId, Spot, Wish, path};
use super::pool::Pool;

/// Failures that are told by name; more are counted.
const MAX_FAILURES: usize = 20;

/// What does it.
#[derive(Clone, Debug)]
pub(super) struct Worker {
    pub(super) id: JobId,
    pub(super) pool: Arc<Pool>,
    pub(super) owner: TaskTracker,
    pub(super) wishes: watch::Receiver<Wish>,
    pub(super) tell: mpsc::Sender<Event>,
}

/// What came of it so far.
#[derive(Debug, Default)]
struct Tally {
    progress: Progress,
    failures: Vec<String>,
    failed: u64,
    skipped: u64,
    is_cancelled: bool,
}

impl Tally {
    fn fail(&mut self, path: &[u8], why: &str) {
        self.failed += 1;
        if self.failures.len() < MAX_FAILURES {
            let path = path::shown(path);
            self.failures.push(format!("{path}: {why}"));
        }
    }

    /// Something that was not done: because its place is taken, because an earlier try did it, or for a worse
    /// reason.
    fn refused(&mut self, path: &[u8], error: &Error, work: &Work) {
        let refusal = error.refusal();
        let takes_away = matches!(work.what, What::Move | What::Delete);
        match refusal.reason.as_str() {
            "file-exists" if work.policy == Policy::Skip => self.skipped += 1,
            "file-unknown" if work.is_again && takes_away => self.progress.files_done += 1,
            _ => self.fail(path, &refusal.message),
        }
    }
}

impl Worker {
    /// Does it, and says how it ended. An error means that it broke off.
    pub(super) async fn run(mut self, work: &Work) -> Result<Ended, Error> {
        let mut tally = Tally::default();
        match (work.what, work.stays(), &work.from.end) {
            (What::Verify, ..) => self.verify(work, &mut tally).await?,
            // On this computer a copy can be paused, and says how far it is; machines copy faster by themselves.
            (What::Delete, ..) | (What::Move, true, _) | (What::Copy, true, End::Machine(_)) => {
                self.each(work, &mut tally).await?;
            }
            _ => self.transfer(work, &mut tally).await?,
        }
        Ok(Ended {
            progress: tally.progress,
            failures: tally.failures,
            failed: tally.failed,
            skipped: tally.skipped,
            is_cancelled: tally.is_cancelled,
        })
    }

    /// Tells how far it is. What nobody has taken yet need not be told again.
    fn tell(&self, progress: &Progress) {
        let event = JobEvent::Progress(progress.clone());
        let _ = self.tell.try_send(Event::Job(self.id, event));
    }

    /// Waits while it is paused; `false`: it is to end.
    async fn goes_on(&mut self) -> bool {
        let wish = self.wishes.wait_for(|wish| *wish != Wish::Pause).await;
        wish.is_ok_and(|wish| *wish == Wish::Run)
    }

    /// Waits until it is to end.
    async fn cancelled(&mut self) {
        if self
            .wishes
            .wait_for(|wish| *wish == Wish::Cancel)
            .await
            .is_err()
        {
            std::future::pending::<()>().await;
        }
    }

    async fn open(&self, spot: &Spot) -> Result<Files, Error> {
        self.pool.open(&spot.end.place()).await
    }

    /// Does it with one source after the other, where their ends do it by themselves.
    async fn each(&mut self, work: &Work, tally: &mut Tally) -> Result<(), Error> {
        let pool = Arc::clone(&self.pool);
        let mut files = pool.open(&work.from.end.place()).await?;
        tally.progress.files_total = work.names.len() as u64;
        for name in &work.names {
            if !self.goes_on().await {
                tally.is_cancelled = true;
                return Ok(());
            }
            let (from, to) = (work.from.child(name), work.target(name));
            tally.progress.current = path::shown(&from.path);
            self.tell(&tally.progress);
            let done = tokio::select! {
                done = one(&pool, &mut files, work, &from, &to) => done,
                // The streams go with this: the other end stops.
                () = self.cancelled() => {
                    tally.is_cancelled = true;
                    return Ok(());
                }
            };
            match done {
                Ok(()) => tally.progress.files_done += 1,
                Err(error @ Error::Refused(_)) => tally.refused(&from.path, &error, work),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// What is done with one source.
async fn one(
    pool: &Pool,
    files: &mut Files,
    work: &Work,
    from: &Spot,
    to: &Spot,
) -> Result<(), Error> {
    match work.what {
        What::Delete => files.remove(&from.path, true).await.map(drop),
        What::Move => rename(pool, files, work.policy, from, to).await,
        What::Copy | What::Verify => copy(files, from, to, work.policy).await,
    }
}

/// Another name at the same end; over file systems it is copied, compared and removed.
async fn rename(
    pool: &Pool,
    files: &mut Files,
    policy: Policy,
    from: &Spot,
    to: &Spot,
) -> Result<(), Error> {
    let rename = v1::FileRename {
        from: from.path.clone(),
        to: to.path.clone(),
        replace: replace(policy).into(),
    };
    match files.rename(rename).await {
        Err(Error::Refused(refusal)) if refusal.reason == "other-file-system" => {
            copy(files, from, to, policy).await?;
            remove_copied(pool, from, to).await
        }
        renamed => renamed,
    }
}

/// Removes what was copied, if what is there is what is here.
async fn remove_copied(pool: &Pool, from: &Spot, to: &Spot) -> Result<(), Error> {
    let mut source = pool.open(&from.end.place()).await?;
    let mut target = pool.open(&to.end.place()).await?;
    if !compare::is_same((&mut source, &from.path), (&mut target, &to.path)).await? {
        let why = "it is not the same at its destination: it stays where it is";
        return Err(Error::Refused(Refusal::unavailable("file-differs", why)));
    }
    source.remove(&from.path, true).await.map(drop)
}

async fn copy(files: &mut Files, from: &Spot, to: &Spot, policy: Policy) -> Result<(), Error> {
    let copy = v1::FileCopy {
        from: from.path.clone(),
        to: to.path.clone(),
        recursive: true,
        replace: replace(policy).into(),
    };
    files.copy(copy).await.map(drop)
}

fn replace(policy: Policy) -> v1::FileReplace {
    match policy {
        Policy::Keep | Policy::Skip => v1::FileReplace::Never,
        Policy::Replace | Policy::Resume => v1::FileReplace::Unspecified,
    }
}
