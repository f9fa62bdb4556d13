//! `POST /oauth/token`: the one place where something that proves an identity becomes tokens.

use axum::extract::rejection::FormRejection;
use axum::extract::{Extension, Form, State};
use axum::response::Response;
use cmdop_proto::scope::Scopes;
use cmdop_proto::{ErrorKind, Refusal};
use cmdop_service::serve::Peer;
use serde::Deserialize;
use tokio::time::Instant;

use super::answer::{Refused, uncached};
use super::code::{self, Presented};
use super::device::known_client;
use crate::assertion::{self, Client};
use crate::plane::{ControlPlane, Shared};
use crate::secret::{self, Secret};
use crate::store::{Credential, LoginError, Method, Polled, RefreshError};
use crate::strikes::{API_KEY as API_KEYS, ASSERTION};
use crate::throttle::{TOKENS, neighbourhood};
use crate::tokens::TokenResponse;

/// RFC 6749, section 4.1.3.
pub(super) const AUTHORIZATION_CODE: &str = "authorization_code";
/// RFC 8628, section 3.4.
pub(super) const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";
/// Ours: a one-time secret that lay in a private file, or that an administrator printed.
pub(super) const LOCAL_SECRET: &str = "urn:cmdop:params:oauth:grant-type:local-secret";
/// RFC 7523, section 2.2.
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// RFC 8693, section 2.1.
pub(super) const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
/// What is exchanged: an API key of ours.
const API_KEY: &str = "urn:cmdop:params:oauth:token-type:api-key";

const REFRESH_PREFIX: &str = "cmdop_refresh_";

/// The parameters of all grants together.
#[derive(Deserialize)]
pub(super) struct Request {
    grant_type: Option<String>,
    client_id: Option<String>,
    device_code: Option<String>,
    code: Option<String>,
    redirect_uri: Option<String>,
    code_verifier: Option<String>,
    refresh_token: Option<String>,
    secret: Option<String>,
    client_assertion: Option<String>,
    client_assertion_type: Option<String>,
    subject_token: Option<String>,
    subject_token_type: Option<String>,
    scope: Option<String>,
}

/// Exchanges what was presented for tokens.
pub(super) async fn exchange(
    State(plane): State<Shared>,
    Extension(peer): Extension<Peer>,
    form: Result<Form<Request>, FormRejection>,
) -> Result<Response, Refused> {
    slow_down(&plane, peer)?;
    let Form(request) = form?;
    let grant = request.grant_type.as_deref();
    let tokens = match grant.ok_or_else(|| Refused::missing("grant_type"))? {
        DEVICE_CODE => device_code(&plane, &request).await?,
        AUTHORIZATION_CODE => authorization_code(&plane, &request).await?,
        "refresh_token" => refresh(&plane, &request).await?,
        LOCAL_SECRET => local_secret(&plane, &request).await?,
        TOKEN_EXCHANGE => token_exchange(&plane, peer, &request).await?,
        "client_credentials" => client_credentials(&plane, peer, &request).await?,
        other => {
            return Err(Refused::new(
                "unsupported_grant_type",
                Refusal::invalid(
                    "bad-request",
                    format!(
                        "the grant type `{}` is not known here",
                        cmdop_proto::text::shown(other, 80)
                    ),
                ),
            ));
        }
    };
    Ok(uncached(&tokens))
}

/// Each request costs a signature or a look into the database: nobody gets any number of them.
pub(super) fn slow_down(plane: &ControlPlane, peer: Peer) -> Result<(), Refused> {
    let from = neighbourhood(peer.0.ip());
    plane
        .throttle
        .take(format!("token/{from}"), TOKENS, Instant::now())
        .map_err(|wait| {
            let refusal = Refusal::exhausted("busy", "too many requests from this address")
                .hint(format!("wait {} s and try again", wait.as_secs() + 1));
            Refused::new("invalid_request", refusal)
        })
}

/// Who was wrong again and again waits.
fn must_not_wait(plane: &ControlPlane, who: &str) -> Result<(), Refused> {
    match plane.strikes.wait(who, Instant::now()) {
        None => Ok(()),
        Some(wait) => {
            let refusal = Refusal::exhausted("busy", "too many wrong tries")
                .hint(format!("wait {} s and try again", wait.as_secs() + 1));
            Err(Refused::new("invalid_request", refusal))
        }
    }
}

fn needed<'a>(parameter: Option<&'a String>, name: &str) -> Result<&'a str, Refused> {
    parameter
        .map(String::as_str)
        .ok_or_else(|| Refused::missing(name))
}

/// Nothing to grant: what was presented is wrong, used or over.
fn no_grant(refusal: impl Into<Refusal>) -> Refused {
    Refused::new("invalid_grant", refusal.into())
}

async fn device_code(plane: &ControlPlane, request: &Request) -> Result<TokenResponse, Refused> {
    known_client(request.client_id.as_deref())?;
    let hash = secret::hash(needed(request.device_code.as_ref(), "device_code")?);
    let now_ms = plane.clock.now_ms();
    let wait = |error, message: &str| Err(Refused::new(error, Refusal::invalid(error, message)));
    let polled = plane.store.poll_device_code(&hash, now_ms).await;
    let workspace = match polled.map_err(no_grant)? {
        Polled::Pending => {
            return wait("authorization_pending", "nobody has approved the code yet");
        }
        Polled::TooFast => return wait("slow_down", "asked too often: wait 5 s longer each time"),
        Polled::Expired => return wait("expired_token", "the code has expired: log in again"),
        Polled::Denied => return wait("access_denied", "the login was refused on the page"),
        Polled::Unknown => {
            return wait(
                "invalid_grant",
                "the device code is not known here, or was used already",
            );
        }
        Polled::Approved { workspace, .. } => workspace,
    };
    let refresh = Secret::random(REFRESH_PREFIX);
    let login = plane
        .store
        .workspace(workspace)
        .log_in(Method::Device(&hash), &refresh.hash(), now_ms)
        .await
        .map_err(no_grant)?;
    tracing::info!(account = %login.account.name, login = %login.id, "logged in by device code");
    plane
        .tokens_for_login(&login, &refresh)
        .await
        .map_err(no_grant)
}

async fn authorization_code(
    plane: &ControlPlane,
    request: &Request,
) -> Result<TokenResponse, Refused> {
    known_client(request.client_id.as_deref())?;
    let presented = Presented {
        code: needed(request.code.as_ref(), "code")?,
        redirect_uri: needed(request.redirect_uri.as_ref(), "redirect_uri")?,
        verifier: needed(request.code_verifier.as_ref(), "code_verifier")?,
    };
    let refresh = Secret::random(REFRESH_PREFIX);
    let login = code::log_in(plane, presented, &refresh).await?;
    tracing::info!(account = %login.account.name, login = %login.id, "logged in by code");
    let tokens = plane.tokens_for_login(&login, &refresh).await;
    tokens.map_err(no_grant)
}

async fn refresh(plane: &ControlPlane, request: &Request) -> Result<TokenResponse, Refused> {
    if request.client_id.is_some() {
        known_client(request.client_id.as_deref())?;
    }
    let hash = secret::hash(needed(request.refresh_token.as_ref(), "refresh_token")?);
    let workspace = plane
        .store
        .workspace_of(Credential::RefreshToken(&hash))
        .await
        .map_err(no_grant)?
        .ok_or_else(|| no_grant(RefreshError::Unknown))?;
    let next = Secret::random(REFRESH_PREFIX);
    let login = plane
        .store
        .workspace(workspace)
        .refresh(&hash, &next.hash(), plane.clock.now_ms())
        .await;
    if matches!(login, Err(RefreshError::Reused)) {
        tracing::warn!(%workspace, "a refresh token was used twice; its login is ended");
    }
    let login = login.map_err(no_grant)?;
    plane
        .tokens_for_login(&login, &next)
        .await
        .map_err(no_grant)
}

async fn local_secret(plane: &ControlPlane, request: &Request) -> Result<TokenResponse, Refused> {
    if request.client_id.is_some() {
        known_client(request.client_id.as_deref())?;
    }
    let presented = needed(request.secret.as_ref(), "secret")?.trim();
    let hash = secret::hash(presented);
    let workspace = plane
        .store
        .workspace_of(Credential::LoginSecret(&hash))
        .await
        .map_err(no_grant)?
        .ok_or_else(|| no_grant(LoginError::Unknown))?;
    let refresh = Secret::random(REFRESH_PREFIX);
    let workspace = plane.store.workspace(workspace);
    let login = workspace
        .log_in(Method::Secret(&hash), &refresh.hash(), plane.clock.now_ms())
        .await;
    let login = match login.map_err(Refusal::from) {
        Ok(login) => login,
        Err(refusal) => {
            let recorded = plane.record_worthless(&workspace, ("login secret", &hash), &refusal);
            recorded.await.map_err(no_grant)?;
            return Err(no_grant(refusal));
        }
    };
    crate::bootstrap::remove_used(&plane.owner_login, presented);
    tracing::info!(account = %login.account.name, login = %login.id, "logged in by local secret");
    plane
        .tokens_for_login(&login, &refresh)
        .await
        .map_err(no_grant)
}

/// An API key becomes an access token of minutes (RFC 8693), perhaps with fewer scopes than the key has.
async fn token_exchange(
    plane: &ControlPlane,
    peer: Peer,
    request: &Request,
) -> Result<TokenResponse, Refused> {
    if request.subject_token_type.as_deref() != Some(API_KEY) {
        return Err(Refused::invalid_request(format!(
            "token-exchange needs `subject_token_type` to be {API_KEY}"
        )));
    }
    let key = needed(request.subject_token.as_ref(), "subject_token")?;
    let who = format!("api-key/{}", neighbourhood(peer.0.ip()));
    must_not_wait(plane, &who)?;
    let found = plane.key_login(key.trim()).await;
    let (workspace, mut login) = found.map_err(|refusal| {
        if refusal.reason == "key-unknown" {
            plane.strikes.strike(who, API_KEYS, Instant::now());
        }
        no_grant(refusal)
    })?;
    if let Some(asked) = request.scope.as_deref() {
        let asked = Scopes::read(asked);
        if asked.is_empty() || !login.scopes.contains_all(asked) {
            let beyond = "the key does not have all the scopes that are asked for";
            let refusal = Refusal::denied("scope-missing", beyond);
            return Err(Refused::new("invalid_scope", refusal));
        }
        login.scopes = asked;
    }
    plane
        .token_for_key(workspace.id(), &login)
        .await
        .map_err(no_grant)
}

async fn client_credentials(
    plane: &ControlPlane,
    peer: Peer,
    request: &Request,
) -> Result<TokenResponse, Refused> {
    if request.client_assertion_type.as_deref() != Some(JWT_BEARER) {
        return Err(Refused::invalid_request(format!(
            "client_credentials needs `client_assertion_type` to be {JWT_BEARER}"
        )));
    }
    let assertion = needed(request.client_assertion.as_ref(), "client_assertion")?;
    let refused = |refusal| Refused::new("invalid_client", refusal);
    let from = neighbourhood(peer.0.ip());
    // Whose it says to be: believed only as far as who is slowed down.
    let who = format!("assertion/{}/{from}", assertion::claimed_subject(assertion));
    must_not_wait(plane, &who)?;
    let client = plane.client_of(assertion).await.map_err(|refusal| {
        if refusal.kind == ErrorKind::Denied {
            plane.strikes.strike(who, ASSERTION, Instant::now());
        }
        refused(refusal)
    });
    match client? {
        Client::Machine(machine) => plane.token_for_machine(&machine).await,
        Client::Relay(relay) => plane.token_for_relay(&relay).await,
    }
    .map_err(refused)
}

impl From<LoginError> for Refusal {
    fn from(error: LoginError) -> Self {
        let message = error.to_string();
        let another = "make another with `cmdop-control admin login-secret NAME`, \
                       or log in with `cmdop login`";
        match error {
            LoginError::Unknown => Refusal::denied("login-secret-invalid", message).hint(another),
            LoginError::Used => Refusal::denied("login-secret-used", message).hint(another),
            LoginError::Expired => Refusal::denied("login-secret-expired", message).hint(another),
            LoginError::Disabled { .. } => Refusal::denied("account-disabled", message)
                .hint("an administrator can enable it: `cmdop-control admin enable-account NAME`"),
            LoginError::Store(error) => error.into(),
        }
    }
}

impl From<RefreshError> for Refusal {
    fn from(error: RefreshError) -> Self {
        let reason = match error {
            RefreshError::Unknown => "token-malformed",
            RefreshError::Expired => "token-expired",
            RefreshError::Ended | RefreshError::Reused => "token-revoked",
            RefreshError::Disabled => "account-disabled",
            RefreshError::Store(error) => return error.into(),
        };
        Refusal::denied(reason, error.to_string()).hint("log in again with `cmdop login`")
    }
}
