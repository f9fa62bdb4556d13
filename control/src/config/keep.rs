//! How long records are kept, as an operator says it: `90d`, or `forever`.

use std::time::Duration;

use crate::lifetimes::{SESSION_RECORD, SHORTEST_AUDIT, SHORTEST_SESSION_RECORD};

/// The word for no end.
const FOREVER: &str = "forever";

/// How long records are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// The record of a session, after its end.
    pub sessions: Duration,
    /// Records of the audit log; none: for ever.
    pub audit: Option<Duration>,
}

/// Why that cannot be.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No age.
    #[error("`{given}` is no age for {what}: it has the form 90d{or_forever}")]
    Unreadable {
        /// What was given.
        given: String,
        /// Of what.
        what: &'static str,
        /// Whether there may be no end.
        or_forever: &'static str,
    },
    /// Too short.
    #[error("{what} is kept for at least {} days", .least.as_secs() / 86_400)]
    TooShort {
        /// What.
        what: &'static str,
        /// The shortest.
        least: Duration,
    },
}

impl Default for Keep {
    fn default() -> Self {
        Self {
            sessions: SESSION_RECORD,
            audit: None,
        }
    }
}

impl Keep {
    /// Reads both; what is not given is the default.
    pub(super) fn read(sessions: Option<&str>, audit: Option<&str>) -> Result<Self, Error> {
        let of_sessions = "the record of a session";
        let of_audit = "the audit log";
        let sessions = sessions.map(|given| age(given, of_sessions, "", SHORTEST_SESSION_RECORD));
        let audit = audit.filter(|given| *given != FOREVER);
        let audit = audit.map(|given| age(given, of_audit, " or is `forever`", SHORTEST_AUDIT));
        Ok(Self {
            sessions: sessions.transpose()?.unwrap_or(SESSION_RECORD),
            audit: audit.transpose()?,
        })
    }
}

fn age(
    given: &str,
    what: &'static str,
    or_forever: &'static str,
    least: Duration,
) -> Result<Duration, Error> {
    let read = humantime::parse_duration(given).map_err(|_| Error::Unreadable {
        given: cmdop_proto::text::shown(given, 32),
        what,
        or_forever,
    })?;
    if read < least {
        return Err(Error::TooShort { what, least });
    }
    Ok(read)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    #[test]
    fn an_age_is_read_and_what_is_not_given_is_the_default() {
        assert_eq!(Keep::read(None, None).unwrap(), Keep::default());
        let keep = Keep::read(Some("7d"), Some("1year")).unwrap();
        assert_eq!(keep.sessions, 7 * DAY);
        assert!(keep.audit.unwrap() > 364 * DAY);
        assert_eq!(Keep::read(None, Some("forever")).unwrap().audit, None);
    }

    #[test]
    fn what_is_too_short_or_no_age_is_refused_with_what_can_be() {
        let said = |sessions, audit| Keep::read(sessions, audit).unwrap_err().to_string();
        assert!(said(Some("1h"), None).contains("at least 1 days"));
        assert!(said(None, Some("29d")).contains("at least 30 days"));
        assert!(said(None, Some("always")).contains("forever"));
        assert!(said(Some("forever"), None).contains("90d"));
    }
}
