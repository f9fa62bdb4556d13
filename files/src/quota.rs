//! How much may lie in the directories that a role is confined to, beside what the file system allows.
//!
//! What lies there is measured by walking it, what is written since is added, and what is announced is kept
//! free for whoever announced it. Before somebody is refused it is measured anew: what others removed meanwhile
//! counts. Other programs may write there too; what they add is seen with the next measure.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cmdop_proto::{ErrorKind, Refusal};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use tokio::time::Instant;

use crate::answers::{Answers, Stop};
use crate::entry::allocated;
use crate::fault::shown;
use crate::linked::Linked;
use crate::tree::{Go, Step, Visitor, walk};

/// A measure holds so long: other programs write, too.
const HOLDS: Duration = Duration::from_secs(60);

/// One limit, shared by all streams of a role.
#[derive(Debug)]
pub struct Quota {
    directories: Vec<PathBuf>,
    limit: u64,
    ledger: Mutex<Ledger>,
}

/// Bytes of the disk.
#[derive(Debug, Default)]
struct Ledger {
    /// What lay there, and when that was found.
    measured: Option<(u64, Instant)>,
    /// What was written since.
    since: u64,
    /// What was announced and is not written yet.
    announced: u64,
}

impl Ledger {
    fn used(&self) -> u64 {
        let measured = self.measured.map_or(0, |(bytes, _)| bytes);
        measured
            .saturating_add(self.since)
            .saturating_add(self.announced)
    }

    fn is_fresh(&self) -> bool {
        self.measured.is_some_and(|(_, at)| at.elapsed() < HOLDS)
    }
}

impl Quota {
    /// At most `limit` bytes in all of `directories` together.
    pub fn new(directories: Vec<PathBuf>, limit: u64) -> Self {
        Self {
            directories,
            limit,
            ledger: Mutex::default(),
        }
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Announces `bytes`; `false`: so much does not fit, as far as is known.
    fn announce(&self, bytes: u64) -> bool {
        let mut ledger = self.ledger();
        let fits = ledger.used().saturating_add(bytes) <= self.limit;
        if fits {
            ledger.announced += bytes;
        }
        fits
    }

    fn require(&self, bytes: u64, path: &[u8], answers: &Answers<'_>) -> Result<(), Stop> {
        if !self.ledger().is_fresh() {
            self.measure(answers)?;
        }
        if self.announce(bytes) {
            return Ok(());
        }
        self.measure(answers)?;
        if self.announce(bytes) {
            return Ok(());
        }
        Err(self.full(path).into())
    }

    fn full(&self, path: &[u8]) -> Refusal {
        let used = self.ledger().used();
        let message = format!(
            "cannot write {}: it would exceed the quota of this role on this machine, {} bytes, of which {used} are used",
            shown(path),
            self.limit,
        );
        Refusal::new(ErrorKind::Exhausted, "quota-full", message)
            .hint("remove something there, or ask whoever keeps the machine for a larger quota")
    }

    /// Walks all that is there. What is written meanwhile may be missed, by as much as the walk takes time.
    fn measure(&self, answers: &Answers<'_>) -> Result<(), Stop> {
        let mut sum = Sum {
            answers,
            linked: Linked::default(),
            bytes: 0,
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        for path in &self.directories {
            // One that is not there has nothing in it, and nobody can write to it.
            if let Ok(directory) = rustix::fs::open(path, flags, Mode::empty()) {
                walk(directory, &mut sum)?;
            }
        }
        let mut ledger = self.ledger();
        ledger.measured = Some((sum.bytes, Instant::now()));
        ledger.since = 0;
        Ok(())
    }

    fn written(&self, bytes: u64) {
        let mut ledger = self.ledger();
        ledger.announced = ledger.announced.saturating_sub(bytes);
        ledger.since = ledger.since.saturating_add(bytes);
    }

    fn give_back(&self, bytes: u64) {
        let mut ledger = self.ledger();
        ledger.announced = ledger.announced.saturating_sub(bytes);
    }
}

struct Sum<'a, 'b> {
    answers: &'a Answers<'b>,
    linked: Linked,
    bytes: u64,
}

impl Visitor for Sum<'_, '_> {
    fn step(&mut self, step: &Step<'_>) -> Result<Go, Stop> {
        self.answers.wanted()?;
        if self.linked.is_new(step.stat) {
            self.bytes = self.bytes.saturating_add(allocated(step.stat));
        }
        Ok(Go::In)
    }

    /// What cannot be read cannot have been written by us.
    fn unreadable(&mut self, _path: &[u8], _errno: Errno) -> Result<(), Stop> {
        Ok(())
    }
}

/// The room of one file that is written, or none to keep to. What it did not use is given back when it is dropped.
#[derive(Debug, Default)]
pub(crate) struct Room {
    quota: Option<Arc<Quota>>,
    left: u64,
}

impl Room {
    /// Announces a file of so many bytes.
    pub(crate) fn take(
        quota: Option<&Arc<Quota>>,
        bytes: u64,
        path: &[u8],
        answers: &Answers<'_>,
    ) -> Result<Self, Stop> {
        let Some(quota) = quota else {
            return Ok(Self::default());
        };
        quota.require(bytes, path, answers)?;
        Ok(Self {
            quota: Some(quota.clone()),
            left: bytes,
        })
    }

    /// So many bytes are about to be written; more than were announced are announced now.
    pub(crate) fn spend(
        &mut self,
        bytes: u64,
        path: &[u8],
        answers: &Answers<'_>,
    ) -> Result<(), Stop> {
        let Some(quota) = &self.quota else {
            return Ok(());
        };
        if bytes > self.left {
            quota.require(bytes - self.left, path, answers)?;
            self.left = bytes;
        }
        self.left -= bytes;
        quota.written(bytes);
        Ok(())
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if let Some(quota) = &self.quota {
            quota.give_back(self.left);
        }
    }
}

#[cfg(test)]
mod tests;
