//! One machine's side of a transfer, in one direction: what it carried, and what becomes of it.
//!
//! It lives on for a moment when its last stream ends: a client whose connection was cut opens others and goes on,
//! and that is one transfer.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cmdop_proto::{limits, text};
use tokio::time::Instant;

use super::{Key, PROGRESS_EVERY};
use crate::caller::Account;
use crate::lock::Lock;
use crate::report::Event;

/// Streams of one transfer that follow each other do so within this.
pub(super) const BETWEEN: Duration = Duration::from_secs(1);

/// A client that lost its streams is waited for so long.
pub(super) const COMES_BACK: Duration = Duration::from_secs(10);

/// Where contents go, seen from the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Direction {
    To,
    From,
}

impl Direction {
    fn as_str(self) -> &'static str {
        match self {
            Self::To => "to",
            Self::From => "from",
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Leg {
    key: Key,
    pub(crate) account: Account,
    machine: String,
    since: Instant,
    /// Whether its beginning was told: it had a share of what its workspace may tell.
    is_told: bool,
    bytes: AtomicU64,
    files: AtomicU64,
    failures: AtomicU64,
    state: Lock<State>,
}

#[derive(Debug)]
struct State {
    streams: usize,
    /// When the last stream ended.
    idle_since: Option<Instant>,
    /// The first reason for which something was refused.
    refused: Option<String>,
    /// Why a stream ended in the middle of something that nobody has gone on with yet.
    broken: Option<String>,
    /// What was told last, and when.
    told: (u64, u64),
    told_at: Instant,
}

impl Leg {
    /// A leg with its first stream.
    pub(super) fn new(key: Key, account: Account, machine: &str, is_told: bool) -> Self {
        let now = Instant::now();
        Self {
            key,
            account,
            machine: machine.to_owned(),
            since: now,
            is_told,
            bytes: AtomicU64::new(0),
            files: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            state: Lock::new(State {
                streams: 1,
                idle_since: None,
                refused: None,
                broken: None,
                told: (0, 0),
                told_at: now,
            }),
        }
    }

    pub(super) fn joined(&self) {
        let mut state = self.state.lock();
        state.streams += 1;
        state.idle_since = None;
        // Whoever comes back does again what was broken off, or is refused it.
        state.broken = None;
    }

    /// A stream of it is over; `broken`: in the middle of something, and why.
    pub(crate) fn leave(&self, broken: Option<String>) {
        let mut state = self.state.lock();
        state.streams = state.streams.saturating_sub(1);
        state.broken = broken.or(state.broken.take());
        if state.streams == 0 {
            state.idle_since = Some(Instant::now());
        }
    }

    /// So much went through.
    pub(crate) fn carried(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// So many files and symlinks are at their place.
    pub(crate) fn finished(&self, files: u64) {
        self.files.fetch_add(files, Ordering::Relaxed);
    }

    /// So much of it was refused.
    pub(crate) fn failed(&self, count: u64, reason: &str) {
        self.failures.fetch_add(count, Ordering::Relaxed);
        let mut state = self.state.lock();
        let shown = || text::shown(reason, limits::MAX_NAME);
        state.refused.get_or_insert_with(shown);
    }

    pub(super) fn is_told(&self) -> bool {
        self.is_told
    }

    pub(super) fn told_at(&self) -> Instant {
        self.state.lock().told_at
    }

    /// Nobody will go on with it.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        let state = self.state.lock();
        let patience = if state.broken.is_some() {
            COMES_BACK
        } else {
            BETWEEN
        };
        state
            .idle_since
            .is_some_and(|since| now >= since + patience)
    }

    /// Whether more went through than was told, and it was told long enough ago.
    pub(super) fn has_news(&self, now: Instant) -> bool {
        let state = self.state.lock();
        self.is_told && now >= state.told_at + PROGRESS_EVERY && state.told != self.counted()
    }

    fn counted(&self) -> (u64, u64) {
        (
            self.bytes.load(Ordering::Relaxed),
            self.files.load(Ordering::Relaxed),
        )
    }

    fn event(&self, action: &'static str) -> Event {
        Event::new(action, &self.machine)
            .detail("transfer", self.key.transfer.to_string())
            .detail("direction", self.key.direction.as_str())
    }

    fn with_counts(&self, event: Event) -> Event {
        let (bytes, files) = self.counted();
        event
            .detail("bytes", bytes.to_string())
            .detail("files", files.to_string())
    }

    pub(super) fn began(&self, path: &[u8]) -> Event {
        let event = self.event("transfer-began");
        event.detail("path", String::from_utf8_lossy(path))
    }

    /// How far it is: from now on that is told.
    pub(super) fn progress(&self, now: Instant) -> Event {
        let mut state = self.state.lock();
        state.told = self.counted();
        state.told_at = now;
        drop(state);
        self.with_counts(self.event("transfer-progress"))
    }

    /// What became of it.
    pub(super) fn ended(&self) -> Event {
        let state = self.state.lock();
        let until = state.idle_since.unwrap_or_else(Instant::now);
        let took = until.duration_since(self.since).as_millis();
        let reason = state.refused.clone().or_else(|| state.broken.clone());
        let is_open = state.streams > 0;
        drop(state);
        let mut event = self.with_counts(self.event("transfer-ended"));
        event = event.detail("took_ms", took.to_string());
        let failures = self.failures.load(Ordering::Relaxed);
        if failures > 0 {
            event = event.detail("failures", failures.to_string());
        }
        match reason {
            Some(reason) => event.failed(&reason),
            None if is_open => event.failed("draining"),
            None => event,
        }
    }
}
