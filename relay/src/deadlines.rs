//! When which session wants a tick: one sleeping task for all of them, none while nothing is due.
//!
//! A deadline is a hint: a session that is ticked early or twice changes nothing.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError, Weak};

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::session::Session;

/// The armed deadlines, the earliest first.
#[derive(Debug, Default)]
pub(crate) struct Deadlines {
    armed: Mutex<Armed>,
    earlier: Notify,
}

#[derive(Debug, Default)]
struct Armed {
    count: u64,
    by_time: BTreeMap<(Instant, u64), Weak<Session>>,
}

impl Deadlines {
    /// `session` wants a tick at `at`.
    pub(crate) fn arm(&self, at: Instant, session: Weak<Session>) {
        let mut armed = self.armed.lock().unwrap_or_else(PoisonError::into_inner);
        armed.count += 1;
        let key = (at, armed.count);
        armed.by_time.insert(key, session);
        let is_first = armed
            .by_time
            .first_key_value()
            .is_some_and(|(first, _)| *first == key);
        drop(armed);
        if is_first {
            self.earlier.notify_one();
        }
    }

    fn due(&self, now: Instant) -> Result<Vec<Weak<Session>>, Option<Instant>> {
        let mut armed = self.armed.lock().unwrap_or_else(PoisonError::into_inner);
        let later = armed.by_time.split_off(&(now, u64::MAX));
        let due = std::mem::replace(&mut armed.by_time, later);
        if due.is_empty() {
            return Err(armed.by_time.first_key_value().map(|((at, _), _)| *at));
        }
        Ok(due.into_values().collect())
    }

    /// Ticks sessions as their time comes, for ever.
    pub(crate) async fn run(&self) {
        loop {
            match self.due(Instant::now()) {
                Ok(due) => due
                    .iter()
                    .filter_map(Weak::upgrade)
                    .for_each(|session| session.tick()),
                // Both branches only wait: nothing is lost when one wins.
                Err(Some(next)) => tokio::select! {
                    () = tokio::time::sleep_until(next) => {}
                    () = self.earlier.notified() => {}
                },
                Err(None) => self.earlier.notified().await,
            }
        }
    }
}
