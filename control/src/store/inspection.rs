//! What a token is good for, seen by somebody else than its holder (RFC 7662): looking changes nothing.

use cmdop_proto::LoginId;

use super::query::query;
use super::{Account, Error, Workspace, id};

/// A refresh token that could be used.
#[derive(Clone, Debug)]
pub struct LiveRefreshToken {
    /// Its login.
    pub login: LoginId,
    /// Whose.
    pub account: Account,
    /// Void from then on, unless it is used.
    pub expires_at_ms: u64,
}

impl Workspace<'_> {
    /// The refresh token of this hash, unless it was used, has expired, or its login or account is over.
    pub async fn live_refresh_token(
        &self,
        hash: &str,
        now_ms: u64,
    ) -> Result<Option<LiveRefreshToken>, Error> {
        let mut tx = self.read().await?;
        let found: Option<(String, String, i64)> = query(
            "SELECT t.login_id, l.account_id, t.expires_at_ms \
             FROM refresh_tokens t JOIN logins l \
             ON l.workspace_id = t.workspace_id AND l.id = t.login_id \
             WHERE t.workspace_id = $1 AND t.hash = $2 AND t.used_at_ms IS NULL \
             AND t.expires_at_ms > $3 AND l.ended_at_ms IS NULL",
        )
        .bind(self.id.to_string())
        .bind(hash)
        .bind(now_ms as i64)
        .fetch_optional(&mut tx)
        .await?;
        let Some((login, account, expires_at_ms)) = found else {
            return Ok(None);
        };
        let account = self.account_in(&mut tx, id(&account)?).await?;
        let account = account.filter(|account| !account.is_disabled);
        let login = id(&login)?;
        Ok(account.map(|account| LiveRefreshToken {
            login,
            account,
            expires_at_ms: expires_at_ms.max(0) as u64,
        }))
    }
}
