//! The output log of one session: its newest bytes under their absolute offsets, and which command
//! each piece answered.
//!
//! Invariants: `start ≤ end`; both only grow; `end - start` never exceeds the capacity.

use std::collections::VecDeque;

use bytes::Bytes;
use cmdop_proto::{CommandId, Offset};

/// What a fresh log takes; most sessions print little.
const FIRST_ALLOCATION: usize = 4 << 10;

/// How many changes of the command id are remembered. A log that is all echoes has one a byte; older
/// bytes then go out under id 0, "before any", which claims too little and never too much.
const MAX_MARKS: usize = 4096;

/// Writes `data` where `from` lies in `ring`, around its edge if need be.
fn place(ring: &mut [u8], from: Offset, data: &[u8]) {
    if data.is_empty() {
        return;
    }
    let at = (from.0 % ring.len() as u64) as usize;
    let first = data.len().min(ring.len() - at);
    ring[at..at + first].copy_from_slice(&data[..first]);
    ring[..data.len() - first].copy_from_slice(&data[first..]);
}

/// A ring that grows by doubling up to its capacity.
#[derive(Debug)]
pub(crate) struct Log {
    ring: Vec<u8>,
    capacity: usize,
    start: Offset,
    end: Offset,
    marks: VecDeque<Mark>,
}

/// From here on the bytes carry this id.
#[derive(Clone, Copy, Debug)]
struct Mark {
    from: Offset,
    command: CommandId,
}

/// A piece of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) offset: Offset,
    pub(crate) data: Bytes,
    pub(crate) command: CommandId,
}

impl Log {
    /// An empty log that will hold at most `capacity` bytes.
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            ring: Vec::new(),
            capacity: capacity.max(FIRST_ALLOCATION),
            start: Offset::START,
            end: Offset::START,
            marks: VecDeque::new(),
        }
    }

    /// The offset of the oldest byte that is still here.
    pub(crate) fn start(&self) -> Offset {
        self.start
    }

    /// The offset after the newest byte.
    pub(crate) fn end(&self) -> Offset {
        self.end
    }

    /// Adds `data`, printed after `command` was written; the oldest bytes give way.
    pub(crate) fn append(&mut self, data: &[u8], command: CommandId) {
        if data.is_empty() {
            return;
        }
        self.mark(command);
        // Of more than the ring holds, only the newest part would survive anyway.
        let kept = &data[data.len().saturating_sub(self.capacity)..];
        if kept.len() < data.len() {
            self.end = self.end.advance(data.len() - kept.len());
            self.start = self.end;
        }
        self.make_room(kept.len());
        place(&mut self.ring, self.end, kept);
        self.end = self.end.advance(kept.len());
        let oldest = Offset(self.end.0.saturating_sub(self.ring.len() as u64));
        self.start = self.start.max(oldest);
    }

    /// At most `limit` bytes from `from` on, all answering the same command. `None` if `from` is no
    /// longer here, or nothing is there yet.
    pub(crate) fn piece(&self, from: Offset, limit: usize) -> Option<Piece> {
        if from < self.start || from >= self.end {
            return None;
        }
        let (command, until) = self.command_at(from);
        let count = (until.min(self.end) - from).min(limit as u64) as usize;
        let (head, tail) = self.slices(from, count);
        let data = if tail.is_empty() {
            Bytes::copy_from_slice(head)
        } else {
            [head, tail].concat().into()
        };
        Some(Piece {
            offset: from,
            data,
            command,
        })
    }

    /// The bytes from `from` on, at most `limit`, as far as they lie side by side in memory.
    pub(crate) fn adjacent(&self, from: Offset, limit: usize) -> &[u8] {
        let count = (self.end - from).min(limit as u64) as usize;
        self.slices(from, count).0
    }

    fn slices(&self, from: Offset, count: usize) -> (&[u8], &[u8]) {
        if count == 0 {
            return (&[], &[]);
        }
        let at = self.position(from);
        let first = count.min(self.ring.len() - at);
        (&self.ring[at..at + first], &self.ring[..count - first])
    }

    fn mark(&mut self, command: CommandId) {
        let newest = self.marks.back().map_or(CommandId(0), |mark| mark.command);
        if command == newest {
            return;
        }
        if self.marks.len() == MAX_MARKS {
            self.marks.pop_front();
        }
        self.marks.push_back(Mark {
            from: self.end,
            command,
        });
    }

    /// The id that holds at `offset`, and where the next one begins.
    fn command_at(&self, offset: Offset) -> (CommandId, Offset) {
        let next = self.marks.partition_point(|mark| mark.from <= offset);
        let command = match next.checked_sub(1) {
            Some(index) => self.marks[index].command,
            None => CommandId(0),
        };
        let until = self.marks.get(next).map_or(Offset::MAX, |mark| mark.from);
        (command, until)
    }

    /// Grows the ring until `more` bytes fit beside those that it holds, or it is at its capacity.
    fn make_room(&mut self, more: usize) {
        let held = (self.end - self.start) as usize;
        let wanted = (held + more).min(self.capacity);
        if wanted <= self.ring.len() {
            return;
        }
        let size = wanted
            .next_power_of_two()
            .clamp(FIRST_ALLOCATION, self.capacity);
        let mut grown = vec![0; size];
        let (head, tail) = self.slices(self.start, held);
        place(&mut grown, self.start, head);
        place(&mut grown, self.start.advance(head.len()), tail);
        self.ring = grown;
    }

    fn position(&self, offset: Offset) -> usize {
        (offset.0 % self.ring.len() as u64) as usize
    }
}

#[cfg(test)]
mod tests;
