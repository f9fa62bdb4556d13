//! A session that is larger than the terminal: the part of it around its cursor, drawn from an emulator.
//!
//! The terminal then gets our frames and not the session's bytes. Modes that shape keys and pastes are
//! passed on, since keys still go to the program as they are; mouse reports are not: their places would
//! be wrong.

use std::fmt::Write as _;
use std::io;
use std::time::Duration;

use cmdop_emulator::{Emulator, Event, Modes, Options};
use cmdop_proto::Size;
use ratatui::backend::CrosstermBackend;
use ratatui::layout::Rect;
use ratatui::{Terminal, TerminalOptions, Viewport as Area};
use tokio::time::Instant;

use super::screen;
use crate::frame::{BEGIN, END, FrameWriter};
use crate::pane::Screen;

/// The least time between two frames: what a screen shows of a flood is a sample of it anyway.
const FRAME: Duration = Duration::from_millis(33);

/// Nothing but the screen is shown.
const SCROLLBACK_LINES: usize = 1;

/// Whether a session of this size fits a terminal of that.
pub(super) fn fits(session: Size, terminal: Size) -> bool {
    session.rows() <= terminal.rows() && session.cols() <= terminal.cols()
}

/// See the module.
pub(super) struct Viewport {
    emulator: Emulator,
    terminal: Terminal<CrosstermBackend<FrameWriter>>,
    writer: FrameWriter,
    /// As the terminal has them.
    modes: Modes,
    title: String,
    /// When the next frame is drawn; `None`: nothing changed.
    draw_at: Option<Instant>,
    drawn_at: Option<Instant>,
    /// The terminal holds something else: it is cleared first.
    is_foreign: bool,
}

impl std::fmt::Debug for Viewport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Viewport").finish_non_exhaustive()
    }
}

impl Viewport {
    /// A blank session, seen through a terminal that shows something else.
    pub(super) fn new(session: Size, terminal: Size) -> io::Result<Self> {
        // Colours are the remote program's: they pass, as they do where it fits.
        crossterm::style::force_color_output(true);
        let writer = FrameWriter::default();
        let options = Options {
            scrollback_lines: SCROLLBACK_LINES,
            ..Options::default()
        };
        let viewport = TerminalOptions {
            viewport: Area::Fixed(area(terminal)),
        };
        Ok(Self {
            emulator: Emulator::new(session.rows(), session.cols(), options),
            terminal: Terminal::with_options(CrosstermBackend::new(writer.clone()), viewport)?,
            writer,
            modes: Modes::default(),
            title: String::new(),
            draw_at: None,
            drawn_at: None,
            is_foreign: true,
        })
    }

    /// The whole session anew.
    pub(super) fn keyframe(&mut self, size: Size, data: &[u8], now: Instant) {
        self.emulator.reset();
        self.emulator.resize(size.rows(), size.cols());
        self.feed(data, now);
    }

    /// What it printed.
    pub(super) fn feed(&mut self, data: &[u8], now: Instant) {
        self.emulator.feed(data);
        self.wants_drawing(now);
    }

    /// The terminal has another size.
    pub(super) fn resize(&mut self, terminal: Size, now: Instant) -> io::Result<()> {
        self.terminal.resize(area(terminal))?;
        self.is_foreign = true;
        self.wants_drawing(now);
        Ok(())
    }

    /// Somebody else wrote to the terminal.
    pub(super) fn spoilt(&mut self, now: Instant) {
        self.is_foreign = true;
        self.wants_drawing(now);
    }

    fn wants_drawing(&mut self, now: Instant) {
        let earliest = self.drawn_at.map_or(now, |drawn| drawn + FRAME);
        self.draw_at.get_or_insert(earliest.max(now));
    }

    /// When to draw next.
    pub(super) fn draw_at(&self) -> Option<Instant> {
        self.draw_at
    }

    /// A frame, for the terminal.
    pub(super) fn draw(&mut self, now: Instant) -> io::Result<Vec<u8>> {
        self.draw_at = None;
        self.drawn_at = Some(now);
        let mut out = BEGIN.to_vec();
        if std::mem::take(&mut self.is_foreign) {
            out.extend_from_slice(&screen::before_keyframe());
            self.modes = Modes::default();
            self.title.clear();
            // It forgets what it drew before; the clearing that this writes does no harm.
            let all = self.terminal.get_frame().area();
            self.terminal.resize(all)?;
        }
        let emulator = &self.emulator;
        self.terminal.draw(|frame| {
            let cursor = Screen::new(emulator).render(frame.area(), frame.buffer_mut());
            if let Some(cursor) = cursor {
                frame.set_cursor_position(cursor);
            }
        })?;
        out.extend_from_slice(&self.writer.take());
        let modes = self.emulator.modes();
        out.extend_from_slice(&mode_changes(&self.modes, &modes));
        self.modes = modes;
        if self.title != self.emulator.title() {
            self.emulator.title().clone_into(&mut self.title);
            out.extend_from_slice(&screen::notice(&self.title));
        }
        let events = self.emulator.take_events();
        if events.iter().any(|event| matches!(event, Event::Bell)) {
            out.push(0x07);
        }
        out.extend_from_slice(END);
        Ok(out)
    }
}

fn area(size: Size) -> Rect {
    Rect::new(0, 0, size.cols(), size.rows())
}

/// What makes the terminal send keys and pastes as the program wants them.
fn mode_changes(before: &Modes, now: &Modes) -> Vec<u8> {
    let mut out = String::new();
    let mut switch = |was: bool, is: bool, on: &str, off: &str| {
        if was != is {
            out.push_str(if is { on } else { off });
        }
    };
    switch(
        before.application_cursor,
        now.application_cursor,
        "\x1b[?1h",
        "\x1b[?1l",
    );
    switch(
        before.application_keypad,
        now.application_keypad,
        "\x1b=",
        "\x1b>",
    );
    switch(
        before.bracketed_paste,
        now.bracketed_paste,
        "\x1b[?2004h",
        "\x1b[?2004l",
    );
    switch(
        before.focus_events,
        now.focus_events,
        "\x1b[?1004h",
        "\x1b[?1004l",
    );
    if before.kitty_keyboard != now.kitty_keyboard {
        // Writing to a string cannot fail.
        let _ = write!(out, "\x1b[={};1u", now.kitty_keyboard);
    }
    if before.modify_other_keys != now.modify_other_keys {
        let _ = write!(out, "\x1b[>4;{}m", now.modify_other_keys);
    }
    out.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(cols: u32, rows: u32) -> Size {
        Size::new(rows, cols).unwrap()
    }

    /// What a terminal that got these frames shows.
    struct Shown(Emulator);

    impl Shown {
        fn of(size: Size) -> Self {
            Self(Emulator::new(size.rows(), size.cols(), Options::default()))
        }

        fn text(&self) -> String {
            let (rows, cols) = self.0.size();
            let cell = |row, col| self.0.cell(row, col).map_or("", |cell| cell.text);
            let row = |row| {
                let cells = (0..cols).map(|col| match cell(row, col) {
                    "" => " ",
                    text => text,
                });
                cells.collect::<String>().trim_end().to_owned() + "\n"
            };
            (0..rows).map(row).collect()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_small_terminal_shows_the_part_around_the_cursor() {
        let now = Instant::now();
        let mut viewport = Viewport::new(size(80, 24), size(20, 5)).unwrap();
        let mut shown = Shown::of(size(20, 5));
        shown.0.feed(b"what stood here before");
        let lines: String = (1..=20).map(|n| format!("line {n}\r\n")).collect();
        viewport.keyframe(size(80, 24), lines.as_bytes(), now);
        viewport.feed(b"\x1b[31mred\x1b[0m", now);
        shown.0.feed(&viewport.draw(now).unwrap());
        let first = shown.text();
        viewport.feed("\x1b[5;40Hfar to the right".as_bytes(), now);
        shown.0.feed(&viewport.draw(now).unwrap());
        insta::assert_snapshot!(format!("{first}---\n{}", shown.text()));
    }

    #[tokio::test(start_paused = true)]
    async fn frames_come_at_a_bounded_rate_and_the_first_at_once() {
        let now = Instant::now();
        let mut viewport = Viewport::new(size(80, 24), size(20, 5)).unwrap();
        viewport.feed(b"x", now);
        assert_eq!(viewport.draw_at(), Some(now));
        viewport.draw(now).unwrap();
        assert_eq!(viewport.draw_at(), None);
        viewport.feed(b"y", now);
        viewport.feed(b"z", now + FRAME / 2);
        assert_eq!(viewport.draw_at(), Some(now + FRAME));
    }

    #[tokio::test(start_paused = true)]
    async fn the_terminal_is_told_how_the_program_wants_keys_and_of_no_mouse() {
        let now = Instant::now();
        let mut viewport = Viewport::new(size(80, 24), size(20, 5)).unwrap();
        viewport.feed(b"\x1b[?1h\x1b[?2004h\x1b[?1000h\x1b[?1006h", now);
        let mut shown = Shown::of(size(20, 5));
        shown.0.feed(&viewport.draw(now).unwrap());
        let modes = shown.0.modes();
        assert!(modes.application_cursor && modes.bracketed_paste);
        assert_eq!(modes.mouse, cmdop_emulator::MouseMode::None);
        viewport.feed(b"\x1b[?2004l", now);
        shown.0.feed(&viewport.draw(now).unwrap());
        assert!(!shown.0.modes().bracketed_paste);
    }

    #[tokio::test(start_paused = true)]
    async fn a_terminal_that_shrinks_is_drawn_whole() {
        let now = Instant::now();
        let mut viewport = Viewport::new(size(80, 24), size(40, 10)).unwrap();
        viewport.feed(b"hello", now);
        viewport.draw(now).unwrap();
        viewport.resize(size(12, 3), now).unwrap();
        let mut shown = Shown::of(size(12, 3));
        shown.0.feed(&viewport.draw(now).unwrap());
        assert!(shown.text().starts_with("hello"), "{}", shown.text());
    }
}
