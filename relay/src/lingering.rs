//! What ended sessions still keep of their output, over all of them: so many bytes and no more.
//!
//! Each keeps its window for those who were cut off from its end, and gives it back by its own clock.
//! Where many end at once, the oldest give theirs back sooner.

use std::collections::VecDeque;
use std::sync::Weak;

use crate::lock::Lock;
use crate::session::Session;

/// A window is 1 MiB at most: so many sessions that end within half a minute keep theirs whole.
const MAX_BYTES: usize = 64 << 20;

/// Entries that may be here, whatever their size.
const MAX_ENTRIES: usize = 4096;

/// The sessions, the oldest end first.
#[derive(Debug, Default)]
pub(crate) struct Lingering {
    kept: Lock<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    bytes: usize,
    sessions: VecDeque<(Weak<Session>, usize)>,
}

impl Lingering {
    /// One more keeps so many bytes. Those that this returns have to give theirs back.
    pub(crate) fn add(&self, session: Weak<Session>, bytes: usize) -> Vec<Weak<Session>> {
        let mut kept = self.kept.lock();
        kept.bytes += bytes;
        kept.sessions.push_back((session, bytes));
        let mut over = Vec::new();
        while kept.bytes > MAX_BYTES || kept.sessions.len() > MAX_ENTRIES {
            let Some((oldest, bytes)) = kept.sessions.pop_front() else {
                break;
            };
            kept.bytes -= bytes;
            over.push(oldest);
        }
        over
    }

    /// This one has given them back.
    pub(crate) fn remove(&self, session: &Weak<Session>) {
        let mut kept = self.kept.lock();
        // The oldest leave first: it is near the front.
        let place = kept.sessions.iter().position(|(s, _)| s.ptr_eq(session));
        if let Some((_, bytes)) = place.and_then(|place| kept.sessions.remove(place)) {
            kept.bytes -= bytes;
        }
    }

    /// How many bytes are kept.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        self.kept.lock().bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_that_end_at_once_keep_so_many_bytes_and_no_more() {
        let lingering = Lingering::default();
        let mut released = 0;
        for _ in 0..1000 {
            released += lingering.add(Weak::new(), 1 << 20).len();
            assert!(lingering.bytes() <= MAX_BYTES);
        }
        assert_eq!(released, 1000 - 64);
        lingering.remove(&Weak::new());
        assert_eq!(lingering.bytes(), MAX_BYTES - (1 << 20));
        let entries = Lingering::default();
        for _ in 0..2 * MAX_ENTRIES {
            entries.add(Weak::new(), 0);
        }
        assert_eq!(entries.kept.lock().sessions.len(), MAX_ENTRIES);
    }
}
