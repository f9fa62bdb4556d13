//! The proof that we hold the machine's key: a signed statement, good once and for a short time.

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;

/// How long an assertion may be on its way. The control plane takes no more than five minutes.
const LIFETIME_S: u64 = 120;

/// Why no assertion was made.
#[derive(Debug, thiserror::Error)]
#[error("the machine's key cannot be used: {0}; run `cmdopd unenroll` and enrol again")]
pub(crate) struct Error(#[from] jsonwebtoken::errors::Error);

#[derive(Serialize)]
struct Assertion<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: String,
    iat: u64,
    exp: u64,
    jti: String,
}

/// Signs for machine `id` towards the control plane `issuer`, at `now` (seconds).
pub(super) fn sign(key_pem: &str, id: &str, issuer: &str, now: u64) -> Result<String, Error> {
    let claims = Assertion {
        iss: id,
        sub: id,
        aud: format!("{}/oauth/token", issuer.trim_end_matches('/')),
        iat: now,
        exp: now + LIFETIME_S,
        jti: uuid::Uuid::new_v4().to_string(),
    };
    let key = EncodingKey::from_ed_pem(key_pem.as_bytes())?;
    Ok(jsonwebtoken::encode(
        &Header::new(Algorithm::EdDSA),
        &claims,
        &key,
    )?)
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{DecodingKey, Validation};

    use super::*;

    #[test]
    fn an_assertion_is_signed_with_the_machines_key_for_this_control_plane_only() {
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        let now = jsonwebtoken::get_current_timestamp();
        let token = sign(&pair.serialize_pem(), "m1", "https://c:1/", now).unwrap();
        let key = DecodingKey::from_ed_pem(pair.public_key_pem().as_bytes()).unwrap();
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_audience(&["https://c:1/oauth/token"]);
        let claims = jsonwebtoken::decode::<serde_json::Value>(&token, &key, &validation)
            .unwrap()
            .claims;
        assert_eq!(
            (&claims["iss"], &claims["sub"]),
            (&"m1".into(), &"m1".into())
        );
        let again = sign(&pair.serialize_pem(), "m1", "https://c:1", now).unwrap();
        assert_ne!(token, again, "an assertion is good once");
    }
}
