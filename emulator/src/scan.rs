//! Looking for a byte in many, a block at a time so that the compiler can use vectors.

const BLOCK: usize = 64;

/// Where `needle` first is in `bytes`.
#[allow(
    clippy::needless_bitwise_bool,
    reason = "a branch for each byte would end vectors"
)]
pub(crate) fn find(needle: u8, bytes: &[u8]) -> Option<usize> {
    let mut start = 0;
    for block in bytes.chunks_exact(BLOCK) {
        if block
            .iter()
            .fold(false, |found, &byte| found | (byte == needle))
        {
            break;
        }
        start += BLOCK;
    }
    bytes[start..]
        .iter()
        .position(|&byte| byte == needle)
        .map(|place| start + place)
}

/// Whether all of `bytes` are printable ASCII.
pub(crate) fn is_printable(bytes: &[u8]) -> bool {
    let printable = |block: &[u8]| {
        block
            .iter()
            .fold(true, |all, &byte| all & (byte.wrapping_sub(0x20) < 0x5f))
    };
    let mut blocks = bytes.chunks_exact(BLOCK);
    blocks.by_ref().all(printable) && printable(blocks.remainder())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_is_found_wherever_it_is() {
        for length in 0..200 {
            let mut bytes = vec![b'a'; length];
            assert_eq!(find(b'\n', &bytes), None);
            assert!(is_printable(&bytes));
            for place in 0..length {
                bytes[place] = b'\n';
                assert_eq!(find(b'\n', &bytes), Some(place));
                assert!(!is_printable(&bytes));
                bytes[place] = b'a';
            }
        }
    }
}
