//! At most so many bytes a second, over all streams of a transfer.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// A rate that is kept over time: who takes says how much, and learns when it may go on.
#[derive(Debug, Default)]
pub(crate) struct Limit {
    /// Bytes a second; `None`: as fast as it goes.
    rate: Option<u64>,
    free_at: Mutex<Option<Instant>>,
}

impl Limit {
    pub(crate) fn new(rate: Option<u64>) -> Self {
        Self {
            rate: rate.filter(|rate| *rate > 0),
            free_at: Mutex::default(),
        }
    }

    /// Takes so many bytes; the next may be taken from then on.
    pub(crate) fn take(&self, bytes: u64) -> Option<Instant> {
        let rate = self.rate?;
        let now = Instant::now();
        let mut free_at = self.free_at.lock().unwrap_or_else(PoisonError::into_inner);
        let from = free_at.map_or(now, |free_at| free_at.max(now));
        let until = from + Duration::from_secs_f64(bytes as f64 / rate as f64);
        *free_at = Some(until);
        Some(until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_limit_is_kept_over_all_who_take() {
        let limit = Limit::new(Some(1000));
        let begun = Instant::now();
        for _ in 0..10 {
            if let Some(until) = limit.take(500) {
                tokio::time::sleep_until(until).await;
            }
        }
        assert_eq!(begun.elapsed().as_secs(), 5);
        assert_eq!(Limit::new(None).take(500), None);
    }
}
