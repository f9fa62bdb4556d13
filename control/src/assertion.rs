//! Client assertions (RFC 7523): how a machine or relay proves, with its own key, that it is itself.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use cmdop_proto::limits::CLOCK_LEEWAY;
use cmdop_proto::{Refusal, text};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use rcgen::{PublicKeyData as _, SubjectPublicKeyInfo};
use serde::Deserialize;

use crate::lifetimes::ASSERTION;
use crate::names::MAX_PEM;
use crate::plane::ControlPlane;
use crate::store::{Credential, Machine, Relay};

/// An assertion above this is not looked at.
const MAX_ASSERTION: usize = 8 << 10;

/// A `jti` above this is not remembered.
const MAX_JTI: usize = 128;

/// Assertions that are remembered: tens of thousands of machines, each once in ten minutes.
const MAX_REMEMBERED: usize = 100_000;

/// Assertions of one machine or relay that are remembered, so that none can use up everybody's room: far
/// more than the few that one needs in the minutes in which they count.
const MAX_OF_SUBJECT: usize = 64;

/// Who signed the assertion.
#[derive(Debug)]
pub(crate) enum Client {
    /// An enrolled machine.
    Machine(Machine),
    /// An enrolled relay.
    Relay(Relay),
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    exp: i64,
    iat: i64,
    jti: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

impl Audience {
    fn names(&self) -> &[String] {
        match self {
            Self::One(name) => std::slice::from_ref(name),
            Self::Many(names) => names,
        }
    }
}

impl ControlPlane {
    /// Whose key signed `assertion`, if it is alive, meant for us, and was not used before.
    pub(crate) async fn client_of(&self, assertion: &str) -> Result<Client, Refusal> {
        if assertion.len() > MAX_ASSERTION {
            return Err(malformed());
        }
        // Not believed before the signature is checked: it only names the key to check with.
        let claimed: Claims =
            jsonwebtoken::dangerous::insecure_decode_claims(assertion).map_err(|_| malformed())?;
        let client = self.find_client(&claimed.sub).await?;
        let (key, who) = match &client {
            Client::Machine(machine) => (&machine.public_key, format!("machine {}", machine.name)),
            Client::Relay(relay) => (&relay.public_key, format!("relay {}", relay.url)),
        };
        let claims = verified(assertion, key)?;
        self.check(&claims, &who)?;
        let until = self.clock.now_s() + (ASSERTION + 2 * CLOCK_LEEWAY).as_secs() as i64;
        self.assertions
            .remember(&claims.sub, claims.jti, until, self.clock.now_s())?;
        Ok(client)
    }

    async fn find_client(&self, subject: &str) -> Result<Client, Refusal> {
        let unknown = || {
            Refusal::denied(
                "machine-unknown",
                "no machine or relay with this key is enrolled here: it was removed, or it belongs \
                 to another control plane",
            )
            .hint("enrol it again with a new enrolment token")
        };
        if let Ok(machine) = subject.parse()
            && let Some(workspace) = self
                .store
                .workspace_of(Credential::Machine(subject))
                .await?
        {
            let machine = self.store.workspace(workspace).machine(machine).await?;
            return machine.map(Client::Machine).ok_or_else(unknown);
        }
        let relay = match subject.parse() {
            Ok(relay) => self.store.relay(relay).await?,
            Err(_) => None,
        };
        relay.map(Client::Relay).ok_or_else(unknown)
    }

    fn check(&self, claims: &Claims, who: &str) -> Result<(), Refusal> {
        if claims.iss != claims.sub || claims.jti.is_empty() || claims.jti.len() > MAX_JTI {
            return Err(malformed());
        }
        let is_ours = |name: &String| self.own_urls.iter().any(|own| is_endpoint(name, own));
        if !claims.aud.names().iter().any(is_ours) {
            let given = claims.aud.names().first().map_or("", String::as_str);
            return Err(Refusal::denied(
                "token-wrong-audience",
                format!(
                    "the assertion is meant for {}, not for this control plane",
                    text::shown(given, 128)
                ),
            )
            .hint(format!(
                "its audience should be {}/oauth/token",
                self.issuer
            )));
        }
        check_clock(claims, who, self.clock.now_s())
    }
}

/// The audience is the token endpoint, or the issuer itself (RFC 7523, section 3).
fn is_endpoint(name: &str, own: &str) -> bool {
    name.trim_end_matches('/') == own || name.strip_suffix("/oauth/token") == Some(own)
}

/// An assertion is made for one request, so its `iat` is the sender's clock.
fn check_clock(claims: &Claims, who: &str, now: i64) -> Result<(), Refusal> {
    let leeway = CLOCK_LEEWAY.as_secs() as i64;
    let off = claims.iat.saturating_sub(now);
    // Both figures may be anything: they come from a stranger.
    if off.unsigned_abs() > leeway as u64 {
        let (by, way) = (
            off.unsigned_abs(),
            if off > 0 { "ahead of" } else { "behind" },
        );
        return Err(Refusal::denied(
            "clock-skew",
            format!("the clock of {who} is {by} s {way} the control plane's, more than the {leeway} s allowed"),
        )
        .hint(format!("check the clock of {who} first, then the control plane's (NTP)")));
    }
    let life = claims.exp.saturating_sub(claims.iat);
    if life > ASSERTION.as_secs() as i64 || claims.exp.saturating_add(leeway) <= now {
        return Err(Refusal::denied(
            "token-expired",
            format!(
                "the assertion of {who} ends {} s from now; it must be alive, and live for at most {} s",
                claims.exp.saturating_sub(now),
                ASSERTION.as_secs()
            ),
        )
        .hint(format!("check the clock of {who}")));
    }
    Ok(())
}

fn verified(assertion: &str, public_key: &str) -> Result<Claims, Refusal> {
    let wrong = || {
        Refusal::denied(
            "token-bad-signature",
            "the assertion was not signed with the key that was enrolled",
        )
        .hint("enrol again with a new enrolment token")
    };
    let key = DecodingKey::from_ed_pem(public_key.as_bytes()).map_err(|_| wrong())?;
    let mut validation = Validation::new(Algorithm::EdDSA);
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    let checked = jsonwebtoken::decode::<Claims>(assertion, &key, &validation);
    Ok(checked.map_err(|_| wrong())?.claims)
}

/// Whose an assertion says to be, unchecked; empty if it says nothing that can be an id.
pub(crate) fn claimed_subject(assertion: &str) -> String {
    let claims = (assertion.len() <= MAX_ASSERTION)
        .then(|| jsonwebtoken::dangerous::insecure_decode_claims::<Claims>(assertion).ok());
    let subject = claims.flatten().map(|claims| claims.sub);
    let is_id = |subject: &String| subject.parse::<uuid::Uuid>().is_ok();
    subject.filter(is_id).unwrap_or_default()
}

fn malformed() -> Refusal {
    Refusal::denied(
        "token-malformed",
        "the client assertion is not a signed JWT with iss, sub, aud, exp, iat and jti",
    )
}

/// The public key of who enrols: an Ed25519 key and nothing else.
pub(crate) fn public_key(pem: &str) -> Result<&str, Refusal> {
    let is_ed25519 = pem.len() <= MAX_PEM
        && SubjectPublicKeyInfo::from_pem(pem).is_ok_and(|key| {
            *key.algorithm() == rcgen::PKCS_ED25519 && key.der_bytes().len() == 32
        });
    if is_ed25519 {
        return Ok(pem);
    }
    Err(Refusal::invalid(
        "bad-request",
        "the public key is not an Ed25519 key in PEM (SPKI)",
    ))
}

/// The assertions that were used, each for as long as it could be used again.
///
/// Kept in memory only: after a restart an assertion of the last minutes could be played once more,
/// by somebody who broke TLS to get it, for one short-lived token.
#[derive(Debug, Default)]
pub(crate) struct Used {
    remembered: Mutex<Remembered>,
}

#[derive(Debug, Default)]
struct Remembered {
    /// By subject, then by `jti`: until when.
    until: HashMap<String, HashMap<String, i64>>,
    count: usize,
}

impl Used {
    fn remember(&self, subject: &str, jti: String, until: i64, now: i64) -> Result<(), Refusal> {
        let remembered = &mut *self
            .remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if remembered.count >= MAX_REMEMBERED {
            remembered.forget_all(now);
        }
        if remembered.of(subject) >= MAX_OF_SUBJECT {
            remembered.forget(subject, now);
        }
        if remembered.count >= MAX_REMEMBERED || remembered.of(subject) >= MAX_OF_SUBJECT {
            return Err(
                Refusal::exhausted("busy", "too many assertions in a few minutes")
                    .hint("ask for a new token only when the last one is about to expire"),
            );
        }
        let own = remembered.until.entry(subject.to_owned()).or_default();
        match own.insert(jti, until) {
            None => remembered.count += 1,
            Some(until) if until > now => {
                return Err(
                    Refusal::denied("token-revoked", "the assertion was used before")
                        .hint("make a new one, with a new `jti`, for each request"),
                );
            }
            Some(_) => {}
        }
        Ok(())
    }
}

impl Remembered {
    fn of(&self, subject: &str) -> usize {
        self.until.get(subject).map_or(0, HashMap::len)
    }

    fn forget(&mut self, subject: &str, now: i64) {
        if let Some(own) = self.until.get_mut(subject) {
            let before = own.len();
            own.retain(|_, until| *until > now);
            self.count -= before - own.len();
        }
    }

    fn forget_all(&mut self, now: i64) {
        self.until.retain(|_, own| {
            own.retain(|_, until| *until > now);
            !own.is_empty()
        });
        self.count = self.until.values().map(HashMap::len).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn claims(iat: i64, exp: i64) -> Claims {
        Claims {
            iss: "m".into(),
            sub: "m".into(),
            aud: Audience::One("a".into()),
            exp,
            iat,
            jti: "j".into(),
        }
    }

    #[test]
    fn a_clock_that_is_off_is_named_with_its_seconds() {
        let check = |iat, exp| check_clock(&claims(iat, exp), "machine web-1", NOW);
        assert!(check(NOW - 60, NOW + 60).is_ok());
        assert!(check(NOW + 60, NOW + 300).is_ok());
        let ahead = check(NOW + 90, NOW + 300).unwrap_err();
        assert_eq!(ahead.reason, "clock-skew");
        assert!(ahead.message.contains("web-1 is 90 s ahead of"), "{ahead}");
        let behind = check(NOW - 75, NOW + 100).unwrap_err();
        assert!(behind.message.contains("web-1 is 75 s behind"), "{behind}");
        assert!(behind.hint.contains("web-1"));
        assert_eq!(check(NOW, NOW + 301).unwrap_err().reason, "token-expired");
        assert!(check(i64::MIN, i64::MAX).is_err());
    }

    #[test]
    fn an_assertion_is_good_once() {
        let used = Used::default();
        let remember =
            |jti: &str, until, now| used.remember("m", jti.into(), NOW + until, NOW + now);
        remember("1", 10, 0).unwrap();
        assert!(remember("1", 10, 0).is_err());
        remember("2", 10, 0).unwrap();
        remember("1", 30, 11).unwrap();
    }

    #[test]
    fn one_machine_cannot_use_up_the_memory_of_all() {
        let used = Used::default();
        let flood = (0..MAX_REMEMBERED)
            .flat_map(|n| used.remember("hostile", n.to_string(), NOW + 10, NOW));
        assert_eq!(flood.count(), MAX_OF_SUBJECT);
        used.remember("other", "1".into(), NOW + 10, NOW).unwrap();
        let later = used.remember("hostile", "later".into(), NOW + 30, NOW + 11);
        later.unwrap();
        let remembered = used.remembered.lock().unwrap();
        assert_eq!((remembered.count, remembered.of("hostile")), (2, 1));
    }

    #[test]
    fn what_is_remembered_of_all_is_bounded_too() {
        let used = Used::default();
        for n in 0..MAX_REMEMBERED {
            used.remember(&n.to_string(), "1".into(), NOW + 10, NOW)
                .unwrap();
        }
        assert!(used.remember("more", "1".into(), NOW + 10, NOW).is_err());
        used.remember("more", "1".into(), NOW + 30, NOW + 11)
            .unwrap();
        assert_eq!(used.remembered.lock().unwrap().until.len(), 1);
    }

    #[test]
    fn the_audience_is_the_endpoint_or_the_issuer() {
        let own = "https://control:7443";
        assert!(is_endpoint("https://control:7443/oauth/token", own));
        assert!(is_endpoint("https://control:7443/", own));
        assert!(!is_endpoint("https://control:7443/oauth/token/x", own));
        assert!(!is_endpoint("https://control:74430", own));
    }

    #[test]
    fn only_ed25519_keys_enrol() {
        let good = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        let other = rcgen::KeyPair::generate().unwrap();
        assert!(public_key(&good.public_key_pem()).is_ok());
        assert!(DecodingKey::from_ed_pem(good.public_key_pem().as_bytes()).is_ok());
        assert!(public_key(&other.public_key_pem()).is_err());
        assert!(public_key(&good.serialize_pem()).is_err());
        assert!(public_key(&"x".repeat(1 << 20)).is_err());
    }
}
