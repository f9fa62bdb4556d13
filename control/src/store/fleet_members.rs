//! Members of fleets: who is kept to which machines. A relay decides by what their tokens say, so whatever takes a
//! machine from somebody makes the tokens void that they have.

use cmdop_proto::limits::MAX_FLEETS_OF_ACCOUNT;
use cmdop_proto::token::Role;
use cmdop_proto::{AccountId, FleetId, MachineId, Reach};

use super::audit::Event;
use super::fleets::{Fleet, FleetError};
use super::members::{Member, MemberError};
use super::query::{Row, query};
use super::revocations::revoke_so_far;
use super::{Error, Transaction, Workspace, id};

/// Members of one fleet: each of them gets other tokens when a machine leaves it.
const MAX_MEMBERS: i64 = 1000;

/// Which machines a member is to reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reaching {
    /// All.
    All,
    /// Those of the fleets that it is a member of.
    Fleets,
}

impl Reaching {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Fleets => "fleets",
        }
    }

    /// Reads that word.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::All, Self::Fleets]
            .into_iter()
            .find(|reaching| reaching.as_str() == text)
    }
}

impl Reaching {
    /// What its column says of somebody.
    pub(super) fn of(row: &Row) -> Result<Self, sqlx::Error> {
        Ok(match row.get::<i64>("is_confined")? {
            0 => Self::All,
            _ => Self::Fleets,
        })
    }

    pub(super) fn in_database(self) -> i64 {
        i64::from(self == Self::Fleets)
    }
}

/// Whether members come or go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Membership {
    /// They come, and reach no other machines from then on.
    Added,
    /// They go, and reach those of their other fleets.
    Removed,
}

impl Membership {
    fn statement(self) -> &'static str {
        match self {
            Self::Added => {
                "INSERT INTO fleet_members (workspace_id, fleet_id, account_id) \
                 VALUES ($1, $2, $3) ON CONFLICT DO NOTHING"
            }
            Self::Removed => {
                "DELETE FROM fleet_members \
                 WHERE workspace_id = $1 AND fleet_id = $2 AND account_id = $3"
            }
        }
    }

    fn action(self) -> &'static str {
        match self {
            Self::Added => "fleet-member-added",
            Self::Removed => "fleet-member-removed",
        }
    }
}

impl Workspace<'_> {
    /// Which machines `account` reaches in `role`, now.
    pub async fn reach(&self, account: AccountId, role: Role) -> Result<Reach, Error> {
        self.reach_in(&mut self.read().await?, account, role).await
    }

    pub(super) async fn reach_in(
        &self,
        tx: &mut Transaction,
        account: AccountId,
        role: Role,
    ) -> Result<Reach, Error> {
        if role.can_govern() {
            return Ok(Reach::All);
        }
        let confined: Option<i64> =
            query("SELECT is_confined FROM accounts WHERE workspace_id = $1 AND id = $2")
                .bind(self.id.to_string())
                .bind(account.to_string())
                .fetch_optional(tx)
                .await?;
        // Who is not there reaches nothing.
        match confined {
            Some(0) => Ok(Reach::All),
            _ => Ok(Reach::Fleets(self.fleets_of(tx, account).await?)),
        }
    }

    async fn fleets_of(
        &self,
        tx: &mut Transaction,
        account: AccountId,
    ) -> Result<Vec<FleetId>, Error> {
        let fleets: Vec<String> = query(
            "SELECT fleet_id FROM fleet_members WHERE workspace_id = $1 AND account_id = $2 \
             ORDER BY fleet_id",
        )
        .bind(self.id.to_string())
        .bind(account.to_string())
        .fetch_all(tx)
        .await?;
        fleets.iter().map(|fleet| id(fleet)).collect()
    }

    /// Whether somebody with this reach may know of a machine. One that is gone is nobody's but theirs who
    /// reach all.
    pub async fn is_reached(&self, reach: &Reach, machine: MachineId) -> Result<bool, Error> {
        if reach.is_all() {
            return Ok(true);
        }
        let machine = self.machine(machine).await?;
        Ok(machine.is_some_and(|machine| reach.includes(&machine.fleet_ids)))
    }

    /// Adds or removes all of the members, or none, if `may` allows it for the role of each. Those who are in
    /// stay in, those who are not stay out.
    pub async fn change_fleet_members(
        &self,
        fleet: &str,
        members: &[String],
        membership: Membership,
        may: impl Fn(Role) -> bool + Send + Sync,
        now_ms: u64,
    ) -> Result<Fleet, FleetError> {
        let mut tx = self.write().await?;
        let found = self.find_fleet(&mut tx, fleet).await?;
        for name in members {
            let of_member = |error| FleetError::Member {
                name: name.clone(),
                error,
            };
            let member = self.member(&mut tx, name).await?;
            let member = member.ok_or(MemberError::Unknown).map_err(of_member)?;
            if !may(member.account.role) {
                return Err(of_member(MemberError::Above));
            }
            self.change_membership(&mut tx, (&found, &member), membership, now_ms)
                .await?;
        }
        let changed = self.find_fleet(&mut tx, &found.id).await?;
        if changed.member_count > MAX_MEMBERS as u64 {
            return Err(FleetError::TooManyMembers);
        }
        self.store.commit(tx).await?;
        Ok(changed)
    }

    async fn change_membership(
        &self,
        tx: &mut Transaction,
        (fleet, member): (&Fleet, &Member),
        membership: Membership,
        now_ms: u64,
    ) -> Result<(), FleetError> {
        let account = member.account.id;
        let changed = query(membership.statement())
            .bind(self.id.to_string())
            .bind(&fleet.id)
            .bind(account.to_string())
            .execute(tx)
            .await?;
        let confines = membership == Membership::Added && member.reaching == Reaching::All;
        if changed == 0 && !confines {
            return Ok(());
        }
        if self.fleets_of(tx, account).await?.len() > MAX_FLEETS_OF_ACCOUNT {
            return Err(FleetError::TooManyOfMember);
        }
        if confines {
            self.write_reaching(tx, account, Reaching::Fleets).await?;
        }
        revoke_so_far(tx, &account.to_string(), now_ms).await?;
        let event =
            Event::new(membership.action(), &member.account.name).detail("fleet", &fleet.name);
        Ok(self.record(tx, event, now_ms).await?)
    }

    /// Sets whether the member of that name or id reaches all machines, if `may` allows it for its role.
    pub async fn set_reach(
        &self,
        member: &str,
        reaching: Reaching,
        may: impl Fn(Role) -> bool + Send + Sync,
        now_ms: u64,
    ) -> Result<Member, MemberError> {
        let mut tx = self.write().await?;
        let mut found = self
            .member(&mut tx, member)
            .await?
            .ok_or(MemberError::Unknown)?;
        if !may(found.account.role) {
            return Err(MemberError::Above);
        }
        if found.reaching == reaching {
            return Ok(found);
        }
        let account = found.account.id;
        self.write_reaching(&mut tx, account, reaching).await?;
        revoke_so_far(&mut tx, &account.to_string(), now_ms).await?;
        let event = Event::new("member-reach-set", &found.account.name)
            .detail("from", found.reaching.as_str())
            .detail("to", reaching.as_str());
        self.record(&mut tx, event, now_ms).await?;
        self.store.commit(tx).await?;
        found.reaching = reaching;
        Ok(found)
    }

    pub(super) async fn write_reaching(
        &self,
        tx: &mut Transaction,
        account: AccountId,
        reaching: Reaching,
    ) -> Result<(), Error> {
        query("UPDATE accounts SET is_confined = $3 WHERE workspace_id = $1 AND id = $2")
            .bind(self.id.to_string())
            .bind(account.to_string())
            .bind(reaching.in_database())
            .execute(tx)
            .await?;
        Ok(())
    }

    /// Machines leave a fleet: the tokens of its members, which were signed while they were in it, are void. What
    /// relays hear of the machines stands before it.
    pub(super) async fn revoke_members_of(
        &self,
        tx: &mut Transaction,
        fleet: &str,
        now_ms: u64,
    ) -> Result<(), Error> {
        let members: Vec<(String, String)> = query(
            "SELECT m.account_id, a.role FROM fleet_members m JOIN accounts a \
             ON a.workspace_id = m.workspace_id AND a.id = m.account_id \
             WHERE m.workspace_id = $1 AND m.fleet_id = $2 AND a.is_confined <> 0",
        )
        .bind(self.id.to_string())
        .bind(fleet)
        .fetch_all(tx)
        .await?;
        for (member, role) in members {
            // Who governs reaches the machines all the same.
            if !Role::parse(&role).is_some_and(Role::can_govern) {
                revoke_so_far(tx, &member, now_ms).await?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
