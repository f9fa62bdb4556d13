//! Transfers as those who follow events are told of them: that one began, how far it is, and how it ended.
//!
//! What is told is measured here, by what went through this relay; of the client comes only the transfer's name. A
//! transfer is told of for each machine and direction: between two machines it has two such legs, each
//! measured by itself. Began and ended go to the audit log. How far it is goes to whoever listens, and
//! waits for nobody: the newest word takes the place of what was not sent.
//!
//! Who carries contents touches two counters of a leg, no lock. All else is done by [`Transfers::run`], once a second.

pub(crate) mod leg;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use cmdop_proto::{MachineId, TransferId, WorkspaceId, v1};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::caller::Account;
use crate::lock::Lock;
use crate::report::{self, Reporter};
pub(crate) use leg::{Direction, Leg};

/// How often it is looked which legs are over.
const LOOK: Duration = Duration::from_secs(1);

/// How often one leg is told of at most while it goes on.
pub(crate) const PROGRESS_EVERY: Duration = Duration::from_secs(3);

/// Legs of one workspace that are told of at once: those that waited longest come first.
const PROGRESS_OF_WORKSPACE: usize = 32;

/// And of all: what one request to the control plane may carry.
const PROGRESS_AT_ONCE: usize = 256;

/// Legs of one account. A client copies to 256 machines at a time, and the legs to those before them are there for a while
/// yet. What is beyond waits for room, untold.
const MOST_OF_ACCOUNT: usize = 512;

/// Legs of one workspace: they have a share of events in a minute that is enough for all to end at once.
const MOST: usize = 2 * MOST_OF_ACCOUNT;

/// Which leg of which transfer. One account's names are nothing to another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) account: String,
    pub(crate) transfer: TransferId,
    pub(crate) machine: MachineId,
    pub(crate) direction: Direction,
}

/// All legs that are under way, by workspace; clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Transfers {
    legs: Arc<Lock<Legs>>,
    reporter: Reporter,
    progress: watch::Sender<Progress>,
}

/// Whether somebody is told of a leg.
#[derive(Debug)]
pub(crate) enum Joined {
    /// Yes; whoever joined leaves once.
    Leg(Arc<Leg>),
    /// Nobody listens.
    Unheard,
    /// There are too many.
    Full,
}

type Legs = HashMap<WorkspaceId, HashMap<Key, Arc<Leg>>>;

/// The newest of what is to be told; what was not sent before it comes is forgotten.
pub(crate) type Progress = Vec<v1::Report>;

impl Transfers {
    pub(crate) fn new(reporter: Reporter) -> Self {
        Self {
            legs: Arc::default(),
            reporter,
            progress: watch::Sender::new(Progress::new()),
        }
    }

    /// What is to be told of how far they are.
    pub(crate) fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    /// A stream begins to carry contents of this leg; `path` is the first that it is about.
    pub(crate) fn join(
        &self,
        key: Key,
        (account, machine): (&Account, &str),
        path: &[u8],
    ) -> Joined {
        if !self.reporter.is_heard() {
            return Joined::Unheard;
        }
        let mut all = self.legs.lock();
        let legs = all.entry(account.workspace()).or_default();
        if let Some(known) = legs.get(&key) {
            known.joined();
            return Joined::Leg(known.clone());
        }
        let of_account = legs.keys().filter(|other| other.account == key.account);
        if legs.len() >= MOST || of_account.count() >= MOST_OF_ACCOUNT {
            return Joined::Full;
        }
        let is_told = self.reporter.has_share_of_transfers(account);
        let leg = Arc::new(Leg::new(key.clone(), account.clone(), machine, is_told));
        legs.insert(key, leg.clone());
        drop(all);
        if leg.is_told() {
            self.reporter.event(account, leg.began(path));
        }
        Joined::Leg(leg)
    }

    /// A stream carries contents of which nobody is told.
    pub(crate) fn is_lost(&self) {
        self.reporter.is_lost();
    }

    /// Tells how legs fare, for ever.
    pub(crate) async fn run(&self) {
        let mut ticks = tokio::time::interval(LOOK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let now = ticks.tick().await;
            self.end(|leg| leg.is_over(now));
            let progress = self.moved(now);
            if !progress.is_empty() {
                self.progress.send_replace(progress);
            }
        }
    }

    /// All are over: the relay leaves.
    pub(crate) fn end_all(&self) {
        self.end(|_| true);
    }

    fn end(&self, is_over: impl Fn(&Leg) -> bool) {
        let mut over = Vec::new();
        let mut all = self.legs.lock();
        for legs in all.values_mut() {
            over.extend(legs.extract_if(|_, leg| is_over(leg)).map(|(_, leg)| leg));
        }
        all.retain(|_, legs| !legs.is_empty());
        drop(all);
        for leg in over {
            // One whose beginning had no share is told whole at its end, if there is one then.
            if leg.is_told() || self.reporter.has_share_of_transfers(&leg.account) {
                self.reporter.event(&leg.account, leg.ended());
            }
        }
    }

    /// Those that moved since they were told of, each workspace with its share.
    fn moved(&self, now: Instant) -> Progress {
        let all = self.legs.lock();
        let mut chosen: Vec<Arc<Leg>> = Vec::new();
        for legs in all.values() {
            let mut moved: Vec<_> = legs.values().filter(|leg| leg.has_news(now)).collect();
            moved.sort_by_key(|leg| leg.told_at());
            chosen.extend(moved.into_iter().take(PROGRESS_OF_WORKSPACE).cloned());
        }
        drop(all);
        chosen.sort_by_key(|leg| leg.told_at());
        chosen.truncate(PROGRESS_AT_ONCE);
        let told = chosen
            .iter()
            .map(|leg| report::unkept(&leg.account, leg.progress(now)));
        told.collect()
    }
}

#[cfg(test)]
mod tests;
