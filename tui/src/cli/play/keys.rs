//! What the keys of a player mean, from the bytes that a terminal sends. Pure.
//!
//! The recording may have switched the terminal's modes on: keys then come in longer forms, and
//! between them mouse reports, pastes and answers, of which no byte is a key. Ctrl-C quits anywhere.

/// What a person wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// Space.
    Pause,
    /// `.`
    Step,
    /// Right.
    Forward,
    /// Left.
    Back,
    /// `+`, or `=`, which is the same key.
    Faster,
    /// `-`
    Slower,
    /// `q`, Ctrl-C.
    Quit,
}

/// Parameters are kept up to here: no key has more.
const MAX_PARAMETERS: usize = 32;

const INTERRUPT: u8 = 0x03;
const BEL: u8 = 0x07;
const ESC: u8 = 0x1b;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Ground,
    /// After `ESC`.
    Escape,
    /// After `ESC [`.
    Csi,
    /// After `ESC O`.
    Ss3,
    /// So many characters of an X10 mouse report are to come.
    Mouse(u8),
    /// In a string that the terminal sends.
    String,
    /// There, after an `ESC` that may end it.
    StringEscape,
}

/// Finds keys in what the terminal sends, also where they come in several reads.
#[derive(Debug, Default)]
pub(super) struct Scanner {
    state: State,
    parameters: Vec<u8>,
    is_pasting: bool,
}

impl Scanner {
    /// The keys in `typed`.
    pub(super) fn scan(&mut self, typed: &[u8]) -> Vec<Key> {
        typed.iter().filter_map(|byte| self.take(*byte)).collect()
    }

    fn take(&mut self, byte: u8) -> Option<Key> {
        if byte == INTERRUPT {
            return Some(Key::Quit);
        }
        match self.state {
            State::Ground if byte == ESC => self.state = State::Escape,
            State::Ground => return self.character(byte.into()),
            State::Escape => return self.escape(byte),
            State::Csi => return self.csi(byte),
            State::Ss3 => {
                self.state = State::Ground;
                return self.arrow(byte);
            }
            // The rest of a character of several bytes is no character.
            State::Mouse(_) if matches!(byte, 0x80..=0xbf) => {}
            State::Mouse(left) => {
                self.state = if left > 1 {
                    State::Mouse(left - 1)
                } else {
                    State::Ground
                };
            }
            State::String => match byte {
                BEL => self.state = State::Ground,
                ESC => self.state = State::StringEscape,
                _ => {}
            },
            State::StringEscape => {
                self.state = State::Escape;
                return self.escape(byte);
            }
        }
        None
    }

    /// A key with Alt is that key: people press Escape, too, before they press `q`.
    fn escape(&mut self, byte: u8) -> Option<Key> {
        self.state = State::Ground;
        match byte {
            ESC => self.state = State::Escape,
            b'[' => {
                self.parameters.clear();
                self.state = State::Csi;
            }
            b'O' => self.state = State::Ss3,
            b']' | b'P' | b'X' | b'^' | b'_' => self.state = State::String,
            _ => return self.character(byte.into()),
        }
        None
    }

    fn csi(&mut self, byte: u8) -> Option<Key> {
        match byte {
            ESC => self.state = State::Escape,
            0x40..=0x7e => {
                self.state = State::Ground;
                return self.sequence(byte);
            }
            _ if self.parameters.len() < MAX_PARAMETERS => self.parameters.push(byte),
            _ => {}
        }
        None
    }

    fn sequence(&mut self, last: u8) -> Option<Key> {
        if last == b'M' && self.parameters.is_empty() {
            self.state = State::Mouse(3);
            return None;
        }
        let parameters = String::from_utf8_lossy(&self.parameters).into_owned();
        let fields: Vec<_> = parameters.split(';').collect();
        // The kitty protocol tells the kind of event after a colon: 3 is a key that is let go.
        let modifiers = fields.get(1).copied().unwrap_or_default();
        if modifiers.ends_with(":3") {
            return None;
        }
        match (last, fields.as_slice()) {
            (b'~', ["200"]) => self.is_pasting = true,
            (b'~', ["201"]) => self.is_pasting = false,
            (b'u', [code, ..]) => return self.coded(code, modifiers),
            // How xterm's modifyOtherKeys says it.
            (b'~', ["27", modifiers, code]) => return self.coded(code, modifiers),
            (b'C' | b'D', _) => return self.arrow(last),
            _ => {}
        }
        None
    }

    fn coded(&self, code: &str, modifiers: &str) -> Option<Key> {
        let number = |text: &str| text.split(':').next()?.parse::<u32>().ok();
        let code = number(code)?;
        let pressed = number(modifiers).unwrap_or(1).saturating_sub(1);
        if pressed & 4 != 0 {
            return (code == u32::from(b'c')).then_some(Key::Quit);
        }
        self.character(code)
    }

    fn arrow(&self, last: u8) -> Option<Key> {
        match last {
            b'C' if !self.is_pasting => Some(Key::Forward),
            b'D' if !self.is_pasting => Some(Key::Back),
            _ => None,
        }
    }

    fn character(&self, code: u32) -> Option<Key> {
        let key = match char::from_u32(code)? {
            ' ' => Key::Pause,
            '.' => Key::Step,
            '+' | '=' => Key::Faster,
            '-' => Key::Slower,
            'q' => Key::Quit,
            _ => return None,
        };
        (!self.is_pasting).then_some(key)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn keys(typed: &[u8]) -> Vec<Key> {
        Scanner::default().scan(typed)
    }

    #[test]
    fn each_key_has_its_meaning() {
        use Key::{Back, Faster, Forward, Pause, Quit, Slower, Step};
        assert_eq!(
            keys(b" .+=-qx\x1b[C\x1b[D\x1bOC\x1bOD\x03"),
            [
                Pause, Step, Faster, Faster, Slower, Quit, Forward, Back, Forward, Back, Quit
            ]
        );
    }

    #[test]
    fn keys_are_known_in_the_forms_that_a_recording_may_have_switched_on() {
        // kitty: press, repeat, and letting go, which is no second press.
        assert_eq!(keys(b"\x1b[113u\x1b[113;1:2u\x1b[113;1:3u"), [Key::Quit; 2]);
        assert_eq!(keys(b"\x1b[1;1:1C\x1b[1;1:3C"), [Key::Forward]);
        assert_eq!(keys(b"\x1b[99;5u"), [Key::Quit]);
        assert_eq!(keys(b"\x1b[27;5;99~"), [Key::Quit]);
        assert_eq!(keys(b"\x1b[27;1;32~"), [Key::Pause]);
    }

    #[test]
    fn what_the_terminal_reports_is_no_key() {
        for report in [
            &b"\x1b[M qq"[..],
            b"\x1b[M\xc4\xa0--",
            b"\x1b[<0;11;11M\x1b[<0;11;11m",
            b"\x1b[I\x1b[O",
            b"\x1b[?62;1;4c\x1b[24;80R",
            b"\x1bP>|quick term. q\x1b\\",
            b"\x1b]11;rgb:q q q\x07",
            b"\x1b[200~q . -\x1b[C\x1b[201~",
        ] {
            assert_eq!(keys(report), [], "{}", report.escape_ascii());
            let then = [report, b"q"].concat();
            assert_eq!(keys(&then), [Key::Quit], "{}", report.escape_ascii());
        }
    }

    #[test]
    fn ctrl_c_quits_wherever_it_comes() {
        for before in [&b"\x1b]52;"[..], b"\x1b[200~", b"\x1b[", b"\x1b[M", b"\x1b"] {
            assert_eq!(keys(&[before, b"\x03"].concat()), [Key::Quit]);
        }
    }

    #[test]
    fn escape_before_a_key_does_not_take_it_away() {
        assert_eq!(
            keys(b"\x1bq\x1b\x1b \x1b\x1b[C"),
            [Key::Quit, Key::Pause, Key::Forward]
        );
    }

    proptest! {
        #[test]
        fn keys_are_the_same_wherever_the_reads_are_cut(
            typed in proptest::collection::vec(
                prop_oneof![any::<u8>(), prop::sample::select(b"\x1b[]OMCD;:u~127q .".to_vec())],
                0..60,
            ),
            size in 1_usize..8,
        ) {
            let mut scanner = Scanner::default();
            let pieces: Vec<_> = typed.chunks(size).flat_map(|piece| scanner.scan(piece)).collect();
            prop_assert_eq!(pieces, keys(&typed));
        }
    }
}
