//! The one key that signs tokens, and what the world may know of it.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use cmdop_proto::Refusal;
use cmdop_proto::token::Claims;
use cmdop_service::private_file;
use cmdop_service::tokens::KeySet;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use sha2::{Digest as _, Sha256};

/// Why there is no signing key.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file.
    #[error(transparent)]
    File(#[from] private_file::Error),
    /// What is in it.
    #[error(
        "{path} does not hold an Ed25519 key ({reason}): restore it from a backup, or move it away \
         and everybody has to log in again"
    )]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// Signs tokens.
pub(crate) struct Signer {
    key: EncodingKey,
    key_id: String,
    jwks: String,
    public: KeySet,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Signer({})", self.key_id)
    }
}

impl Signer {
    /// The key in the private file at `path`, which is made if it is not there.
    pub(crate) fn load_or_make(path: &Path) -> Result<Self, Error> {
        let unusable = |reason: String| Error::Unusable {
            path: path.to_owned(),
            reason,
        };
        let pem = match private_file::read(path) {
            Err(error) if error.is_missing() => {
                let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519)
                    .map_err(|error| unusable(error.to_string()))?;
                private_file::write(path, pair.serialize_pem().as_bytes())?;
                pair.serialize_pem()
            }
            read => read?,
        };
        Self::from_pem(&pem).map_err(unusable)
    }

    fn from_pem(pem: &str) -> Result<Self, String> {
        let pair = rcgen::KeyPair::from_pem_and_sign_algo(pem, &rcgen::PKCS_ED25519)
            .map_err(|error| error.to_string())?;
        let x = BASE64_URL_SAFE_NO_PAD.encode(pair.public_key_raw());
        let key_id = thumbprint(&x);
        let jwks = serde_json::json!({"keys": [
            {"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": key_id, "x": x}
        ]})
        .to_string();
        Ok(Self {
            key: EncodingKey::from_ed_pem(pem.as_bytes()).map_err(|error| error.to_string())?,
            public: KeySet::from_jwks(&jwks).map_err(|refusal| refusal.message)?,
            key_id,
            jwks,
        })
    }

    /// The token that says `claims`.
    pub(crate) fn sign(&self, claims: &Claims) -> Result<String, Refusal> {
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = Some(self.key_id.clone());
        jsonwebtoken::encode(&header, claims, &self.key).map_err(|error| {
            tracing::error!(%error, "a token could not be signed");
            Refusal::internal("the token could not be signed")
        })
    }

    /// The public half as a JWK set (RFC 7517).
    pub(crate) fn jwks(&self) -> &str {
        &self.jwks
    }

    /// The public half, for checking our own tokens.
    pub(crate) fn public(&self) -> &KeySet {
        &self.public
    }
}

/// The key's name: its JWK thumbprint (RFC 7638).
fn thumbprint(x: &str) -> String {
    let canonical = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
    BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(canonical.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_the_name_that_rfc_8037_gives_it() {
        // RFC 8037, appendix A.3.
        let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
        assert_eq!(thumbprint(x), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }

    #[test]
    fn the_key_is_made_once_and_kept_private() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("signing.key");
        let first = Signer::load_or_make(&path).unwrap();
        assert_eq!(Signer::load_or_make(&path).unwrap().jwks(), first.jwks());
        assert!(private_file::read(&path).is_ok());
        assert!(!first.jwks().contains("\"d\""));
    }

    #[test]
    fn a_file_that_holds_no_key_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("signing.key");
        private_file::write(&path, b"nonsense").unwrap();
        let error = Signer::load_or_make(&path).unwrap_err().to_string();
        assert!(
            error.contains("signing.key") && error.contains("backup"),
            "{error}"
        );
    }
}
