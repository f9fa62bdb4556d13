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

/// Programs that it waits for at the same time: each is a stream of its one connection to a relay.
const MAX_EXECS: usize = 512;

/// Those of one workspace among them.
const MAX_EXECS_OF_ONE: usize = 128;

/// What the runs of one control plane share.
#[derive(Debug)]
struct Work {
    plane: Shared,
    relays: Relays,
    execs: Shares,
    /// This process: what is written into the rows that it holds.
    node: String,
    stop: CancellationToken,
}

/// Does what is due until `stop`; then lets go of what is under way, for the next to go on with.
pub(crate) async fn work(plane: Shared, stop: CancellationToken) {
    let work = Arc::new(Work {
        relays: Relays::new(plane.ca.pem()),
        execs: Shares::new(MAX_EXECS, MAX_EXECS_OF_ONE),
        node: uuid::Uuid::new_v4().to_string(),
        stop: stop.clone(),
        plane,
    });
    let mut runs = JoinSet::new();
    while !stop.is_cancelled() {
        let wait = match work.step(&mut runs).await {
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
    if let Err(error) = work.plane.store.release_runs(&work.node).await {
        tracing::warn!(%error, "runs were not let go of: they are free when their leases end");
    }
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
        let room = MAX_RUNS.saturating_sub(runs.len()).min(BATCH as usize);
        if room > 0 {
            for (workspace, run) in store.open_runs(now_ms, room as u32).await? {
                let workspace = store.workspace(workspace);
                let judge = &*self.plane;
                let claimed = workspace.claim_run(run, &self.node, judge, clock.now_ms());
                match claimed.await {
                    Ok(None) => {}
                    Ok(Some(claimed)) => {
                        runs.spawn(run::carry_out(self.clone(), claimed));
                    }
                    Err(error) => tracing::error!(%error, %run, "a run stands still"),
                }
            }
        }
        let next = store.next_due().await?;
        let wait = next.map_or(POLL, |next| {
            Duration::from_millis(next.saturating_sub(clock.now_ms()))
        });
        Ok(wait.min(POLL))
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
