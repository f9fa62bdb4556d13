//! The audit log: records are appended to their workspace's chain inside the transaction that does what
//! they tell, so that neither is there without the other. Nothing here changes or removes one.

use std::collections::BTreeMap;

use cmdop_proto::audit::{GENESIS, hash};
use cmdop_proto::v1::{AuditActor, AuditRecord};
use cmdop_proto::{limits, text};

use super::query::{FromRow, Row, assembled, query};
use super::{Error, Transaction, Workspace};
use crate::publication;

/// Records in one page, unless asked for fewer.
pub const PAGE: u32 = 500;

/// What one record's details may take in all.
const MAX_DETAIL: usize = 4096;

/// Details of one record.
const MAX_DETAILS: usize = 16;

/// What a name or an id in a record may take.
const MAX_WORD: usize = limits::MAX_HOSTNAME;

/// Who does something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    kind: &'static str,
    id: String,
    name: String,
}

impl Actor {
    /// The control plane itself.
    pub fn control() -> Self {
        Self::new("control", "", "")
    }

    /// `cmdop-control admin` on the control plane's own computer.
    pub fn admin() -> Self {
        Self::new("admin", "", "")
    }

    /// An account, a key, a machine or a relay.
    pub fn new(kind: &'static str, id: impl std::fmt::Display, name: &str) -> Self {
        Self {
            kind,
            id: id.to_string(),
            name: text::shown(name, MAX_WORD),
        }
    }
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was done.
    Allowed,
    /// The caller may not.
    Denied,
    /// The caller could not prove who they are, or it went wrong.
    Failed,
}

impl Outcome {
    /// The word that is kept.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Denied => "denied",
            Self::Failed => "failed",
        }
    }
}

/// Something that is to be recorded.
#[derive(Clone, Debug)]
pub struct Event {
    action: String,
    target: String,
    outcome: Outcome,
    detail: BTreeMap<String, String>,
}

impl Event {
    /// `action` is a stable word; `target` is a name or an id, or empty.
    pub fn new(action: &str, target: impl AsRef<str>) -> Self {
        Self {
            action: text::shown(action, limits::MAX_NAME),
            target: text::shown(target.as_ref(), MAX_WORD),
            outcome: Outcome::Allowed,
            detail: BTreeMap::new(),
        }
    }

    /// What came of it.
    #[must_use]
    pub fn outcome(mut self, outcome: Outcome) -> Self {
        self.outcome = outcome;
        self
    }

    /// More. What would be too much is cut.
    #[must_use]
    pub fn detail(mut self, key: &str, value: impl AsRef<str>) -> Self {
        let taken: usize = self.detail.iter().map(|(k, v)| k.len() + v.len()).sum();
        let room = MAX_DETAIL.saturating_sub(taken + key.len());
        if self.detail.len() < MAX_DETAILS && room > 0 {
            let value = text::shown(value.as_ref(), room);
            self.detail
                .insert(text::shown(key, limits::MAX_NAME), value);
        }
        self
    }
}

/// Which records: all that is given must match.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    /// Exactly this action; empty: any.
    pub action: String,
    /// An actor's name or id.
    pub actor: String,
    /// Exactly this target.
    pub target: String,
    /// Exactly this outcome.
    pub outcome: String,
    /// From this time on.
    pub since_ms: u64,
    /// Before this time; 0: no end.
    pub until_ms: u64,
}

/// The columns of a record.
pub(super) const RECORD: &str = "seq, at_ms, action, actor_kind, actor_id, actor_name, target, \
    outcome, detail, source, previous_hash, hash";

impl FromRow for AuditRecord {
    fn from_row(row: &Row) -> Result<Self, sqlx::Error> {
        Ok(Self {
            seq: row.count("seq")?,
            at_ms: row.count("at_ms")?,
            action: row.get("action")?,
            actor: Some(AuditActor {
                kind: row.get("actor_kind")?,
                id: row.get("actor_id")?,
                name: row.get("actor_name")?,
            }),
            target: row.get("target")?,
            outcome: row.get("outcome")?,
            // What cannot be read is told as it is: the chain then says that it was altered.
            detail: serde_json::from_str(&row.get::<String>("detail")?).unwrap_or_default(),
            source: row.get("source")?,
            previous_hash: row.get("previous_hash")?,
            hash: row.get("hash")?,
        })
    }
}

/// What a record says, without its place in the chain.
pub(super) fn outside(actor: &Actor, event: Event, at_ms: u64) -> AuditRecord {
    AuditRecord {
        at_ms,
        action: event.action,
        actor: Some(AuditActor {
            kind: actor.kind.to_owned(),
            id: actor.id.clone(),
            name: actor.name.clone(),
        }),
        target: event.target,
        outcome: event.outcome.as_str().to_owned(),
        detail: event.detail.into_iter().collect(),
        ..AuditRecord::default()
    }
}

impl Workspace<'_> {
    /// Appends to the chain, in the transaction that does what is told.
    pub(super) async fn record(
        &self,
        tx: &mut Transaction,
        event: Event,
        now_ms: u64,
    ) -> Result<(), Error> {
        self.append(tx, &self.actor, event, now_ms, None).await?;
        Ok(())
    }

    /// The same, by somebody who became known only now.
    pub(super) async fn record_as(
        &self,
        tx: &mut Transaction,
        actor: &Actor,
        event: Event,
        now_ms: u64,
    ) -> Result<(), Error> {
        self.append(tx, actor, event, now_ms, None).await?;
        Ok(())
    }

    /// Records what changed nothing: a refusal, or something that happened elsewhere.
    pub async fn note(&self, event: Event, now_ms: u64) -> Result<(), Error> {
        let mut tx = self.write().await?;
        self.record(&mut tx, event, now_ms).await?;
        self.store.commit(tx).await
    }

    /// The number of the new record; nothing if what is reported was kept before.
    pub(super) async fn append(
        &self,
        tx: &mut Transaction,
        actor: &Actor,
        event: Event,
        at_ms: u64,
        reported: Option<Reported<'_>>,
    ) -> Result<Option<u64>, Error> {
        let workspace = self.id.to_string();
        let (seq, previous_hash) = self.audit_head_in(tx).await?;
        let outcome = event.outcome;
        let mut record = AuditRecord {
            seq: seq + 1,
            source: reported
                .map_or("control", |reported| reported.source)
                .to_owned(),
            previous_hash,
            ..outside(actor, event, at_ms)
        };
        record.hash = hash(&workspace, &record);
        let report_key = reported.map(|reported| reported.key);
        if !insert(tx, &workspace, &record, report_key).await? {
            return Ok(None);
        }
        self.store.meters.record(&record.action, outcome);
        query(
            "INSERT INTO audit_heads (workspace_id, seq, hash) VALUES ($1, $2, $3) \
             ON CONFLICT (workspace_id) DO UPDATE SET seq = excluded.seq, hash = excluded.hash",
        )
        .bind(workspace)
        .bind(record.seq as i64)
        .bind(&record.hash)
        .execute(tx)
        .await?;
        if self.id != self.store.nobody().id
            && let Some(publication) = publication::audited(&record)
        {
            self.tell(tx, publication, at_ms, None).await?;
        }
        Ok(Some(record.seq))
    }

    async fn audit_head_in(&self, tx: &mut Transaction) -> Result<(u64, String), Error> {
        let head: Option<(i64, String)> =
            query("SELECT seq, hash FROM audit_heads WHERE workspace_id = $1")
                .bind(self.id.to_string())
                .fetch_optional(tx)
                .await?;
        Ok(head.map_or((0, GENESIS.to_owned()), |(seq, hash)| (seq as u64, hash)))
    }

    /// Where the chain ends: the newest record's number and hash.
    pub async fn audit_head(&self) -> Result<(u64, String), Error> {
        self.audit_head_in(&mut self.read().await?).await
    }

    /// The records after number `after` that match, the oldest first.
    pub async fn audit_after(
        &self,
        filter: &AuditFilter,
        after: u64,
        limit: u32,
    ) -> Result<Vec<AuditRecord>, Error> {
        self.audit(filter, after, limit, "ASC").await
    }

    /// The newest records that match, the oldest of them first.
    pub async fn newest_audit(
        &self,
        filter: &AuditFilter,
        limit: u32,
    ) -> Result<Vec<AuditRecord>, Error> {
        let mut records = self.audit(filter, 0, limit, "DESC").await?;
        records.reverse();
        Ok(records)
    }

    async fn audit(
        &self,
        filter: &AuditFilter,
        after: u64,
        limit: u32,
        order: &'static str,
    ) -> Result<Vec<AuditRecord>, Error> {
        // Values in the order of their placeholders; every piece of the text is ours.
        let mut values: Vec<String> = Vec::new();
        let mut conditions = String::new();
        for (value, condition) in [
            (&filter.action, "action = $"),
            (&filter.target, "target = $"),
            (&filter.outcome, "outcome = $"),
            (&filter.actor, "(actor_name = $ OR actor_id = $)"),
        ] {
            if !value.is_empty() {
                values.push(value.clone());
                let place = format!("${}", values.len() + 5);
                conditions.push_str(" AND ");
                conditions.push_str(&condition.replace('$', &place));
            }
        }
        let until = if filter.until_ms == 0 {
            i64::MAX
        } else {
            filter.until_ms as i64
        };
        let mut statement = assembled(format!(
            "SELECT {RECORD} FROM audit WHERE workspace_id = $1 AND seq > $2 \
             AND seq > COALESCE((SELECT seq FROM audit_anchors WHERE workspace_id = $1), 0) \
             AND at_ms >= $3 AND at_ms < $4{conditions} ORDER BY seq {order} LIMIT $5"
        ))
        .bind(self.id.to_string())
        .bind(after.min(i64::MAX as u64) as i64)
        .bind(filter.since_ms.min(i64::MAX as u64) as i64)
        .bind(until)
        .bind(i64::from(limit.clamp(1, PAGE)));
        for value in values {
            statement = statement.bind(value);
        }
        Ok(statement.fetch_all(&mut self.read().await?).await?)
    }
}

/// Where a record comes from that was reported.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reported<'a> {
    /// The relay's id.
    pub(super) source: &'a str,
    /// Its name for the record.
    pub(super) key: &'a str,
}

/// False if it was reported and kept before.
async fn insert(
    tx: &mut Transaction,
    workspace: &str,
    record: &AuditRecord,
    report_key: Option<&str>,
) -> Result<bool, Error> {
    let actor = record.actor.clone().unwrap_or_default();
    // In the order of the keys, so that the same details are the same text.
    let detail: BTreeMap<_, _> = record.detail.iter().collect();
    let detail = serde_json::to_string(&detail).expect("a map of strings is always JSON");
    let done = query(
        "INSERT INTO audit (workspace_id, seq, at_ms, action, actor_kind, actor_id, actor_name, \
         target, outcome, detail, source, report_key, previous_hash, hash) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) \
         ON CONFLICT (workspace_id, report_key) DO NOTHING",
    )
    .bind(workspace)
    .bind(record.seq as i64)
    .bind(record.at_ms as i64)
    .bind(&record.action)
    .bind(actor.kind)
    .bind(actor.id)
    .bind(actor.name)
    .bind(&record.target)
    .bind(&record.outcome)
    .bind(detail)
    .bind(&record.source)
    .bind(report_key)
    .bind(&record.previous_hash)
    .bind(&record.hash)
    .execute(tx)
    .await?;
    Ok(done == 1)
}

#[cfg(test)]
mod tests;
