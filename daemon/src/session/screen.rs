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

    /// Takes what the program printed, as much of it as is done with `work` cells touched; returns how
    /// much that was, and what the program is to read in answer to its queries.
    pub(crate) fn feed(&mut self, data: &[u8], work: usize) -> (usize, Vec<u8>) {
        let taken = self.emulator.feed_some(data, work);
        // Titles, bells and the like are for clients, which see them in the bytes.
        self.emulator.take_events();
        (taken, self.emulator.take_replies())
    }

    /// Draws a picture that [`Screen::keyframe`] made on a screen that is still blank.
    pub(crate) fn show(&mut self, picture: &[u8]) {
        let mut rest = picture;
        while !rest.is_empty() {
            let (count, _) = self.feed(rest, usize::MAX);
            rest = &rest[count.max(1).min(rest.len())..];
        }
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

    /// The bytes that redraw it with at most `scrollback` lines of history, as far as they fit a frame:
    /// history gives way first, then colours, then text.
    pub(crate) fn keyframe(&self, scrollback: u32) -> Vec<u8> {
        let lines = scrollback.min(limits::MAX_KEYFRAME_SCROLLBACK) as usize;
        self.emulator
            .snapshot_within(lines, limits::MAX_KEYFRAME)
            .bytes
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

    fn feed(screen: &mut Screen, mut data: &[u8]) -> Vec<u8> {
        let mut replies = Vec::new();
        while !data.is_empty() {
            let (taken, reply) = screen.feed(data, 1 << 20);
            replies.extend(reply);
            data = &data[taken..];
        }
        replies
    }

    #[test]
    fn a_query_is_answered_once() {
        let mut screen = Screen::new(Size::DEFAULT);
        assert!(feed(&mut screen, b"\x1b[c").starts_with(b"\x1b[?"));
        assert!(feed(&mut screen, b"x").is_empty());
    }

    #[test]
    fn a_keyframe_redraws_the_screen() {
        let mut screen = Screen::new(Size::DEFAULT);
        feed(&mut screen, b"one\r\n\x1b[31mtwo\x1b[m");
        let mut again = Screen::new(Size::DEFAULT);
        feed(&mut again, &screen.keyframe(100));
        assert_eq!(again.capture(0, Look::Ansi), screen.capture(0, Look::Ansi));
    }

    #[test]
    fn a_capture_fits_its_frame() {
        let mut screen = Screen::new(Size::new(24, 200).unwrap());
        for _ in 0..9000 {
            feed(&mut screen, format!("{}\r\n", "x".repeat(190)).as_bytes());
        }
        let text = screen.capture(10_000, Look::Plain);
        assert!(text.len() <= MAX_CAPTURE);
        assert!(text.len() > MAX_CAPTURE - 200 && text.starts_with("xx"));
        assert!(screen.keyframe(2_000).len() <= limits::MAX_KEYFRAME);
    }

    #[test]
    fn a_keyframe_of_the_largest_and_most_colourful_screen_fits_its_frame() {
        let mut screen = Screen::new(Size::MAX);
        for cell in 0..Size::MAX.rows() as usize * Size::MAX.cols() as usize {
            let (a, b) = (cell % 251, cell % 241);
            feed(
                &mut screen,
                format!("\x1b[38;2;{a};{b};7;48;2;{b};9;{a}mx").as_bytes(),
            );
        }
        feed(
            &mut screen,
            &[b"\x1b]52;c;", &[b'Q'; 1000 << 10][..]].concat(),
        );
        assert!(screen.keyframe(2_000).len() <= limits::MAX_KEYFRAME);
    }
}
