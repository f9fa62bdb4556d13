//! Judges what a client of a session got: every byte once, at its place, and the right one.

use std::cmp::Ordering;

/// Where output begins, after what has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Where the last one ended.
    Contiguous,
    /// So many bytes are missing.
    Lost(u64),
    /// So many bytes came a second time.
    Doubled(u64),
}

/// Output that begins at `offset`, where `have` bytes have come.
pub(crate) fn place(have: u64, offset: u64) -> Verdict {
    match offset.cmp(&have) {
        Ordering::Greater => Verdict::Lost(offset - have),
        Ordering::Less => Verdict::Doubled(have - offset),
        Ordering::Equal => Verdict::Contiguous,
    }
}

/// What came is what was printed; else says where they part.
pub(crate) fn compare(came: &[u8], printed: &[u8]) -> Result<(), String> {
    if came == printed {
        return Ok(());
    }
    let at = came.iter().zip(printed).take_while(|(a, b)| a == b).count();
    let around = |bytes: &[u8]| {
        let end = bytes.len().min(at + 60);
        bytes[at.saturating_sub(30).min(end)..end]
            .escape_ascii()
            .to_string()
    };
    Err(format!(
        "byte {at} differs ({} came, {} were printed):\n  came    {}\n  printed {}",
        came.len(),
        printed.len(),
        around(came),
        around(printed)
    ))
}

#[test]
fn a_lost_a_doubled_and_a_wrong_byte_are_found() {
    assert_eq!(place(10, 10), Verdict::Contiguous);
    assert_eq!(place(10, 13), Verdict::Lost(3));
    assert_eq!(place(10, 4), Verdict::Doubled(6));
    compare(b"abc", b"abc").unwrap();
    for came in ["ab", "abcd", "abd", ""] {
        compare(came.as_bytes(), b"abc").unwrap_err();
    }
}
