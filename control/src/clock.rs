//! The wall clock, which tests can set forward: everything that expires asks this one.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// The time of day. Clones show the same time.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    ahead_ms: Arc<AtomicI64>,
}

impl Clock {
    /// Milliseconds since the Unix epoch.
    pub fn now_ms(&self) -> u64 {
        cmdop_service::now_ms().saturating_add_signed(self.ahead_ms.load(Ordering::Relaxed))
    }

    /// Seconds since the Unix epoch, as tokens count.
    pub fn now_s(&self) -> i64 {
        (self.now_ms() / 1000) as i64
    }

    /// Sets the clock forward, for all who hold it.
    pub fn advance(&self, by: Duration) {
        self.ahead_ms
            .fetch_add(by.as_millis() as i64, Ordering::Relaxed);
    }
}
