//! One run from its claim to its end: its machines side by side, each tried as often as the schedule says, and
//! the lease renewed meanwhile. A run that somebody else holds by now is dropped where it stands.

use std::sync::Arc;
use std::time::Duration;

use cmdop_proto::RunId;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use super::Work;
use super::exec::{Begin, Exec, Outcome};
use super::spec::{MAX_BACKOFF, RetryOn, Spec};
use super::tail::Tail;
use crate::store::{Claimed, Error, LEASE, RunClaim, RunState, Schedule, Target};

/// How long to wait before something is written again that the database did not take.
const AGAIN: Duration = Duration::from_secs(1);

/// An agent ends a program that lasts longer than its schedule lets it. One that does not say so this long afterwards,
/// or not that it has it, is waited for no longer: else its schedule would stand still for ever.
const OVERDUE: Duration = Duration::from_secs(5 * 60);

/// How often it is looked whether it is that late: the clock may be set.
const LOOK: Duration = Duration::from_secs(1);

/// The run is somebody else's by now.
#[derive(Debug)]
struct Taken;

/// What the targets of one run share.
struct Run {
    work: Arc<Work>,
    claim: RunClaim,
    schedule: Schedule,
    machines: usize,
}

/// Does it, and writes down what came of it.
pub(super) async fn carry_out(work: Arc<Work>, claimed: Claimed) {
    let run = Arc::new(Run {
        work,
        claim: claimed.claim,
        schedule: claimed.schedule,
        machines: claimed.targets.len(),
    });
    let mut targets = JoinSet::new();
    for target in claimed.targets {
        if !target.state.is_over() {
            targets.spawn(run.clone().reach(target));
        }
    }
    let mut renew = tokio::time::interval(LEASE / 3);
    renew.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        // All branches are cancel-safe; what is dropped with `targets` goes on at its agent.
        tokio::select! {
            () = run.work.stop.cancelled() => return,
            ended = targets.join_next() => match ended {
                None => break,
                Some(Ok(Ok(()))) => {}
                Some(Ok(Err(Taken))) => return,
                Some(Err(error)) => tracing::error!(%error, "a target of a run failed inside"),
            },
            _ = renew.tick() => {
                let held = run.workspace().renew(&run.claim, run.now_ms()).await;
                match held {
                    Ok(true) => {}
                    Ok(false) => return,
                    Err(error) => tracing::warn!(%error, "a lease was not renewed"),
                }
            }
        }
    }
    let _ = run.finish().await;
}

impl Run {
    fn workspace(&self) -> crate::store::Workspace<'_> {
        self.work.plane.store.workspace(self.claim.workspace)
    }

    fn now_ms(&self) -> u64 {
        self.work.plane.clock.now_ms()
    }

    async fn finish(&self) -> Result<(), Taken> {
        loop {
            let done = self
                .workspace()
                .finish_run(&self.claim, self.now_ms())
                .await;
            if let Some(done) = written(done).await {
                return done;
            }
        }
    }

    async fn keep(&self, target: &Target) -> Result<(), Taken> {
        loop {
            let kept = self.workspace().keep_target(&self.claim, target).await;
            if let Some(done) = written(kept).await {
                return done;
            }
        }
    }

    /// One machine, as often as it takes.
    async fn reach(self: Arc<Self>, mut target: Target) -> Result<(), Taken> {
        // Whoever held the run before us had asked for it: then it may be running.
        let mut begin = match (target.state, target.asked_at_ms) {
            (RunState::Running, Some(_)) => Begin::Resume,
            _ => Begin::Start,
        };
        loop {
            // It is never closed. A target that only waits for its next attempt takes no room.
            let room = self.work.execs.take(self.claim.workspace).await;
            let room = room.map_err(|_| Taken)?;
            if begin == Begin::Start {
                target.attempts += 1;
                target.state = RunState::Running;
                target.asked_at_ms = Some(self.now_ms());
                target.started_at_ms.get_or_insert(self.now_ms());
                self.keep(&target).await?;
            }
            let mut exec = Exec::new(
                &self.work.plane,
                &self.work.relays,
                (self.claim.workspace, &self.schedule),
                (&target.machine_id, target.exec_id),
                Tail::of(self.machines),
            );
            let limit = Duration::from_millis(self.schedule.spec.timeout_ms);
            let asked_at_ms = target.asked_at_ms.unwrap_or_else(|| self.now_ms());
            let contact = exec.contact();
            // Cancel-safe: what is given up is only the waiting.
            let ended = tokio::select! {
                ended = exec.see_through(begin) => Some(ended),
                () = self.overdue(asked_at_ms, limit, contact) => None,
            };
            let (outcome, link) = match ended {
                Some(ended) => ended,
                None => match exec.stop().await {
                    // It had ended, or did now: that is what became of it.
                    Some((finished, link)) => (Outcome::Finished(finished), Some(link)),
                    None => (exec.overdue(limit), None),
                },
            };
            exec.note(&mut target);
            self.judge(&mut target, &outcome);
            if !self.is_tried_again(&target) {
                target.ended_at_ms = Some(self.now_ms());
                self.keep(&target).await?;
                if let Some(link) = link {
                    link.goodbye().await;
                }
                return Ok(());
            }
            // An exec id that was not started may be asked for again: its agent takes it once.
            if target.state != RunState::Unreachable {
                target.exec_id = RunId::new();
            }
            target.asked_at_ms = None;
            target.state = RunState::Waiting;
            self.keep(&target).await?;
            if let Some(link) = link {
                link.goodbye().await;
            }
            drop(room);
            // It is kept; what waits an hour holds no output.
            drop(exec);
            target.tail = cmdop_proto::v1::OutputTail::default();
            tokio::time::sleep(backoff(&self.schedule.spec, target.attempts)).await;
            begin = Begin::Start;
        }
    }

    /// Returns when what was asked for then should have ended long ago, and its agent can be asked about it or was
    /// waited for as long once more: it may have been us who were away, and it keeps the end for us.
    async fn overdue(&self, asked_at_ms: u64, limit: Duration, mut contact: watch::Receiver<bool>) {
        let until_ms = asked_at_ms.saturating_add((limit + OVERDUE).as_millis() as u64);
        while self.now_ms() < until_ms {
            let left = Duration::from_millis(until_ms - self.now_ms().min(until_ms));
            tokio::time::sleep(left.min(LOOK)).await;
        }
        let _ = tokio::time::timeout(OVERDUE, contact.wait_for(|contact| *contact)).await;
    }

    fn judge(&self, target: &mut Target, outcome: &Outcome) {
        let (state, reason) = outcome.read(self.schedule.spec.timeout_ms);
        target.exit_code = outcome.exit_code();
        (target.state, target.reason) = (state, cmdop_proto::text::shown(&reason, 512));
    }

    fn is_tried_again(&self, target: &Target) -> bool {
        let spec = &self.schedule.spec;
        target.attempts <= u64::from(spec.retries)
            && match target.state {
                RunState::Unreachable => true,
                RunState::Failed | RunState::Lost => spec.retry_on == RetryOn::Failure,
                _ => false,
            }
    }
}

/// Nothing: it is to be written once more. The lease goes on meanwhile, and so does the database, for
/// everybody or for nobody.
async fn written(done: Result<bool, Error>) -> Option<Result<(), Taken>> {
    match done {
        Ok(true) => Some(Ok(())),
        Ok(false) => Some(Err(Taken)),
        Err(error) => {
            tracing::warn!(%error, "what became of a run was not written down yet");
            tokio::time::sleep(AGAIN).await;
            None
        }
    }
}

/// Doubled for each attempt, up to the longest.
fn backoff(spec: &Spec, attempts: u64) -> Duration {
    let doublings = attempts.saturating_sub(1).min(20) as u32;
    let wait = Duration::from_millis(spec.backoff_ms).saturating_mul(1 << doublings);
    wait.min(MAX_BACKOFF)
}

#[cfg(test)]
mod tests {
    use cmdop_proto::v1;

    use super::*;

    #[test]
    fn waits_before_retries_double_up_to_an_hour() {
        let spec = Spec::read(v1::ScheduleSpec {
            when: Some(v1::schedule_spec::When::EveryMs(1000)),
            command: vec!["true".into()],
            machines: vec!["web-1".into()],
            ..v1::ScheduleSpec::default()
        })
        .unwrap();
        let waits: Vec<_> = (1..=14).map(|n| backoff(&spec, n).as_secs()).collect();
        assert_eq!(waits[..4], [10, 20, 40, 80]);
        assert_eq!(waits[13], 3600);
    }
}
