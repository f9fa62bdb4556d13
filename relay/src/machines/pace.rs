//! How often something may happen: steadily, with a small burst. Pure: times in, a yes or no out.

use std::time::Duration;

use tokio::time::Instant;

/// An agent's heartbeats are far slower; more often than this nobody looks.
const EVERY: Duration = Duration::from_secs(1);

/// How many may come at once: what a link that stood still had in its buffers.
const BURST: u32 = 5;

/// The pace of one machine's heartbeats.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// When all that were let pass would have come at a steady pace.
    paid_until: Option<Instant>,
}

impl Pace {
    /// Whether one may happen now; then it counts.
    pub(super) fn allows(&mut self, now: Instant) -> bool {
        let paid_until = self.paid_until.map_or(now, |until| until.max(now));
        let is_allowed = paid_until - now < EVERY * BURST;
        if is_allowed {
            self.paid_until = Some(paid_until + EVERY);
        }
        is_allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_passes_and_then_one_at_a_time() {
        let mut pace = Pace::default();
        let burst = (0..100).filter(|_| pace.allows(Instant::now())).count();
        assert_eq!(burst, BURST as usize);
        for _ in 0..10 {
            tokio::time::advance(EVERY).await;
            assert!(pace.allows(Instant::now()));
            assert!(!pace.allows(Instant::now()));
        }
    }
}
