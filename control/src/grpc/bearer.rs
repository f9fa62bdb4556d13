//! Who calls, and whether they may: the bearer token of a request, checked with our own keys, our list of
//! revocations and the account as it is now; then the one table of [`crate::permission`].

use cmdop_proto::scope::Scopes;
use cmdop_proto::token::{Bearer, CONTROL_AUDIENCE, Claims, Role};
use cmdop_proto::{ErrorKind, LoginId, Reach, Refusal, RelayId, WorkspaceId};
use tokio::time::Instant;
use tonic::metadata::MetadataMap;

use crate::api_key;
use crate::permission::{self, Action, Denied};
use crate::plane::ControlPlane;
use crate::store::{Account, Actor, Event, Outcome, Workspace};
use crate::throttle::{DENIALS, IN_VAIN};

/// An account that calls and may do what it asks, with the handle for its workspace.
#[derive(Debug)]
pub(crate) struct Caller<'a> {
    /// Its workspace: the only one that it can name. What it changes is recorded as its own.
    pub workspace: Workspace<'a>,
    /// The account as it is now.
    pub account: Account,
    /// What its token is good for; none: all that the role allows.
    pub scopes: Option<Scopes>,
    /// The key that it shows, or that its token came from; none: a login.
    pub key: Option<LoginId>,
}

impl Caller<'_> {
    /// Whether it may do something else besides.
    pub(crate) fn also_may(&self, action: Action) -> bool {
        permission::check(action, self.account.role, self.scopes).is_ok()
    }

    /// Its role.
    pub(crate) fn role(&self) -> Role {
        self.account.role
    }

    /// Which machines it reaches now, whatever its token says.
    pub(crate) async fn reach(&self) -> Result<Reach, Refusal> {
        let account = &self.account;
        Ok(self.workspace.reach(account.id, account.role).await?)
    }
}

impl ControlPlane {
    /// The account that calls, if it may. A refusal of somebody who is known is recorded.
    pub(crate) async fn caller(
        &self,
        metadata: &MetadataMap,
        action: Action,
    ) -> Result<Caller<'_>, Refusal> {
        let caller = self.known_caller(metadata).await?;
        self.must_be_allowed(&caller, action).await?;
        Ok(caller)
    }

    /// Whether a caller may do something else besides; a refusal is recorded.
    pub(crate) async fn must_be_allowed(
        &self,
        caller: &Caller<'_>,
        action: Action,
    ) -> Result<(), Refusal> {
        let Err(denied) = permission::check(action, caller.account.role, caller.scopes) else {
            return Ok(());
        };
        let words = permission::rule_of(action).words;
        self.record_denial(&caller.workspace, &caller.account, words)
            .await?;
        Err(refusal(&caller.account, words, denied))
    }

    async fn known_caller(&self, metadata: &MetadataMap) -> Result<Caller<'_>, Refusal> {
        let token = bearer(metadata)?;
        if token.starts_with(api_key::PREFIX) {
            let (workspace, login) = self.key_login(token).await?;
            let actor = Actor::new("key", login.id, &login.name);
            return Ok(Caller {
                workspace: workspace.by(actor),
                account: login.account,
                scopes: Some(login.scopes),
                key: Some(login.id),
            });
        }
        let claims = self.claims_of(token, Bearer::Account).await?;
        let (workspace, account) = self.account_of(&claims).await?;
        Ok(Caller {
            workspace: workspace.by(account.actor()),
            account,
            scopes: claims.scope,
            // Only what a key is exchanged for names scopes.
            key: claims.scope.and(claims.sid),
        })
    }

    /// The account of an account's token, as it is now.
    pub(crate) async fn account_of(
        &self,
        claims: &Claims,
    ) -> Result<(Workspace<'_>, Account), Refusal> {
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
        Ok((workspace, account))
    }

    /// Records a refusal in the hands of who was refused. Somebody who tries again and again fills the log
    /// only as fast as the throttle lets them.
    pub(crate) async fn record_denial(
        &self,
        workspace: &Workspace<'_>,
        account: &Account,
        words: &str,
    ) -> Result<(), Refusal> {
        let key = format!("denied/{}", account.id);
        if self.throttle.take(key, DENIALS, Instant::now()).is_err() {
            tracing::warn!(account = %account.name, words, "denied, and recorded no more");
            return Ok(());
        }
        let event = Event::new("denied", words).outcome(Outcome::Denied);
        Ok(workspace.note(event, self.clock.now_ms()).await?)
    }

    /// Records that somebody showed what was worth something once: a credential of this workspace that is used up, expired
    /// or revoked. Once in a minute for each.
    pub(crate) async fn record_worthless(
        &self,
        workspace: &Workspace<'_>,
        (what, hash): (&str, &str),
        refusal: &Refusal,
    ) -> Result<(), Refusal> {
        if refusal.kind != ErrorKind::Denied {
            return Ok(());
        }
        // One that a program shows all day long hides no other.
        let key = format!("worthless/{hash}");
        if self.throttle.take(key, IN_VAIN, Instant::now()).is_err() {
            tracing::warn!(workspace = %workspace.id(), what, "refused, and recorded no more");
            return Ok(());
        }
        let event = Event::new("credential-refused", what)
            .outcome(Outcome::Failed)
            .detail("reason", &refusal.reason);
        Ok(workspace.note(event, self.clock.now_ms()).await?)
    }

    /// The relay that calls.
    pub(crate) async fn calling_relay(&self, metadata: &MetadataMap) -> Result<RelayId, Refusal> {
        let claims = self.claims_of(bearer(metadata)?, Bearer::Relay).await?;
        let gone = || {
            Refusal::denied("token-revoked", "this relay is not enrolled any more")
                .hint("enrol it again with a token of `cmdop-control admin relay-token`")
        };
        let relay: RelayId = claims.sub.parse().map_err(|_| gone())?;
        self.store.relay(relay).await?.ok_or_else(gone)?;
        Ok(relay)
    }

    /// Which tokens the caller may ask about: those of one workspace, or, for a relay, all.
    pub(crate) async fn token_checker(
        &self,
        metadata: &MetadataMap,
    ) -> Result<Option<WorkspaceId>, Refusal> {
        let now = self.clock.now_s();
        let verified = self
            .signer
            .keys()
            .public()
            .verify(bearer(metadata)?, CONTROL_AUDIENCE, now);
        if verified.is_ok_and(|claims| claims.bearer == Bearer::Relay) {
            self.calling_relay(metadata).await?;
            return Ok(None);
        }
        let caller = self.caller(metadata, Action::CheckTokens).await?;
        Ok(Some(caller.workspace.id()))
    }

    /// Whether a token of ours with these claims was not revoked, and whose it is still may be here.
    pub(crate) async fn stands(&self, claims: &Claims) -> Result<bool, Refusal> {
        if self.store.is_revoked(claims).await? {
            return Ok(false);
        }
        let workspace = self.store.workspace(claims.wid);
        Ok(match claims.bearer {
            Bearer::Account => match (claims.sub.parse(), claims.sid) {
                (Ok(account), Some(login)) => workspace.standing(account, login).await?.is_some(),
                _ => false,
            },
            Bearer::Machine => match claims.sub.parse() {
                Ok(machine) => workspace.machine(machine).await?.is_some(),
                Err(_) => false,
            },
            Bearer::Relay => match claims.sub.parse() {
                Ok(relay) => self.store.relay(relay).await?.is_some(),
                Err(_) => false,
            },
        })
    }

    /// What a token says, if it is one of ours, alive, not revoked, and of that kind of bearer.
    pub(crate) async fn claims_of(&self, token: &str, wanted: Bearer) -> Result<Claims, Refusal> {
        let now = self.clock.now_s();
        let claims = self
            .signer
            .keys()
            .public()
            .verify(token, CONTROL_AUDIENCE, now)?;
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

fn bearer(metadata: &MetadataMap) -> Result<&str, Refusal> {
    metadata
        .get("authorization")
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "))
        .map(str::trim)
        .ok_or_else(|| {
            Refusal::denied("not-logged-in", "this call needs a bearer token")
                .hint("log in with `cmdop login`")
        })
}

fn refusal(account: &Account, words: &str, denied: Denied) -> Refusal {
    let (name, role) = (&account.name, account.role.as_str());
    match denied {
        Denied::Role(least) => Refusal::denied(
            "role-too-low",
            format!(
                "{name} is {role} and may not {words}: it takes {}",
                least.as_str()
            ),
        )
        .hint("ask an admin or the owner of the workspace"),
        Denied::Scope(scope) => Refusal::denied(
            "scope-missing",
            format!(
                "this token may not {words}: it has no scope {}",
                scope.as_str()
            ),
        )
        .hint("use a key that was issued with that scope"),
    }
}

fn named(bearer: Bearer) -> &'static str {
    match bearer {
        Bearer::Account => "an account's",
        Bearer::Machine => "a machine's",
        Bearer::Relay => "a relay's",
    }
}
