//! Bytes of a terminal as text for JSON, wherever they were cut. Free of IO.
//!
//! A character whose bytes come in two pieces is held back until it is whole; bytes that are no
//! UTF-8 become U+FFFD, one for each piece of a character that cannot be completed.

/// Joins what was cut inside a character. Holds at most three bytes.
#[derive(Debug, Default)]
pub(super) struct Joiner {
    held: Vec<u8>,
}

impl Joiner {
    /// The text that is whole now that `bytes` came.
    pub(super) fn push(&mut self, bytes: &[u8]) -> String {
        if self.held.is_empty() {
            return self.take(bytes);
        }
        let mut joined = std::mem::take(&mut self.held);
        joined.extend_from_slice(bytes);
        self.take(&joined)
    }

    /// The stream ends, so what is held stays half a character.
    pub(super) fn finish(&mut self) -> String {
        let held = std::mem::take(&mut self.held);
        String::from_utf8_lossy(&held).into_owned()
    }

    /// The stream starts anew, and what is held is part of nothing.
    pub(super) fn forget(&mut self) {
        self.held.clear();
    }

    fn take(&mut self, bytes: &[u8]) -> String {
        let mut text = String::with_capacity(bytes.len());
        let mut chunks = bytes.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            text.push_str(chunk.valid());
            let invalid = chunk.invalid();
            if chunks.peek().is_none() && is_beginning(invalid) {
                self.held.extend_from_slice(invalid);
            } else if !invalid.is_empty() {
                text.push(char::REPLACEMENT_CHARACTER);
            }
        }
        text
    }
}

/// Whether more bytes could make a character of it.
fn is_beginning(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn joined(pieces: &[&[u8]]) -> String {
        let mut joiner = Joiner::default();
        let mut text: String = pieces.iter().map(|piece| joiner.push(piece)).collect();
        text.push_str(&joiner.finish());
        text
    }

    #[test]
    fn a_character_split_over_frames_is_one_character() {
        let bytes = "ä€😀".as_bytes();
        let pieces: Vec<_> = bytes.chunks(1).collect();
        assert_eq!(joined(&pieces), "ä€😀");
        let mut joiner = Joiner::default();
        assert_eq!(joiner.push(b"a\xe2\x82"), "a");
        assert_eq!(joiner.push(b"\xac"), "€");
    }

    #[test]
    fn what_is_no_text_is_replaced_and_the_rest_kept() {
        assert_eq!(joined(&[b"a\xff\xfeb"]), "a\u{fffd}\u{fffd}b");
        assert_eq!(joined(&[b"\xe2\x82", b"x"]), "\u{fffd}x");
        assert_eq!(joined(&[b"x\xf0\x9f"]), "x\u{fffd}");
    }

    #[test]
    fn a_new_start_forgets_half_a_character() {
        let mut joiner = Joiner::default();
        joiner.push(b"\xe2\x82");
        joiner.forget();
        assert_eq!(joiner.push(b"ok"), "ok");
    }

    proptest! {
        #[test]
        fn the_text_is_the_same_wherever_the_bytes_are_cut(
            bytes in proptest::collection::vec(
                prop_oneof![any::<u8>(), Just(0xe2), Just(0x82), Just(0xac), Just(0xf0), Just(0x9f)],
                0..64,
            ),
            size in 1_usize..8,
        ) {
            let pieces: Vec<_> = bytes.chunks(size).collect();
            prop_assert_eq!(joined(&pieces), String::from_utf8_lossy(&bytes));
        }
    }
}
