//! The session's terminal as the agent knows it: the one that answers queries and makes keyframes.
//! A thin wall around the emulator, so that the rest of the session does not depend on it.

use cmdop_emulator::{Emulator, HistoryMark, Options, Queries};
use cmdop_proto::{Offset, Size, limits, v1};

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

/// What a capture holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Capture {
    pub(crate) text: String,
    /// How many of its lines are of the scrollback.
    pub(crate) scrollback_lines: u32,
    /// Nothing of the screen itself gave way to the limit.
    pub(crate) is_whole: bool,
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

    /// The bytes that redraw it, as far as they fit a frame: colours give way first, then text.
    pub(crate) fn keyframe(&self) -> Vec<u8> {
        self.picture(0)
    }

    /// The same with at most `scrollback` lines of history, which give way before all else.
    pub(crate) fn picture(&self, scrollback: usize) -> Vec<u8> {
        self.emulator
            .snapshot_within(scrollback, limits::MAX_KEYFRAME)
            .bytes
    }

    /// What it shows, with at most `scrollback` lines above; the oldest lines give way to the limit.
    pub(crate) fn capture(&self, scrollback: u32, look: Look) -> Capture {
        let lines = scrollback.min(limits::MAX_CAPTURE_SCROLLBACK) as usize;
        let mut text = match look {
            Look::Ansi => self.emulator.ansi(lines),
            Look::Plain => self.emulator.text(lines),
        };
        let above = lines.min(self.emulator.scrollback_len());
        let mut lost = 0;
        if text.len() > MAX_CAPTURE {
            let cut = text.len() - MAX_CAPTURE;
            let end = text.as_bytes()[cut..]
                .iter()
                .position(|byte| *byte == b'\n')
                .map_or(text.len(), |at| cut + at + 1);
            lost = text.drain(..end).filter(|c| *c == '\n').count();
        }
        Capture {
            text,
            scrollback_lines: above.saturating_sub(lost) as u32,
            is_whole: lost <= above,
        }
    }

    /// A page of the lines above it, from a log that ends at `offset`.
    pub(crate) fn history(
        &self,
        wanted: &v1::HistoryWanted,
        offset: Offset,
    ) -> v1::HistoryResponse {
        let or = |value: u32, absent: u32, most: u32| match value {
            0 => absent,
            value => value.min(most),
        };
        let lines = or(
            wanted.max_lines,
            limits::HISTORY_LINES,
            limits::MAX_HISTORY_LINES,
        );
        let bytes = or(
            wanted.max_bytes,
            limits::HISTORY_BYTES,
            limits::MAX_HISTORY_BYTES,
        );
        let page = self
            .emulator
            .history(wanted.before, lines as usize, bytes as usize);
        v1::HistoryResponse {
            mark: Some(message(page.mark)),
            from: page.from,
            text: page.text.into_bytes().into(),
            offset: offset.0,
        }
    }

    /// Where the numbering of the lines above it stands.
    pub(crate) fn history_mark(&self) -> v1::HistoryMark {
        message(self.emulator.history_mark())
    }

    /// Goes on with the numbering of a screen of which this one is the picture.
    pub(crate) fn continue_history(&mut self, epoch: u64, next: u64) {
        self.emulator.continue_history(epoch, next);
    }

    /// The numbers that lines had are not known any more.
    pub(crate) fn lose_count(&mut self) {
        let (epoch, _) = uuid::Uuid::new_v4().as_u64_pair();
        self.continue_history(epoch, 0);
    }
}

fn message(mark: HistoryMark) -> v1::HistoryMark {
    v1::HistoryMark {
        epoch: mark.epoch,
        next: mark.next,
        goes_on: mark.goes_on,
        first_kept: mark.first_kept,
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
        feed(&mut again, &screen.picture(100));
        assert_eq!(again.capture(0, Look::Ansi), screen.capture(0, Look::Ansi));
    }

    #[test]
    fn a_capture_fits_its_frame() {
        let mut screen = Screen::new(Size::new(24, 200).unwrap());
        for _ in 0..9000 {
            feed(&mut screen, format!("{}\r\n", "x".repeat(190)).as_bytes());
        }
        let capture = screen.capture(10_000, Look::Plain);
        let text = &capture.text;
        assert!(text.len() <= MAX_CAPTURE);
        assert!(text.len() > MAX_CAPTURE - 200 && text.starts_with("xx"));
        assert_eq!(capture.scrollback_lines as usize, text.len() / 191 - 23);
        assert!(capture.is_whole);
        assert!(screen.picture(2_000).len() <= limits::MAX_KEYFRAME);
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
        assert!(screen.picture(2_000).len() <= limits::MAX_KEYFRAME);
    }
}
