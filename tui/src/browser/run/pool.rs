//! Streams to ends: one that has answered is kept a while for the next question, which then takes one way there and
//! back instead of two.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cmdop_client::files::{Files, Place};
use cmdop_client::{Connection, Error};
use tokio::time::Instant;

/// Streams that are kept; a machine serves 64 to all of its users.
const MAX_IDLE: usize = 4;

/// How long one is worth keeping.
const IDLE_FOR: Duration = Duration::from_secs(20);

/// See the module.
#[derive(Debug)]
pub(super) struct Pool {
    connection: Connection,
    idle: Mutex<Vec<Idle>>,
}

#[derive(Debug)]
struct Idle {
    place: Place,
    files: Files,
    since: Instant,
}

impl Pool {
    pub(super) fn new(connection: Connection) -> Self {
        Self {
            connection,
            idle: Mutex::new(Vec::new()),
        }
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A stream that was kept. It may be lost already: whoever uses it tries again with a new one.
    pub(super) fn kept(&self, place: &Place) -> Option<Files> {
        let mut idle = self.idle();
        idle.retain(|idle| idle.since.elapsed() < IDLE_FOR);
        let at = idle.iter().position(|idle| idle.place == *place)?;
        Some(idle.remove(at).files)
    }

    /// A new stream.
    pub(super) async fn open(&self, place: &Place) -> Result<Files, Error> {
        Files::open(&self.connection, place).await
    }

    /// Keeps a stream on which nothing is under way.
    pub(super) fn keep(&self, place: Place, files: Files) {
        let mut idle = self.idle();
        if idle.len() >= MAX_IDLE {
            idle.remove(0);
        }
        let since = Instant::now();
        idle.push(Idle {
            place,
            files,
            since,
        });
    }

    /// Nobody will ask soon.
    pub(super) fn clear(&self) {
        self.idle().clear();
    }
}
