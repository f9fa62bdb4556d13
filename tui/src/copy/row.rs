//! One row of what is looked back at: text by columns, with its styles.
//!
//! Rows are many (a long history) and nearly all are plain text, so a row keeps its text in one piece, and
//! the place of each glyph only where a column is not a byte. What could hide or reorder its neighbours is
//! gone before it gets here.

use cmdop_emulator::{Cell, Emulator};
use cmdop_proto::text::is_hidden;
use ratatui::style::Style;

use crate::pane::style_of;
use crate::theme::Depth;

/// One row. Columns count from 0; what is behind its last glyph is blank.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    text: Box<str>,
    /// Where each glyph starts, and one more for the end; none if each byte is a glyph of one column.
    places: Box<[Place]>,
    /// Styles, each up to a column that is no longer part of it.
    runs: Box<[(u16, Style)]>,
    wrapped: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    byte: u32,
    col: u16,
}

/// What is in one cell, or in the two of a wide character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Glyph<'a> {
    /// Its first column.
    pub col: u16,
    /// How many columns it takes: 1 or 2.
    pub width: u16,
    /// One character and its marks; a blank is a space.
    pub text: &'a str,
}

impl Row {
    /// A row of the emulator's screen.
    pub fn of_screen(emulator: &Emulator, row: u16) -> Self {
        let mut builder = Builder::default();
        let (_, cols) = emulator.size();
        for cell in (0..cols).filter_map(|col| emulator.cell(row, col)) {
            builder.push(cell);
        }
        builder.finish(emulator.row_wrapped(row))
    }

    /// The rows that a line of history takes on a screen of `cols` columns: at least one. `continues` says
    /// that the line goes on in the row after them.
    pub fn of_line(line: &str, cols: u16, continues: bool) -> Vec<Self> {
        let mut rows = Vec::new();
        let mut builder = Builder::default();
        for cell in cmdop_emulator::line_cells(line) {
            if builder.col + u16::from(cell.width) > cols.max(2) {
                rows.push(std::mem::take(&mut builder).finish(true));
            }
            builder.push(cell);
        }
        rows.push(builder.finish(continues));
        rows
    }

    /// Plain text, for tests.
    #[cfg(test)]
    pub fn plain(text: &str) -> Self {
        Self::of_line(text, u16::MAX, false).remove(0)
    }

    /// Whether the next row goes on with it: a copy has no line break between them.
    pub fn is_wrapped(&self) -> bool {
        self.wrapped
    }

    /// What it says.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// How many columns its text takes.
    pub fn width(&self) -> u16 {
        match self.places.last() {
            Some(end) => end.col,
            None => self.text.len() as u16,
        }
    }

    /// Its glyphs from left to right.
    pub fn glyphs(&self) -> impl DoubleEndedIterator<Item = Glyph<'_>> {
        (0..self.count()).map(|index| self.nth(index))
    }

    /// The glyph that covers a column.
    pub fn glyph(&self, col: u16) -> Option<Glyph<'_>> {
        (col < self.width()).then(|| self.nth(self.index(col)))
    }

    /// The last glyph.
    pub fn last(&self) -> Option<Glyph<'_>> {
        self.count().checked_sub(1).map(|index| self.nth(index))
    }

    /// The byte at which the glyph of a column starts; the text's length behind the last one.
    pub fn byte(&self, col: u16) -> usize {
        if col >= self.width() {
            return self.text.len();
        }
        let index = self.index(col);
        self.places
            .get(index)
            .map_or(index, |place| place.byte as usize)
    }

    /// The column of the glyph that a byte belongs to; the row's width behind the last one.
    pub fn column(&self, byte: usize) -> u16 {
        if byte >= self.text.len() {
            return self.width();
        }
        if self.places.is_empty() {
            return byte as u16;
        }
        let after = self
            .places
            .partition_point(|place| place.byte as usize <= byte);
        self.places[after.saturating_sub(1)].col
    }

    /// The style of a column.
    pub fn style(&self, col: u16) -> Style {
        let at = self.runs.partition_point(|(end, _)| *end <= col);
        self.runs.get(at).map_or(Style::new(), |(_, style)| *style)
    }

    /// About how many bytes it takes.
    pub fn weight(&self) -> usize {
        size_of::<Self>() + self.text.len() + size_of_val(&*self.places) + size_of_val(&*self.runs)
    }

    fn count(&self) -> usize {
        match self.places.len() {
            0 => self.text.len(),
            places => places - 1,
        }
    }

    fn index(&self, col: u16) -> usize {
        if self.places.is_empty() {
            return usize::from(col);
        }
        self.places.partition_point(|place| place.col <= col) - 1
    }

    fn nth(&self, index: usize) -> Glyph<'_> {
        if self.places.is_empty() {
            return Glyph {
                col: index as u16,
                width: 1,
                text: &self.text[index..=index],
            };
        }
        let (here, next) = (self.places[index], self.places[index + 1]);
        Glyph {
            col: here.col,
            width: next.col - here.col,
            text: &self.text[here.byte as usize..next.byte as usize],
        }
    }
}

/// A row while its cells come.
#[derive(Default)]
struct Builder {
    text: String,
    places: Vec<Place>,
    runs: Vec<(u16, Style)>,
    col: u16,
    /// Up to here something was printed, or has a style.
    used: usize,
    /// Up to here something was printed that is no blank, or has a style.
    seen: usize,
}

impl Builder {
    fn push(&mut self, cell: Cell<'_>) {
        if cell.width == 0 {
            return;
        }
        self.places.push(Place {
            byte: self.text.len() as u32,
            col: self.col,
        });
        let start = self.text.len();
        self.text
            .extend(cell.text.chars().filter(|c| !is_hidden(*c)));
        if self.text.len() == start {
            self.text.push(' ');
        }
        self.col = self.col.saturating_add(u16::from(cell.width));
        let style = style_of(cell, Depth::True);
        match self.runs.last_mut() {
            Some((end, last)) if *last == style => *end = self.col,
            _ => self.runs.push((self.col, style)),
        }
        let is_styled = style != plain();
        if is_styled || !cell.text.is_empty() {
            self.used = self.places.len();
        }
        if is_styled || &self.text[start..] != " " {
            self.seen = self.places.len();
        }
    }

    /// Blanks at the end are no text, but those of a row that goes on in the next one, if they were printed.
    fn finish(mut self, wrapped: bool) -> Row {
        let kept = if wrapped { self.used } else { self.seen };
        let end = self.places.get(kept).copied().unwrap_or(Place {
            byte: self.text.len() as u32,
            col: self.col,
        });
        self.places.truncate(kept);
        self.text.truncate(end.byte as usize);
        let is_plain = |(at, place): (usize, &Place)| {
            place.byte as usize == at && usize::from(place.col) == at
        };
        let ends_plain = is_plain((kept, &end));
        if ends_plain && self.places.iter().enumerate().all(is_plain) {
            self.places.clear();
        } else {
            self.places.push(end);
        }
        let runs = self.runs.partition_point(|(until, _)| *until < end.col);
        self.runs.truncate(runs + 1);
        if self.runs.iter().all(|(_, style)| *style == plain()) {
            self.runs.clear();
        }
        Row {
            text: self.text.into_boxed_str(),
            places: self.places.into_boxed_slice(),
            runs: self.runs.into_boxed_slice(),
            wrapped,
        }
    }
}

/// The style of a cell that nothing was asked for.
fn plain() -> Style {
    Style::new()
        .fg(ratatui::style::Color::Reset)
        .bg(ratatui::style::Color::Reset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_and_bytes_are_told_apart() {
        let row = Row::plain("a你e\u{301}z");
        assert_eq!(row.width(), 5);
        let glyphs: Vec<_> = row.glyphs().map(|g| (g.col, g.width, g.text)).collect();
        assert_eq!(
            glyphs,
            [(0, 1, "a"), (1, 2, "你"), (3, 1, "e\u{301}"), (4, 1, "z")]
        );
        assert_eq!(row.glyph(2).unwrap().text, "你");
        assert_eq!((row.byte(2), row.byte(3), row.byte(9)), (1, 4, 8));
        assert_eq!((row.column(2), row.column(4), row.column(99)), (1, 3, 5));
        let plain = Row::plain("abc");
        assert_eq!((plain.byte(1), plain.column(2), plain.width()), (1, 2, 3));
        assert!(plain.places.is_empty() && plain.runs.is_empty());
    }

    #[test]
    fn a_line_is_wrapped_as_the_screen_would() {
        let rows = Row::of_line("abc你de", 4, false);
        let texts: Vec<_> = rows
            .iter()
            .map(|row| (row.text(), row.is_wrapped()))
            .collect();
        assert_eq!(texts, [("abc", true), ("你de", false)]);
        assert_eq!(Row::of_line("", 4, false).len(), 1);
        assert!(Row::of_line("ab", 4, true)[0].is_wrapped());
    }

    #[test]
    fn a_row_of_the_screen_is_trimmed_and_keeps_its_colours() {
        let mut emulator = Emulator::new(2, 10, cmdop_emulator::Options::default());
        emulator.feed(b"\x1b[31mred\x1b[m  \x1b[44m \x1b[m   ");
        let row = Row::of_screen(&emulator, 0);
        assert_eq!(row.text(), "red   ");
        assert_eq!(row.style(0).fg, Some(ratatui::style::Color::Indexed(1)));
        assert_eq!(row.style(5).bg, Some(ratatui::style::Color::Indexed(4)));
        assert_eq!(Row::of_screen(&emulator, 1).width(), 0);
    }

    #[test]
    fn what_hides_its_neighbours_is_gone() {
        assert_eq!(Row::plain("a\u{202e}b\u{200d}").text(), "ab");
    }
}
