//! What all connections of this process share: one reader of the database, whose findings they all hear,
//! and the count of who is connected.
//!
//! A feed carries the new events of one workspace, or of its audit log, to the connections that want them.
//! Nobody waits for a connection: one that falls behind by more than the feed holds has missed something
//! and is told to come back. Changes of this process wake the reader at once; those of another, be it a
//! second control plane on the same PostgreSQL or `admin`, it finds by looking.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cmdop_proto::{AccountId, WorkspaceId};
use tokio::sync::broadcast;
use tokio::time::{Instant, timeout};
use tokio_util::task::TaskTracker;

use crate::plane::ControlPlane;
use crate::store::{self, Change, Heads, Part, Revocation, Store, Stream, Told, UNNUMBERED};

/// How often what other processes wrote is looked for.
const LOOK: Duration = Duration::from_millis(200);

/// How often it is looked how far transfers are: not with every commit, since relays say it every few seconds.
const LOOK_AT_PROGRESS: Duration = Duration::from_secs(1);

/// After the database failed.
const REST: Duration = Duration::from_secs(1);

/// Events that a connection may be behind: several of the largest batches that a relay reports.
const BEHIND: usize = 2048;

/// Events that are read at once.
const BATCH: u32 = 256;

/// Revocations that a connection may be behind before it looks at its own by itself.
const VOIDS: usize = 256;

/// Connections of one account: the tabs of a person, the dashboards of a wall.
pub(crate) const PER_ACCOUNT: usize = 32;

/// What a feed is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Log {
    /// The workspace's events.
    Events,
    /// Its audit log.
    Audit,
}

impl Log {
    fn stream(self) -> Stream {
        match self {
            Self::Events => Stream::Workspace,
            Self::Audit => Stream::Audit,
        }
    }

    fn newest(self, heads: Heads) -> u64 {
        match self {
            Self::Events => heads.events,
            Self::Audit => heads.audit,
        }
    }
}

/// What makes tokens void.
#[derive(Clone, Debug)]
pub(crate) enum Void {
    /// These.
    Revoked(Revocation),
    /// Nobody knows which: each looks at its own.
    Unknown,
}

/// A feed as a connection hears it.
pub(crate) type Feed = broadcast::Receiver<Arc<Told>>;

/// What connections share.
#[derive(Debug)]
pub(crate) struct Hub {
    feeds: Mutex<HashMap<(WorkspaceId, Log), Source>>,
    voids: broadcast::Sender<Void>,
    seats: Mutex<HashMap<AccountId, usize>>,
    /// The connections.
    pub(crate) connections: TaskTracker,
}

#[derive(Debug)]
struct Source {
    /// The number of the newest event that was told.
    told: u64,
    /// What was told last of what each relay says of transfers.
    progress: HashMap<String, i64>,
    listeners: broadcast::Sender<Arc<Told>>,
}

impl Default for Hub {
    fn default() -> Self {
        Self {
            feeds: Mutex::default(),
            voids: broadcast::Sender::new(VOIDS),
            seats: Mutex::default(),
            connections: TaskTracker::new(),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Hub {
    /// Hears which tokens become void from now on.
    pub(crate) fn voids(&self) -> broadcast::Receiver<Void> {
        self.voids.subscribe()
    }

    /// Hears what is told from now on: what is in the database after this returned is in the feed, or can
    /// be read already.
    pub(crate) async fn feed(
        &self,
        store: &Store,
        workspace: WorkspaceId,
        log: Log,
    ) -> Result<Feed, store::Error> {
        if let Some(source) = lock(&self.feeds).get(&(workspace, log)) {
            return Ok(source.listeners.subscribe());
        }
        let heads = store.event_heads(&[workspace]).await?;
        let heads = heads.get(&workspace).copied().unwrap_or_default();
        let mut feeds = lock(&self.feeds);
        let source = feeds.entry((workspace, log)).or_insert_with(|| Source {
            told: log.newest(heads),
            progress: HashMap::new(),
            listeners: broadcast::Sender::new(BEHIND),
        });
        Ok(source.listeners.subscribe())
    }

    /// A place for one more connection of an account, while there is one.
    pub(crate) fn seat(self: &Arc<Self>, account: AccountId) -> Option<Seat> {
        let mut seats = lock(&self.seats);
        let taken = seats.entry(account).or_default();
        if *taken >= PER_ACCOUNT {
            return None;
        }
        *taken += 1;
        Some(Seat {
            hub: self.clone(),
            account,
        })
    }

    /// Tells connections what happens, until it is dropped.
    pub(crate) async fn run(&self, plane: &ControlPlane) {
        let mut committed = plane.store.committed();
        let mut changes = None;
        let mut progress_at = Instant::now();
        loop {
            committed.borrow_and_update();
            let looked = async {
                changes = self.look_for_voids(&plane.store, changes).await?;
                self.look_for_events(&plane.store).await?;
                if Instant::now() >= progress_at {
                    progress_at = Instant::now() + LOOK_AT_PROGRESS;
                    self.look_at_progress(plane).await?;
                }
                Ok::<_, store::Error>(())
            };
            if let Err(error) = looked.await {
                tracing::error!(%error, "what connections are to hear could not be read");
                tokio::time::sleep(REST).await;
            }
            let _ = timeout(LOOK, committed.changed()).await;
        }
    }

    /// Passes on what was revoked after change number `seen`; returns the number of the newest change.
    async fn look_for_voids(
        &self,
        store: &Store,
        seen: Option<u64>,
    ) -> Result<Option<u64>, store::Error> {
        if self.voids.receiver_count() == 0 {
            return Ok(None);
        }
        let Some(mut seen) = seen else {
            // Somebody is here who came before we began to look.
            let newest = store.last_change().await?;
            let _ = self.voids.send(Void::Unknown);
            return Ok(Some(newest));
        };
        if store.last_change().await? == seen {
            return Ok(Some(seen));
        }
        for (number, change) in store.changes_after(seen).await? {
            if number != seen + 1 {
                let _ = self.voids.send(Void::Unknown);
            }
            seen = number;
            if let Some(Change::Revoked(revocation)) = change {
                let _ = self.voids.send(Void::Revoked(revocation));
            }
        }
        Ok(Some(seen))
    }

    async fn look_for_events(&self, store: &Store) -> Result<(), store::Error> {
        let feeds = self.heard_feeds();
        if feeds.is_empty() {
            return Ok(());
        }
        let mut workspaces: Vec<_> = feeds.iter().map(|(workspace, ..)| *workspace).collect();
        workspaces.sort_unstable();
        workspaces.dedup();
        let heads = store.event_heads(&workspaces).await?;
        for (workspace, log, mut told) in feeds {
            let newest = heads.get(&workspace).map_or(0, |heads| log.newest(*heads));
            while told < newest {
                let part = Part::After(told);
                let handle = store.workspace(workspace);
                let (_, events) = handle.events(log.stream(), part, BATCH).await?;
                // What is not there any more was dropped: who misses it finds out by the next number.
                told = events.last().map_or(newest, |(last, _)| *last);
                self.tell((workspace, log), told, events);
            }
        }
        Ok(())
    }

    /// Tells how far transfers are to those who hear their workspace's events.
    async fn look_at_progress(&self, plane: &ControlPlane) -> Result<(), store::Error> {
        let feeds = self.heard_feeds().into_iter();
        let workspaces: Vec<_> = feeds
            .filter(|(_, log, _)| *log == Log::Events)
            .map(|(workspace, ..)| workspace)
            .collect();
        if workspaces.is_empty() {
            return Ok(());
        }
        let now_ms = plane.clock.now_ms();
        let all = plane.store.transfer_progress(&workspaces, now_ms).await?;
        let mut feeds = lock(&self.feeds);
        for (workspace, said) in all {
            let Some(source) = feeds.get_mut(&(workspace, Log::Events)) else {
                continue;
            };
            for said in said {
                let told = source.progress.insert(said.relay, said.number);
                if told == Some(said.number) {
                    continue;
                }
                for progress in said.progress {
                    let told = Told {
                        number: UNNUMBERED,
                        session: None,
                        told: progress.told,
                        told_with_paths: progress.told_with_paths,
                    };
                    let _ = source.listeners.send(Arc::new(told));
                }
            }
        }
        Ok(())
    }

    /// The feeds that somebody hears, and what was told on them; the others are forgotten.
    fn heard_feeds(&self) -> Vec<(WorkspaceId, Log, u64)> {
        let mut feeds = lock(&self.feeds);
        feeds.retain(|_, source| source.listeners.receiver_count() > 0);
        let feeds = feeds.iter();
        feeds
            .map(|((workspace, log), source)| (*workspace, *log, source.told))
            .collect()
    }

    fn tell(&self, feed: (WorkspaceId, Log), told: u64, events: Vec<(u64, Told)>) {
        let mut feeds = lock(&self.feeds);
        let Some(source) = feeds.get_mut(&feed) else {
            return;
        };
        source.told = told;
        for (_, event) in events {
            let _ = source.listeners.send(Arc::new(event));
        }
    }
}

/// One connection's place among those of its account; free again when it is dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    hub: Arc<Hub>,
    account: AccountId,
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut seats = lock(&self.hub.seats);
        if let Some(taken) = seats.get_mut(&self.account) {
            *taken -= 1;
            if *taken == 0 {
                seats.remove(&self.account);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::broadcast::error::TryRecvError;

    use super::*;

    #[test]
    fn an_account_has_so_many_places_and_gets_them_back() {
        let hub = Arc::new(Hub::default());
        let (ada, grace) = (AccountId::new(), AccountId::new());
        let mut seats: Vec<_> = (0..PER_ACCOUNT)
            .map(|_| hub.seat(ada).expect("a place"))
            .collect();
        assert!(hub.seat(ada).is_none() && hub.seat(grace).is_some());
        seats.pop();
        assert!(hub.seat(ada).is_some());
        drop(seats);
        assert!(lock(&hub.seats).is_empty());
    }

    #[test]
    fn who_does_not_read_costs_no_more_than_the_feed_holds_and_is_told_that_it_missed_something() {
        let hub = Hub::default();
        let feed = (WorkspaceId::new(), Log::Events);
        let listeners = broadcast::Sender::new(BEHIND);
        let (mut slow, mut quick) = (listeners.subscribe(), listeners.subscribe());
        let source = Source {
            told: 0,
            progress: HashMap::new(),
            listeners: listeners.clone(),
        };
        lock(&hub.feeds).insert(feed, source);
        let many = 4 * BEHIND as u64;
        for number in 1..=many {
            let told = Told {
                number,
                session: None,
                told: "{}".into(),
                told_with_paths: None,
            };
            hub.tell(feed, number, vec![(number, told)]);
            assert!(listeners.len() <= BEHIND, "{} are kept", listeners.len());
            assert_eq!(quick.try_recv().unwrap().number, number);
        }
        let missed = TryRecvError::Lagged(many - BEHIND as u64);
        assert_eq!(slow.try_recv().unwrap_err(), missed);
    }
}
