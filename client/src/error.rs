//! Why something that a client asked for was not done; every kind becomes one [`Refusal`].

use std::time::Duration;

use cmdop_proto::{ErrorKind, Refusal};

use crate::{dial, oauth, profile, token_store};

/// A call that failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server refused, or a peer behind it.
    #[error("{0}")]
    Refused(Refusal),
    /// No connection to any of the profile's relays, or to its control plane.
    #[error("{0}")]
    Dial(#[from] dial::Error),
    /// The profile holds no tokens, or they are void for good.
    #[error("not logged in to profile `{profile}`{why}")]
    NotLoggedIn {
        /// Which profile.
        profile: String,
        /// Half a sentence, with its comma; may be empty.
        why: String,
    },
    /// The tokens could not be read, written or locked.
    #[error("{0}")]
    Store(#[from] token_store::Error),
    /// The token endpoint refused or could not be reached.
    #[error("{0}")]
    OAuth(#[from] oauth::Error),
    /// The profiles could not be read or written.
    #[error("{0}")]
    Profile(#[from] profile::Error),
    /// It was not done in the time that the caller gave it.
    #[error("{what} took longer than {}", seconds(*.after))]
    Timeout {
        /// What was waited for.
        what: String,
        /// The limit.
        after: Duration,
    },
    /// The connection was lost in the middle.
    #[error("the connection to the relay was lost: {0}")]
    Lost(String),
    /// The peer broke the protocol, or we did.
    #[error("{0}")]
    Protocol(String),
}

fn seconds(duration: Duration) -> String {
    format!("{} s", duration.as_millis() as f64 / 1000.0)
}

impl Error {
    /// The same as the refusal that every part of cmdop understands.
    pub fn refusal(&self) -> Refusal {
        let message = self.to_string();
        match self {
            Self::Refused(refusal) => refusal.clone(),
            Self::Dial(error) => error.into(),
            Self::NotLoggedIn { .. } => {
                Refusal::denied("not-logged-in", message).hint("run `cmdop login`")
            }
            Self::Store(error) => error.refusal(),
            Self::OAuth(error) => error.refusal(),
            Self::Profile(error) => error.refusal(),
            Self::Timeout { .. } => Refusal::exhausted("timeout", message)
                .hint("try again, or give it longer with --timeout"),
            Self::Lost(_) => Refusal::unavailable("unreachable", message)
                .hint("check the network and that the server runs; `cmdop status` tells"),
            Self::Protocol(_) => Refusal::new(ErrorKind::Internal, "internal", message),
        }
    }

    /// The process exit code (docs of the command line).
    pub fn exit_code(&self) -> u8 {
        self.refusal().kind.exit_code()
    }

    /// Whether the token that a stream was opened with is void. What it was made from may live on, as when the
    /// account got another role or other fleets: opening the stream again shows which, for that takes
    /// another token.
    pub(crate) fn voids_token(&self) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.reason == "token-revoked")
    }

    /// Whether the same call may succeed once the connection is made anew.
    pub fn is_connection(&self) -> bool {
        match self {
            Self::Dial(dial::Error::Unreachable { .. } | dial::Error::Timeout { .. })
            | Self::Lost(_)
            | Self::Timeout { .. } => true,
            Self::OAuth(error) => error.is_connection(),
            Self::Refused(refusal) => {
                matches!(refusal.kind, ErrorKind::Unavailable)
            }
            _ => false,
        }
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<tonic::Status> for Error {
    fn from(status: tonic::Status) -> Self {
        if is_transport(&status) {
            Self::Lost(cmdop_proto::text::shown(&transport_cause(&status), 256))
        } else {
            Self::Refused(Refusal::from(&status))
        }
    }
}

/// Whether the status was made here because the connection failed, not sent by a server.
pub(crate) fn is_transport(status: &tonic::Status) -> bool {
    std::error::Error::source(status).is_some()
        && status.details().is_empty()
        && !matches!(
            status.code(),
            tonic::Code::OutOfRange | tonic::Code::Unimplemented
        )
}

fn transport_cause(status: &tonic::Status) -> String {
    let mut cause: &dyn std::error::Error = status;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_failure_has_the_exit_code_of_the_contract() {
        let timeout = Error::Timeout {
            what: "the call".into(),
            after: Duration::from_millis(1500),
        };
        assert_eq!(timeout.exit_code(), 75);
        assert_eq!(timeout.to_string(), "the call took longer than 1.5 s");
        let login = Error::NotLoggedIn {
            profile: "local".into(),
            why: String::new(),
        };
        assert_eq!(login.exit_code(), 77);
        assert_eq!(login.refusal().reason, "not-logged-in");
        let unreachable = Error::Dial(dial::Error::Timeout {
            url: "https://a:1".into(),
        });
        assert_eq!(unreachable.exit_code(), 69);
        assert_eq!(Error::Protocol("x".into()).exit_code(), 70);
    }

    #[test]
    fn a_servers_refusal_is_not_taken_for_a_lost_connection() {
        let status =
            tonic::Status::from(Refusal::unavailable("machine-offline", "web-1 is offline"));
        assert!(matches!(Error::from(status), Error::Refused(r) if r.reason == "machine-offline"));
    }
}
