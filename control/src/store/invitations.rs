//! Invitations: each lets one person make an account of their own. What is used, revoked or over is gone.

use cmdop_proto::AccountId;
use cmdop_proto::token::Role;

use super::accounts::{Account, AddAccountError};
use super::audit::Event;
use super::fleet_members::Reaching;
use super::fleets::FleetError;
use super::query::{FromRow, Row, query};
use super::{Error, Transaction, Workspace};

/// Invitations that wait in one workspace: each is a door that somebody may have forgotten.
const MAX_WAITING: i64 = 1000;

/// One that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invitation {
    /// Which.
    pub id: String,
    /// As what.
    pub role: Role,
    /// For whom, in the inviter's words.
    pub note: String,
    /// Who invited.
    pub invited_by: String,
    /// When.
    pub created_at_ms: u64,
    /// Void from then on.
    pub expires_at_ms: u64,
    /// Which machines who uses it reaches.
    pub reaching: Reaching,
    /// The fleets that who uses it is a member of, by name.
    pub fleets: Vec<String>,
}

/// One that is to be made.
#[derive(Clone, Debug)]
pub struct NewInvitation<'a> {
    /// The hash of its secret.
    pub hash: &'a str,
    /// As what.
    pub role: Role,
    /// For whom.
    pub note: &'a str,
    /// Who invites.
    pub invited_by: &'a Account,
    /// Void from then on.
    pub expires_at_ms: u64,
    /// Names or ids of the fleets that who uses it is kept to; none: to nothing.
    pub fleets: &'a [String],
}

/// Why none was made.
#[derive(Debug, thiserror::Error)]
pub enum InviteError {
    /// Too many wait already.
    #[error("too many invitations wait already")]
    TooMany,
    /// One of the fleets.
    #[error("{error}")]
    Fleet {
        /// Its name, as it was given.
        name: String,
        /// What is wrong with it.
        error: FleetError,
    },
    /// The database.
    #[error(transparent)]
    Store(#[from] Error),
}

impl From<sqlx::Error> for InviteError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// An invitation's columns; what follows says which invitations. The names of fleets hold no comma.
macro_rules! invitations_where {
    ($condition:literal) => {
        concat!(
            "SELECT id, role, note, invited_by, created_at_ms, expires_at_ms, is_confined, \
             (SELECT string_agg(fleets.name, ',' ORDER BY fleets.name_key) \
             FROM invitation_fleets JOIN fleets ON fleets.workspace_id = invitation_fleets.workspace_id \
             AND fleets.id = invitation_fleets.fleet_id \
             WHERE invitation_fleets.invitation_id = invitations.id) AS fleets FROM invitations ",
            $condition
        )
    };
}

/// Why nobody joined.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    /// It was used, revoked, or never made, or its inviter could not make it any more.
    #[error("the invitation is not known, or was used already")]
    Unknown,
    /// Its time is over.
    #[error("the invitation has expired")]
    Expired,
    /// The account.
    #[error(transparent)]
    Account(#[from] AddAccountError),
}

impl From<Error> for AcceptError {
    fn from(error: Error) -> Self {
        Self::Account(error.into())
    }
}

impl From<sqlx::Error> for AcceptError {
    fn from(error: sqlx::Error) -> Self {
        Error::from(error).into()
    }
}

impl FromRow for Invitation {
    fn from_row(row: &Row) -> Result<Self, sqlx::Error> {
        let unreadable = || sqlx::Error::Decode(Box::new(Error::Unreadable { what: "role" }));
        Ok(Self {
            id: row.get("id")?,
            role: Role::parse(&row.get::<String>("role")?).ok_or_else(unreadable)?,
            note: row.get("note")?,
            invited_by: row.get("invited_by")?,
            created_at_ms: row.count("created_at_ms")?,
            expires_at_ms: row.count("expires_at_ms")?,
            reaching: Reaching::of(row)?,
            fleets: row
                .get::<Option<String>>("fleets")?
                .iter()
                .flat_map(|names| names.split(','))
                .map(str::to_owned)
                .collect(),
        })
    }
}

impl Workspace<'_> {
    /// Makes one.
    pub async fn invite(
        &self,
        new: NewInvitation<'_>,
        now_ms: u64,
    ) -> Result<Invitation, InviteError> {
        let mut tx = self.write().await?;
        let waiting: i64 = query(
            "SELECT COUNT(*) FROM invitations WHERE workspace_id = $1 AND expires_at_ms > $2",
        )
        .bind(self.id.to_string())
        .bind(now_ms as i64)
        .fetch_one(&mut tx)
        .await?;
        if waiting >= MAX_WAITING {
            return Err(InviteError::TooMany);
        }
        let mut invitation = Invitation {
            id: uuid::Uuid::now_v7().to_string(),
            role: new.role,
            note: new.note.to_owned(),
            invited_by: new.invited_by.name.clone(),
            created_at_ms: now_ms,
            expires_at_ms: new.expires_at_ms,
            reaching: if new.fleets.is_empty() {
                Reaching::All
            } else {
                Reaching::Fleets
            },
            fleets: Vec::new(),
        };
        query(
            "INSERT INTO invitations (id, workspace_id, hash, role, note, invited_by, \
             invited_by_id, created_at_ms, expires_at_ms, is_confined) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        )
        .bind(&invitation.id)
        .bind(self.id.to_string())
        .bind(new.hash)
        .bind(new.role.as_str())
        .bind(new.note)
        .bind(&new.invited_by.name)
        .bind(new.invited_by.id.to_string())
        .bind(now_ms as i64)
        .bind(new.expires_at_ms as i64)
        .bind(invitation.reaching.in_database())
        .execute(&mut tx)
        .await?;
        invitation.fleets = self
            .invite_into(&mut tx, &invitation.id, new.fleets)
            .await?;
        let mut event = Event::new("member-invited", &invitation.id)
            .detail("role", new.role.as_str())
            .detail("note", new.note);
        if !invitation.fleets.is_empty() {
            event = event.detail("fleets", invitation.fleets.join(","));
        }
        self.record(&mut tx, event, now_ms).await?;
        tx.commit().await?;
        Ok(invitation)
    }

    /// The names of the fleets, which the invitation is for from now on.
    async fn invite_into(
        &self,
        tx: &mut Transaction,
        invitation: &str,
        fleets: &[String],
    ) -> Result<Vec<String>, InviteError> {
        let mut names = Vec::new();
        for name in fleets {
            let fleet = self.find_fleet(tx, name).await;
            let fleet = fleet.map_err(|error| InviteError::Fleet {
                name: name.clone(),
                error,
            })?;
            query(
                "INSERT INTO invitation_fleets (workspace_id, invitation_id, fleet_id) \
                 VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
            )
            .bind(self.id.to_string())
            .bind(invitation)
            .bind(&fleet.id)
            .execute(tx)
            .await?;
            names.push(fleet.name);
        }
        names.sort();
        names.dedup();
        Ok(names)
    }

    /// Those that can still be used, the oldest first.
    pub async fn invitations(&self, now_ms: u64) -> Result<Vec<Invitation>, Error> {
        Ok(query(invitations_where!(
            "WHERE workspace_id = $1 AND expires_at_ms > $2 ORDER BY created_at_ms, id"
        ))
        .bind(self.id.to_string())
        .bind(now_ms as i64)
        .fetch_all(&mut self.read().await?)
        .await?)
    }

    /// The one with this secret, used or not.
    pub async fn invitation(&self, hash: &str) -> Result<Option<Invitation>, Error> {
        self.invitation_in(&mut self.read().await?, hash).await
    }

    async fn invitation_in(
        &self,
        tx: &mut Transaction,
        hash: &str,
    ) -> Result<Option<Invitation>, Error> {
        Ok(
            query(invitations_where!("WHERE workspace_id = $1 AND hash = $2"))
                .bind(self.id.to_string())
                .bind(hash)
                .fetch_optional(tx)
                .await?,
        )
    }

    /// Takes one back, if `may` allows its role.
    pub async fn revoke_invitation(
        &self,
        id: &str,
        may: impl Fn(Role) -> bool + Send + Sync,
        now_ms: u64,
    ) -> Result<Revoked, Error> {
        let mut tx = self.write().await?;
        let found: Option<String> =
            query("SELECT role FROM invitations WHERE workspace_id = $1 AND id = $2")
                .bind(self.id.to_string())
                .bind(id)
                .fetch_optional(&mut tx)
                .await?;
        let Some(role) = found else {
            return Ok(Revoked::Unknown);
        };
        if !Role::parse(&role).is_some_and(may) {
            return Ok(Revoked::Above);
        }
        query("DELETE FROM invitations WHERE workspace_id = $1 AND id = $2")
            .bind(self.id.to_string())
            .bind(id)
            .execute(&mut tx)
            .await?;
        self.record(&mut tx, Event::new("invitation-revoked", id), now_ms)
            .await?;
        tx.commit().await?;
        Ok(Revoked::Done)
    }

    /// Takes back what `account` invited and nobody used yet.
    pub(super) async fn withdraw_invitations(
        &self,
        tx: &mut Transaction,
        account: AccountId,
        now_ms: u64,
    ) -> Result<(), Error> {
        let withdrawn =
            query("DELETE FROM invitations WHERE workspace_id = $1 AND invited_by_id = $2")
                .bind(self.id.to_string())
                .bind(account.to_string())
                .execute(&mut *tx)
                .await?;
        if withdrawn == 0 {
            return Ok(());
        }
        let event = Event::new("invitations-withdrawn", account.to_string())
            .detail("count", withdrawn.to_string());
        self.record(tx, event, now_ms).await
    }

    /// Somebody joins as `name`, with a password of their own (its hash). The invitation is used up.
    /// `may` says of the inviter's role, as it is now, whether it may still give the invitation's.
    pub async fn accept_invitation(
        &self,
        hash: &str,
        name: &str,
        password_hash: &str,
        may: impl Fn(Role, Role) -> bool + Send + Sync,
        now_ms: u64,
    ) -> Result<AccountId, AcceptError> {
        let mut tx = self.write().await?;
        let inviter = self.inviter(&mut tx, hash).await?;
        let invitation = self.invitation_in(&mut tx, hash).await?;
        let invitation = invitation.ok_or(AcceptError::Unknown)?;
        if now_ms >= invitation.expires_at_ms {
            return Err(AcceptError::Expired);
        }
        if !inviter.is_some_and(|by| may(by, invitation.role)) {
            return Err(AcceptError::Unknown);
        }
        let account = self
            .insert_account(&mut tx, name, invitation.role, now_ms)
            .await?;
        if !self.use_up(&mut tx, &invitation, account).await? {
            return Err(AcceptError::Unknown);
        }
        query("UPDATE accounts SET password_hash = $3 WHERE workspace_id = $1 AND id = $2")
            .bind(self.id.to_string())
            .bind(account.to_string())
            .bind(password_hash)
            .execute(&mut tx)
            .await?;
        let event = Event::new("invitation-accepted", &invitation.id)
            .detail("name", name)
            .detail("invited-by", &invitation.invited_by);
        self.record(&mut tx, event, now_ms).await?;
        self.store.commit(tx).await?;
        Ok(account)
    }

    /// Who joined has what the invitation gives; and it is gone. False: somebody else used it meanwhile.
    async fn use_up(
        &self,
        tx: &mut Transaction,
        invitation: &Invitation,
        account: AccountId,
    ) -> Result<bool, Error> {
        self.write_reaching(tx, account, invitation.reaching)
            .await?;
        query(
            "INSERT INTO fleet_members (workspace_id, fleet_id, account_id) \
             SELECT workspace_id, fleet_id, $3 FROM invitation_fleets \
             WHERE workspace_id = $1 AND invitation_id = $2",
        )
        .bind(self.id.to_string())
        .bind(&invitation.id)
        .bind(account.to_string())
        .execute(tx)
        .await?;
        let gone = query("DELETE FROM invitations WHERE workspace_id = $1 AND id = $2")
            .bind(self.id.to_string())
            .bind(&invitation.id)
            .execute(tx)
            .await?;
        Ok(gone == 1)
    }

    /// The role of the one who made the invitation with this secret; nothing if they are gone or disabled.
    async fn inviter(&self, tx: &mut Transaction, hash: &str) -> Result<Option<Role>, Error> {
        let role: Option<String> = query(
            "SELECT a.role FROM invitations i JOIN accounts a \
             ON a.workspace_id = i.workspace_id AND a.id = i.invited_by_id \
             WHERE i.workspace_id = $1 AND i.hash = $2 AND a.disabled_at_ms IS NULL",
        )
        .bind(self.id.to_string())
        .bind(hash)
        .fetch_optional(tx)
        .await?;
        Ok(role.and_then(|role| Role::parse(&role)))
    }
}

/// What came of taking one back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revoked {
    /// It is gone.
    Done,
    /// There is none.
    Unknown,
    /// It gives a role above the caller's.
    Above,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::scratch::{NOW, Scratch};

    #[tokio::test]
    async fn an_invitation_gives_no_more_than_its_inviter_could_give_now() {
        for scratch in Scratch::each().await {
            let here = scratch.here();
            let ada = here.account(scratch.account).await.unwrap().unwrap();
            let invite = async |hash: &str, role| {
                let new = NewInvitation {
                    hash,
                    role,
                    note: "",
                    invited_by: &ada,
                    expires_at_ms: NOW + 1000,
                    fleets: &[],
                };
                here.invite(new, NOW).await.unwrap();
            };
            let may = |by: Role, to: Role| to <= by;
            invite("above", Role::Admin).await;
            let refused = here.accept_invitation("above", "eve", "$x", may, NOW).await;
            assert!(matches!(refused, Err(AcceptError::Unknown)));
            invite("fits", Role::Member).await;
            here.accept_invitation("fits", "grace", "$x", may, NOW)
                .await
                .unwrap();
            here.disable_account(ada.id, NOW).await.unwrap();
            assert!(here.invitations(NOW).await.unwrap().is_empty());
            // One that was under way when the account was disabled.
            invite("late", Role::Guest).await;
            let refused = here.accept_invitation("late", "eve", "$x", may, NOW).await;
            assert!(matches!(refused, Err(AcceptError::Unknown)));
        }
    }
}
