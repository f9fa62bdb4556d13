//! Passwords: argon2id with the crate's defaults (OWASP's), away from the runtime's threads.

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use cmdop_proto::Refusal;
use tokio::sync::Semaphore;

/// Hashes at the same time: each takes 19 MiB and a core.
const AT_ONCE: usize = 2;

/// The shortest password (NIST SP 800-63B).
const SHORTEST: usize = 8;

/// The longest that is looked at.
const LONGEST: usize = 1024;

/// Verified in the place of a hash that does not exist, so that an unknown name takes as long as a
/// wrong password. No password has this hash: its output is all zero.
const DECOY: &str = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Hashes and checks passwords, a few at a time.
#[derive(Debug)]
pub(crate) struct Passwords {
    permits: Semaphore,
}

impl Default for Passwords {
    fn default() -> Self {
        Self {
            permits: Semaphore::new(AT_ONCE),
        }
    }
}

impl Passwords {
    /// The hash to keep, as a PHC string.
    pub(crate) async fn hash(&self, password: String) -> Result<String, Refusal> {
        let lost = || Refusal::internal("the password could not be hashed");
        let _permit = self.permits.acquire().await.map_err(|_| lost())?;
        let hashed = tokio::task::spawn_blocking(move || hash(&password)).await;
        hashed.map_err(|_| lost())?
    }

    /// Whether `password` has this hash. Without a hash the answer is no, after the same time.
    pub(crate) async fn is_right(&self, password: &str, hash: Option<String>) -> bool {
        let Ok(_permit) = self.permits.acquire().await else {
            return false;
        };
        // No account has one that is longer; to be told so at once would tell which names there are.
        let (password, hash) = if password.len() > LONGEST {
            (String::new(), None)
        } else {
            (password.to_owned(), hash)
        };
        let checked = tokio::task::spawn_blocking(move || {
            verify(password.as_bytes(), hash.as_deref().unwrap_or(DECOY))
        });
        checked.await.unwrap_or(false)
    }
}

fn verify(password: &[u8], hash: &str) -> bool {
    PasswordHash::new(hash)
        .is_ok_and(|hash| Argon2::default().verify_password(password, &hash).is_ok())
}

/// The hash to keep, as a PHC string. Blocks for some tens of milliseconds.
pub(crate) fn hash(password: &str) -> Result<String, Refusal> {
    if password.chars().count() < SHORTEST || password.len() > LONGEST {
        return Err(Refusal::invalid(
            "bad-request",
            format!("a password has at least {SHORTEST} characters and at most {LONGEST} bytes"),
        ));
    }
    let hash: PasswordHash = Argon2::default()
        .hash_password(password.as_bytes())
        .map_err(|error| Refusal::internal(format!("the password could not be hashed: {error}")))?;
    Ok(hash.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_right_password_is_right() {
        let passwords = Passwords::default();
        let kept = hash("correct horse").unwrap();
        assert!(kept.starts_with("$argon2id$"));
        assert!(
            passwords
                .is_right("correct horse", Some(kept.clone()))
                .await
        );
        assert!(!passwords.is_right("correct horsf", Some(kept)).await);
        assert!(!passwords.is_right("correct horse", None).await);
    }

    #[test]
    fn the_decoy_is_a_hash_that_takes_as_long_as_a_real_one() {
        let parameters = |hash: &str| hash.split('$').nth(3).map(str::to_owned);
        assert!(PasswordHash::new(DECOY).is_ok());
        assert_eq!(
            parameters(DECOY),
            parameters(&hash("correct horse").unwrap())
        );
    }

    #[test]
    fn a_password_that_is_too_short_or_too_long_is_refused() {
        assert!(hash("seven77").is_err());
        assert!(hash(&"x".repeat(1025)).is_err());
    }
}
