//! ID tokens that are good, and each way in which one is not.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};

use super::*;

const NOW: i64 = 1_800_000_000;

const EXPECTED: Expected<'static> = Expected {
    issuer: "https://idp.example",
    client_id: "cmdop",
    nonce: "n-0S6",
    now_s: NOW,
};

struct Issuer {
    key: EncodingKey,
    keys: JwkSet,
}

impl Issuer {
    fn new() -> Self {
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        let x = BASE64_URL_SAFE_NO_PAD.encode(pair.public_key_raw());
        let keys = json!({"keys": [
            {"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": "k1", "x": x}
        ]});
        Self {
            key: EncodingKey::from_ed_pem(pair.serialize_pem().as_bytes()).unwrap(),
            keys: serde_json::from_value(keys).unwrap(),
        }
    }

    fn sign(&self, claims: &Value) -> String {
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = Some("k1".into());
        jsonwebtoken::encode(&header, claims, &self.key).unwrap()
    }
}

fn claims(changes: Value) -> Value {
    let mut claims = json!({
        "iss": "https://idp.example", "sub": "248289761001", "aud": "cmdop", "nonce": "n-0S6",
        "exp": NOW + 300, "iat": NOW, "email": "ada@example.org", "email_verified": true,
    });
    let known = claims.as_object_mut().unwrap();
    let Value::Object(changes) = changes else {
        panic!("changes are an object");
    };
    known.extend(changes);
    claims
}

#[test]
fn a_good_token_says_who_somebody_is() {
    let issuer = Issuer::new();
    let verify = |changes| EXPECTED.verify(&issuer.sign(&claims(changes)), &issuer.keys);
    let identity = verify(json!({})).unwrap();
    assert_eq!(identity.subject, "248289761001");
    assert_eq!(identity.email.as_deref(), Some("ada@example.org"));
    for unverified in [json!(false), json!("false"), json!(null), json!("yes")] {
        let identity = verify(json!({"email_verified": unverified})).unwrap();
        assert_eq!(identity.email, None, "{unverified}");
    }
    assert!(verify(json!({"aud": ["cmdop"]})).is_ok());
    assert!(verify(json!({"aud": ["other", "cmdop"], "azp": "cmdop"})).is_ok());
}

#[test]
fn each_fault_is_found() {
    let issuer = Issuer::new();
    for (changes, wrong) in [
        (json!({"iss": "https://evil.example"}), Wrong::Issuer),
        (json!({"iss": "https://idp.example/"}), Wrong::Issuer),
        (json!({"aud": "other"}), Wrong::Audience),
        (json!({"aud": ["other", "cmdop"]}), Wrong::Audience),
        (
            json!({"aud": ["other", "cmdop"], "azp": "other"}),
            Wrong::Audience,
        ),
        (json!({"azp": "other"}), Wrong::Audience),
        (json!({"aud": []}), Wrong::Audience),
        (json!({"exp": NOW - 60}), Wrong::Time),
        (json!({"exp": i64::MIN}), Wrong::Time),
        (json!({"iat": NOW + 61}), Wrong::Time),
        (json!({"nonce": "another"}), Wrong::Nonce),
        (json!({"nonce": null}), Wrong::Nonce),
        (json!({"sub": ""}), Wrong::Subject),
        (json!({"sub": "x".repeat(256)}), Wrong::Subject),
        (json!({"exp": null}), Wrong::Malformed),
    ] {
        let verified = EXPECTED.verify(&issuer.sign(&claims(changes.clone())), &issuer.keys);
        assert_eq!(verified, Err(wrong), "{changes}");
    }
}

#[test]
fn a_signature_of_somebody_else_or_of_nobody_is_none() {
    let (issuer, impostor) = (Issuer::new(), Issuer::new());
    let forged = impostor.sign(&claims(json!({})));
    assert_eq!(
        EXPECTED.verify(&forged, &issuer.keys),
        Err(Wrong::Signature)
    );
    let secret = EncodingKey::from_secret(b"the public key, taken for a secret");
    let mut header = Header::new(Algorithm::HS256);
    header.kid = Some("k1".into());
    let shared = jsonwebtoken::encode(&header, &claims(json!({})), &secret).unwrap();
    assert_eq!(
        EXPECTED.verify(&shared, &issuer.keys),
        Err(Wrong::Algorithm)
    );
    header = Header::new(Algorithm::EdDSA);
    header.kid = Some("k2".into());
    let unknown = jsonwebtoken::encode(&header, &claims(json!({})), &issuer.key).unwrap();
    assert_eq!(
        EXPECTED.verify(&unknown, &issuer.keys),
        Err(Wrong::UnknownKey)
    );
    let encode = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
    let claims = claims(json!({})).to_string();
    let unsigned = format!("{}.{}.", encode(r#"{"alg":"none"}"#), encode(&claims));
    assert!(EXPECTED.verify(&unsigned, &issuer.keys).is_err());
    let long = "x".repeat(MAX_TOKEN + 1);
    for nonsense in ["", "x.y.z", &long] {
        let verified = EXPECTED.verify(nonsense, &issuer.keys);
        assert_eq!(verified, Err(Wrong::Malformed));
    }
}
