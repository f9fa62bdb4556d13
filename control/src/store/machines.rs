//! Enrolled machines.

use std::collections::BTreeMap;

use super::audit::Event;
use super::query::{FromRow, Row, query};
use super::revocations::{Claim, revoke_for_good};
use super::{Error, Transaction, Workspace, changes, id};
use cmdop_proto::{FleetId, MachineId, Reach, WorkspaceId};

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
    /// The fleets that it is in, by name.
    pub fleets: Vec<String>,
    /// Their ids, in the same order.
    pub fleet_ids: Vec<FleetId>,
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

impl FromRow for Machine {
    fn from_row(row: &Row) -> Result<Self, sqlx::Error> {
        let unreadable = |what| sqlx::Error::Decode(Box::new(Error::Unreadable { what }));
        let fleets = row.get::<Option<String>>("fleets")?.unwrap_or_default();
        let (fleet_ids, fleets) = read_fleets(&fleets).ok_or_else(|| unreadable("fleet"))?;
        Ok(Self {
            id: id(&row.get::<String>("id")?).map_err(|_| unreadable("machine id"))?,
            workspace: id(&row.get::<String>("workspace_id")?)
                .map_err(|_| unreadable("workspace id"))?,
            name: row.get("name")?,
            labels: serde_json::from_str(&row.get::<String>("labels")?)
                .map_err(|_| unreadable("label"))?,
            os: row.get("os")?,
            arch: row.get("arch")?,
            public_key: row.get("public_key")?,
            enrolled_at_ms: row.count("enrolled_at_ms")?,
            fleets,
            fleet_ids,
        })
    }
}

/// The ids and names of fleets, `id=name,id=name…`.
fn read_fleets(text: &str) -> Option<(Vec<FleetId>, Vec<String>)> {
    let each = text.split(',').filter(|fleet| !fleet.is_empty());
    let read = each.map(|fleet| {
        let (id, name) = fleet.split_once('=')?;
        Some((id.parse::<FleetId>().ok()?, name.to_owned()))
    });
    let read: Option<Vec<_>> = read.collect();
    Some(read?.into_iter().unzip())
}

/// A machine's columns; what follows says which machines. The names of fleets hold no comma.
macro_rules! machines_where {
    ($condition:literal) => {
        concat!(
            "SELECT id, workspace_id, name, labels, os, arch, public_key, enrolled_at_ms, \
             (SELECT string_agg(fleets.id || '=' || fleets.name, ',' ORDER BY fleets.name_key) \
             FROM fleet_machines JOIN fleets ON fleets.workspace_id = fleet_machines.workspace_id \
             AND fleets.id = fleet_machines.fleet_id \
             WHERE fleet_machines.workspace_id = machines.workspace_id \
             AND fleet_machines.machine_id = machines.id) AS fleets FROM machines ",
            $condition
        )
    };
}

pub(super) use machines_where;

pub(super) fn labels_text(labels: &BTreeMap<String, String>) -> String {
    serde_json::to_string(labels).expect("a map of strings is always JSON")
}

impl Workspace<'_> {
    /// All machines that somebody with this reach knows of, by name.
    pub async fn machines(&self, reach: &Reach) -> Result<Vec<Machine>, Error> {
        self.machines_in(&mut self.read().await?, reach).await
    }

    pub(super) async fn machines_in(
        &self,
        tx: &mut Transaction,
        reach: &Reach,
    ) -> Result<Vec<Machine>, Error> {
        let mut all: Vec<Machine> =
            query(machines_where!("WHERE workspace_id = $1 ORDER BY name_key"))
                .bind(self.id.to_string())
                .fetch_all(tx)
                .await?;
        all.retain(|machine| reach.includes(&machine.fleet_ids));
        Ok(all)
    }

    /// The machine with this id.
    pub async fn machine(&self, machine: MachineId) -> Result<Option<Machine>, Error> {
        Ok(
            query(machines_where!("WHERE workspace_id = $1 AND id = $2"))
                .bind(self.id.to_string())
                .bind(machine.to_string())
                .fetch_optional(&mut self.read().await?)
                .await?,
        )
    }

    /// Gives the machine that is called `machine`, or has that id, another name.
    pub async fn rename_machine(
        &self,
        machine: &str,
        name: &str,
        now_ms: u64,
    ) -> Result<Machine, MachineError> {
        let mut tx = self.write().await?;
        let mut found = self.find(&mut tx, machine).await?;
        query("UPDATE machines SET name = $3, name_key = $4 WHERE workspace_id = $1 AND id = $2")
            .bind(self.id.to_string())
            .bind(found.id.to_string())
            .bind(name)
            .bind(name.to_lowercase())
            .execute(&mut tx)
            .await?;
        changes::record(
            &mut tx,
            changes::Kind::Machine,
            &found.id.to_string(),
            now_ms,
        )
        .await?;
        let event = Event::new("machine-renamed", name).detail("from", &found.name);
        self.record(&mut tx, event, now_ms).await?;
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
        let mut tx = self.write().await?;
        let mut found = self.find(&mut tx, machine).await?;
        found.labels.retain(|key, _| !remove.contains(key));
        found.labels.extend(set);
        if found.labels.len() > crate::names::MAX_LABELS {
            return Err(MachineError::TooManyLabels);
        }
        query("UPDATE machines SET labels = $3 WHERE workspace_id = $1 AND id = $2")
            .bind(self.id.to_string())
            .bind(found.id.to_string())
            .bind(labels_text(&found.labels))
            .execute(&mut tx)
            .await?;
        changes::record(
            &mut tx,
            changes::Kind::Machine,
            &found.id.to_string(),
            now_ms,
        )
        .await?;
        let labels = labels_text(&found.labels);
        let event = Event::new("machine-labelled", &found.name).detail("labels", labels);
        self.record(&mut tx, event, now_ms).await?;
        self.store.commit(tx).await?;
        Ok(found)
    }

    /// Forgets the machine: its tokens are void, its name is free.
    pub async fn remove_machine(
        &self,
        machine: &str,
        now_ms: u64,
    ) -> Result<Machine, MachineError> {
        let mut tx = self.write().await?;
        let found = self.find(&mut tx, machine).await?;
        let id = found.id.to_string();
        query("DELETE FROM machines WHERE workspace_id = $1 AND id = $2")
            .bind(self.id.to_string())
            .bind(&id)
            .execute(&mut tx)
            .await?;
        revoke_for_good(&mut tx, Claim::Subject, &id, now_ms).await?;
        changes::record(&mut tx, changes::Kind::MachineRemoved, &id, now_ms).await?;
        let event = Event::new("machine-removed", &found.name).detail("id", &id);
        self.record(&mut tx, event, now_ms).await?;
        self.store.commit(tx).await?;
        Ok(found)
    }

    pub(super) async fn find(
        &self,
        tx: &mut Transaction,
        machine: &str,
    ) -> Result<Machine, MachineError> {
        let found: Option<Machine> = query(machines_where!(
            "WHERE workspace_id = $1 AND (id = $2 OR name_key = $2) ORDER BY CASE WHEN id = $2 THEN 0 ELSE 1 END LIMIT 1"
        ))
        .bind(self.id.to_string())
        .bind(machine.to_lowercase())
        .fetch_optional(tx)
        .await?;
        found.ok_or(MachineError::Unknown)
    }
}
