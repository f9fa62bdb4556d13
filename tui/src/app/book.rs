//! Records of one kind that a feed keeps up to date: a snapshot, then changes, over any number of
//! lost connections.

use std::collections::{BTreeMap, BTreeSet};

use cmdop_proto::Refusal;
use tokio::time::Instant;

/// How the feed of a book stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Feed {
    /// Its first snapshot is not complete.
    Loading,
    /// What it says is true now.
    Current,
    /// The connection is lost and being made again; what is known is old.
    Lost {
        /// Since when.
        since: Instant,
        /// Why.
        why: Refusal,
    },
    /// It will not come back.
    Failed(Refusal),
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Book<K, V> {
    records: BTreeMap<K, V>,
    /// What the snapshot that is arriving has named so far; `None` after its end.
    named: Option<BTreeSet<K>>,
    feed: Feed,
}

impl<K: Ord + Copy, V> Book<K, V> {
    /// Nothing is known yet.
    pub fn new() -> Self {
        Self {
            records: BTreeMap::new(),
            named: Some(BTreeSet::new()),
            feed: Feed::Loading,
        }
    }

    /// A record, new or changed.
    pub fn insert(&mut self, key: K, value: V) {
        if let Some(named) = &mut self.named {
            named.insert(key);
        }
        self.records.insert(key, value);
    }

    /// Whether what is here is all that there is now.
    pub fn is_current(&self) -> bool {
        matches!(self.feed, Feed::Current)
    }

    /// The keys of all records, in order.
    pub fn keys(&self) -> impl Iterator<Item = K> {
        self.records.keys().copied()
    }

    /// A record is gone.
    pub fn remove(&mut self, key: K) {
        self.records.remove(&key);
    }

    /// The snapshot is complete: what it did not name is gone.
    pub fn synced(&mut self) {
        if let Some(named) = self.named.take() {
            self.records.retain(|key, _| named.contains(key));
        }
        self.feed = Feed::Current;
    }

    /// The feed broke; a new snapshot will begin. Only the first loss of an outage counts.
    pub fn lost(&mut self, why: Refusal, now: Instant) {
        let since = match self.feed {
            Feed::Lost { since, .. } => since,
            _ => now,
        };
        self.named = Some(BTreeSet::new());
        self.feed = Feed::Lost { since, why };
    }

    /// The feed will not come back.
    pub fn failed(&mut self, why: Refusal) {
        self.feed = Feed::Failed(why);
    }

    /// How the feed stands.
    pub fn feed(&self) -> &Feed {
        &self.feed
    }

    /// One record.
    pub fn get(&self, key: K) -> Option<&V> {
        self.records.get(&key)
    }

    /// All records.
    pub fn iter(&self) -> impl Iterator<Item = &V> {
        self.records.values()
    }
}

impl<K: Ord + Copy, V> Default for Book<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(book: &Book<u8, u8>) -> Vec<u8> {
        book.iter().copied().collect()
    }

    #[test]
    fn a_new_snapshot_forgets_what_it_does_not_name() {
        let mut book = Book::new();
        book.insert(1, 1);
        book.insert(2, 2);
        book.synced();
        let why = Refusal::unavailable("unreachable", "gone");
        book.lost(why.clone(), Instant::now());
        book.insert(2, 2);
        assert_eq!(
            keys(&book),
            [1, 2],
            "until it is complete, the old records stay"
        );
        book.synced();
        assert_eq!(keys(&book), [2]);
        assert_eq!(*book.feed(), Feed::Current);
    }

    #[test]
    fn an_outage_is_as_old_as_its_first_loss() {
        let mut book = Book::<u8, u8>::new();
        let start = Instant::now();
        let why = Refusal::unavailable("unreachable", "gone");
        book.lost(why.clone(), start);
        book.lost(why, start + std::time::Duration::from_secs(9));
        assert!(matches!(book.feed(), Feed::Lost { since, .. } if *since == start));
    }
}
