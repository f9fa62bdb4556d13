//! How many tokens a relay checks in a second on one core: signature, times, audience, revocations. It is what
//! every call and every stream costs before anything else; the relay remembers no verdict.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use cmdop_proto::token::{Bearer, Claims, RELAY_AUDIENCE, Role};
use cmdop_proto::v1::{self, control_event::Event};
use cmdop_proto::{AccountId, LoginId, WorkspaceId};
use cmdop_relay::Directory;
use cmdop_tests::forge;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use tokio::time::Instant;

use crate::figures::Samples;

/// Different tokens that are checked in turn: a site's people and programs.
const TOKENS: usize = 1_000;

/// Revocations that the relay knows: those of an hour in which much was revoked.
const REVOCATIONS: usize = 1_000;

/// Prints how many.
pub(super) fn measure(checks: usize) {
    let (directory, tokens) = prepared();
    let mut samples = Samples::default();
    let begun = Instant::now();
    for token in tokens.iter().cycle().take(checks) {
        let one = Instant::now();
        let claims = directory.verify(token).expect("a good token");
        assert_eq!(claims.name, "ada");
        samples.push(one.elapsed());
    }
    let rate = checks as f64 / begun.elapsed().as_secs_f64();
    let at = |share| samples.quantile(share).as_secs_f64() * 1e6;
    println!(
        "checks: {rate:.0} tokens a second on one core, p50 {:.1} µs, p99 {:.1} µs   goal 10000 a second",
        at(0.5),
        at(0.99)
    );
}

fn prepared() -> (Directory, Vec<String>) {
    let pkcs8 = Ed25519KeyPair::generate_pkcs8(&ring::rand::SystemRandom::new());
    let pkcs8 = pkcs8.expect("a key");
    let pair = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).expect("a key");
    let x = BASE64_URL_SAFE_NO_PAD.encode(pair.public_key());
    let jwks = serde_json::json!({"keys": [
        {"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "kid": "k1", "x": x}]});
    let directory = Directory::new();
    let apply = |event| directory.apply(event).expect("an event that it knows");
    directory.begin();
    apply(Event::JwksJson(jwks.to_string()));
    for _ in 0..REVOCATIONS {
        let now_ms = forge::now() as u64 * 1000;
        apply(Event::Revoked(v1::Revocation {
            claim: "sid".into(),
            value: LoginId::new().to_string(),
            issued_until_ms: now_ms,
            forget_at_ms: now_ms + 3_600_000,
        }));
    }
    apply(Event::Synced(true));
    let key = EncodingKey::from_ed_der(pkcs8.as_ref());
    let mut header = Header::new(Algorithm::EdDSA);
    header.kid = Some("k1".into());
    let token = |_| jsonwebtoken::encode(&header, &claims(), &key).expect("claims can be signed");
    (directory, (0..TOKENS).map(token).collect())
}

fn claims() -> Claims {
    let now = forge::now();
    Claims {
        iss: "https://control.example.org:7443".into(),
        sub: AccountId::new().to_string(),
        aud: vec![RELAY_AUDIENCE.into()],
        exp: now + 3600,
        iat: now,
        nbf: now - 60,
        jti: uuid::Uuid::new_v4().to_string(),
        wid: WorkspaceId::new(),
        bearer: Bearer::Account,
        role: Some(Role::Member),
        scope: None,
        reach: cmdop_proto::Reach::All,
        sid: Some(LoginId::new()),
        name: "ada".into(),
    }
}
