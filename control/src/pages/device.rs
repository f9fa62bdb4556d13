//! `/device` (RFC 8628, section 3.3): a person who is logged in types the code, sees what asks, and
//! says yes or no.

use axum::extract::rejection::FormRejection;
use axum::extract::{Form, Query, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use tokio::time::Instant;

use super::html::{escape, hidden, page, problem, redirect};
use super::login::login_page;
use super::session::{Browser, PageLogin};
use crate::plane::{ControlPlane, Shared};
use crate::secret;
use crate::store::{self, Account, DeviceState};
use crate::throttle::USER_CODE;

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

/// A person who is logged in, in their browser.
struct Visitor {
    browser: Browser,
    login: PageLogin,
    account: Account,
}

/// The form for the code; or, with a code in the address, the question.
pub(super) async fn show(
    State(plane): State<Shared>,
    headers: HeaderMap,
    Query(wanted): Query<Wanted>,
) -> Response {
    let code = wanted.user_code.unwrap_or_default();
    match visitor(&plane, &headers).await {
        Ok(Some(visitor)) if code.is_empty() => enter_code(&plane, &visitor, StatusCode::OK, ""),
        Ok(Some(visitor)) => ask(&plane, &visitor, &code).await,
        Ok(None) => redirect(&login_page(&code)),
        Err(error) => failed(&error),
    }
}

/// One of the two forms comes back.
pub(super) async fn submit(
    State(plane): State<Shared>,
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
        Ok(None) => return redirect(&login_page(&code)),
        Err(error) => return failed(&error),
    };
    let Ok(submitted) = submitted else {
        let unreadable = "The form could not be read.";
        return enter_code(&plane, &visitor, StatusCode::BAD_REQUEST, unreadable);
    };
    let token = submitted.csrf.unwrap_or_default();
    if !plane.page_logins.is_own_form(&visitor.browser, &token) {
        let stale = "This form is too old, or did not come from here. Please try again.";
        return enter_code(&plane, &visitor, StatusCode::FORBIDDEN, stale);
    }
    match submitted.decision.as_deref() {
        None => ask(&plane, &visitor, &code).await,
        Some("approve") => decide(&plane, &visitor, &code, DeviceState::Approved).await,
        Some("deny") => decide(&plane, &visitor, &code, DeviceState::Denied).await,
        Some(_) => {
            let odd = "Please choose one of the two buttons.";
            enter_code(&plane, &visitor, StatusCode::BAD_REQUEST, odd)
        }
    }
}

/// Who is there; an account that was disabled meanwhile is nobody.
async fn visitor(
    plane: &ControlPlane,
    headers: &HeaderMap,
) -> Result<Option<Visitor>, store::Error> {
    let Some(browser) = Browser::of(headers) else {
        return Ok(None);
    };
    let Some(login) = plane.page_logins.login_of(&browser, plane.clock.now_ms()) else {
        return Ok(None);
    };
    let workspace = plane.store.workspace(login.workspace);
    let account = workspace.account(login.account).await?;
    Ok(account
        .filter(|account| !account.is_disabled)
        .map(|account| Visitor {
            browser,
            login,
            account,
        }))
}

/// The hash of a code that waits, after the throttle; or the page that says why not.
async fn find(
    plane: &ControlPlane,
    visitor: &Visitor,
    typed: &str,
) -> Result<(String, String, store::DeviceCode), Response> {
    let key = format!("user-code/{}", visitor.account.id);
    if let Err(wait) = plane.throttle.take(key.clone(), USER_CODE, Instant::now()) {
        let slow = format!(
            "Too many attempts. Please wait {} s and try again.",
            wait.as_secs() + 1
        );
        return Err(enter_code(
            plane,
            visitor,
            StatusCode::TOO_MANY_REQUESTS,
            &slow,
        ));
    }
    let unknown = "There is no login with this code, or its ten minutes are over. \
                   Check it, or start again in the terminal.";
    let refuse = || enter_code(plane, visitor, StatusCode::NOT_FOUND, unknown);
    let code = secret::read_user_code(typed).ok_or_else(refuse)?;
    let hash = secret::hash(&code);
    let now_ms = plane.clock.now_ms();
    match plane.store.pending_device_code(&hash, now_ms).await {
        Ok(Some(device)) => {
            plane.throttle.give_back(&key);
            Ok((code, hash, device))
        }
        Ok(None) => Err(refuse()),
        Err(error) => Err(failed(&error)),
    }
}

async fn ask(plane: &ControlPlane, visitor: &Visitor, typed: &str) -> Response {
    let (code, _, device) = match find(plane, visitor, typed).await {
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
        hidden("csrf", &plane.page_logins.form_token(&visitor.browser)),
        hidden("user_code", &shown),
    );
    page(StatusCode::OK, "Approve this login?", &body)
}

async fn decide(
    plane: &ControlPlane,
    visitor: &Visitor,
    typed: &str,
    decision: DeviceState,
) -> Response {
    let hash = match find(plane, visitor, typed).await {
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
        hidden("csrf", &plane.page_logins.form_token(&visitor.browser)),
    );
    page(status, "Log in a device", &body)
}

fn failed(error: &store::Error) -> Response {
    tracing::error!(%error, "the database failed");
    let body = problem("Something went wrong on the server; its log has the cause.");
    page(StatusCode::INTERNAL_SERVER_ERROR, "Not done", &body)
}
