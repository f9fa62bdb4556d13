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

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::charset::Charset;
use crate::detail::{self, Detail};
use crate::emulator::{Emulator, Options};
use crate::lexer::Lexer;
use crate::looks::{self, Link};
use crate::modes::Modes;
use crate::normaliser::{Normaliser, Saved};
use crate::pen::Pen;

/// Leaves the alternate screen and undoes what a program may have left behind, without the hard
/// reset that would cost a real terminal its scrollback; then clears the screen.
const RESET: &str = concat!(
    "\x1b[?1049l\x1b[!p\x1b[?7h\x1b[?6l\x1b[4l\x1b[r\x1b(B\x1b)B\x0f",
    "\x1b[?1l\x1b>\x1b[?2004l\x1b[?9l\x1b[?1000l\x1b[?1002l\x1b[?1003l",
    "\x1b[?1005l\x1b[?1006l\x1b[?1015l\x1b[?1016l\x1b[?1004l\x1b[?2026l\x1b[0 q",
    "\x1b[m\x1b]8;;\x1b\\\x1b[H\x1b[2J",
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
        self.snapshot_within(scrollback_lines, usize::MAX)
    }

    /// The same in at most `max_bytes` (which must be 64 KiB or more). What does not fit gives way in
    /// this order: the oldest history; a long unfinished OSC, whose rest is then ignored; true
    /// colours; all colours and attributes; the main screen behind an alternate one; and the lower
    /// part of the text.
    pub fn snapshot_within(&self, scrollback_lines: usize, max_bytes: usize) -> Snapshot {
        let normaliser = &self.normaliser;
        let (tail, short) = (self.lexer.tail(), self.lexer.short_tail());
        let drawings = Drawings::of(normaliser);
        let mut frame = Frame::new(normaliser, &drawings, Detail::Full, tail);
        for (detail, tail) in [
            (Detail::Full, short),
            (Detail::Palette, short),
            (Detail::Plain, short),
        ] {
            if frame.len() <= max_bytes {
                break;
            }
            frame = Frame::new(normaliser, &drawings, detail, tail);
        }
        if frame.len() > max_bytes {
            let plain = Detail::Plain.of(&drawings.shown);
            let mut less = Drawings::default();
            let room = Frame::new(normaliser, &less, Detail::Full, short).len();
            detail::beginning(&plain, max_bytes.saturating_sub(room)).clone_into(&mut less.shown);
            frame = Frame::new(normaliser, &less, Detail::Full, short);
        }
        let history = frame.history(normaliser, scrollback_lines, max_bytes);
        Snapshot {
            bytes: [
                frame.head.as_bytes(),
                history.as_bytes(),
                frame.body.as_bytes(),
                frame.tail,
            ]
            .concat(),
        }
    }
}

/// What the two screens look like, as the grid draws them.
#[derive(Default)]
struct Drawings {
    /// The main screen, if it is hidden by the alternate one.
    hidden: String,
    shown: String,
}

impl Drawings {
    fn of(normaliser: &Normaliser) -> Self {
        let grid = &normaliser.grid;
        let hidden = normaliser
            .modes
            .alternate_screen
            .then(|| grid.main_screen().contents_formatted());
        let expand = |drawing: String| match grid.looks().expand(&drawing) {
            Cow::Owned(expanded) => expanded,
            Cow::Borrowed(_) => drawing,
        };
        Self {
            hidden: expand(hidden.unwrap_or_default()),
            shown: expand(grid.screen().contents_formatted()),
        }
    }
}

/// A snapshot without its history, which belongs between head and body.
struct Frame<'a> {
    head: String,
    body: String,
    tail: &'a [u8],
}

impl<'a> Frame<'a> {
    fn new(normaliser: &Normaliser, drawings: &Drawings, detail: Detail, tail: &'a [u8]) -> Self {
        let mut writer = Writer {
            normaliser,
            out: String::from(RESET),
        };
        writer.title();
        writer.tabs();
        let head = std::mem::take(&mut writer.out);
        writer.screens(drawings, detail);
        writer.modes();
        writer.cursor();
        Self {
            head,
            body: writer.out,
            tail,
        }
    }

    fn len(&self) -> usize {
        self.head.len() + self.body.len() + self.tail.len()
    }

    /// As many of the newest `lines` lines of history as there is room for.
    fn history(&self, normaliser: &Normaliser, lines: usize, max_bytes: usize) -> String {
        let ring = normaliser.grid.ring();
        // Each line is followed by a reset and a line break; the last by as many as scroll it off.
        let end = 16 + usize::from(normaliser.grid.rows());
        let mut room = max_bytes.saturating_sub(self.len() + end);
        let fitting = (0..ring.len()).rev().take(lines).take_while(|index| {
            let needed = ring.line(*index).map_or(0, str::len) + 5;
            let fits = needed <= room;
            room = room.saturating_sub(needed);
            fits
        });
        let mut writer = Writer {
            normaliser,
            out: String::new(),
        };
        writer.history(fitting.count());
        writer.out
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

    fn screens(&mut self, drawings: &Drawings, detail: Detail) {
        let is_alternate = self.normaliser.modes.alternate_screen;
        if is_alternate {
            self.screen(&detail.of(&drawings.hidden), 0);
            self.out.push_str("\x1b[?47h");
        }
        self.screen(&detail.of(&drawings.shown), usize::from(is_alternate));
    }

    /// One screen, and what is kept per screen. The grid's drawing starts by clearing it.
    fn screen(&mut self, drawing: &str, index: usize) {
        self.out.push_str(drawing);
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
            self.link();
            self.place(self.normaliser.link.as_deref())
        } else {
            let pen = self.place(None);
            self.normaliser.charset.write(&mut self.out);
            self.out.push_str(visible);
            self.link();
            pen
        };
        self.normaliser.pen.write_change(pen, &mut self.out);
        if self.normaliser.modes.insert {
            self.out.push_str("\x1b[4h");
        }
    }

    fn link(&mut self) {
        if self.normaliser.link.is_some() {
            looks::write_link(self.normaliser.link.as_deref(), &mut self.out);
        }
    }

    /// Puts the cursor in its place; gives the attributes that are then in force.
    fn place(&mut self, open: Option<&Link>) -> Pen {
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
        let (text, pen, link) = grid.looks().of(cell);
        pen.write_change(Pen::default(), &mut self.out);
        if link != open {
            looks::write_link(link, &mut self.out);
        }
        self.out
            .push_str(if cell.has_contents() { text } else { " " });
        if link != open {
            looks::write_link(open, &mut self.out);
        }
        pen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a keyframe may take.
    const MAX: usize = 900 << 10;

    fn fed(rows: u16, cols: u16, bytes: &[u8]) -> Emulator {
        let mut emulator = Emulator::new(rows, cols, Options::default());
        emulator.feed(bytes);
        emulator
    }

    /// A screen full of cells, each in colours of its own, from lines that have scrolled off too.
    fn colourful(rows: u16, cols: u16, text: &str) -> Vec<u8> {
        let mut bytes = String::new();
        for cell in 0..u32::from(rows) * u32::from(cols) * 5 / 4 {
            let (a, b) = (cell * 83 % 251, cell * 89 % 241);
            let _ = write!(bytes, "\x1b[1;3;38;2;{a};{b};7;48;2;{b};9;{a}m{text}");
        }
        bytes.into_bytes()
    }

    #[test]
    fn colours_give_way_to_the_limit_before_text_does() {
        for (rows, cols, has_colours) in [(60, 200, true), (120, 250, true), (300, 500, false)] {
            let whole = fed(rows, cols, &colourful(rows, cols, "x"));
            assert!(whole.snapshot(2000).bytes.len() > MAX || rows < 100);
            let bytes = whole.snapshot_within(2000, MAX).bytes;
            assert!(bytes.len() <= MAX, "{} for {rows}x{cols}", bytes.len());
            let copy = fed(rows, cols, &bytes);
            assert_eq!(copy.text(0), whole.text(0));
            assert_eq!(copy.cursor(), whole.cursor());
            assert_eq!(copy.modes(), whole.modes());
            assert_eq!(
                copy.cell(9, 9).unwrap().bg != crate::Color::Default,
                has_colours
            );
        }
    }

    #[test]
    fn the_largest_screens_of_all_fit_with_what_is_hidden_behind_them() {
        let text = colourful(1000, 2000, "e\u{301}\u{302}\u{303}");
        let mut whole = fed(1000, 2000, &text);
        whole.feed(b"\x1b[?1049h");
        whole.feed(&text);
        let bytes = whole.snapshot_within(2000, MAX).bytes;
        assert!(bytes.len() <= MAX, "{}", bytes.len());
        let copy = fed(1000, 2000, &bytes);
        assert_eq!(
            copy.cell(0, 0).unwrap().text,
            whole.cell(0, 0).unwrap().text
        );
        assert_eq!(copy.cursor(), whole.cursor());
        assert!(copy.modes().alternate_screen);
    }

    #[test]
    fn history_gives_way_before_the_screen_and_fills_what_is_left() {
        let mut bytes = colourful(60, 200, "x");
        for _ in 0..9000 {
            bytes.extend(b"\r\n");
            bytes.extend([b'y'; 190]);
        }
        let whole = fed(60, 200, &bytes);
        let limited = whole.snapshot_within(usize::MAX, MAX).bytes;
        assert!(limited.len() <= MAX && limited.len() > MAX - 400);
        assert_eq!(fed(60, 200, &limited).difference(&whole, 100), None);
    }

    #[test]
    fn the_rest_of_a_long_unfinished_string_is_ignored_when_it_does_not_fit() {
        let clipboard = [b"ab\x1b]52;c;", &[b'Q'; 1000 << 10][..]].concat();
        let whole = fed(24, 80, &clipboard);
        assert!(whole.snapshot(0).bytes.len() > MAX);
        let bytes = whole.snapshot_within(0, MAX).bytes;
        assert!(bytes.len() <= MAX);
        for end in ["\x07", "\x1b\\", "\x18"] {
            let mut copy = fed(24, 80, &bytes);
            copy.take_events();
            copy.feed(format!("QQQ;QQ{end}ok").as_bytes());
            assert_eq!(copy.text(0), "abok\n");
            assert_eq!(copy.take_events(), []);
        }
    }
}
