//! What programs ask their terminal, and what it says.
//!
//! A program that gets no answer waits; one that gets two reads the second as keys. So one
//! party answers, and everything it says stays within a bound.

use std::fmt::Write as _;

use super::Normaliser;
use super::csi::number;
use crate::emulator::Queries;
use crate::pen::Pen;

/// How many bytes of answers may wait to be taken.
const MAX_REPLIES: usize = 4096;

/// What the foreground and the background are said to be (OSC 10 and 11): programs ask in order
/// to tell dark from light, and most terminals are dark.
const FOREGROUND: &str = "rgb:e5e5/e5e5/e5e5";
const BACKGROUND: &str = "rgb:1010/1010/1010";

impl Normaliser {
    fn reply(&mut self, reply: &str) {
        if self.queries == Queries::Answer && self.replies.len() + reply.len() <= MAX_REPLIES {
            self.replies.extend_from_slice(reply.as_bytes());
        }
    }

    pub(super) fn query(&mut self, params: &vte::Params, marks: &[u8], action: char) {
        if self.queries == Queries::Ignore {
            return;
        }
        let first = number(params, 0, 0);
        match (marks, action, first) {
            // A VT220 with colours and a clipboard.
            ([], 'c', 0) => self.reply("\x1b[?62;22;52c"),
            ([b'>'], 'c', 0) => self.reply("\x1b[>1;10;0c"),
            ([b'='], 'c', 0) => self.reply("\x1bP!|00000000\x1b\\"),
            ([b'>'], 'q', 0) => {
                self.reply(concat!(
                    "\x1bP>|cmdop(",
                    env!("CARGO_PKG_VERSION"),
                    ")\x1b\\"
                ));
            }
            ([], 'n', 5) => self.reply("\x1b[0n"),
            ([], 'n', 6) => self.report_cursor(""),
            ([b'?'], 'n', 6) => self.report_cursor("?"),
            ([b'?'], 'u', _) => {
                let flags = self.modes.kitty_keyboard;
                self.reply(&format!("\x1b[?{flags}u"));
            }
            ([b'?', b'$'], 'p', mode) => {
                let state = self.private_mode_report(mode);
                self.reply(&format!("\x1b[?{mode};{state}$y"));
            }
            ([b'$'], 'p', mode) => {
                let state = match mode {
                    4 if self.modes.insert => 1,
                    4 => 2,
                    _ => 0,
                };
                self.reply(&format!("\x1b[{mode};{state}$y"));
            }
            ([], 't', 11) => self.reply("\x1b[1t"),
            ([], 't', 18 | 19) => {
                let (rows, cols) = (self.grid.rows(), self.grid.cols());
                self.reply(&format!("\x1b[{};{rows};{cols}t", first - 10));
            }
            _ => {}
        }
    }

    fn report_cursor(&mut self, mark: &str) {
        let (row, col) = self.cursor();
        let row = if self.modes.origin {
            row.saturating_sub(self.region.0)
        } else {
            row
        };
        let col = col.min(self.grid.cols() - 1);
        self.reply(&format!("\x1b[{mark}{};{}R", row + 1, col + 1));
    }

    /// OSC 10, 11 and 12 with a question mark.
    pub(super) fn report_color(&mut self, number: &str, end: &str) {
        let color = if number == "11" {
            BACKGROUND
        } else {
            FOREGROUND
        };
        self.reply(&format!("\x1b]{number};{color}{end}"));
    }

    /// DECRQSS and XTGETTCAP: the text of a DCS without its introducer.
    pub(crate) fn dcs(&mut self, text: &[u8]) {
        self.printed = None;
        if self.queries == Queries::Ignore {
            return;
        }
        if let Some(setting) = text.strip_prefix(b"$q") {
            match self.setting(setting) {
                Some(value) => self.reply(&format!("\x1bP1$r{value}\x1b\\")),
                None => self.reply("\x1bP0$r\x1b\\"),
            }
        } else if text.starts_with(b"+q") {
            self.reply("\x1bP0+r\x1b\\");
        }
    }

    fn setting(&self, setting: &[u8]) -> Option<String> {
        let mut value = String::new();
        match setting {
            b"m" => {
                let mut change = String::new();
                self.pen.write_change(Pen::default(), &mut change);
                let inner = change.trim_start_matches("\x1b[").trim_end_matches('m');
                let separator = if inner.is_empty() { "" } else { ";" };
                let _ = write!(value, "0{separator}{inner}m");
            }
            b"r" => {
                let _ = write!(value, "{};{}r", self.region.0 + 1, self.region.1 + 1);
            }
            b" q" => {
                let _ = write!(value, "{} q", self.modes.cursor_shape.number());
            }
            _ => return None,
        }
        Some(value)
    }
}
