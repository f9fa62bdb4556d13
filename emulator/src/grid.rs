//! The grid of cells: `vt100`, guarded.
//!
//! The only file that drives `vt100`. It keeps no scrollback there (that costs 70 times the
//! memory of ours and half the speed), and contains its panics. The normaliser knows every
//! sequence known to break it; this is the last resort.

use std::cell::Cell;
use std::collections::VecDeque;
use std::num::NonZeroU16;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::event::{Event, Events};
use crate::line::RowReader;
use crate::looks::Looks;
use crate::ring::Ring;

thread_local! {
    static CONTAINED: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is inside the emulator's grid, where a panic is caught and harmless.
///
/// For panic hooks: one that restores the terminal, reports or aborts must return at once when
/// this is true.
pub fn is_contained() -> bool {
    CONTAINED.get()
}

/// Runs `work`; a panic in it becomes `None`.
pub(crate) fn contain<T>(work: impl FnOnce() -> T) -> Option<T> {
    let outer = CONTAINED.replace(true);
    let result = catch_unwind(AssertUnwindSafe(work)).ok();
    CONTAINED.set(outer);
    result
}

/// Catches the rows that leave the main screen at its top.
struct Scrollback {
    ring: Ring,
    /// What the tags in cells mean.
    looks: Looks,
    /// How many rows ever left it.
    rows: u64,
    /// What the topmost rows hold, where that is known: one whole line each.
    known: VecDeque<Box<str>>,
}

impl vt100::Callbacks for Scrollback {
    fn on_scroll(&mut self, contents: vt100::capture::RowContents<'_>, alternate_screen: bool) {
        if alternate_screen {
            return;
        }
        self.rows += 1;
        if let Some(line) = self.known.pop_front() {
            self.ring.push(line);
            return;
        }
        let looks = &self.looks;
        self.ring.scrolled(|line| {
            let mut state = vt100::capture::BasicFormattedCaptureState::new();
            let mut reader = RowReader::new(line, looks);
            let _ = contents.write_formatted_basic(&mut reader, &mut state);
            reader.finish();
            // Whether the row is wrapped is only told by what comes before the next row.
            let mut next = StartsWithNewline(false);
            let _ = contents.write_formatted_basic(&mut next, &mut state);
            !next.0
        });
    }
}

/// Sees whether the first thing written is a line break, and stops there.
struct StartsWithNewline(bool);

impl std::fmt::Write for StartsWithNewline {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.0 = text.starts_with('\n');
        Err(std::fmt::Error)
    }
}

/// See the module.
pub(crate) struct Grid {
    parser: vt100::Parser<Scrollback>,
    rebuilds: u64,
    /// Rebuilds that no event told yet.
    untold: u64,
    /// How many bytes it was ever fed.
    #[cfg(test)]
    pub(crate) taken: u64,
}

impl std::fmt::Debug for Grid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Grid")
            .field("rows", &self.rows())
            .field("cols", &self.cols())
            .field("ring", self.ring())
            .finish_non_exhaustive()
    }
}

impl Grid {
    pub(crate) fn new(rows: u16, cols: u16, ring: Ring) -> Self {
        Self {
            parser: parser(rows, cols, ring),
            rebuilds: 0,
            untold: 0,
            #[cfg(test)]
            taken: 0,
        }
    }

    pub(crate) fn rows(&self) -> u16 {
        self.screen().size().0.get()
    }

    pub(crate) fn cols(&self) -> u16 {
        self.screen().size().1.get()
    }

    pub(crate) fn screen(&self) -> &vt100::Screen {
        self.parser.screen()
    }

    /// `(row, col)`; the column is `cols` while a wrap is pending.
    pub(crate) fn cursor(&self) -> (u16, u16) {
        self.screen().cursor_position()
    }

    pub(crate) fn ring(&self) -> &Ring {
        &self.parser.callbacks().ring
    }

    pub(crate) fn ring_mut(&mut self) -> &mut Ring {
        &mut self.parser.callbacks_mut().ring
    }

    pub(crate) fn looks(&self) -> &Looks {
        &self.parser.callbacks().looks
    }

    pub(crate) fn looks_mut(&mut self) -> &mut Looks {
        &mut self.parser.callbacks_mut().looks
    }

    /// Finds out which tags are still on a screen.
    pub(crate) fn sweep_looks(&mut self) {
        let hidden = self.screen().alternate_screen().then(|| self.main_screen());
        let mut looks = std::mem::take(self.looks_mut());
        looks.sweep(hidden.iter().chain([self.screen()]));
        *self.looks_mut() = looks;
    }

    /// How many rows ever scrolled off the main screen.
    pub(crate) fn scrolled(&self) -> u64 {
        self.parser.callbacks().rows
    }

    /// Tells what the lines to be written next, from the top of the blank screen, will look like
    /// when they scroll off: reading rows cell by cell is what a flood would spend its time on.
    pub(crate) fn expect(&mut self, lines: VecDeque<Box<str>>) {
        self.parser.callbacks_mut().known = lines;
    }

    /// Something else than further lines at the bottom is about to be written.
    pub(crate) fn forget_expected(&mut self) {
        let known = &mut self.parser.callbacks_mut().known;
        if !known.is_empty() {
            *known = VecDeque::new();
        }
    }

    pub(crate) fn rebuilds(&self) -> u64 {
        self.rebuilds
    }

    pub(crate) fn take_rebuilt(&mut self, events: &mut Events) {
        if std::mem::take(&mut self.untold) > 0 {
            events.push(Event::Rebuilt);
        }
    }

    /// Feeds normalised bytes; false if the grid broke and was rebuilt, with default attributes
    /// and the whole screen as its scroll region.
    pub(crate) fn process(&mut self, bytes: &[u8]) -> bool {
        #[cfg(test)]
        {
            self.taken += bytes.len() as u64;
        }
        let healthy = contain(|| self.parser.process(bytes)).is_some();
        if !healthy {
            self.rebuild();
        }
        healthy
    }

    /// A blank grid of another size that keeps the scrollback.
    pub(crate) fn replace(&mut self, rows: u16, cols: u16) {
        let ring = std::mem::replace(self.ring_mut(), Ring::new(0, 0));
        let looks = std::mem::take(self.looks_mut());
        let scrolled = self.scrolled();
        self.parser = parser(rows, cols, ring);
        self.parser.callbacks_mut().rows = scrolled;
        *self.looks_mut() = looks;
    }

    /// A second grid that shows the main screen, which the alternate one hides.
    pub(crate) fn main_screen(&self) -> vt100::Screen {
        let (rows, cols) = self.screen().size();
        let mut copy = vt100::Parser::new(rows, cols, 0);
        *copy.screen_mut() = self.screen().clone();
        copy.process(b"\x1b[?47l");
        copy.screen().clone()
    }

    /// What can be read of the broken grid is drawn on a fresh one, without the character that
    /// is known to break it.
    fn rebuild(&mut self) {
        self.rebuilds += 1;
        self.untold += 1;
        let alternate = self.screen().alternate_screen();
        let drawing = |screen: &vt100::Screen| {
            contain(|| screen.contents_formatted().replace('\u{fe0f}', ""))
        };
        let main = contain(|| self.main_screen()).and_then(|screen| drawing(&screen));
        let shown = drawing(self.screen());
        self.replace(self.rows(), self.cols());
        let (rows, cols) = (self.rows(), self.cols());
        for bytes in [
            main.unwrap_or_default().as_bytes(),
            if alternate { b"\x1b[?47h" } else { b"" },
            if alternate {
                shown.as_deref().unwrap_or_default().as_bytes()
            } else {
                b""
            },
            b"\x1b[m",
        ] {
            if contain(|| self.parser.process(bytes)).is_none() {
                self.replace(rows, cols);
            }
        }
    }
}

fn parser(rows: u16, cols: u16, ring: Ring) -> vt100::Parser<Scrollback> {
    let size = |cells: u16| NonZeroU16::new(cells).unwrap_or(NonZeroU16::MIN);
    let scrollback = Scrollback {
        ring,
        looks: Looks::default(),
        rows: 0,
        known: VecDeque::new(),
    };
    vt100::Parser::new_with_callbacks(size(rows), size(cols), 0, scrollback)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_of_the_grid_costs_no_more_than_what_was_being_drawn() {
        let mut grid = Grid::new(24, 80, Ring::new(10, 1000));
        grid.process(b"\x1b[9;1Hstill here\x1b[24;80H");
        // Known to break vt100 0.18.1, and kept from it by the normaliser.
        assert!(!grid.process("❤\u{fe0f}\x1b[23;80HX".as_bytes()));
        assert_eq!(grid.rebuilds(), 1);
        assert!(grid.screen().contents().contains("still here"));
        assert!(grid.process(b"\x1b[Hon it goes"));
        assert!(grid.screen().contents().starts_with("on it goes"));
        assert!(!is_contained());
    }
}
