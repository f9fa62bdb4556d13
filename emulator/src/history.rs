//! The scrollback by the numbers of its lines, page by page: what is asked for costs what it holds, not
//! what the scrollback holds.

use crate::emulator::Emulator;

/// Ends a line that changed attributes.
const RESET: &str = "\x1b[m";

/// Where the numbering of lines stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HistoryMark {
    /// Numbers mean the same lines only while this is the same.
    pub epoch: u64,
    /// The number of the line that leaves the screen next.
    pub next: u64,
    /// The beginning of that line has left the screen already.
    pub goes_on: bool,
    /// The number of the oldest line that is kept, or of the next where none is.
    pub first_kept: u64,
}

impl HistoryMark {
    /// The number after the newest line of which anything has left the screen.
    pub fn end(self) -> u64 {
        self.next + u64::from(self.goes_on)
    }
}

/// Some lines of the scrollback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryPage {
    /// Where the numbering stands.
    pub mark: HistoryMark,
    /// The number of the page's first line; where it holds none, of the line after it.
    pub from: u64,
    /// The lines, the oldest first, each ended by a line feed: text and SGR sequences, which start
    /// from default attributes and end in them.
    pub text: String,
}

impl Emulator {
    /// Where the numbering of lines stands.
    pub fn history_mark(&self) -> HistoryMark {
        let ring = self.normaliser.grid.ring();
        HistoryMark {
            epoch: ring.epoch(),
            next: ring.next(),
            goes_on: ring.is_open(),
            first_kept: ring.first(),
        }
    }

    /// Goes on numbering where another emulator stood, of which this one has the snapshot: the same
    /// bytes then give the same lines the same numbers.
    pub fn continue_history(&mut self, epoch: u64, next: u64) {
        self.normaliser.grid.ring_mut().number(epoch, next);
    }

    /// The newest lines below the number `before` (`None`: of all), at most `max_lines` of them in at
    /// most `max_bytes`, but one line at least if there is one. A line whose end is still on the
    /// screen is the newest.
    ///
    /// A line without an end is cut into lines of 64 KiB and a row.
    pub fn history(&self, before: Option<u64>, max_lines: usize, max_bytes: usize) -> HistoryPage {
        let ring = self.normaliser.grid.ring();
        let mark = self.history_mark();
        let first_kept = mark.first_kept;
        let before = before.unwrap_or(u64::MAX).clamp(first_kept, mark.end());
        let line = |number: u64| {
            ring.line((number - first_kept) as usize)
                .unwrap_or_default()
        };
        let (mut from, mut bytes) = (before, 0);
        while from > first_kept && before - from < max_lines as u64 {
            let length = length(line(from - 1));
            if bytes > 0 && bytes + length > max_bytes {
                break;
            }
            bytes += length;
            from -= 1;
        }
        let mut text = String::with_capacity(bytes);
        for number in from..before {
            push(&mut text, line(number));
        }
        HistoryPage { mark, from, text }
    }
}

/// What a line takes in a page, at most.
fn length(line: &str) -> usize {
    line.len() + RESET.len() + 1
}

fn push(text: &mut String, line: &str) {
    text.push_str(line);
    if line.contains('\x1b') {
        text.push_str(RESET);
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Options;

    fn printed(lines: std::ops::Range<u64>) -> Emulator {
        let mut emulator = Emulator::new(4, 20, Options::default());
        for line in lines {
            emulator.feed(format!("line {line}\r\n").as_bytes());
        }
        emulator
    }

    #[test]
    fn a_claim_to_have_numbered_everything_overflows_nothing() {
        let mut emulator = printed(0..3);
        emulator.continue_history(u64::MAX, u64::MAX);
        for line in 0..30 {
            emulator.feed(format!("line {line}\r\n").as_bytes());
        }
        let mark = emulator.history_mark();
        assert!(mark.first_kept < mark.next && mark.next <= mark.end());
        assert!(!emulator.history(None, 5, 1 << 10).text.is_empty());
        emulator.feed(b"\x1b[3J");
        emulator.resize(20, 60);
    }

    #[test]
    fn pages_hold_every_line_once_from_the_newest_to_the_oldest() {
        // The last three are on the screen.
        let emulator = printed(0..25_003);
        let (mut before, mut expected) = (None, 25_000);
        loop {
            let page = emulator.history(before, 700, 4 << 10);
            assert!(page.text.len() <= 4 << 10);
            assert_eq!(page.mark.first_kept, 15_000);
            for line in page.text.lines().rev() {
                expected -= 1;
                assert_eq!(line, format!("line {expected}"));
            }
            assert_eq!(page.from, expected);
            if page.from == page.mark.first_kept {
                break;
            }
            before = Some(page.from);
        }
        assert_eq!(expected, 15_000);
    }

    #[test]
    fn a_page_holds_one_line_however_long_it_is_and_none_where_none_is_kept() {
        let mut emulator = printed(0..10);
        assert_eq!(emulator.history(Some(5), 10, 1).text, "line 4\n");
        assert_eq!(emulator.history(Some(0), 10, 1 << 20).text, "");
        assert_eq!(emulator.history(Some(99), 1, 1 << 20).text, "line 6\n");
        emulator.feed(b"\x1b[3J");
        let page = emulator.history(None, 10, 1 << 20);
        assert_eq!((page.from, page.text.as_str()), (7, ""));
        assert_eq!((page.mark.epoch, page.mark.first_kept), (1, 7));
    }

    #[test]
    fn a_line_that_goes_on_at_the_screens_top_is_the_newest() {
        let mut emulator = printed(0..4);
        emulator.feed("x".repeat(70).as_bytes());
        let page = emulator.history(None, 1, 1 << 20);
        assert_eq!(page.text, "line 3\n");
        assert!(!page.mark.goes_on);
        emulator.feed("\x1b[31my".repeat(11).as_bytes());
        let page = emulator.history(None, 1, 1 << 20);
        assert_eq!(
            (page.mark.goes_on, page.mark.next, page.mark.end()),
            (true, 4, 5)
        );
        assert_eq!(
            (page.from, page.text.as_str()),
            (4, "xxxxxxxxxxxxxxxxxxxx\n")
        );
        emulator.feed(b"\x1b[m\r\n\r\n\r\n\r\n");
        let page = emulator.history(Some(5), 1, 1 << 20);
        assert!(page.text.ends_with("y\x1b[m\n"), "{}", page.text);
        assert_eq!(page.text.matches('x').count(), 70);
    }

    #[test]
    fn lines_that_went_back_to_the_screen_begin_a_new_epoch() {
        let mut emulator = printed(0..10);
        let before = emulator.history_mark();
        emulator.resize(4, 10);
        assert_eq!(emulator.history_mark().epoch, before.epoch);
        emulator.resize(8, 20);
        let after = emulator.history_mark();
        assert_ne!(after.epoch, before.epoch);
        assert!(after.next < before.next);
    }
}
