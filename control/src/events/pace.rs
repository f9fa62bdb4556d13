//! How fast one client may ask: a burst when it connects and subscribes to all it knows, then a trickle.

use std::time::Duration;

use tokio::time::Instant;

/// What a client with the most channels asks at once, twice over.
const BURST: u32 = 320;

/// The time after which one more is allowed.
const REFILL: Duration = Duration::from_millis(50);

/// The pace of one connection.
#[derive(Debug)]
pub(super) struct Pace {
    /// The whole burst is there again at this time; each request moves it on.
    full_at: Instant,
}

impl Pace {
    pub(super) fn new(now: Instant) -> Self {
        Self { full_at: now }
    }

    /// Whether one more is allowed; it counts if it is.
    pub(super) fn allows(&mut self, now: Instant) -> bool {
        let next = self.full_at.max(now) + REFILL;
        let is_allowed = next <= now + REFILL * BURST;
        if is_allowed {
            self.full_at = next;
        }
        is_allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_is_allowed_and_comes_back_with_time() {
        let now = Instant::now();
        let mut pace = Pace::new(now);
        let allowed = (0..10_000).filter(|_| pace.allows(now)).count();
        assert_eq!(allowed, BURST as usize);
        let later = now + REFILL * 10;
        let allowed = (0..10_000).filter(|_| pace.allows(later)).count();
        assert_eq!(allowed, 10);
    }
}
