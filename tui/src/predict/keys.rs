//! What was typed, as far as its effect can be guessed.

use unicode_width::UnicodeWidthChar as _;

/// Longer input is a paste: nothing that is watched letter by letter.
const MAX: usize = 64;

/// A key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// A character of one column.
    Character(char),
    /// Takes away the character before the cursor.
    Backspace,
    /// To the left.
    Left,
    /// To the right.
    Right,
    /// Nobody knows.
    Other,
}

/// The keys in what was sent to the session; what follows one that nobody knows is not looked at.
pub(super) fn read(bytes: &[u8]) -> Vec<Key> {
    let Some(mut rest) = std::str::from_utf8(bytes)
        .ok()
        .filter(|text| text.len() <= MAX)
    else {
        return vec![Key::Other];
    };
    let mut keys = Vec::new();
    while let Some(c) = rest.chars().next() {
        let arrow = ["\x1b[", "\x1bO"].iter().find_map(|start| {
            let end = rest.strip_prefix(start)?;
            match end.as_bytes().first()? {
                b'D' => Some(Key::Left),
                b'C' => Some(Key::Right),
                _ => None,
            }
        });
        let (key, length) = match (arrow, c) {
            (Some(arrow), _) => (arrow, 3),
            (_, '\x7f' | '\x08') => (Key::Backspace, 1),
            _ if !c.is_control() && c.width() == Some(1) => (Key::Character(c), c.len_utf8()),
            _ => (Key::Other, rest.len()),
        };
        keys.push(key);
        rest = &rest[length..];
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_told_apart() {
        let c = Key::Character;
        assert_eq!(read("aé".as_bytes()), [c('a'), c('é')]);
        assert_eq!(read(b"\x1b[D\x1bOCx"), [Key::Left, Key::Right, c('x')]);
        assert_eq!(read(b"\x7fq\r"), [Key::Backspace, c('q'), Key::Other]);
        assert_eq!(read(b"a\x1b[Ab"), [c('a'), Key::Other]);
        assert_eq!(read("a你b".as_bytes()), [c('a'), Key::Other]);
        assert_eq!(read(&[0xff]), [Key::Other]);
        assert_eq!(read(&[b'x'; 65]), [Key::Other]);
        assert_eq!(read(b""), []);
    }
}
