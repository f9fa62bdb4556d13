//! What an access token is signed on: an account and its login or key, all as they are at one moment. Were
//! they read apart, or before, a change in between would be missing from a token that outlives it.

use cmdop_proto::token::Role;
use cmdop_proto::{AccountId, LoginId, Reach};

use super::query::query;
use super::revocations::revoked_until_ms;
use super::{Error, Workspace};

/// An account that may have a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// What it may do.
    pub role: Role,
    /// Which machines it reaches.
    pub reach: Reach,
    /// Its tokens that were issued until then are void; 0: none are.
    pub revoked_until_ms: u64,
}

impl Standing {
    /// The second to which a token is dated that is made in the second `now_s`. The account may have been
    /// disabled and enabled again, or given another role, just now: then it is a later one, or that
    /// revocation would hit the new token too.
    pub fn issued_at(&self, now_s: i64) -> i64 {
        let revoked_until = self.revoked_until_ms as i64;
        if revoked_until >= now_s.saturating_mul(1000) {
            revoked_until / 1000 + 1
        } else {
            now_s
        }
    }
}

impl Workspace<'_> {
    /// How `account` stands; nothing if it is gone or disabled, or `credential`, a login, a key or a
    /// schedule of its, has ended.
    pub async fn standing(
        &self,
        account: AccountId,
        credential: LoginId,
    ) -> Result<Option<Standing>, Error> {
        let mut tx = self.read().await?;
        let found = self.account_in(&mut tx, account).await?;
        let Some(found) = found.filter(|found| !found.is_disabled) else {
            return Ok(None);
        };
        let standing: i64 = query(
            "SELECT (SELECT COUNT(*) FROM logins WHERE workspace_id = $1 AND account_id = $2 \
             AND id = $3 AND ended_at_ms IS NULL) \
             + (SELECT COUNT(*) FROM api_keys WHERE workspace_id = $1 AND account_id = $2 \
             AND id = $3 AND revoked_at_ms IS NULL) \
             + (SELECT COUNT(*) FROM schedules WHERE workspace_id = $1 AND owner_id = $2 \
             AND id = $3)",
        )
        .bind(self.id.to_string())
        .bind(account.to_string())
        .bind(credential.to_string())
        .fetch_one(&mut tx)
        .await?;
        if standing == 0 {
            return Ok(None);
        }
        Ok(Some(Standing {
            role: found.role,
            reach: self.reach_in(&mut tx, account, found.role).await?,
            revoked_until_ms: revoked_until_ms(&mut tx, &account.to_string()).await?,
        }))
    }
}

#[cfg(test)]
mod tests {
    use cmdop_proto::token::{Bearer, Claims};

    use super::*;
    use crate::store::Method;
    use crate::store::scratch::{NOW, Scratch};

    const NOW_S: i64 = (NOW / 1000) as i64;

    async fn logged_in(scratch: &Scratch, secret: &str) -> LoginId {
        let here = scratch.here();
        here.add_login_secret(secret, scratch.account, None, NOW)
            .await
            .unwrap();
        let begun = here.log_in(Method::Secret(secret), secret, NOW).await;
        begun.unwrap().id
    }

    fn token(scratch: &Scratch, login: LoginId, iat: i64) -> Claims {
        Claims {
            iss: String::new(),
            sub: scratch.account.to_string(),
            aud: Vec::new(),
            exp: i64::MAX,
            iat,
            nbf: 0,
            jti: String::new(),
            wid: scratch.workspace,
            bearer: Bearer::Account,
            role: None,
            scope: None,
            reach: Reach::All,
            sid: Some(login),
            name: String::new(),
        }
    }

    #[tokio::test]
    async fn a_token_dated_after_one_revocation_falls_to_the_next_of_the_same_moment() {
        for scratch in Scratch::each().await {
            let (here, login) = (scratch.here(), logged_in(&scratch, "s").await);
            let mut last = token(&scratch, login, NOW_S);
            for role in [Role::Admin, Role::Guest, Role::Admin, Role::Member] {
                here.set_role("ada", role, |_, _| true, NOW).await.unwrap();
                assert!(scratch.store.is_revoked(&last).await.unwrap(), "{role:?}");
                let standing = here.standing(scratch.account, login).await.unwrap();
                let standing = standing.unwrap();
                assert_eq!(standing.role, role);
                last = token(&scratch, login, standing.issued_at(NOW_S));
                assert!(!scratch.store.is_revoked(&last).await.unwrap(), "{role:?}");
            }
        }
    }

    #[tokio::test]
    async fn a_token_signed_while_a_revocation_waited_is_void() {
        for scratch in Scratch::each().await {
            let (here, login) = (scratch.here(), logged_in(&scratch, "s").await);
            let signed_meanwhile = token(&scratch, login, NOW_S + 20);
            here.disable_account(scratch.account, NOW).await.unwrap();
            let is_void = scratch.store.is_revoked(&signed_meanwhile).await.unwrap();
            assert!(is_void);
        }
    }

    #[tokio::test]
    async fn nothing_is_signed_on_what_has_ended() {
        for scratch in Scratch::each().await {
            let here = scratch.here();
            let (ended, other) = (
                logged_in(&scratch, "a").await,
                logged_in(&scratch, "b").await,
            );
            here.end_login(ended, NOW).await.unwrap();
            let stands = async |login| here.standing(scratch.account, login).await.unwrap();
            assert_eq!(stands(ended).await, None);
            // However it is dated, for it never comes back.
            let late = token(&scratch, ended, NOW_S + 1000);
            assert!(scratch.store.is_revoked(&late).await.unwrap());
            assert!(stands(other).await.is_some());
            here.disable_account(scratch.account, NOW).await.unwrap();
            assert_eq!(stands(other).await, None);
            here.enable_account(scratch.account, NOW).await.unwrap();
            assert_eq!(stands(other).await, None);
        }
    }
}
