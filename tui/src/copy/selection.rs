//! What is selected: from where it began to the cursor, as columns of rows and as text.

use std::ops::Range;

use super::document::{Document, Position};
use super::keys::Keys;
use super::motion::Words;

/// What a selection grows by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// Characters.
    Character,
    /// Whole words.
    Word,
    /// Whole lines, wrapped rows with them.
    Line,
}

/// How rows between its ends are selected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// As text: to the end of the row.
    Text,
    /// The columns between its ends.
    Rectangle,
}

impl Shape {
    /// The other one.
    pub(super) fn toggled(self) -> Self {
        match self {
            Self::Text => Self::Rectangle,
            Self::Rectangle => Self::Text,
        }
    }
}

/// A selection that ends at the cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Selection {
    /// Where it began.
    pub(super) anchor: Position,
    /// What it grows by.
    pub(super) unit: Unit,
}

/// A part of a document: text from `start` to before `end`, or the columns between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    start: Position,
    end: Position,
    shape: Shape,
}

impl Selection {
    /// What is selected while the cursor is at `cursor`.
    pub(super) fn part(
        self,
        document: &Document,
        cursor: Position,
        shape: Shape,
        keys: Keys,
    ) -> Part {
        let (mut first, mut last) = (self.anchor.min(cursor), self.anchor.max(cursor));
        match self.unit {
            Unit::Character if shape == Shape::Rectangle => {
                return self.rectangle(document, cursor, keys);
            }
            Unit::Character => {}
            Unit::Word => {
                first = Words::Separated.around(document, first).0;
                last = Words::Separated.around(document, last).1;
            }
            Unit::Line => {
                first = Position::new(document.line(first.row).0, 0);
                let row = document.line(last.row).1;
                last = Position::new(row, document.width(row));
            }
        }
        // Emacs' cursor is between two characters, and so is the end of its selection.
        let is_between = self.unit == Unit::Character && keys == Keys::Emacs;
        Part {
            start: first,
            end: if is_between {
                last
            } else {
                behind(document, last)
            },
            shape: Shape::Text,
        }
    }

    fn rectangle(self, document: &Document, cursor: Position, keys: Keys) -> Part {
        let (left, right) = if self.anchor.col <= cursor.col {
            (self.anchor, cursor)
        } else {
            (cursor, self.anchor)
        };
        let right = match keys {
            Keys::Vi => behind(document, right).col.max(right.col.saturating_add(1)),
            Keys::Emacs => right.col,
        };
        Part {
            start: Position::new(self.anchor.row.min(cursor.row), left.col),
            end: Position::new(self.anchor.row.max(cursor.row), right),
            shape: Shape::Rectangle,
        }
    }
}

/// The column behind the glyph of a place.
fn behind(document: &Document, at: Position) -> Position {
    let glyph = document.row(at.row).and_then(|row| row.glyph(at.col));
    Position::new(
        at.row,
        glyph.map_or(at.col, |glyph| glyph.col + glyph.width),
    )
}

impl Part {
    /// Text from `start` to before `end`.
    pub(super) fn text_between(start: Position, end: Position) -> Self {
        Self {
            start,
            end,
            shape: Shape::Text,
        }
    }

    /// The selected columns of a row.
    pub(super) fn columns(&self, document: &Document, row: i64) -> Range<u16> {
        if row < self.start.row || row > self.end.row {
            return 0..0;
        }
        if self.shape == Shape::Rectangle {
            return self.start.col..self.end.col;
        }
        let start = if row == self.start.row {
            self.start.col
        } else {
            0
        };
        // A row without text has to show that it is selected.
        let end = if row == self.end.row {
            self.end.col
        } else {
            document.width(row).max(1)
        };
        start..end.max(start)
    }

    /// The text: wrapped rows are one line, blanks at the ends of lines are left out, a wide character is
    /// in it whole or not at all.
    pub(super) fn text(&self, document: &Document) -> String {
        let mut out = String::new();
        let last = self.end.row.min(document.last());
        let first = self.start.row.max(document.first());
        for at in first..=last {
            let Some(row) = document.row(at) else {
                break;
            };
            let columns = self.columns(document, at);
            let mut bytes = row.byte(columns.start)..row.byte(columns.end);
            // A column may be the right half of a wide character.
            if let Some(glyph) = row
                .glyph(columns.end)
                .filter(|glyph| glyph.col < columns.end)
            {
                bytes.end += glyph.text.len();
            }
            out.push_str(row.text().get(bytes).unwrap_or_default());
            let goes_on = self.shape == Shape::Text && row.is_wrapped() && at < last;
            if !goes_on {
                out.truncate(out.trim_end_matches(' ').len());
            }
            if !goes_on && at < last {
                out.push('\n');
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::copy::row::Row;

    fn document() -> Document {
        let mut rows = vec![
            Row::plain("fn 你好() {  "),
            Row::plain(""),
            Row::plain("  x"),
        ];
        rows.extend(Row::of_line("a line that goes on", 10, false));
        Document::of_rows(rows, 10).without_history()
    }

    fn copied(from: (i64, u16), to: (i64, u16), unit: Unit, shape: Shape, keys: Keys) -> String {
        let selection = Selection {
            anchor: Position::new(from.0, from.1),
            unit,
        };
        let document = document();
        let part = selection.part(&document, Position::new(to.0, to.1), shape, keys);
        part.text(&document)
    }

    #[test]
    fn the_cursor_is_on_a_character_in_vi_and_before_it_in_emacs() {
        for (from, to) in [((0, 3), (0, 5)), ((0, 5), (0, 3))] {
            let with = |keys| copied(from, to, Unit::Character, Shape::Text, keys);
            assert_eq!(with(Keys::Vi), "你好");
            assert_eq!(with(Keys::Emacs), "你");
        }
    }

    #[test]
    fn blanks_at_the_end_are_left_out_and_wrapped_rows_are_joined() {
        let copied = |from, to| copied(from, to, Unit::Character, Shape::Text, Keys::Vi);
        assert_eq!(copied((0, 0), (2, 2)), "fn 你好() {\n\n  x");
        assert_eq!(copied((3, 0), (4, 99)), "a line that goes on");
        assert_eq!(copied((3, 2), (4, 2)), "line that g");
    }

    #[test]
    fn lines_and_words_are_whole() {
        let copied = |from, to, unit| copied(from, to, unit, Shape::Text, Keys::Emacs);
        assert_eq!(copied((4, 3), (4, 3), Unit::Line), "a line that goes on");
        assert_eq!(copied((3, 3), (3, 3), Unit::Word), "line");
        assert_eq!(copied((3, 9), (3, 3), Unit::Word), "line that");
    }

    #[test]
    fn a_rectangle_has_exactly_its_columns() {
        let copied = |from, to| copied(from, to, Unit::Character, Shape::Rectangle, Keys::Vi);
        assert_eq!(copied((2, 2), (4, 4)), "x\nlin\ngoe");
        assert_eq!(copied((4, 4), (2, 2)), "x\nlin\ngoe");
        // Both halves of a wide character, or none.
        assert_eq!(copied((0, 2), (2, 3)), " 你\n\nx");
    }
}
