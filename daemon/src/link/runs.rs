//! The programs that run for callers, by the ids that the callers gave them: where a caller that comes
//! back is sent, and how many there may be.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cmdop_proto::{Refusal, limits, v1};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::exec::Visit;

/// Runs of callers at the same time: more than a relay lets one machine have, because a result whose
/// caller is lost waits here for it.
const MAX_RUNS: usize = 512;

/// Callers that come back at the same moment; all but the newest are ghosts.
const VISITS: usize = 4;

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Runs {
    runs: HashMap<String, Handle>,
}

#[derive(Debug)]
struct Handle {
    visits: mpsc::Sender<Visit>,
    /// Ends it; cancelled when it is over.
    over: CancellationToken,
    has_ended: Arc<AtomicBool>,
    /// It outlives its stream, so its id stays taken.
    stays: bool,
}

/// A run's own side of its entry.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) visits: mpsc::Receiver<Visit>,
    /// Whoever drops its guard leaves the table.
    pub(super) caller_gone: CancellationToken,
    pub(super) has_ended: Arc<AtomicBool>,
}

impl Entry {
    /// Of a run that stands in no table of callers: nobody comes back to it.
    pub(super) fn alone() -> Self {
        Self {
            visits: mpsc::channel(1).1,
            caller_gone: CancellationToken::new(),
            has_ended: Arc::default(),
        }
    }
}

impl Runs {
    /// Makes room for a run.
    pub(super) fn enter(&mut self, start: &v1::StartExec) -> Result<Entry, Refusal> {
        if start.run_id.len() > limits::MAX_NAME {
            return Err(Refusal::invalid("bad-id", "a run id is longer than any id"));
        }
        self.runs.retain(|_, run| !run.over.is_cancelled());
        if self.runs.get(&start.run_id).is_some_and(|run| run.stays) {
            return Err(Refusal::invalid(
                "run-id-taken",
                "a run with this id is there already",
            ));
        }
        if self.runs.len() >= MAX_RUNS && !self.forget_one() {
            return Err(Refusal::exhausted(
                "too-many-execs",
                format!("the machine runs {MAX_RUNS} programs already, which is the limit"),
            ));
        }
        let (visits, received) = mpsc::channel(VISITS);
        let over = CancellationToken::new();
        let has_ended = Arc::new(AtomicBool::new(false));
        let handle = Handle {
            visits,
            over: over.clone(),
            has_ended: has_ended.clone(),
            stays: start.grace_ms > 0,
        };
        self.runs.insert(start.run_id.clone(), handle);
        Ok(Entry {
            visits: received,
            caller_gone: over,
            has_ended,
        })
    }

    /// A result that nobody came for makes room. `false`: there is none.
    fn forget_one(&mut self) -> bool {
        let ended = self
            .runs
            .iter()
            .find(|(_, run)| run.has_ended.load(Ordering::Relaxed))
            .map(|(id, _)| id.clone());
        ended.is_some_and(|id| self.end(&id) && self.runs.remove(&id).is_some())
    }

    /// Sends a caller to its run; back it comes if there is none, or none that listens.
    #[allow(clippy::result_large_err, reason = "it is what was given")]
    pub(super) fn visit(&mut self, id: &str, visit: Visit) -> Result<(), Visit> {
        match self.runs.get(id) {
            Some(run) => run.visits.try_send(visit).map_err(|back| match back {
                mpsc::error::TrySendError::Full(visit)
                | mpsc::error::TrySendError::Closed(visit) => visit,
            }),
            None => Err(visit),
        }
    }

    /// Ends a run. `false`: there is none of that id.
    pub(super) fn end(&mut self, id: &str) -> bool {
        self.runs.get(id).is_some_and(|run| {
            run.over.cancel();
            true
        })
    }
}
