//! Enrolment tokens of machines, each good for one machine, and the machine that uses it.

use std::collections::BTreeMap;

use cmdop_proto::MachineId;

use super::audit::{Actor, Event};
use super::machines::{Machine, labels_text};
use super::query::query;
use super::{Error, Workspace, changes, id};

/// Why a machine or relay did not join.
#[derive(Debug, thiserror::Error)]
pub enum EnrollError {
    /// We never made such a token.
    #[error("the enrolment token is not one of this control plane's")]
    Invalid,
    /// Its time is over.
    #[error("the enrolment token expired {ago_s} s ago")]
    Expired {
        /// Seconds since then.
        ago_s: u64,
    },
    /// It brought in another one already.
    #[error("the enrolment token was used already")]
    Used,
    /// The workspace has a machine of that name.
    #[error("the workspace has a machine named {name} already")]
    NameTaken {
        /// The name.
        name: String,
    },
    /// The database.
    #[error(transparent)]
    Store(#[from] Error),
}

impl From<sqlx::Error> for EnrollError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// What a machine says of itself when it joins; checked at the edge.
#[derive(Clone, Debug)]
pub struct NewMachine {
    /// Its hostname.
    pub name: String,
    /// Its Ed25519 key, PEM.
    pub public_key: String,
    /// Labels of its own; those of the token win.
    pub labels: BTreeMap<String, String>,
    /// Its operating system.
    pub os: String,
    /// Its processor.
    pub arch: String,
    /// Its agent.
    pub agent_version: String,
}

type TokenRow = (i64, Option<i64>, Option<String>, String);

impl Workspace<'_> {
    /// Keeps a token, by its hash.
    pub async fn add_machine_token(
        &self,
        hash: &str,
        labels: &BTreeMap<String, String>,
        expires_at_ms: u64,
        now_ms: u64,
    ) -> Result<(), Error> {
        let mut tx = self.write().await?;
        query(
            "INSERT INTO machine_tokens (hash, workspace_id, labels, expires_at_ms) \
             VALUES ($1, $2, $3, $4)",
        )
        .bind(hash)
        .bind(self.id.to_string())
        .bind(labels_text(labels))
        .bind(expires_at_ms as i64)
        .execute(&mut tx)
        .await?;
        let event = Event::new("machine-token-made", "").detail("labels", labels_text(labels));
        self.record(&mut tx, event, now_ms).await?;
        tx.commit().await
    }

    /// A machine joins with the token of this hash. A machine that asks again because the answer
    /// was lost (same token, same key) gets the same answer.
    pub async fn enroll_machine(
        &self,
        hash: &str,
        machine: NewMachine,
        now_ms: u64,
    ) -> Result<Machine, EnrollError> {
        let mut tx = self.write().await?;
        let row: Option<TokenRow> = query(
            "SELECT expires_at_ms, used_at_ms, used_by, labels FROM machine_tokens \
             WHERE workspace_id = $1 AND hash = $2",
        )
        .bind(self.id.to_string())
        .bind(hash)
        .fetch_optional(&mut tx)
        .await?;
        let (expires_at_ms, used, used_by, labels) = row.ok_or(EnrollError::Invalid)?;
        if used.is_some() {
            drop(tx);
            return self.enrolled_before(used_by, &machine.public_key).await;
        }
        if now_ms >= expires_at_ms as u64 {
            let ago_s = (now_ms - expires_at_ms as u64) / 1000;
            return Err(EnrollError::Expired { ago_s });
        }
        let given: BTreeMap<String, String> =
            serde_json::from_str(&labels).map_err(|_| Error::Unreadable { what: "label" })?;
        let joined = self.joined(machine, given, now_ms);
        self.insert(&mut tx, &joined.0, &joined.1).await?;
        query(
            "UPDATE machine_tokens SET used_at_ms = $3, used_by = $4 \
             WHERE workspace_id = $1 AND hash = $2",
        )
        .bind(self.id.to_string())
        .bind(hash)
        .bind(now_ms as i64)
        .bind(joined.0.id.to_string())
        .execute(&mut tx)
        .await?;
        let changed = joined.0.id.to_string();
        changes::record(&mut tx, changes::Kind::Machine, &changed, now_ms).await?;
        let itself = Actor::new("machine", joined.0.id, &joined.0.name);
        let event = Event::new("machine-enrolled", &joined.0.name);
        self.record_as(&mut tx, &itself, event, now_ms).await?;
        self.store.commit(tx).await?;
        Ok(joined.0)
    }

    async fn enrolled_before(
        &self,
        used_by: Option<String>,
        public_key: &str,
    ) -> Result<Machine, EnrollError> {
        let before: Option<MachineId> = used_by.as_deref().map(id).transpose()?;
        let machine = match before {
            Some(machine) => self.machine(machine).await?,
            None => None,
        };
        machine
            .filter(|machine| machine.public_key == public_key)
            .ok_or(EnrollError::Used)
    }

    fn joined(
        &self,
        new: NewMachine,
        given: BTreeMap<String, String>,
        now_ms: u64,
    ) -> (Machine, String) {
        let mut labels = new.labels;
        labels.extend(given);
        let machine = Machine {
            id: MachineId::new(),
            workspace: self.id,
            name: new.name,
            labels,
            os: new.os,
            arch: new.arch,
            public_key: new.public_key,
            enrolled_at_ms: now_ms,
            fleets: Vec::new(),
            fleet_ids: Vec::new(),
        };
        (machine, new.agent_version)
    }

    async fn insert(
        &self,
        tx: &mut super::Transaction,
        machine: &Machine,
        agent_version: &str,
    ) -> Result<(), EnrollError> {
        let done = query(
            "INSERT INTO machines (id, workspace_id, name, name_key, labels, os, arch, \
             agent_version, public_key, enrolled_at_ms) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) \
             ON CONFLICT (workspace_id, name_key) DO NOTHING",
        )
        .bind(machine.id.to_string())
        .bind(self.id.to_string())
        .bind(&machine.name)
        .bind(machine.name.to_lowercase())
        .bind(labels_text(&machine.labels))
        .bind(&machine.os)
        .bind(&machine.arch)
        .bind(agent_version)
        .bind(&machine.public_key)
        .bind(machine.enrolled_at_ms as i64)
        .execute(tx)
        .await?;
        if done == 0 {
            return Err(EnrollError::NameTaken {
                name: machine.name.clone(),
            });
        }
        Ok(())
    }
}
