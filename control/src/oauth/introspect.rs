//! `POST /oauth/introspect` (RFC 7662): whether a token is good, and for what, told to who shows one of its own.
//!
//! A relay may ask about every token; an account, or its key, about those of its own workspace. A token that is
//! unknown, over, revoked or of another workspace is all the same: inactive.

use axum::extract::rejection::FormRejection;
use axum::extract::{Extension, Form, State};
use axum::response::Response;
use cmdop_proto::token::{Bearer, CONTROL_AUDIENCE, Claims};
use cmdop_proto::{Reach, Refusal, WorkspaceId};
use cmdop_service::serve::Peer;
use http::HeaderMap;
use serde::{Deserialize, Serialize};
use tonic::metadata::MetadataMap;

use super::CLIENT;
use super::answer::{Refused, uncached};
use super::token::slow_down;
use crate::api_key;
use crate::plane::{ControlPlane, Shared};
use crate::secret;
use crate::store::Credential;
use crate::tokens::SCOPE;

/// What is asked. `token_type_hint` is not needed: a token shows what it is.
#[derive(Deserialize)]
pub(super) struct Request {
    token: Option<String>,
}

/// RFC 7662, section 2.2; `wid`, `sid`, `bearer`, `role` and `fleets` are ours, as in the token.
#[derive(Debug, Default, Serialize)]
struct Answer {
    active: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exp: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    iat: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nbf: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sub: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    aud: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    iss: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jti: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    wid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bearer: Option<Bearer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(rename = "fleets", skip_serializing_if = "Reach::is_all")]
    machines: Reach,
}

/// Says what a token is.
pub(super) async fn introspect(
    State(plane): State<Shared>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    form: Result<Form<Request>, FormRejection>,
) -> Result<Response, Refused> {
    slow_down(&plane, peer)?;
    let metadata = MetadataMap::from_headers(headers);
    let reach = plane.token_checker(&metadata).await;
    let reach = reach.map_err(|refusal| Refused::new("invalid_token", refusal))?;
    let token = form?.0.token.ok_or_else(|| Refused::missing("token"))?;
    let found = look(&plane, token.trim(), reach).await;
    let answer = found.map_err(|refusal| Refused::new("server_error", refusal))?;
    Ok(uncached(&answer.unwrap_or_default()))
}

/// What `token` is, within `reach`: one workspace, or all.
async fn look(
    plane: &ControlPlane,
    token: &str,
    reach: Option<WorkspaceId>,
) -> Result<Option<Answer>, Refusal> {
    if token.starts_with(api_key::PREFIX) {
        return key(plane, token, reach).await;
    }
    let now = plane.clock.now_s();
    match plane
        .signer
        .keys()
        .public()
        .verify(token, CONTROL_AUDIENCE, now)
    {
        Ok(claims) => access_token(plane, claims, reach).await,
        Err(_) => refresh_token(plane, token, reach).await,
    }
}

fn reaches(reach: Option<WorkspaceId>, workspace: WorkspaceId) -> bool {
    reach.is_none_or(|own| own == workspace)
}

async fn access_token(
    plane: &ControlPlane,
    claims: Claims,
    reach: Option<WorkspaceId>,
) -> Result<Option<Answer>, Refusal> {
    if !reaches(reach, claims.wid) || !plane.stands(&claims).await? {
        return Ok(None);
    }
    let is_login = claims.bearer == Bearer::Account && claims.scope.is_none();
    let scope = claims.scope.map(|scopes| scopes.to_string());
    Ok(Some(Answer {
        active: true,
        scope: Some(scope.unwrap_or_else(|| SCOPE.to_owned())),
        client_id: is_login.then_some(CLIENT),
        username: Some(claims.name),
        token_type: Some("Bearer"),
        exp: Some(claims.exp),
        iat: Some(claims.iat),
        nbf: Some(claims.nbf),
        sub: Some(claims.sub),
        aud: claims.aud,
        iss: Some(claims.iss),
        jti: Some(claims.jti),
        wid: Some(claims.wid.to_string()),
        sid: claims.sid.map(|login| login.to_string()),
        bearer: Some(claims.bearer),
        role: claims.role.map(cmdop_proto::token::Role::as_str),
        machines: claims.reach,
    }))
}

async fn refresh_token(
    plane: &ControlPlane,
    token: &str,
    reach: Option<WorkspaceId>,
) -> Result<Option<Answer>, Refusal> {
    let hash = secret::hash(token);
    let door = Credential::RefreshToken(&hash);
    let Some(workspace) = plane.store.workspace_of(door).await? else {
        return Ok(None);
    };
    if !reaches(reach, workspace) {
        return Ok(None);
    }
    let handle = plane.store.workspace(workspace);
    let found = handle
        .live_refresh_token(&hash, plane.clock.now_ms())
        .await?;
    let Some(live) = found else {
        return Ok(None);
    };
    let standing = handle.standing(live.account.id, live.login).await?;
    Ok(standing.map(|standing| Answer {
        active: true,
        scope: Some(SCOPE.to_owned()),
        client_id: Some(CLIENT),
        username: Some(live.account.name),
        exp: Some((live.expires_at_ms / 1000) as i64),
        sub: Some(live.account.id.to_string()),
        iss: Some(plane.issuer.clone()),
        wid: Some(workspace.to_string()),
        sid: Some(live.login.to_string()),
        bearer: Some(Bearer::Account),
        role: Some(standing.role.as_str()),
        machines: standing.reach,
        ..Answer::default()
    }))
}

async fn key(
    plane: &ControlPlane,
    presented: &str,
    reach: Option<WorkspaceId>,
) -> Result<Option<Answer>, Refusal> {
    let hash = secret::hash(presented);
    let door = Credential::ApiKey(&hash);
    let Some(workspace) = plane.store.workspace_of(door).await? else {
        return Ok(None);
    };
    if !reaches(reach, workspace) {
        return Ok(None);
    }
    let handle = plane.store.workspace(workspace);
    let (key, account) = match handle.good_key(&hash, plane.clock.now_ms()).await {
        Ok(good) => good,
        Err(crate::store::KeyError::Store(error)) => return Err(error.into()),
        Err(_) => return Ok(None),
    };
    let standing = handle.standing(account.id, key.id).await?;
    Ok(standing.map(|standing| Answer {
        active: true,
        scope: Some(key.scopes.to_string()),
        username: Some(account.name),
        token_type: Some("Bearer"),
        exp: key.expires_at_ms.map(|end| (end / 1000) as i64),
        iat: Some((key.created_at_ms / 1000) as i64),
        sub: Some(account.id.to_string()),
        iss: Some(plane.issuer.clone()),
        wid: Some(workspace.to_string()),
        sid: Some(key.id.to_string()),
        bearer: Some(Bearer::Account),
        role: Some(standing.role.as_str()),
        machines: standing.reach,
        ..Answer::default()
    }))
}
