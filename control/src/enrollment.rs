//! Enrolment tokens: their text, and the errors of those who use them.
//!
//! `cmdop_enroll_<secret>_<fingerprint>` for machines and `cmdop_relay_<secret>_<fingerprint>` for
//! relays; both parts are 64 hexadecimal digits. Only the hash of the secret is kept.

use std::time::Duration;

use cmdop_proto::Refusal;

use crate::lifetimes::LONGEST_ENROLL_TOKEN;
use crate::secret::{self, Secret};
use crate::store::EnrollError;

/// Who may join with a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Guest {
    /// A machine.
    Machine,
    /// A relay.
    Relay,
}

impl Guest {
    fn prefix(self) -> &'static str {
        match self {
            Self::Machine => "cmdop_enroll_",
            Self::Relay => "cmdop_relay_",
        }
    }

    fn what(self) -> &'static str {
        match self {
            Self::Machine => "a machine's",
            Self::Relay => "a relay's",
        }
    }
}

/// A new token: what is handed out, and the hash to keep.
pub(crate) fn new_token(guest: Guest, ca_fingerprint: &str) -> (Secret, String) {
    let secret = secret::random_hex();
    let token = format!("{}{secret}_{ca_fingerprint}", guest.prefix());
    (Secret::given(&token), secret::hash(&secret))
}

/// How long a token may live, if it may live that long.
pub(crate) fn checked_lifetime(asked: Duration) -> Result<Duration, Refusal> {
    if asked > Duration::ZERO && asked <= LONGEST_ENROLL_TOKEN {
        return Ok(asked);
    }
    Err(Refusal::invalid(
        "bad-request",
        format!("an enrolment token cannot live for {} s", asked.as_secs()),
    )
    .hint(format!(
        "at most {} days",
        LONGEST_ENROLL_TOKEN.as_secs() / 86_400
    )))
}

/// The hash under which a token that was presented is kept, if it can be one of ours.
pub(crate) fn hash_of(token: &str, guest: Guest, ca_fingerprint: &str) -> Result<String, Refusal> {
    let token = token.trim();
    let invalid = |message: String| Refusal::denied("enroll-token-invalid", message);
    let is_hex = |part: &str| part.len() == 64 && part.bytes().all(|b| b.is_ascii_hexdigit());
    let parts = token
        .strip_prefix(guest.prefix())
        .and_then(|rest| rest.split_once('_'))
        .filter(|(secret, fingerprint)| is_hex(secret) && is_hex(fingerprint));
    let Some((secret, fingerprint)) = parts else {
        return Err(
            invalid(format!("this is not {} enrolment token", guest.what())).hint(format!(
                "it begins with `{}` and is 128 hexadecimal digits long; copy it whole",
                guest.prefix()
            )),
        );
    };
    if !fingerprint.eq_ignore_ascii_case(ca_fingerprint) {
        return Err(
            invalid("the enrolment token was made by another control plane".into()).hint(
                "check the address of the control plane, or ask its administrator for a token",
            ),
        );
    }
    Ok(secret::hash(&secret.to_ascii_lowercase()))
}

impl From<EnrollError> for Refusal {
    fn from(error: EnrollError) -> Self {
        let message = error.to_string();
        let another = "make another with `cmdop machines enroll-token`, \
                       or on the control plane with `cmdop-control admin enroll-token` \
                       (`relay-token` for a relay)";
        match error {
            EnrollError::Invalid => Refusal::denied("enroll-token-invalid", message).hint(another),
            EnrollError::Expired { .. } => {
                Refusal::denied("enroll-token-expired", message).hint(another)
            }
            EnrollError::Used => Refusal::denied(
                "enroll-token-used",
                format!("{message}: each is good for one"),
            )
            .hint(another),
            EnrollError::NameTaken { name } => Refusal::invalid("machine-name-taken", message)
                .hint(format!(
                    "enrol with another name (--hostname NAME), or remove the old machine first: \
                     `cmdop machines remove {name}`"
                )),
            EnrollError::Store(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_found_by_the_hash_of_its_secret() {
        let ca = secret::random_hex();
        let (token, kept) = new_token(Guest::Machine, &ca);
        assert_eq!(hash_of(token.expose(), Guest::Machine, &ca).unwrap(), kept);
        assert_eq!(
            hash_of(&format!("{}\n", token.expose()), Guest::Machine, &ca).unwrap(),
            kept
        );
    }

    #[test]
    fn a_token_of_another_kind_or_control_plane_is_invalid_and_says_why() {
        let (ca, other) = (secret::random_hex(), secret::random_hex());
        let (token, _) = new_token(Guest::Relay, &ca);
        let reason = |guest, ca: &str| hash_of(token.expose(), guest, ca).unwrap_err();
        assert!(reason(Guest::Machine, &ca).message.contains("machine's"));
        assert!(
            reason(Guest::Relay, &other)
                .message
                .contains("another control plane")
        );
        for broken in ["", "cmdop_relay_", &token.expose()[..100]] {
            let refusal = hash_of(broken, Guest::Relay, &ca).unwrap_err();
            assert_eq!(refusal.reason, "enroll-token-invalid");
        }
    }
}
