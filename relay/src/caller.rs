//! Who calls: the bearer token of a request, checked offline, as a type that says what it may do.

use std::sync::Arc;

use cmdop_proto::token::{Bearer, Claims, Role};
use cmdop_proto::{MachineId, Refusal, WorkspaceId};
use tonic::metadata::MetadataMap;

use crate::directory::Directory;
use crate::permission::{self, Action, Denied};

/// A person, or a program that acts as one.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    pub(crate) claims: Arc<Claims>,
}

/// An enrolled machine's agent.
#[derive(Clone, Debug)]
pub(crate) struct Agent {
    pub(crate) claims: Arc<Claims>,
    pub(crate) machine: MachineId,
}

impl Account {
    /// The account whose token the request carries.
    pub(crate) fn of(directory: &Directory, metadata: &MetadataMap) -> Result<Self, Refusal> {
        let claims = bearer(directory, metadata, Bearer::Account)?;
        Ok(Self {
            claims: Arc::new(claims),
        })
    }

    /// Somebody of a workspace of their own.
    #[cfg(test)]
    pub(crate) fn of_a_test() -> Self {
        let claims = Claims {
            iss: String::new(),
            sub: cmdop_proto::AccountId::new().to_string(),
            aud: Vec::new(),
            exp: 0,
            iat: 0,
            nbf: 0,
            jti: String::new(),
            wid: WorkspaceId::new(),
            bearer: Bearer::Account,
            role: None,
            sid: None,
            name: "ada".into(),
            scope: None,
            reach: cmdop_proto::Reach::All,
        };
        Self {
            claims: Arc::new(claims),
        }
    }

    /// The tenant that everything it does stays in.
    pub(crate) fn workspace(&self) -> WorkspaceId {
        self.claims.wid
    }

    /// Its name, for records.
    pub(crate) fn name(&self) -> String {
        cmdop_proto::text::shown(&self.claims.name, cmdop_proto::limits::MAX_NAME)
    }

    /// Whether it is an owner or administrator of its workspace.
    pub(crate) fn governs(&self) -> bool {
        self.claims.role.is_some_and(Role::can_govern)
    }

    /// Refuses what the table of permissions does not allow; `what` is how the refusal says it.
    pub(crate) fn must_be_allowed(&self, action: Action, what: &str) -> Result<(), Refusal> {
        let (role, scopes) = (self.claims.role, self.claims.scope);
        let Err(denied) = permission::check(action, role, scopes) else {
            return Ok(());
        };
        Err(match denied {
            Denied::Role(least) => Refusal::denied(
                "role-too-low",
                format!(
                    "{} may not {what}: the role is {}, and it takes a {}",
                    self.name(),
                    role.map_or("missing", Role::as_str),
                    least.as_str(),
                ),
            )
            .hint("ask an administrator of the workspace for another role"),
            Denied::Scope(one_of) => {
                let words: Vec<_> = one_of.iter().map(|scope| scope.as_str()).collect();
                Refusal::denied(
                    "scope-missing",
                    format!(
                        "this token may not {what}: it takes the scope {}",
                        words.join(" or ")
                    ),
                )
                .hint("use a key that was issued with that scope")
            }
        })
    }
}

impl Agent {
    /// The machine whose token the request carries.
    pub(crate) fn of(directory: &Directory, metadata: &MetadataMap) -> Result<Self, Refusal> {
        let claims = bearer(directory, metadata, Bearer::Machine)?;
        Ok(Self {
            machine: claims.sub.parse()?,
            claims: Arc::new(claims),
        })
    }

    /// The tenant that everything it does stays in.
    pub(crate) fn workspace(&self) -> WorkspaceId {
        self.claims.wid
    }
}

fn bearer(
    directory: &Directory,
    metadata: &MetadataMap,
    wanted: Bearer,
) -> Result<Claims, Refusal> {
    let token = metadata
        .get("authorization")
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "))
        .ok_or_else(|| {
            Refusal::denied("not-logged-in", "the request carries no access token")
                .hint("log in with `cmdop login`")
        })?;
    let claims = directory.verify(token.trim())?;
    if claims.bearer == wanted {
        return Ok(claims);
    }
    Err(Refusal::denied(
        "wrong-bearer",
        format!(
            "a token for {} cannot be used here: it takes one for {}",
            kind(claims.bearer),
            kind(wanted)
        ),
    )
    .hint(match wanted {
        Bearer::Account => "log in with `cmdop login`",
        Bearer::Machine => "enrol the machine with `cmdopd enroll`",
        Bearer::Relay => "enrol the relay again",
    }))
}

fn kind(bearer: Bearer) -> &'static str {
    match bearer {
        Bearer::Account => "an account",
        Bearer::Machine => "a machine",
        Bearer::Relay => "a relay",
    }
}
