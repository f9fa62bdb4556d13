//! What is on the screen, for whoever draws it.

use crate::emulator::Emulator;
use crate::looks::Link;
use crate::modes::{CursorShape, Modes};
use crate::pen::{Color, Underline};

/// One cell of the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is an attribute of its own"
)]
pub struct Cell<'a> {
    /// What is written there: one character and its combining marks. Empty for a blank cell and
    /// for the right half of a wide character. May end in U+200D, which a renderer must strip.
    pub text: &'a str,
    /// Columns the text takes: 2 for a wide character, 0 for its right half, else 1.
    pub width: u8,
    /// The text's colour, before `inverse`.
    pub fg: Color,
    /// The background's colour, before `inverse`.
    pub bg: Color,
    /// Bold; never together with `dim`.
    pub bold: bool,
    /// Faint; never together with `bold`.
    pub dim: bool,
    /// Italic.
    pub italic: bool,
    /// Underlined, in the style of `underline_style`.
    pub underline: bool,
    /// Foreground and background are swapped.
    pub inverse: bool,
    /// Struck out.
    pub strike: bool,
    /// How the underline looks, if there is one.
    pub underline_style: Underline,
    /// The underline's colour; the default is the text's.
    pub underline_color: Color,
    /// Where it leads.
    pub link: Option<&'a Link>,
}

/// Where the cursor is and how it looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The row, from 0.
    pub row: u16,
    /// The column, from 0, always on the screen.
    pub col: u16,
    /// Whether it is shown.
    pub visible: bool,
    /// How it looks.
    pub shape: CursorShape,
    /// The last column was just written: the next character goes to the next row.
    pub pending_wrap: bool,
}

impl Emulator {
    /// The cell at `row` and `col` (from 0) of the screen that is shown.
    pub fn cell(&self, row: u16, col: u16) -> Option<Cell<'_>> {
        let cell = self.normaliser.grid.screen().cell(row, col)?;
        let width = match (cell.is_wide(), cell.is_wide_continuation()) {
            (true, _) => 2,
            (false, true) => 0,
            (false, false) => 1,
        };
        let (text, pen, link) = self.normaliser.grid.looks().of(cell);
        Some(Cell {
            link,
            ..pen.cell(text, width)
        })
    }

    /// Whether `row` goes on in the next one: a copy must not put a line break between them.
    pub fn row_wrapped(&self, row: u16) -> bool {
        self.normaliser.grid.screen().row_wrapped(row)
    }

    /// The cursor.
    pub fn cursor(&self) -> Cursor {
        let grid = &self.normaliser.grid;
        let (row, col) = grid.screen().cursor_position();
        let modes = &self.normaliser.modes;
        Cursor {
            row,
            col: col.min(grid.cols() - 1),
            visible: modes.cursor_visible,
            shape: modes.cursor_shape,
            pending_wrap: col >= grid.cols(),
        }
    }

    /// The modes in force.
    pub fn modes(&self) -> Modes {
        self.normaliser.modes
    }

    /// The window's title, stripped of controls, at most 1 KiB; empty if none was set.
    pub fn title(&self) -> &str {
        &self.normaliser.title
    }
}
