//! What the tokens say that we sign, and the answer in which they travel (RFC 6749, section 5.1).

use cmdop_proto::limits::CLOCK_LEEWAY;
use cmdop_proto::scope::Scope;
use cmdop_proto::token::{Bearer, CONTROL_AUDIENCE, Claims, RELAY_AUDIENCE};
use cmdop_proto::{AccountId, LoginId, Reach, Refusal, WorkspaceId};
use serde::Serialize;
use uuid::Uuid;

use crate::lifetimes::{ACCESS_TOKEN, KEY_TOKEN, MACHINE_TOKEN, SCHEDULE_TOKEN};
use crate::permission::{self, Action};
use crate::plane::ControlPlane;
use crate::secret::Secret;
use crate::store::{KeyLogin, Login, Machine, Relay, Schedule};

/// The scope of a login: all that its account's role allows. Tokens of keys name what they are good for.
pub(crate) const SCOPE: &str = "cmdop";

/// RFC 8693, section 3.
const ACCESS_TOKEN_TYPE: &str = "urn:ietf:params:oauth:token-type:access_token";

/// The answer of the token endpoint. It carries our time, so that a client whose clock is off can say
/// so, and where relays listen, so that nobody has to ask for that again.
#[derive(Serialize)]
pub(crate) struct TokenResponse {
    access_token: String,
    token_type: &'static str,
    expires_in: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    issued_token_type: Option<&'static str>,
    scope: String,
    server_time_ms: u64,
    relay_urls: Vec<String>,
}

impl ControlPlane {
    /// The tokens of a login; `refresh` is its newest refresh token.
    pub(crate) async fn tokens_for_login(
        &self,
        login: &Login,
        refresh: &Secret,
    ) -> Result<TokenResponse, Refusal> {
        let account = &login.account;
        let mut claims = self.claims(Bearer::Account, account.id.to_string(), &account.name);
        claims.wid = login.workspace;
        claims.exp = claims.iat + ACCESS_TOKEN.as_secs() as i64;
        self.settle(&mut claims, account.id, login.id).await?;
        self.respond(&claims, Some(refresh)).await
    }

    /// The token of an API key: its account's, narrowed, and void when the key is.
    pub(crate) async fn token_for_key(
        &self,
        workspace: WorkspaceId,
        login: &KeyLogin,
    ) -> Result<TokenResponse, Refusal> {
        let account = &login.account;
        let mut claims = self.claims(Bearer::Account, account.id.to_string(), &account.name);
        claims.wid = workspace;
        claims.scope = Some(login.scopes);
        let end = login
            .expires_at_ms
            .map_or(i64::MAX, |ms| (ms / 1000) as i64);
        claims.exp = end.min(claims.iat + KEY_TOKEN.as_secs() as i64);
        self.settle(&mut claims, account.id, login.id).await?;
        self.respond(&claims, None).await
    }

    /// The token of one call of a schedule's run: it runs programs and nothing else, as its owner may now. The
    /// schedule is its login: when that is removed, the token is void.
    pub(crate) async fn token_for_schedule(
        &self,
        workspace: WorkspaceId,
        schedule: &Schedule,
    ) -> Result<String, Refusal> {
        let (owner, name) = (schedule.owner, &schedule.owner_name);
        let handle = self.store.workspace(workspace);
        let standing = handle.schedule_standing(schedule, self.clock.now_ms());
        let standing = standing
            .await?
            .filter(|standing| permission::check(Action::RunPrograms, standing.role, None).is_ok());
        let standing = standing.ok_or_else(|| {
            let gone = format!("{name} may not run programs any more, or the schedule is gone");
            Refusal::denied("owner-may-not", gone)
        })?;
        let mut claims = self.claims(Bearer::Account, owner.to_string(), name);
        claims.wid = workspace;
        claims.scope = Some([Scope::Exec].into_iter().collect());
        claims.role = Some(standing.role);
        claims.sid = Some(schedule.id);
        claims.exp = claims.iat + SCHEDULE_TOKEN.as_secs() as i64;
        claims.iat = standing.issued_at(claims.iat);
        claims.reach = standing.reach;
        self.signer.sign(&claims, self.clock.now_ms())
    }

    /// The last look before the signature. What proved an identity was read a moment ago: a role that was
    /// taken since, or a login that was ended, is in no token, and a revocation that this look does not
    /// find is one that hits the token.
    pub(crate) async fn settle(
        &self,
        claims: &mut Claims,
        account: AccountId,
        credential: LoginId,
    ) -> Result<(), Refusal> {
        let workspace = self.store.workspace(claims.wid);
        let standing = workspace.standing(account, credential).await?;
        let standing = standing.ok_or_else(|| {
            let ended = "the account is gone or disabled, or what it logged in with has ended";
            Refusal::denied("token-revoked", ended).hint("log in again with `cmdop login`")
        })?;
        claims.role = Some(standing.role);
        claims.sid = Some(credential);
        claims.iat = standing.issued_at(claims.iat);
        claims.reach = standing.reach;
        Ok(())
    }

    /// The token of an enrolled machine.
    pub(crate) async fn token_for_machine(
        &self,
        machine: &Machine,
    ) -> Result<TokenResponse, Refusal> {
        let mut claims = self.claims(Bearer::Machine, machine.id.to_string(), &machine.name);
        claims.wid = machine.workspace;
        self.respond(&claims, None).await
    }

    /// The token of an enrolled relay. It serves all workspaces: its own is the nil id.
    pub(crate) async fn token_for_relay(&self, relay: &Relay) -> Result<TokenResponse, Refusal> {
        let claims = self.claims(Bearer::Relay, relay.id.to_string(), &relay.url);
        self.respond(&claims, None).await
    }

    /// What every token says; `exp` as a machine's.
    pub(crate) fn claims(&self, bearer: Bearer, sub: String, name: &str) -> Claims {
        let now = self.clock.now_s();
        Claims {
            iss: self.issuer.clone(),
            sub,
            aud: vec![RELAY_AUDIENCE.into(), CONTROL_AUDIENCE.into()],
            exp: now + MACHINE_TOKEN.as_secs() as i64,
            iat: now,
            nbf: now - CLOCK_LEEWAY.as_secs() as i64,
            jti: Uuid::new_v4().to_string(),
            wid: WorkspaceId::from(Uuid::nil()),
            bearer,
            role: None,
            scope: None,
            reach: Reach::All,
            sid: None,
            name: name.to_owned(),
        }
    }

    async fn respond(
        &self,
        claims: &Claims,
        refresh: Option<&Secret>,
    ) -> Result<TokenResponse, Refusal> {
        let access_token = self.signer.sign(claims, self.clock.now_ms())?;
        self.meters.token(claims.bearer);
        Ok(TokenResponse {
            access_token,
            token_type: "Bearer",
            expires_in: lives_s(claims),
            refresh_token: refresh.map(|token| token.expose().to_owned()),
            issued_token_type: claims.scope.map(|_| ACCESS_TOKEN_TYPE),
            scope: claims
                .scope
                .map_or_else(|| SCOPE.to_owned(), |scopes| scopes.to_string()),
            server_time_ms: self.clock.now_ms(),
            relay_urls: self.store.relay_urls().await?,
        })
    }
}

/// For how long it can be used, from now: `iat` may be a little later, `nbf` is not.
fn lives_s(claims: &Claims) -> u64 {
    let made = claims.nbf + CLOCK_LEEWAY.as_secs() as i64;
    (claims.exp - made).max(0) as u64
}
