//! What an administrator does on the control plane's own computer: straight on the database, also while
//! the server runs. Whoever may read the data directory may do all this; there is nothing to log in to.

use std::path::PathBuf;
use std::time::Duration;

use cmdop_proto::token::Role;
use cmdop_proto::{AccountId, Reach, Refusal, WorkspaceId};
use cmdop_service::data_dir::{self, DataDir};

use crate::args::Place;
use crate::bootstrap::LOGIN_PREFIX;
use crate::clock::Clock;
use crate::enrollment::{self, Guest};
use crate::grpc::{member_refusal, refusal};
use crate::sealed::Sealer;
use crate::secret::Secret;
use crate::store::{
    self, Account, Actor, AddAccountError, AddWorkspaceError, Database, DatabaseUrl, Known, Logins,
    Machine, NamedWorkspace, Schema, Store, Workspace,
};
use crate::{ca, config, names, password, sealed, signer};

mod access;
mod cli;
mod listing;
mod reseal;

pub use cli::run;
pub use reseal::{KeyState, SecretsKey};

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database cannot be used.
    #[error(transparent)]
    Open(#[from] store::OpenError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The data directory.
    #[error(transparent)]
    DataDir(#[from] data_dir::Error),
    /// The keys for secrets in the database.
    #[error(transparent)]
    Sealed(#[from] sealed::KeyError),
    /// A signing key.
    #[error(transparent)]
    Signer(#[from] signer::Error),
    /// The CA that tokens pin.
    #[error(transparent)]
    Ca(#[from] ca::Error),
    /// There is none yet.
    #[error("there is no CA yet: the next start of `cmdop-control serve` makes it")]
    NoCa,
    /// A server that runs seals with another key.
    #[error(
        "a control plane still seals with another key, as fast as this seals anew: give all of them the first key, \
         restart them, and run this again"
    )]
    StillSealing,
    /// Some of what is sealed was not sealed anew.
    #[error(
        "sealed {resealed} secrets anew; {left} could not be opened and stay as they are, the first of them in {table}, row \
         {row}: {reason}. Put the key that sealed them into secrets.key and run this again \
         (`cmdop-control admin secrets-keys` says which); what was altered cannot be opened any more"
    )]
    NotOpened {
        /// How many were sealed anew.
        resealed: u64,
        /// How many were not.
        left: u64,
        /// The table of the first of these.
        table: &'static str,
        /// Its row.
        row: String,
        /// Why it does not open.
        reason: String,
    },
    /// What was asked for cannot be.
    #[error("{}{}", .0.message, hint(.0))]
    Refused(#[from] Refusal),
    /// The terminal or the pipe.
    #[error("cannot {verb}: {reason}")]
    Io {
        /// What was tried.
        verb: &'static str,
        /// What the system said.
        reason: std::io::Error,
    },
}

fn hint(refusal: &Refusal) -> String {
    if refusal.hint.is_empty() {
        String::new()
    } else {
        format!("; {}", refusal.hint)
    }
}

/// The administrator's hand on a control plane's data directory.
#[derive(Debug)]
pub struct Admin {
    store: Store,
    directory: PathBuf,
    clock: Clock,
}

/// A machine and the name of its workspace.
#[derive(Clone, Debug)]
pub struct PlacedMachine {
    /// The workspace.
    pub workspace: NamedWorkspace,
    /// The machine.
    pub machine: Machine,
}

/// An account and the name of its workspace.
#[derive(Clone, Debug)]
pub struct PlacedAccount {
    /// The workspace.
    pub workspace: NamedWorkspace,
    /// The account.
    pub account: Account,
}

/// Brings the database in `data_dir` up to this version; nobody may serve from it.
pub async fn migrate(place: &Place) -> Result<(), Error> {
    let (directory, database) = located(place)?;
    let _alone = DataDir::open(&directory, "cmdop-control")?;
    let store = store::open(&database, Schema::Migrate).await?;
    store.close().await;
    Ok(())
}

/// The data directory and the database of a place.
pub(crate) fn located(place: &Place) -> Result<(PathBuf, Database), Error> {
    let directory = config::directory(place.data_dir.as_deref())?;
    let url = place.database.as_deref().map(DatabaseUrl::parse);
    let database = config::database(&directory, url.transpose()?);
    Ok((directory, database))
}

impl Admin {
    /// Opens the database of a control plane that has been started at least once.
    pub async fn open(place: &Place) -> Result<Self, Error> {
        Self::open_at(place, Clock::default()).await
    }

    /// The same, with the clock of a control plane that a test runs.
    pub async fn open_at(place: &Place, clock: Clock) -> Result<Self, Error> {
        let (directory, database) = located(place)?;
        let store = store::open(&database, Schema::Expect).await?;
        Ok(Self {
            store,
            directory,
            clock,
        })
    }

    /// Lets go of the database.
    pub async fn close(self) {
        self.store.close().await;
    }

    /// Makes a workspace.
    pub async fn create_workspace(&self, name: &str) -> Result<WorkspaceId, Error> {
        let name = names::workspace(name)?;
        let made = self.store.add_workspace(name, self.clock.now_ms()).await;
        made.map_err(|error| match error {
            AddWorkspaceError::NameTaken { .. } => {
                Refusal::invalid("workspace-name-taken", error.to_string()).into()
            }
            AddWorkspaceError::Store(error) => error.into(),
        })
    }

    /// All workspaces.
    pub async fn workspaces(&self) -> Result<Vec<NamedWorkspace>, Error> {
        Ok(self.store.workspaces().await?)
    }

    /// Makes an account in the workspace of that name.
    pub async fn create_account(
        &self,
        name: &str,
        workspace: &str,
        role: Role,
        password: Option<&str>,
    ) -> Result<AccountId, Error> {
        let name = names::account(name)?;
        let hash = password.map(password::hash).transpose()?;
        let workspace = self.in_hand(self.workspace(workspace).await?);
        let made = workspace.add_account(name, role, self.clock.now_ms()).await;
        let account = made.map_err(|error| match error {
            AddAccountError::NameTaken { .. } => {
                let hint = "names are unique on the whole control plane; choose another";
                let taken = Refusal::invalid("account-name-taken", error.to_string()).hint(hint);
                Error::from(taken)
            }
            AddAccountError::Store(error) => error.into(),
        })?;
        if let Some(hash) = hash {
            workspace
                .set_password(account, &hash, Logins::Keep, self.clock.now_ms())
                .await?;
        }
        Ok(account)
    }

    /// The accounts of one workspace, or of all.
    pub async fn accounts(&self, workspace: Option<&str>) -> Result<Vec<PlacedAccount>, Error> {
        let mut found = Vec::new();
        for workspace in self.chosen(workspace).await? {
            let accounts = self.in_hand(workspace.id).accounts().await?;
            found.extend(accounts.into_iter().map(|account| PlacedAccount {
                workspace: workspace.clone(),
                account,
            }));
        }
        Ok(found)
    }

    /// Gives an account a password. What it logged in with before ends, or goes on.
    pub async fn set_password(
        &self,
        name: &str,
        password: &str,
        logins: Logins,
    ) -> Result<(), Error> {
        let hash = password::hash(password)?;
        let known = self.account(name).await?;
        let workspace = self.in_hand(known.workspace);
        Ok(workspace
            .set_password(known.account, &hash, logins, self.clock.now_ms())
            .await?)
    }

    /// Refuses an account from now on.
    pub async fn disable_account(&self, name: &str) -> Result<(), Error> {
        let known = self.account(name).await?;
        let workspace = self.in_hand(known.workspace);
        let now_ms = self.clock.now_ms();
        Ok(workspace.disable_account(known.account, now_ms).await?)
    }

    /// Lets a disabled account log in again.
    pub async fn enable_account(&self, name: &str) -> Result<(), Error> {
        let known = self.account(name).await?;
        let workspace = self.in_hand(known.workspace);
        Ok(workspace
            .enable_account(known.account, self.clock.now_ms())
            .await?)
    }

    /// Gives an account another role. Tokens that name the old one are void.
    pub async fn set_role(&self, name: &str, role: Role) -> Result<(), Error> {
        let known = self.account(name).await?;
        let workspace = self.in_hand(known.workspace);
        let changed = workspace
            .set_role(name, role, |_, _| true, self.clock.now_ms())
            .await;
        changed
            .map(drop)
            .map_err(|error| member_refusal(error, name).into())
    }

    /// A secret that logs an account in once.
    pub async fn login_secret(&self, name: &str, lifetime: Duration) -> Result<Secret, Error> {
        let lifetime = enrollment::checked_lifetime(lifetime)?;
        let known = self.account(name).await?;
        let workspace = self.in_hand(known.workspace);
        let is_disabled = workspace
            .account(known.account)
            .await?
            .is_none_or(|account| account.is_disabled);
        if is_disabled {
            let disabled = format!("the account {name} is disabled");
            let hint = "enable it first: `cmdop-control admin enable-account NAME`";
            return Err(Refusal::denied("account-disabled", disabled)
                .hint(hint)
                .into());
        }
        let secret = Secret::random(LOGIN_PREFIX);
        workspace
            .add_login_secret(
                &secret.hash(),
                known.account,
                Some(self.after(lifetime)),
                self.clock.now_ms(),
            )
            .await?;
        Ok(secret)
    }

    /// A token with which one machine can join the workspace of that name.
    pub async fn enroll_token(
        &self,
        workspace: &str,
        lifetime: Duration,
        labels: impl IntoIterator<Item = (String, String)> + Send,
    ) -> Result<Secret, Error> {
        let lifetime = enrollment::checked_lifetime(lifetime)?;
        let labels = names::labels(labels.into_iter().collect())?;
        let workspace = self.workspace(workspace).await?;
        let (token, hash) = enrollment::new_token(Guest::Machine, &self.ca().await?.fingerprint);
        self.in_hand(workspace)
            .add_machine_token(&hash, &labels, self.after(lifetime), self.clock.now_ms())
            .await?;
        Ok(token)
    }

    /// A token with which one relay can join.
    pub async fn relay_token(&self, lifetime: Duration) -> Result<Secret, Error> {
        let lifetime = enrollment::checked_lifetime(lifetime)?;
        let (token, hash) = enrollment::new_token(Guest::Relay, &self.ca().await?.fingerprint);
        self.store
            .add_relay_token(&hash, self.after(lifetime))
            .await?;
        Ok(token)
    }

    /// The machines of one workspace, or of all.
    pub async fn machines(&self, workspace: Option<&str>) -> Result<Vec<PlacedMachine>, Error> {
        let mut found = Vec::new();
        for workspace in self.chosen(workspace).await? {
            let machines = self.in_hand(workspace.id).machines(&Reach::All).await?;
            found.extend(machines.into_iter().map(|machine| PlacedMachine {
                workspace: workspace.clone(),
                machine,
            }));
        }
        Ok(found)
    }

    /// Removes the machine of that name or id.
    pub async fn remove_machine(&self, workspace: &str, machine: &str) -> Result<(), Error> {
        let workspace = self.workspace(workspace).await?;
        let removed = self
            .in_hand(workspace)
            .remove_machine(machine, self.clock.now_ms())
            .await;
        removed
            .map(drop)
            .map_err(|error| refusal(error, machine, "").into())
    }

    /// A workspace's rows in the administrator's hands.
    fn in_hand(&self, workspace: WorkspaceId) -> Workspace<'_> {
        self.store.workspace(workspace).by(Actor::admin())
    }

    fn after(&self, lifetime: Duration) -> u64 {
        self.clock.now_ms() + lifetime.as_millis() as u64
    }

    async fn workspace(&self, name: &str) -> Result<WorkspaceId, Error> {
        let found = self.store.workspace_named(name).await?;
        Ok(found.ok_or_else(|| {
            let name = cmdop_proto::text::shown(name, 64);
            Refusal::not_found("workspace-unknown", format!("there is no workspace {name}"))
                .hint("`cmdop-control admin workspaces` lists them")
        })?)
    }

    async fn account(&self, name: &str) -> Result<Known, Error> {
        let found = self.store.account_named(name).await?;
        Ok(found.ok_or_else(|| {
            let name = cmdop_proto::text::shown(name, 64);
            Refusal::not_found("account-unknown", format!("there is no account {name}"))
                .hint("`cmdop-control admin accounts` lists them")
        })?)
    }

    async fn chosen(&self, name: Option<&str>) -> Result<Vec<NamedWorkspace>, Error> {
        let mut all = self.store.workspaces().await?;
        if let Some(name) = name {
            let wanted = self.workspace(name).await?;
            all.retain(|workspace| workspace.id == wanted);
        }
        Ok(all)
    }

    /// The keys for secrets that are here, or that the environment has.
    fn sealer(&self, secrets_key: Option<&Secret>) -> Result<Sealer, Error> {
        let given = secrets_key.map(Secret::expose);
        Ok(Sealer::load(&self.directory, given)?)
    }
}
