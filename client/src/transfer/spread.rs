//! A transfer to several machines at once: each byte is sent once, and the relay gives it to all.
//!
//! Machines that cannot keep up, or differ from the others, are named at the end: a transfer of its own, which
//! compares first (`checksum`), gives each of them what it lacks.

use std::sync::Arc;

use bytes::Bytes;
use tokio_util::task::TaskTracker;

use super::group::Group;
use super::{Job, Location, Options, Progress, Report, Transfer, Wish};
use crate::connection::Connection;
use crate::error::Error;
use crate::files::Place;

/// Machines of one transfer: what a relay lets take from one feed.
pub const MAX_MACHINES: usize = 256;

/// A transfer to several machines that runs. It ends when this is dropped.
#[derive(Debug)]
pub struct Spread {
    transfer: Transfer,
    group: Arc<Group>,
}

/// How it ended.
#[derive(Debug)]
pub struct Spreading {
    /// What became of it at each of `stayed`.
    pub report: Result<Report, Error>,
    /// Machines that got what the report says.
    pub stayed: Vec<String>,
    /// Machines that are to be copied to on their own. They may have some or all of it.
    pub left: Vec<String>,
}

impl Spread {
    /// Begins to copy `sources` to `path` of each of these machines, at most [`MAX_MACHINES`]. It resumes and
    /// compares nothing: what is there already differs from machine to machine.
    pub fn start(
        connection: &Connection,
        sources: Vec<Location>,
        (machines, path): (Vec<String>, Bytes),
        options: Options,
        owner: &TaskTracker,
    ) -> Self {
        let group = Group::new(connection.clone(), machines, owner.clone());
        let target = Location {
            place: Place::Machine(String::new()),
            path,
        };
        let job = Job {
            connection: Some(connection.clone()),
            sources,
            target,
            group: Some(group.clone()),
            options: Options {
                resume: false,
                checksum: false,
                ..options
            },
        };
        Self {
            transfer: Transfer::run(job, owner),
            group,
        }
    }

    /// How far it is, by the quickest machine.
    pub fn progress(&self) -> Progress {
        self.transfer.progress()
    }

    /// Pauses it, lets it go on, or ends it.
    pub fn wish(&self, wish: Wish) {
        self.transfer.wish(wish);
    }

    /// Waits for its end. Cancel-safe.
    pub async fn wait(&mut self) -> Spreading {
        let report = self.transfer.wait().await;
        let (stayed, left) = self.group.split();
        Spreading {
            report,
            stayed,
            left,
        }
    }
}
