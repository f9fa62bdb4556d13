//! When which session wants a tick: one sleeping task for all of them, none while nothing is due.
//!
//! A session has at most one deadline here, so what its clients do cannot fill this list. A deadline
//! is a hint: a session that is ticked early or twice changes nothing.

use std::collections::BTreeMap;
use std::sync::Weak;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::lock::{Held, Lock};
use crate::session::Session;

/// The armed deadlines, the earliest first.
#[derive(Debug, Default)]
pub(crate) struct Deadlines {
    armed: Lock<Armed>,
    earlier: Notify,
}

#[derive(Debug, Default)]
struct Armed {
    count: u64,
    by_time: BTreeMap<Deadline, Weak<Session>>,
}

/// One armed deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Deadline {
    /// When it is due.
    pub(crate) at: Instant,
    number: u64,
}

impl Deadlines {
    fn lock(&self) -> Held<'_, Armed> {
        self.armed.lock()
    }

    /// `session` wants a tick at `at`, and no longer at `instead_of`. It may be locked meanwhile: it
    /// is not touched.
    pub(crate) fn arm(
        &self,
        at: Instant,
        session: Weak<Session>,
        instead_of: Option<Deadline>,
    ) -> Deadline {
        let mut armed = self.lock();
        if let Some(old) = instead_of {
            armed.by_time.remove(&old);
        }
        armed.count += 1;
        let deadline = Deadline {
            at,
            number: armed.count,
        };
        armed.by_time.insert(deadline, session);
        let is_first = armed
            .by_time
            .first_key_value()
            .is_some_and(|(first, _)| *first == deadline);
        drop(armed);
        if is_first {
            self.earlier.notify_one();
        }
        deadline
    }

    fn due(&self, now: Instant) -> Result<BTreeMap<Deadline, Weak<Session>>, Option<Instant>> {
        let mut armed = self.lock();
        let later = armed.by_time.split_off(&Deadline {
            at: now,
            number: u64::MAX,
        });
        let due = std::mem::replace(&mut armed.by_time, later);
        if due.is_empty() {
            return Err(armed.by_time.first_key_value().map(|(first, _)| first.at));
        }
        Ok(due)
    }

    /// Ticks sessions as their time comes, for ever.
    pub(crate) async fn run(&self) {
        loop {
            match self.due(Instant::now()) {
                Ok(due) => {
                    for (deadline, session) in due {
                        if let Some(session) = session.upgrade() {
                            session.tick(deadline);
                        }
                    }
                    // Others run in this task: whatever a session asks for next, they have their turn.
                    tokio::task::yield_now().await;
                }
                // Both branches only wait: nothing is lost when one wins.
                Err(Some(next)) => tokio::select! {
                    () = tokio::time::sleep_until(next) => {}
                    () = self.earlier.notified() => {}
                },
                Err(None) => self.earlier.notified().await,
            }
        }
    }

    /// How many are armed.
    #[cfg(test)]
    pub(crate) fn count(&self) -> usize {
        self.lock().by_time.len()
    }
}
