//! Schedules: programs that are run at their times, on machines, for their owners.
//!
//! ```text
//! due (pure) ─► turn (pure) ─► store: a row for each time ─► work: claims it ─► run ─► exec ══wire══► relay
//! ```
//!
//! Each time has one row, and each row one holder at a time (`store::schedule_claims`), so that any number of
//! control planes on one database do each run once. A program is started under an id that its agent takes once,
//! as a detached run (ADR 10): it outlives this process, and whoever holds the row next comes back to it.

pub(crate) mod due;
mod exec;
mod relays;
mod run;
mod shares;
pub(crate) mod spec;
pub(crate) mod tail;
pub(crate) mod turn;

use std::sync::Arc;
use std::time::Duration;

use cmdop_proto::token::Role;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::permission::{self, Action};
use crate::plane::{ControlPlane, Shared};
use crate::store::{Error, Judge, Schedule};
use crate::throttle::DENIALS;
use relays::Relays;
use shares::Shares;

/// How soon what another control plane on the same database changed is seen.
const POLL: Duration = Duration::from_millis(500);

/// Schedules and runs that are looked at in one step.
const BATCH: u32 = 64;

/// Runs that one control plane holds: many of them may only wait for a machine to come back.
const MAX_RUNS: usize = 4096;

/// Those of one workspace among them: what waits for the machines of one holds up no other.
const MAX_RUNS_OF_ONE: usize = 1024;

/// How long a stop waits until the runs are let go of: another process may hold the lock.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Programs that it waits for at the same time: each is a stream of its one connection to a relay.
const MAX_EXECS: usize = 512;

/// Those of one workspace among them.
const MAX_EXECS_OF_ONE: usize = 128;

/// What the runs of one control plane share.
#[derive(Debug)]
struct Work {
    plane: Shared,
    relays: Relays,
    runs: Shares,
    execs: Shares,
    /// This process: what is written into the rows that it holds.
    node: String,
    stop: CancellationToken,
}

/// Does what is due until `stop`; then lets go of what is under way, for the next to go on with.
pub(crate) async fn work(plane: Shared, stop: CancellationToken) {
    let work = Arc::new(Work {
        relays: Relays::new(plane.ca.pem()),
        runs: Shares::new(MAX_RUNS, MAX_RUNS_OF_ONE),
        execs: Shares::new(MAX_EXECS, MAX_EXECS_OF_ONE),
        node: uuid::Uuid::new_v4().to_string(),
        stop: stop.clone(),
        plane,
    });
    let mut runs = JoinSet::new();
    while !stop.is_cancelled() {
        // Dropped anywhere, its transaction rolls back, and what it claimed is let go of below.
        let step = tokio::select! {
            biased;
            step = work.step(&mut runs) => step,
            () = stop.cancelled() => break,
        };
        let wait = match step {
            Ok(wait) => wait,
            Err(error) => {
                tracing::error!(%error, "schedules stand still");
                POLL
            }
        };
        // All branches are cancel-safe: they wait, and take what is over.
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(wait) => {}
            () = work.plane.schedules_changed.notified() => {}
            Some(_) = runs.join_next(), if !runs.is_empty() => {}
        }
    }
    runs.shutdown().await;
    let released = work.plane.store.release_runs(&work.node);
    let error = match tokio::time::timeout(LAST_WORDS, released).await {
        Ok(Ok(())) => return,
        Ok(Err(error)) => error.to_string(),
        Err(_) => "the database does not answer".to_owned(),
    };
    tracing::warn!(%error, "runs were not let go of: they are free when their leases end");
}

impl Work {
    /// Makes rows for what is due, takes what there is to run, and says how long there is nothing to do.
    async fn step(self: &Arc<Self>, runs: &mut JoinSet<()>) -> Result<Duration, Error> {
        let (store, clock) = (&self.plane.store, &self.plane.clock);
        let now_ms = clock.now_ms();
        for (workspace, schedule) in store.due_schedules(now_ms, BATCH).await? {
            let fired = store.workspace(workspace).fire(&schedule, now_ms).await;
            if let Err(error) = fired {
                // One that cannot be read must not keep the others from their time.
                tracing::error!(%error, %schedule, "a schedule stands still");
            }
        }
        while runs.try_join_next().is_some() {}
        self.take_runs(runs).await?;
        let next = store.next_due().await?;
        let wait = next.map_or(POLL, |next| {
            Duration::from_millis(next.saturating_sub(clock.now_ms()))
        });
        Ok(wait.min(POLL))
    }

    /// Takes what there is to run, as far as each workspace's share goes.
    async fn take_runs(self: &Arc<Self>, runs: &mut JoinSet<()>) -> Result<(), Error> {
        let (store, clock) = (&self.plane.store, &self.plane.clock);
        let room = self.runs.room().min(BATCH as usize);
        if room == 0 {
            return Ok(());
        }
        let full = self.runs.full();
        let open = store.open_runs(clock.now_ms(), room as u32, &full).await?;
        for (workspace, run) in open {
            // Its share may have been used up by those before it.
            let Some(place) = self.runs.try_take(workspace) else {
                continue;
            };
            let judge = &*self.plane;
            let handle = store.workspace(workspace);
            let claimed = handle.claim_run(run, &self.node, judge, clock.now_ms());
            match claimed.await {
                Ok(None) => {}
                Ok(Some(claimed)) => {
                    let work = self.clone();
                    runs.spawn(async move {
                        run::carry_out(work, claimed).await;
                        drop(place);
                    });
                }
                Err(error) => tracing::error!(%error, %run, "a run stands still"),
            }
        }
        Ok(())
    }
}

impl Judge for ControlPlane {
    fn may(&self, role: Role) -> bool {
        permission::check(Action::RunPrograms, role, None).is_ok()
    }

    fn is_recorded(&self, schedule: &Schedule) -> bool {
        let key = format!("schedule-refused/{}", schedule.id);
        self.throttle.take(key, DENIALS, Instant::now()).is_ok()
    }
}
