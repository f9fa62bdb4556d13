//! Tokens signed by the test itself: with the control plane's own key, to get what it would never
//! give out (expired, from the future, of nobody), or with another key.

use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use cmdop_proto::WorkspaceId;
use cmdop_proto::token::{Bearer, CONTROL_AUDIENCE, Claims, RELAY_AUDIENCE, Role};
use jsonwebtoken::{Algorithm, EncodingKey, Header};

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};

/// A signing key and the name under which its public half is published.
pub struct Forge {
    key: EncodingKey,
    kid: String,
}

impl std::fmt::Debug for Forge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Forge")
            .field("kid", &self.kid)
            .finish_non_exhaustive()
    }
}

/// Where a world keeps the key that it gave its control plane, whose own copy is sealed.
pub(crate) fn known_key(data: &Path) -> PathBuf {
    data.with_extension("known-key")
}

/// Puts a signing key where a control plane that starts for the first time takes it over.
pub(crate) fn plant_key(data: &Path) {
    std::fs::DirBuilder::new()
        .mode(0o700)
        .create(data)
        .expect("the world's directory can be written");
    let key = BASE64_STANDARD.encode(ring_key());
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{key}\n-----END PRIVATE KEY-----\n");
    for file in [data.join("signing.key"), known_key(data)] {
        crate::world::write_private(&file, &pem);
    }
}

impl Forge {
    /// The key of a running control plane, as `genuine` (one of its tokens) names it.
    pub fn of_control(data: &Path, genuine: &str) -> Self {
        let pem = std::fs::read(known_key(data)).expect("the world gave the control plane its key");
        Self {
            key: EncodingKey::from_ed_pem(&pem).expect("an Ed25519 key"),
            kid: kid(genuine),
        }
    }

    /// A key that nobody published, under the name that `genuine` carries.
    pub fn impostor(genuine: &str) -> Self {
        let document = ring_key();
        Self {
            key: EncodingKey::from_ed_der(&document),
            kid: kid(genuine),
        }
    }

    /// The same key under another name.
    pub fn named(mut self, kid: &str) -> Self {
        kid.clone_into(&mut self.kid);
        self
    }

    /// A token with these claims.
    pub fn sign(&self, claims: &Claims) -> String {
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = Some(self.kid.clone());
        jsonwebtoken::encode(&header, claims, &self.key).expect("claims can be signed")
    }
}

/// A fresh Ed25519 key, PKCS #8 (RFC 8410).
fn ring_key() -> Vec<u8> {
    const PREFIX: [u8; 16] = [
        0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20,
    ];
    let (a, b) = (uuid::Uuid::new_v4(), uuid::Uuid::new_v4());
    [&PREFIX[..], a.as_bytes(), b.as_bytes()].concat()
}

/// The claims of a token, unchecked.
pub fn claims(token: &str) -> Claims {
    serde_json::from_slice(&part(token, 1)).expect("the claims of a cmdop token")
}

/// The seconds since the epoch.
pub fn now() -> i64 {
    (cmdop_client::clock::now_ms() / 1000) as i64
}

/// Claims of an owner in a workspace that does not exist.
pub fn stranger(genuine: &Claims) -> Claims {
    Claims {
        wid: WorkspaceId::new(),
        bearer: Bearer::Account,
        role: Some(Role::Owner),
        aud: vec![RELAY_AUDIENCE.into(), CONTROL_AUDIENCE.into()],
        jti: uuid::Uuid::new_v4().to_string(),
        ..genuine.clone()
    }
}

/// The name of the key that signed a token.
pub fn kid(token: &str) -> String {
    let header: serde_json::Value =
        serde_json::from_slice(&part(token, 0)).expect("a token's header");
    header["kid"]
        .as_str()
        .expect("a cmdop token names its key")
        .to_owned()
}

fn part(token: &str, index: usize) -> Vec<u8> {
    let text = token
        .split('.')
        .nth(index)
        .expect("a token has three parts");
    BASE64_URL_SAFE_NO_PAD
        .decode(text)
        .expect("a token's parts are base64url")
}
