//! Checking a token offline: signature, audience, time. Revocation is the caller's list.

use std::collections::HashMap;

use cmdop_proto::Refusal;
use cmdop_proto::limits::CLOCK_LEEWAY;
use cmdop_proto::token::Claims;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};

/// A token above this is not looked at.
const MAX_TOKEN: usize = 8 << 10;

/// The public keys that sign tokens, by key id.
#[derive(Clone, Default)]
pub struct KeySet {
    keys: HashMap<String, DecodingKey>,
}

impl std::fmt::Debug for KeySet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.keys.keys()).finish()
    }
}

impl KeySet {
    /// Reads a JWK set (RFC 7517); keys that are not for EdDSA are passed over.
    pub fn from_jwks(json: &str) -> Result<Self, Refusal> {
        let unreadable = |reason: String| {
            Refusal::internal(format!(
                "the control plane's key set is not readable: {reason}"
            ))
        };
        let set: JwkSet = serde_json::from_str(json).map_err(|e| unreadable(e.to_string()))?;
        let keys = set
            .keys
            .iter()
            .filter_map(|jwk| {
                let id = jwk.common.key_id.clone()?;
                Some((id, DecodingKey::from_jwk(jwk).ok()?))
            })
            .collect::<HashMap<_, _>>();
        if keys.is_empty() {
            return Err(unreadable("it holds no usable key".into()));
        }
        Ok(Self { keys })
    }

    /// The claims of `token`, if one of these keys signed it for `audience` and it is alive at
    /// `now` (seconds since the Unix epoch). Every refusal says which of these failed.
    pub fn verify(&self, token: &str, audience: &str, now: i64) -> Result<Claims, Refusal> {
        let malformed = || {
            Refusal::denied("token-malformed", "the token is not one of cmdop's")
                .hint("log in again with `cmdop login`")
        };
        if token.len() > MAX_TOKEN {
            return Err(malformed());
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| malformed())?;
        let key = header
            .kid
            .as_deref()
            .and_then(|id| self.keys.get(id))
            .ok_or_else(|| {
                Refusal::denied(
                    "token-unknown-key",
                    "the token was signed with a key that this server does not know",
                )
                .hint("it may come from another control plane: check the profile, or log in again")
            })?;
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        let claims = jsonwebtoken::decode::<Claims>(token, key, &validation)
            .map_err(|_| {
                Refusal::denied("token-bad-signature", "the token's signature is wrong")
                    .hint("log in again with `cmdop login`")
            })?
            .claims;
        check_time(&claims, now)?;
        if claims.aud.iter().all(|aud| aud != audience) {
            return Err(Refusal::denied(
                "token-wrong-audience",
                format!("the token is not meant for {audience}"),
            )
            .hint("log in again with `cmdop login`; if it stays, the control plane is another version"));
        }
        Ok(claims)
    }
}

fn check_time(claims: &Claims, now: i64) -> Result<(), Refusal> {
    let leeway = CLOCK_LEEWAY.as_secs() as i64;
    if now >= claims.exp.saturating_add(leeway) {
        return Err(Refusal::denied(
            "token-expired",
            format!(
                "the token expired {} s ago by this server's clock",
                now.saturating_sub(claims.exp)
            ),
        )
        .hint(
            "log in again with `cmdop login`; if a new token is refused too, this server's clock \
             is ahead of the control plane's: set both (NTP)",
        ));
    }
    if now.saturating_add(leeway) < claims.nbf {
        return Err(Refusal::denied(
            "token-not-yet-valid",
            format!(
                "the token was issued {} s in this server's future: one of the two clocks is wrong",
                claims.iat.saturating_sub(now)
            ),
        )
        .hint("set the clocks of the control plane and of this server (NTP)"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::prelude::BASE64_URL_SAFE_NO_PAD;
    use cmdop_proto::WorkspaceId;
    use cmdop_proto::token::{Bearer, RELAY_AUDIENCE};
    use jsonwebtoken::{EncodingKey, Header};

    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn issuer() -> (EncodingKey, KeySet) {
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        let x = BASE64_URL_SAFE_NO_PAD.encode(pair.public_key_raw());
        let jwks = serde_json::json!({"keys": [
            {"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "kid": "k1", "x": x}]});
        let key = EncodingKey::from_ed_pem(pair.serialize_pem().as_bytes()).unwrap();
        (key, KeySet::from_jwks(&jwks.to_string()).unwrap())
    }

    fn claims() -> Claims {
        Claims {
            iss: "https://control".into(),
            sub: "someone".into(),
            aud: vec![RELAY_AUDIENCE.into()],
            exp: NOW + 100,
            iat: NOW,
            nbf: NOW - 60,
            jti: "j".into(),
            wid: WorkspaceId::new(),
            bearer: Bearer::Account,
            role: None,
            scope: None,
            reach: cmdop_proto::Reach::All,
            sid: None,
            name: "someone".into(),
        }
    }

    fn sign(claims: &Claims, key: &EncodingKey) -> String {
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = Some("k1".into());
        jsonwebtoken::encode(&header, claims, key).unwrap()
    }

    #[test]
    fn a_good_token_gives_its_claims() {
        let (key, keys) = issuer();
        let wanted = claims();
        let token = sign(&wanted, &key);
        assert_eq!(keys.verify(&token, RELAY_AUDIENCE, NOW).unwrap(), wanted);
    }

    #[test]
    fn a_verifier_whose_clock_is_ahead_by_a_minute_takes_a_token_and_later_names_the_clock() {
        let (key, keys) = issuer();
        let token = sign(&claims(), &key);
        let verify = |now| keys.verify(&token, RELAY_AUDIENCE, now);
        assert!(verify(NOW + 100 + 59).is_ok());
        let refusal = verify(NOW + 100 + 60).unwrap_err();
        assert!(refusal.message.contains("60 s ago by this server's clock"));
        assert!(refusal.hint.contains("clock"), "{}", refusal.hint);
        let mut endless = claims();
        (endless.exp, endless.nbf) = (i64::MAX, i64::MIN);
        let endless = sign(&endless, &key);
        assert!(keys.verify(&endless, RELAY_AUDIENCE, NOW).is_ok());
    }

    #[test]
    fn each_fault_has_its_own_message() {
        let (key, keys) = issuer();
        let token = sign(&claims(), &key);
        let (other, _) = issuer();
        let reason = |token: &str, audience: &str, now| {
            keys.verify(token, audience, now).unwrap_err().reason
        };
        assert_eq!(reason(&token, RELAY_AUDIENCE, NOW + 160), "token-expired");
        assert_eq!(
            reason(&token, RELAY_AUDIENCE, NOW - 200),
            "token-not-yet-valid"
        );
        assert_eq!(reason(&token, "elsewhere", NOW), "token-wrong-audience");
        assert_eq!(
            reason(&sign(&claims(), &other), RELAY_AUDIENCE, NOW),
            "token-bad-signature"
        );
        assert_eq!(reason("x.y.z", RELAY_AUDIENCE, NOW), "token-malformed");
        assert_eq!(
            reason(&"x".repeat(1 << 20), RELAY_AUDIENCE, NOW),
            "token-malformed"
        );
    }
}
