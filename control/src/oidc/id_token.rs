//! Whether an ID token is to be believed (OpenID Connect Core 1.0, section 3.1.3.7), and who it says somebody is. Pure:
//! the keys, the time and what is expected come in.

use cmdop_proto::limits::CLOCK_LEEWAY;
use jsonwebtoken::jwk::{Jwk, JwkSet, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;
use subtle::ConstantTimeEq as _;

/// A token above this is not looked at.
const MAX_TOKEN: usize = 16 << 10;

/// The longest subject (section 2).
const MAX_SUBJECT: usize = 255;

/// The longest address (RFC 5321).
const MAX_EMAIL: usize = 254;

/// Signatures with a public key: a secret that we share with the provider proves nothing to anybody else, and `none`
/// nothing at all.
const ALGORITHMS: [Algorithm; 6] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::ES256,
    Algorithm::EdDSA,
];

/// Who somebody is, as the provider says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    /// Its own name for them, which stays.
    pub subject: String,
    /// An address, if it has verified one.
    pub email: Option<String>,
}

/// What is wrong with a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// It is none.
    #[error("it is not a signed token")]
    Malformed,
    /// It is signed in a way that is not taken.
    #[error("it is signed in a way that is not accepted")]
    Algorithm,
    /// No key of that name is published.
    #[error("it is signed with a key that the provider does not publish")]
    UnknownKey,
    /// Its signature.
    #[error("its signature is wrong")]
    Signature,
    /// Its issuer.
    #[error("it comes from another issuer")]
    Issuer,
    /// Its audience.
    #[error("it is meant for another client")]
    Audience,
    /// Its time.
    #[error("it has expired, or comes from the future")]
    Time,
    /// Its nonce.
    #[error("it belongs to another login")]
    Nonce,
    /// Its subject.
    #[error("it names nobody")]
    Subject,
}

/// What it has to say.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expected<'a> {
    pub(super) issuer: &'a str,
    pub(super) client_id: &'a str,
    pub(super) nonce: &'a str,
    pub(super) now_s: i64,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    azp: Option<String>,
    exp: i64,
    iat: i64,
    nonce: Option<String>,
    email: Option<String>,
    #[serde(default)]
    email_verified: Verified,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

/// Some providers write the truth as text.
#[derive(Default, Deserialize)]
#[serde(untagged)]
enum Verified {
    #[default]
    Missing,
    Said(bool),
    Written(String),
}

impl Expected<'_> {
    /// Who it says somebody is.
    pub(super) fn verify(&self, token: &str, keys: &JwkSet) -> Result<Identity, Wrong> {
        let claims = signed(token, keys)?;
        if claims.iss != self.issuer {
            return Err(Wrong::Issuer);
        }
        self.check_audience(&claims)?;
        let leeway = CLOCK_LEEWAY.as_secs() as i64;
        let is_over = claims.exp.saturating_add(leeway) <= self.now_s;
        if is_over || claims.iat > self.now_s.saturating_add(leeway) {
            return Err(Wrong::Time);
        }
        let nonce = claims.nonce.unwrap_or_default();
        if !bool::from(nonce.as_bytes().ct_eq(self.nonce.as_bytes())) {
            return Err(Wrong::Nonce);
        }
        let is_subject =
            |text: &str| !text.is_empty() && text.len() <= MAX_SUBJECT && text.is_ascii();
        if !is_subject(&claims.sub) {
            return Err(Wrong::Subject);
        }
        let is_verified = match claims.email_verified {
            Verified::Missing => false,
            Verified::Said(said) => said,
            Verified::Written(text) => text == "true",
        };
        let email = claims
            .email
            .filter(|email| is_verified && email.is_ascii() && email.len() <= MAX_EMAIL);
        Ok(Identity {
            subject: claims.sub,
            email,
        })
    }

    /// Ours is among the audiences; where there are several, we are who it was given to.
    fn check_audience(&self, claims: &Claims) -> Result<(), Wrong> {
        let (is_meant, is_alone) = match &claims.aud {
            Audience::One(name) => (name == self.client_id, true),
            Audience::Many(names) => (
                names.iter().any(|name| name == self.client_id),
                names.len() == 1,
            ),
        };
        let is_given = match claims.azp.as_deref() {
            Some(party) => party == self.client_id,
            None => is_alone,
        };
        if is_meant && is_given {
            Ok(())
        } else {
            Err(Wrong::Audience)
        }
    }
}

fn signed(token: &str, keys: &JwkSet) -> Result<Claims, Wrong> {
    if token.len() > MAX_TOKEN {
        return Err(Wrong::Malformed);
    }
    let header = jsonwebtoken::decode_header(token).map_err(|_| Wrong::Malformed)?;
    if !ALGORITHMS.contains(&header.alg) {
        return Err(Wrong::Algorithm);
    }
    let key = key(header.kid.as_deref(), keys).ok_or(Wrong::UnknownKey)?;
    let key = DecodingKey::from_jwk(key).map_err(|_| Wrong::UnknownKey)?;
    let mut validation = Validation::new(header.alg);
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    let decoded = jsonwebtoken::decode::<Claims>(token, &key, &validation);
    decoded.map(|token| token.claims).map_err(|error| {
        use jsonwebtoken::errors::ErrorKind;
        match error.kind() {
            ErrorKind::Json(_) | ErrorKind::Base64(_) | ErrorKind::Utf8(_) => Wrong::Malformed,
            _ => Wrong::Signature,
        }
    })
}

/// The key of that name; without a name, the only one there is.
fn key<'a>(name: Option<&str>, keys: &'a JwkSet) -> Option<&'a Jwk> {
    let mut signing = keys
        .keys
        .iter()
        .filter(|jwk| jwk.common.public_key_use != Some(PublicKeyUse::Encryption));
    match name {
        Some(name) => signing.find(|jwk| jwk.common.key_id.as_deref() == Some(name)),
        None => {
            let only = signing.next();
            only.filter(|_| signing.next().is_none())
        }
    }
}

#[cfg(test)]
mod tests;
