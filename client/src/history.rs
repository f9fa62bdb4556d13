//! Which lines of a session's history are held, and which to ask for next: what a pager, a search and a
//! copy mode need between themselves and [`crate::sessions::history`]. It makes no call and knows no
//! clock.
//!
//! Invariants: a line is held under the number that the agent gave it, and of one epoch only; what is
//! held is bounded; one question is under way at a time, and each good answer brings what it was asked
//! for. Agents are hostile: an answer that contradicts itself or an earlier one is refused, and of the
//! text nothing but characters and SGR sequences is kept.

mod line;

use std::collections::BTreeMap;
use std::ops::Range;

use cmdop_proto::{limits, v1};

pub use line::Line;

/// One question to the agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Lines below this number; `None`: the newest.
    pub before: Option<u64>,
    /// At most so many.
    pub max_lines: u32,
    /// At most so many bytes, but one line at least; 0: as the agent likes.
    pub max_bytes: u32,
}

impl Ask {
    /// The same as a request about this session.
    pub fn of(self, session: &str) -> v1::HistoryRequest {
        v1::HistoryRequest {
            session: session.to_owned(),
            before: self.before,
            max_lines: self.max_lines,
            max_bytes: self.max_bytes,
        }
    }
}

/// What an answer did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// Its lines are held.
    Lines,
    /// The same, and numbers mean other lines than before it: what was held is dropped, and places that
    /// were remembered by number are void.
    Anew,
    /// It answers a question that is not under way any more, and was not looked at.
    Late,
}

/// An answer that cannot be true. The question is not under way any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the page of history is not what was asked for: {0}")]
pub struct Untrue(&'static str);

/// See the module.
#[derive(Debug)]
pub struct Pager {
    /// Where the numbering was heard to stand.
    known: Option<v1::HistoryMark>,
    lines: BTreeMap<u64, Line>,
    bytes: usize,
    most: usize,
    /// What the reader looks at: the last to be dropped.
    wanted: Range<u64>,
    /// For the rest of what the reader looks at there is no room.
    full_below: u64,
    under_way: Option<Ask>,
}

impl Pager {
    /// Knows nothing, and will hold about `max_bytes` at most.
    pub fn new(max_bytes: usize) -> Self {
        Self {
            known: None,
            lines: BTreeMap::new(),
            bytes: 0,
            most: max_bytes,
            wanted: 0..0,
            full_below: 0,
            under_way: None,
        }
    }

    /// The same, where a keyframe or a capture said how far the numbering is.
    pub fn at(mark: v1::HistoryMark, max_bytes: usize) -> Self {
        Self {
            known: Some(mark),
            ..Self::new(max_bytes)
        }
    }

    /// The line of that number, if it is held.
    pub fn line(&self, number: u64) -> Option<&Line> {
        self.lines.get(&number)
    }

    /// The numbers that there are lines for, as far as is known: from the oldest that the agent keeps
    /// to the newest. Held lines may be older. `None`: nothing was heard yet.
    pub fn numbers(&self) -> Option<Range<u64>> {
        self.known.map(|known| known.first_kept..end(known))
    }

    /// The epoch of these numbers.
    pub fn epoch(&self) -> Option<u64> {
        self.known.map(|known| known.epoch)
    }

    /// Whether the line of that number cannot be had any more.
    pub fn is_lost(&self, number: u64) -> bool {
        let oldest = self.known.map_or(0, |known| known.first_kept);
        number < oldest && !self.lines.contains_key(&number)
    }

    /// How many bytes are held.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// What to ask for, so that the lines with these numbers are held: the newest of those that are
    /// missing first. `None`: nothing is missing that can be had, or a question is under way. Far ends
    /// of a range that is too large for the memory are not asked for.
    pub fn next(&mut self, wanted: Range<u64>) -> Option<Ask> {
        if wanted != self.wanted {
            self.wanted = wanted;
            self.full_below = 0;
        }
        let Some(known) = self.known else {
            return self.newest();
        };
        if self.under_way.is_some() {
            return None;
        }
        let oldest = self.wanted.start.max(known.first_kept).max(self.full_below);
        let mut before = self.wanted.end.min(end(known));
        while before > oldest && self.is_held(before - 1, known) {
            before -= 1;
        }
        let most = u64::from(limits::MAX_HISTORY_LINES);
        let max_lines = before.saturating_sub(oldest).min(most) as u32;
        self.ask((max_lines > 0).then_some(Ask {
            before: Some(before),
            max_lines,
            max_bytes: 0,
        }))
    }

    /// Asks for the newest lines, to hear how far the numbering is. `None`: a question is under way.
    pub fn newest(&mut self) -> Option<Ask> {
        if self.under_way.is_some() {
            return None;
        }
        self.ask(Some(Ask {
            before: None,
            max_lines: limits::HISTORY_LINES,
            max_bytes: 0,
        }))
    }

    /// The question was not answered, and may be asked again.
    pub fn failed(&mut self, ask: Ask) {
        if self.under_way == Some(ask) {
            self.under_way = None;
        }
    }

    /// Takes the answer to a question.
    ///
    /// # Errors
    /// When it cannot be true; nothing of it is kept.
    pub fn take(&mut self, ask: Ask, page: &v1::HistoryResponse) -> Result<Taken, Untrue> {
        if self.under_way != Some(ask) {
            return Ok(Taken::Late);
        }
        self.under_way = None;
        let mark = page.mark.ok_or(Untrue("it has no place"))?;
        let text = String::from_utf8_lossy(&page.text);
        let count = check(ask, mark, page, &text)?;
        let taken = self.learn(mark)?;
        let numbers = page.from..page.from + count;
        for (number, text) in numbers.zip(text.split_terminator('\n')) {
            let is_whole = number < mark.next;
            self.insert(number, Line::new(text, is_whole));
        }
        self.shrink();
        Ok(taken)
    }

    fn ask(&mut self, ask: Option<Ask>) -> Option<Ask> {
        self.under_way = ask;
        ask
    }

    /// A line that lacked its end is missing once others follow it.
    fn is_held(&self, number: u64, known: v1::HistoryMark) -> bool {
        let line = self.lines.get(&number);
        line.is_some_and(|line| line.is_whole() || number + 1 == end(known))
    }

    /// A line that lacked its end may be back on a wider screen; one that was whole may not.
    fn learn(&mut self, now: v1::HistoryMark) -> Result<Taken, Untrue> {
        let is_new = match self.known {
            Some(before) if before.epoch == now.epoch => {
                if before.first_kept > now.first_kept || before.next > now.next {
                    return Err(Untrue("its numbers went back"));
                }
                false
            }
            Some(_) => true,
            None => false,
        };
        self.known = Some(now);
        if !is_new {
            return Ok(Taken::Lines);
        }
        self.lines.clear();
        (self.bytes, self.full_below) = (0, 0);
        Ok(Taken::Anew)
    }

    fn insert(&mut self, number: u64, line: Line) {
        self.bytes += line.bytes();
        if let Some(old) = self.lines.insert(number, line) {
            self.bytes -= old.bytes();
        }
    }

    /// Drops what is farthest from where the reader looks.
    fn shrink(&mut self) {
        while self.bytes > self.most {
            let (Some(lowest), Some(highest)) = (
                self.lines.keys().next().copied(),
                self.lines.keys().next_back().copied(),
            ) else {
                return;
            };
            let below = self.wanted.start.saturating_sub(lowest);
            let above = (highest + 1).saturating_sub(self.wanted.end);
            let number = if above > below { highest } else { lowest };
            if self.wanted.contains(&number) {
                self.full_below = number + 1;
            }
            if let Some(line) = self.lines.remove(&number) {
                self.bytes -= line.bytes();
            }
        }
    }
}

/// The number after the newest line of which anything has left the screen.
fn end(mark: v1::HistoryMark) -> u64 {
    mark.next.saturating_add(u64::from(mark.goes_on))
}

/// How many lines a page holds, if it is an answer to `ask`.
fn check(
    ask: Ask,
    mark: v1::HistoryMark,
    page: &v1::HistoryResponse,
    text: &str,
) -> Result<u64, Untrue> {
    if !(text.is_empty() || text.ends_with('\n')) {
        return Err(Untrue("its last line has no end"));
    }
    let count = text.bytes().filter(|byte| *byte == b'\n').count() as u64;
    if count > u64::from(ask.max_lines) {
        return Err(Untrue("it has too many lines"));
    }
    if mark.first_kept > mark.next {
        return Err(Untrue("what it keeps is still to come"));
    }
    let before = ask.before.unwrap_or(u64::MAX);
    let before = before.clamp(mark.first_kept, end(mark));
    let is_there = page.from >= mark.first_kept
        && page.from.checked_add(count) == Some(before)
        && (count > 0 || before == mark.first_kept);
    if !is_there {
        return Err(Untrue("it has other lines"));
    }
    Ok(count)
}

#[cfg(test)]
mod tests;
