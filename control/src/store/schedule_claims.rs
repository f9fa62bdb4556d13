//! Runs in the hands of one control plane at a time: a lease that is renewed while it lives, and a fence that is
//! higher for each holder, so that one who comes back from a long sleep changes nothing.

use std::time::Duration;

use cmdop_proto::token::Role;
use cmdop_proto::{RunId, WorkspaceId};

use super::audit::{Event, Outcome};
use super::query::{assembled, query};
use super::revocations::revoked_until_ms;
use super::schedule_runs::RunState;
use super::schedule_targets::{Target, select, verdict};
use super::schedules::{Schedule, ScheduleError, in_database};
use super::{Error, Standing, Store, Transaction, Workspace, id};
use crate::schedules::spec::Overlap;

/// How long a control plane that is not heard of keeps a run.
pub const LEASE: Duration = Duration::from_secs(30);

/// A run that is ours until somebody with a higher fence has it.
#[derive(Clone, Debug)]
pub struct Claim {
    /// Whose.
    pub workspace: WorkspaceId,
    /// Which.
    pub run: RunId,
    /// Our turn.
    fence: i64,
}

/// What there is to do.
#[derive(Clone, Debug)]
pub struct Claimed {
    /// Our right to do it.
    pub claim: Claim,
    /// Of which schedule.
    pub schedule: Schedule,
    /// Where; what is over is over.
    pub targets: Vec<Target>,
}

/// Whether somebody with a role may, and whether a refusal is to be recorded.
pub trait Judge: Send + Sync {
    /// Whether that role may run programs.
    fn may(&self, role: Role) -> bool;
    /// Whether one more refusal of this schedule goes into the audit log.
    fn is_recorded(&self, schedule: &Schedule) -> bool;
}

impl Store {
    /// Runs that nobody holds and whose turn it is, the longest due first, but for those of `others`.
    pub async fn open_runs(
        &self,
        now_ms: u64,
        limit: u32,
        others: &[WorkspaceId],
    ) -> Result<Vec<(WorkspaceId, RunId)>, Error> {
        let places: String = (3..others.len() + 3)
            .map(|place| format!("AND r.workspace_id <> ${place} "))
            .collect();
        let statement = assembled(format!(
            "SELECT r.workspace_id, r.id FROM schedule_runs r JOIN schedules s \
             ON s.workspace_id = r.workspace_id AND s.id = r.schedule_id \
             WHERE r.is_over = 0 AND r.lease_until_ms <= $1 \
             AND (r.state = 'running' OR s.overlap <> 'queue' OR NOT EXISTS \
             (SELECT 1 FROM schedule_runs o WHERE o.workspace_id = r.workspace_id \
             AND o.schedule_id = r.schedule_id AND o.state = 'running' AND o.is_over = 0)) \
             {places}ORDER BY r.due_at_ms, r.id LIMIT $2",
        ));
        let statement = statement.bind(in_database(now_ms)).bind(i64::from(limit));
        let statement = others
            .iter()
            .fold(statement, |statement, one| statement.bind(one.to_string()));
        let rows: Vec<(String, String)> = statement.fetch_all(&mut self.read().await?).await?;
        rows.into_iter()
            .map(|(workspace, run)| Ok((id(&workspace)?, id(&run)?)))
            .collect()
    }

    /// Lets go of all that `node` holds: the next one need not wait for the end of the leases.
    pub async fn release_runs(&self, node: &str) -> Result<(), Error> {
        let mut tx = self.write().await?;
        query("UPDATE schedule_runs SET lease_until_ms = 0 WHERE is_over = 0 AND node = $1")
            .bind(node)
            .execute(&mut tx)
            .await?;
        tx.commit().await
    }
}

impl Workspace<'_> {
    /// Takes a run that nobody holds. Nothing if somebody does by now, or if its owner may not: then it is
    /// over, and says so.
    pub async fn claim_run(
        &self,
        run: RunId,
        node: &str,
        judge: &dyn Judge,
        now_ms: u64,
    ) -> Result<Option<Claimed>, Error> {
        let mut tx = self.write().await?;
        let row: Option<(String, i64, String)> = query(
            "SELECT schedule_id, fence, state FROM schedule_runs \
             WHERE workspace_id = $1 AND id = $2 AND is_over = 0 AND lease_until_ms <= $3",
        )
        .bind(self.id.to_string())
        .bind(run.to_string())
        .bind(in_database(now_ms))
        .fetch_optional(&mut tx)
        .await?;
        let Some((schedule, fence, state)) = row else {
            return Ok(None);
        };
        let schedule = match self.find_schedule(&mut tx, &schedule).await {
            Ok(schedule) => schedule,
            Err(ScheduleError::Store(error)) => return Err(error),
            Err(_) => return Ok(None),
        };
        if state == "waiting" && self.must_wait(&mut tx, &schedule).await? {
            return Ok(None);
        }
        let claim = Claim {
            workspace: self.id,
            run,
            fence: fence + 1,
        };
        self.hold(&mut tx, &claim, node, now_ms).await?;
        let targets = if state == "waiting" {
            match self
                .begin_run(&mut tx, &claim, &schedule, judge, now_ms)
                .await?
            {
                Some(targets) => targets,
                None => {
                    self.store.commit(tx).await?;
                    return Ok(None);
                }
            }
        } else {
            self.targets_in(&mut tx, run).await?
        };
        self.store.commit(tx).await?;
        Ok(Some(Claimed {
            claim,
            schedule,
            targets,
        }))
    }

    /// Another run of a schedule goes on whose runs come one after the other.
    async fn must_wait(&self, tx: &mut Transaction, schedule: &Schedule) -> Result<bool, Error> {
        if schedule.spec.overlap != Overlap::Queue {
            return Ok(false);
        }
        let running: i64 = query(
            "SELECT COUNT(*) FROM schedule_runs \
             WHERE workspace_id = $1 AND schedule_id = $2 AND state = 'running' AND is_over = 0",
        )
        .bind(self.id.to_string())
        .bind(schedule.id.to_string())
        .fetch_one(tx)
        .await?;
        Ok(running > 0)
    }

    async fn hold(
        &self,
        tx: &mut Transaction,
        claim: &Claim,
        node: &str,
        now_ms: u64,
    ) -> Result<(), Error> {
        query(
            "UPDATE schedule_runs SET state = 'running', node = $3, fence = $4, lease_until_ms = $5, \
             started_at_ms = COALESCE(started_at_ms, $6) WHERE workspace_id = $1 AND id = $2",
        )
        .bind(self.id.to_string())
        .bind(claim.run.to_string())
        .bind(node)
        .bind(claim.fence)
        .bind(in_database(now_ms + LEASE.as_millis() as u64))
        .bind(in_database(now_ms))
        .execute(tx)
        .await?;
        Ok(())
    }

    /// Its machines, if its owner may run programs there.
    async fn begin_run(
        &self,
        tx: &mut Transaction,
        claim: &Claim,
        schedule: &Schedule,
        judge: &dyn Judge,
        now_ms: u64,
    ) -> Result<Option<Vec<Target>>, Error> {
        let allowed = match self.owner_of(tx, schedule, now_ms).await? {
            Err(why) => Err(why.to_owned()),
            Ok(standing) if judge.may(standing.role) => Ok(standing.reach),
            Ok(standing) => Err(format!(
                "{} is {} and may not run programs",
                schedule.owner_name,
                standing.role.as_str()
            )),
        };
        let reach = match allowed {
            Ok(reach) => reach,
            Err(why) => {
                self.refuse_run(tx, (claim, schedule), judge, &why, now_ms)
                    .await?;
                return Ok(None);
            }
        };
        let machines = self.machines_in(tx, &reach).await?;
        let targets = select(&schedule.spec, &machines);
        if targets.is_empty() {
            let why = "no machine matches";
            self.end_run(tx, claim, RunState::Unreachable, why, now_ms)
                .await?;
            return Ok(None);
        }
        for target in &targets {
            self.insert_target(tx, claim, target).await?;
        }
        Ok(Some(targets))
    }

    /// Ends a run that its owner may not have.
    async fn refuse_run(
        &self,
        tx: &mut Transaction,
        (claim, schedule): (&Claim, &Schedule),
        judge: &dyn Judge,
        why: &str,
        now_ms: u64,
    ) -> Result<(), Error> {
        self.end_run(tx, claim, RunState::Refused, why, now_ms)
            .await?;
        if !judge.is_recorded(schedule) {
            return Ok(());
        }
        let event = Event::new("schedule-refused", &schedule.name)
            .outcome(Outcome::Denied)
            .detail("id", schedule.id.to_string())
            .detail("run", claim.run.to_string())
            .detail("owner", &schedule.owner_name)
            .detail("reason", why);
        self.record(tx, event, now_ms).await
    }

    /// How the owner of a schedule stands now; or why nothing is to be run for them.
    async fn owner_of(
        &self,
        tx: &mut Transaction,
        schedule: &Schedule,
        now_ms: u64,
    ) -> Result<Result<Standing, &'static str>, Error> {
        let Some(account) = self.account_in(tx, schedule.owner).await? else {
            return Ok(Err("its owner is no member any more"));
        };
        if account.is_disabled {
            return Ok(Err("its owner's account is disabled"));
        }
        if let Some(key) = schedule.key {
            let good: i64 = query(
                "SELECT COUNT(*) FROM api_keys WHERE workspace_id = $1 AND id = $2 \
                 AND revoked_at_ms IS NULL AND (expires_at_ms IS NULL OR expires_at_ms > $3)",
            )
            .bind(self.id.to_string())
            .bind(key.to_string())
            .bind(in_database(now_ms))
            .fetch_one(tx)
            .await?;
            if good == 0 {
                return Ok(Err("the API key that it was made with has ended"));
            }
        }
        Ok(Ok(Standing {
            role: account.role,
            reach: self.reach_in(tx, account.id, account.role).await?,
            revoked_until_ms: revoked_until_ms(tx, &account.id.to_string()).await?,
        }))
    }

    /// How the owner of a schedule stands at this moment, for a token; nothing if there may be none.
    pub async fn schedule_standing(
        &self,
        schedule: &Schedule,
        now_ms: u64,
    ) -> Result<Option<Standing>, Error> {
        let mut tx = self.read().await?;
        let here: Option<String> =
            query("SELECT id FROM schedules WHERE workspace_id = $1 AND id = $2")
                .bind(self.id.to_string())
                .bind(schedule.id.to_string())
                .fetch_optional(&mut tx)
                .await?;
        if here.is_none() {
            return Ok(None);
        }
        Ok(self.owner_of(&mut tx, schedule, now_ms).await?.ok())
    }

    /// Holds a run for another [`LEASE`]. False: it is somebody else's, or gone.
    pub async fn renew(&self, claim: &Claim, now_ms: u64) -> Result<bool, Error> {
        let mut tx = self.write().await?;
        let held = query(
            "UPDATE schedule_runs SET lease_until_ms = $4 \
             WHERE workspace_id = $1 AND id = $2 AND fence = $3 AND is_over = 0",
        )
        .bind(self.id.to_string())
        .bind(claim.run.to_string())
        .bind(claim.fence)
        .bind(in_database(now_ms + LEASE.as_millis() as u64))
        .execute(&mut tx)
        .await?;
        tx.commit().await?;
        Ok(held == 1)
    }

    /// Ends a run whose targets are all over. False: it was somebody else's.
    pub async fn finish_run(&self, claim: &Claim, now_ms: u64) -> Result<bool, Error> {
        let mut tx = self.write().await?;
        if !self.is_held(&mut tx, claim).await? {
            return Ok(false);
        }
        let targets = self.targets_in(&mut tx, claim.run).await?;
        let (state, reason) = verdict(&targets);
        self.end_run(&mut tx, claim, state, &reason, now_ms).await?;
        tx.commit().await?;
        Ok(true)
    }

    pub(super) async fn is_held(&self, tx: &mut Transaction, claim: &Claim) -> Result<bool, Error> {
        let held: i64 = query(
            "SELECT COUNT(*) FROM schedule_runs \
             WHERE workspace_id = $1 AND id = $2 AND fence = $3 AND is_over = 0",
        )
        .bind(self.id.to_string())
        .bind(claim.run.to_string())
        .bind(claim.fence)
        .fetch_one(tx)
        .await?;
        Ok(held == 1)
    }

    async fn end_run(
        &self,
        tx: &mut Transaction,
        claim: &Claim,
        state: RunState,
        reason: &str,
        now_ms: u64,
    ) -> Result<(), Error> {
        query(
            "UPDATE schedule_runs SET state = $3, is_over = 1, reason = $4, ended_at_ms = $5 \
             WHERE workspace_id = $1 AND id = $2",
        )
        .bind(self.id.to_string())
        .bind(claim.run.to_string())
        .bind(state.as_str())
        .bind(reason)
        .bind(in_database(now_ms))
        .execute(tx)
        .await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
