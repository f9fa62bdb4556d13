//! Moving files between two places: a machine and here, or two machines.
//!
//! A transfer is a driver between two ends that are alike ([`crate::files`]). It sees messages, never a
//! disk: the end that reads hashes, the end that writes checks.
//!
//! ```text
//! Transfer ─► scout: walks the source, makes directories, deals out work ─► workers (streams of their own)
//!                                                                            ├─► one: a large file, in chunks
//!                                                                            └─► batch: many small files
//! ```
//!
//! Between machines the relay carries the contents from one stream to the other, and to several machines they
//! are sent once ([`Spread`]): only messages about them pass here.
//!
//! Invariants:
//! * A file appears at its destination whole and proved, or not at all.
//! * A lost stream is opened again, and what it was doing goes on with what is there.
//! * What cannot be copied is told, in the order of the source, and does not keep the rest.

mod batch;
pub mod chunk;
mod group;
mod item;
mod limit;
mod one;
mod progress;
pub mod ranges;
mod scout;
mod spread;
mod streams;
mod verify;
mod worker;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cmdop_proto::TransferId;
use cmdop_proto::v1::FileDirection;
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

use crate::connection::Connection;
use crate::error::Error;
use crate::files::{Part, Place};
use group::Group;
use limit::Limit;
use progress::Shared;

pub use progress::{Progress, Wish};
pub use spread::{MAX_MACHINES, Spread, Spreading};
pub use verify::{Difference, verify};

/// Streams that copy at the same time unless the caller says otherwise: enough to hide a round trip and the
/// time of a disk, few enough to leave a machine to its user.
pub const STREAMS: usize = 4;

/// The most that a caller may ask for.
pub const MAX_STREAMS: usize = 16;

/// A path at a place.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Location {
    /// Where.
    pub place: Place,
    /// Absolute, or relative to the home of the machine's user, or to the directory that we are in.
    pub path: Bytes,
}

/// How to copy.
#[allow(clippy::struct_excessive_bools, reason = "each is a wish of its own")]
#[derive(Clone, Debug)]
pub struct Options {
    /// What the relay tells those who follow events that it is called. Transfers that are one thing to a person have one.
    pub id: TransferId,
    /// Directories with all that is in them.
    pub recursive: bool,
    /// Go on with what an earlier try left; what is there already and the same does not travel.
    pub resume: bool,
    /// Compare contents first: what is the same at the destination is not sent.
    pub checksum: bool,
    /// Say what would be copied, and change nothing.
    pub dry_run: bool,
    /// Never replace what is there.
    pub keep_existing: bool,
    /// Also set-id bits, which otherwise stay behind.
    pub all_modes: bool,
    /// Prove the whole by MD5 too, not only each chunk by BLAKE3. It takes about half of all processor time.
    pub md5: bool,
    /// Globs of what is left out, by name or by path from the source.
    pub exclude: Vec<String>,
    /// Bytes a second, over all streams.
    pub limit: Option<u64>,
    /// Streams that copy at the same time; 1 to [`MAX_STREAMS`].
    pub streams: usize,
    /// How long a lost connection is waited for.
    pub patience: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            id: TransferId::new(),
            recursive: false,
            resume: false,
            checksum: false,
            dry_run: false,
            keep_existing: false,
            all_modes: false,
            md5: true,
            exclude: Vec::new(),
            limit: None,
            streams: STREAMS,
            patience: Duration::from_secs(100),
        }
    }
}

/// What could not be copied.
#[derive(Debug)]
pub struct Failed {
    /// Where it stood in the source; those of a directory follow one another.
    pub order: u64,
    /// Its path at the source: hostile text.
    pub path: Bytes,
    /// Why.
    pub error: Error,
}

/// How a transfer ended.
#[derive(Debug)]
pub struct Report {
    /// The last [`Progress`].
    pub progress: Progress,
    /// What was not copied, in the order of the source. Empty: all of it was.
    pub failed: Vec<Failed>,
    /// What would have been copied by a dry run, or was: paths of the source.
    pub planned: Vec<Bytes>,
    /// It was cancelled.
    pub cancelled: bool,
}

/// A transfer that runs. It ends when this is dropped.
#[derive(Debug)]
pub struct Transfer {
    shared: Arc<Shared>,
    task: JoinHandle<Result<Report, Error>>,
}

/// What a transfer is from and to, and how.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) connection: Option<Connection>,
    pub(crate) sources: Vec<Location>,
    pub(crate) target: Location,
    /// The machines of the target, where they are several.
    pub(crate) group: Option<Arc<Group>>,
    pub(crate) options: Options,
}

impl Job {
    /// What a stream is in it over which contents go this way.
    pub(crate) fn part(&self, direction: FileDirection) -> Part {
        Part {
            transfer: self.options.id,
            direction,
        }
    }
}

impl Transfer {
    /// Begins to copy `sources` to `target`: into it where it is a directory, else one source to that name.
    /// `connection` is needed where a machine is involved. The transfer's tasks are `owner`'s.
    pub fn start(
        connection: Option<&Connection>,
        sources: Vec<Location>,
        target: Location,
        options: Options,
        owner: &TaskTracker,
    ) -> Self {
        let job = Job {
            connection: connection.cloned(),
            sources,
            target,
            group: None,
            options,
        };
        Self::run(job, owner)
    }

    fn run(job: Job, owner: &TaskTracker) -> Self {
        let shared = Shared::new(Limit::new(job.options.limit));
        let task = owner.spawn(scout::run(job, shared.clone(), owner.clone()));
        Self { shared, task }
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        self.shared.snapshot()
    }

    /// Pauses it, lets it go on, or ends it.
    pub fn wish(&self, wish: Wish) {
        self.shared.wish(wish);
    }

    /// Waits for its end. An error means that nothing could be begun. Cancel-safe.
    pub async fn wait(&mut self) -> Result<Report, Error> {
        match (&mut self.task).await {
            Ok(result) => result,
            Err(stopped) => Err(Error::Protocol(format!("the transfer stopped: {stopped}"))),
        }
    }
}

impl Drop for Transfer {
    fn drop(&mut self) {
        self.shared.wish(Wish::Cancel);
    }
}

#[cfg(test)]
mod tests;
