//! The keys that sign tokens, and what the world may know of them.
//!
//! They are in the database, sealed, so that all control planes on it have the same. A new key is published as soon
//! as it is there and signs from a later time on, so that whoever checks tokens has it before the first token comes;
//! an old one stays published until nothing that it signed can be alive.

use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use cmdop_proto::Refusal;
use cmdop_proto::token::Claims;
use cmdop_service::private_file;
use cmdop_service::tokens::KeySet;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;

use crate::sealed::Sealer;
use crate::store::{self, SealedKey, SealedKind, Store};

mod follow;

pub(crate) use follow::follow;

/// The one key of versions that kept it in a file of the data directory; taken over at the first start.
const FORMER_FILE: &str = "signing.key";

/// Why there is no signing key.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The file of a former version.
    #[error(transparent)]
    File(#[from] private_file::Error),
    /// What is in it, or in the database.
    #[error(
        "the signing key {id} cannot be used ({reason}): restore secrets.key from a backup; or, if it is lost, \
         delete the rows of signing_keys, and everybody's tokens are made anew"
    )]
    Unusable {
        /// Its name, or its file.
        id: String,
        /// What is wrong.
        reason: String,
    },
    /// Sealing it.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

/// Signs tokens.
#[derive(Debug)]
pub(crate) struct Signer {
    keys: watch::Sender<Arc<Keys>>,
}

/// All keys at one moment.
pub(crate) struct Keys {
    signing: Vec<SigningKey>,
    jwks: String,
    public: KeySet,
    /// The rows that they were read from.
    rows: Vec<SealedKey>,
}

struct SigningKey {
    id: String,
    signs_from_ms: u64,
    key: EncodingKey,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ids = self.signing.iter().map(|key| &key.id);
        f.debug_set().entries(ids).finish()
    }
}

impl Keys {
    /// The public halves as a JWK set (RFC 7517).
    pub(crate) fn jwks(&self) -> &str {
        &self.jwks
    }

    /// The public halves, for checking our own tokens.
    pub(crate) fn public(&self) -> &KeySet {
        &self.public
    }

    /// The newest that may sign; if none may yet, the one that is soonest to.
    fn that_signs(&self, now_ms: u64) -> Option<&SigningKey> {
        let may = |key: &&SigningKey| key.signs_from_ms <= now_ms;
        let newest = self.signing.iter().rev().find(may);
        newest.or(self.signing.first())
    }

    fn read(rows: Vec<SealedKey>, sealer: &Sealer) -> Result<Self, Error> {
        let mut signing = Vec::with_capacity(rows.len());
        let mut jwks = Vec::with_capacity(rows.len());
        for row in &rows {
            let unusable = |reason: String| Error::Unusable {
                id: row.id.clone(),
                reason,
            };
            let pem = sealer.open(SealedKind::SigningKey.table(), &row.id, &row.sealed);
            let pem = pem.map_err(|error| unusable(error.to_string()))?;
            let pem = String::from_utf8(pem).map_err(|_| unusable("it is no text".into()))?;
            let pair = pair(&pem).map_err(unusable)?;
            let key = EncodingKey::from_ed_pem(pem.as_bytes());
            signing.push(SigningKey {
                id: row.id.clone(),
                signs_from_ms: row.signs_from_ms,
                key: key.map_err(|error| unusable(error.to_string()))?,
            });
            let x = BASE64_URL_SAFE_NO_PAD.encode(pair.public_key_raw());
            jwks.push(serde_json::json!({
                "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": row.id, "x": x
            }));
        }
        let jwks = serde_json::json!({"keys": jwks}).to_string();
        Ok(Self {
            public: KeySet::from_jwks(&jwks)?,
            signing,
            jwks,
            rows,
        })
    }
}

impl Signer {
    /// The keys in the database. If there are none, the key of a former version in `dir` becomes the
    /// first, or a new one does.
    pub(crate) async fn load_or_make(
        store: &Store,
        sealer: &Sealer,
        dir: &Path,
        now_ms: u64,
    ) -> Result<Self, Error> {
        let former = read_former(&dir.join(FORMER_FILE)).await?;
        if store.signing_keys().await?.is_empty() {
            let pem = match &former {
                Some(pem) => pem.clone(),
                None => new_pem()?,
            };
            let first = sealed(&pem, sealer, now_ms, now_ms)?;
            // Another control plane may have been quicker: then its key is the one.
            store.add_first_signing_key(&first).await?;
        }
        let keys = Keys::read(store.signing_keys().await?, sealer)?;
        if let Some(pem) = former {
            put_away(&dir.join(FORMER_FILE), &pem, &keys);
        }
        Ok(Self {
            keys: watch::Sender::new(Arc::new(keys)),
        })
    }

    /// The token that says `claims`.
    pub(crate) fn sign(&self, claims: &Claims, now_ms: u64) -> Result<String, Refusal> {
        let failed = || Refusal::internal("the token could not be signed");
        let keys = self.keys();
        let key = keys.that_signs(now_ms).ok_or_else(failed)?;
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = Some(key.id.clone());
        jsonwebtoken::encode(&header, claims, &key.key).map_err(|error| {
            tracing::error!(%error, "a token could not be signed");
            failed()
        })
    }

    /// All keys as they are now.
    pub(crate) fn keys(&self) -> Arc<Keys> {
        self.keys.borrow().clone()
    }

    /// Follows their changes.
    pub(crate) fn changes(&self) -> watch::Receiver<Arc<Keys>> {
        self.keys.subscribe()
    }
}

/// A new key that signs from `signs_from_ms` on, as it is kept.
pub(crate) fn new_key(
    sealer: &Sealer,
    now_ms: u64,
    signs_from_ms: u64,
) -> Result<SealedKey, Error> {
    sealed(&new_pem()?, sealer, now_ms, signs_from_ms)
}

/// Whether `sealer` has the keys that these were sealed with.
pub(crate) fn must_open(rows: Vec<SealedKey>, sealer: &Sealer) -> Result<(), Error> {
    if rows.is_empty() {
        return Ok(());
    }
    Keys::read(rows, sealer).map(drop)
}

fn new_pem() -> Result<String, Error> {
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519);
    let pair = pair.map_err(|error| Error::Unusable {
        id: "(new)".into(),
        reason: error.to_string(),
    })?;
    Ok(pair.serialize_pem())
}

fn sealed(pem: &str, sealer: &Sealer, now_ms: u64, signs_from_ms: u64) -> Result<SealedKey, Error> {
    let pair = pair(pem).map_err(|reason| Error::Unusable {
        id: FORMER_FILE.into(),
        reason,
    })?;
    let id = thumbprint(&BASE64_URL_SAFE_NO_PAD.encode(pair.public_key_raw()));
    Ok(SealedKey {
        sealed: sealer.seal(SealedKind::SigningKey.table(), &id, pem.as_bytes())?,
        id,
        created_at_ms: now_ms,
        signs_from_ms,
    })
}

fn pair(pem: &str) -> Result<rcgen::KeyPair, String> {
    rcgen::KeyPair::from_pem_and_sign_algo(pem, &rcgen::PKCS_ED25519)
        .map_err(|error| format!("it is no Ed25519 key: {error}"))
}

async fn read_former(path: &Path) -> Result<Option<String>, Error> {
    let path = path.to_owned();
    let read = tokio::task::spawn_blocking(move || private_file::read(&path)).await;
    match read {
        Ok(Err(error)) if error.is_missing() => Ok(None),
        Ok(read) => Ok(Some(read?)),
        Err(error) => Err(Error::Unusable {
            id: FORMER_FILE.into(),
            reason: error.to_string(),
        }),
    }
}

/// A key that is in the database need not lie beside it unsealed.
fn put_away(path: &Path, pem: &str, keys: &Keys) {
    let file = path.display();
    let id =
        pair(pem).map(|pair| thumbprint(&BASE64_URL_SAFE_NO_PAD.encode(pair.public_key_raw())));
    let is_kept = id.is_ok_and(|id| keys.signing.iter().any(|key| key.id == id));
    if !is_kept {
        tracing::warn!(%file, "this signing key is not used: the database has others");
        return;
    }
    match std::fs::remove_file(path) {
        Ok(()) => tracing::info!(%file, "the signing key is in the database now, sealed"),
        Err(error) => {
            tracing::warn!(%error, %file, "the signing key's former file was not removed");
        }
    }
}

/// The key's name: its JWK thumbprint (RFC 7638).
fn thumbprint(x: &str) -> String {
    let canonical = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
    BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(canonical.as_bytes()))
}

#[cfg(test)]
mod tests;
