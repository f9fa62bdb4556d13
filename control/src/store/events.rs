//! What clients are told as it happens, kept for those who come back: the newest events of a workspace, in
//! the order of their commits.
//!
//! An event is written in the transaction that does what it tells. Its number and its session's number
//! follow those before without a gap, so who has all up to one number knows what is missing. The audit log
//! is a stream too, numbered by itself: nothing of it is kept here.

use std::collections::HashMap;

use cmdop_proto::v1::AuditRecord;
use cmdop_proto::{SessionId, WorkspaceId};

use super::audit::RECORD;
use super::query::{FromRow, Query, Row, Value, assembled, query};
use super::{Error, Store, Transaction, Workspace, id};
use crate::publication::{self, Publication};
use crate::secret;

/// Events of a workspace that are kept, and the most that anybody can ask for again.
pub const KEPT: u64 = 2048;

/// What is beyond that is dropped when so many have come.
const SWEEP: u64 = 64;

/// How long an event is kept at most: a laptop that slept over the weekend.
pub const KEPT_FOR_MS: u64 = 7 * 24 * 60 * 60 * 1000;

/// Workspaces that are asked about in one statement.
pub(super) const AT_ONCE: usize = 200;

/// What has no place in a stream. Numbers begin at 1.
pub const UNNUMBERED: u64 = 0;

/// Whose events: each stream counts them by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stream {
    /// All of the workspace.
    Workspace,
    /// Those of one session.
    Session(SessionId),
    /// The records of the audit log.
    Audit,
}

/// One event as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Its number in the workspace, or in the audit log; [`UNNUMBERED`]: only those who listen now are told.
    pub number: u64,
    /// Whose it is besides, and its number there.
    pub session: Option<(SessionId, u64)>,
    /// A JSON object.
    pub told: String,
    /// The same for those who may read files, where there is more.
    pub told_with_paths: Option<String>,
}

impl Told {
    /// Its number in `stream`; nothing if it is not of that stream.
    pub fn number_in(&self, stream: Stream) -> Option<u64> {
        match stream {
            Stream::Workspace | Stream::Audit => Some(self.number),
            Stream::Session(id) => self
                .session
                .filter(|(session, _)| *session == id)
                .map(|(_, number)| number),
        }
    }
}

/// Where a stream ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// What numbers are worth: those of another epoch mean nothing.
    pub epoch: String,
    /// The number of the newest event; 0: there was none.
    pub newest: u64,
}

/// Which part of a stream.
#[derive(Clone, Copy, Debug)]
pub enum Part {
    /// What comes after a number, the oldest first.
    After(u64),
    /// What comes before a number, the newest first.
    Before(u64),
}

/// The numbers of the newest event and of the newest audit record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heads {
    /// Of the workspace's events.
    pub events: u64,
    /// Of its audit log.
    pub audit: u64,
}

impl FromRow for Told {
    fn from_row(row: &Row) -> Result<Self, sqlx::Error> {
        let session: Option<String> = row.get("session_id")?;
        let number: Option<i64> = row.get("session_number")?;
        let session = session
            .map(|text| id(&text))
            .transpose()
            .map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
        Ok(Self {
            number: row.count("number")?,
            session: session.zip(number.map(|number| number.max(0) as u64)),
            told: row.get("told")?,
            told_with_paths: row.get("told_with_paths")?,
        })
    }
}

impl From<AuditRecord> for Told {
    fn from(record: AuditRecord) -> Self {
        Self {
            number: record.seq,
            session: None,
            told: publication::audit(&record),
            told_with_paths: None,
        }
    }
}

impl Workspace<'_> {
    /// Whether what was reported under this key was told before.
    pub(super) async fn is_told(&self, tx: &mut Transaction, key: &str) -> Result<bool, Error> {
        let found: i64 =
            query("SELECT COUNT(*) FROM events WHERE workspace_id = $1 AND report_key = $2")
                .bind(self.id.to_string())
                .bind(key)
                .fetch_one(tx)
                .await?;
        Ok(found > 0)
    }

    /// Tells it, in the transaction that does it.
    pub(super) async fn tell(
        &self,
        tx: &mut Transaction,
        publication: Publication,
        at_ms: u64,
        report_key: Option<&str>,
    ) -> Result<(), Error> {
        let workspace = self.id.to_string();
        let session_number: Option<i64> = match publication.session {
            None => None,
            Some(session) => Some(
                query(
                    "UPDATE sessions SET event_count = event_count + 1 \
                     WHERE workspace_id = $1 AND id = $2 RETURNING event_count",
                )
                .bind(&workspace)
                .bind(session.to_string())
                .fetch_one(tx)
                .await?,
            ),
        };
        let number: i64 = query(
            "INSERT INTO event_heads (workspace_id, epoch, newest) VALUES ($1, $2, 1) \
             ON CONFLICT (workspace_id) DO UPDATE SET newest = event_heads.newest + 1 \
             RETURNING newest",
        )
        .bind(&workspace)
        .bind(new_epoch())
        .fetch_one(tx)
        .await?;
        query(
            "INSERT INTO events (workspace_id, number, session_id, session_number, at_ms, \
             report_key, told, told_with_paths) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(&workspace)
        .bind(number)
        .bind(publication.session.map(|session| session.to_string()))
        .bind(session_number)
        .bind(at_ms.min(i64::MAX as u64) as i64)
        .bind(report_key)
        .bind(publication.told)
        .bind(publication.told_with_paths)
        .execute(tx)
        .await?;
        self.sweep(tx, number.max(0) as u64).await
    }

    /// Drops what is beyond the bound, every now and then.
    async fn sweep(&self, tx: &mut Transaction, newest: u64) -> Result<(), Error> {
        if newest > KEPT && newest.is_multiple_of(SWEEP) {
            query("DELETE FROM events WHERE workspace_id = $1 AND number <= $2")
                .bind(self.id.to_string())
                .bind((newest - KEPT) as i64)
                .execute(tx)
                .await?;
        }
        Ok(())
    }

    /// The epoch of this workspace's numbers; the first who asks makes it. A restore ends it: see
    /// [`Store::end_epochs`].
    async fn epoch(&self) -> Result<String, Error> {
        let read = || {
            query("SELECT epoch FROM event_heads WHERE workspace_id = $1").bind(self.id.to_string())
        };
        let known: Option<String> = read().fetch_optional(&mut self.read().await?).await?;
        if let Some(epoch) = known.filter(|epoch| !epoch.is_empty()) {
            return Ok(epoch);
        }
        let mut tx = self.write().await?;
        query(
            "INSERT INTO event_heads (workspace_id, epoch, newest) VALUES ($1, $2, 0) \
             ON CONFLICT (workspace_id) DO UPDATE SET epoch = excluded.epoch \
             WHERE event_heads.epoch = ''",
        )
        .bind(self.id.to_string())
        .bind(new_epoch())
        .execute(&mut tx)
        .await?;
        let epoch = read().fetch_one(&mut tx).await?;
        tx.commit().await?;
        Ok(epoch)
    }

    /// At most `limit` events of a part of `stream`, with their numbers there, and where it ends: both as
    /// they are at one moment.
    pub async fn events(
        &self,
        stream: Stream,
        part: Part,
        limit: u32,
    ) -> Result<(Position, Vec<(u64, Told)>), Error> {
        let epoch = self.epoch().await?;
        let mut tx = self.read().await?;
        let newest: Option<i64> = self.newest(stream).fetch_optional(&mut tx).await?;
        let newest = newest.unwrap_or(0).max(0) as u64;
        let part = self.part(stream, part, limit);
        let found = if stream == Stream::Audit {
            let records: Vec<AuditRecord> = part.fetch_all(&mut tx).await?;
            records.into_iter().map(Told::from).collect()
        } else {
            part.fetch_all(&mut tx).await?
        };
        let numbered = found
            .into_iter()
            .filter_map(|told| Some((told.number_in(stream)?, told)))
            .collect();
        Ok((Position { epoch, newest }, numbered))
    }

    /// Asks for the number of the newest event.
    fn newest(&self, stream: Stream) -> Query {
        let workspace = self.id.to_string();
        match stream {
            Stream::Workspace => {
                query("SELECT newest FROM event_heads WHERE workspace_id = $1").bind(workspace)
            }
            Stream::Audit => {
                query("SELECT seq FROM audit_heads WHERE workspace_id = $1").bind(workspace)
            }
            Stream::Session(id) => {
                query("SELECT event_count FROM sessions WHERE workspace_id = $1 AND id = $2")
                    .bind(workspace)
                    .bind(id.to_string())
            }
        }
    }

    fn part(&self, stream: Stream, part: Part, limit: u32) -> Query {
        // Every piece of the text is ours.
        let (columns, table, number) = match stream {
            Stream::Audit => (RECORD, "audit", "seq"),
            Stream::Workspace => (EVENT, "events", "number"),
            Stream::Session(_) => (EVENT, "events", "session_number"),
        };
        let (sign, order, than) = match part {
            Part::After(number) => (">", "ASC", number),
            Part::Before(number) => ("<", "DESC", number),
        };
        let mut values: Vec<Value> = vec![
            self.id.to_string().into(),
            (than.min(i64::MAX as u64) as i64).into(),
            i64::from(limit).into(),
        ];
        let mut whose = "";
        if let Stream::Session(session) = stream {
            values.push(session.to_string().into());
            whose = " AND session_id = $4";
        }
        let statement = assembled(format!(
            "SELECT {columns} FROM {table} WHERE workspace_id = $1 AND {number} {sign} $2{whose} \
             ORDER BY {number} {order} LIMIT $3"
        ));
        values.into_iter().fold(statement, Query::bind)
    }
}

/// The columns of an event.
const EVENT: &str = "number, session_id, session_number, told, told_with_paths";

impl Store {
    /// Where the streams of these workspaces end.
    pub async fn event_heads(
        &self,
        workspaces: &[WorkspaceId],
    ) -> Result<HashMap<WorkspaceId, Heads>, Error> {
        let mut heads: HashMap<WorkspaceId, Heads> = HashMap::new();
        let mut tx = self.read().await?;
        for some in workspaces.chunks(AT_ONCE) {
            let places: Vec<_> = (1..=some.len()).map(|place| format!("${place}")).collect();
            let places = places.join(", ");
            for (table, number) in [("event_heads", "newest"), ("audit_heads", "seq")] {
                let statement = assembled(format!(
                    "SELECT workspace_id, {number} FROM {table} WHERE workspace_id IN ({places})"
                ));
                let statement = some
                    .iter()
                    .fold(statement, |statement, one| statement.bind(one.to_string()));
                let rows: Vec<(String, i64)> = statement.fetch_all(&mut tx).await?;
                for (workspace, newest) in rows {
                    let heads = heads.entry(id(&workspace)?).or_default();
                    let newest = newest.max(0) as u64;
                    match table {
                        "event_heads" => heads.events = newest,
                        _ => heads.audit = newest,
                    }
                }
            }
        }
        Ok(heads)
    }

    /// The numbers were put back by a restore: those that clients remember from before mean nothing any more.
    pub async fn end_epochs(&self) -> Result<(), Error> {
        let mut tx = self.write().await?;
        query("UPDATE event_heads SET epoch = ''")
            .execute(&mut tx)
            .await?;
        tx.commit().await
    }

    /// Drops the events of before `before_ms`.
    pub async fn forget_events(&self, before_ms: u64) -> Result<(), Error> {
        let mut tx = self.write().await?;
        for statement in [
            "DELETE FROM events WHERE at_ms < $1",
            "DELETE FROM transfer_progress WHERE at_ms < $1",
        ] {
            query(statement)
                .bind(before_ms.min(i64::MAX as u64) as i64)
                .execute(&mut tx)
                .await?;
        }
        tx.commit().await
    }
}

/// Short, since it travels with each subscription: 64 random bits.
fn new_epoch() -> String {
    let mut epoch = secret::random_hex();
    epoch.truncate(16);
    epoch
}

#[cfg(test)]
mod tests;
