//! The scrollback: logical lines, newest last, bounded in number and bytes.
//!
//! Each line has a number that counts up as lines leave the screen and is not used again while the
//! epoch is the same. A line that goes back to the screen may leave it as another one, and a cleared
//! scrollback is to be forgotten by all who have seen it: both begin a new epoch.

use std::collections::VecDeque;

use crate::line::Line;

/// What a line costs besides its text: its place in the queue and its allocation.
const OVERHEAD: usize = 32;

/// How long one logical line may get: a stream without a line break is cut into lines of this.
const MAX_LINE: usize = 64 << 10;

/// A peer may claim to have numbered any number of lines; from here on there is room to count, and no
/// terminal gets so far.
const LAST_NUMBER: u64 = u64::MAX / 2;

/// See the module.
#[derive(Debug)]
pub(crate) struct Ring {
    lines: VecDeque<Box<str>>,
    /// The newest line, if its end is still on the screen.
    open: Option<Line>,
    bytes: usize,
    max_lines: usize,
    max_bytes: usize,
    /// The number of the line that is completed next: the open one, if there is one.
    next: u64,
    epoch: u64,
}

impl Ring {
    pub(crate) fn new(max_lines: usize, max_bytes: usize) -> Self {
        Self {
            lines: VecDeque::new(),
            open: None,
            bytes: 0,
            max_lines,
            max_bytes,
            next: 0,
            epoch: 0,
        }
    }

    pub(crate) fn max_lines(&self) -> usize {
        self.max_lines
    }

    pub(crate) fn len(&self) -> usize {
        self.lines.len() + usize::from(self.open.is_some())
    }

    pub(crate) fn line(&self, index: usize) -> Option<&str> {
        match self.lines.get(index) {
            Some(line) => Some(line),
            None if index == self.lines.len() => self.open.as_ref().map(Line::text),
            None => None,
        }
    }

    /// The number of the oldest line that is kept, or of the next one to be.
    pub(crate) fn first(&self) -> u64 {
        self.next - self.lines.len() as u64
    }

    /// The number of the line that is completed next.
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Numbers the lines as another ring did that held the same newest ones.
    pub(crate) fn number(&mut self, epoch: u64, next: u64) {
        self.epoch = epoch;
        self.next = next.min(LAST_NUMBER).max(self.lines.len() as u64);
    }

    /// The newest `count` lines, oldest first.
    pub(crate) fn newest(&self, count: usize) -> impl Iterator<Item = &str> {
        (self.len().saturating_sub(count)..self.len()).filter_map(|index| self.line(index))
    }

    /// Whether the newest line goes on at the top of the screen.
    pub(crate) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Adds a row that scrolled off: `write` appends it to the line it belongs to and tells
    /// whether the line goes on in the next row.
    pub(crate) fn scrolled(&mut self, write: impl FnOnce(&mut Line) -> bool) {
        let mut line = self.open.take().unwrap_or_default();
        let before = line.text().len();
        let wrapped = write(&mut line);
        line.end_row(wrapped);
        if wrapped && line.text().len() < MAX_LINE {
            self.bytes += line.text().len() - before;
            self.open = Some(line);
            self.evict();
        } else {
            self.bytes -= before;
            self.push(line.into_text());
        }
    }

    /// Adds a whole line. No line may be open.
    pub(crate) fn push(&mut self, line: Box<str>) {
        self.bytes += line.len() + OVERHEAD;
        self.lines.push_back(line);
        self.next += 1;
        self.evict();
    }

    /// So many whole lines went by, and more than are kept follow them. No line may be open.
    pub(crate) fn pass(&mut self, count: usize) {
        if count > 0 {
            self.lines.clear();
            self.bytes = 0;
            self.next += count as u64;
        }
    }

    /// The open line has no more to come.
    pub(crate) fn close(&mut self) {
        if let Some(line) = self.open.take() {
            self.bytes -= line.text().len();
            self.push(line.into_text());
        }
    }

    /// Removes the newest line, to be put back on the screen.
    pub(crate) fn pop(&mut self) -> Option<Box<str>> {
        if let Some(line) = self.open.take() {
            self.bytes -= line.text().len();
            return Some(line.into_text());
        }
        let line = self.lines.pop_back()?;
        self.bytes -= line.len() + OVERHEAD;
        self.next -= 1;
        self.epoch = self.epoch.wrapping_add(1);
        Some(line)
    }

    pub(crate) fn clear(&mut self) {
        let (epoch, next) = (self.epoch.wrapping_add(1), self.next);
        *self = Self::new(self.max_lines, self.max_bytes);
        self.number(epoch, next);
    }

    fn evict(&mut self) {
        while self.len() > self.max_lines || self.bytes > self.max_bytes {
            let Some(line) = self.lines.pop_front() else {
                // Only an open line is left, and it alone is more than is allowed.
                self.open = None;
                self.bytes = 0;
                return;
            };
            self.bytes -= line.len() + OVERHEAD;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ring_keeps_the_newest_lines_within_both_bounds() {
        let mut ring = Ring::new(3, 1 << 20);
        for index in 0..10 {
            ring.push(index.to_string().into());
        }
        assert_eq!(ring.newest(9).collect::<Vec<_>>(), ["7", "8", "9"]);

        let mut ring = Ring::new(1000, 500);
        for _ in 0..1000 {
            ring.push("x".repeat(68).into());
        }
        assert_eq!(ring.len(), 5);
        assert_eq!(ring.bytes, 500);
    }

    #[test]
    fn a_number_is_given_once_in_an_epoch() {
        let mut ring = Ring::new(3, 1 << 20);
        for index in 0..10 {
            ring.push(index.to_string().into());
        }
        assert_eq!((ring.epoch(), ring.first(), ring.next()), (0, 7, 10));
        ring.pass(5);
        ring.push("15".into());
        assert_eq!((ring.epoch(), ring.first(), ring.next()), (0, 15, 16));
        ring.pop();
        assert_eq!((ring.epoch(), ring.first(), ring.next()), (1, 15, 15));
        ring.push("another 15".into());
        ring.clear();
        assert_eq!((ring.epoch(), ring.first(), ring.next()), (2, 16, 16));
    }

    #[test]
    fn a_line_without_an_end_is_cut() {
        let mut ring = Ring::new(100, 8 << 20);
        for _ in 0..10_000 {
            ring.scrolled(|line| {
                line.print(crate::pen::Pen::default(), &"x".repeat(80));
                true
            });
        }
        assert!(ring.len() > 10);
        assert!(ring.newest(100).all(|line| line.len() <= MAX_LINE + 80));
    }
}
