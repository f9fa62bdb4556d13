//! `grant_type=authorization_code` (RFC 6749, section 4.1.3): a program brings the code that the browser gave it,
//! and the verifier that only it knows (RFC 7636, section 4.5).

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use cmdop_proto::Refusal;
use sha2::{Digest as _, Sha256};

use super::answer::Refused;
use crate::plane::ControlPlane;
use crate::secret::{self, Secret};
use crate::store::{CodeError, CodeProof, Credential, Login};

/// What the program presents.
#[derive(Clone, Copy)]
pub(super) struct Presented<'a> {
    /// The code.
    pub(super) code: &'a str,
    /// Where it came.
    pub(super) redirect_uri: &'a str,
    /// What only the program knows.
    pub(super) verifier: &'a str,
}

/// The login that begins with it, whose first refresh token is `refresh`.
pub(super) async fn log_in(
    plane: &ControlPlane,
    presented: Presented<'_>,
    refresh: &Secret,
) -> Result<Login, Refused> {
    if !is_verifier(presented.verifier) {
        return Err(Refused::invalid_request(
            "the parameter `code_verifier` is not 43 to 128 letters, digits, `-`, `.`, `_` and `~`",
        ));
    }
    let no_grant = |refusal: Refusal| Refused::new("invalid_grant", refusal);
    let hash = secret::hash(presented.code);
    let door = Credential::AuthorizationCode(&hash);
    let found = plane.store.workspace_of(door).await;
    let found = found.map_err(|error| no_grant(error.into()))?;
    let workspace = found.ok_or_else(|| no_grant(CodeError::Unknown.into()))?;
    let proof = CodeProof {
        hash: &hash,
        client: super::CLIENT,
        redirect_uri: presented.redirect_uri,
        challenge: &challenge(presented.verifier),
    };
    let workspace = plane.store.workspace(workspace);
    let now_ms = plane.clock.now_ms();
    let begun = workspace
        .exchange_code(proof, &refresh.hash(), now_ms)
        .await;
    if matches!(begun, Err(CodeError::Reused)) {
        tracing::warn!("an authorization code was used twice; its login is ended");
    }
    begun.map_err(|error| no_grant(error.into()))
}

/// RFC 7636, section 4.1.
fn is_verifier(text: &str) -> bool {
    let is_unreserved =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    (43..=128).contains(&text.len()) && text.bytes().all(is_unreserved)
}

/// RFC 7636, section 4.2.
fn challenge(verifier: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()))
}

impl From<CodeError> for Refusal {
    fn from(error: CodeError) -> Self {
        let reason = match error {
            CodeError::Unknown | CodeError::Mismatched => "code-invalid",
            CodeError::Expired => "code-expired",
            CodeError::Reused => "code-used",
            CodeError::Disabled => "account-disabled",
            CodeError::Store(error) => return error.into(),
        };
        Refusal::denied(reason, error.to_string()).hint("log in again")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_challenge_is_the_one_of_rfc_7636() {
        // RFC 7636, appendix B.
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        assert!(is_verifier(verifier));
        let expected = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
        assert_eq!(challenge(verifier), expected);
        for bad in ["", &"x".repeat(42), &"x".repeat(129), &" ".repeat(50)] {
            assert!(!is_verifier(bad));
        }
    }
}
