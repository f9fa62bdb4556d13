//! Accounts: who may log in, and as what.

use cmdop_proto::AccountId;
use cmdop_proto::token::Role;
use sqlx::{FromRow as _, Row as _, SqliteConnection};

use super::revocations::{Claim, revoke};
use super::{Error, Workspace, id};

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

impl<'r> sqlx::FromRow<'r, sqlx::sqlite::SqliteRow> for Account {
    fn from_row(row: &'r sqlx::sqlite::SqliteRow) -> Result<Self, sqlx::Error> {
        let unreadable = |what| sqlx::Error::Decode(Box::new(Error::Unreadable { what }));
        Ok(Self {
            id: id(row.try_get("id")?).map_err(|_| unreadable("account id"))?,
            name: row.try_get("name")?,
            role: Role::parse(row.try_get("role")?).ok_or_else(|| unreadable("role"))?,
            has_password: row.try_get::<i64, _>("has_password")? != 0,
            is_disabled: row.try_get::<Option<i64>, _>("disabled_at_ms")?.is_some(),
            created_at_ms: row.try_get::<i64, _>("created_at_ms")? as u64,
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
        let mut connection = self.store.pool.acquire().await.map_err(Error::from)?;
        self.insert_account(&mut connection, name, role, now_ms)
            .await
    }

    /// Makes an account that a one-time secret (its hash) lets in: both, or neither.
    pub async fn add_account_with_secret(
        &self,
        name: &str,
        role: Role,
        secret: &str,
        now_ms: u64,
    ) -> Result<AccountId, AddAccountError> {
        let mut tx = self.store.begin().await?;
        let account = self.insert_account(&mut tx, name, role, now_ms).await?;
        self.insert_login_secret(&mut tx, secret, account, None)
            .await?;
        self.store.commit(tx).await?;
        Ok(account)
    }

    async fn insert_account(
        &self,
        connection: &mut SqliteConnection,
        name: &str,
        role: Role,
        now_ms: u64,
    ) -> Result<AccountId, AddAccountError> {
        let account = AccountId::new();
        let done = sqlx::query(
            "INSERT INTO accounts (id, workspace_id, name, name_key, role, created_at_ms) \
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (name_key) DO NOTHING",
        )
        .bind(account.to_string())
        .bind(self.id.to_string())
        .bind(name)
        .bind(name.to_lowercase())
        .bind(role.as_str())
        .bind(now_ms as i64)
        .execute(connection)
        .await
        .map_err(Error::from)?;
        if done.rows_affected() == 0 {
            return Err(AddAccountError::NameTaken {
                name: name.to_owned(),
            });
        }
        Ok(account)
    }

    /// All accounts, by name.
    pub async fn accounts(&self) -> Result<Vec<Account>, Error> {
        Ok(sqlx::query_as(
            "SELECT id, name, role, created_at_ms, disabled_at_ms, \
             CASE WHEN password_hash IS NULL THEN 0 ELSE 1 END AS has_password \
             FROM accounts WHERE workspace_id = $1 ORDER BY name_key",
        )
        .bind(self.id.to_string())
        .fetch_all(&self.store.pool)
        .await?)
    }

    /// One account.
    pub async fn account(&self, account: AccountId) -> Result<Option<Account>, Error> {
        let mut connection = self.store.pool.acquire().await.map_err(Error::from)?;
        self.account_in(&mut connection, account).await
    }

    pub(super) async fn account_in(
        &self,
        connection: &mut SqliteConnection,
        account: AccountId,
    ) -> Result<Option<Account>, Error> {
        let row = sqlx::query(
            "SELECT id, name, role, created_at_ms, disabled_at_ms, \
             CASE WHEN password_hash IS NULL THEN 0 ELSE 1 END AS has_password \
             FROM accounts WHERE workspace_id = $1 AND id = $2",
        )
        .bind(self.id.to_string())
        .bind(account.to_string())
        .fetch_optional(connection)
        .await?;
        Ok(row.as_ref().map(Account::from_row).transpose()?)
    }

    /// The hash of its password, if it has one.
    pub async fn password_hash(&self, account: AccountId) -> Result<Option<String>, Error> {
        let hash: Option<Option<String>> = sqlx::query_scalar(
            "SELECT password_hash FROM accounts WHERE workspace_id = $1 AND id = $2",
        )
        .bind(self.id.to_string())
        .bind(account.to_string())
        .fetch_optional(&self.store.pool)
        .await?;
        Ok(hash.flatten())
    }

    /// Replaces its password. Logins that stand go on.
    pub async fn set_password(&self, account: AccountId, hash: &str) -> Result<(), Error> {
        sqlx::query("UPDATE accounts SET password_hash = $3 WHERE workspace_id = $1 AND id = $2")
            .bind(self.id.to_string())
            .bind(account.to_string())
            .bind(hash)
            .execute(&self.store.pool)
            .await?;
        Ok(())
    }

    /// Refuses the account from now on: its logins end, its tokens are void.
    pub async fn disable_account(&self, account: AccountId, now_ms: u64) -> Result<(), Error> {
        let mut tx = self.store.begin().await?;
        for statement in [
            "UPDATE accounts SET disabled_at_ms = $3 \
             WHERE workspace_id = $1 AND id = $2 AND disabled_at_ms IS NULL",
            "UPDATE logins SET ended_at_ms = $3 \
             WHERE workspace_id = $1 AND account_id = $2 AND ended_at_ms IS NULL",
        ] {
            sqlx::query(statement)
                .bind(self.id.to_string())
                .bind(account.to_string())
                .bind(now_ms as i64)
                .execute(&mut *tx)
                .await?;
        }
        revoke(&mut tx, Claim::Subject, &account.to_string(), now_ms).await?;
        self.store.commit(tx).await
    }

    /// Lets a disabled account log in again; what it held before stays void.
    pub async fn enable_account(&self, account: AccountId) -> Result<(), Error> {
        sqlx::query(
            "UPDATE accounts SET disabled_at_ms = NULL WHERE workspace_id = $1 AND id = $2",
        )
        .bind(self.id.to_string())
        .bind(account.to_string())
        .execute(&self.store.pool)
        .await?;
        Ok(())
    }
}
