//! The pieces of a feed that some reader has not taken yet: a bounded window, gone through by each reader at its
//! own pace.
//!
//! A full window makes whoever adds to it wait for the slowest reader. A reader that others wait for in
//! vain may hold them up for a moment and a tenth of its time here; then it is left behind.
//!
//! Pure: pieces and times come in.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use cmdop_proto::feed::FULL;
use cmdop_proto::limits;
use cmdop_proto::v1::file_request::Request as Ask;
use tokio::time::Instant;

/// What the pieces in a window may count.
const WINDOW: usize = limits::FEED_WINDOW;

/// For so long a reader may hold up the others at any time: a moment without network.
const PATIENCE: Duration = Duration::from_secs(3);

/// And for this part of the time that it has been here: it costs the others a tenth of their rate at most.
const PART: u32 = 10;

/// How far ahead of the feed a reader may ask.
const AHEAD: u64 = 1 << 16;

/// One of the readers.
pub(crate) type ReaderId = u64;

/// See the module.
#[derive(Debug)]
pub(crate) struct Window {
    /// The number of the first piece that is kept.
    first: u64,
    pieces: VecDeque<(Ask, usize)>,
    bytes: usize,
    readers: BTreeMap<ReaderId, Reader>,
    joined: ReaderId,
    /// It is full; what came before was charged.
    full_since: Option<Instant>,
}

#[derive(Debug)]
struct Reader {
    /// The number of the piece that it takes next, at least.
    next: u64,
    since: Instant,
    /// For how long it held up the others.
    held: Duration,
}

/// What a reader gets.
#[derive(Debug)]
pub(crate) enum Taken {
    /// The piece.
    Piece(Ask),
    /// It is still to come.
    Later,
    /// It never comes: it is over, or too far ahead.
    Never,
}

impl Window {
    pub(crate) fn new() -> Self {
        Self {
            first: 0,
            pieces: VecDeque::new(),
            bytes: 0,
            readers: BTreeMap::new(),
            joined: 0,
            full_since: None,
        }
    }

    fn head(&self) -> u64 {
        self.first + self.pieces.len() as u64
    }

    /// The number before which all is past.
    pub(crate) fn past(&self) -> u64 {
        self.first
    }

    /// Whether somebody may be held up.
    pub(crate) fn is_full(&self) -> bool {
        self.full_since.is_some()
    }

    /// How many read.
    pub(crate) fn readers(&self) -> usize {
        self.readers.len()
    }

    /// A reader of what comes from now on.
    pub(crate) fn join(&mut self, now: Instant) -> ReaderId {
        self.joined += 1;
        let reader = Reader {
            next: self.head(),
            since: now,
            held: Duration::ZERO,
        };
        self.readers.insert(self.joined, reader);
        self.joined
    }

    /// A reader is gone.
    pub(crate) fn leave(&mut self, reader: ReaderId, now: Instant) {
        self.charge(now);
        self.readers.remove(&reader);
        self.trim();
    }

    /// Adds a piece that counts so much: its number. `None`: there is no room now.
    pub(crate) fn push(&mut self, ask: &Ask, bytes: usize, now: Instant) -> Option<u64> {
        if self.bytes > 0 && self.bytes + bytes > WINDOW {
            return None;
        }
        self.pieces.push_back((ask.clone(), bytes));
        self.bytes += bytes;
        let number = self.head() - 1;
        // Where nobody reads, nothing is kept.
        self.trim();
        if self.bytes > FULL {
            self.full_since.get_or_insert(now);
        }
        Some(number)
    }

    /// The piece of this number, for a reader that has taken all that it wants before it.
    pub(crate) fn take(&mut self, id: ReaderId, number: u64, now: Instant) -> Taken {
        let head = self.head();
        let Some(reader) = self.readers.get(&id) else {
            return Taken::Never;
        };
        if number < reader.next || number >= head.saturating_add(AHEAD) {
            return Taken::Never;
        }
        let index = usize::try_from(number - self.first).unwrap_or(usize::MAX);
        let taken = match self.pieces.get(index) {
            Some((ask, _)) => Taken::Piece(ask.clone()),
            None => Taken::Later,
        };
        let next = match taken {
            Taken::Piece(_) => number + 1,
            // What it passed over, it does not hold.
            _ => number.min(head),
        };
        let was_held = reader.next == self.first && next > self.first;
        if was_held {
            self.charge(now);
        }
        if let Some(reader) = self.readers.get_mut(&id) {
            reader.next = reader.next.max(next);
        }
        self.trim();
        taken
    }

    /// Puts the time for which the window was full to the account of who holds it; those who held it for too
    /// long are out.
    pub(crate) fn late(&mut self, now: Instant) -> Vec<ReaderId> {
        self.charge(now);
        let is_late = |reader: &Reader| reader.held > PATIENCE + (now - reader.since) / PART;
        let late: Vec<ReaderId> = self
            .readers
            .iter()
            .filter(|(_, reader)| is_late(reader))
            .map(|(id, _)| *id)
            .collect();
        for id in &late {
            self.readers.remove(id);
        }
        self.trim();
        late
    }

    fn charge(&mut self, now: Instant) {
        let Some(since) = self.full_since else {
            return;
        };
        self.full_since = Some(now);
        let (first, head) = (self.first, self.head());
        // Where all are equally far, it is the pace of all.
        if !self.readers.values().any(|reader| reader.next >= head) {
            return;
        }
        for reader in self.readers.values_mut().filter(|r| r.next <= first) {
            reader.held += now.saturating_duration_since(since);
        }
    }

    /// Lets go of what nobody is to take any more.
    fn trim(&mut self) {
        let head = self.head();
        let needed = self.readers.values().map(|reader| reader.next).min();
        let needed = needed.unwrap_or(head);
        while self.first < needed {
            let Some((_, bytes)) = self.pieces.pop_front() else {
                break;
            };
            self.bytes -= bytes;
            self.first += 1;
        }
        if self.bytes <= FULL {
            self.full_since = None;
        }
    }
}

#[cfg(test)]
mod tests;
