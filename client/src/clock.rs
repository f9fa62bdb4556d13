//! Whether this machine's clock agrees with a server's. A wrong clock makes valid tokens look
//! expired or not yet valid, and nobody looks for it there.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cmdop_proto::limits::CLOCK_LEEWAY;

/// Milliseconds since the Unix epoch; 0 if the clock stands before it.
pub fn now_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| elapsed.as_millis() as u64)
}

/// How far our clock is from a server's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skew {
    /// Ours is ahead by this much.
    Ahead(Duration),
    /// Ours is behind by this much.
    Behind(Duration),
}

impl Skew {
    /// The difference if it is worth a warning (60 s and more); a server that tells no time has none.
    pub fn between(ours_ms: u64, server_ms: u64) -> Option<Self> {
        let apart = Duration::from_millis(ours_ms.abs_diff(server_ms));
        match () {
            () if server_ms == 0 || apart < CLOCK_LEEWAY => None,
            () if ours_ms > server_ms => Some(Self::Ahead(apart)),
            () => Some(Self::Behind(apart)),
        }
    }
}

impl std::fmt::Display for Skew {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (apart, side) = match self {
            Self::Ahead(apart) => (apart, "ahead of"),
            Self::Behind(apart) => (apart, "behind"),
        };
        write!(
            f,
            "the clock of this machine is {} s {side} the server's; tokens may be refused: \
             set the clock (`timedatectl set-ntp true`) here or there",
            apart.as_secs()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_off_is_named_with_its_seconds_and_less_is_not() {
        assert_eq!(Skew::between(1_000_000, 1_059_999), None);
        let behind = Skew::between(1_000_000, 1_090_000).unwrap();
        assert!(behind.to_string().contains("90 s behind"), "{behind}");
        let ahead = Skew::between(1_100_000, 1_000_000).unwrap();
        assert!(ahead.to_string().contains("100 s ahead of"), "{ahead}");
        assert_eq!(Skew::between(1_000_000, 0), None);
    }
}
