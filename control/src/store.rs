//! The facts on disk: one database, and the handles through which it is asked.
//!
//! Rows of a tenant are reached only through [`Workspace`], which already carries its id: a query that
//! forgets the workspace has no place to stand. What belongs to no tenant (device codes, relays,
//! changes) hangs on [`Store`], and so do the few `doors` that learn from a secret which workspace
//! it belongs to. Nothing above this module sees SQL, and nothing here knows HTTP, gRPC or a clock.

mod accounts;
mod audit;
mod authorization_codes;
mod certificate_authority;
mod changes;
mod device_codes;
mod doors;
mod enroll;
mod events;
mod external_identities;
mod fleet_members;
mod fleets;
mod inspection;
mod invitations;
mod keys;
mod lockouts;
mod logins;
mod machines;
mod members;
mod migrations;
mod open;
mod own_logins;
mod presence;
mod query;
mod relays;
mod reports;
mod revocations;
mod schedule_claims;
mod schedule_runs;
mod schedule_targets;
mod schedules;
mod sealed_secrets;
mod second_factors;
mod sessions;
mod signing_keys;
mod standing;
mod transaction;
mod transfer_progress;
mod trim;
mod workspaces;

#[cfg(test)]
mod scratch;

use cmdop_proto::{Refusal, WorkspaceId};
use tokio::sync::watch;

use crate::meters::Meters;

pub use accounts::{Account, AddAccountError, Logins};
pub use audit::{Actor, AuditFilter, Event, Outcome, PAGE as AUDIT_PAGE};
pub use authorization_codes::{CodeError, CodeProof, NewAuthorizationCode};
pub use certificate_authority::SealedCa;
pub use changes::{Change, Snapshot};
pub use device_codes::{DeviceCode, DeviceState, NewDeviceCode, Polled};
pub use doors::{Credential, Known};
pub use enroll::{EnrollError, NewMachine};
pub use events::{Heads, KEPT, KEPT_FOR_MS, Part, Position, Stream, Told, UNNUMBERED};
pub use external_identities::{Arrived, Named};
pub use fleet_members::{Membership, Reaching};
pub use fleets::{Fleet, FleetError};
pub use inspection::LiveRefreshToken;
pub use invitations::{AcceptError, Invitation, InviteError, NewInvitation, Revoked};
pub use keys::{ApiKey, KeyError, KeyLogin, NewKey};
pub use lockouts::{BackOff, Guess};
pub use logins::{Login, LoginError, Method, RefreshError};
pub use machines::{Machine, MachineError};
pub use members::{Member, MemberError};
pub use open::{Database, DatabaseUrl, Error as OpenError, Schema, open};
pub(crate) use open::{copy_file, examine_file, must_be_known, postgres_version};
pub use own_logins::OpenLogin;
pub use relays::{NewRelay, Relay};
pub use revocations::{Claim, Revocation};
pub use schedule_claims::{Claim as RunClaim, Claimed, Judge, LEASE};
pub use schedule_runs::{RunState, ScheduleRun};
pub use schedule_targets::Target;
pub use schedules::{NewSchedule, Paused, SCHEDULE_PAGE, Schedule, ScheduleError};
pub use sealed_secrets::{SEALED_PAGE, SealedKind, SealedRow};
pub use second_factors::{SecondFactor, SecondFactorRule};
pub use sessions::{After, SessionFilter};
pub use signing_keys::{RemoveKeyError, SealedKey};
pub use standing::Standing;
pub use workspaces::{AddWorkspaceError, NamedWorkspace};

use transaction::{Pool, Purpose, Reach, Transaction};

/// Why the database did not answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database itself.
    #[error("the database refused: {0}")]
    Sql(#[from] sqlx::Error),
    /// A row holds what no version of ours wrote.
    #[error("the database holds a {what} that cannot be read")]
    Unreadable {
        /// What it should have been.
        what: &'static str,
    },
}

impl From<Error> for Refusal {
    /// The cause goes to the log; the caller learns only that it is not their fault.
    fn from(error: Error) -> Self {
        tracing::error!(%error, "the database failed");
        Refusal::internal("the control plane's database failed")
            .hint("the control plane's log has the cause")
    }
}

/// The database.
#[derive(Clone, Debug)]
pub struct Store {
    pool: Pool,
    /// Counts the changes that this process committed: wakes those who follow.
    committed: watch::Sender<u64>,
    meters: Meters,
}

impl Store {
    fn new(pool: Pool) -> Self {
        Self {
            pool,
            committed: watch::Sender::new(0),
            meters: Meters::none(),
        }
    }

    /// Counts what is done from here on.
    #[must_use]
    pub(crate) fn counted_by(mut self, meters: Meters) -> Self {
        self.meters = meters;
        self
    }

    /// The handle for one tenant's rows.
    pub fn workspace(&self, id: WorkspaceId) -> Workspace<'_> {
        Workspace {
            store: self,
            id,
            actor: Actor::control(),
        }
    }

    /// The handle for what concerns no tenant: its chain of the audit log tells of relays and of the
    /// control plane itself.
    pub fn nobody(&self) -> Workspace<'_> {
        self.workspace(WorkspaceId::from(uuid::Uuid::nil()))
    }

    /// Changes whenever this process has committed something that relays have to hear.
    pub fn committed(&self) -> watch::Receiver<u64> {
        self.committed.subscribe()
    }

    /// Writes what is pending into the one file and lets go of it.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    /// Sees the rows of all workspaces.
    async fn read(&self) -> Result<Transaction, Error> {
        self.begin(Reach::All, Purpose::Read).await
    }

    /// Changes what belongs to no workspace.
    async fn write(&self) -> Result<Transaction, Error> {
        self.begin(Reach::All, Purpose::Write).await
    }

    /// Timed with the wait for its turn.
    async fn begin(&self, reach: Reach, purpose: Purpose) -> Result<Transaction, Error> {
        let timer = match purpose {
            Purpose::Read => self.meters.read(),
            Purpose::Write => self.meters.write(),
        };
        self.pool.begin(reach, purpose, timer).await
    }

    async fn commit(&self, transaction: Transaction) -> Result<(), Error> {
        transaction.commit().await?;
        self.committed.send_modify(|count| *count += 1);
        Ok(())
    }
}

/// One tenant's rows, in the hands of somebody: whatever they change is recorded as theirs.
#[derive(Clone, Debug)]
pub struct Workspace<'a> {
    store: &'a Store,
    id: WorkspaceId,
    actor: Actor,
}

impl Workspace<'_> {
    /// Sees this workspace's rows.
    async fn read(&self) -> Result<Transaction, Error> {
        let reach = Reach::One(self.id);
        self.store.begin(reach, Purpose::Read).await
    }

    /// Changes this workspace's rows, alone among those who do.
    async fn write(&self) -> Result<Transaction, Error> {
        let reach = Reach::One(self.id);
        self.store.begin(reach, Purpose::Write).await
    }

    /// The same rows in the hands of `actor`.
    #[must_use]
    pub fn by(mut self, actor: Actor) -> Self {
        self.actor = actor;
        self
    }

    /// Which tenant.
    pub fn id(&self) -> WorkspaceId {
        self.id
    }
}

/// Reads an id that we wrote.
fn id<T: std::str::FromStr>(text: &str) -> Result<T, Error> {
    text.parse().map_err(|_| Error::Unreadable { what: "id" })
}

#[cfg(test)]
mod tests {
    use cmdop_proto::token::Role;

    use super::scratch::{NOW, Scratch};
    use super::*;

    #[tokio::test]
    async fn a_name_is_taken_whatever_its_case_and_wherever_it_is() {
        for scratch in Scratch::each().await {
            let elsewhere = scratch.elsewhere().await;
            let again = elsewhere.add_account("ADA", Role::Owner, NOW).await;
            assert!(matches!(again, Err(AddAccountError::NameTaken { .. })));
            let again = scratch.store.add_workspace("Default", NOW).await;
            assert!(matches!(again, Err(AddWorkspaceError::NameTaken { .. })));
            let known = scratch.store.account_named("Ada").await.unwrap().unwrap();
            assert_eq!(known.account, scratch.account);
        }
    }

    #[tokio::test]
    async fn the_first_account_is_not_made_without_the_secret_that_lets_it_in() {
        for scratch in Scratch::each().await {
            let kept = scratch.here();
            kept.add_login_secret("h", scratch.account, None, NOW)
                .await
                .unwrap();
            let here = scratch.elsewhere().await;
            // The secret cannot be kept: then there is no account either.
            let failed = here.add_first_account("eve", Role::Owner, "h", NOW);
            assert!(failed.await.is_err());
            assert_eq!(scratch.store.account_named("eve").await.unwrap(), None);
            let made = here.add_first_account("eve", Role::Owner, "other", NOW);
            let account = made.await.unwrap().unwrap();
            assert!(here.account(account).await.unwrap().is_some());
            let door = Credential::LoginSecret("other");
            assert!(scratch.store.workspace_of(door).await.unwrap().is_some());
            let second = here.add_first_account("mallory", Role::Owner, "third", NOW);
            assert_eq!(second.await.unwrap(), None);
        }
    }

    #[tokio::test]
    async fn a_handle_reaches_nothing_of_another_workspace() {
        for scratch in Scratch::each().await {
            let elsewhere = scratch.elsewhere().await;
            assert_eq!(elsewhere.account(scratch.account).await.unwrap(), None);
            elsewhere
                .set_password(scratch.account, "$x", Logins::Keep, NOW)
                .await
                .unwrap();
            elsewhere
                .disable_account(scratch.account, NOW)
                .await
                .unwrap();
            let account = scratch
                .here()
                .account(scratch.account)
                .await
                .unwrap()
                .unwrap();
            assert!(!account.has_password && !account.is_disabled);
            // The database refuses it too: a reference never leaves its workspace.
            let secret = elsewhere
                .add_login_secret("h", scratch.account, None, NOW)
                .await;
            assert!(secret.is_err());
        }
    }

    #[tokio::test]
    async fn what_has_expired_is_forgotten_and_what_has_not_is_kept() {
        for scratch in Scratch::each().await {
            scratch
                .here()
                .add_login_secret("kept", scratch.account, None, NOW)
                .await
                .unwrap();
            let soon = Some(NOW + 1);
            scratch
                .here()
                .add_login_secret("gone", scratch.account, soon, NOW)
                .await
                .unwrap();
            scratch
                .here()
                .disable_account(scratch.account, NOW)
                .await
                .unwrap();
            let snapshot = scratch.store.snapshot(NOW).await.unwrap();
            assert_eq!((snapshot.seq, snapshot.revocations.len()), (1, 1));
            scratch.store.forget(NOW).await.unwrap();
            assert_eq!(scratch.store.changes_after(0).await.unwrap().len(), 1);
            scratch
                .store
                .forget(NOW + 3 * 24 * 3_600_000)
                .await
                .unwrap();
            let door = |hash| scratch.store.workspace_of(Credential::LoginSecret(hash));
            assert!(door("kept").await.unwrap().is_some());
            assert!(door("gone").await.unwrap().is_none());
            assert!(scratch.store.changes_after(0).await.unwrap().is_empty());
            assert_eq!(scratch.store.last_change().await.unwrap(), 1);
        }
    }
}
