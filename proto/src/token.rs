//! What a token says. Who signs and who checks is not decided here.

use serde::{Deserialize, Serialize};

use crate::ids::{LoginId, WorkspaceId};
use crate::reach::Reach;
use crate::scope::{Scope, Scopes};

/// The `aud` of every token that a relay accepts.
pub const RELAY_AUDIENCE: &str = "cmdop-relay";
/// The `aud` of what the control plane accepts.
pub const CONTROL_AUDIENCE: &str = "cmdop-control";

/// What kind of caller a token was given to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bearer {
    /// A person, or a program that acts as one.
    Account,
    /// An enrolled machine's agent.
    Machine,
    /// An enrolled relay.
    Relay,
}

/// What an account may do in its workspace, from most to least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Watches.
    Guest,
    /// Operates sessions and runs programs.
    Member,
    /// Also enrols machines and manages members.
    Admin,
    /// Everything.
    Owner,
}

impl Role {
    /// The word that stands in tokens and on screens.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Guest => "guest",
            Self::Member => "member",
            Self::Admin => "admin",
            Self::Owner => "owner",
        }
    }

    /// Reads that word.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Guest, Self::Member, Self::Admin, Self::Owner]
            .into_iter()
            .find(|role| role.as_str() == text)
    }

    /// Whether it may overrule what others do in the workspace.
    pub fn can_govern(self) -> bool {
        self >= Self::Admin
    }

    /// Whether it may type, resize, signal, start and exec.
    pub fn can_operate(self) -> bool {
        self >= Self::Member
    }
}

/// The claims of a cmdop token (JWT, RFC 7519, signed with EdDSA, RFC 8037).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The control plane that issued it.
    pub iss: String,
    /// The account, machine or relay id.
    pub sub: String,
    /// [`RELAY_AUDIENCE`], [`CONTROL_AUDIENCE`], or both.
    pub aud: Vec<String>,
    /// Void from this second on.
    pub exp: i64,
    /// Issued at this second.
    pub iat: i64,
    /// Not before this second; back-dated by the clock leeway.
    pub nbf: i64,
    /// Names this one token.
    pub jti: String,
    /// The workspace that it is good for.
    pub wid: WorkspaceId,
    /// What kind of caller.
    pub bearer: Bearer,
    /// The account's role; absent for machines and relays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// What of that it is good for (RFC 8693, section 4.2; RFC 9068): words between spaces. Absent: all
    /// that the role allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scopes>,
    /// Which machines of the workspace it reaches. Absent: all.
    #[serde(default, rename = "fleets", skip_serializing_if = "Reach::is_all")]
    pub reach: Reach,
    /// The login or API key that it came from; absent for machines and relays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sid: Option<LoginId>,
    /// The account's or machine's name, for records and messages.
    pub name: String,
}

impl Claims {
    /// Whether the token's scope, if it has one, holds this word.
    pub fn is_scoped_for(&self, scope: Scope) -> bool {
        self.scope.is_none_or(|given| given.contains(scope))
    }
}
