//! API keys: a program's way to act for an account, kept as the hash of what was shown once.

use cmdop_proto::scope::Scopes;
use cmdop_proto::{AccountId, LoginId};

use super::accounts::Account;
use super::audit::{Actor, Event};
use super::query::{FromRow, Row, query};
use super::revocations::{Claim, revoke_for_good};
use super::{Error, Transaction, Workspace, id};

/// Keys of one account that can be used.
const MAX_KEYS: i64 = 100;

/// Keys in one listing.
const LISTED: i64 = 1000;

/// A use is written down this often: a key that is used all the time costs no write each time.
const USE_MS: u64 = 60_000;

/// One key, without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// Which: also the `sid` of its tokens, so that a revocation of one is as that of a login.
    pub id: LoginId,
    /// What its owner calls it.
    pub name: String,
    /// How it begins.
    pub prefix: String,
    /// What it is good for.
    pub scopes: Scopes,
    /// Whose.
    pub account_name: String,
    /// When it was issued.
    pub created_at_ms: u64,
    /// Void from then on, if ever.
    pub expires_at_ms: Option<u64>,
    /// When it was last used, to the minute.
    pub last_used_at_ms: Option<u64>,
    /// Void since then.
    pub revoked_at_ms: Option<u64>,
}

/// One that is to be issued.
#[derive(Clone, Debug)]
pub struct NewKey<'a> {
    /// The hash of the key.
    pub hash: &'a str,
    /// How it begins.
    pub prefix: &'a str,
    /// What its owner calls it.
    pub name: &'a str,
    /// What it is good for.
    pub scopes: Scopes,
    /// The key by which it is asked for, if it is by one: it ends no later than that.
    pub issued_by: Option<LoginId>,
    /// Void from then on, if ever.
    pub expires_at_ms: Option<u64>,
}

/// A key that was presented and is good.
#[derive(Clone, Debug)]
pub struct KeyLogin {
    /// The key's id.
    pub id: LoginId,
    /// Its name.
    pub name: String,
    /// What it is good for.
    pub scopes: Scopes,
    /// For whom it acts, as they are now.
    pub account: Account,
    /// Void from then on, if ever.
    pub expires_at_ms: Option<u64>,
}

/// Why not.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// There is no such key.
    #[error("the API key is not known here")]
    Unknown,
    /// Several have that name.
    #[error("several keys have that name: name one by its id")]
    Ambiguous,
    /// It was revoked.
    #[error("the API key was revoked")]
    Revoked,
    /// Its time is over.
    #[error("the API key has expired")]
    Expired,
    /// Its account may do nothing.
    #[error("the account of the API key is disabled")]
    Disabled,
    /// The account has as many as it may.
    #[error("an account has at most {MAX_KEYS} keys that can be used")]
    TooMany,
    /// The database.
    #[error(transparent)]
    Store(#[from] Error),
}

impl From<sqlx::Error> for KeyError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

impl FromRow for ApiKey {
    fn from_row(row: &Row) -> Result<Self, sqlx::Error> {
        let unreadable = |what| sqlx::Error::Decode(Box::new(Error::Unreadable { what }));
        let time = |column| -> Result<Option<u64>, sqlx::Error> {
            Ok(row.get::<Option<i64>>(column)?.map(|ms| ms as u64))
        };
        Ok(Self {
            id: id(&row.get::<String>("id")?).map_err(|_| unreadable("key id"))?,
            name: row.get("name")?,
            prefix: row.get("prefix")?,
            scopes: Scopes::read(&row.get::<String>("scopes")?),
            account_name: row.get("account_name")?,
            created_at_ms: row.count("created_at_ms")?,
            expires_at_ms: time("expires_at_ms")?,
            last_used_at_ms: time("last_used_at_ms")?,
            revoked_at_ms: time("revoked_at_ms")?,
        })
    }
}

/// The columns of a key and its account's name; what follows says which keys.
macro_rules! keys_where {
    ($condition:literal) => {
        concat!(
            "SELECT k.id, k.name, k.prefix, k.scopes, a.name AS account_name, k.account_id, \
             k.created_at_ms, k.expires_at_ms, k.last_used_at_ms, k.revoked_at_ms \
             FROM api_keys k JOIN accounts a \
             ON a.workspace_id = k.workspace_id AND a.id = k.account_id ",
            $condition
        )
    };
}

/// A key's row with its account's id.
struct Held(ApiKey, String);

impl FromRow for Held {
    fn from_row(row: &Row) -> Result<Self, sqlx::Error> {
        Ok(Self(ApiKey::from_row(row)?, row.get("account_id")?))
    }
}

impl Workspace<'_> {
    /// Keeps a new key of `account`.
    pub async fn add_key(
        &self,
        account: &Account,
        new: NewKey<'_>,
        now_ms: u64,
    ) -> Result<ApiKey, KeyError> {
        let mut tx = self.write().await?;
        let others: i64 = query(
            "SELECT COUNT(*) FROM api_keys WHERE workspace_id = $1 AND account_id = $2 \
             AND revoked_at_ms IS NULL AND (expires_at_ms IS NULL OR expires_at_ms > $3)",
        )
        .bind(self.id.to_string())
        .bind(account.id.to_string())
        .bind(now_ms as i64)
        .fetch_one(&mut tx)
        .await?;
        if others >= MAX_KEYS {
            return Err(KeyError::TooMany);
        }
        let issuers_end = match new.issued_by {
            Some(issuer) => self.key_end(&mut tx, issuer).await?,
            None => None,
        };
        let ends = [new.expires_at_ms, issuers_end];
        let key = ApiKey {
            id: LoginId::new(),
            name: new.name.to_owned(),
            prefix: new.prefix.to_owned(),
            scopes: new.scopes,
            account_name: account.name.clone(),
            created_at_ms: now_ms,
            expires_at_ms: ends.into_iter().flatten().min(),
            last_used_at_ms: None,
            revoked_at_ms: None,
        };
        query(
            "INSERT INTO api_keys (id, workspace_id, account_id, hash, prefix, name, scopes, \
             created_at_ms, expires_at_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(key.id.to_string())
        .bind(self.id.to_string())
        .bind(account.id.to_string())
        .bind(new.hash)
        .bind(new.prefix)
        .bind(new.name)
        .bind(new.scopes.to_string())
        .bind(now_ms as i64)
        .bind(key.expires_at_ms.map(|end| end as i64))
        .execute(&mut tx)
        .await?;
        let event = Event::new("key-issued", &key.name)
            .detail("id", key.id.to_string())
            .detail("scopes", key.scopes.to_string());
        self.record(&mut tx, event, now_ms).await?;
        tx.commit().await?;
        Ok(key)
    }

    /// When a key ends that can be used, if ever.
    async fn key_end(&self, tx: &mut Transaction, key: LoginId) -> Result<Option<u64>, KeyError> {
        let row: Option<(Option<i64>, Option<i64>)> = query(
            "SELECT expires_at_ms, revoked_at_ms FROM api_keys WHERE workspace_id = $1 AND id = $2",
        )
        .bind(self.id.to_string())
        .bind(key.to_string())
        .fetch_optional(tx)
        .await?;
        match row.ok_or(KeyError::Unknown)? {
            (_, Some(_)) => Err(KeyError::Revoked),
            (end, None) => Ok(end.map(|ms| ms.max(0) as u64)),
        }
    }

    /// The keys of one account, or of all, the newest first; what ended before `ended_since_ms` is left out.
    pub async fn keys(
        &self,
        account: Option<AccountId>,
        ended_since_ms: u64,
    ) -> Result<Vec<ApiKey>, Error> {
        Ok(query(keys_where!(
            "WHERE k.workspace_id = $1 AND (k.account_id = $2 OR $2 = '') \
             AND (k.revoked_at_ms IS NULL OR k.revoked_at_ms >= $3) \
             AND (k.expires_at_ms IS NULL OR k.expires_at_ms >= $3) \
             ORDER BY k.created_at_ms DESC, k.id DESC LIMIT $4"
        ))
        .bind(self.id.to_string())
        .bind(account.map(|id| id.to_string()).unwrap_or_default())
        .bind(ended_since_ms as i64)
        .bind(LISTED)
        .fetch_all(&mut self.read().await?)
        .await?)
    }

    /// Ends the key of that id or name, of one account or of anybody. Its tokens are void at once. The id
    /// comes first: a key may have been issued under the id of another as its name.
    pub async fn revoke_key(
        &self,
        key: &str,
        account: Option<AccountId>,
        now_ms: u64,
    ) -> Result<ApiKey, KeyError> {
        let mut tx = self.write().await?;
        let found: Vec<ApiKey> = query(keys_where!(
            "WHERE k.workspace_id = $1 AND (k.account_id = $2 OR $2 = '') \
             AND (k.id = $3 OR k.name = $3) AND k.revoked_at_ms IS NULL \
             ORDER BY CASE WHEN k.id = $3 THEN 0 ELSE 1 END LIMIT 2"
        ))
        .bind(self.id.to_string())
        .bind(account.map(|id| id.to_string()).unwrap_or_default())
        .bind(key)
        .fetch_all(&mut tx)
        .await?;
        let mut found = found.into_iter();
        let mut one = found.next().ok_or(KeyError::Unknown)?;
        let id = one.id.to_string();
        if id != key && found.next().is_some() {
            return Err(KeyError::Ambiguous);
        }
        query("UPDATE api_keys SET revoked_at_ms = $3 WHERE workspace_id = $1 AND id = $2")
            .bind(self.id.to_string())
            .bind(&id)
            .bind(now_ms as i64)
            .execute(&mut tx)
            .await?;
        revoke_for_good(&mut tx, Claim::Login, &id, now_ms).await?;
        let event = Event::new("key-revoked", &one.name)
            .detail("id", &id)
            .detail("account", &one.account_name);
        self.record(&mut tx, event, now_ms).await?;
        self.store.commit(tx).await?;
        one.revoked_at_ms = Some(now_ms);
        Ok(one)
    }

    /// Whoever has the key of this hash wants it to be void. It may be so already.
    pub async fn revoke_presented_key(&self, hash: &str, now_ms: u64) -> Result<(), KeyError> {
        let held: Option<Held> = query(keys_where!("WHERE k.workspace_id = $1 AND k.hash = $2"))
            .bind(self.id.to_string())
            .bind(hash)
            .fetch_optional(&mut self.read().await?)
            .await?;
        let Some(Held(key, _)) = held else {
            return Ok(());
        };
        let itself = Actor::new("key", key.id, &key.name);
        let by = self.store.workspace(self.id).by(itself);
        match by.revoke_key(&key.id.to_string(), None, now_ms).await {
            Ok(_) | Err(KeyError::Unknown) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The key of this hash and its account, if it is good; that it was looked at leaves no trace.
    pub async fn good_key(&self, hash: &str, now_ms: u64) -> Result<(ApiKey, Account), KeyError> {
        let mut tx = self.read().await?;
        let held: Option<Held> = query(keys_where!("WHERE k.workspace_id = $1 AND k.hash = $2"))
            .bind(self.id.to_string())
            .bind(hash)
            .fetch_optional(&mut tx)
            .await?;
        let Held(key, account) = held.ok_or(KeyError::Unknown)?;
        if key.revoked_at_ms.is_some() {
            return Err(KeyError::Revoked);
        }
        if key.expires_at_ms.is_some_and(|end| now_ms >= end) {
            return Err(KeyError::Expired);
        }
        let account = self.account_in(&mut tx, id(&account)?).await?;
        let account = account.ok_or(KeyError::Unknown)?;
        if account.is_disabled {
            return Err(KeyError::Disabled);
        }
        Ok((key, account))
    }

    /// Somebody presents the key of this hash.
    pub async fn use_key(&self, hash: &str, now_ms: u64) -> Result<KeyLogin, KeyError> {
        let (key, account) = self.good_key(hash, now_ms).await?;
        if key
            .last_used_at_ms
            .is_none_or(|last| now_ms >= last + USE_MS)
        {
            self.mark_used(&key, &account, now_ms).await?;
        }
        Ok(KeyLogin {
            id: key.id,
            name: key.name,
            scopes: key.scopes,
            account,
            expires_at_ms: key.expires_at_ms,
        })
    }

    async fn mark_used(&self, key: &ApiKey, account: &Account, now_ms: u64) -> Result<(), Error> {
        let mut tx = self.write().await?;
        query("UPDATE api_keys SET last_used_at_ms = $3 WHERE workspace_id = $1 AND id = $2")
            .bind(self.id.to_string())
            .bind(key.id.to_string())
            .bind(now_ms as i64)
            .execute(&mut tx)
            .await?;
        // A key that nobody used before is in somebody's hands from now on.
        if key.last_used_at_ms.is_none() {
            self.record_first_use(&mut tx, key, account, now_ms).await?;
        }
        tx.commit().await
    }

    async fn record_first_use(
        &self,
        tx: &mut Transaction,
        key: &ApiKey,
        account: &Account,
        now_ms: u64,
    ) -> Result<(), Error> {
        let itself = Actor::new("key", key.id, &key.name);
        let event = Event::new("key-first-used", &key.name).detail("account", &account.name);
        self.record_as(tx, &itself, event, now_ms).await
    }
}
