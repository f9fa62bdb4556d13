//! The relay's window on a session's output log: the newest bytes, addressed by absolute offset.
//!
//! Bytes enter in order, each once: what is known already is skipped, a gap is refused. It knows no
//! reader, no clock and no stream.

use std::collections::VecDeque;

use bytes::Bytes;
use cmdop_proto::{CommandId, Offset};

/// Pieces below this are copied together: a window of single keystrokes' echoes would otherwise cost
/// fifty times its bytes in bookkeeping. Larger ones are shared, never copied.
const SMALL: usize = 2 << 10;

/// Where a piece that grew out of small ones is closed.
const GROWN: usize = 4 << 10;

/// The bytes that were sent do not follow on those that are here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the log ends at {end}, but the next bytes start at {start}")]
pub(crate) struct Gap {
    /// The end of what is here.
    pub(crate) end: Offset,
    /// The first byte of what came.
    pub(crate) start: Offset,
}

/// A run of bytes of the log, as it is sent to a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Its first byte's address.
    pub(crate) start: Offset,
    /// The bytes; never empty.
    pub(crate) data: Bytes,
    /// The newest input that its agent had written when it read the last of these bytes.
    pub(crate) command: CommandId,
}

/// What lies at an offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Read {
    /// Bytes.
    Piece(Piece),
    /// Nothing yet: the end of the log, or beyond it.
    Nothing,
    /// It fell out of the window.
    Gone,
}

/// The window. At most `bound` bytes, and all that were ever appended below `end` are either in it
/// or were pushed out of it by newer ones.
#[derive(Debug)]
pub(crate) struct Log {
    bound: usize,
    start: Offset,
    /// Contiguous from `start`.
    shared: VecDeque<Piece>,
    /// The small bytes after the last of `shared`, still growing.
    tail: Tail,
}

#[derive(Debug, Default)]
struct Tail {
    start: Offset,
    data: Vec<u8>,
    command: CommandId,
}

impl Tail {
    fn end(&self) -> Offset {
        self.start.advance(self.data.len())
    }
}

impl Log {
    /// An empty window that begins at `start`.
    pub(crate) fn new(start: Offset, bound: usize) -> Self {
        Self {
            bound,
            start,
            shared: VecDeque::new(),
            tail: Tail {
                start,
                ..Tail::default()
            },
        }
    }

    /// The address of the oldest byte that is here.
    pub(crate) fn start(&self) -> Offset {
        self.start
    }

    /// The address after the newest byte.
    pub(crate) fn end(&self) -> Offset {
        self.tail.end()
    }

    /// Appends what of `data` is not here yet, and says how many bytes that were.
    pub(crate) fn append(
        &mut self,
        start: Offset,
        mut data: Bytes,
        command: CommandId,
    ) -> Result<usize, Gap> {
        let end = self.end();
        let known = end.overlap(start).ok_or(Gap { end, start })?;
        if known >= data.len() as u64 {
            return Ok(0);
        }
        let _ = data.split_to(known as usize);
        let added = data.len();
        if added < SMALL {
            self.append_small(&data, command);
        } else {
            self.close_tail();
            self.shared.push_back(Piece {
                start: end,
                data,
                command,
            });
            self.tail.start = end.advance(added);
        }
        self.trim();
        Ok(added)
    }

    fn append_small(&mut self, data: &[u8], command: CommandId) {
        self.tail.data.extend_from_slice(data);
        self.tail.command = command;
        if self.tail.data.len() >= GROWN {
            self.close_tail();
        }
    }

    fn close_tail(&mut self) {
        if self.tail.data.is_empty() {
            return;
        }
        let end = self.tail.end();
        let data = std::mem::take(&mut self.tail.data);
        self.shared.push_back(Piece {
            start: self.tail.start,
            data: data.into(),
            command: self.tail.command,
        });
        self.tail.start = end;
    }

    /// Exactly `bound` bytes stay, so that a reader whom the agent may lead by `bound` never falls out.
    fn trim(&mut self) {
        let mut excess = (self.end() - self.start).saturating_sub(self.bound as u64);
        while excess > 0 {
            let Some(front) = self.shared.front_mut() else {
                let dropped = (excess as usize).min(self.tail.data.len());
                self.tail.data.drain(..dropped);
                self.tail.start = self.tail.start.advance(dropped);
                self.start = self.tail.start;
                return;
            };
            if front.data.len() as u64 <= excess {
                excess -= front.data.len() as u64;
                self.start = self.start.advance(front.data.len());
                self.shared.pop_front();
            } else {
                let _ = front.data.split_to(excess as usize);
                front.start = front.start.advance(excess as usize);
                self.start = front.start;
                excess = 0;
            }
        }
    }

    /// At most `most` bytes from `at` on.
    pub(crate) fn read(&self, at: Offset, most: usize) -> Read {
        if at < self.start {
            return Read::Gone;
        }
        if at >= self.end() {
            return Read::Nothing;
        }
        if at >= self.tail.start {
            let skip = (at - self.tail.start) as usize;
            let data = &self.tail.data[skip..];
            return Read::Piece(Piece {
                start: at,
                data: Bytes::copy_from_slice(&data[..data.len().min(most)]),
                command: self.tail.command,
            });
        }
        let index = self.shared.partition_point(|piece| piece.start <= at) - 1;
        let piece = &self.shared[index];
        let skip = (at - piece.start) as usize;
        let stop = piece.data.len().min(skip + most);
        Read::Piece(Piece {
            start: at,
            data: piece.data.slice(skip..stop),
            command: piece.command,
        })
    }

    /// The log goes on at `start`; what is between the old end and there is lost to all.
    pub(crate) fn restart(&mut self, start: Offset) {
        *self = Self::new(start, self.bound);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BOUND: usize = 10_000;

    /// The byte that stands at an offset in every log of these tests.
    fn byte(at: u64) -> u8 {
        (at.wrapping_mul(2_654_435_761) >> 7) as u8
    }

    fn bytes(start: u64, len: usize) -> Bytes {
        (start..start + len as u64).map(byte).collect()
    }

    fn all(log: &Log, mut at: Offset, most: usize) -> Vec<u8> {
        let mut out = Vec::new();
        while let Read::Piece(piece) = log.read(at, most) {
            assert_eq!(piece.start, at);
            assert!(!piece.data.is_empty() && piece.data.len() <= most);
            out.extend_from_slice(&piece.data);
            at = at.advance(piece.data.len());
        }
        out
    }

    #[test]
    fn a_gap_is_refused_and_changes_nothing() {
        let mut log = Log::new(Offset(5), BOUND);
        log.append(Offset(5), bytes(5, 3), CommandId(0)).unwrap();
        let gap = log.append(Offset(9), bytes(9, 1), CommandId(0));
        assert_eq!(
            gap,
            Err(Gap {
                end: Offset(8),
                start: Offset(9)
            })
        );
        assert_eq!(log.end(), Offset(8));
    }

    #[test]
    fn large_pieces_are_shared_and_small_ones_cost_no_entry() {
        let mut log = Log::new(Offset::START, BOUND);
        let large = bytes(0, SMALL);
        log.append(Offset(0), large.clone(), CommandId(1)).unwrap();
        let Read::Piece(piece) = log.read(Offset(0), usize::MAX) else {
            panic!("nothing there")
        };
        assert_eq!(piece.data.as_ptr(), large.as_ptr());
        for at in 0..3_000 {
            let at = SMALL as u64 + at;
            log.append(Offset(at), bytes(at, 1), CommandId(2)).unwrap();
        }
        assert!(log.shared.len() <= 2);
    }

    proptest! {
        /// Whatever the agent sends again or cuts differently: the window holds the newest `BOUND`
        /// bytes, each once, in order.
        #[test]
        fn the_window_holds_the_newest_bytes_each_once(
            first in 0u64..50_000,
            steps in proptest::collection::vec((0usize..5_000, 0u64..6_000), 1..60),
            most in 1usize..70_000,
        ) {
            let mut log = Log::new(Offset(first), BOUND);
            let mut end = first;
            for (len, back) in steps {
                let start = end.saturating_sub(back).max(first);
                let added = log.append(Offset(start), bytes(start, len), CommandId(end)).unwrap();
                let new_end = end.max(start + len as u64);
                prop_assert_eq!(added as u64, new_end - end);
                end = new_end;
                prop_assert_eq!(log.end(), Offset(end));
                prop_assert_eq!(log.start().0, end.saturating_sub(BOUND as u64).max(first));
            }
            let from = log.start();
            prop_assert_eq!(all(&log, from, most), bytes(from.0, (end - from.0) as usize));
            if from.0 > 0 {
                prop_assert_eq!(log.read(Offset(from.0 - 1), most), Read::Gone);
            }
            prop_assert_eq!(log.read(Offset(end + 1), most), Read::Nothing);
        }
    }
}
