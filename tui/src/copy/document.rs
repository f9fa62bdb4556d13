//! What copy mode looks at: the screen at the moment it was entered, and the history above it.
//!
//! The history comes in pages, newest first, and only as far as somebody looks. Rows have an address that
//! stays when older ones come: 0 is the screen's first row, -1 the newest row of the history.

use std::collections::VecDeque;

use cmdop_emulator::Emulator;

use super::row::Row;

/// How many rows of history are kept at most; beyond, nothing older is asked for.
const MAX_ROWS: usize = 200_000;

/// How many bytes of history are kept at most.
const MAX_BYTES: usize = 128 << 20;

/// A place in the document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The row: negative in the history.
    pub row: i64,
    /// The column.
    pub col: u16,
}

impl Position {
    /// A place.
    pub const fn new(row: i64, col: u16) -> Self {
        Self { row, col }
    }
}

/// A logical line of the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Its absolute number.
    pub number: u64,
    /// Text with SGR sequences, from default attributes.
    pub text: String,
}

/// Some lines of the history, oldest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Of which history: line numbers of two epochs have nothing to do with each other.
    pub epoch: u64,
    /// The lines, without gaps.
    pub lines: Vec<Line>,
    /// The newest line goes on in the first row below it.
    pub continues: bool,
    /// There is nothing older.
    pub is_oldest: bool,
}

impl Page {
    /// All the scrollback that an emulator has, for where there is nothing else to ask.
    pub fn of_scrollback(emulator: &Emulator) -> Self {
        let lines = (0..emulator.scrollback_len()).filter_map(|index| {
            let text = emulator.scrollback_line(index)?.to_owned();
            let number = index as u64;
            Some(Line { number, text })
        });
        Self {
            epoch: 0,
            lines: lines.collect(),
            continues: emulator.scrollback_continues(),
            is_oldest: true,
        }
    }
}

/// What to ask for next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Older {
    /// Lines before this number; none: the newest ones that scrolled off.
    pub before: Option<u64>,
    /// Of this epoch, if one is known.
    pub epoch: Option<u64>,
}

/// What became of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joined {
    /// So many rows came.
    Rows(usize),
    /// It does not end where the document begins, and is not used.
    Gap,
    /// The history was cleared or laid out anew since: nothing older can come.
    OtherEpoch,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Document {
    history: VecDeque<Row>,
    screen: Vec<Row>,
    cols: u16,
    epoch: Option<u64>,
    /// The number of the oldest line that is here, or of the one after the newest of the history.
    oldest: Option<u64>,
    is_complete: bool,
    bytes: usize,
}

impl Document {
    /// The screen of `emulator`, and nothing of its history yet.
    pub fn of_screen(emulator: &Emulator) -> Self {
        let (rows, cols) = emulator.size();
        let screen = (0..rows).map(|row| Row::of_screen(emulator, row));
        Self::of_rows(screen.collect(), cols)
    }

    /// Rows that are on the screen; at least one.
    pub fn of_rows(mut screen: Vec<Row>, cols: u16) -> Self {
        if screen.is_empty() {
            screen.push(Row::default());
        }
        Self {
            history: VecDeque::new(),
            screen,
            cols: cols.max(2),
            epoch: None,
            oldest: None,
            is_complete: false,
            bytes: 0,
        }
    }

    /// The history is that of `epoch`, and the screen begins after line `next - 1`: where the first page
    /// has to end.
    pub fn begins_at(&mut self, epoch: u64, next: u64) {
        (self.epoch, self.oldest) = (Some(epoch), Some(next));
    }

    /// There is no history to come, as on the alternate screen.
    pub fn without_history(mut self) -> Self {
        self.is_complete = true;
        self
    }

    /// What to ask for to get what is above; none if all is here, or as much as is kept.
    pub fn older(&self) -> Option<Older> {
        let is_full = self.history.len() >= MAX_ROWS || self.bytes >= MAX_BYTES;
        let older = Older {
            before: self.oldest,
            epoch: self.epoch,
        };
        (!self.is_complete && !is_full).then_some(older)
    }

    /// Whether nothing older can come.
    pub fn is_complete(&self) -> bool {
        self.older().is_none()
    }

    /// Nothing older will come.
    pub fn complete(&mut self) {
        self.is_complete = true;
    }

    /// Puts older lines above.
    pub fn prepend(&mut self, page: &Page) -> Joined {
        if self.epoch.is_some_and(|epoch| epoch != page.epoch) {
            self.is_complete = true;
            return Joined::OtherEpoch;
        }
        let numbers = page.lines.iter().map(|line| line.number);
        let is_run = numbers
            .clone()
            .zip(numbers.skip(1))
            .all(|(a, b)| a.checked_add(1) == Some(b));
        let last = page.lines.last().map(|line| line.number);
        let joins = match (last, self.oldest) {
            (Some(last), Some(oldest)) => last.checked_add(1) == Some(oldest),
            _ => true,
        };
        if !is_run || !joins {
            return Joined::Gap;
        }
        self.epoch = Some(page.epoch);
        if let Some(first) = page.lines.first() {
            self.oldest = Some(first.number);
        }
        // An empty page that promises more would be asked for again and again.
        self.is_complete |= page.is_oldest || page.lines.is_empty();
        let before = self.history.len();
        let newest = page.lines.len().wrapping_sub(1);
        for (index, line) in page.lines.iter().enumerate().rev() {
            let rows = Row::of_line(&line.text, self.cols, page.continues && index == newest);
            for row in rows.into_iter().rev() {
                self.bytes += row.weight();
                self.history.push_front(row);
            }
        }
        Joined::Rows(self.history.len() - before)
    }

    /// The first row that is here.
    pub fn first(&self) -> i64 {
        -(self.history.len() as i64)
    }

    /// The last row.
    pub fn last(&self) -> i64 {
        self.screen.len() as i64 - 1
    }

    /// How many rows of history are here.
    pub fn history_len(&self) -> usize {
        self.history.len()
    }

    /// How many columns a row may have.
    pub fn cols(&self) -> u16 {
        self.cols
    }

    /// A row.
    pub fn row(&self, row: i64) -> Option<&Row> {
        match usize::try_from(row) {
            Ok(index) => self.screen.get(index),
            Err(_) => {
                let from_end = usize::try_from(row.unsigned_abs()).ok()?;
                self.history.get(self.history.len().checked_sub(from_end)?)
            }
        }
    }

    /// How many columns of a row have text; 0 for a row that is not there.
    pub fn width(&self, row: i64) -> u16 {
        self.row(row).map_or(0, Row::width)
    }

    /// The first and the last row of the line that a row belongs to.
    pub fn line(&self, row: i64) -> (i64, i64) {
        let goes_on = |row| self.row(row).is_some_and(Row::is_wrapped);
        let (mut first, mut last) = (row, row);
        while goes_on(first - 1) {
            first -= 1;
        }
        while last < self.last() && goes_on(last) {
            last += 1;
        }
        (first, last)
    }

    /// The place of the glyph after this one, and whether a line ends between them. From behind a row's
    /// text it is the next row's first; an empty row is a place of its own.
    pub fn after(&self, at: Position) -> Option<(Position, Gap)> {
        let row = self.row(at.row)?;
        if let Some(glyph) = row.glyph(at.col) {
            let next = glyph.col + glyph.width;
            if next < row.width() {
                return Some((Position::new(at.row, next), Gap::None));
            }
        }
        let gap = if row.is_wrapped() {
            Gap::None
        } else {
            Gap::Line
        };
        (at.row < self.last()).then(|| (Position::new(at.row + 1, 0), gap))
    }

    /// The place of the glyph before this one.
    pub fn before(&self, at: Position) -> Option<(Position, Gap)> {
        let row = self.row(at.row)?;
        let start = row.glyph(at.col).map_or(row.width(), |glyph| glyph.col);
        if start > 0 {
            let col = row.glyph(start - 1).map_or(0, |glyph| glyph.col);
            return Some((Position::new(at.row, col), Gap::None));
        }
        let above = self.row(at.row - 1)?;
        let col = above.last().map_or(0, |glyph| glyph.col);
        let gap = if above.is_wrapped() {
            Gap::None
        } else {
            Gap::Line
        };
        Some((Position::new(at.row - 1, col), gap))
    }
}

/// What is between two glyphs that follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gap {
    /// Nothing.
    None,
    /// The end of a line.
    Line,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(numbers: std::ops::Range<u64>, is_oldest: bool) -> Page {
        let line = |number| Line {
            number,
            text: format!("line {number}"),
        };
        Page {
            epoch: 7,
            lines: numbers.map(line).collect(),
            continues: false,
            is_oldest,
        }
    }

    fn document() -> Document {
        Document::of_rows(vec![Row::plain("screen"), Row::plain("")], 20)
    }

    #[test]
    fn older_lines_come_above_and_addresses_stay() {
        let mut document = document();
        assert_eq!(
            document.older(),
            Some(Older {
                before: None,
                epoch: None
            })
        );
        assert_eq!(document.prepend(&page(90..100, false)), Joined::Rows(10));
        assert_eq!(document.row(-1).unwrap().text(), "line 99");
        assert_eq!(
            document.older(),
            Some(Older {
                before: Some(90),
                epoch: Some(7)
            })
        );
        assert_eq!(document.prepend(&page(88..90, true)), Joined::Rows(2));
        assert_eq!(document.row(-1).unwrap().text(), "line 99");
        assert_eq!(document.row(-12).unwrap().text(), "line 88");
        assert_eq!(document.row(0).unwrap().text(), "screen");
        assert_eq!((document.first(), document.last()), (-12, 1));
        assert!(document.is_complete());
        assert!(document.row(-13).is_none() && document.row(2).is_none());
        assert!(document.row(i64::MIN).is_none() && document.row(i64::MAX).is_none());
    }

    #[test]
    fn a_page_that_does_not_join_is_not_used() {
        let mut document = document();
        document.begins_at(7, 100);
        assert_eq!(document.prepend(&page(80..90, false)), Joined::Gap);
        let mut broken = page(90..100, false);
        broken.lines[3].number = 5;
        assert_eq!(document.prepend(&broken), Joined::Gap);
        let other = Page {
            epoch: 8,
            ..page(90..100, false)
        };
        assert_eq!(document.prepend(&other), Joined::OtherEpoch);
        assert_eq!(document.history_len(), 0);
        assert!(document.is_complete());
    }

    #[test]
    fn an_empty_page_ends_the_asking() {
        let mut document = document();
        assert_eq!(document.prepend(&page(0..0, false)), Joined::Rows(0));
        assert_eq!(document.older(), None);
    }

    #[test]
    fn the_scrollback_of_a_pane_is_a_page() {
        let mut emulator = Emulator::new(2, 5, cmdop_emulator::Options::default());
        emulator.feed(b"one\r\ntwo\r\nabcdefghijkl");
        let mut document = Document::of_screen(&emulator);
        document.prepend(&Page::of_scrollback(&emulator));
        let rows: Vec<_> = (document.first()..=document.last())
            .map(|row| document.row(row).unwrap().text())
            .collect();
        assert_eq!(rows, ["one", "two", "abcde", "fghij", "kl"]);
        assert_eq!(document.line(1), (-1, 1));
        assert!(document.is_complete());
    }

    #[test]
    fn a_line_that_goes_on_below_is_one_line() {
        let mut document = Document::of_rows(vec![Row::plain("on"), Row::plain("x")], 4);
        let mut long = page(0..2, true);
        long.lines[1].text = "abcdefgh".into();
        long.continues = true;
        document.prepend(&long);
        assert_eq!(document.line(-1), (-2, 0));
        assert_eq!(document.line(1), (1, 1));
    }

    #[test]
    fn every_glyph_has_one_before_and_one_after() {
        let mut document =
            Document::of_rows(vec![Row::plain("a你"), Row::plain(""), Row::plain("z")], 9);
        document.complete();
        let (mut at, mut seen) = (Position::new(0, 0), vec![Position::new(0, 0)]);
        while let Some((next, _)) = document.after(at) {
            at = next;
            seen.push(at);
        }
        assert_eq!(
            seen,
            [(0, 0), (0, 1), (1, 0), (2, 0)].map(|(row, col)| Position::new(row, col))
        );
        let mut back = vec![at];
        while let Some((before, _)) = document.before(at) {
            at = before;
            back.push(at);
        }
        seen.reverse();
        assert_eq!(back, seen);
    }
}
