//! Enrolled machines.

use std::collections::BTreeMap;

use cmdop_proto::{MachineId, WorkspaceId};
use sqlx::{Row as _, SqliteConnection};

use super::revocations::{Claim, revoke};
use super::{Error, Workspace, changes, id};

/// One machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Which.
    pub id: MachineId,
    /// Whose.
    pub workspace: WorkspaceId,
    /// Its hostname.
    pub name: String,
    /// What people sort it by.
    pub labels: BTreeMap<String, String>,
    /// Its operating system, as the machine said.
    pub os: String,
    /// Its processor, as the machine said.
    pub arch: String,
    /// Its Ed25519 key, PEM.
    pub public_key: String,
    /// When it joined.
    pub enrolled_at_ms: u64,
}

/// Why a machine was not changed.
#[derive(Debug, thiserror::Error)]
pub enum MachineError {
    /// The workspace has none of that name.
    #[error("this workspace has no such machine")]
    Unknown,
    /// Another one has that name.
    #[error("this workspace has a machine of that name already")]
    NameTaken,
    /// More labels than are kept.
    #[error("a machine has at most {} labels", crate::names::MAX_LABELS)]
    TooManyLabels,
    /// The database.
    #[error(transparent)]
    Store(#[from] Error),
}

impl From<sqlx::Error> for MachineError {
    fn from(error: sqlx::Error) -> Self {
        match error.as_database_error() {
            Some(violation) if violation.is_unique_violation() => Self::NameTaken,
            _ => Self::Store(error.into()),
        }
    }
}

impl<'r> sqlx::FromRow<'r, sqlx::sqlite::SqliteRow> for Machine {
    fn from_row(row: &'r sqlx::sqlite::SqliteRow) -> Result<Self, sqlx::Error> {
        let unreadable = |what| sqlx::Error::Decode(Box::new(Error::Unreadable { what }));
        Ok(Self {
            id: id(row.try_get("id")?).map_err(|_| unreadable("machine id"))?,
            workspace: id(row.try_get("workspace_id")?).map_err(|_| unreadable("workspace id"))?,
            name: row.try_get("name")?,
            labels: serde_json::from_str(row.try_get("labels")?)
                .map_err(|_| unreadable("label"))?,
            os: row.try_get("os")?,
            arch: row.try_get("arch")?,
            public_key: row.try_get("public_key")?,
            enrolled_at_ms: row.try_get::<i64, _>("enrolled_at_ms")? as u64,
        })
    }
}

pub(super) fn labels_text(labels: &BTreeMap<String, String>) -> String {
    serde_json::to_string(labels).expect("a map of strings is always JSON")
}

impl Workspace<'_> {
    /// All machines, by name.
    pub async fn machines(&self) -> Result<Vec<Machine>, Error> {
        Ok(sqlx::query_as(
            "SELECT id, workspace_id, name, labels, os, arch, public_key, enrolled_at_ms \
             FROM machines WHERE workspace_id = $1 ORDER BY name_key",
        )
        .bind(self.id.to_string())
        .fetch_all(&self.store.pool)
        .await?)
    }

    /// The machine with this id.
    pub async fn machine(&self, machine: MachineId) -> Result<Option<Machine>, Error> {
        Ok(sqlx::query_as(
            "SELECT id, workspace_id, name, labels, os, arch, public_key, enrolled_at_ms \
             FROM machines WHERE workspace_id = $1 AND id = $2",
        )
        .bind(self.id.to_string())
        .bind(machine.to_string())
        .fetch_optional(&self.store.pool)
        .await?)
    }

    /// Gives the machine that is called `machine`, or has that id, another name.
    pub async fn rename_machine(
        &self,
        machine: &str,
        name: &str,
        now_ms: u64,
    ) -> Result<Machine, MachineError> {
        let mut tx = self.store.begin().await?;
        let mut found = self.find(&mut tx, machine).await?;
        sqlx::query(
            "UPDATE machines SET name = $3, name_key = $4 WHERE workspace_id = $1 AND id = $2",
        )
        .bind(self.id.to_string())
        .bind(found.id.to_string())
        .bind(name)
        .bind(name.to_lowercase())
        .execute(&mut *tx)
        .await?;
        changes::record(
            &mut tx,
            changes::Kind::Machine,
            &found.id.to_string(),
            now_ms,
        )
        .await?;
        self.store.commit(tx).await?;
        name.clone_into(&mut found.name);
        Ok(found)
    }

    /// Sets and removes labels.
    pub async fn label_machine(
        &self,
        machine: &str,
        set: BTreeMap<String, String>,
        remove: &[String],
        now_ms: u64,
    ) -> Result<Machine, MachineError> {
        let mut tx = self.store.begin().await?;
        let mut found = self.find(&mut tx, machine).await?;
        found.labels.retain(|key, _| !remove.contains(key));
        found.labels.extend(set);
        if found.labels.len() > crate::names::MAX_LABELS {
            return Err(MachineError::TooManyLabels);
        }
        sqlx::query("UPDATE machines SET labels = $3 WHERE workspace_id = $1 AND id = $2")
            .bind(self.id.to_string())
            .bind(found.id.to_string())
            .bind(labels_text(&found.labels))
            .execute(&mut *tx)
            .await?;
        changes::record(
            &mut tx,
            changes::Kind::Machine,
            &found.id.to_string(),
            now_ms,
        )
        .await?;
        self.store.commit(tx).await?;
        Ok(found)
    }

    /// Forgets the machine: its tokens are void, its name is free.
    pub async fn remove_machine(
        &self,
        machine: &str,
        now_ms: u64,
    ) -> Result<Machine, MachineError> {
        let mut tx = self.store.begin().await?;
        let found = self.find(&mut tx, machine).await?;
        let id = found.id.to_string();
        sqlx::query("DELETE FROM machines WHERE workspace_id = $1 AND id = $2")
            .bind(self.id.to_string())
            .bind(&id)
            .execute(&mut *tx)
            .await?;
        revoke(&mut tx, Claim::Subject, &id, now_ms).await?;
        changes::record(&mut tx, changes::Kind::MachineRemoved, &id, now_ms).await?;
        self.store.commit(tx).await?;
        Ok(found)
    }

    async fn find(
        &self,
        connection: &mut SqliteConnection,
        machine: &str,
    ) -> Result<Machine, MachineError> {
        let found: Option<Machine> = sqlx::query_as(
            "SELECT id, workspace_id, name, labels, os, arch, public_key, enrolled_at_ms \
             FROM machines WHERE workspace_id = $1 AND (id = $2 OR name_key = $2) \
             ORDER BY CASE WHEN id = $2 THEN 0 ELSE 1 END LIMIT 1",
        )
        .bind(self.id.to_string())
        .bind(machine.to_lowercase())
        .fetch_optional(connection)
        .await?;
        found.ok_or(MachineError::Unknown)
    }
}
