//! The emulator as its users see it: feed bytes, take replies and events, look at the screen.

use crate::event::Event;
use crate::lexer::Lexer;
use crate::normaliser::Normaliser;
use crate::{COLS, ROWS, fast, scan};

/// How much text is looked at between two looks at the work that was done.
const TEXT: usize = 4 << 10;

/// What an [`Emulator`] may use and whether it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// How many logical lines of scrollback are kept at most; a wrapped line counts once.
    pub scrollback_lines: usize,
    /// How many bytes these lines may take at most, colours and bookkeeping included.
    pub scrollback_bytes: usize,
    /// Whether queries of the program are answered.
    pub queries: Queries,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            scrollback_lines: 10_000,
            scrollback_bytes: 8 << 20,
            queries: Queries::Ignore,
        }
    }
}

/// Whether an [`Emulator`] answers what a program asks its terminal (DA, DSR, DECRQM, …).
///
/// Several emulators and terminals may show one session; exactly one party answers: the agent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Queries {
    /// Answers are collected for [`Emulator::take_replies`].
    Answer,
    /// Queries have no effect.
    #[default]
    Ignore,
}

/// A terminal's screen, driven by bytes.
///
/// An idle one of 24 × 80 takes about 70 KiB; each row of history about its own text.
#[derive(Debug)]
pub struct Emulator {
    pub(crate) options: Options,
    pub(crate) lexer: Lexer,
    pub(crate) normaliser: Normaliser,
}

impl Emulator {
    /// A blank screen of `rows` × `cols`, clamped to [`ROWS`] and [`COLS`].
    pub fn new(rows: u16, cols: u16, options: Options) -> Self {
        let (rows, cols) = clamp(rows, cols);
        Self {
            options,
            lexer: Lexer::default(),
            normaliser: Normaliser::new(rows, cols, options),
        }
    }

    /// Forgets everything but the size and the options: blank screen, no scrollback, no title,
    /// nothing waiting. This is the state that a [`crate::Snapshot`] is to be fed to.
    pub fn reset(&mut self) {
        let (rows, cols) = self.size();
        *self = Self::new(rows, cols, self.options);
    }

    /// `(rows, cols)`.
    pub fn size(&self) -> (u16, u16) {
        (self.normaliser.grid.rows(), self.normaliser.grid.cols())
    }

    /// Takes what the program wrote. Where the caller cuts the stream makes no difference, but
    /// large chunks (64 KiB and more) are what the fast path needs.
    ///
    /// Never panics and uses memory bounded by the [`Options`] and the size of the screen.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.feed_within(bytes, usize::MAX);
    }

    /// The same, but stops soon after about `cells` cells were touched, and tells how many bytes were
    /// taken: at least one, if there is one. A few bytes may ask for a whole screen of work, so this
    /// is for who must not be busy with one stream for long.
    #[must_use = "the rest of the bytes is still to be fed"]
    pub fn feed_some(&mut self, bytes: &[u8], cells: usize) -> usize {
        self.feed_within(bytes, cells.max(1))
    }

    fn feed_within(&mut self, bytes: &[u8], work: usize) -> usize {
        self.normaliser.work = 0;
        let mut at = 0;
        // Before this offset the fast path is not tried (again).
        let mut try_from = 0;
        while at < bytes.len() && self.normaliser.work < work {
            let rest = &bytes[at..];
            let mut length = rest.len();
            if length >= fast::WORTH_TRYING {
                if at >= try_from && self.lexer.is_at_ground() {
                    match fast::skip(&mut self.normaliser, rest) {
                        fast::Skip::Not { retry } => try_from = at + retry,
                        fast::Skip::Skipped { lines, retry } => {
                            try_from = at + retry;
                            at += lines;
                            self.normaliser.work += lines;
                            continue;
                        }
                    }
                }
                // The long way, until it is worth trying again.
                length = match try_from.checked_sub(at) {
                    None | Some(0) => scan::find(b'\n', rest).map_or(length, |place| place + 1),
                    Some(ahead) => ahead.min(length),
                };
            }
            // Every byte of text may be a line feed, which costs a row.
            let length = if work < usize::MAX {
                length.min(TEXT)
            } else {
                length
            };
            let piece = &rest[..length];
            at += self.lexer.feed_within(piece, work, &mut self.normaliser);
        }
        self.normaliser.flush();
        at
    }

    /// What the program is to read in answer to its queries, in order. Empty unless the options
    /// say [`Queries::Answer`]. At most 4 KiB wait; further answers are dropped until they are
    /// taken, so that a flood of queries costs nothing.
    pub fn take_replies(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.normaliser.replies)
    }

    /// What happened since the last call, oldest first; at most 256 events wait.
    pub fn take_events(&mut self) -> Vec<Event> {
        self.normaliser
            .grid
            .take_rebuilt(&mut self.normaliser.events);
        self.normaliser.events.take()
    }

    /// Changes the size, clamped to [`ROWS`] and [`COLS`].
    ///
    /// The main screen is laid out anew from its logical lines, so that narrow and back loses
    /// nothing; the alternate screen is cut or grows, its program repaints it. The scroll region
    /// becomes the whole screen, as in xterm.
    pub fn resize(&mut self, rows: u16, cols: u16) {
        let (rows, cols) = clamp(rows, cols);
        if (rows, cols) != self.size() {
            self.normaliser.resize(rows, cols);
        }
    }

    /// Whether the stream stands between two characters or sequences, not inside one.
    pub fn is_at_ground(&self) -> bool {
        self.lexer.is_at_ground()
    }

    /// How often the grid had to be rebuilt after a panic since this emulator was made.
    pub fn rebuilds(&self) -> u64 {
        self.normaliser.grid.rebuilds()
    }

    /// How many logical lines of scrollback there are.
    pub fn scrollback_len(&self) -> usize {
        self.normaliser.grid.ring().len()
    }

    /// A line of the scrollback, 0 is the oldest: text with SGR sequences and no other control.
    /// It starts from default attributes, does not reset them at its end, and is not cut to the
    /// width of the screen.
    pub fn scrollback_line(&self, index: usize) -> Option<&str> {
        self.normaliser.grid.ring().line(index)
    }

    /// Whether the newest line of the scrollback goes on in the first row of the main screen.
    pub fn scrollback_continues(&self) -> bool {
        self.normaliser.grid.ring().is_open()
    }
}

fn clamp(rows: u16, cols: u16) -> (u16, u16) {
    (
        rows.clamp(*ROWS.start(), *ROWS.end()),
        cols.clamp(*COLS.start(), *COLS.end()),
    )
}
