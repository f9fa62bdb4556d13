//! The logins of one account, for the person who has them.

use cmdop_proto::{AccountId, LoginId};

use super::query::{FromRow, Row, query};
use super::{Error, Workspace, id};

/// Logins that are listed: more than a person has.
const LISTED: i64 = 100;

/// One login that could go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenLogin {
    /// Which.
    pub id: LoginId,
    /// How it began.
    pub method: String,
    /// When.
    pub started_at_ms: u64,
    /// When it was last gone on with; its beginning if never.
    pub refreshed_at_ms: u64,
}

impl FromRow for OpenLogin {
    fn from_row(row: &Row) -> Result<Self, sqlx::Error> {
        let unreadable = |_| sqlx::Error::Decode(Box::new(Error::Unreadable { what: "login id" }));
        let started_at_ms = row.count("started_at_ms")?;
        let refreshed: Option<i64> = row.get("refreshed_at_ms")?;
        Ok(Self {
            id: id(&row.get::<String>("id")?).map_err(unreadable)?,
            method: row.get("method")?,
            started_at_ms,
            refreshed_at_ms: refreshed.map_or(started_at_ms, |ms| ms as u64),
        })
    }
}

impl Workspace<'_> {
    /// The account's logins that did not end and could still be refreshed, the newest first.
    pub async fn open_logins(
        &self,
        account: AccountId,
        now_ms: u64,
    ) -> Result<Vec<OpenLogin>, Error> {
        Ok(query(
            "SELECT l.id, l.method, l.started_at_ms, (SELECT MAX(t.used_at_ms) FROM refresh_tokens t \
             WHERE t.workspace_id = l.workspace_id AND t.login_id = l.id) AS refreshed_at_ms \
             FROM logins l WHERE l.workspace_id = $1 AND l.account_id = $2 \
             AND l.ended_at_ms IS NULL AND EXISTS (SELECT 1 FROM refresh_tokens t \
             WHERE t.workspace_id = l.workspace_id AND t.login_id = l.id \
             AND t.used_at_ms IS NULL AND t.expires_at_ms > $3) \
             ORDER BY l.started_at_ms DESC, l.id DESC LIMIT $4",
        )
        .bind(self.id.to_string())
        .bind(account.to_string())
        .bind(now_ms as i64)
        .bind(LISTED)
        .fetch_all(&mut self.read().await?)
        .await?)
    }

    /// Ends one of the account's logins. False if it has none such.
    pub async fn end_own_login(
        &self,
        account: AccountId,
        login: LoginId,
        now_ms: u64,
    ) -> Result<bool, Error> {
        let mut tx = self.write().await?;
        let own: i64 = query(
            "SELECT COUNT(*) FROM logins WHERE workspace_id = $1 AND account_id = $2 AND id = $3 \
             AND ended_at_ms IS NULL",
        )
        .bind(self.id.to_string())
        .bind(account.to_string())
        .bind(login.to_string())
        .fetch_one(&mut tx)
        .await?;
        if own == 0 {
            return Ok(false);
        }
        self.end(&mut tx, login, now_ms).await?;
        self.store.commit(tx).await?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use cmdop_proto::token::Role;

    use super::*;
    use crate::store::Method;
    use crate::store::scratch::{NOW, Scratch};

    async fn log_in(scratch: &Scratch, account: AccountId, name: &str, now_ms: u64) -> LoginId {
        let here = scratch.here();
        let added = here.add_login_secret(name, account, None, now_ms).await;
        added.unwrap();
        let begun = here.log_in(Method::Secret(name), name, now_ms).await;
        begun.unwrap().id
    }

    #[tokio::test]
    async fn a_person_sees_and_ends_their_own_logins_only() {
        for scratch in Scratch::each().await {
            let here = scratch.here();
            let eve = here.add_account("eve", Role::Member, NOW).await.unwrap();
            let first = log_in(&scratch, scratch.account, "a", NOW).await;
            let second = log_in(&scratch, scratch.account, "b", NOW + 1).await;
            let hers = log_in(&scratch, eve, "c", NOW).await;
            here.refresh("a", "a2", NOW + 5).await.unwrap();
            let list = here.open_logins(scratch.account, NOW + 9).await.unwrap();
            let ids: Vec<_> = list.iter().map(|login| login.id).collect();
            assert_eq!(ids, [second, first]);
            assert_eq!(list[1].refreshed_at_ms, NOW + 5);
            let end = |account, login| here.end_own_login(account, login, NOW + 9);
            assert!(!end(scratch.account, hers).await.unwrap());
            assert!(end(scratch.account, first).await.unwrap());
            assert!(!end(scratch.account, first).await.unwrap());
            assert!(here.refresh("a2", "a3", NOW + 9).await.is_err());
            let left = here.open_logins(scratch.account, NOW + 9).await.unwrap();
            assert_eq!(left.len(), 1);
            let month = NOW + crate::lifetimes::REFRESH_TOKEN.as_millis() as u64 + 2;
            let late = here.open_logins(scratch.account, month).await.unwrap();
            assert!(late.is_empty(), "nobody can go on with it");
        }
    }
}
