//! `/invitation`: somebody who was invited chooses a name and a password, and has an account.

use axum::extract::rejection::FormRejection;
use axum::extract::{Extension, Form, Query, State};
use axum::response::Response;
use cmdop_proto::Refusal;
use cmdop_service::serve::Peer;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use tokio::time::Instant;

use super::html::{escape, hidden, page, problem, with_cookie};
use super::session::Browser;
use super::visitor::{STALE, UNREADABLE, slow};
use crate::permission::may_invite;
use crate::plane::{ControlPlane, Shared};
use crate::store::{AcceptError, AddAccountError, Credential, Invitation};
use crate::strikes::INVITATION;
use crate::throttle::{PASSWORD_OF_PEER, neighbourhood};
use crate::{names, secret};

/// The same for one that never was, was used, was revoked, is over, or whose inviter may not invite any
/// more: who guesses learns nothing.
const NOT_OPEN: &str = "This invitation is not open: it was used or taken back already, or its time is over. \
                        Please ask for another one.";

/// The link.
#[derive(Deserialize)]
pub(super) struct Link {
    token: Option<String>,
}

/// What the form sends.
#[derive(Deserialize)]
pub(super) struct Submitted {
    csrf: Option<String>,
    token: Option<String>,
    name: Option<String>,
    password: Option<String>,
}

/// An invitation that is open, and where.
struct Open {
    hash: String,
    workspace: cmdop_proto::WorkspaceId,
    workspace_name: String,
    invitation: Invitation,
}

/// The form.
pub(super) async fn show(
    State(plane): State<Shared>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    Query(link): Query<Link>,
) -> Response {
    let token = link.token.unwrap_or_default();
    match open(&plane, peer, &token).await {
        Ok(open) => form(&plane, &headers, StatusCode::OK, &open, &token, ""),
        Err(answer) => *answer,
    }
}

/// The form comes back.
pub(super) async fn submit(
    State(plane): State<Shared>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    submitted: Result<Form<Submitted>, FormRejection>,
) -> Response {
    let Ok(Form(submitted)) = submitted else {
        return closed(StatusCode::BAD_REQUEST, UNREADABLE);
    };
    let token = submitted.token.unwrap_or_default();
    let open = match open(&plane, peer, &token).await {
        Ok(open) => open,
        Err(answer) => return *answer,
    };
    let again = |status, complaint: &str| form(&plane, &headers, status, &open, &token, complaint);
    let csrf = submitted.csrf.unwrap_or_default();
    if !Browser::of(&headers).is_some_and(|browser| plane.page_logins.is_own_form(&browser, &csrf))
    {
        return again(StatusCode::FORBIDDEN, STALE);
    }
    let name = submitted.name.unwrap_or_default();
    let password = submitted.password.unwrap_or_default();
    match join(&plane, &open, name.trim(), password).await {
        Ok(()) => joined(&plane, &open, name.trim()),
        Err(refusal) => {
            let sentence = format!("{}. {}", refusal.message, refusal.hint);
            again(StatusCode::BAD_REQUEST, sentence.trim())
        }
    }
}

async fn open(plane: &ControlPlane, peer: Peer, token: &str) -> Result<Open, Box<Response>> {
    let from = neighbourhood(peer.0.ip());
    let (who, now) = (format!("invitation/{from}"), Instant::now());
    let taken = plane.throttle.take(who.clone(), PASSWORD_OF_PEER, now);
    if let Some(wait) = taken.err().or_else(|| plane.strikes.wait(&who, now)) {
        let status = StatusCode::TOO_MANY_REQUESTS;
        return Err(Box::new(closed(status, &slow(wait))));
    }
    match find(plane, token).await {
        Ok(Some(open)) => Ok(open),
        Ok(None) => {
            plane.strikes.strike(who, INVITATION, now);
            Err(Box::new(closed(StatusCode::NOT_FOUND, NOT_OPEN)))
        }
        Err(error) => {
            tracing::error!(%error, "the database failed");
            let ours = "Something went wrong on the server; its log has the cause.";
            Err(Box::new(closed(StatusCode::INTERNAL_SERVER_ERROR, ours)))
        }
    }
}

async fn find(plane: &ControlPlane, token: &str) -> Result<Option<Open>, crate::store::Error> {
    let hash = secret::hash(token.trim());
    let door = Credential::Invitation(&hash);
    let Some(id) = plane.store.workspace_of(door).await? else {
        return Ok(None);
    };
    let workspace = plane.store.workspace(id);
    let now_ms = plane.clock.now_ms();
    let invitation = workspace.invitation(&hash).await?;
    let Some(invitation) = invitation.filter(|found| now_ms < found.expires_at_ms) else {
        return Ok(None);
    };
    Ok(Some(Open {
        workspace: id,
        workspace_name: workspace.name().await?.unwrap_or_default(),
        hash,
        invitation,
    }))
}

async fn join(
    plane: &ControlPlane,
    open: &Open,
    name: &str,
    password: String,
) -> Result<(), Refusal> {
    let name = names::account(name)?;
    let hashed = plane.passwords.hash(password).await?;
    let workspace = plane.store.workspace(open.workspace);
    let now_ms = plane.clock.now_ms();
    let joined = workspace
        .accept_invitation(&open.hash, name, &hashed, may_invite, now_ms)
        .await;
    match joined {
        Ok(_) => Ok(()),
        Err(AcceptError::Unknown | AcceptError::Expired) => {
            Err(Refusal::denied("invitation-unknown", NOT_OPEN))
        }
        Err(AcceptError::Account(AddAccountError::NameTaken { .. })) => {
            let taken = "That name is taken";
            Err(Refusal::invalid("name-taken", taken).hint("Please choose another."))
        }
        Err(AcceptError::Account(AddAccountError::Store(error))) => Err(error.into()),
    }
}

fn joined(plane: &ControlPlane, open: &Open, name: &str) -> Response {
    let body = format!(
        "<p>Welcome, {}. You belong to <strong>{}</strong> as {}.</p>\n\
         <p>Log in on your computer:</p>\n<p><code>cmdop login {}</code></p>\n",
        escape(name),
        escape(&open.workspace_name),
        open.invitation.role.as_str(),
        escape(&plane.issuer),
    );
    page(StatusCode::OK, "You are in", &body)
}

fn closed(status: StatusCode, complaint: &str) -> Response {
    page(status, "Invitation", &problem(complaint))
}

fn form(
    plane: &ControlPlane,
    headers: &HeaderMap,
    status: StatusCode,
    open: &Open,
    token: &str,
    complaint: &str,
) -> Response {
    let browser = Browser::of(headers).unwrap_or_else(Browser::new);
    let complaint = problem(complaint);
    let body = format!(
        "{complaint}<p>{} invites you to <strong>{}</strong> as {}.</p>\n\
         <form method=\"post\" action=\"/invitation\">\n{}{}\
         <label for=\"name\">Choose a name</label>\n\
         <input id=\"name\" name=\"name\" autocomplete=\"username\" autocapitalize=\"none\" \
         maxlength=\"64\" required autofocus>\n\
         <label for=\"password\">Choose a password, at least 8 characters</label>\n\
         <input id=\"password\" name=\"password\" type=\"password\" \
         autocomplete=\"new-password\" minlength=\"8\" maxlength=\"1024\" required>\n\
         <button type=\"submit\">Join</button>\n</form>\n",
        escape(&open.invitation.invited_by),
        escape(&open.workspace_name),
        open.invitation.role.as_str(),
        hidden("csrf", &plane.page_logins.form_token(&browser)),
        hidden("token", &cmdop_proto::text::shown(token, 256)),
    );
    with_cookie(page(status, "Invitation", &body), &browser)
}
