//! Authorization codes (RFC 6749, section 4.1.2): a person said yes on the page, and a program exchanges what the
//! browser brought it, once. One that comes back has been in two hands: the login that it began ends.

use cmdop_proto::{AccountId, LoginId};
use subtle::ConstantTimeEq as _;

use super::audit::{Event, Outcome};
use super::query::{FromRow, Row, query};
use super::{Error, Login, Workspace, id};

/// What a person allowed.
#[derive(Clone, Copy, Debug)]
pub struct NewAuthorizationCode<'a> {
    /// The hash of the code.
    pub hash: &'a str,
    /// Who said yes.
    pub account: AccountId,
    /// To which program.
    pub client: &'a str,
    /// Where the code was sent.
    pub redirect_uri: &'a str,
    /// The SHA-256 of what the program alone knows, in base64url (RFC 7636, section 4.2).
    pub challenge: &'a str,
    /// Void from then on.
    pub expires_at_ms: u64,
}

/// What a program presents.
#[derive(Clone, Copy, Debug)]
pub struct CodeProof<'a> {
    /// The hash of the code.
    pub hash: &'a str,
    /// Which program it says to be.
    pub client: &'a str,
    /// Where it says that the code came.
    pub redirect_uri: &'a str,
    /// The SHA-256 of the verifier that it presents, in base64url.
    pub challenge: &'a str,
}

/// Why no login began.
#[derive(Debug, thiserror::Error)]
pub enum CodeError {
    /// There is no such code.
    #[error("the authorization code is not known here")]
    Unknown,
    /// Its minute is over.
    #[error("the authorization code has expired")]
    Expired,
    /// It was made for another program, address or verifier.
    #[error("the authorization code was made for another client, redirect URI or code verifier")]
    Mismatched,
    /// It was used before: the login that it began is ended now.
    #[error("the authorization code was used twice, so its login was ended")]
    Reused,
    /// The account may not log in.
    #[error("the account is disabled")]
    Disabled,
    /// The database.
    #[error(transparent)]
    Store(#[from] Error),
}

impl From<sqlx::Error> for CodeError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

struct Kept {
    account_id: String,
    client: String,
    redirect_uri: String,
    challenge: String,
    expires_at_ms: u64,
    login_id: Option<String>,
}

impl FromRow for Kept {
    fn from_row(row: &Row) -> Result<Self, sqlx::Error> {
        Ok(Self {
            account_id: row.get("account_id")?,
            client: row.get("client")?,
            redirect_uri: row.get("redirect_uri")?,
            challenge: row.get("challenge")?,
            expires_at_ms: row.count("expires_at_ms")?,
            login_id: row.get("login_id")?,
        })
    }
}

impl Kept {
    fn is_for(&self, proof: &CodeProof<'_>) -> bool {
        let is_proved = self.challenge.as_bytes().ct_eq(proof.challenge.as_bytes());
        self.client == proof.client
            && self.redirect_uri == proof.redirect_uri
            && bool::from(is_proved)
    }
}

impl Workspace<'_> {
    /// Keeps a code that a person just allowed.
    pub async fn add_authorization_code(
        &self,
        new: NewAuthorizationCode<'_>,
        now_ms: u64,
    ) -> Result<(), Error> {
        let mut tx = self.write().await?;
        query(
            "INSERT INTO authorization_codes \
             (hash, workspace_id, account_id, client, redirect_uri, challenge, expires_at_ms) \
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(new.hash)
        .bind(self.id.to_string())
        .bind(new.account.to_string())
        .bind(new.client)
        .bind(new.redirect_uri)
        .bind(new.challenge)
        .bind(new.expires_at_ms as i64)
        .execute(&mut tx)
        .await?;
        let event = Event::new("client-allowed", new.client)
            .detail("account", new.account.to_string())
            .detail("redirect-uri", new.redirect_uri);
        self.record(&mut tx, event, now_ms).await?;
        tx.commit().await
    }

    /// A login begins with what `proof` presents: uses up the code, keeps the first refresh token's hash.
    pub async fn exchange_code(
        &self,
        proof: CodeProof<'_>,
        refresh_hash: &str,
        now_ms: u64,
    ) -> Result<Login, CodeError> {
        let mut tx = self.write().await?;
        let kept: Option<Kept> = query(
            "SELECT account_id, client, redirect_uri, challenge, expires_at_ms, login_id \
             FROM authorization_codes WHERE workspace_id = $1 AND hash = $2",
        )
        .bind(self.id.to_string())
        .bind(proof.hash)
        .fetch_optional(&mut tx)
        .await?;
        let kept = kept.ok_or(CodeError::Unknown)?;
        if let Some(login) = &kept.login_id {
            let login: LoginId = id(login)?;
            // The first time ends the login; after that there is nothing new to tell.
            if self.end(&mut tx, login, now_ms).await? {
                let event = Event::new("authorization-code-reused", login.to_string())
                    .outcome(Outcome::Denied)
                    .detail("account", &kept.account_id);
                self.record(&mut tx, event, now_ms).await?;
                self.store.commit(tx).await?;
            }
            return Err(CodeError::Reused);
        }
        if now_ms >= kept.expires_at_ms {
            return Err(CodeError::Expired);
        }
        if !kept.is_for(&proof) {
            return Err(CodeError::Mismatched);
        }
        let account = self.account_in(&mut tx, id(&kept.account_id)?).await?;
        let account = account.filter(|account| !account.is_disabled);
        let account = account.ok_or(CodeError::Disabled)?;
        let begun = self.begin(&mut tx, account, "code", refresh_hash, now_ms);
        let login = begun.await?;
        query("UPDATE authorization_codes SET login_id = $3 WHERE workspace_id = $1 AND hash = $2")
            .bind(self.id.to_string())
            .bind(proof.hash)
            .bind(login.id.to_string())
            .execute(&mut tx)
            .await?;
        self.store.commit(tx).await?;
        Ok(login)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifetimes::AUTHORIZATION_CODE;
    use crate::store::scratch::{NOW, Scratch};

    const MINUTE: u64 = AUTHORIZATION_CODE.as_millis() as u64;

    const PROOF: CodeProof<'static> = CodeProof {
        hash: "code",
        client: "cmdop-cli",
        redirect_uri: "http://127.0.0.1:1/",
        challenge: "challenge",
    };

    async fn allowed() -> [Scratch; 2] {
        let each = Scratch::each().await;
        for scratch in &each {
            let new = NewAuthorizationCode {
                hash: PROOF.hash,
                account: scratch.account,
                client: PROOF.client,
                redirect_uri: PROOF.redirect_uri,
                challenge: PROOF.challenge,
                expires_at_ms: NOW + MINUTE,
            };
            let added = scratch.here().add_authorization_code(new, NOW).await;
            added.unwrap();
        }
        each
    }

    #[tokio::test]
    async fn a_code_that_comes_back_ends_the_login_that_it_began() {
        for scratch in allowed().await {
            let here = scratch.here();
            here.exchange_code(PROOF, "r1", NOW).await.unwrap();
            // Whoever brings it, and whatever else they know.
            let stolen = CodeProof {
                challenge: "another",
                ..PROOF
            };
            let again = here.exchange_code(stolen, "r2", NOW + 1).await;
            assert!(matches!(again, Err(CodeError::Reused)));
            let refreshed = here.refresh("r1", "r3", NOW + 2).await;
            assert!(refreshed.is_err(), "the login goes on");
        }
    }

    #[tokio::test]
    async fn two_who_bring_one_code_at_once_get_no_login_that_lasts() {
        for scratch in allowed().await {
            let here = scratch.here();
            let (one, two) = tokio::join!(
                here.exchange_code(PROOF, "a", NOW),
                here.exchange_code(PROOF, "b", NOW),
            );
            assert_eq!(usize::from(one.is_ok()) + usize::from(two.is_ok()), 1);
            for token in ["a", "b"] {
                assert!(here.refresh(token, "c", NOW + 1).await.is_err());
            }
        }
    }

    #[tokio::test]
    async fn a_code_is_good_for_who_asked_within_its_minute_in_its_workspace() {
        for scratch in allowed().await {
            let (here, elsewhere) = (scratch.here(), scratch.elsewhere().await);
            for wrong in [
                CodeProof {
                    client: "other",
                    ..PROOF
                },
                CodeProof {
                    redirect_uri: "http://127.0.0.1:2/",
                    ..PROOF
                },
                CodeProof {
                    challenge: "",
                    ..PROOF
                },
            ] {
                let refused = here.exchange_code(wrong, "r", NOW).await;
                assert!(matches!(refused, Err(CodeError::Mismatched)), "{wrong:?}");
            }
            let late = here.exchange_code(PROOF, "r", NOW + MINUTE).await;
            assert!(matches!(late, Err(CodeError::Expired)));
            let foreign = elsewhere.exchange_code(PROOF, "r", NOW).await;
            assert!(matches!(foreign, Err(CodeError::Unknown)));
            let in_time = here.exchange_code(PROOF, "r", NOW + MINUTE - 1).await;
            assert_eq!(in_time.unwrap().account.id, scratch.account);
        }
    }

    #[tokio::test]
    async fn an_account_that_was_disabled_meanwhile_gets_no_login() {
        for scratch in allowed().await {
            let here = scratch.here();
            here.disable_account(scratch.account, NOW).await.unwrap();
            let refused = here.exchange_code(PROOF, "r", NOW).await;
            assert!(matches!(refused, Err(CodeError::Disabled)));
        }
    }
}
