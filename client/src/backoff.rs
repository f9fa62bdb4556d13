//! How long to wait before dialling again.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};

/// The first wait after a lost connection.
pub const FIRST_WAIT: Duration = Duration::from_millis(250);
/// The longest wait.
pub const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// Endless waits that double from 250 ms to 5 s, each made longer by chance, at most twice as long, so
/// that a relay that comes back is not met by all its peers at once, however long it was away.
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
        // Chance doubles it at most: what were cut at the longest wait would be alike for all.
        .with_max_delay(LONGEST_WAIT / 2)
        .with_jitter()
        .without_max_times()
        .build()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn no_two_peers_wait_alike() {
        let firsts: std::collections::BTreeSet<_> =
            (0..8).map(|_| Backoff::new().next_wait()).collect();
        assert!(firsts.len() > 1, "{firsts:?}");
    }

    #[test]
    fn after_a_long_absence_no_two_peers_wait_alike_either() {
        let long_away = |_| {
            let mut backoff = Backoff::new();
            (0..100).map(|_| backoff.next_wait()).next_back()
        };
        let waits: std::collections::BTreeSet<_> = (0..8).map(long_away).collect();
        assert!(waits.len() > 1, "{waits:?}");
    }

    proptest! {
        #[test]
        fn waits_double_within_their_bounds_and_begin_anew_after_a_success(
            runs in prop::collection::vec(1..40_usize, 1..10),
        ) {
            let mut backoff = Backoff::new();
            for failures in runs {
                let mut least = FIRST_WAIT;
                for _ in 0..failures {
                    let wait = backoff.next_wait();
                    prop_assert!(wait >= least, "{wait:?} is shorter than {least:?}");
                    prop_assert!(wait <= 2 * least, "{wait:?} is longer than twice {least:?}");
                    prop_assert!(wait <= LONGEST_WAIT);
                    least = (2 * least).min(LONGEST_WAIT / 2);
                }
                backoff.reset();
            }
        }
    }
}
