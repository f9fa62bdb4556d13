//! Who calls: the bearer token of a request, checked with our own keys, our list of revocations, and
//! against the account as it is now.

use cmdop_proto::token::{Bearer, CONTROL_AUDIENCE, Claims, Role};
use cmdop_proto::{Refusal, RelayId};
use tonic::metadata::MetadataMap;

use crate::plane::ControlPlane;
use crate::store::{Account, Workspace};

/// An account that calls, with the handle for its workspace.
#[derive(Debug)]
pub(crate) struct Caller<'a> {
    /// Its workspace: the only one that it can name.
    pub workspace: Workspace<'a>,
    /// The account as it is now.
    pub account: Account,
}

impl Caller<'_> {
    /// Refuses who may not change the workspace's machines.
    pub(crate) fn must_administrate(&self, what: &str) -> Result<(), Refusal> {
        if self.account.role >= Role::Admin {
            return Ok(());
        }
        Err(Refusal::denied(
            "role-too-low",
            format!(
                "{} is {} and may not {what}",
                self.account.name,
                self.account.role.as_str()
            ),
        )
        .hint("ask an admin or the owner of the workspace"))
    }
}

impl ControlPlane {
    /// The account that calls.
    pub(crate) async fn caller(&self, metadata: &MetadataMap) -> Result<Caller<'_>, Refusal> {
        let claims = self.claims_of(metadata, Bearer::Account).await?;
        let workspace = self.store.workspace(claims.wid);
        let gone = || {
            Refusal::denied(
                "token-revoked",
                "the account of this token is gone or disabled",
            )
            .hint("ask an administrator, or log in as another account")
        };
        let account = claims.sub.parse().map_err(|_| gone())?;
        let account = workspace.account(account).await?.ok_or_else(gone)?;
        if account.is_disabled {
            return Err(gone());
        }
        Ok(Caller { workspace, account })
    }

    /// The relay that calls.
    pub(crate) async fn calling_relay(&self, metadata: &MetadataMap) -> Result<RelayId, Refusal> {
        let claims = self.claims_of(metadata, Bearer::Relay).await?;
        let gone = || {
            Refusal::denied("token-revoked", "this relay is not enrolled any more")
                .hint("enrol it again with a token of `cmdop-control admin relay-token`")
        };
        let relay: RelayId = claims.sub.parse().map_err(|_| gone())?;
        self.store.relay(relay).await?.ok_or_else(gone)?;
        Ok(relay)
    }

    async fn claims_of(&self, metadata: &MetadataMap, wanted: Bearer) -> Result<Claims, Refusal> {
        let token = metadata
            .get("authorization")
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.strip_prefix("Bearer "))
            .ok_or_else(|| {
                Refusal::denied("not-logged-in", "this call needs a bearer token")
                    .hint("log in with `cmdop login`")
            })?;
        let now = self.clock.now_s();
        let claims = self.signer.public().verify(token, CONTROL_AUDIENCE, now)?;
        if claims.bearer != wanted {
            return Err(Refusal::denied(
                "wrong-bearer",
                format!(
                    "this call takes {} token, not {}",
                    named(wanted),
                    named(claims.bearer)
                ),
            ));
        }
        if self.store.is_revoked(&claims).await? {
            return Err(Refusal::denied("token-revoked", "the token was revoked")
                .hint("log in again with `cmdop login`"));
        }
        Ok(claims)
    }
}

fn named(bearer: Bearer) -> &'static str {
    match bearer {
        Bearer::Account => "an account's",
        Bearer::Machine => "a machine's",
        Bearer::Relay => "a relay's",
    }
}
