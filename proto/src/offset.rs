//! Positions in a log of bytes that is never renumbered.

use std::fmt;
use std::ops::Sub;

/// How many bytes came before: the address of a byte in a session's output log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Offset(pub u64);

impl Offset {
    /// Where every log begins.
    pub const START: Self = Self(0);
    /// No bound.
    pub const MAX: Self = Self(u64::MAX);

    /// The offset `bytes` further on; stays at [`Offset::MAX`] rather than wrap.
    pub fn advance(self, bytes: usize) -> Self {
        Self(self.0.saturating_add(bytes as u64))
    }

    /// How many bytes of a piece that starts at `start` lie below `self`: what a receiver that has
    /// everything up to `self` skips. `None` if the piece starts beyond it, which is a gap.
    pub fn overlap(self, start: Self) -> Option<u64> {
        self.0.checked_sub(start.0)
    }
}

impl Sub for Offset {
    type Output = u64;

    /// The distance in bytes; 0 if `other` is further on.
    fn sub(self, other: Self) -> u64 {
        self.0.saturating_sub(other.0)
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_beyond_what_we_have_is_a_gap() {
        assert_eq!(Offset(10).overlap(Offset(4)), Some(6));
        assert_eq!(Offset(10).overlap(Offset(10)), Some(0));
        assert_eq!(Offset(10).overlap(Offset(11)), None);
    }
}
