//! What relays have to hear: a snapshot, and the changes after it in the order of their commits.

use cmdop_proto::MachineId;

use super::machines::{Machine, machines_where};
use super::query::query;
use super::revocations::{Claim, Revocation};
use super::{Error, Store, Transaction, id};

/// Changes that are read at once: bounds what a follower holds in memory.
const BATCH: i64 = 256;

/// What happened.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// A machine was added or is different now.
    Machine,
    /// A machine is gone.
    MachineRemoved,
    /// Tokens became void.
    Revoked(Claim),
}

/// One change with what it led to.
#[derive(Clone, Debug)]
pub enum Change {
    /// The machine as it is now.
    Machine(Machine),
    /// The machine is gone.
    MachineRemoved(MachineId),
    /// Tokens became void.
    Revoked(Revocation),
}

/// All that a relay must know at one moment.
#[derive(Debug)]
pub struct Snapshot {
    /// Changes up to and with this one are in it.
    pub seq: u64,
    /// The machines of all workspaces.
    pub machines: Vec<Machine>,
    /// What is void at that time.
    pub revocations: Vec<Revocation>,
}

pub(super) async fn record(
    tx: &mut Transaction,
    kind: Kind,
    value: &str,
    now_ms: u64,
) -> Result<(), Error> {
    let seq: i64 = query("UPDATE change_head SET last = last + 1 WHERE id = 1 RETURNING last")
        .fetch_one(tx)
        .await?;
    let (kind, claim) = match kind {
        Kind::Machine => ("machine", ""),
        Kind::MachineRemoved => ("machine-removed", ""),
        Kind::Revoked(claim) => ("revoked", claim.as_str()),
    };
    query("INSERT INTO changes (seq, kind, claim, value, at_ms) VALUES ($1, $2, $3, $4, $5)")
        .bind(seq)
        .bind(kind)
        .bind(claim)
        .bind(value)
        .bind(now_ms as i64)
        .execute(tx)
        .await?;
    Ok(())
}

impl Store {
    /// Everything at one moment.
    pub async fn snapshot(&self, now_ms: u64) -> Result<Snapshot, Error> {
        // One read transaction, so that the number and the rows are of the same moment.
        let mut tx = self.read().await?;
        let seq: i64 = query("SELECT last FROM change_head WHERE id = 1")
            .fetch_one(&mut tx)
            .await?;
        let machines = query(machines_where!("ORDER BY id"))
            .fetch_all(&mut tx)
            .await?;
        let revocations = query(
            "SELECT claim, value, issued_until_ms, forget_at_ms FROM revocations \
             WHERE forget_at_ms > $1",
        )
        .bind(now_ms as i64)
        .fetch_all(&mut tx)
        .await?;
        tx.commit().await?;
        Ok(Snapshot {
            seq: seq as u64,
            machines,
            revocations,
        })
    }

    /// The number of the newest change.
    pub async fn last_change(&self) -> Result<u64, Error> {
        let seq: i64 = query("SELECT last FROM change_head WHERE id = 1")
            .fetch_one(&mut self.read().await?)
            .await?;
        Ok(seq as u64)
    }

    /// The next changes after number `seen`, with their numbers. A machine that has changed and is
    /// gone by now appears only as gone. The first number is `seen + 1`, unless the changes between
    /// were forgotten already: then the reader needs a new snapshot.
    pub async fn changes_after(&self, seen: u64) -> Result<Vec<(u64, Option<Change>)>, Error> {
        let rows: Vec<(i64, String, String, String)> = query(
            "SELECT seq, kind, claim, value FROM changes WHERE seq > $1 ORDER BY seq LIMIT $2",
        )
        .bind(seen as i64)
        .bind(BATCH)
        .fetch_all(&mut self.read().await?)
        .await?;
        let mut changes = Vec::with_capacity(rows.len());
        for (seq, kind, claim, value) in rows {
            let change = match kind.as_str() {
                "machine" => self.machine_anywhere(&value).await?.map(Change::Machine),
                "machine-removed" => Some(Change::MachineRemoved(id(&value)?)),
                _ => self.revocation(&claim, &value).await?.map(Change::Revoked),
            };
            changes.push((seq as u64, change));
        }
        Ok(changes)
    }

    async fn machine_anywhere(&self, machine: &str) -> Result<Option<Machine>, Error> {
        Ok(query(machines_where!("WHERE id = $1"))
            .bind(machine)
            .fetch_optional(&mut self.read().await?)
            .await?)
    }

    async fn revocation(&self, claim: &str, value: &str) -> Result<Option<Revocation>, Error> {
        Ok(query(
            "SELECT claim, value, issued_until_ms, forget_at_ms FROM revocations \
             WHERE claim = $1 AND value = $2",
        )
        .bind(claim)
        .bind(value)
        .fetch_optional(&mut self.read().await?)
        .await?)
    }
}
