//! `POST /oauth/revoke` (RFC 7009): a logout. Any token of a login ends the login, an API key itself; any other token is
//! void by itself.

use axum::extract::rejection::FormRejection;
use axum::extract::{Extension, Form, State};
use cmdop_proto::Refusal;
use cmdop_proto::token::{Bearer, CONTROL_AUDIENCE};
use cmdop_service::serve::Peer;
use http::StatusCode;
use serde::Deserialize;
use tokio::time::Instant;

use super::answer::Refused;
use super::token::slow_down;
use crate::plane::{ControlPlane, Shared};
use crate::store::{Actor, Credential};
use crate::throttle::SINGLE_TOKENS;
use crate::{api_key, secret};

/// What is to be void.
#[derive(Deserialize)]
pub(super) struct Request {
    token: Option<String>,
}

/// Makes it void. A token that is not known is void already: that is success too.
pub(super) async fn revoke(
    State(plane): State<Shared>,
    Extension(peer): Extension<Peer>,
    form: Result<Form<Request>, FormRejection>,
) -> Result<StatusCode, Refused> {
    slow_down(&plane, peer)?;
    let token = form?.0.token.ok_or_else(|| Refused::missing("token"))?;
    end(&plane, &token)
        .await
        .map_err(|refusal| Refused::new("server_error", refusal))?;
    Ok(StatusCode::OK)
}

async fn end(plane: &ControlPlane, token: &str) -> Result<(), Refusal> {
    let (hash, now_ms) = (secret::hash(token), plane.clock.now_ms());
    if token.starts_with(api_key::PREFIX) {
        if let Some(workspace) = plane.store.workspace_of(Credential::ApiKey(&hash)).await? {
            let handle = plane.store.workspace(workspace);
            handle.revoke_presented_key(&hash, now_ms).await?;
        }
        return Ok(());
    }
    let door = Credential::RefreshToken(&hash);
    if let Some(workspace) = plane.store.workspace_of(door).await? {
        let handle = plane.store.workspace(workspace);
        handle.log_out(&hash, now_ms).await?;
        return Ok(());
    }
    let keys = plane.signer.keys();
    let read = keys
        .public()
        .verify(token, CONTROL_AUDIENCE, plane.clock.now_s());
    let Ok(claims) = read else {
        return Ok(());
    };
    // One that is void already is not announced again.
    if !plane.stands(&claims).await? {
        return Ok(());
    }
    let kind = match claims.bearer {
        Bearer::Account => "account",
        Bearer::Machine => "machine",
        Bearer::Relay => "relay",
    };
    let itself = Actor::new(kind, &claims.sub, &claims.name);
    let handle = plane.store.workspace(claims.wid).by(itself);
    match claims.sid {
        Some(login) if claims.bearer == Bearer::Account && claims.scope.is_none() => {
            handle.end_login(login, now_ms).await?;
        }
        // Of a key, a schedule, a machine, a relay: what it came from is not what was shown.
        _ => {
            let of = claims.sid.map_or(claims.sub, |sid| sid.to_string());
            let bucket = format!("revoke/{of}");
            let taken = plane.throttle.take(bucket, SINGLE_TOKENS, Instant::now());
            taken.map_err(|wait| {
                Refusal::exhausted(
                    "busy",
                    "too many tokens of this account were revoked one by one",
                )
                .hint(format!("wait {} s, or revoke the key", wait.as_secs() + 1))
            })?;
            let end_ms = claims.exp.max(0) as u64 * 1000;
            handle.revoke_token(&claims.jti, end_ms, now_ms).await?;
        }
    }
    Ok(())
}
