//! Several machines as one target: what is asked of it is asked of each, and what is written is sent to the relay
//! once.
//!
//! Its members are alike: a machine that answers otherwise than the others, or not in time, leaves, and is
//! copied to on its own afterwards. So nobody waits long for a slow or dead machine, and a difference
//! between two machines is nothing that the rest of a transfer has to know of.

mod member;
mod round;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cmdop_proto::Refusal;
use futures_util::future::join_all;
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

use super::streams::may_pass;
use crate::connection::Connection;
use crate::error::Error;
use crate::files::{Feed, Files, Opening, Part};
use round::Round;

/// Requests that may wait for one member: they are small, and what is large goes by the feed.
const QUEUE: usize = 1024;

/// The machines, and who of them has left.
#[derive(Debug)]
pub(crate) struct Group {
    connection: Connection,
    machines: Vec<String>,
    left: Mutex<BTreeMap<usize, Refusal>>,
    /// Owns the streams that look and make directories.
    owner: TaskTracker,
    /// Owns the streams that write.
    writing: TaskTracker,
}

impl Group {
    pub(crate) fn new(
        connection: Connection,
        machines: Vec<String>,
        owner: TaskTracker,
    ) -> Arc<Self> {
        Arc::new(Self {
            connection,
            machines,
            left: Mutex::default(),
            owner,
            writing: TaskTracker::new(),
        })
    }

    fn left(&self) -> MutexGuard<'_, BTreeMap<usize, Refusal>> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has_left(&self, member: usize) -> bool {
        self.left().contains_key(&member)
    }

    fn leaves(&self, member: usize, why: Refusal) {
        tracing::info!(
            machine = self.machines[member],
            "is copied to on its own: {why}"
        );
        self.left().entry(member).or_insert(why);
    }

    /// The machines that are still in it, and those that left.
    pub(crate) fn split(&self) -> (Vec<String>, Vec<String>) {
        let left = self.left();
        let (left, stayed): (Vec<_>, Vec<_>) = self
            .machines
            .iter()
            .cloned()
            .enumerate()
            .partition(|(member, _)| left.contains_key(member));
        let names = |members: Vec<(usize, String)>| members.into_iter().map(|(_, name)| name);
        (names(stayed).collect(), names(left).collect())
    }

    /// All members, to look and to make directories.
    pub(crate) async fn looking(self: &Arc<Self>) -> Result<Files, Error> {
        self.open((None, None), &self.owner).await
    }

    /// All members, to write; and the feed that they take from.
    pub(crate) async fn writing(self: &Arc<Self>, part: Part) -> Result<(Files, String), Error> {
        let feed = Feed::open(&self.connection).await?;
        let id = feed.id().to_owned();
        let files = self.open((Some(feed), Some(part)), &self.writing).await?;
        Ok((files, id))
    }

    /// Waits until all has been written that was sent.
    pub(crate) async fn written(&self) {
        self.writing.close();
        self.writing.wait().await;
    }

    async fn open(
        self: &Arc<Self>,
        (feed, part): (Option<Feed>, Option<Part>),
        tasks: &TaskTracker,
    ) -> Result<Files, Error> {
        let present = (0..self.machines.len()).filter(|member| !self.has_left(*member));
        let id = feed.as_ref().map_or("", Feed::id);
        let opening = present.map(|member| async move {
            let open = Opening {
                machine: &self.machines[member],
                feed: id,
                part,
                queue: QUEUE,
            };
            (member, Files::remote(&self.connection, open).await)
        });
        let opened = join_all(opening).await;
        if opened.iter().all(|(_, files)| files.is_err()) {
            // Perhaps it is the connection: nobody leaves for that.
            let first = opened.into_iter().find_map(|(_, files)| files.err());
            return Err(first.unwrap_or_else(dissolved));
        }
        let mut members = Vec::new();
        for (member, files) in opened {
            match files {
                Ok(files) => members.push((member, files)),
                Err(error) => self.leaves(member, error.refusal()),
            }
        }
        let (requests, asked) = mpsc::channel(cmdop_files::QUEUE);
        let (answers, answered) = mpsc::channel(cmdop_files::QUEUE);
        tasks.spawn(Round::new(self.clone(), feed, members).run(asked, answers));
        Files::of(requests, answered).await
    }
}

/// Nobody is left in it.
fn dissolved() -> Error {
    let error = Refusal::unavailable("group-dissolved", "all machines are copied to on their own");
    debug_assert!(!may_pass(&Error::Refused(error.clone())));
    Error::Refused(error)
}
