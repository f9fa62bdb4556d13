//! What a program wants in the clipboard (OSC 52): checked, and bounded.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// More is a file, and no text that somebody copied.
pub const MAX_COPIED: usize = 256 << 10;

/// The text of what came as base64; `None`: it is none, or too much.
pub fn read(data: &str) -> Option<String> {
    if data.len() > MAX_COPIED / 3 * 4 + 4 {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(data).ok()?).ok()?;
    // What is pasted into a shell later must not steer it; line ends and tabs are text.
    let is_text = |c: char| !c.is_control() || matches!(c, '\n' | '\r' | '\t');
    text.chars().all(is_text).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_text_of_a_bounded_length_is_copied() {
        let encoded = |text: &[u8]| STANDARD.encode(text);
        assert_eq!(read(&encoded(b"two\nlines")).unwrap(), "two\nlines");
        assert_eq!(read(&encoded(b"\x1b[201~rm -rf /\n")), None);
        assert_eq!(read(&encoded(b"\xff\xfe")), None);
        assert_eq!(read("?"), None);
        assert_eq!(read(&encoded(&vec![b'x'; MAX_COPIED + 3])), None);
    }
}
