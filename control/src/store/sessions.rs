//! The catalogue of sessions: what relays reported, by state, and the steps that led there.

use std::ops::RangeInclusive;

use cmdop_proto::{Reach, limits, text, v1};
use prost::Message as _;

use super::query::{FromRow, Query, Row, Value, assembled, query};
use super::{Error, Transaction, Workspace, id};
use crate::{publication, secret};

/// Sessions in one page, unless asked for fewer.
const PAGE: u32 = 100;

/// The most in one page.
const MAX_PAGE: u32 = 500;

/// What one page may take: it fits a frame. One record alone always does.
const MAX_BYTES: usize = 900 << 10;

/// Steps of one session that are kept: one that comes and goes all day does not grow for ever.
const MAX_STEPS: i64 = 200;

/// A record above this is cut to what people look for.
const MAX_RECORD: usize = 16 << 10;

/// Sessions that are forgotten in one transaction.
const FORGOTTEN_AT_ONCE: usize = 1000;

/// Which sessions: all that is given must match.
#[derive(Clone, Debug, Default)]
pub struct SessionFilter {
    /// A machine's name or id; empty: any.
    pub machine: String,
    /// A state, as the wire counts them; 0: any.
    pub status: i32,
    /// Who asked for them; empty: anybody.
    pub created_by: String,
    /// Made from then on.
    pub since_ms: u64,
    /// Made before; 0: no end.
    pub until_ms: u64,
    /// On which machines, as they are now.
    pub reach: Reach,
}

/// Where a page begins: after this session, in the order of the listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct After {
    created_at_ms: u64,
    id: String,
}

impl After {
    /// Reads what [`After::text`] made; nothing if it is something else.
    pub fn read(page: &str) -> Option<Self> {
        let (ms, id) = page.split_once('/')?;
        let id: cmdop_proto::SessionId = id.parse().ok()?;
        Some(Self {
            created_at_ms: ms.parse().ok()?,
            id: id.to_string(),
        })
    }

    /// As it travels.
    pub fn text(&self) -> String {
        format!("{}/{}", self.created_at_ms, self.id)
    }
}

/// A record of the catalogue. What it is found by is what its columns say, whatever was reported since.
struct Kept(v1::Session);

impl FromRow for Kept {
    fn from_row(row: &Row) -> Result<Self, sqlx::Error> {
        let unreadable = || sqlx::Error::Decode(Box::new(Error::Unreadable { what: "session" }));
        let record: String = row.get("record")?;
        let bytes = secret::unhex(&record).ok_or_else(unreadable)?;
        let mut session = v1::Session::decode(&bytes[..]).map_err(|_| unreadable())?;
        session.id = row.get("id")?;
        session.created_at_ms = row.count("created_at_ms")?;
        Ok(Self(session))
    }
}

/// One step of a session's life.
struct Step(v1::SessionStep);

impl FromRow for Step {
    fn from_row(row: &Row) -> Result<Self, sqlx::Error> {
        Ok(Self(v1::SessionStep {
            at_ms: row.count("at_ms")?,
            status: row.get::<i64>("status")? as i32,
            name: row.get("name")?,
            reason: row.get("reason")?,
            relay_id: row.get("relay_id")?,
        }))
    }
}

impl Workspace<'_> {
    /// Keeps what a relay reported, once; its ids are ids. An older state than the one that is kept is only
    /// a step. A session stays its machine's, and made when it was first said to be: nothing that another
    /// agent says of it is kept.
    pub(super) async fn keep_session(
        &self,
        tx: &mut Transaction,
        session: v1::Session,
        (key, relay, at_ms): (&str, &str, u64),
    ) -> Result<(), Error> {
        let mut session = bounded(session, &self.id.to_string());
        // An agent said when; the relay that heard it was later.
        session.created_at_ms = session.created_at_ms.min(at_ms);
        session.ended_at_ms = session.ended_at_ms.min(at_ms);
        let before: Option<(String, i64)> =
            query("SELECT machine_id, status FROM sessions WHERE workspace_id = $1 AND id = $2")
                .bind(self.id.to_string())
                .bind(&session.id)
                .fetch_optional(tx)
                .await?;
        if before
            .as_ref()
            .is_some_and(|(machine, _)| *machine != session.machine_id)
        {
            tracing::warn!(%relay, session = %session.id, "a report of another machine's session");
            return Ok(());
        }
        let is_newest = self.upsert_session(tx, &session, at_ms).await?;
        if is_newest && !self.is_told(tx, key).await? {
            let before = before.map(|(_, status)| status as i32);
            let told = publication::session(id(&session.id)?, before, &session, at_ms);
            self.tell(tx, told, at_ms, Some(key)).await?;
        }
        self.keep_step(tx, &session, (key, relay, at_ms)).await
    }

    /// False if a newer state of it is kept.
    async fn upsert_session(
        &self,
        tx: &mut Transaction,
        session: &v1::Session,
        at_ms: u64,
    ) -> Result<bool, Error> {
        let record = secret::hex(&session.encode_to_vec());
        let changed = query(
            "INSERT INTO sessions (workspace_id, id, machine_id, machine_name, status, created_by, \
             created_at_ms, ended_at_ms, changed_at_ms, record) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) \
             ON CONFLICT (workspace_id, id) DO UPDATE SET machine_name = excluded.machine_name, \
             status = excluded.status, ended_at_ms = excluded.ended_at_ms, \
             changed_at_ms = excluded.changed_at_ms, record = excluded.record \
             WHERE sessions.changed_at_ms <= excluded.changed_at_ms \
             AND (sessions.ended_at_ms IS NULL OR excluded.ended_at_ms IS NOT NULL)",
        )
        .bind(self.id.to_string())
        .bind(&session.id)
        .bind(&session.machine_id)
        .bind(&session.machine_name)
        .bind(i64::from(session.status))
        .bind(&session.created_by)
        .bind(session.created_at_ms as i64)
        .bind(ended(session))
        .bind(at_ms as i64)
        .bind(record)
        .execute(tx)
        .await?;
        Ok(changed == 1)
    }

    /// Keeps a step of a session's life, once.
    async fn keep_step(
        &self,
        tx: &mut Transaction,
        session: &v1::Session,
        (key, relay, at_ms): (&str, &str, u64),
    ) -> Result<(), Error> {
        let workspace = self.id.to_string();
        let steps: i64 =
            query("SELECT COUNT(*) FROM session_steps WHERE workspace_id = $1 AND session_id = $2")
                .bind(&workspace)
                .bind(&session.id)
                .fetch_one(tx)
                .await?;
        // The last step, its end, is always kept.
        if steps >= MAX_STEPS && ended(session).is_none() {
            return Ok(());
        }
        query(
            "INSERT INTO session_steps (workspace_id, session_id, report_key, at_ms, status, name, \
             reason, relay_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
             ON CONFLICT (workspace_id, session_id, report_key) DO NOTHING",
        )
        .bind(workspace)
        .bind(&session.id)
        .bind(key)
        .bind(at_ms as i64)
        .bind(i64::from(session.status))
        .bind(&session.name)
        .bind(&session.reason)
        .bind(relay)
        .execute(tx)
        .await?;
        Ok(())
    }

    /// Whether a relay ever reported it, on a machine within `reach`.
    pub async fn has_session(
        &self,
        session: cmdop_proto::SessionId,
        reach: &Reach,
    ) -> Result<bool, Error> {
        let machine: Option<String> =
            query("SELECT machine_id FROM sessions WHERE workspace_id = $1 AND id = $2")
                .bind(self.id.to_string())
                .bind(session.to_string())
                .fetch_optional(&mut self.read().await?)
                .await?;
        match machine {
            Some(machine) => self.is_reached(reach, id(&machine)?).await,
            None => Ok(false),
        }
    }

    /// A page of the catalogue, the newest first, and where the next one begins.
    pub async fn sessions(
        &self,
        filter: &SessionFilter,
        after: Option<&After>,
        limit: u32,
    ) -> Result<(Vec<v1::Session>, Option<After>), Error> {
        let limit = if limit == 0 {
            PAGE
        } else {
            limit.min(MAX_PAGE)
        };
        // One more than a page tells whether there is another.
        let statement = self.listing(filter, after, limit + 1);
        let found: Vec<Kept> = statement.fetch_all(&mut self.read().await?).await?;
        let count = found.len();
        let mut bytes = 0;
        let fits = |session: &v1::Session| {
            bytes += session.encoded_len() + 8;
            bytes <= MAX_BYTES
        };
        let sessions: Vec<_> = found
            .into_iter()
            .take(limit as usize)
            .map(|kept| kept.0)
            .take_while(fits)
            .collect();
        let has_more = sessions.len() < count;
        let next = sessions.last().filter(|_| has_more).map(|last| After {
            created_at_ms: last.created_at_ms,
            id: last.id.clone(),
        });
        Ok((sessions, next))
    }

    fn listing(&self, filter: &SessionFilter, after: Option<&After>, limit: u32) -> Query {
        let until = if filter.until_ms == 0 {
            i64::MAX
        } else {
            filter.until_ms.min(i64::MAX as u64) as i64
        };
        let mut values: Vec<Value> = vec![
            self.id.to_string().into(),
            (filter.since_ms.min(i64::MAX as u64) as i64).into(),
            until.into(),
            i64::from(limit).into(),
        ];
        let mut conditions = String::new();
        // Every piece of the text is ours; `$` stands for the place of the value.
        let mut wanted: Vec<(&str, Value)> = Vec::new();
        if filter.machine.parse::<cmdop_proto::MachineId>().is_ok() {
            wanted.push(("machine_id = $", filter.machine.to_lowercase().into()));
        } else if !filter.machine.is_empty() {
            wanted.push(("machine_name = $", filter.machine.as_str().into()));
        }
        if filter.status != 0 {
            wanted.push(("status = $", i64::from(filter.status).into()));
        }
        if !filter.created_by.is_empty() {
            wanted.push(("created_by = $", filter.created_by.as_str().into()));
        }
        for (condition, value) in wanted {
            values.push(value);
            let place = format!("${}", values.len());
            conditions.push_str(" AND ");
            conditions.push_str(&condition.replace('$', &place));
        }
        if let Reach::Fleets(fleets) = &filter.reach {
            let first = values.len() + 1;
            values.extend(fleets.iter().map(|fleet| fleet.to_string().into()));
            conditions.push_str(&on_machines_of(first..=values.len()));
        }
        if let Some(after) = after {
            let ms = after.created_at_ms.min(i64::MAX as u64) as i64;
            values.extend([ms.into(), after.id.as_str().into()]);
            let (at, id) = (values.len() - 1, values.len());
            let before = format!(" AND (created_at_ms, id) < (${at}, ${id})");
            conditions.push_str(&before);
        }
        let statement = assembled(format!(
            "SELECT id, created_at_ms, record FROM sessions \
             WHERE workspace_id = $1 AND created_at_ms >= $2 \
             AND created_at_ms < $3{conditions} ORDER BY created_at_ms DESC, id DESC LIMIT $4"
        ));
        values.into_iter().fold(statement, Query::bind)
    }

    /// One session with the steps of its life, if it is on a machine within `reach`.
    pub async fn session(
        &self,
        id: cmdop_proto::SessionId,
        reach: &Reach,
    ) -> Result<Option<(v1::Session, Vec<v1::SessionStep>)>, Error> {
        if !self.has_session(id, reach).await? {
            return Ok(None);
        }
        let mut tx = self.read().await?;
        let found: Option<Kept> = query(
            "SELECT id, created_at_ms, record FROM sessions WHERE workspace_id = $1 AND id = $2",
        )
        .bind(self.id.to_string())
        .bind(id.to_string())
        .fetch_optional(&mut tx)
        .await?;
        let Some(Kept(session)) = found else {
            return Ok(None);
        };
        let steps: Vec<Step> = query(
            "SELECT at_ms, status, name, reason, relay_id FROM session_steps \
             WHERE workspace_id = $1 AND session_id = $2 ORDER BY at_ms, report_key LIMIT $3",
        )
        .bind(self.id.to_string())
        .bind(id.to_string())
        .bind(MAX_STEPS + 1)
        .fetch_all(&mut tx)
        .await?;
        Ok(Some((
            session,
            steps.into_iter().map(|step| step.0).collect(),
        )))
    }
}

/// The condition that a session is on a machine of one of the fleets at these places.
fn on_machines_of(places: RangeInclusive<usize>) -> String {
    if places.is_empty() {
        return " AND 1 = 0".to_owned();
    }
    let places: Vec<_> = places.map(|place| format!("${place}")).collect();
    format!(
        " AND machine_id IN (SELECT machine_id FROM fleet_machines \
         WHERE fleet_machines.workspace_id = $1 AND fleet_id IN ({}))",
        places.join(", ")
    )
}

/// When it ended, as its column has it.
fn ended(session: &v1::Session) -> Option<i64> {
    (session.ended_at_ms > 0).then_some(session.ended_at_ms as i64)
}

/// Relays are ours, but what they report came from agents and clients.
fn bounded(mut session: v1::Session, workspace: &str) -> v1::Session {
    workspace.clone_into(&mut session.workspace_id);
    session.machine_name = text::shown(&session.machine_name, limits::MAX_HOSTNAME);
    session.name = text::shown(&session.name, limits::MAX_NAME);
    session.created_by = text::shown(&session.created_by, limits::MAX_NAME);
    session.reason = text::shown(&session.reason, 512);
    session.keyboard = None;
    if session.encoded_len() > MAX_RECORD {
        let first = session.command.first().map(|word| text::shown(word, 1024));
        session.command = first.into_iter().collect();
    }
    session
}

impl super::Store {
    /// Drops the records of sessions that ended before `ended_before_ms`, with their steps, a piece at a time: no writer
    /// waits for all of them, and a time that was shortened by years ends no statement.
    pub async fn forget_sessions(&self, ended_before_ms: u64) -> Result<(), Error> {
        let before = ended_before_ms.min(i64::MAX as u64) as i64;
        loop {
            let mut tx = self.write().await?;
            let forgotten: Vec<(String, String)> = query(
                "DELETE FROM sessions WHERE ended_at_ms < $1 AND (workspace_id, id) IN (SELECT workspace_id, id FROM sessions \
                 WHERE ended_at_ms < $1 ORDER BY ended_at_ms LIMIT $2) RETURNING workspace_id, id",
            )
            .bind(before)
            .bind(FORGOTTEN_AT_ONCE as i64)
            .fetch_all(&mut tx)
            .await?;
            // Were one of them reported once more, the numbers of its events would begin anew.
            for (workspace, session) in &forgotten {
                query(
                    "UPDATE events SET session_id = NULL, session_number = NULL \
                     WHERE workspace_id = $1 AND session_id = $2",
                )
                .bind(workspace)
                .bind(session)
                .execute(&mut tx)
                .await?;
            }
            tx.commit().await?;
            if forgotten.len() < FORGOTTEN_AT_ONCE {
                return Ok(());
            }
        }
    }
}
