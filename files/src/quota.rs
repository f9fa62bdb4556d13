//! How much may lie in the directories that a role is confined to, beside what the file system allows.
//!
//! What lies there is measured by walking it, what is written since is added, and what is announced is kept
//! free for whoever announced it. Before somebody is refused it is measured anew: what others removed meanwhile
//! counts. (Where a walk takes long, the last one holds for a while: refusals must not keep a disk busy.) Other
//! programs may write there too; what they add is seen with the next measure.
//!
//! What the role itself made unreadable cannot be measured; then nothing more is written there.

use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cmdop_proto::{ErrorKind, Refusal, v1};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use tokio::time::Instant;

use crate::answers::{Answers, Stop};
use crate::entry::{allocated, kind};
use crate::fault::shown;
use crate::linked::Linked;
use crate::tree::{Go, Step, Visitor, walk};

/// A measure holds so long: other programs write, too.
const HOLDS: Duration = Duration::from_secs(60);

/// A walk that took longer is not made again at once, but after so many times what it took.
const QUICK: Duration = Duration::from_millis(50);
const REST: u32 = 20;

/// What a file, a directory or a link takes on the disk at least: a block of most file systems.
const BLOCK: u64 = 4096;

/// What something with so much content is counted as.
pub(crate) fn on_disk(bytes: u64) -> u64 {
    bytes
        .max(1)
        .checked_next_multiple_of(BLOCK)
        .unwrap_or(u64::MAX)
}

/// One limit, shared by all streams of a role.
#[derive(Debug)]
pub struct Quota {
    directories: Vec<PathBuf>,
    limit: u64,
    ledger: Mutex<Ledger>,
    /// Held by who walks: what two walks found could not be told apart from what was written between them.
    walking: Mutex<()>,
}

/// Bytes of the disk.
#[derive(Debug, Default)]
struct Ledger {
    /// What lay there.
    measured: Option<Measure>,
    /// What was written since.
    since: u64,
    /// What was announced and is not written yet.
    announced: u64,
}

/// What a walk found.
#[derive(Clone, Copy, Debug)]
struct Measure {
    bytes: u64,
    /// When it was over.
    at: Instant,
    took: Duration,
}

impl Ledger {
    fn used(&self) -> u64 {
        let measured = self.measured.map_or(0, |measure| measure.bytes);
        measured
            .saturating_add(self.since)
            .saturating_add(self.announced)
    }

    fn is_fresh(&self) -> bool {
        let measured = self.measured.as_ref();
        measured.is_some_and(|measure| measure.at.elapsed() < HOLDS)
    }

    fn measured_at(&self) -> Option<Instant> {
        self.measured.map(|measure| measure.at)
    }

    /// Whether another walk would be too much.
    fn is_resting(&self) -> bool {
        let measured = self.measured.as_ref();
        measured.is_some_and(|last| last.took > QUICK && last.at.elapsed() < last.took * REST)
    }
}

impl Quota {
    /// At most `limit` bytes in all of `directories` together.
    pub fn new(directories: Vec<PathBuf>, limit: u64) -> Self {
        Self {
            directories,
            limit,
            ledger: Mutex::default(),
            walking: Mutex::default(),
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
        self.measure_unless(Ledger::is_fresh, answers)?;
        if self.announce(bytes) {
            return Ok(());
        }
        let seen = self.ledger().measured_at();
        let is_other = |ledger: &Ledger| ledger.is_resting() || ledger.measured_at() != seen;
        self.measure_unless(is_other, answers)?;
        if self.announce(bytes) {
            return Ok(());
        }
        Err(self.full(path).into())
    }

    /// Measures, if it is worth it when whoever measured meanwhile is done.
    fn measure_unless(
        &self,
        is_needless: impl Fn(&Ledger) -> bool,
        answers: &Answers<'_>,
    ) -> Result<(), Stop> {
        if is_needless(&self.ledger()) {
            return Ok(());
        }
        let _walking = self.walking.lock().unwrap_or_else(PoisonError::into_inner);
        if is_needless(&self.ledger()) {
            return Ok(());
        }
        self.measure(answers)
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

    /// Walks all that is there. What is written meanwhile counts once more than it should, until the next walk.
    fn measure(&self, answers: &Answers<'_>) -> Result<(), Stop> {
        let (begun, before) = (Instant::now(), self.ledger().since);
        let mut sum = Sum {
            answers,
            linked: Linked::default(),
            bytes: 0,
            is_own: false,
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        for path in self.apart() {
            match rustix::fs::open(&path, flags, Mode::empty()) {
                Ok(directory) => walk(directory, &mut sum)?,
                // Nothing is in it, and nobody can write to it.
                Err(Errno::NOENT) => {}
                Err(_) => return Err(unmeasurable(path.as_os_str().as_bytes()).into()),
            }
        }
        let mut ledger = self.ledger();
        ledger.measured = Some(Measure {
            bytes: sum.bytes,
            at: Instant::now(),
            took: begun.elapsed(),
        });
        ledger.since = ledger.since.saturating_sub(before);
        Ok(())
    }

    /// The directories that are there, but those that lie in another of them: nothing counts twice.
    fn apart(&self) -> Vec<PathBuf> {
        let paths = self.directories.iter();
        let mut paths: Vec<_> = paths
            .map(|path| std::fs::canonicalize(path).unwrap_or_else(|_| path.clone()))
            .collect();
        paths.sort();
        // What lies in a directory is sorted right behind it.
        paths.dedup_by(|path, outer| path.starts_with(outer));
        paths
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
    /// The last directory that was met belongs to this user, who is also the role's.
    is_own: bool,
}

/// Something is there that may be any size.
fn unmeasurable(path: &[u8]) -> Refusal {
    let message = format!(
        "cannot write: what lies in {} counts to this role's quota and cannot be measured",
        shown(path)
    );
    Refusal::new(ErrorKind::Exhausted, "quota-unmeasurable", message).hint(
        "make it readable for its owner, or remove it; at most 200 directories lie in each other",
    )
}

impl Visitor for Sum<'_, '_> {
    fn step(&mut self, step: &Step<'_>) -> Result<Go, Stop> {
        self.answers.wanted()?;
        if kind(step.stat) == v1::FileKind::Directory {
            self.is_own = step.stat.st_uid == rustix::process::geteuid().as_raw();
        }
        if self.linked.is_new(step.stat) {
            // An empty file takes its place among the names.
            let taken = allocated(step.stat).max(BLOCK);
            self.bytes = self.bytes.saturating_add(taken);
        }
        Ok(Go::In)
    }

    /// What others closed to us we did not write; what is ours and closed, or too deep, may hold anything.
    fn unreadable(&mut self, path: &[u8], errno: Errno) -> Result<(), Stop> {
        match errno {
            Errno::NOENT => Ok(()),
            Errno::NAMETOOLONG => Err(unmeasurable(path).into()),
            _ if self.is_own => Err(unmeasurable(path).into()),
            _ => Ok(()),
        }
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
