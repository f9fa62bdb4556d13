//! How fast one client may ask: a burst when it connects and subscribes to all it knows, then a trickle.

use std::time::Duration;

use tokio::time::Instant;

/// What a client with the most channels asks at once, twice over.
const BURST: u32 = 320;

/// The time after which one more is allowed.
const REFILL: Duration = Duration::from_millis(50);

/// So many publications that are read from the database cost as much as one more request. A client that comes back to
/// the most channels, each of which has something for it, stays within the burst.
const READ_FOR_ONE: usize = 64;

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

    /// So many publications were read for a request, which was allowed before anybody knew how many there are: they
    /// are paid for by those that come next.
    pub(super) fn has_read(&mut self, publications: usize, now: Instant) {
        let cost = u32::try_from(publications / READ_FOR_ONE).unwrap_or(BURST);
        self.full_at = self.full_at.max(now) + REFILL * cost;
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

    #[tokio::test(start_paused = true)]
    async fn reading_a_thousand_publications_costs_more_than_a_ping() {
        let now = Instant::now();
        let asked = |publications| {
            let mut pace = Pace::new(now);
            let ask = |_: &usize| {
                let is_allowed = pace.allows(now);
                pace.has_read(publications, now);
                is_allowed
            };
            (0..10_000).take_while(ask).count()
        };
        assert_eq!(asked(0), BURST as usize);
        assert_eq!(asked(READ_FOR_ONE - 1), BURST as usize);
        assert!(asked(1000) <= BURST as usize / 16 + 1, "{}", asked(1000));
        assert!(asked(crate::store::KEPT as usize) <= 10);
    }

    #[tokio::test(start_paused = true)]
    async fn who_comes_back_to_all_it_may_hear_is_not_too_fast() {
        let now = Instant::now();
        let mut pace = Pace::new(now);
        let kept = crate::store::KEPT as usize;
        // Two frames, `connect`, and 128 channels: those of sessions share what the workspace has.
        let reads = [kept, kept, kept].into_iter().chain([0; 128]);
        for read in reads {
            assert!(pace.allows(now));
            pace.has_read(read, now);
        }
    }
}
