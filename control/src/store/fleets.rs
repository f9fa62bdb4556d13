//! Fleets: named sets of machines. Relays hear of a machine whose fleets change.

use cmdop_proto::Reach;
use cmdop_proto::limits::{MAX_FLEETS_OF_ACCOUNT, MAX_FLEETS_OF_MACHINE};

use super::audit::Event;
use super::machines::MachineError;
use super::members::MemberError;
use super::query::{FromRow, Row, query};
use super::{Error, Transaction, Workspace, changes};

/// Fleets of one workspace.
const MAX_FLEETS: i64 = 1000;

/// What the audit log calls it.
const MACHINE_REMOVED: &str = "fleet-machine-removed";

/// One fleet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fleet {
    /// Which.
    pub id: String,
    /// Its name, unique in the workspace.
    pub name: String,
    /// Machines in it.
    pub machine_count: u64,
    /// Accounts that are members of it.
    pub member_count: u64,
    /// When it was made.
    pub created_at_ms: u64,
}

/// Why a fleet was not changed.
#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    /// The workspace has none of that name.
    #[error("this workspace has no such fleet")]
    Unknown,
    /// Another one has that name.
    #[error("this workspace has a fleet of that name already")]
    NameTaken,
    /// The workspace has as many as it may.
    #[error("a workspace has at most {MAX_FLEETS} fleets")]
    TooMany,
    /// A machine is in as many as it may be.
    #[error("a machine is in at most {MAX_FLEETS_OF_MACHINE} fleets")]
    TooManyOfMachine,
    /// An account is a member of as many as it may be.
    #[error("an account is a member of at most {MAX_FLEETS_OF_ACCOUNT} fleets")]
    TooManyOfMember,
    /// It has as many members as it may.
    #[error("a fleet has at most 1000 members")]
    TooManyMembers,
    /// One of the members.
    #[error("{error}")]
    Member {
        /// Its name, as it was given.
        name: String,
        /// What is wrong with it.
        error: MemberError,
    },
    /// One of the machines.
    #[error("{error}")]
    Machine {
        /// Its name, as it was given.
        name: String,
        /// What is wrong with it.
        error: MachineError,
    },
    /// The database.
    #[error(transparent)]
    Store(#[from] Error),
}

impl From<sqlx::Error> for FleetError {
    fn from(error: sqlx::Error) -> Self {
        match error.as_database_error() {
            Some(violation) if violation.is_unique_violation() => Self::NameTaken,
            _ => Self::Store(error.into()),
        }
    }
}

impl FromRow for Fleet {
    fn from_row(row: &Row) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: row.get("id")?,
            name: row.get("name")?,
            machine_count: row.count("machine_count")?,
            member_count: row.count("member_count")?,
            created_at_ms: row.count("created_at_ms")?,
        })
    }
}

macro_rules! fleets_where {
    ($condition:literal) => {
        concat!(
            "SELECT id, name, created_at_ms, (SELECT COUNT(*) FROM fleet_machines \
             WHERE fleet_machines.workspace_id = fleets.workspace_id \
             AND fleet_machines.fleet_id = fleets.id) AS machine_count, \
             (SELECT COUNT(*) FROM fleet_members \
             WHERE fleet_members.workspace_id = fleets.workspace_id \
             AND fleet_members.fleet_id = fleets.id) AS member_count FROM fleets ",
            $condition
        )
    };
}

impl Workspace<'_> {
    /// All fleets that somebody with this reach knows of, by name.
    pub async fn fleets(&self, reach: &Reach) -> Result<Vec<Fleet>, Error> {
        let mut all: Vec<Fleet> = query(fleets_where!("WHERE workspace_id = $1 ORDER BY name_key"))
            .bind(self.id.to_string())
            .fetch_all(&mut self.read().await?)
            .await?;
        if let Reach::Fleets(own) = reach {
            let own: Vec<_> = own.iter().map(ToString::to_string).collect();
            all.retain(|fleet| own.contains(&fleet.id));
        }
        Ok(all)
    }

    /// Makes an empty one.
    pub async fn add_fleet(&self, name: &str, now_ms: u64) -> Result<Fleet, FleetError> {
        let mut tx = self.write().await?;
        let others: i64 = query("SELECT COUNT(*) FROM fleets WHERE workspace_id = $1")
            .bind(self.id.to_string())
            .fetch_one(&mut tx)
            .await?;
        if others >= MAX_FLEETS {
            return Err(FleetError::TooMany);
        }
        let fleet = Fleet {
            id: uuid::Uuid::now_v7().to_string(),
            name: name.to_owned(),
            machine_count: 0,
            member_count: 0,
            created_at_ms: now_ms,
        };
        query(
            "INSERT INTO fleets (id, workspace_id, name, name_key, created_at_ms) \
             VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(&fleet.id)
        .bind(self.id.to_string())
        .bind(name)
        .bind(name.to_lowercase())
        .bind(now_ms as i64)
        .execute(&mut tx)
        .await?;
        self.record(&mut tx, Event::new("fleet-created", name), now_ms)
            .await?;
        tx.commit().await?;
        Ok(fleet)
    }

    /// Gives the fleet of that name or id another name.
    pub async fn rename_fleet(
        &self,
        fleet: &str,
        name: &str,
        now_ms: u64,
    ) -> Result<Fleet, FleetError> {
        let mut tx = self.write().await?;
        let mut found = self.find_fleet(&mut tx, fleet).await?;
        query("UPDATE fleets SET name = $3, name_key = $4 WHERE workspace_id = $1 AND id = $2")
            .bind(self.id.to_string())
            .bind(&found.id)
            .bind(name)
            .bind(name.to_lowercase())
            .execute(&mut tx)
            .await?;
        self.tell_of_machines(&mut tx, &found.id, now_ms).await?;
        let event = Event::new("fleet-renamed", name).detail("from", &found.name);
        self.record(&mut tx, event, now_ms).await?;
        self.store.commit(tx).await?;
        name.clone_into(&mut found.name);
        Ok(found)
    }

    /// Forgets the fleet; its machines and members stay, and the members reach its machines no more.
    pub async fn remove_fleet(&self, fleet: &str, now_ms: u64) -> Result<(), FleetError> {
        let mut tx = self.write().await?;
        let found = self.find_fleet(&mut tx, fleet).await?;
        self.tell_of_machines(&mut tx, &found.id, now_ms).await?;
        self.revoke_members_of(&mut tx, &found.id, now_ms).await?;
        query("DELETE FROM fleets WHERE workspace_id = $1 AND id = $2")
            .bind(self.id.to_string())
            .bind(&found.id)
            .execute(&mut tx)
            .await?;
        self.record(&mut tx, Event::new("fleet-removed", &found.name), now_ms)
            .await?;
        Ok(self.store.commit(tx).await?)
    }

    /// Puts all of the machines in, or none. Those that are in stay in.
    pub async fn add_to_fleet(
        &self,
        fleet: &str,
        machines: &[String],
        now_ms: u64,
    ) -> Result<Fleet, FleetError> {
        let statement = "INSERT INTO fleet_machines (workspace_id, fleet_id, machine_id) \
                         VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
        self.change_fleet(fleet, machines, (statement, "fleet-machine-added"), now_ms)
            .await
    }

    /// Takes all of the machines out, or none. Those that are not in stay out.
    pub async fn remove_from_fleet(
        &self,
        fleet: &str,
        machines: &[String],
        now_ms: u64,
    ) -> Result<Fleet, FleetError> {
        let statement = "DELETE FROM fleet_machines \
                         WHERE workspace_id = $1 AND fleet_id = $2 AND machine_id = $3";
        let how = (statement, MACHINE_REMOVED);
        self.change_fleet(fleet, machines, how, now_ms).await
    }

    async fn change_fleet(
        &self,
        fleet: &str,
        machines: &[String],
        (statement, action): (&'static str, &'static str),
        now_ms: u64,
    ) -> Result<Fleet, FleetError> {
        let mut tx = self.write().await?;
        let found = self.find_fleet(&mut tx, fleet).await?;
        for name in machines {
            let machine = self.find(&mut tx, name).await;
            let machine = machine.map_err(|error| FleetError::Machine {
                name: name.clone(),
                error,
            })?;
            let id = machine.id.to_string();
            let done = query(statement)
                .bind(self.id.to_string())
                .bind(&found.id)
                .bind(&id)
                .execute(&mut tx)
                .await?;
            if done == 0 {
                continue;
            }
            self.must_have_room(&mut tx, &id).await?;
            changes::record(&mut tx, changes::Kind::Machine, &id, now_ms).await?;
            let event = Event::new(action, &machine.name).detail("fleet", &found.name);
            self.record(&mut tx, event, now_ms).await?;
        }
        let changed = self.find_fleet(&mut tx, &found.id).await?;
        if action == MACHINE_REMOVED && changed.machine_count < found.machine_count {
            self.revoke_members_of(&mut tx, &found.id, now_ms).await?;
        }
        self.store.commit(tx).await?;
        Ok(changed)
    }

    async fn must_have_room(&self, tx: &mut Transaction, machine: &str) -> Result<(), FleetError> {
        let fleets: i64 = query(
            "SELECT COUNT(*) FROM fleet_machines WHERE workspace_id = $1 AND machine_id = $2",
        )
        .bind(self.id.to_string())
        .bind(machine)
        .fetch_one(tx)
        .await?;
        if fleets > MAX_FLEETS_OF_MACHINE as i64 {
            return Err(FleetError::TooManyOfMachine);
        }
        Ok(())
    }

    /// Each machine of the fleet is different now.
    async fn tell_of_machines(
        &self,
        tx: &mut Transaction,
        fleet: &str,
        now_ms: u64,
    ) -> Result<(), Error> {
        let machines: Vec<String> = query(
            "SELECT machine_id FROM fleet_machines WHERE workspace_id = $1 AND fleet_id = $2",
        )
        .bind(self.id.to_string())
        .bind(fleet)
        .fetch_all(tx)
        .await?;
        for machine in machines {
            changes::record(tx, changes::Kind::Machine, &machine, now_ms).await?;
        }
        Ok(())
    }

    pub(super) async fn find_fleet(
        &self,
        tx: &mut Transaction,
        fleet: &str,
    ) -> Result<Fleet, FleetError> {
        let found: Option<Fleet> = query(fleets_where!(
            "WHERE workspace_id = $1 AND (id = $2 OR name_key = $2) \
             ORDER BY CASE WHEN id = $2 THEN 0 ELSE 1 END LIMIT 1"
        ))
        .bind(self.id.to_string())
        .bind(fleet.to_lowercase())
        .fetch_optional(tx)
        .await?;
        found.ok_or(FleetError::Unknown)
    }
}
