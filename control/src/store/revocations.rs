//! Tokens that are void before they expire. Access tokens are checked offline, so each entry is also a
//! change that relays hear; an entry is kept for as long as a token that it means could live.

use std::time::Duration;

use super::query::{FromRow, Row, query};
use super::{Error, Store, Transaction, changes};
use crate::lifetimes::LONGEST_TOKEN;
use cmdop_proto::limits::CLOCK_LEEWAY;
use cmdop_proto::token::Claims;

/// How far ahead the revocation of somebody who stays reaches. Its time was read before it waited for
/// its turn at the database, and until it is committed tokens are signed that know nothing of it: the
/// two together are shorter. A token that knows of it is dated after it.
const REACH: Duration = Duration::from_secs(30);

/// What the value of an entry is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// An account, machine or relay.
    Subject,
    /// One login.
    Login,
    /// One token, by its `jti`: the other tokens of the same key or machine go on.
    Token,
}

impl Claim {
    /// The name of the JWT claim.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Subject => "sub",
            Self::Login => "sid",
            Self::Token => "jti",
        }
    }
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// The JWT claim.
    pub claim: String,
    /// Its value.
    pub value: String,
    /// Tokens issued until then are void.
    pub issued_until_ms: u64,
    /// No such token can be alive after this.
    pub forget_at_ms: u64,
}

impl FromRow for Revocation {
    fn from_row(row: &Row) -> Result<Self, sqlx::Error> {
        Ok(Self {
            claim: row.get("claim")?,
            value: row.get("value")?,
            issued_until_ms: row.count("issued_until_ms")?,
            forget_at_ms: row.count("forget_at_ms")?,
        })
    }
}

/// Makes the tokens void that an account has so far: it stays, or may come back, and gets others.
pub(super) async fn revoke_so_far(
    tx: &mut Transaction,
    account: &str,
    now_ms: u64,
) -> Result<(), Error> {
    let until_ms = now_ms + REACH.as_millis() as u64;
    let times = (forget_at_ms(now_ms), now_ms);
    keep(tx, (Claim::Subject, account), until_ms, times).await
}

/// Makes every token void, whenever it is dated, of what never comes back under its id.
pub(super) async fn revoke_for_good(
    tx: &mut Transaction,
    claim: Claim,
    value: &str,
    now_ms: u64,
) -> Result<(), Error> {
    let forget_ms = forget_at_ms(now_ms);
    keep(tx, (claim, value), forget_ms, (forget_ms, now_ms)).await
}

/// Makes one token void, which expires at `end_ms`: the entry goes with it.
pub(super) async fn revoke_token(
    tx: &mut Transaction,
    jti: &str,
    end_ms: u64,
    now_ms: u64,
) -> Result<(), Error> {
    let forget_ms = end_ms + (2 * CLOCK_LEEWAY).as_millis() as u64;
    keep(tx, (Claim::Token, jti), forget_ms, (forget_ms, now_ms)).await
}

fn forget_at_ms(now_ms: u64) -> u64 {
    now_ms + (LONGEST_TOKEN + 2 * CLOCK_LEEWAY).as_millis() as u64
}

/// Tokens are dated to the second after an earlier entry ends: the next entry reaches over that second.
async fn keep(
    tx: &mut Transaction,
    (claim, value): (Claim, &str),
    until_ms: u64,
    (forget_ms, now_ms): (u64, u64),
) -> Result<(), Error> {
    query(
        "INSERT INTO revocations (claim, value, issued_until_ms, forget_at_ms) \
         VALUES ($1, $2, $3, $4) ON CONFLICT (claim, value) DO UPDATE \
         SET issued_until_ms = CASE \
         WHEN excluded.issued_until_ms > (revocations.issued_until_ms / 1000 + 1) * 1000 \
         THEN excluded.issued_until_ms \
         ELSE (revocations.issued_until_ms / 1000 + 1) * 1000 END, \
         forget_at_ms = CASE WHEN excluded.forget_at_ms > revocations.forget_at_ms \
         THEN excluded.forget_at_ms ELSE revocations.forget_at_ms END",
    )
    .bind(claim.as_str())
    .bind(value)
    .bind(until_ms as i64)
    .bind(forget_ms as i64)
    .execute(tx)
    .await?;
    changes::record(tx, changes::Kind::Revoked(claim), value, now_ms).await
}

/// Until when tokens of `subject` are void; 0 if they are not.
pub(super) async fn revoked_until_ms(tx: &mut Transaction, subject: &str) -> Result<u64, Error> {
    let until: Option<i64> =
        query("SELECT issued_until_ms FROM revocations WHERE claim = 'sub' AND value = $1")
            .bind(subject)
            .fetch_optional(tx)
            .await?;
    Ok(until.unwrap_or(0).max(0) as u64)
}

impl Store {
    /// Whether a token with these claims was made void.
    pub async fn is_revoked(&self, claims: &Claims) -> Result<bool, Error> {
        let login = claims.sid.map(|sid| sid.to_string()).unwrap_or_default();
        let found: i64 = query(
            "SELECT COUNT(*) FROM revocations WHERE issued_until_ms >= $1 \
             AND ((claim = 'sub' AND value = $2) OR (claim = 'sid' AND value = $3) \
             OR (claim = 'jti' AND value = $4))",
        )
        .bind(claims.iat.saturating_mul(1000))
        .bind(&claims.sub)
        .bind(login)
        .bind(&claims.jti)
        .fetch_one(&mut self.read().await?)
        .await?;
        Ok(found > 0)
    }

    /// Drops what can matter no more: entries, codes, tokens and changes whose time is over.
    pub async fn forget(&self, now_ms: u64) -> Result<(), Error> {
        /// A refresh token is kept this long after its end, so that its replay is still recognised.
        const REPLAY: u64 = 24 * 60 * 60 * 1000;
        /// A follower is seconds behind; a day leaves room for a laptop that slept.
        const CHANGES: u64 = 24 * 60 * 60 * 1000;
        let mut tx = self.write().await?;
        for (statement, before) in [
            ("DELETE FROM revocations WHERE forget_at_ms < $1", now_ms),
            (
                "DELETE FROM device_codes WHERE expires_at_ms < $1",
                now_ms.saturating_sub(REPLAY),
            ),
            (
                "DELETE FROM authorization_codes WHERE expires_at_ms < $1",
                now_ms.saturating_sub(REPLAY),
            ),
            (
                "DELETE FROM refresh_tokens WHERE expires_at_ms < $1",
                now_ms.saturating_sub(REPLAY),
            ),
            (
                "DELETE FROM login_secrets WHERE expires_at_ms < $1",
                now_ms.saturating_sub(REPLAY),
            ),
            (
                "DELETE FROM machine_tokens WHERE expires_at_ms < $1",
                now_ms.saturating_sub(30 * REPLAY),
            ),
            (
                "DELETE FROM relay_tokens WHERE expires_at_ms < $1",
                now_ms.saturating_sub(30 * REPLAY),
            ),
            (
                "DELETE FROM changes WHERE at_ms < $1",
                now_ms.saturating_sub(CHANGES),
            ),
            (
                "DELETE FROM logins WHERE started_at_ms < $1 AND NOT EXISTS (SELECT 1 FROM refresh_tokens \
                 WHERE refresh_tokens.workspace_id = logins.workspace_id \
                 AND refresh_tokens.login_id = logins.id)",
                now_ms.saturating_sub(REPLAY),
            ),
        ] {
            query(statement)
                .bind(before as i64)
                .execute(&mut tx)
                .await?;
        }
        tx.commit().await?;
        Ok(())
    }
}
