//! The few questions that cannot carry a workspace, because their answer is the workspace: whose is
//! this secret, this name, this machine? Each gives ids and nothing else.

use cmdop_proto::{AccountId, WorkspaceId};

use super::query::query;
use super::{Error, Store, id};

/// Something that a caller holds and that belongs to one workspace.
#[derive(Clone, Copy, Debug)]
pub enum Credential<'a> {
    /// The hash of a refresh token.
    RefreshToken(&'a str),
    /// The hash of an authorization code.
    AuthorizationCode(&'a str),
    /// The hash of a one-time login secret.
    LoginSecret(&'a str),
    /// The hash of an API key.
    ApiKey(&'a str),
    /// The hash of an invitation's secret.
    Invitation(&'a str),
    /// The hash of a machine's enrolment token.
    MachineToken(&'a str),
    /// The id of a machine, which then has to prove itself.
    Machine(&'a str),
}

/// Where an account of a given name is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// Its workspace.
    pub workspace: WorkspaceId,
    /// Which one.
    pub account: AccountId,
}

impl Store {
    /// The workspace of a credential, if there is such a credential.
    pub async fn workspace_of(
        &self,
        credential: Credential<'_>,
    ) -> Result<Option<WorkspaceId>, Error> {
        let (statement, value) = match credential {
            Credential::RefreshToken(hash) => (
                "SELECT workspace_id FROM refresh_tokens WHERE hash = $1",
                hash,
            ),
            Credential::AuthorizationCode(hash) => (
                "SELECT workspace_id FROM authorization_codes WHERE hash = $1",
                hash,
            ),
            Credential::LoginSecret(hash) => (
                "SELECT workspace_id FROM login_secrets WHERE hash = $1",
                hash,
            ),
            Credential::MachineToken(hash) => (
                "SELECT workspace_id FROM machine_tokens WHERE hash = $1",
                hash,
            ),
            Credential::ApiKey(hash) => ("SELECT workspace_id FROM api_keys WHERE hash = $1", hash),
            Credential::Invitation(hash) => {
                ("SELECT workspace_id FROM invitations WHERE hash = $1", hash)
            }
            Credential::Machine(id) => ("SELECT workspace_id FROM machines WHERE id = $1", id),
        };
        let found: Option<String> = query(statement)
            .bind(value)
            .fetch_optional(&mut self.read().await?)
            .await?;
        found.as_deref().map(id).transpose()
    }

    /// The account that logs in with this name.
    pub async fn account_named(&self, name: &str) -> Result<Option<Known>, Error> {
        let row: Option<(String, String)> =
            query("SELECT workspace_id, id FROM accounts WHERE name_key = $1")
                .bind(name.to_lowercase())
                .fetch_optional(&mut self.read().await?)
                .await?;
        row.map(|(workspace, account)| {
            Ok(Known {
                workspace: id(&workspace)?,
                account: id(&account)?,
            })
        })
        .transpose()
    }

    /// The workspace of this name.
    pub async fn workspace_named(&self, name: &str) -> Result<Option<WorkspaceId>, Error> {
        let found: Option<String> = query("SELECT id FROM workspaces WHERE name_key = $1")
            .bind(name.to_lowercase())
            .fetch_optional(&mut self.read().await?)
            .await?;
        found.as_deref().map(id).transpose()
    }
}
