//! Logins and their refresh tokens. A login is the family of its refresh tokens: each use replaces the
//! token, and one that comes back after it was replaced ends the whole family, because then two hold it.

use super::accounts::Account;
use super::audit::{Actor, Event, Outcome};
use super::query::{FromRow, Row, query};
use super::revocations::{Claim, revoke_for_good, revoke_token};
use super::{Error, Transaction, Workspace, id};
use crate::lifetimes::{REFRESH_GRACE, REFRESH_TOKEN};
use cmdop_proto::{AccountId, LoginId, WorkspaceId};

/// How often a token may be presented again inside the grace: a client gives up after fewer tries.
const MAX_REPLAYS: i64 = 4;

/// A login that stands.
#[derive(Clone, Debug)]
pub struct Login {
    /// Which.
    pub id: LoginId,
    /// In which workspace.
    pub workspace: WorkspaceId,
    /// Whose.
    pub account: Account,
}

/// How somebody proved who they are.
#[derive(Clone, Copy, Debug)]
pub enum Method<'a> {
    /// By approving a device code; its hash.
    Device(&'a str),
    /// By a one-time secret; its hash.
    Secret(&'a str),
}

/// Why no login began.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// The code or secret is unknown here.
    #[error("the login secret is not one of this control plane's")]
    Unknown,
    /// It was used.
    #[error("the login secret was used already")]
    Used,
    /// Its time is over.
    #[error("the login secret has expired")]
    Expired,
    /// The account may not log in.
    #[error("the account {name} is disabled")]
    Disabled {
        /// Its name.
        name: String,
    },
    /// The database.
    #[error(transparent)]
    Store(#[from] Error),
}

/// Why a login did not go on.
#[derive(Debug, thiserror::Error)]
pub enum RefreshError {
    /// We never made such a token, or forgot it.
    #[error("the refresh token is not known here")]
    Unknown,
    /// Nobody used it for too long.
    #[error("the login has expired")]
    Expired,
    /// The login was ended: by a logout, by an administrator, or because a token was used twice.
    #[error("the login was ended")]
    Ended,
    /// The token was used before: the login is ended now.
    #[error("the refresh token was used twice, so the login was ended")]
    Reused,
    /// The account may not log in.
    #[error("the account is disabled")]
    Disabled,
    /// The database.
    #[error(transparent)]
    Store(#[from] Error),
}

impl From<sqlx::Error> for LoginError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

impl From<sqlx::Error> for RefreshError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// A refresh token's row, with its login's.
struct Presented {
    login_id: String,
    account_id: String,
    expires_at_ms: i64,
    used_at_ms: Option<i64>,
    parent_hash: Option<String>,
    ended_at_ms: Option<i64>,
}

impl FromRow for Presented {
    fn from_row(row: &Row) -> Result<Self, sqlx::Error> {
        Ok(Self {
            login_id: row.get("login_id")?,
            account_id: row.get("account_id")?,
            expires_at_ms: row.get("expires_at_ms")?,
            used_at_ms: row.get("used_at_ms")?,
            parent_hash: row.get("parent_hash")?,
            ended_at_ms: row.get("ended_at_ms")?,
        })
    }
}

impl Workspace<'_> {
    /// Keeps a one-time login secret, by its hash. Without an end it is good until it is used.
    pub async fn add_login_secret(
        &self,
        hash: &str,
        account: AccountId,
        expires_at_ms: Option<u64>,
        now_ms: u64,
    ) -> Result<(), Error> {
        let mut tx = self.write().await?;
        self.insert_login_secret(&mut tx, hash, account, expires_at_ms)
            .await?;
        let event = Event::new("login-secret-made", account.to_string());
        self.record(&mut tx, event, now_ms).await?;
        tx.commit().await
    }

    pub(super) async fn insert_login_secret(
        &self,
        tx: &mut Transaction,
        hash: &str,
        account: AccountId,
        expires_at_ms: Option<u64>,
    ) -> Result<(), Error> {
        query(
            "INSERT INTO login_secrets (hash, workspace_id, account_id, expires_at_ms) \
             VALUES ($1, $2, $3, $4)",
        )
        .bind(hash)
        .bind(self.id.to_string())
        .bind(account.to_string())
        .bind(expires_at_ms.map(|end| end as i64))
        .execute(tx)
        .await?;
        Ok(())
    }

    /// A login begins: uses up what proved it, and keeps the first refresh token's hash.
    pub async fn log_in(
        &self,
        method: Method<'_>,
        refresh_hash: &str,
        now_ms: u64,
    ) -> Result<Login, LoginError> {
        let mut tx = self.write().await?;
        let (account, method) = match method {
            Method::Device(hash) => (self.use_device_code(&mut tx, hash).await?, "device"),
            Method::Secret(hash) => (
                self.use_secret(&mut tx, hash, now_ms).await?,
                "local-secret",
            ),
        };
        let account = self
            .account_in(&mut tx, account)
            .await?
            .ok_or(LoginError::Unknown)?;
        if account.is_disabled {
            return Err(LoginError::Disabled { name: account.name });
        }
        let login = self
            .begin(&mut tx, account, method, refresh_hash, now_ms)
            .await?;
        self.store.commit(tx).await?;
        Ok(login)
    }

    /// A login of `account` begins, in the transaction that used up what proved it.
    pub(super) async fn begin(
        &self,
        tx: &mut Transaction,
        account: Account,
        method: &str,
        refresh_hash: &str,
        now_ms: u64,
    ) -> Result<Login, Error> {
        let login = LoginId::new();
        query(
            "INSERT INTO logins (id, workspace_id, account_id, method, started_at_ms) \
             VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(login.to_string())
        .bind(self.id.to_string())
        .bind(account.id.to_string())
        .bind(method)
        .bind(now_ms as i64)
        .execute(&mut *tx)
        .await?;
        self.keep_refresh_token(tx, login, refresh_hash, None, now_ms)
            .await?;
        let event = Event::new("login", login.to_string()).detail("method", method);
        self.record_as(tx, &account.actor(), event, now_ms).await?;
        Ok(Login {
            id: login,
            workspace: self.id,
            account,
        })
    }

    async fn use_device_code(
        &self,
        tx: &mut Transaction,
        hash: &str,
    ) -> Result<AccountId, LoginError> {
        let account: Option<String> = query(
            "UPDATE device_codes SET state = 'used' \
             WHERE workspace_id = $1 AND hash = $2 AND state = 'approved' RETURNING account_id",
        )
        .bind(self.id.to_string())
        .bind(hash)
        .fetch_optional(tx)
        .await?;
        Ok(id(&account.ok_or(LoginError::Used)?)?)
    }

    async fn use_secret(
        &self,
        tx: &mut Transaction,
        hash: &str,
        now_ms: u64,
    ) -> Result<AccountId, LoginError> {
        let row: Option<(String, Option<i64>, Option<i64>)> = query(
            "SELECT account_id, expires_at_ms, used_at_ms FROM login_secrets \
             WHERE workspace_id = $1 AND hash = $2",
        )
        .bind(self.id.to_string())
        .bind(hash)
        .fetch_optional(tx)
        .await?;
        let (account, expires_at_ms, used) = row.ok_or(LoginError::Unknown)?;
        if used.is_some() {
            return Err(LoginError::Used);
        }
        if expires_at_ms.is_some_and(|end| now_ms >= end as u64) {
            return Err(LoginError::Expired);
        }
        query("UPDATE login_secrets SET used_at_ms = $3 WHERE workspace_id = $1 AND hash = $2")
            .bind(self.id.to_string())
            .bind(hash)
            .bind(now_ms as i64)
            .execute(tx)
            .await?;
        Ok(id(&account)?)
    }

    /// A login goes on: the token of `hash` gives way to the one of `next_hash`.
    ///
    /// A token that was used before may be used again inside [`REFRESH_GRACE`], as long as nobody has
    /// used what it was exchanged for: then it is the same client, whose answer was lost. Of several that a token was
    /// exchanged for only one may ever be used: a client knows one of them.
    pub async fn refresh(
        &self,
        hash: &str,
        next_hash: &str,
        now_ms: u64,
    ) -> Result<Login, RefreshError> {
        let mut tx = self.write().await?;
        let presented = self
            .presented(&mut tx, hash)
            .await?
            .ok_or(RefreshError::Unknown)?;
        let login: LoginId = id(&presented.login_id)?;
        if presented.ended_at_ms.is_some() {
            return Err(RefreshError::Ended);
        }
        let is_reused = match presented.used_at_ms {
            Some(used_at_ms) => {
                let lost = self.is_lost_answer(&mut tx, hash, used_at_ms, now_ms);
                !lost.await?
            }
            None => self.has_used_sibling(&mut tx, &presented).await?,
        };
        if is_reused {
            self.end(&mut tx, login, now_ms).await?;
            let event = Event::new("refresh-token-reused", &presented.login_id)
                .outcome(Outcome::Denied)
                .detail("account", &presented.account_id);
            self.record(&mut tx, event, now_ms).await?;
            self.store.commit(tx).await?;
            return Err(RefreshError::Reused);
        }
        if now_ms >= presented.expires_at_ms as u64 {
            return Err(RefreshError::Expired);
        }
        let account = self
            .account_in(&mut tx, id(&presented.account_id)?)
            .await?
            .filter(|account| !account.is_disabled)
            .ok_or(RefreshError::Disabled)?;
        query(
            "UPDATE refresh_tokens SET used_at_ms = $3 \
             WHERE workspace_id = $1 AND hash = $2 AND used_at_ms IS NULL",
        )
        .bind(self.id.to_string())
        .bind(hash)
        .bind(now_ms as i64)
        .execute(&mut tx)
        .await?;
        self.keep_refresh_token(&mut tx, login, next_hash, Some(hash), now_ms)
            .await?;
        tx.commit().await?;
        Ok(Login {
            id: login,
            workspace: self.id,
            account,
        })
    }

    async fn is_lost_answer(
        &self,
        tx: &mut Transaction,
        hash: &str,
        used_at_ms: i64,
        now_ms: u64,
    ) -> Result<bool, Error> {
        let (children, used): (i64, i64) = query(
            "SELECT COUNT(*), COUNT(used_at_ms) FROM refresh_tokens \
             WHERE workspace_id = $1 AND parent_hash = $2",
        )
        .bind(self.id.to_string())
        .bind(hash)
        .fetch_one(tx)
        .await?;
        let is_fresh = now_ms < used_at_ms as u64 + REFRESH_GRACE.as_millis() as u64;
        Ok(is_fresh && used == 0 && children < MAX_REPLAYS)
    }

    async fn has_used_sibling(
        &self,
        tx: &mut Transaction,
        presented: &Presented,
    ) -> Result<bool, Error> {
        let used: i64 = query(
            "SELECT COUNT(used_at_ms) FROM refresh_tokens \
             WHERE workspace_id = $1 AND parent_hash = $2",
        )
        .bind(self.id.to_string())
        .bind(presented.parent_hash.as_deref())
        .fetch_one(tx)
        .await?;
        Ok(used > 0)
    }

    /// The login that a refresh token belongs to ends: its tokens are void.
    pub async fn log_out(&self, refresh_hash: &str, now_ms: u64) -> Result<(), Error> {
        let mut tx = self.write().await?;
        let Some(presented) = self.presented(&mut tx, refresh_hash).await? else {
            return Ok(());
        };
        let account = self.account_in(&mut tx, id(&presented.account_id)?).await?;
        let itself = account.map_or_else(Actor::control, |account| account.actor());
        let by = self.store.workspace(self.id).by(itself);
        by.end(&mut tx, id(&presented.login_id)?, now_ms).await?;
        self.store.commit(tx).await
    }

    /// One token, which expires at `end_ms`, is void, and nothing else of what it came from.
    pub async fn revoke_token(&self, jti: &str, end_ms: u64, now_ms: u64) -> Result<(), Error> {
        let mut tx = self.write().await?;
        revoke_token(&mut tx, jti, end_ms, now_ms).await?;
        self.record(&mut tx, Event::new("token-revoked", jti), now_ms)
            .await?;
        self.store.commit(tx).await
    }

    /// The login ends: its tokens are void.
    pub async fn end_login(&self, login: LoginId, now_ms: u64) -> Result<(), Error> {
        let mut tx = self.write().await?;
        self.end(&mut tx, login, now_ms).await?;
        self.store.commit(tx).await
    }

    async fn presented(
        &self,
        tx: &mut Transaction,
        hash: &str,
    ) -> Result<Option<Presented>, Error> {
        Ok(query(
            "SELECT t.login_id, l.account_id, t.expires_at_ms, t.used_at_ms, t.parent_hash, l.ended_at_ms \
             FROM refresh_tokens t JOIN logins l \
             ON l.workspace_id = t.workspace_id AND l.id = t.login_id \
             WHERE t.workspace_id = $1 AND t.hash = $2",
        )
        .bind(self.id.to_string())
        .bind(hash)
        .fetch_optional(tx)
        .await?)
    }

    /// A login that ended before stays as it is, and is not announced again: then the answer is no.
    pub(super) async fn end(
        &self,
        tx: &mut Transaction,
        login: LoginId,
        now_ms: u64,
    ) -> Result<bool, Error> {
        let ended = query(
            "UPDATE logins SET ended_at_ms = $3 \
             WHERE workspace_id = $1 AND id = $2 AND ended_at_ms IS NULL",
        )
        .bind(self.id.to_string())
        .bind(login.to_string())
        .bind(now_ms as i64)
        .execute(&mut *tx)
        .await?;
        if ended == 1 {
            revoke_for_good(tx, Claim::Login, &login.to_string(), now_ms).await?;
            let event = Event::new("login-ended", login.to_string());
            self.record(tx, event, now_ms).await?;
        }
        Ok(ended == 1)
    }

    async fn keep_refresh_token(
        &self,
        tx: &mut Transaction,
        login: LoginId,
        hash: &str,
        parent: Option<&str>,
        now_ms: u64,
    ) -> Result<(), Error> {
        let expires_at_ms = now_ms + REFRESH_TOKEN.as_millis() as u64;
        query(
            "INSERT INTO refresh_tokens (hash, workspace_id, login_id, parent_hash, expires_at_ms) \
             VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(hash)
        .bind(self.id.to_string())
        .bind(login.to_string())
        .bind(parent)
        .bind(expires_at_ms as i64)
        .execute(tx)
        .await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
