//! Invitations: the link that holds the secret, and how long it works.

use std::time::Duration;

use cmdop_proto::Refusal;

use crate::lifetimes::{INVITATION, LONGEST_INVITATION};
use crate::secret::Secret;

/// What their secrets begin with.
const PREFIX: &str = "cmdop_invite_";

/// A new secret, and the link to the page that takes it.
pub(crate) fn new(issuer: &str) -> (Secret, String) {
    let secret = Secret::random(PREFIX);
    let url = format!("{issuer}/invitation?token={}", secret.expose());
    (secret, url)
}

/// How long it works, if it may work that long.
pub(crate) fn lifetime(asked_ms: u64) -> Result<Duration, Refusal> {
    match Duration::from_millis(asked_ms) {
        Duration::ZERO => Ok(INVITATION),
        asked if asked <= LONGEST_INVITATION => Ok(asked),
        asked => Err(Refusal::invalid(
            "bad-request",
            format!("an invitation cannot be open for {} s", asked.as_secs()),
        )
        .hint(format!(
            "at most {} days",
            LONGEST_INVITATION.as_secs() / 86_400
        ))),
    }
}
