//! The results as they are read: one block for all machines that ended alike, and a cursor that stays on
//! its block while others come and go.

use std::fmt::Write as _;
use std::time::Duration;

use super::{Captured, End, Results, State};
use crate::dashboard::selection::Step;

/// Names that a block's heading may show; no screen is wider.
const MAX_NAMES: usize = 64;

/// By what a block is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BlockKey {
    /// Not asked yet.
    Waiting,
    /// The program runs.
    Running,
    /// One end with one output, by its number in this run.
    Ended(usize),
}

/// Machines that stand alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// By what it is known.
    pub key: BlockKey,
    /// How many machines.
    pub count: usize,
    /// The names of the first of them, with commas.
    pub names: String,
    /// The longest time that one of them took.
    pub took: Duration,
    /// Lines of output that are shown; 0 while it is folded.
    pub shown: usize,
    /// Whether it has output.
    pub has_output: bool,
}

/// A row of the results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResultRow {
    /// The heading of a block, by its place.
    Heading(usize),
    /// A line of a block's output.
    Line(usize, usize),
}

/// Where one reads: a row of a block, counted from its heading.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cursor {
    block: Option<BlockKey>,
    line: usize,
    place: usize,
    is_moved: bool,
}

impl Results {
    /// Makes the blocks anew if something happened since. To be called before they are drawn.
    pub(crate) fn refresh(&mut self) {
        if std::mem::take(&mut self.is_dirty) {
            self.blocks = self.make_blocks();
            self.follow();
        }
    }

    fn make_blocks(&self) -> Vec<Block> {
        let mut blocks: Vec<Block> = Vec::new();
        let mut ended = vec![None; self.distinct.len()];
        let mut open = [None; 2];
        for target in &self.targets {
            let (key, known) = match &target.state {
                State::Waiting => (BlockKey::Waiting, &mut open[0]),
                State::Running(_) => (BlockKey::Running, &mut open[1]),
                State::Ended(number) => (BlockKey::Ended(*number), &mut ended[*number]),
            };
            let place = *known.get_or_insert_with(|| {
                blocks.push(self.empty_block(key));
                blocks.len() - 1
            });
            blocks[place].add(&target.name, target.took);
        }
        blocks.sort_by_key(|block| {
            (
                self.rank(block.key),
                std::cmp::Reverse(block.count),
                block.key,
            )
        });
        blocks
    }

    fn empty_block(&self, key: BlockKey) -> Block {
        let output = self.output(key);
        Block {
            key,
            count: 0,
            names: String::new(),
            took: Duration::ZERO,
            shown: output
                .filter(|_| self.expanded.contains(&key))
                .map_or(0, Captured::line_count),
            has_output: output.is_some_and(|output| !output.is_empty()),
        }
    }

    /// What needs somebody comes first.
    fn rank(&self, key: BlockKey) -> u8 {
        match key {
            BlockKey::Ended(_) => match self.end(key) {
                Some(End::Exited(0)) => 4,
                Some(End::Cancelled) => 5,
                Some(End::Unreachable) => 1,
                _ => 0,
            },
            BlockKey::Running => 2,
            BlockKey::Waiting => 3,
        }
    }

    /// How the machines of a block ended, if they have.
    pub fn end(&self, key: BlockKey) -> Option<&End> {
        let BlockKey::Ended(number) = key else {
            return None;
        };
        self.distinct.get(number).map(|distinct| &distinct.end)
    }

    /// What the machines of a block wrote, if they have ended.
    pub fn output(&self, key: BlockKey) -> Option<&Captured> {
        let BlockKey::Ended(number) = key else {
            return None;
        };
        self.distinct.get(number).map(|distinct| &distinct.output)
    }

    /// The blocks: what needs somebody first.
    pub fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    /// How many rows there are: headings, and lines of what is unfolded.
    pub fn row_count(&self) -> usize {
        self.blocks.iter().map(|block| 1 + block.shown).sum()
    }

    /// The row at a place.
    pub fn row(&self, mut place: usize) -> Option<ResultRow> {
        for (index, block) in self.blocks.iter().enumerate() {
            match place {
                0 => return Some(ResultRow::Heading(index)),
                line if line <= block.shown => return Some(ResultRow::Line(index, line - 1)),
                _ => place -= 1 + block.shown,
            }
        }
        None
    }

    /// The place of the row where one reads.
    pub fn cursor(&self) -> usize {
        self.cursor.place
    }

    pub(crate) fn step(&mut self, step: Step) {
        self.refresh();
        let last = self.row_count().saturating_sub(1);
        let place = match step {
            Step::Rows(by) => self.cursor.place.saturating_add_signed(by).min(last),
            Step::First => 0,
            Step::Last => last,
        };
        self.cursor.is_moved = true;
        self.go(place);
    }

    fn go(&mut self, place: usize) {
        let (block, line) = match self.row(place) {
            Some(ResultRow::Heading(block)) => (block, 0),
            Some(ResultRow::Line(block, line)) => (block, line + 1),
            None => {
                (self.cursor.block, self.cursor.line, self.cursor.place) = (None, 0, 0);
                return;
            }
        };
        self.cursor.block = Some(self.blocks[block].key);
        (self.cursor.line, self.cursor.place) = (line, place);
    }

    /// The cursor to where its block is now. Until somebody moves it, it is at the top.
    fn follow(&mut self) {
        let mut before = 0;
        let wanted = self.cursor.block.filter(|_| self.cursor.is_moved);
        for block in &self.blocks {
            if wanted == Some(block.key) {
                let place = before + self.cursor.line.min(block.shown);
                return self.go(place);
            }
            before += 1 + block.shown;
        }
        let last = before.saturating_sub(1);
        self.go(if self.cursor.is_moved {
            self.cursor.place.min(last)
        } else {
            0
        });
    }

    /// Shows or hides the output of the block where one reads.
    pub(crate) fn expand(&mut self) {
        self.refresh();
        let Some(key) = self.cursor.block else {
            return;
        };
        if !self.expanded.remove(&key) {
            self.expanded.insert(key);
        }
        self.cursor.line = 0;
        self.cursor.is_moved = true;
        self.is_dirty = true;
        self.refresh();
    }

    /// Shows all output, or if all is shown, hides it.
    pub(crate) fn expand_all(&mut self) {
        self.refresh();
        let with_output = self.blocks.iter().filter(|block| block.has_output);
        let all: Vec<_> = with_output.map(|block| block.key).collect();
        if all.iter().all(|key| self.expanded.contains(key)) {
            self.expanded.clear();
        } else {
            self.expanded.extend(all);
        }
        self.is_dirty = true;
        self.refresh();
    }
}

impl Block {
    fn add(&mut self, name: &str, took: Duration) {
        if self.count < MAX_NAMES {
            let comma = if self.count == 0 { "" } else { ", " };
            let _ = write!(self.names, "{comma}{name}");
        } else if self.count == MAX_NAMES {
            self.names += ", …";
        }
        self.count += 1;
        self.took = self.took.max(took);
    }
}
