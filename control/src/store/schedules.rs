//! Schedules: what is to be run at which times, and for whom. When the next time is, is written here and
//! decided in `crate::schedules`.

use cmdop_proto::{AccountId, LoginId};

use super::accounts::Account;
use super::audit::Event;
use super::query::{FromRow, Row, query};
use super::revocations::{Claim, revoke_for_good};
use super::{Error, Transaction, Workspace, id};
use crate::schedules::due::{self, Plan};
use crate::schedules::spec::{Spec, When};

/// Schedules of one workspace.
const MAX_SCHEDULES: i64 = 1000;

/// Schedules in one page.
pub const SCHEDULE_PAGE: u32 = 100;

/// One schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Which: also the `sid` of the tokens of its runs.
    pub id: LoginId,
    /// What people call it.
    pub name: String,
    /// For whom it acts; the account may be gone since.
    pub owner: AccountId,
    /// The account's name when it was made.
    pub owner_name: String,
    /// The API key that it was made with, if by one.
    pub key: Option<LoginId>,
    /// What, when and where.
    pub(crate) spec: Spec,
    /// When it was made: intervals are counted from there.
    pub created_at_ms: u64,
    /// Since when it is paused, if it is.
    pub paused_at_ms: Option<u64>,
    /// Its next time, if there is one.
    pub next_due_ms: Option<u64>,
}

/// One that is to be made.
#[derive(Clone, Debug)]
pub struct NewSchedule<'a> {
    /// What to call it.
    pub name: &'a str,
    /// For whom it acts.
    pub owner: &'a Account,
    /// The API key that asks for it, if one does.
    pub key: Option<LoginId>,
    /// What, when and where.
    pub(crate) spec: Spec,
    /// The caller's name for the request.
    pub request_id: &'a str,
}

/// Why a schedule was not changed.
#[derive(Debug, thiserror::Error)]
pub enum ScheduleError {
    /// The workspace has none of that name.
    #[error("this workspace has no such schedule")]
    Unknown,
    /// There is no such run of it.
    #[error("this schedule has no such run")]
    UnknownRun,
    /// Another one has that name.
    #[error("this workspace has a schedule of that name already")]
    NameTaken,
    /// It belongs to somebody else, and the caller may change their own only.
    #[error("it is the schedule of {owner}")]
    NotOwn {
        /// Whose it is.
        owner: String,
    },
    /// The workspace has as many as it may.
    #[error("a workspace has at most {MAX_SCHEDULES} schedules")]
    TooMany,
    /// It has as many runs that are not over as it may.
    #[error("as many runs of it as may be are not over")]
    TooManyRuns,
    /// It would never run.
    #[error("it would never run: no such time is to come")]
    Never,
    /// What says when to run it cannot be read.
    #[error("{0}")]
    Due(String),
    /// The database.
    #[error(transparent)]
    Store(#[from] Error),
}

impl From<sqlx::Error> for ScheduleError {
    fn from(error: sqlx::Error) -> Self {
        match error.as_database_error() {
            Some(violation) if violation.is_unique_violation() => Self::NameTaken,
            _ => Self::Store(error.into()),
        }
    }
}

impl From<due::Error> for ScheduleError {
    fn from(error: due::Error) -> Self {
        Self::Due(error.to_string())
    }
}

impl FromRow for Schedule {
    fn from_row(row: &Row) -> Result<Self, sqlx::Error> {
        let unreadable = |what| sqlx::Error::Decode(Box::new(Error::Unreadable { what }));
        let time = |column| -> Result<Option<u64>, sqlx::Error> {
            Ok(row.get::<Option<i64>>(column)?.map(|ms| ms.max(0) as u64))
        };
        let key: Option<String> = row.get("key_id")?;
        Ok(Self {
            id: id(&row.get::<String>("id")?).map_err(|_| unreadable("schedule id"))?,
            name: row.get("name")?,
            owner: id(&row.get::<String>("owner_id")?).map_err(|_| unreadable("account id"))?,
            owner_name: row.get("owner_name")?,
            key: key
                .map(|key| id(&key))
                .transpose()
                .map_err(|_| unreadable("key id"))?,
            spec: serde_json::from_str(&row.get::<String>("spec")?)
                .map_err(|_| unreadable("schedule"))?,
            created_at_ms: row.count("created_at_ms")?,
            paused_at_ms: time("paused_at_ms")?,
            next_due_ms: time("next_due_ms")?,
        })
    }
}

macro_rules! schedules_where {
    ($condition:literal) => {
        concat!(
            "SELECT id, name, owner_id, owner_name, key_id, spec, created_at_ms, paused_at_ms, \
             next_due_ms FROM schedules ",
            $condition
        )
    };
}

impl Schedule {
    /// What decides when it is due.
    pub(crate) fn plan(&self) -> Result<Plan, due::Error> {
        Plan::of(&self.spec.when, self.created_at_ms)
    }
}

impl Workspace<'_> {
    /// Keeps a new one. What was asked for before by the same request is answered again.
    pub async fn add_schedule(
        &self,
        new: NewSchedule<'_>,
        now_ms: u64,
    ) -> Result<Schedule, ScheduleError> {
        // A cron expression may be searched for long: nobody waits with a write for that.
        let plan = Plan::of(&new.spec.when, now_ms);
        let next = plan.map(|plan| plan.next_after(now_ms));
        let mut tx = self.write().await?;
        if let Some(made) = self.schedule_of_request(&mut tx, &new).await? {
            return Ok(made);
        }
        let others: i64 = query("SELECT COUNT(*) FROM schedules WHERE workspace_id = $1")
            .bind(self.id.to_string())
            .fetch_one(&mut tx)
            .await?;
        if others >= MAX_SCHEDULES {
            return Err(ScheduleError::TooMany);
        }
        let schedule = Schedule {
            id: LoginId::new(),
            name: new.name.to_owned(),
            owner: new.owner.id,
            owner_name: new.owner.name.clone(),
            key: new.key,
            spec: new.spec,
            created_at_ms: now_ms,
            paused_at_ms: None,
            next_due_ms: Some(next?.ok_or(ScheduleError::Never)?),
        };
        self.insert_schedule(&mut tx, &schedule, new.request_id)
            .await?;
        let event = Event::new("schedule-created", &schedule.name)
            .detail("id", schedule.id.to_string())
            .detail("when", when(&schedule.spec.when))
            .detail("on", on(&schedule.spec))
            .detail("command", schedule.spec.command.join(" "));
        self.record(&mut tx, event, now_ms).await?;
        self.store.commit(tx).await?;
        Ok(schedule)
    }

    async fn schedule_of_request(
        &self,
        tx: &mut Transaction,
        new: &NewSchedule<'_>,
    ) -> Result<Option<Schedule>, Error> {
        Ok(query(schedules_where!(
            "WHERE workspace_id = $1 AND request_id = $2 AND owner_id = $3"
        ))
        .bind(self.id.to_string())
        .bind(new.request_id)
        .bind(new.owner.id.to_string())
        .fetch_optional(tx)
        .await?)
    }

    async fn insert_schedule(
        &self,
        tx: &mut Transaction,
        schedule: &Schedule,
        request_id: &str,
    ) -> Result<(), ScheduleError> {
        let spec = serde_json::to_string(&schedule.spec).expect("strings and numbers are JSON");
        query(
            "INSERT INTO schedules (id, workspace_id, name, name_key, owner_id, owner_name, key_id, \
             overlap, spec, request_id, created_at_ms, next_due_ms) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        )
        .bind(schedule.id.to_string())
        .bind(self.id.to_string())
        .bind(&schedule.name)
        .bind(schedule.name.to_lowercase())
        .bind(schedule.owner.to_string())
        .bind(&schedule.owner_name)
        .bind(schedule.key.map(|key| key.to_string()))
        .bind(schedule.spec.overlap.as_str())
        .bind(spec)
        .bind(request_id)
        .bind(schedule.created_at_ms as i64)
        .bind(schedule.next_due_ms.map(in_database))
        .execute(tx)
        .await?;
        Ok(())
    }

    /// Those whose names come after `after`, of `owner` or (nobody) of all, by name; one more than a page tells
    /// whether there are others.
    pub async fn schedules_after(
        &self,
        after: &str,
        owner: Option<AccountId>,
    ) -> Result<Vec<Schedule>, Error> {
        Ok(query(schedules_where!(
            "WHERE workspace_id = $1 AND name_key > $2 AND ($4 = '' OR owner_id = $4) \
             ORDER BY name_key LIMIT $3"
        ))
        .bind(self.id.to_string())
        .bind(after.to_lowercase())
        .bind(i64::from(SCHEDULE_PAGE) + 1)
        .bind(owner.map(|owner| owner.to_string()).unwrap_or_default())
        .fetch_all(&mut self.read().await?)
        .await?)
    }

    /// The one of that name or id.
    pub async fn schedule(&self, schedule: &str) -> Result<Schedule, ScheduleError> {
        self.find_schedule(&mut self.read().await?, schedule).await
    }

    /// Stops its times from coming, or lets them come again: the first after now.
    pub async fn pause_schedule(
        &self,
        schedule: &str,
        own: Option<AccountId>,
        paused: Paused,
        now_ms: u64,
    ) -> Result<Schedule, ScheduleError> {
        // A cron expression may be searched for long: nobody waits with a write for that.
        let mut tx = self.read().await?;
        let seen = self.changeable_schedule(&mut tx, schedule, own).await?;
        drop(tx);
        let next = match paused {
            Paused::Yes => None,
            Paused::No => seen.plan()?.next_after(now_ms),
        };
        let mut tx = self.write().await?;
        let name = seen.id.to_string();
        let mut found = self.changeable_schedule(&mut tx, &name, own).await?;
        let is_so = found.paused_at_ms.is_some() == (paused == Paused::Yes);
        if is_so {
            return Ok(found);
        }
        // What it is due by never changes.
        found.next_due_ms = next;
        found.paused_at_ms = (paused == Paused::Yes).then_some(now_ms);
        query(
            "UPDATE schedules SET paused_at_ms = $3, next_due_ms = $4 \
             WHERE workspace_id = $1 AND id = $2",
        )
        .bind(self.id.to_string())
        .bind(found.id.to_string())
        .bind(found.paused_at_ms.map(in_database))
        .bind(found.next_due_ms.map(in_database))
        .execute(&mut tx)
        .await?;
        let action = match paused {
            Paused::Yes => "schedule-paused",
            Paused::No => "schedule-resumed",
        };
        let event = Event::new(action, &found.name).detail("id", found.id.to_string());
        self.record(&mut tx, event, now_ms).await?;
        self.store.commit(tx).await?;
        Ok(found)
    }

    /// Forgets it with its history. The tokens of its runs are void.
    pub async fn remove_schedule(
        &self,
        schedule: &str,
        own: Option<AccountId>,
        now_ms: u64,
    ) -> Result<(), ScheduleError> {
        let mut tx = self.write().await?;
        let found = self.changeable_schedule(&mut tx, schedule, own).await?;
        let id = found.id.to_string();
        query("DELETE FROM schedules WHERE workspace_id = $1 AND id = $2")
            .bind(self.id.to_string())
            .bind(&id)
            .execute(&mut tx)
            .await?;
        revoke_for_good(&mut tx, Claim::Login, &id, now_ms).await?;
        let event = Event::new("schedule-removed", &found.name).detail("id", &id);
        self.record(&mut tx, event, now_ms).await?;
        Ok(self.store.commit(tx).await?)
    }

    /// The one of that name or id, if it is of `own` (nobody: anybody's will do).
    pub(super) async fn changeable_schedule(
        &self,
        tx: &mut Transaction,
        schedule: &str,
        own: Option<AccountId>,
    ) -> Result<Schedule, ScheduleError> {
        let found = self.find_schedule(tx, schedule).await?;
        match own {
            Some(own) if own != found.owner => Err(ScheduleError::NotOwn {
                owner: found.owner_name,
            }),
            _ => Ok(found),
        }
    }

    pub(super) async fn find_schedule(
        &self,
        tx: &mut Transaction,
        schedule: &str,
    ) -> Result<Schedule, ScheduleError> {
        let found: Option<Schedule> = query(schedules_where!(
            "WHERE workspace_id = $1 AND (id = $2 OR name_key = $2) \
             ORDER BY CASE WHEN id = $2 THEN 0 ELSE 1 END LIMIT 1"
        ))
        .bind(self.id.to_string())
        .bind(schedule.to_lowercase())
        .fetch_optional(tx)
        .await?;
        found.ok_or(ScheduleError::Unknown)
    }
}

/// Whether a schedule is to be paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paused {
    /// Its times do not come.
    Yes,
    /// They do.
    No,
}

/// What lies beyond what the database can count is its end.
pub(super) fn in_database(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}

/// As the audit log has it.
fn when(when: &When) -> String {
    match when {
        When::Cron { expression, zone } => format!("{expression} {zone}"),
        When::At { at_ms } => format!("at {at_ms} ms"),
        When::Every { every_ms } => format!("every {every_ms} ms"),
    }
}

fn on(spec: &Spec) -> String {
    let mut on = spec.machines.clone();
    if !spec.fleet.is_empty() {
        on.push(format!("fleet {}", spec.fleet));
    }
    on.extend(
        spec.labels
            .iter()
            .map(|(key, value)| format!("{key}={value}")),
    );
    on.join(", ")
}
