//! What a transfer tells of itself while it runs, and how it is told to pause or to end.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::Instant;

use super::Failed;
use super::limit::Limit;
use crate::error::Error;

/// Failures that are kept; more are counted.
const MAX_FAILURES: usize = 10_000;

/// Over what time the rate is measured.
const RATE_OVER: Duration = Duration::from_secs(3);

/// What a person wants of a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// That it goes on.
    Run,
    /// That nothing more is asked for until it goes on.
    Pause,
    /// That it ends; what is half done keeps its temporary name.
    Cancel,
}

/// A transfer at one moment.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    /// Files, links and directories that are done, and that are known of.
    pub files_done: u64,
    /// See [`Progress::files_done`].
    pub files_total: u64,
    /// Bytes that are at their destination: sent now, or there before.
    pub bytes_done: u64,
    /// Bytes that are known of.
    pub bytes_total: u64,
    /// Bytes that travelled.
    pub bytes_sent: u64,
    /// All that there is to do is known.
    pub is_total_known: bool,
    /// What is copied at the moment: a path of the source, hostile text.
    pub current: Bytes,
    /// How many could not be copied.
    pub failures: u64,
    /// Bytes a second, lately.
    pub rate: u64,
    /// Since it began.
    pub elapsed: Duration,
}

impl Progress {
    /// How long it may still take; `None`: nobody knows.
    pub fn left(&self) -> Option<Duration> {
        let left = self.bytes_total.checked_sub(self.bytes_done)?;
        if !self.is_total_known || self.rate == 0 {
            return None;
        }
        Some(Duration::from_secs(left / self.rate))
    }
}

/// What the parts of one transfer share.
#[derive(Debug)]
pub(crate) struct Shared {
    wish: watch::Sender<Wish>,
    pub(crate) limit: Limit,
    begun: Instant,
    files_done: AtomicU64,
    files_total: AtomicU64,
    bytes_done: AtomicU64,
    bytes_total: AtomicU64,
    bytes_sent: AtomicU64,
    is_total_known: AtomicU64,
    failures: AtomicU64,
    slow: Mutex<Slow>,
}

#[derive(Debug, Default)]
struct Slow {
    current: Bytes,
    failed: Vec<Failed>,
    /// Bytes sent, at moments of the last seconds.
    marks: std::collections::VecDeque<(Instant, u64)>,
}

impl Shared {
    pub(crate) fn new(limit: Limit) -> Arc<Self> {
        Arc::new(Self {
            wish: watch::Sender::new(Wish::Run),
            limit,
            begun: Instant::now(),
            files_done: AtomicU64::new(0),
            files_total: AtomicU64::new(0),
            bytes_done: AtomicU64::new(0),
            bytes_total: AtomicU64::new(0),
            bytes_sent: AtomicU64::new(0),
            is_total_known: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            slow: Mutex::default(),
        })
    }

    fn slow(&self) -> std::sync::MutexGuard<'_, Slow> {
        self.slow.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn wish(&self, wish: Wish) {
        self.wish.send_if_modified(|present| {
            // An end is an end.
            let changes = *present != Wish::Cancel && *present != wish;
            if changes {
                *present = wish;
            }
            changes
        });
    }

    pub(crate) fn wishes(&self) -> watch::Receiver<Wish> {
        self.wish.subscribe()
    }

    pub(crate) fn found(&self, files: u64, bytes: u64) {
        self.files_total.fetch_add(files, Ordering::Relaxed);
        self.bytes_total.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn all_found(&self) {
        self.is_total_known.store(1, Ordering::Relaxed);
    }

    pub(crate) fn sent(&self, bytes: u64) {
        self.bytes_sent.fetch_add(bytes, Ordering::Relaxed);
        self.bytes_done.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Bytes that need not travel.
    pub(crate) fn spared(&self, bytes: u64) {
        self.bytes_done.fetch_add(bytes, Ordering::Relaxed);
    }

    /// What was counted as done is not: it is begun again.
    pub(crate) fn undone(&self, bytes: u64) {
        let less = |done: u64| Some(done.saturating_sub(bytes));
        // It cannot fail: there is always a number.
        let _ = self
            .bytes_done
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }

    pub(crate) fn done(&self, files: u64) {
        self.files_done.fetch_add(files, Ordering::Relaxed);
    }

    pub(crate) fn current(&self, path: &Bytes) {
        self.slow().current = path.clone();
    }

    pub(crate) fn failed(&self, order: u64, path: Bytes, error: Error) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        let mut slow = self.slow();
        if slow.failed.len() < MAX_FAILURES {
            slow.failed.push(Failed { order, path, error });
        }
    }

    /// What failed, in the order of the source.
    pub(crate) fn take_failed(&self) -> Vec<Failed> {
        let mut failed = std::mem::take(&mut self.slow().failed);
        failed.sort_by(|a, b| (a.order, &a.path).cmp(&(b.order, &b.path)));
        failed
    }

    pub(crate) fn snapshot(&self) -> Progress {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let sent = read(&self.bytes_sent);
        let now = Instant::now();
        let mut slow = self.slow();
        while slow.marks.len() > 2 && now - slow.marks[1].0 > RATE_OVER {
            slow.marks.pop_front();
        }
        if slow
            .marks
            .back()
            .is_none_or(|mark| now - mark.0 >= RATE_OVER / 30)
        {
            slow.marks.push_back((now, sent));
        }
        let since = slow.marks.front().copied().filter(|mark| mark.0 < now);
        let (then, before) = since.unwrap_or((self.begun, 0));
        let seconds = (now - then).as_secs_f64();
        Progress {
            files_done: read(&self.files_done),
            files_total: read(&self.files_total),
            bytes_done: read(&self.bytes_done),
            bytes_total: read(&self.bytes_total),
            bytes_sent: sent,
            is_total_known: read(&self.is_total_known) == 1,
            current: slow.current.clone(),
            failures: read(&self.failures),
            rate: if seconds > 0.0 {
                (sent.saturating_sub(before) as f64 / seconds) as u64
            } else {
                0
            },
            elapsed: now - self.begun,
        }
    }
}

/// What one file has added to the progress, so that it can be taken back when the file is begun again.
#[derive(Debug)]
pub(crate) struct Tally {
    shared: Arc<Shared>,
    counted: u64,
}

impl Tally {
    pub(crate) fn new(shared: &Arc<Shared>) -> Self {
        Self {
            shared: shared.clone(),
            counted: 0,
        }
    }

    pub(crate) fn sent(&mut self, bytes: u64) {
        self.counted += bytes;
        self.shared.sent(bytes);
    }

    pub(crate) fn spared(&mut self, bytes: u64) {
        self.counted += bytes;
        self.shared.spared(bytes);
    }

    pub(crate) fn begin_again(&mut self) {
        self.shared.undone(std::mem::take(&mut self.counted));
    }

    pub(crate) fn limit(&self, bytes: u64) -> Option<Instant> {
        self.shared.limit.take(bytes)
    }

    pub(crate) fn wishes(&self) -> watch::Receiver<Wish> {
        self.shared.wishes()
    }
}
