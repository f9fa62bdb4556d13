//! A terminal's whole state as bytes that bring it back.
//!
//! The bytes are made of sequences that any xterm-like terminal understands, so that they serve
//! a fresh [`Emulator`] and, after a resume or an attach, a person's real terminal alike. They
//! start with a soft reset: nothing of a real terminal's scrollback, palette or title is lost
//! to it.
//!
//! The order matters: history, main screen, what is saved there, alternate screen, modes, and
//! last what the slightest further byte would change: cursor, pending wrap, attributes, and the
//! unfinished sequence.

use std::fmt::Write as _;

use crate::charset::Charset;
use crate::emulator::{Emulator, Options};
use crate::lexer::Lexer;
use crate::modes::Modes;
use crate::normaliser::{Normaliser, Saved};
use crate::pen::Pen;

/// Leaves the alternate screen and undoes what a program may have left behind, without the hard
/// reset that would cost a real terminal its scrollback; then clears the screen.
const RESET: &str = concat!(
    "\x1b[?1049l\x1b[!p\x1b[?7h\x1b[?6l\x1b[4l\x1b[r\x1b(B\x1b)B\x0f",
    "\x1b[?1l\x1b>\x1b[?2004l\x1b[?9l\x1b[?1000l\x1b[?1002l\x1b[?1003l",
    "\x1b[?1005l\x1b[?1006l\x1b[?1015l\x1b[?1016l\x1b[?1004l\x1b[?2026l\x1b[0 q",
    "\x1b[m\x1b[H\x1b[2J",
);

/// Everything about an [`Emulator`], at one byte of its stream. See [`Emulator::snapshot`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// What to feed to a fresh emulator, or to write to a terminal, of the same size.
    pub bytes: Vec<u8>,
}

impl Emulator {
    /// Bytes that give a fresh emulator of the same size (see [`Emulator::reset`]) the same
    /// state: both screens, cursor, modes, attributes, tab stops, title, the newest
    /// `scrollback_lines` lines of history, and the beginning of a sequence or character that
    /// the stream is in the middle of. What is fed after them continues the stream.
    ///
    /// Not included: waiting events and replies. Feeding a snapshot may cause a title event.
    pub fn snapshot(&self, scrollback_lines: usize) -> Snapshot {
        let normaliser = &self.normaliser;
        let mut writer = Writer {
            normaliser,
            out: String::from(RESET),
        };
        writer.title();
        writer.tabs();
        writer.history(scrollback_lines);
        writer.screens();
        writer.modes();
        writer.cursor();
        let mut bytes = writer.out.into_bytes();
        bytes.extend_from_slice(self.lexer.tail());
        Snapshot { bytes }
    }
}

struct Writer<'a> {
    normaliser: &'a Normaliser,
    out: String,
}

impl Writer<'_> {
    fn title(&mut self) {
        if !self.normaliser.title.is_empty() {
            let _ = write!(self.out, "\x1b]2;{}\x07", self.normaliser.title);
        }
    }

    fn tabs(&mut self) {
        let Some(stops) = self.normaliser.tabs.own() else {
            return;
        };
        self.out.push_str("\x1b[3g");
        for stop in stops {
            let _ = write!(self.out, "\x1b[{}G\x1bH", stop + 1);
        }
        self.out.push_str("\x1b[H");
    }

    /// Prints the lines and scrolls them off.
    fn history(&mut self, lines: usize) {
        let grid = &self.normaliser.grid;
        let (rows, cols) = (grid.rows(), grid.cols());
        let count = lines.min(grid.ring().len());
        if count == 0 {
            return;
        }
        // More lines than rows always end on the last row; fewer have to be tried.
        let mut trial = Normaliser::new(rows, cols, Options::default());
        let try_from = count.saturating_sub(usize::from(rows));
        for (index, line) in grid.ring().newest(count).enumerate() {
            let start = self.out.len();
            self.out.push_str(line);
            if line.contains('\x1b') {
                self.out.push_str("\x1b[m");
            }
            if index + 1 == count && grid.ring().is_open() {
                // The line goes on: printing in the next row is what makes the last one wrap.
                self.out.push('-');
            } else {
                self.out.push_str("\r\n");
            }
            if index >= try_from {
                Lexer::default().feed(&self.out.as_bytes()[start..], &mut trial);
            }
        }
        let (row, _) = trial.cursor();
        let _ = write!(self.out, "\x1b[{rows};1H");
        self.out.extend(std::iter::repeat_n('\n', usize::from(row)));
    }

    fn screens(&mut self) {
        let normaliser = self.normaliser;
        if normaliser.modes.alternate_screen {
            self.screen(&normaliser.grid.main_screen(), 0);
            self.out.push_str("\x1b[?47h");
        }
        let index = usize::from(normaliser.modes.alternate_screen);
        self.screen(normaliser.grid.screen(), index);
    }

    /// One screen, and what is kept per screen. The grid's drawing starts by clearing it.
    fn screen(&mut self, screen: &vt100::Screen, index: usize) {
        self.out.push_str(&screen.contents_formatted());
        self.out.push_str("\x1b[m");
        self.saved(self.normaliser.saved[index]);
        let kitty = &self.normaliser.kitty[index];
        if kitty[0] != 0 {
            let _ = write!(self.out, "\x1b[={};1u", kitty[0]);
        }
        for flags in &kitty[1..] {
            let _ = write!(self.out, "\x1b[>{flags}u");
        }
    }

    fn saved(&mut self, saved: Saved) {
        if saved == Saved::default() {
            return;
        }
        saved.charset.write(&mut self.out);
        saved.pen.write_change(Pen::default(), &mut self.out);
        if saved.origin {
            self.out.push_str("\x1b[?6h");
        }
        let _ = write!(self.out, "\x1b[{};{}H\x1b7", saved.row + 1, saved.col + 1);
        if saved.charset != Charset::default() {
            self.out.push_str("\x1b(B\x1b)B\x0f");
        }
        self.out.push_str("\x1b[?6l\x1b[m");
    }

    /// Modes that the cursor's place does not depend on, or that it is to be set in.
    fn modes(&mut self) {
        let modes = self.normaliser.modes;
        let standard = Modes::default();
        for (on, sequence) in [
            (modes.application_cursor, "\x1b[?1h"),
            (modes.application_keypad, "\x1b="),
            (modes.bracketed_paste, "\x1b[?2004h"),
            (modes.alternate_scroll, "\x1b[?1007h"),
            (modes.focus_events, "\x1b[?1004h"),
            (!modes.autowrap, "\x1b[?7l"),
            (modes.synchronized, "\x1b[?2026h"),
        ] {
            if on {
                self.out.push_str(sequence);
            }
        }
        for mode in [modes.mouse.number(), modes.mouse_encoding.number()]
            .into_iter()
            .flatten()
        {
            let _ = write!(self.out, "\x1b[?{mode}h");
        }
        if modes.cursor_shape != standard.cursor_shape {
            let _ = write!(self.out, "\x1b[{} q", modes.cursor_shape.number());
        }
        if modes.modify_other_keys != 0 {
            let _ = write!(self.out, "\x1b[>4;{}m", modes.modify_other_keys);
        }
        if !self.normaliser.region_is_full() {
            let (top, bottom) = self.normaliser.region;
            let _ = write!(self.out, "\x1b[{};{}r", top + 1, bottom + 1);
        }
        if modes.origin {
            self.out.push_str("\x1b[?6h");
        }
    }

    /// The cursor, and all that hangs on nothing being done after it.
    ///
    /// A pending wrap, and a character that may yet be repeated or widened, only come from
    /// printing: the cell before the cursor is printed again. It was printed in the character
    /// set in force only if it still counts as just printed, and any mode ends that.
    fn cursor(&mut self) {
        let visible = if self.normaliser.modes.cursor_visible {
            "\x1b[?25h"
        } else {
            "\x1b[?25l"
        };
        let pen = if self.normaliser.printed.is_some() {
            self.normaliser.charset.write(&mut self.out);
            self.out.push_str(visible);
            self.place()
        } else {
            let pen = self.place();
            self.normaliser.charset.write(&mut self.out);
            self.out.push_str(visible);
            pen
        };
        self.normaliser.pen.write_change(pen, &mut self.out);
        if self.normaliser.modes.insert {
            self.out.push_str("\x1b[4h");
        }
    }

    /// Puts the cursor in its place; gives the attributes that are then in force.
    fn place(&mut self) -> Pen {
        let grid = &self.normaliser.grid;
        let (row, col) = grid.cursor();
        let top = if self.normaliser.modes.origin {
            self.normaliser.region.0
        } else {
            0
        };
        let line = row - top.min(row) + 1;
        if col < grid.cols() && self.normaliser.printed.is_none() || col == 0 {
            let _ = write!(self.out, "\x1b[{line};{}H", col + 1);
            return Pen::default();
        }
        let screen = grid.screen();
        let mut start = col - 1;
        if screen
            .cell(row, start)
            .is_some_and(vt100::Cell::is_wide_continuation)
        {
            start = start.saturating_sub(1);
        }
        let _ = write!(self.out, "\x1b[{line};{}H", start + 1);
        let Some(cell) = screen.cell(row, start) else {
            return Pen::default();
        };
        let pen = Pen::of(cell);
        pen.write_change(Pen::default(), &mut self.out);
        self.out.push_str(if cell.has_contents() {
            cell.contents()
        } else {
            " "
        });
        pen
    }
}
