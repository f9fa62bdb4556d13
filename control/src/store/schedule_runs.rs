//! The runs of schedules: rows for the times that have come, and what is kept of them. Whoever decides about
//! a time holds the workspace's lock and moves the schedule on in the same transaction, so that each time has
//! one row, however many control planes look at it.

use cmdop_proto::{AccountId, RunId, WorkspaceId, v1};

use super::audit::Event;
use super::query::{FromRow, Row, assembled, query};
use super::schedules::{Schedule, ScheduleError, in_database};
use super::{Error, Store, Transaction, Workspace, id};
use crate::schedules::turn::{self, Open};

/// Runs that are kept of one schedule; and as many more that were passed over or refused.
pub(super) const KEPT: i64 = 100;

/// The most runs in one page.
const MAX_PAGE: u32 = 100;

/// Runs in one page, unless asked otherwise.
const PAGE: u32 = 20;

/// Runs that somebody asked for and that are not over.
const MAX_ASKED: usize = 16;

/// What has become of a run, or of its part on one machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunState {
    /// Its turn has not come.
    Waiting,
    /// It goes on.
    Running,
    /// Exit code 0 everywhere.
    Succeeded,
    /// Another exit code, or too long.
    Failed,
    /// It was not started.
    Unreachable,
    /// Its owner may not.
    Refused,
    /// It was passed over.
    Skipped,
    /// It was started, and nobody knows how it ended.
    Lost,
}

impl RunState {
    const ALL: [Self; 8] = [
        Self::Waiting,
        Self::Running,
        Self::Succeeded,
        Self::Failed,
        Self::Unreachable,
        Self::Refused,
        Self::Skipped,
        Self::Lost,
    ];

    /// The word that is kept.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Unreachable => "unreachable",
            Self::Refused => "refused",
            Self::Skipped => "skipped",
            Self::Lost => "lost",
        }
    }

    pub(super) fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }

    /// Whether nothing more will become of it.
    pub fn is_over(self) -> bool {
        !matches!(self, Self::Waiting | Self::Running)
    }

    /// As it travels.
    pub fn on_the_wire(self) -> v1::ScheduleRunState {
        match self {
            Self::Waiting => v1::ScheduleRunState::Waiting,
            Self::Running => v1::ScheduleRunState::Running,
            Self::Succeeded => v1::ScheduleRunState::Succeeded,
            Self::Failed => v1::ScheduleRunState::Failed,
            Self::Unreachable => v1::ScheduleRunState::Unreachable,
            Self::Refused => v1::ScheduleRunState::Refused,
            Self::Skipped => v1::ScheduleRunState::Skipped,
            Self::Lost => v1::ScheduleRunState::Lost,
        }
    }
}

/// One run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScheduleRun {
    /// Which.
    pub id: RunId,
    /// The time that it stands for.
    pub due_at_ms: u64,
    /// Who asked for it; empty: its time came.
    pub requested_by: String,
    /// What has become of it.
    pub state: RunState,
    /// Why.
    pub reason: String,
    /// When it was begun.
    pub started_at_ms: Option<u64>,
    /// When it was over.
    pub ended_at_ms: Option<u64>,
    /// On how many machines.
    pub machines: u64,
    /// On how many of them it succeeded.
    pub succeeded: u64,
}

impl FromRow for ScheduleRun {
    fn from_row(row: &Row) -> Result<Self, sqlx::Error> {
        let unreadable = |what| sqlx::Error::Decode(Box::new(Error::Unreadable { what }));
        let time = |column| -> Result<Option<u64>, sqlx::Error> {
            Ok(row.get::<Option<i64>>(column)?.map(|ms| ms.max(0) as u64))
        };
        Ok(Self {
            id: id(&row.get::<String>("id")?).map_err(|_| unreadable("run id"))?,
            due_at_ms: row.count("due_at_ms")?,
            requested_by: row.get("requested_by")?,
            state: RunState::parse(&row.get::<String>("state")?)
                .ok_or_else(|| unreadable("state of a run"))?,
            reason: row.get("reason")?,
            started_at_ms: time("started_at_ms")?,
            ended_at_ms: time("ended_at_ms")?,
            machines: row.count("machines")?,
            succeeded: row.count("succeeded")?,
        })
    }
}

macro_rules! runs_where {
    ($condition:literal) => {
        concat!(
            "SELECT id, due_at_ms, requested_by, state, reason, started_at_ms, ended_at_ms, \
             (SELECT COUNT(*) FROM schedule_targets WHERE schedule_targets.workspace_id = schedule_runs.workspace_id \
             AND schedule_targets.run_id = schedule_runs.id) AS machines, \
             (SELECT COUNT(*) FROM schedule_targets WHERE schedule_targets.workspace_id = schedule_runs.workspace_id \
             AND schedule_targets.run_id = schedule_runs.id AND schedule_targets.state = 'succeeded') AS succeeded \
             FROM schedule_runs ",
            $condition
        )
    };
}

/// A row that is to be made.
struct NewRun<'a> {
    due_key: String,
    due_at_ms: u64,
    requested_by: &'a str,
    /// Why it is passed over, if it is.
    passed_over: Option<&'a str>,
}

impl Store {
    /// Schedules of all workspaces whose time has come, the longest ago first.
    pub async fn due_schedules(
        &self,
        now_ms: u64,
        limit: u32,
    ) -> Result<Vec<(WorkspaceId, String)>, Error> {
        let rows: Vec<(String, String)> = query(
            "SELECT workspace_id, id FROM schedules WHERE next_due_ms <= $1 \
             ORDER BY next_due_ms LIMIT $2",
        )
        .bind(in_database(now_ms))
        .bind(i64::from(limit))
        .fetch_all(&mut self.read().await?)
        .await?;
        rows.into_iter()
            .map(|(workspace, schedule)| Ok((id(&workspace)?, schedule)))
            .collect()
    }

    /// When the next time of any schedule comes.
    pub async fn next_due(&self) -> Result<Option<u64>, Error> {
        let next: Option<Option<i64>> =
            query("SELECT MIN(next_due_ms) FROM schedules WHERE next_due_ms IS NOT NULL")
                .fetch_optional(&mut self.read().await?)
                .await?;
        Ok(next.flatten().map(|ms| ms.max(0) as u64))
    }
}

/// The times of a schedule that have come, and the next.
fn come(schedule: &Schedule, now_ms: u64) -> (Vec<turn::Time>, Option<u64>) {
    let Some(first_ms) = schedule.next_due_ms else {
        return (Vec::new(), None);
    };
    match schedule.plan() {
        Ok(plan) => turn::come(&plan, first_ms, now_ms),
        // A zone that the system has no more: it stands still until somebody looks.
        Err(error) => {
            tracing::error!(schedule = schedule.name, %error, "a schedule cannot be read any more");
            (Vec::new(), None)
        }
    }
}

impl Workspace<'_> {
    /// Makes rows for the times of a schedule that have come by now, and moves it on; says how many are to
    /// be run. Somebody else may have done it meanwhile.
    pub async fn fire(&self, schedule: &str, now_ms: u64) -> Result<usize, Error> {
        // A cron expression may be searched for long: nobody waits with a write for that.
        let Some(seen) = self.schedule_to_fire(schedule, now_ms).await? else {
            return Ok(0);
        };
        let (times, next) = come(&seen, now_ms);
        let mut tx = self.write().await?;
        let found = match self.find_schedule(&mut tx, &seen.id.to_string()).await {
            Ok(found) => found,
            Err(ScheduleError::Store(error)) => return Err(error),
            Err(_) => return Ok(0),
        };
        // Somebody fired it meanwhile, or paused it: the times are theirs.
        if found.next_due_ms != seen.next_due_ms || found.spec != seen.spec {
            return Ok(0);
        }
        let mut open = self.open_runs_of(&mut tx, &found).await?;
        let mut to_run = 0;
        for time in times {
            let (overlap, misfire) = (found.spec.overlap, found.spec.misfire);
            let passed_over = turn::passed_over(time, overlap, misfire, open);
            let run = NewRun {
                due_key: time.at_ms.to_string(),
                due_at_ms: time.at_ms,
                requested_by: "",
                passed_over,
            };
            let is_new = self.insert_run(&mut tx, &found, &run, now_ms).await?;
            if is_new.is_some() && passed_over.is_none() {
                open.waiting += 1;
                to_run += 1;
            }
        }
        query("UPDATE schedules SET next_due_ms = $3 WHERE workspace_id = $1 AND id = $2")
            .bind(self.id.to_string())
            .bind(found.id.to_string())
            .bind(next.map(in_database))
            .execute(&mut tx)
            .await?;
        self.trim_runs(&mut tx, &found).await?;
        tx.commit().await?;
        Ok(to_run)
    }

    /// The schedule, if a time of it has come.
    async fn schedule_to_fire(
        &self,
        schedule: &str,
        now_ms: u64,
    ) -> Result<Option<Schedule>, Error> {
        match self.find_schedule(&mut self.read().await?, schedule).await {
            Ok(found) => {
                Ok(Some(found).filter(|found| found.next_due_ms.is_some_and(|due| due <= now_ms)))
            }
            Err(ScheduleError::Store(error)) => Err(error),
            Err(_) => Ok(None),
        }
    }

    /// One run besides its times, for `by`; of the same request the same one.
    pub async fn run_schedule(
        &self,
        schedule: &str,
        own: Option<AccountId>,
        (request_id, by): (&str, &str),
        now_ms: u64,
    ) -> Result<RunId, ScheduleError> {
        let mut tx = self.write().await?;
        let found = self.changeable_schedule(&mut tx, schedule, own).await?;
        let known: Option<String> = query(
            "SELECT id FROM schedule_runs WHERE workspace_id = $1 AND schedule_id = $2 AND due_key = $3",
        )
        .bind(self.id.to_string())
        .bind(found.id.to_string())
        .bind(request_id)
        .fetch_optional(&mut tx)
        .await?;
        if let Some(known) = known {
            return Ok(id(&known)?);
        }
        if self.open_runs_of(&mut tx, &found).await?.waiting >= MAX_ASKED {
            return Err(ScheduleError::TooManyRuns);
        }
        let run = NewRun {
            due_key: request_id.to_owned(),
            due_at_ms: now_ms,
            requested_by: by,
            passed_over: None,
        };
        let made = self.insert_run(&mut tx, &found, &run, now_ms).await?;
        let made = made.ok_or(ScheduleError::UnknownRun)?;
        let event = Event::new("schedule-run-now", &found.name)
            .detail("id", found.id.to_string())
            .detail("run", made.to_string());
        self.record(&mut tx, event, now_ms).await?;
        self.trim_runs(&mut tx, &found).await?;
        self.store.commit(tx).await?;
        Ok(made)
    }

    /// Nothing if there is a row for that time already.
    async fn insert_run(
        &self,
        tx: &mut Transaction,
        schedule: &Schedule,
        run: &NewRun<'_>,
        now_ms: u64,
    ) -> Result<Option<RunId>, Error> {
        let made = RunId::new();
        let state = match run.passed_over {
            Some(_) => RunState::Skipped,
            None => RunState::Waiting,
        };
        let done = query(
            "INSERT INTO schedule_runs (workspace_id, id, schedule_id, due_key, due_at_ms, requested_by, \
             state, is_over, reason, ended_at_ms, node, fence, lease_until_ms) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, '', 0, 0) \
             ON CONFLICT (workspace_id, schedule_id, due_key) DO NOTHING",
        )
        .bind(self.id.to_string())
        .bind(made.to_string())
        .bind(schedule.id.to_string())
        .bind(&run.due_key)
        .bind(in_database(run.due_at_ms))
        .bind(run.requested_by)
        .bind(state.as_str())
        .bind(i64::from(state.is_over()))
        .bind(run.passed_over.unwrap_or_default())
        .bind(state.is_over().then_some(in_database(now_ms)))
        .execute(tx)
        .await?;
        Ok((done == 1).then_some(made))
    }

    async fn open_runs_of(&self, tx: &mut Transaction, schedule: &Schedule) -> Result<Open, Error> {
        let states: Vec<String> = query(
            "SELECT state FROM schedule_runs \
             WHERE workspace_id = $1 AND schedule_id = $2 AND is_over = 0",
        )
        .bind(self.id.to_string())
        .bind(schedule.id.to_string())
        .fetch_all(tx)
        .await?;
        let waiting = states.iter().filter(|state| *state == "waiting").count();
        Ok(Open {
            waiting,
            running: states.len() - waiting,
        })
    }

    /// The oldest go, those that ran and those that did not apart: a schedule that is passed over every
    /// second keeps the record of what it did.
    async fn trim_runs(&self, tx: &mut Transaction, schedule: &Schedule) -> Result<(), Error> {
        for which in [
            "state IN ('skipped', 'refused')",
            "state NOT IN ('skipped', 'refused')",
        ] {
            assembled(format!(
                "DELETE FROM schedule_runs WHERE workspace_id = $1 AND schedule_id = $2 AND is_over = 1 \
                 AND {which} AND id NOT IN (SELECT id FROM schedule_runs WHERE workspace_id = $1 \
                 AND schedule_id = $2 AND {which} ORDER BY due_at_ms DESC, id DESC LIMIT $3)"
            ))
            .bind(self.id.to_string())
            .bind(schedule.id.to_string())
            .bind(KEPT)
            .execute(tx)
            .await?;
        }
        Ok(())
    }

    /// A page of what it did, the newest first, and where the next page begins.
    pub async fn schedule_runs(
        &self,
        schedule: &str,
        after: Option<(u64, RunId)>,
        limit: u32,
    ) -> Result<(Vec<ScheduleRun>, Option<(u64, RunId)>), ScheduleError> {
        let limit = if limit == 0 {
            PAGE
        } else {
            limit.min(MAX_PAGE)
        } as usize;
        let mut tx = self.read().await?;
        let found = self.find_schedule(&mut tx, schedule).await?;
        let (before_ms, before) = after.map_or((i64::MAX, String::new()), |(ms, run)| {
            (in_database(ms), run.to_string())
        });
        let mut runs: Vec<ScheduleRun> = query(runs_where!(
            "WHERE workspace_id = $1 AND schedule_id = $2 AND (due_at_ms, id) < ($3, $4) \
             ORDER BY due_at_ms DESC, id DESC LIMIT $5"
        ))
        .bind(self.id.to_string())
        .bind(found.id.to_string())
        .bind(before_ms)
        .bind(before)
        .bind(limit as i64 + 1)
        .fetch_all(&mut tx)
        .await?;
        let has_more = runs.len() > limit;
        runs.truncate(limit);
        let next = runs.last().filter(|_| has_more);
        let next = next.map(|last| (last.due_at_ms, last.id));
        Ok((runs, next))
    }

    /// The newest run of each schedule that was not passed over.
    pub async fn last_runs(
        &self,
        schedules: &[Schedule],
    ) -> Result<Vec<Option<ScheduleRun>>, Error> {
        let mut tx = self.read().await?;
        let mut last = Vec::with_capacity(schedules.len());
        for schedule in schedules {
            let run = query(runs_where!(
                "WHERE workspace_id = $1 AND schedule_id = $2 AND state <> 'skipped' \
                 ORDER BY due_at_ms DESC, id DESC LIMIT 1"
            ))
            .bind(self.id.to_string())
            .bind(schedule.id.to_string())
            .fetch_optional(&mut tx)
            .await?;
            last.push(run);
        }
        Ok(last)
    }

    /// One run of a schedule.
    pub async fn schedule_run(
        &self,
        schedule: &Schedule,
        run: RunId,
    ) -> Result<ScheduleRun, ScheduleError> {
        let found: Option<ScheduleRun> = query(runs_where!(
            "WHERE workspace_id = $1 AND schedule_id = $2 AND id = $3"
        ))
        .bind(self.id.to_string())
        .bind(schedule.id.to_string())
        .bind(run.to_string())
        .fetch_optional(&mut self.read().await?)
        .await?;
        found.ok_or(ScheduleError::UnknownRun)
    }
}
