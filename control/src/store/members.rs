//! Members: the accounts of a workspace as those see them who manage them. (Which machines they reach:
//! `fleet_members`.)

use cmdop_proto::AccountId;
use cmdop_proto::token::Role;

use super::accounts::Account;
use super::audit::Event;
use super::fleet_members::Reaching;
use super::query::{FromRow, Row, query};
use super::revocations::{Claim, revoke_for_good, revoke_so_far};
use super::{Error, Transaction, Workspace};

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The account.
    pub account: Account,
    /// Which machines it reaches, unless its role reaches all.
    pub reaching: Reaching,
    /// The fleets that it is a member of, by name.
    pub fleets: Vec<String>,
}

impl FromRow for Member {
    fn from_row(row: &Row) -> Result<Self, sqlx::Error> {
        let fleets = row.get::<Option<String>>("fleets")?.unwrap_or_default();
        let names = fleets.split(',').filter(|name| !name.is_empty());
        Ok(Self {
            account: Account::from_row(row)?,
            reaching: Reaching::of(row)?,
            fleets: names.map(str::to_owned).collect(),
        })
    }
}

/// A member's columns; what follows says which members. The names of fleets hold no comma.
macro_rules! members_where {
    ($condition:literal) => {
        concat!(
            "SELECT id, name, role, created_at_ms, disabled_at_ms, password_hash, login_epoch, is_confined, \
             (SELECT string_agg(fleets.name, ',' ORDER BY fleets.name_key) \
             FROM fleet_members JOIN fleets ON fleets.workspace_id = fleet_members.workspace_id \
             AND fleets.id = fleet_members.fleet_id \
             WHERE fleet_members.workspace_id = accounts.workspace_id \
             AND fleet_members.account_id = accounts.id) AS fleets FROM accounts ",
            $condition
        )
    };
}

/// Why a member was not changed.
#[derive(Debug, thiserror::Error)]
pub enum MemberError {
    /// The workspace has none of that name.
    #[error("this workspace has no such member")]
    Unknown,
    /// A workspace without an owner would be nobody's.
    #[error("the workspace has no other owner")]
    LastOwner,
    /// The role of one of the two is above what the caller may touch.
    #[error("that is above the caller's own role")]
    Above,
    /// The database.
    #[error(transparent)]
    Store(#[from] Error),
}

impl From<sqlx::Error> for MemberError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

impl Workspace<'_> {
    /// The accounts whose names come after `after`, by name; at most `limit`.
    pub async fn members_after(&self, after: &str, limit: u32) -> Result<Vec<Member>, Error> {
        Ok(query(members_where!(
            "WHERE workspace_id = $1 AND name_key > $2 ORDER BY name_key LIMIT $3"
        ))
        .bind(self.id.to_string())
        .bind(after.to_lowercase())
        .bind(i64::from(limit))
        .fetch_all(&mut self.read().await?)
        .await?)
    }

    /// Gives the member of that name or id another role, if `may` allows the old and the new one.
    /// Access tokens that name the old role are void, and of who is lowered the invitations that wait.
    pub async fn set_role(
        &self,
        member: &str,
        role: Role,
        may: impl Fn(Role, Option<Role>) -> bool + Send + Sync,
        now_ms: u64,
    ) -> Result<Member, MemberError> {
        let mut tx = self.write().await?;
        let mut member = self.changeable(&mut tx, member, Some(role), may).await?;
        let found = &mut member.account;
        if found.role == role {
            return Ok(member);
        }
        query("UPDATE accounts SET role = $3 WHERE workspace_id = $1 AND id = $2")
            .bind(self.id.to_string())
            .bind(found.id.to_string())
            .bind(role.as_str())
            .execute(&mut tx)
            .await?;
        revoke_so_far(&mut tx, &found.id.to_string(), now_ms).await?;
        if role < found.role {
            self.withdraw_invitations(&mut tx, found.id, now_ms).await?;
        }
        let event = Event::new("member-role-set", &found.name)
            .detail("from", found.role.as_str())
            .detail("to", role.as_str());
        self.record(&mut tx, event, now_ms).await?;
        self.store.commit(tx).await?;
        found.role = role;
        Ok(member)
    }

    /// Forgets the member of that name or id, with logins, keys and invitations, if `may` allows it.
    pub async fn remove_member(
        &self,
        member: &str,
        may: impl Fn(Role, Option<Role>) -> bool + Send + Sync,
        now_ms: u64,
    ) -> Result<(), MemberError> {
        let mut tx = self.write().await?;
        let found = self.changeable(&mut tx, member, None, may).await?.account;
        let account = found.id.to_string();
        for statement in [
            "DELETE FROM refresh_tokens WHERE workspace_id = $1 AND login_id IN \
             (SELECT id FROM logins WHERE workspace_id = $1 AND account_id = $2)",
            "DELETE FROM logins WHERE workspace_id = $1 AND account_id = $2",
            "DELETE FROM login_secrets WHERE workspace_id = $1 AND account_id = $2",
            "DELETE FROM device_codes WHERE workspace_id = $1 AND account_id = $2",
            "DELETE FROM api_keys WHERE workspace_id = $1 AND account_id = $2",
            "DELETE FROM accounts WHERE workspace_id = $1 AND id = $2",
        ] {
            query(statement)
                .bind(self.id.to_string())
                .bind(&account)
                .execute(&mut tx)
                .await?;
        }
        revoke_for_good(&mut tx, Claim::Subject, &account, now_ms).await?;
        self.withdraw_invitations(&mut tx, found.id, now_ms).await?;
        let event = Event::new("member-removed", &found.name)
            .detail("id", &account)
            .detail("role", found.role.as_str());
        self.record(&mut tx, event, now_ms).await?;
        Ok(self.store.commit(tx).await?)
    }

    /// The member, if `may` allows what it has and what it is to have (none: to be gone), and the
    /// workspace keeps an owner.
    async fn changeable(
        &self,
        tx: &mut Transaction,
        member: &str,
        to: Option<Role>,
        may: impl Fn(Role, Option<Role>) -> bool,
    ) -> Result<Member, MemberError> {
        let member = self.member(tx, member).await?;
        let member = member.ok_or(MemberError::Unknown)?;
        let found = &member.account;
        if !may(found.role, to) {
            return Err(MemberError::Above);
        }
        let stays_owner = to == Some(Role::Owner);
        if found.role == Role::Owner && !stays_owner && !self.has_other_owner(tx, found.id).await? {
            return Err(MemberError::LastOwner);
        }
        Ok(member)
    }

    pub(super) async fn member(
        &self,
        tx: &mut Transaction,
        member: &str,
    ) -> Result<Option<Member>, Error> {
        Ok(query(members_where!(
            "WHERE workspace_id = $1 AND (id = $2 OR name_key = $2) \
             ORDER BY CASE WHEN id = $2 THEN 0 ELSE 1 END LIMIT 1"
        ))
        .bind(self.id.to_string())
        .bind(member.to_lowercase())
        .fetch_optional(tx)
        .await?)
    }

    /// One who is disabled could not help anybody.
    async fn has_other_owner(&self, tx: &mut Transaction, but: AccountId) -> Result<bool, Error> {
        let others: i64 = query(
            "SELECT COUNT(*) FROM accounts WHERE workspace_id = $1 AND id <> $2 \
             AND role = 'owner' AND disabled_at_ms IS NULL",
        )
        .bind(self.id.to_string())
        .bind(but.to_string())
        .fetch_one(tx)
        .await?;
        Ok(others > 0)
    }
}
