//! Accounts: who may log in, and as what.

use super::audit::{Actor, Event};
use super::query::{FromRow, Row, query};
use super::revocations::revoke_so_far;
use super::{Error, Transaction, Workspace, id};
use cmdop_proto::AccountId;
use cmdop_proto::token::Role;

/// One account of a workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Which.
    pub id: AccountId,
    /// What is typed to log in.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// Whether it can log in by password.
    pub has_password: bool,
    /// Whether its tokens are refused.
    pub is_disabled: bool,
    /// When it was made.
    pub created_at_ms: u64,
    /// How often all of its logins were ended.
    pub login_epoch: u64,
}

/// What becomes of the logins of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Logins {
    /// They end, and their tokens are void.
    End,
    /// They go on.
    Keep,
}

/// Why an account was not made.
#[derive(Debug, thiserror::Error)]
pub enum AddAccountError {
    /// The control plane has one, in this workspace or another.
    #[error("there is an account `{name}` already")]
    NameTaken {
        /// The name.
        name: String,
    },
    /// The database.
    #[error(transparent)]
    Store(#[from] Error),
}

impl Account {
    /// Itself, as one who does something.
    pub fn actor(&self) -> Actor {
        Actor::new("account", self.id, &self.name)
    }
}

impl FromRow for Account {
    fn from_row(row: &Row) -> Result<Self, sqlx::Error> {
        let unreadable = |what| sqlx::Error::Decode(Box::new(Error::Unreadable { what }));
        Ok(Self {
            id: id(&row.get::<String>("id")?).map_err(|_| unreadable("account id"))?,
            name: row.get("name")?,
            role: Role::parse(&row.get::<String>("role")?).ok_or_else(|| unreadable("role"))?,
            has_password: row.get::<Option<String>>("password_hash")?.is_some(),
            is_disabled: row.get::<Option<i64>>("disabled_at_ms")?.is_some(),
            created_at_ms: row.count("created_at_ms")?,
            login_epoch: row.count("login_epoch")?,
        })
    }
}

impl Workspace<'_> {
    /// Makes an account without a password.
    pub async fn add_account(
        &self,
        name: &str,
        role: Role,
        now_ms: u64,
    ) -> Result<AccountId, AddAccountError> {
        let mut tx = self.write().await?;
        let account = self.insert_account(&mut tx, name, role, now_ms).await?;
        self.store.commit(tx).await?;
        Ok(account)
    }

    /// Makes the workspace's first account, and the one-time secret (its hash) that lets it in: both,
    /// or neither. Nothing if there is an account already.
    pub async fn add_first_account(
        &self,
        name: &str,
        role: Role,
        secret: &str,
        now_ms: u64,
    ) -> Result<Option<AccountId>, AddAccountError> {
        let mut tx = self.write().await?;
        let others: i64 = query("SELECT COUNT(*) FROM accounts WHERE workspace_id = $1")
            .bind(self.id.to_string())
            .fetch_one(&mut tx)
            .await
            .map_err(Error::from)?;
        if others > 0 {
            return Ok(None);
        }
        let account = self.insert_account(&mut tx, name, role, now_ms).await?;
        self.insert_login_secret(&mut tx, secret, account, None)
            .await?;
        self.store.commit(tx).await?;
        Ok(Some(account))
    }

    pub(super) async fn insert_account(
        &self,
        tx: &mut Transaction,
        name: &str,
        role: Role,
        now_ms: u64,
    ) -> Result<AccountId, AddAccountError> {
        let account = AccountId::new();
        let done = query(
            "INSERT INTO accounts (id, workspace_id, name, name_key, role, created_at_ms) \
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (name_key) DO NOTHING",
        )
        .bind(account.to_string())
        .bind(self.id.to_string())
        .bind(name)
        .bind(name.to_lowercase())
        .bind(role.as_str())
        .bind(now_ms as i64)
        .execute(&mut *tx)
        .await
        .map_err(Error::from)?;
        if done == 0 {
            return Err(AddAccountError::NameTaken {
                name: name.to_owned(),
            });
        }
        let event = Event::new("member-added", name).detail("role", role.as_str());
        self.record(tx, event, now_ms).await?;
        Ok(account)
    }

    /// All accounts, by name.
    pub async fn accounts(&self) -> Result<Vec<Account>, Error> {
        Ok(query(
            "SELECT id, name, role, created_at_ms, disabled_at_ms, \
             password_hash, login_epoch \
             FROM accounts WHERE workspace_id = $1 ORDER BY name_key",
        )
        .bind(self.id.to_string())
        .fetch_all(&mut self.read().await?)
        .await?)
    }

    /// One account.
    pub async fn account(&self, account: AccountId) -> Result<Option<Account>, Error> {
        self.account_in(&mut self.read().await?, account).await
    }

    pub(super) async fn account_in(
        &self,
        tx: &mut Transaction,
        account: AccountId,
    ) -> Result<Option<Account>, Error> {
        Ok(query(
            "SELECT id, name, role, created_at_ms, disabled_at_ms, \
             password_hash, login_epoch \
             FROM accounts WHERE workspace_id = $1 AND id = $2",
        )
        .bind(self.id.to_string())
        .bind(account.to_string())
        .fetch_optional(tx)
        .await?)
    }

    /// The hash of its password, if it has one.
    pub async fn password_hash(&self, account: AccountId) -> Result<Option<String>, Error> {
        let hash: Option<Option<String>> =
            query("SELECT password_hash FROM accounts WHERE workspace_id = $1 AND id = $2")
                .bind(self.id.to_string())
                .bind(account.to_string())
                .fetch_optional(&mut self.read().await?)
                .await?;
        Ok(hash.flatten())
    }

    /// Replaces its password. What it logged in with before ends, or goes on: whoever knew the old one may have
    /// logged in.
    pub async fn set_password(
        &self,
        account: AccountId,
        hash: &str,
        logins: Logins,
        now_ms: u64,
    ) -> Result<(), Error> {
        let mut tx = self.write().await?;
        self.replace_password(&mut tx, account, hash, logins, now_ms)
            .await?;
        self.store.commit(tx).await
    }

    /// The same by the account itself, whose present password was right when its logins had been ended `epoch` times. False:
    /// they were ended since, by somebody whose word counts.
    pub async fn change_password(
        &self,
        account: AccountId,
        epoch: u64,
        hash: &str,
        now_ms: u64,
    ) -> Result<bool, Error> {
        let mut tx = self.write().await?;
        let now = self.account_in(&mut tx, account).await?;
        if now.is_none_or(|now| now.login_epoch != epoch) {
            return Ok(false);
        }
        self.replace_password(&mut tx, account, hash, Logins::End, now_ms)
            .await?;
        self.store.commit(tx).await?;
        Ok(true)
    }

    async fn replace_password(
        &self,
        tx: &mut Transaction,
        account: AccountId,
        hash: &str,
        logins: Logins,
        now_ms: u64,
    ) -> Result<(), Error> {
        query("UPDATE accounts SET password_hash = $3 WHERE workspace_id = $1 AND id = $2")
            .bind(self.id.to_string())
            .bind(account.to_string())
            .bind(hash)
            .execute(tx)
            .await?;
        if logins == Logins::End {
            self.end_logins(tx, account, now_ms).await?;
            // What somebody approved in its name and no program has fetched yet. Keys and schedules go on.
            for approved in [
                "DELETE FROM device_codes WHERE workspace_id = $1 AND account_id = $2",
                "DELETE FROM authorization_codes WHERE workspace_id = $1 AND account_id = $2",
            ] {
                query(approved)
                    .bind(self.id.to_string())
                    .bind(account.to_string())
                    .execute(tx)
                    .await?;
            }
        }
        let event = Event::new("password-set", account.to_string());
        self.record(tx, event, now_ms).await
    }

    async fn end_logins(
        &self,
        tx: &mut Transaction,
        account: AccountId,
        now_ms: u64,
    ) -> Result<(), Error> {
        query(
            "UPDATE logins SET ended_at_ms = $3 \
             WHERE workspace_id = $1 AND account_id = $2 AND ended_at_ms IS NULL",
        )
        .bind(self.id.to_string())
        .bind(account.to_string())
        .bind(now_ms as i64)
        .execute(tx)
        .await?;
        query(
            "UPDATE accounts SET login_epoch = login_epoch + 1 WHERE workspace_id = $1 AND id = $2",
        )
        .bind(self.id.to_string())
        .bind(account.to_string())
        .execute(tx)
        .await?;
        revoke_so_far(tx, &account.to_string(), now_ms).await
    }

    /// Refuses the account from now on: its logins end, its tokens are void, and so is whatever
    /// invitation of its waits.
    pub async fn disable_account(&self, account: AccountId, now_ms: u64) -> Result<(), Error> {
        let mut tx = self.write().await?;
        query(
            "UPDATE accounts SET disabled_at_ms = $3 \
             WHERE workspace_id = $1 AND id = $2 AND disabled_at_ms IS NULL",
        )
        .bind(self.id.to_string())
        .bind(account.to_string())
        .bind(now_ms as i64)
        .execute(&mut tx)
        .await?;
        self.end_logins(&mut tx, account, now_ms).await?;
        self.withdraw_invitations(&mut tx, account, now_ms).await?;
        let event = Event::new("account-disabled", account.to_string());
        self.record(&mut tx, event, now_ms).await?;
        self.store.commit(tx).await
    }

    /// Lets a disabled account log in again; what it held before stays void.
    pub async fn enable_account(&self, account: AccountId, now_ms: u64) -> Result<(), Error> {
        let mut tx = self.write().await?;
        query("UPDATE accounts SET disabled_at_ms = NULL WHERE workspace_id = $1 AND id = $2")
            .bind(self.id.to_string())
            .bind(account.to_string())
            .execute(&mut tx)
            .await?;
        let event = Event::new("account-enabled", account.to_string());
        self.record(&mut tx, event, now_ms).await?;
        tx.commit().await
    }
}
