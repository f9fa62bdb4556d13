//! `/device` (RFC 8628, section 3.3): a person who is logged in types the code, sees what asks, and
//! says yes or no.

use axum::extract::rejection::FormRejection;
use axum::extract::{Extension, Form, Query, State};
use axum::response::Response;
use cmdop_service::serve::Peer;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;

use super::destination::Destination;
use super::html::{escape, hidden, page, problem, redirect};
use super::visitor::{STALE, UNREADABLE, Visitor, failed, slow, visitor};
use crate::guesses::Guessable;
use crate::plane::{ControlPlane, Shared};
use crate::secret;
use crate::store::{self, DeviceState};

/// A code in the address, as the terminal shows it.
#[derive(Deserialize)]
pub(super) struct Wanted {
    user_code: Option<String>,
}

/// What the forms send; without a decision it is the first of the two.
#[derive(Deserialize)]
pub(super) struct Submitted {
    csrf: Option<String>,
    user_code: Option<String>,
    decision: Option<String>,
}

/// The form for the code; or, with a code in the address, the question.
pub(super) async fn show(
    State(plane): State<Shared>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    Query(wanted): Query<Wanted>,
) -> Response {
    let code = wanted.user_code.unwrap_or_default();
    match visitor(&plane, &headers).await {
        Ok(Some(visitor)) if code.is_empty() => enter_code(&plane, &visitor, StatusCode::OK, ""),
        Ok(Some(visitor)) => ask(&plane, &visitor, peer, &code).await,
        Ok(None) => redirect(&Destination::read(&code, "").through("/login")),
        Err(error) => failed(&error),
    }
}

/// One of the two forms comes back.
pub(super) async fn submit(
    State(plane): State<Shared>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    submitted: Result<Form<Submitted>, FormRejection>,
) -> Response {
    let submitted = submitted.map(|Form(submitted)| submitted);
    let code = submitted
        .as_ref()
        .ok()
        .and_then(|form| form.user_code.clone())
        .unwrap_or_default();
    let visitor = match visitor(&plane, &headers).await {
        Ok(Some(visitor)) => visitor,
        Ok(None) => return redirect(&Destination::read(&code, "").through("/login")),
        Err(error) => return failed(&error),
    };
    let Ok(submitted) = submitted else {
        return enter_code(&plane, &visitor, StatusCode::BAD_REQUEST, UNREADABLE);
    };
    if !visitor.is_own_form(&plane, submitted.csrf.as_deref()) {
        return enter_code(&plane, &visitor, StatusCode::FORBIDDEN, STALE);
    }
    match submitted.decision.as_deref() {
        None => ask(&plane, &visitor, peer, &code).await,
        Some("approve") => decide(&plane, &visitor, peer, &code, DeviceState::Approved).await,
        Some("deny") => decide(&plane, &visitor, peer, &code, DeviceState::Denied).await,
        Some(_) => {
            let odd = "Please choose one of the two buttons.";
            enter_code(&plane, &visitor, StatusCode::BAD_REQUEST, odd)
        }
    }
}

/// The hash of a code that waits, if this account may guess; or the page that says why not.
async fn find(
    plane: &ControlPlane,
    visitor: &Visitor,
    peer: Peer,
    typed: &str,
) -> Result<(String, String, store::DeviceCode), Response> {
    let unknown = "There is no login with this code, or its ten minutes are over. \
                   Check it, or start again in the terminal.";
    let refuse = |status, complaint: &str| enter_code(plane, visitor, status, complaint);
    let guessed = Guessable::UserCode(visitor.account.id);
    match plane.guess(&guessed, peer).await {
        Ok(None) => {}
        Ok(Some(wait)) => return Err(refuse(StatusCode::TOO_MANY_REQUESTS, &slow(wait))),
        Err(error) => return Err(failed(&error)),
    }
    let code = secret::read_user_code(typed);
    let code = code.ok_or_else(|| refuse(StatusCode::NOT_FOUND, unknown))?;
    let hash = secret::hash(&code);
    let now_ms = plane.clock.now_ms();
    let found = plane.store.pending_device_code(&hash, now_ms).await;
    let device = found
        .map_err(|error| failed(&error))?
        .ok_or_else(|| refuse(StatusCode::NOT_FOUND, unknown))?;
    let right = plane.guessed_right(&guessed, peer).await;
    right.map_err(|error| failed(&error))?;
    Ok((code, hash, device))
}

async fn ask(plane: &ControlPlane, visitor: &Visitor, peer: Peer, typed: &str) -> Response {
    let (code, _, device) = match find(plane, visitor, peer, typed).await {
        Ok(found) => found,
        Err(page) => return page,
    };
    let ago = plane.clock.now_ms().saturating_sub(device.created_at_ms) / 1000;
    let shown = secret::shown_user_code(&code);
    let body = format!(
        "<p>The program <strong>{}</strong> at the address {} asked {ago} s ago to act as \
         <strong>{}</strong> ({}).</p>\n\
         <p>Its code is <code>{shown}</code>. Approve only if you started it and it shows this code.</p>\n\
         <form method=\"post\" action=\"/device\">\n{}{}\
         <button type=\"submit\" name=\"decision\" value=\"approve\">Approve</button>\n\
         <button type=\"submit\" name=\"decision\" value=\"deny\">Deny</button>\n</form>\n",
        escape(&device.client),
        escape(&device.peer),
        escape(&visitor.account.name),
        visitor.account.role.as_str(),
        hidden("csrf", &visitor.form_token(plane)),
        hidden("user_code", &shown),
    );
    page(StatusCode::OK, "Approve this login?", &body)
}

async fn decide(
    plane: &ControlPlane,
    visitor: &Visitor,
    peer: Peer,
    typed: &str,
    decision: DeviceState,
) -> Response {
    let hash = match find(plane, visitor, peer, typed).await {
        Ok((_, hash, _)) => hash,
        Err(page) => return page,
    };
    let decided = plane
        .store
        .workspace(visitor.login.workspace)
        .decide_device_code(&hash, visitor.account.id, decision, plane.clock.now_ms())
        .await;
    if matches!(decided, Ok(true)) {
        // This is what the login on the page was for; an open browser is worth nothing afterwards.
        plane.page_logins.log_out(&visitor.browser);
    }
    match decided {
        Ok(true) if decision == DeviceState::Approved => {
            tracing::info!(account = %visitor.account.name, "approved a device");
            page(
                StatusCode::OK,
                "Logged in",
                "<p>The terminal goes on by itself. You can close this page.</p>\n",
            )
        }
        Ok(true) => page(StatusCode::OK, "Refused", "<p>The login was refused.</p>\n"),
        Ok(false) => {
            let late = "Somebody has decided already, or the code has expired.";
            enter_code(plane, visitor, StatusCode::CONFLICT, late)
        }
        Err(error) => failed(&error),
    }
}

fn enter_code(
    plane: &ControlPlane,
    visitor: &Visitor,
    status: StatusCode,
    complaint: &str,
) -> Response {
    let complaint = problem(complaint);
    let body = format!(
        "{complaint}<p>You are logged in as <strong>{}</strong>.</p>\n\
         <form method=\"post\" action=\"/device\">\n{}\
         <label for=\"user_code\">The code that your terminal shows</label>\n\
         <input id=\"user_code\" name=\"user_code\" autocomplete=\"off\" autocapitalize=\"characters\" \
         spellcheck=\"false\" placeholder=\"BCDF-GHJK\" maxlength=\"16\" required autofocus>\n\
         <button type=\"submit\">Continue</button>\n</form>\n",
        escape(&visitor.account.name),
        hidden("csrf", &visitor.form_token(plane)),
    );
    page(status, "Log in a device", &body)
}
