//! The first start: a workspace, its owner, and the one-time secret that lets the owner in.

use std::path::Path;

use cmdop_proto::token::Role;
use cmdop_proto::{Refusal, WorkspaceId};
use cmdop_service::private_file;
use subtle::ConstantTimeEq as _;

use crate::names;
use crate::secret::Secret;
use crate::store::{self, AddAccountError, AddWorkspaceError, Store};

/// The first workspace.
pub(crate) const DEFAULT_WORKSPACE: &str = "default";

/// The owner, if the user of the operating system has no usable name.
const DEFAULT_OWNER: &str = "owner";

/// What login secrets begin with.
pub(crate) const LOGIN_PREFIX: &str = "cmdop_login_";

/// Why the first start was not completed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The first workspace.
    #[error(transparent)]
    Workspace(#[from] AddWorkspaceError),
    /// The owner.
    #[error(transparent)]
    Account(#[from] AddAccountError),
    /// The file with the owner's secret.
    #[error(transparent)]
    File(#[from] private_file::Error),
    /// The owner's name.
    #[error(transparent)]
    Name(#[from] Refusal),
}

/// Completes whatever part of the first start is not done yet; later starts change nothing.
///
/// The secret's file is written before the secret is known to the database: a crash between the two
/// leaves a file that opens nothing, and the next start replaces it. Owner and secret are made in one
/// step: an owner without a secret would be let in by nothing.
pub(crate) async fn first_start(
    store: &Store,
    owner: Option<&str>,
    owner_login: &Path,
    now_ms: u64,
) -> Result<(), Error> {
    let workspace = store.workspace(first_workspace(store, now_ms).await?);
    if !workspace.accounts().await?.is_empty() {
        return Ok(());
    }
    let name = match owner {
        Some(name) => names::account(name)?,
        None => DEFAULT_OWNER,
    };
    let secret = Secret::random(LOGIN_PREFIX);
    private_file::write(owner_login, secret.expose().as_bytes())?;
    let hash = secret.hash();
    let made = workspace.add_first_account(name, Role::Owner, &hash, now_ms);
    if made.await?.is_none() {
        // Another server on the same database was quicker: its secret is the one that counts.
        remove_used(owner_login, secret.expose());
        return Ok(());
    }
    tracing::info!(owner = name, file = %owner_login.display(), "made the first workspace and its owner");
    Ok(())
}

async fn first_workspace(store: &Store, now_ms: u64) -> Result<WorkspaceId, Error> {
    if let Some(first) = store.workspaces().await?.first() {
        return Ok(first.id);
    }
    match store.add_workspace(DEFAULT_WORKSPACE, now_ms).await {
        Err(AddWorkspaceError::NameTaken { .. }) => {
            let made = store.workspace_named(DEFAULT_WORKSPACE).await?;
            Ok(made.ok_or(store::Error::Unreadable { what: "workspace" })?)
        }
        made => Ok(made?),
    }
}

/// The operating system's name for the user, if it can name an account.
pub(crate) fn owner_from_system(user: Option<String>) -> Option<String> {
    user.filter(|name| names::is_account(name))
}

/// Removes the file of the first secret when this was the secret in it.
pub(crate) fn remove_used(owner_login: &Path, presented: &str) {
    let is_used = private_file::read(owner_login)
        .is_ok_and(|kept| kept.trim().as_bytes().ct_eq(presented.as_bytes()).into());
    if is_used && let Err(error) = std::fs::remove_file(owner_login) {
        tracing::warn!(%error, file = %owner_login.display(), "the used login secret was not removed");
    }
}
