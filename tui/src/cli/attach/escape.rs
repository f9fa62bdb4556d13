//! The keys behind the escape key: `d` detaches, others are about the keyboard; the escape key twice
//! types it once. Free of IO.

use std::str::FromStr;

use bytes::Bytes;

/// One key as the byte that it sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Keystroke(pub(super) u8);

impl Default for Keystroke {
    /// `^]`, as telnet has it: no shell and no editor wants it.
    fn default() -> Self {
        Self(0x1d)
    }
}

impl FromStr for Keystroke {
    type Err = String;

    /// Reads `^]`, `^a` (control and a letter or one of `@[\]^_`) or one ASCII character.
    fn from_str(text: &str) -> Result<Self, String> {
        match text.as_bytes() {
            [byte] if byte.is_ascii() => Ok(Self(*byte)),
            [b'^', byte] if matches!(byte.to_ascii_uppercase(), b'@'..=b'_') => {
                Ok(Self(byte.to_ascii_uppercase() & 0x1f))
            }
            _ => Err("it is no key; for example `^]`, `^a` or `~`".into()),
        }
    }
}

/// What a key behind the escape key asks for, save to detach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// To be given the keyboard.
    Request,
    /// To give it to who asked.
    Give,
    /// To take it.
    Take,
    /// To know these keys.
    Help,
}

/// What typed bytes mean.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Typed {
    /// What goes to the session.
    pub(super) data: Bytes,
    /// What was asked for, in order.
    pub(super) wishes: Vec<Wish>,
    /// The detach keys came; what was typed after them is dropped.
    pub(super) detach: bool,
}

/// Finds the detach keys in what is typed, also where they come in two reads.
#[derive(Debug)]
pub(super) struct Scanner {
    escape: u8,
    armed: bool,
}

impl Scanner {
    pub(super) fn new(escape: Keystroke) -> Self {
        Self {
            escape: escape.0,
            armed: false,
        }
    }

    /// Takes what was typed. Without an escape key in it the bytes are passed on uncopied.
    pub(super) fn scan(&mut self, typed: Bytes) -> Typed {
        if !self.armed && !typed.contains(&self.escape) {
            return Typed {
                data: typed,
                ..Typed::default()
            };
        }
        let mut data = Vec::with_capacity(typed.len() + 1);
        let mut wishes = Vec::new();
        for &byte in &typed {
            if std::mem::take(&mut self.armed) {
                match byte {
                    b'd' => {
                        return Typed {
                            data: data.into(),
                            wishes,
                            detach: true,
                        };
                    }
                    byte if byte == self.escape => data.push(byte),
                    b'r' => wishes.push(Wish::Request),
                    b'g' => wishes.push(Wish::Give),
                    b't' => wishes.push(Wish::Take),
                    b'?' => wishes.push(Wish::Help),
                    // Neither: the escape key was meant for the program.
                    byte => data.extend([self.escape, byte]),
                }
            } else if byte == self.escape {
                self.armed = true;
            } else {
                data.push(byte);
            }
        }
        Typed {
            data: data.into(),
            wishes,
            detach: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(pieces: &[&'static [u8]]) -> (Vec<u8>, bool) {
        let mut scanner = Scanner::new("^]".parse().unwrap());
        let mut data = Vec::new();
        for piece in pieces {
            let typed = scanner.scan(Bytes::from_static(piece));
            data.extend_from_slice(&typed.data);
            if typed.detach {
                return (data, true);
            }
        }
        (data, false)
    }

    #[test]
    fn the_detach_keys_are_found_also_over_two_reads() {
        assert_eq!(scan(&[b"ls\r\x1ddrest"]), (b"ls\r".to_vec(), true));
        assert_eq!(scan(&[b"a\x1d", b"d"]), (b"a".to_vec(), true));
    }

    #[test]
    fn the_escape_key_twice_types_it_once() {
        assert_eq!(scan(&[b"\x1d\x1dd"]), (b"\x1dd".to_vec(), false));
        assert_eq!(scan(&[b"\x1d", b"\x1d", b"d"]), (b"\x1dd".to_vec(), false));
    }

    #[test]
    fn keys_behind_the_escape_key_are_not_typed() {
        let mut scanner = Scanner::new(Keystroke::default());
        let typed = scanner.scan(Bytes::from_static(b"a\x1drb\x1dg\x1dt\x1d?c"));
        assert_eq!(&typed.data[..], b"abc");
        let all = [Wish::Request, Wish::Give, Wish::Take, Wish::Help];
        assert_eq!(typed.wishes, all);
    }

    #[test]
    fn the_escape_key_before_anything_else_is_typed() {
        assert_eq!(scan(&[b"\x1dx"]), (b"\x1dx".to_vec(), false));
    }

    #[test]
    fn a_key_has_a_spelling() {
        assert_eq!("^]".parse(), Ok(Keystroke(0x1d)));
        assert_eq!("^a".parse(), Ok(Keystroke(1)));
        assert_eq!("~".parse(), Ok(Keystroke(b'~')));
        assert!("ctrl-a".parse::<Keystroke>().is_err());
    }
}
