//! A worker: two streams, and one thing after the other over them. It asks for work when it has none.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use super::batch::{self, Outcome};
use super::item::{Item, Work};
use super::one::{self, Start};
use super::progress::{Shared, Tally};
use super::streams::{self, Ends, cancelled_error, is_cancelled, may_pass};
use super::{Job, Wish, verify};
use crate::error::Error;
use crate::files::Place;

/// Small files that are named together: the more, the fewer times a disk is waited for.
const SETTLE: usize = 2048;

/// How often a whole is sent again that did not arrive as it left.
const REPAIRS: u32 = 2;

/// Where idle workers leave the way to them.
pub(super) type Idle = mpsc::Sender<oneshot::Sender<Work>>;

pub(super) struct Worker {
    job: Arc<Job>,
    shared: Arc<Shared>,
    /// Where the sources are, and how that is called in the names of temporary files.
    place: Place,
    label: String,
    ends: Option<Ends>,
    /// Written, and not named yet.
    put: Vec<Item>,
    wishes: watch::Receiver<Wish>,
}

impl Worker {
    pub(super) fn new(job: Arc<Job>, shared: Arc<Shared>, place: Place) -> Self {
        let label = match &place {
            Place::Here => String::new(),
            Place::Machine(machine) => machine.clone(),
        };
        let wishes = shared.wishes();
        Self {
            job,
            shared,
            place,
            label,
            ends: None,
            put: Vec::new(),
            wishes,
        }
    }

    /// Works until there is no more work.
    pub(super) async fn run(mut self, idle: Idle) {
        loop {
            let (give, work) = oneshot::channel();
            if idle.send(give).await.is_err() {
                break;
            }
            let Ok(work) = work.await else { break };
            match work {
                Work::One(item) => self.one(item).await,
                Work::Batch(items) => self.batch(items).await,
            }
        }
        self.settle().await;
    }

    fn fail(&self, item: Item, error: Error) {
        if is_cancelled(&error) {
            return;
        }
        self.shared.failed(item.order, item.from, error);
    }

    async fn ends(&mut self) -> Result<Ends, Error> {
        match self.ends.take() {
            Some(ends) => Ok(ends),
            None => streams::carrying(&self.job, &self.shared, &self.place).await,
        }
    }

    /// Waits while the transfer is paused.
    async fn unpaused(&mut self) -> Result<(), Error> {
        let wish = self.wishes.wait_for(|wish| *wish != Wish::Pause).await;
        match wish.map(|wish| *wish) {
            Ok(Wish::Run) => Ok(()),
            _ => Err(cancelled_error()),
        }
    }

    async fn one(&mut self, item: Item) {
        self.shared.current(&item.from);
        let mut tally = Tally::new(&self.shared);
        let mut start = if self.job.options.resume || self.job.options.checksum {
            Start::Resume
        } else {
            Start::Fresh
        };
        let mut repairs = 0;
        let mut lost_at = None;
        loop {
            let error = match self.try_one(&item, &mut tally, start).await {
                Ok(()) => return self.shared.done(1),
                Err(error) => error,
            };
            start = Start::Resume;
            tally.begin_again();
            let is_damaged =
                matches!(&error, Error::Refused(refusal) if refusal.reason == "file-differs");
            if is_damaged && repairs < REPAIRS {
                repairs += 1;
                continue;
            }
            let since = *lost_at.get_or_insert_with(Instant::now);
            if !may_pass(&error) || since.elapsed() > self.job.options.patience {
                return self.fail(item, error);
            }
            tracing::info!("a transfer was interrupted: {error}");
            tokio::time::sleep(crate::backoff::FIRST_WAIT).await;
        }
    }

    async fn try_one(&mut self, item: &Item, tally: &mut Tally, start: Start) -> Result<(), Error> {
        self.unpaused().await?;
        let mut ends = self.ends().await?;
        let options = &self.job.options;
        if options.checksum && verify::is_there(&mut ends, &item.from, &item.to).await? {
            tally.spared(item.entry.size);
            self.ends = Some(ends);
            return Ok(());
        }
        one::copy(&mut ends, tally, options, (item, &self.label), start).await?;
        self.ends = Some(ends);
        Ok(())
    }

    async fn batch(&mut self, items: Vec<Item>) {
        if let Some(first) = items.first() {
            self.shared.current(&first.from);
        }
        let mut left = items;
        let begun = Instant::now();
        loop {
            match self.try_batch(left.clone()).await {
                Ok(outcome) => {
                    self.put.extend(outcome.put);
                    self.failed(outcome.failed);
                    break;
                }
                Err(error) => {
                    // What was put and not named went with the stream.
                    left.append(&mut self.put);
                    if !may_pass(&error) || begun.elapsed() > self.job.options.patience {
                        return self.fail_all(left, &error);
                    }
                    tracing::info!("a transfer was interrupted: {error}");
                    tokio::time::sleep(crate::backoff::FIRST_WAIT).await;
                    // More than a batch: in pieces that fit a message.
                    if left.len() > super::scout::BATCH_FILES {
                        return Box::pin(self.in_pieces(left)).await;
                    }
                }
            }
        }
        if self.put.len() >= SETTLE {
            self.settle().await;
        }
    }

    async fn in_pieces(&mut self, mut items: Vec<Item>) {
        while !items.is_empty() {
            let rest = items.split_off(items.len().min(super::scout::BATCH_FILES));
            self.batch(std::mem::replace(&mut items, rest)).await;
        }
    }

    async fn try_batch(&mut self, items: Vec<Item>) -> Result<Outcome, Error> {
        self.unpaused().await?;
        let bytes = items.iter().map(|item| item.entry.size).sum();
        if let Some(free_at) = self.shared.limit.take(bytes) {
            tokio::time::sleep_until(free_at).await;
        }
        let mut ends = self.ends().await?;
        let items = if self.job.options.checksum {
            self.not_there(&mut ends, items).await?
        } else {
            items
        };
        let outcome = batch::put(&mut ends, &self.job.options, items).await?;
        self.ends = Some(ends);
        Ok(outcome)
    }

    /// Without those that are at their destination already.
    async fn not_there(&self, ends: &mut Ends, items: Vec<Item>) -> Result<Vec<Item>, Error> {
        let mut left = Vec::new();
        for item in items {
            let is_file = item.entry.kind() == cmdop_proto::v1::FileKind::File;
            if is_file && verify::is_there(ends, &item.from, &item.to).await? {
                self.shared.spared(item.entry.size);
                self.shared.done(1);
            } else {
                left.push(item);
            }
        }
        Ok(left)
    }

    async fn settle(&mut self) {
        let put = std::mem::take(&mut self.put);
        if put.is_empty() {
            return;
        }
        let Some(mut ends) = self.ends.take() else {
            return Box::pin(self.again(put)).await;
        };
        match batch::settle(&mut ends, put).await {
            Ok(outcome) => {
                self.ends = Some(ends);
                let bytes = outcome.put.iter().map(|item| item.entry.size).sum();
                self.shared.sent(bytes);
                self.shared.done(outcome.put.len() as u64);
                self.failed(outcome.failed);
            }
            Err((put, error)) if may_pass(&error) => {
                tracing::info!("a transfer was interrupted: {error}");
                Box::pin(self.again(put)).await;
            }
            Err((put, error)) => self.fail_all(put, &error),
        }
    }

    /// Whether they were named before the stream was lost is not known: once more.
    async fn again(&mut self, put: Vec<Item>) {
        if *self.wishes.borrow() == Wish::Cancel {
            return self.fail_all(put, &cancelled_error());
        }
        self.in_pieces(put).await;
        self.settle().await;
    }

    fn failed(&self, failed: Vec<(Item, Error)>) {
        for (item, error) in failed {
            self.fail(item, error);
        }
    }

    fn fail_all(&self, items: Vec<Item>, error: &Error) {
        for item in items {
            self.fail(item, Error::Refused(error.refusal()));
        }
    }
}
