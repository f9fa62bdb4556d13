//! `POST /oauth/revoke` (RFC 7009): a logout. Any token of a login ends the login.

use axum::extract::rejection::FormRejection;
use axum::extract::{Extension, Form, State};
use cmdop_proto::Refusal;
use cmdop_proto::token::CONTROL_AUDIENCE;
use cmdop_service::serve::Peer;
use http::StatusCode;
use serde::Deserialize;

use super::answer::Refused;
use super::token::slow_down;
use crate::plane::{ControlPlane, Shared};
use crate::secret;
use crate::store::Credential;

/// What is to be void.
#[derive(Deserialize)]
pub(super) struct Request {
    token: Option<String>,
}

/// Ends the login of the token. A token that is not known is void already: that is success too.
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
    let door = Credential::RefreshToken(&hash);
    if let Some(workspace) = plane.store.workspace_of(door).await? {
        plane
            .store
            .workspace(workspace)
            .log_out(&hash, now_ms)
            .await?;
        return Ok(());
    }
    let now = plane.clock.now_s();
    if let Ok(claims) = plane
        .signer
        .keys()
        .public()
        .verify(token, CONTROL_AUDIENCE, now)
        && let Some(login) = claims.sid
    {
        plane
            .store
            .workspace(claims.wid)
            .end_login(login, now_ms)
            .await?;
    }
    Ok(())
}
