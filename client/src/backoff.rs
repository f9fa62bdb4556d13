//! How long to wait before dialling again.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};

/// The first wait after a lost connection.
pub const FIRST_WAIT: Duration = Duration::from_millis(250);
/// The longest wait.
pub const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// Endless waits that double from 250 ms to 10 s, each with jitter, so that a relay that comes back
/// is not met by all its peers at once.
#[derive(Debug)]
pub struct Backoff {
    waits: ExponentialBackoff,
}

impl Backoff {
    /// Waits for a peer that just lost its connection.
    pub fn new() -> Self {
        Self { waits: waits() }
    }

    /// The next wait.
    pub fn next_wait(&mut self) -> Duration {
        self.waits.next().unwrap_or(LONGEST_WAIT).min(LONGEST_WAIT)
    }

    /// The connection held: the next loss begins with a short wait again.
    pub fn reset(&mut self) {
        self.waits = waits();
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self::new()
    }
}

fn waits() -> ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(FIRST_WAIT)
        .with_max_delay(LONGEST_WAIT)
        .with_jitter()
        .without_max_times()
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_peers_wait_alike() {
        let firsts: std::collections::BTreeSet<_> =
            (0..8).map(|_| Backoff::new().next_wait()).collect();
        assert!(firsts.len() > 1, "{firsts:?}");
    }

    #[test]
    fn waits_grow_to_ten_seconds_and_no_further() {
        let mut backoff = Backoff::new();
        let first = backoff.next_wait();
        assert!(first >= FIRST_WAIT && first <= FIRST_WAIT * 2, "{first:?}");
        for _ in 0..100 {
            assert!(backoff.next_wait() <= LONGEST_WAIT);
        }
        assert!(backoff.next_wait() >= LONGEST_WAIT / 2);
        backoff.reset();
        assert!(backoff.next_wait() <= FIRST_WAIT * 2);
    }
}
