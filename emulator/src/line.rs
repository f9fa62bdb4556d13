//! One logical line as text with SGR sequences: how the scrollback keeps it.
//!
//! The form is canonical: a line printed on a screen and read back is the same string, and the
//! fast path, which never sees a screen, writes it too.

use crate::looks::Looks;
use crate::pen::{Pen, read_sgr};

/// A line being written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Line {
    text: String,
    /// The attributes the text so far ends in.
    pen: Pen,
    /// Blank cells since then that nothing was printed in.
    gap: usize,
}

impl Line {
    /// A line that starts with `text`, which ends in the attributes its sequences say.
    pub(crate) fn resume(text: &str) -> Self {
        let mut pen = Pen::default();
        for (start, _) in text.match_indices('\x1b') {
            let _ = read_sgr(&text.as_bytes()[start..], &mut pen);
        }
        Self {
            text: text.to_owned(),
            pen,
            gap: 0,
        }
    }

    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self {
            text: String::with_capacity(bytes),
            ..Self::default()
        }
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// How many blank cells nothing was printed in are at the end.
    pub(crate) fn gap(&self) -> usize {
        self.gap
    }

    pub(crate) fn into_text(self) -> Box<str> {
        self.text.into_boxed_str()
    }

    /// Appends what is printed in one cell or many.
    pub(crate) fn print(&mut self, pen: Pen, text: &str) {
        if self.gap > 0 {
            self.fill_gap();
        }
        if pen != self.pen {
            let pen = pen.visible();
            pen.write_change(self.pen, &mut self.text);
            self.pen = pen;
        }
        self.text.push_str(text);
    }

    /// Leaves `cells` blank; they are not written unless something follows.
    pub(crate) fn skip(&mut self, cells: usize) {
        self.gap += cells;
    }

    /// What follows starts a row of its own on the screen: blanks before it count.
    pub(crate) fn end_row(&mut self, wrapped: bool) {
        if wrapped && self.gap > 0 {
            self.fill_gap();
        }
        self.gap = 0;
    }

    fn fill_gap(&mut self) {
        if self.pen.shows_on_blanks() {
            Pen::default().write_change(self.pen, &mut self.text);
            self.pen = Pen::default();
        }
        self.text.extend(std::iter::repeat_n(' ', self.gap));
        self.gap = 0;
    }

    /// Appends a row of the screen, cell by cell.
    pub(crate) fn row(&mut self, screen: &vt100::Screen, looks: &Looks, row: u16) {
        let (_, cols) = screen.size();
        self.cells(screen, looks, row, 0..cols.get());
        self.end_row(screen.row_wrapped(row));
    }

    /// Appends some cells of a row.
    pub(crate) fn cells(
        &mut self,
        screen: &vt100::Screen,
        looks: &Looks,
        row: u16,
        cols: std::ops::Range<u16>,
    ) {
        for col in cols {
            let Some(cell) = screen.cell(row, col) else {
                break;
            };
            let (text, pen, _) = looks.of(cell);
            if cell.has_contents() {
                self.print(pen, text);
            } else if cell.is_wide_continuation() {
                // Belongs to the cell before it.
            } else if pen == Pen::default() {
                self.skip(1);
            } else {
                self.print(pen, " ");
            }
        }
    }
}

/// Reads a row in the form in which the grid gives up rows that scroll off, and appends it to a
/// line.
///
/// That form does not tell a cell nothing was printed in from an erased cell with attributes,
/// and would paint the former in the attributes of the text before it. What gives them away is
/// the order of the calls: attributes are only changed right before a cell that has them.
pub(crate) struct RowReader<'a> {
    line: &'a mut Line,
    looks: &'a Looks,
    pen: Pen,
    /// Blanks whose meaning the next call tells.
    blanks: usize,
    /// Whether the last thing written was a change of attributes, so that blanks have them.
    erased: bool,
    /// Whether the line is known to end in `pen`, without blanks to be written first.
    even: bool,
    sequence: String,
}

impl<'a> RowReader<'a> {
    pub(crate) fn new(line: &'a mut Line, looks: &'a Looks) -> Self {
        Self {
            line,
            looks,
            pen: Pen::default(),
            blanks: 0,
            erased: false,
            even: false,
            sequence: String::new(),
        }
    }

    /// Blanks at the end were erased with attributes: default ones are not written at all.
    pub(crate) fn finish(mut self) {
        self.erased = true;
        self.end_blanks();
    }

    fn end_blanks(&mut self) {
        let blanks = std::mem::take(&mut self.blanks);
        if blanks == 0 {
            return;
        }
        if self.erased && self.pen != Pen::default() {
            for _ in 0..blanks {
                self.line.print(self.pen, " ");
            }
        } else {
            self.line.skip(blanks);
        }
        self.erased = false;
    }

    fn continue_sequence(&mut self, text: &str) {
        self.sequence.push_str(text);
        if self.sequence.ends_with('m') {
            let _ = read_sgr(self.sequence.as_bytes(), &mut self.pen);
            self.sequence.clear();
            self.erased = true;
        }
    }
}

impl std::fmt::Write for RowReader<'_> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        // Nearly always: one more cell like the one before it.
        let is_tagged = !self.looks.is_empty() && self.looks.read(text).1.is_some();
        if self.even && self.blanks == 0 && !text.starts_with('\x1b') && !is_tagged {
            self.line.text.push_str(text);
            return Ok(());
        }
        if !self.sequence.is_empty() || text.starts_with('\x1b') {
            self.end_blanks();
            self.even = false;
            self.continue_sequence(text);
        } else {
            self.end_blanks();
            self.erased = false;
            let (text, look) = self.looks.read(text);
            let pen = look.map_or(self.pen, |look| self.pen.with(look.extra));
            self.line.print(pen, text);
            self.even = !is_tagged;
        }
        Ok(())
    }

    fn write_char(&mut self, character: char) -> std::fmt::Result {
        if !self.sequence.is_empty() {
            self.continue_sequence(character.encode_utf8(&mut [0; 4]));
        } else if character == ' ' {
            self.blanks += 1;
        } else {
            self.write_str(character.encode_utf8(&mut [0; 4]))?;
        }
        Ok(())
    }
}
