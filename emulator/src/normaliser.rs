//! Turns what programs write into what the grid understands, and keeps what the grid does not.
//!
//! The grid is only trusted with cells, the cursor and the scroll region. Everything else lives
//! here: attributes, modes, tab stops, character sets, saved cursors, insertion, titles.
//! Sequences the grid lacks are rewritten, those that break it never reach it.
//!
//! Invariants, on which snapshots rest:
//! * a wrap is pending only right after the last column was printed;
//! * the cursor, the scroll region and origin mode are shared by both screens, as in xterm;
//! * the alternate screen is blank when it is entered, so nothing hides in it.

mod csi;
mod looks;
mod osc;
mod private;
mod queries;
mod reset;

use std::fmt::Write as _;
use std::sync::Arc;

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use crate::charset::Charset;
use crate::emulator::{Options, Queries};
use crate::event::{Event, Events};
use crate::grid::Grid;
use crate::looks::Link;
use crate::modes::Modes;
use crate::pen::Pen;
use crate::ring::Ring;
use crate::tabs::Tabs;

/// How much normalised output is collected before the grid gets it.
const FLUSH: usize = 32 << 10;

/// What DECSC keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Saved {
    pub(crate) row: u16,
    pub(crate) col: u16,
    pub(crate) pen: Pen,
    pub(crate) charset: Charset,
    pub(crate) origin: bool,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Normaliser {
    pub(crate) grid: Grid,
    /// Normalised bytes the grid did not get yet.
    out: String,
    /// What the stream since the last [`Normaliser::begin`] may have cost, in cells touched.
    pub(crate) work: usize,
    /// The most that ever waited for the grid.
    #[cfg(test)]
    pub(crate) most_waiting: usize,
    /// The screen is full of E, and nothing was done since.
    is_aligned: bool,
    /// The attributes to write with.
    pub(crate) pen: Pen,
    /// The attributes the grid has, once it got `out`.
    grid_pen: Pen,
    /// The link that is open.
    pub(crate) link: Option<Arc<Link>>,
    pub(crate) modes: Modes,
    /// The first and the last row of the scroll region.
    pub(crate) region: (u16, u16),
    pub(crate) charset: Charset,
    pub(crate) tabs: Tabs,
    /// What was saved on the main and on the alternate screen.
    pub(crate) saved: [Saved; 2],
    /// Flags of the kitty keyboard protocol, of the main and of the alternate screen; the first
    /// of a stack is in force when nothing was pushed.
    pub(crate) kitty: [Vec<u8>; 2],
    /// The character just printed, as long as nothing but attributes and insert mode changed.
    pub(crate) printed: Option<char>,
    pub(crate) title: String,
    pub(crate) events: Events,
    pub(crate) replies: Vec<u8>,
    queries: Queries,
}

impl Normaliser {
    pub(crate) fn new(rows: u16, cols: u16, options: Options) -> Self {
        let ring = Ring::new(options.scrollback_lines, options.scrollback_bytes);
        Self {
            grid: Grid::new(rows, cols, ring),
            out: String::new(),
            work: 0,
            #[cfg(test)]
            most_waiting: 0,
            is_aligned: false,
            pen: Pen::default(),
            grid_pen: Pen::default(),
            link: None,
            modes: Modes::default(),
            region: (0, rows - 1),
            charset: Charset::default(),
            tabs: Tabs::default(),
            saved: [Saved::default(); 2],
            kitty: [vec![0], vec![0]],
            printed: None,
            title: String::new(),
            events: Events::default(),
            replies: Vec::new(),
            queries: options.queries,
        }
    }

    /// Gives the grid what it has not got yet.
    pub(crate) fn flush(&mut self) {
        if self.out.is_empty() {
            return;
        }
        #[cfg(test)]
        {
            self.most_waiting = self.most_waiting.max(self.out.len());
        }
        if !self.grid.process(self.out.as_bytes()) {
            self.grid_pen = Pen::default();
            self.region = (0, self.grid.rows() - 1);
        }
        self.out.clear();
        if self.out.capacity() > 2 * FLUSH {
            self.out = String::new();
        }
    }

    /// Something comes that costs about `cells`; what waits for the grid stays small.
    pub(crate) fn begin(&mut self, cells: usize) {
        self.work = self.work.saturating_add(cells);
        self.is_aligned = false;
        if self.out.len() > FLUSH {
            self.flush();
        }
    }

    /// How many cells `rows` rows have, of those that the screen has.
    fn cells(&self, rows: u16) -> usize {
        usize::from(rows.min(self.grid.rows())) * usize::from(self.grid.cols())
    }

    /// Whether text means what it says: nothing is translated, inserted or held at the margin.
    pub(crate) fn is_plain(&self) -> bool {
        self.modes.autowrap
            && !self.modes.insert
            && self.charset.is_ascii()
            && self.tabs.is_default()
            && self.link.is_none()
            && self.pen.is_base()
    }

    pub(crate) fn region_is_full(&self) -> bool {
        self.region == (0, self.grid.rows() - 1)
    }

    /// Text and controls without escapes.
    pub(crate) fn text(&mut self, text: &str) {
        self.begin(text.len());
        let rest = self.plain_text(text);
        for character in rest.chars() {
            self.character(character);
        }
    }

    /// Runs of printable ASCII and line breaks go through as they are. Gives what is left when a
    /// control in the text ends that.
    fn plain_text<'a>(&mut self, text: &'a str) -> &'a str {
        let mut rest = text;
        while !rest.is_empty() && self.is_plain() {
            let run = simple_run(rest.as_bytes());
            if run > 0 {
                self.sync_pen();
                self.out.push_str(&rest[..run]);
                let last = rest.as_bytes()[run - 1];
                self.printed = (last >= 0x20).then_some(last as char);
                rest = &rest[run..];
            }
            let mut characters = rest.chars();
            if let Some(character) = characters.next() {
                self.character(character);
            }
            rest = characters.as_str();
        }
        rest
    }

    fn character(&mut self, character: char) {
        self.grid.forget_expected();
        match character {
            '\0'..='\x1f' => self.control(character as u8),
            '\x7f'..='\u{9f}' => {}
            '\u{fe0f}' => self.widen(),
            // Ours: see `looks`.
            _ if looks::is_tag(character) => {}
            // The grid drops this one, which would shift everything after it.
            '\u{fffd}' => self.print('?'),
            _ => self.print(self.charset.translate(character)),
        }
    }

    pub(crate) fn print(&mut self, character: char) {
        let width = character.width().unwrap_or(0).min(2) as u16;
        if width == 0 {
            if !self.mark(character) {
                self.out.push(character);
            }
            self.printed = None;
            return;
        }
        if !self.modes.autowrap {
            let (_, col) = self.cursor();
            let cols = self.grid.cols();
            if col + width > cols {
                self.move_to_col(cols - width);
            }
        }
        self.sync_pen();
        if self.modes.insert {
            let _ = write!(self.out, "\x1b[{width}@");
        }
        self.out.push(character);
        self.tag();
        self.printed = Some(character);
    }

    /// U+FE0F makes an emoji of the character before it, and makes it wide. The grid panics
    /// later if that happens in the last column, and elsewhere only copes right after printing.
    fn widen(&mut self) {
        let Some(base) = self.printed.take() else {
            return;
        };
        let emoji = [base, '\u{fe0f}'].iter().collect::<String>();
        if base.width() != Some(1) || emoji.width() != 2 || self.modes.insert {
            return;
        }
        if self.cursor().1 < self.grid.cols() {
            self.sync_pen();
            if !self.mark('\u{fe0f}') {
                self.out.push('\u{fe0f}');
            }
        }
    }

    pub(crate) fn control(&mut self, byte: u8) {
        self.printed = None;
        match byte {
            0x07 => self.events.push(Event::Bell),
            0x08 => self.out.push('\x08'),
            b'\t' => self.tab(1),
            b'\n' | 0x0b | 0x0c => self.line_feed(),
            b'\r' => self.out.push('\r'),
            0x0e => self.charset.shifted = true,
            0x0f => self.charset.shifted = false,
            _ => {}
        }
    }

    fn line_feed(&mut self) {
        if !self.out.ends_with('\r') {
            self.settle();
        }
        self.out.push('\n');
    }

    pub(crate) fn tab(&mut self, count: u16) {
        if self.tabs.is_default() && count == 1 {
            self.out.push('\t');
            return;
        }
        let (cols, mut col) = (self.grid.cols(), self.cursor().1);
        for _ in 0..count.min(cols) {
            col = self.tabs.next(col.min(cols - 1), cols);
        }
        self.move_to_col(col);
    }

    /// The cursor, once the grid got everything; the column is `cols` while a wrap is pending.
    pub(crate) fn cursor(&mut self) -> (u16, u16) {
        self.flush();
        self.grid.cursor()
    }

    /// A pending wrap is over: the cursor stands on the last column. Comes before whatever could
    /// take the cursor, or the character it hangs on, away.
    pub(crate) fn settle(&mut self) {
        let cols = self.grid.cols();
        if self.cursor().1 >= cols {
            self.move_to_col(cols - 1);
        }
    }

    pub(crate) fn move_to_col(&mut self, col: u16) {
        let _ = write!(self.out, "\x1b[{}G", col + 1);
    }

    /// Moves to a place on the screen, whatever origin mode says.
    pub(crate) fn move_to(&mut self, row: u16, col: u16) {
        let _ = write!(self.out, "\x1b[{};{}H", row + 1, col + 1);
    }

    /// Moves as CUP does.
    pub(crate) fn go(&mut self, row: u16, col: u16) {
        let (top, bottom) = self.region;
        let row = if self.modes.origin {
            row.saturating_add(top).min(bottom)
        } else {
            row
        };
        self.move_to(row.min(self.grid.rows() - 1), col.min(self.grid.cols() - 1));
    }

    /// Sets the grid's scroll region, which moves the grid's cursor.
    pub(crate) fn write_region(&mut self) {
        let (top, bottom) = self.region;
        let _ = write!(self.out, "\x1b[{};{}r", top + 1, bottom + 1);
    }

    /// Comes before whatever the attributes matter for.
    pub(crate) fn sync_pen(&mut self) {
        let pen = self.pen.base();
        if pen != self.grid_pen {
            pen.write_change(self.grid_pen, &mut self.out);
            self.grid_pen = pen;
        }
    }

    /// The grid is a fresh one.
    pub(crate) fn restart_pen(&mut self) {
        self.pen = Pen::default();
        self.grid_pen = Pen::default();
    }

    fn screen_index(&self) -> usize {
        usize::from(self.modes.alternate_screen)
    }

    pub(crate) fn save_cursor(&mut self) {
        let (row, col) = self.cursor();
        self.saved[self.screen_index()] = Saved {
            row,
            col: col.min(self.grid.cols() - 1),
            pen: self.pen,
            charset: self.charset,
            origin: self.modes.origin,
        };
    }

    pub(crate) fn restore_cursor(&mut self) {
        let Saved {
            mut row,
            col,
            pen,
            charset,
            origin,
        } = self.saved[self.screen_index()];
        self.pen = pen;
        self.charset = charset;
        self.modes.origin = origin;
        if origin {
            row = row.clamp(self.region.0, self.region.1);
        }
        self.move_to(row, col);
    }

    pub(crate) fn show_alternate(&mut self) {
        if !self.modes.alternate_screen {
            self.switch_screen("\x1b[?1049h", true);
        }
    }

    pub(crate) fn show_main(&mut self) {
        if self.modes.alternate_screen {
            // Nothing of the alternate screen outlives it.
            self.saved[1] = Saved::default();
            self.kitty[1] = vec![0];
            self.switch_screen("\x1b[?47l", false);
        }
    }

    /// The grid has a cursor and a region per screen; what is shared is carried over.
    fn switch_screen(&mut self, sequence: &str, alternate: bool) {
        let (row, col) = self.cursor();
        self.out.push_str(sequence);
        self.modes.alternate_screen = alternate;
        self.write_region();
        self.move_to(row, col.min(self.grid.cols() - 1));
        self.modes.kitty_keyboard = *self.kitty[self.screen_index()].last().unwrap_or(&0);
    }
}

impl vte::Perform for Normaliser {
    // Text does not come this way: the lexer gives `vte` nothing but sequences.
    fn print(&mut self, character: char) {
        self.character(character);
    }

    fn execute(&mut self, byte: u8) {
        self.begin(1);
        self.control(byte);
    }

    fn csi_dispatch(&mut self, params: &vte::Params, marks: &[u8], ignore: bool, action: char) {
        self.grid.forget_expected();
        if !ignore || action == 'm' {
            self.begin(self.cost(params, action));
            self.csi(params, marks, action);
        }
    }

    fn esc_dispatch(&mut self, marks: &[u8], ignore: bool, byte: u8) {
        self.grid.forget_expected();
        if ignore {
            return;
        }
        self.printed = None;
        let is_aligned = self.is_aligned;
        self.begin(1);
        match (marks, byte) {
            ([], b'7') => self.save_cursor(),
            ([], b'8') => self.restore_cursor(),
            ([], b'=') => self.modes.application_keypad = true,
            ([], b'>') => self.modes.application_keypad = false,
            ([], b'D') => self.line_feed(),
            ([], b'E') => self.out.push_str("\r\n"),
            ([], b'M') => {
                self.settle();
                self.out.push_str("\x1bM");
            }
            ([], b'H') => {
                let (cols, (_, col)) = (self.grid.cols(), self.cursor());
                self.tabs.set(col.min(cols - 1), cols);
            }
            ([], b'c') => self.full_reset(),
            ([b'('], set) => self.charset.graphics[0] = set == b'0',
            ([b')'], set) => self.charset.graphics[1] = set == b'0',
            ([b'#'], b'8') if is_aligned => self.is_aligned = true,
            ([b'#'], b'8') => self.alignment_test(),
            _ => {}
        }
    }
}

impl Normaliser {
    /// Scrolls everything off the main screen, whose last row is blank and has the cursor, and
    /// leaves the cursor at the top.
    pub(crate) fn scroll_all_off(&mut self) {
        self.out
            .extend(std::iter::repeat_n('\n', usize::from(self.grid.rows() - 1)));
        self.move_to(0, 0);
        self.printed = None;
        self.flush();
    }
}

/// The length of the printable ASCII, tabs and `\r\n` that `bytes` start with.
fn simple_run(bytes: &[u8]) -> usize {
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            0x20..=0x7e | b'\t' => at += 1,
            b'\r' if bytes.get(at + 1) == Some(&b'\n') => at += 2,
            _ => break,
        }
    }
    at
}

#[cfg(test)]
mod tests;
