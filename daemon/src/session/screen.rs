//! The session's terminal as the agent knows it: the one that answers queries and makes keyframes.
//! A thin wall around the emulator, so that the rest of the session does not depend on it.

use cmdop_emulator::{Emulator, Options, Queries};
use cmdop_proto::{Size, limits};

/// The most text of a capture (`CaptureResponse.text`).
const MAX_CAPTURE: usize = 900 << 10;

/// How a capture looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// Text alone.
    Plain,
    /// With colours and attributes as escape sequences.
    Ansi,
}

/// The authoritative screen of one session.
#[derive(Debug)]
pub(crate) struct Screen {
    emulator: Emulator,
}

impl Screen {
    /// A blank screen.
    pub(crate) fn new(size: Size) -> Self {
        let options = Options {
            queries: Queries::Answer,
            ..Options::default()
        };
        Self {
            emulator: Emulator::new(size.rows(), size.cols(), options),
        }
    }

    /// Takes what the program printed; returns what it is to read in answer to its queries.
    pub(crate) fn feed(&mut self, data: &[u8]) -> Vec<u8> {
        self.emulator.feed(data);
        // Titles, bells and the like are for clients, which see them in the bytes.
        self.emulator.take_events();
        self.emulator.take_replies()
    }

    /// Takes a new size.
    pub(crate) fn resize(&mut self, size: Size) {
        self.emulator.resize(size.rows(), size.cols());
    }

    /// Its size.
    pub(crate) fn size(&self) -> Size {
        let (rows, cols) = self.emulator.size();
        Size::clamped(rows, cols)
    }

    /// The bytes that redraw it with at most `scrollback` lines of history: as many as fit a frame.
    pub(crate) fn keyframe(&self, scrollback: u32) -> Vec<u8> {
        let mut lines = scrollback.min(limits::MAX_KEYFRAME_SCROLLBACK) as usize;
        loop {
            let bytes = self.emulator.snapshot(lines).bytes;
            if bytes.len() <= limits::MAX_KEYFRAME || lines == 0 {
                return bytes;
            }
            // Usually the right share at once; always fewer.
            lines = (lines * limits::MAX_KEYFRAME / bytes.len()).min(lines - 1);
        }
    }

    /// What it shows, with at most `scrollback` lines above; the oldest lines give way to the limit.
    pub(crate) fn capture(&self, scrollback: u32, look: Look) -> String {
        let lines = scrollback.min(limits::MAX_CAPTURE_SCROLLBACK) as usize;
        let mut text = match look {
            Look::Ansi => self.emulator.ansi(lines),
            Look::Plain => self.emulator.text(lines),
        };
        if text.len() > MAX_CAPTURE {
            let cut = text.len() - MAX_CAPTURE;
            let line = text.as_bytes()[cut..]
                .iter()
                .position(|byte| *byte == b'\n')
                .map_or(text.len(), |at| cut + at + 1);
            text.drain(..line);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_answered_once() {
        let mut screen = Screen::new(Size::DEFAULT);
        assert!(screen.feed(b"\x1b[c").starts_with(b"\x1b[?"));
        assert!(screen.feed(b"x").is_empty());
    }

    #[test]
    fn a_keyframe_redraws_the_screen() {
        let mut screen = Screen::new(Size::DEFAULT);
        screen.feed(b"one\r\n\x1b[31mtwo\x1b[m");
        let mut again = Screen::new(Size::DEFAULT);
        again.feed(&screen.keyframe(100));
        assert_eq!(again.capture(0, Look::Ansi), screen.capture(0, Look::Ansi));
    }

    #[test]
    fn a_capture_fits_its_frame() {
        let mut screen = Screen::new(Size::new(24, 200).unwrap());
        for _ in 0..9000 {
            screen.feed(format!("{}\r\n", "x".repeat(190)).as_bytes());
        }
        let text = screen.capture(10_000, Look::Plain);
        assert!(text.len() <= MAX_CAPTURE);
        assert!(text.len() > MAX_CAPTURE - 200 && text.starts_with("xx"));
        assert!(screen.keyframe(2_000).len() <= limits::MAX_KEYFRAME);
    }
}
