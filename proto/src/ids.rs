//! The names of things on the wire, each a type of its own so that one cannot pass for another.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::Refusal;

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// A new id; ids sort by the time of their making (UUIDv7, RFC 9562).
            #[allow(clippy::new_without_default, reason = "a default id would be a new one each time")]
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }

            /// The id as a UUID.
            pub fn as_uuid(&self) -> &Uuid {
                &self.0
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }

        impl FromStr for $name {
            type Err = Refusal;

            /// Reads the hyphenated form; anything else is an [`Refusal::invalid`].
            fn from_str(text: &str) -> Result<Self, Refusal> {
                match Uuid::try_parse(text) {
                    Ok(id) => Ok(Self(id)),
                    Err(_) => Err(Refusal::invalid(
                        "bad-id",
                        format!("`{}` is not {}", crate::text::shown(text, 64), $what),
                    )),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }
    };
}

uuid_id!(
    /// One execution on one machine. It belongs to no connection.
    SessionId, "a session id");
uuid_id!(
    /// A computer with an enrolled agent.
    MachineId, "a machine id");
uuid_id!(
    /// A named set of machines inside a workspace.
    FleetId, "a fleet id");
uuid_id!(
    /// The tenant; nothing crosses it.
    WorkspaceId, "a workspace id");
uuid_id!(
    /// A person's or program's account in a workspace.
    AccountId, "an account id");
uuid_id!(
    /// One login of an account: the family of its refresh tokens.
    LoginId, "a login id");
uuid_id!(
    /// One client, kept over its reconnects, so that replayed input is written once.
    ClientId, "a client id");
uuid_id!(
    /// One exec on one machine.
    RunId, "a run id");
uuid_id!(
    /// One transfer of files, over all its streams; made by the client, and unique among those of its account.
    TransferId, "a transfer id");
uuid_id!(
    /// One relay node.
    RelayId, "a relay id");

macro_rules! counter {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u64);

        impl $name {
            /// The one after this.
            pub fn next(self) -> Self {
                Self(self.0 + 1)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

counter!(
    /// What the relay gives each accepted input of a session; counts up from 1 in each session.
    CommandId);
counter!(
    /// A client's own count of its inputs, from 1; a replay keeps its number.
    InputSeq);
counter!(
    /// The fence of an agent's link: what arrives under a lower epoch than the newest is dropped.
    LinkEpoch);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_survives_its_text_form() {
        let id = SessionId::new();
        assert_eq!(id.to_string().parse::<SessionId>().unwrap(), id);
    }

    #[test]
    fn hostile_text_is_refused_and_not_repeated_raw() {
        let refusal = "\x1b[2Jx".parse::<MachineId>().unwrap_err();
        assert!(!refusal.message.contains('\x1b'));
    }
}
