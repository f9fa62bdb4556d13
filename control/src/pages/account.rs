//! `/account`: what a person keeps for themselves: password, second factor, recovery codes, and where they are logged in.

pub(super) mod password;

use axum::extract::rejection::FormRejection;
use axum::extract::{Extension, Form, State};
use axum::response::Response;
use cmdop_service::serve::Peer;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::code::{self, WRONG};
use super::destination::Destination;
use super::enrol::{self, Place};
use super::failure::Failure;
use super::html::{escape, hidden, page, problem, redirect};
use super::login;
use super::visitor::{STALE, UNREADABLE, Visitor, failed, slow, visitor};
use crate::plane::{ControlPlane, Shared};
use crate::second_factor::{recovery_codes, recovery_hash};
use crate::store::{self, OpenLogin, SecondFactor};

/// What any form of the page sends.
#[derive(Default, Deserialize)]
pub(super) struct Submitted {
    csrf: Option<String>,
    step: Option<String>,
    code: Option<String>,
    password: Option<String>,
    new_password: Option<String>,
    login: Option<String>,
}

/// The page.
pub(super) async fn show(State(plane): State<Shared>, headers: HeaderMap) -> Response {
    match visitor(&plane, &headers).await {
        Ok(Some(visitor)) => overview(&plane, &visitor, StatusCode::OK, "").await,
        Ok(None) => redirect(&Destination::Account.through("/login")),
        Err(error) => failed(&error),
    }
}

/// `POST /account/second-factor`: propose one, prove it, take it away, or make new recovery codes.
pub(super) async fn second_factor(
    State(plane): State<Shared>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    submitted: Result<Form<Submitted>, FormRejection>,
) -> Response {
    let (visitor, form) = match own(&plane, &headers, submitted).await {
        Ok(own) => own,
        Err(answer) => return *answer,
    };
    let code = form.code.as_deref().unwrap_or_default();
    match form.step.as_deref() {
        Some("propose") => enrol::propose(&plane, &visitor, Place::Account).await,
        Some("confirm") => {
            let confirmed = enrol::confirm(&plane, &visitor, peer, code, Place::Account);
            match confirmed.await {
                Ok(codes) => enrol::show_codes(&codes, &Destination::Account),
                Err(answer) => *answer,
            }
        }
        Some("recovery-codes") => new_codes(&plane, &visitor, peer, code).await,
        Some("disable") => {
            let password = form.password.as_deref().unwrap_or_default();
            disable(&plane, &visitor, peer, password, code).await
        }
        _ => overview(&plane, &visitor, StatusCode::BAD_REQUEST, UNREADABLE).await,
    }
}

/// `POST /account/logins`: end one.
pub(super) async fn end_login(
    State(plane): State<Shared>,
    headers: HeaderMap,
    submitted: Result<Form<Submitted>, FormRejection>,
) -> Response {
    let (visitor, form) = match own(&plane, &headers, submitted).await {
        Ok(own) => own,
        Err(answer) => return *answer,
    };
    let Some(Ok(login)) = form.login.as_deref().map(str::parse) else {
        return overview(&plane, &visitor, StatusCode::BAD_REQUEST, UNREADABLE).await;
    };
    let workspace = visitor.workspace(&plane);
    let now_ms = plane.clock.now_ms();
    match workspace
        .end_own_login(visitor.account.id, login, now_ms)
        .await
    {
        Ok(true) => redirect("/account"),
        Ok(false) => {
            let gone = "That login has ended already.";
            overview(&plane, &visitor, StatusCode::NOT_FOUND, gone).await
        }
        Err(error) => failed(&error),
    }
}

/// `POST /logout`: this browser leaves.
pub(super) async fn leave(
    State(plane): State<Shared>,
    headers: HeaderMap,
    submitted: Result<Form<Submitted>, FormRejection>,
) -> Response {
    match own(&plane, &headers, submitted).await {
        Ok((visitor, _)) => {
            plane.page_logins.log_out(&visitor.browser);
            page(
                StatusCode::OK,
                "Logged out",
                "<p>You can close this page.</p>\n",
            )
        }
        Err(answer) => *answer,
    }
}

/// Who sent one of our forms, and what is in it.
async fn own(
    plane: &ControlPlane,
    headers: &HeaderMap,
    submitted: Result<Form<Submitted>, FormRejection>,
) -> Result<(Visitor, Submitted), Box<Response>> {
    let visitor = match visitor(plane, headers).await {
        Ok(Some(visitor)) => visitor,
        Ok(None) => return Err(Box::new(redirect(&Destination::Account.through("/login")))),
        Err(error) => return Err(Box::new(failed(&error))),
    };
    let Ok(Form(form)) = submitted else {
        let status = StatusCode::BAD_REQUEST;
        return Err(Box::new(
            overview(plane, &visitor, status, UNREADABLE).await,
        ));
    };
    if !visitor.is_own_form(plane, form.csrf.as_deref()) {
        let status = StatusCode::FORBIDDEN;
        return Err(Box::new(overview(plane, &visitor, status, STALE).await));
    }
    Ok((visitor, form))
}

async fn new_codes(plane: &ControlPlane, visitor: &Visitor, peer: Peer, code: &str) -> Response {
    if let Err(failure) = code::check(plane, visitor, peer, code).await {
        return refused(plane, visitor, failure, WRONG).await;
    }
    let (codes, account) = (recovery_codes(), visitor.account.id);
    let hashes: Vec<_> = codes
        .iter()
        .filter_map(|code| recovery_hash(account, code))
        .collect();
    let workspace = visitor.workspace(plane);
    let replaced = workspace.replace_recovery_codes(account, &hashes, plane.clock.now_ms());
    match replaced.await {
        Ok(()) => enrol::show_codes(&codes, &Destination::Account),
        Err(error) => failed(&error),
    }
}

/// Takes the second factor away: by who knows the password and has a code, so that an open browser is not enough.
/// Afterwards this account is logged in on no page: where one is required, the way in begins with another.
async fn disable(
    plane: &ControlPlane,
    visitor: &Visitor,
    peer: Peer,
    password: &str,
    code: &str,
) -> Response {
    if let Err(failure) = login::check(plane, peer, &visitor.account.name, password).await {
        let wrong = "That password is not right.";
        return refused(plane, visitor, failure, wrong).await;
    }
    if let Err(failure) = code::check(plane, visitor, peer, code).await {
        return refused(plane, visitor, failure, WRONG).await;
    }
    let workspace = visitor.workspace(plane);
    let dropped = workspace.drop_second_factor(visitor.account.id, plane.clock.now_ms());
    if let Err(error) = dropped.await {
        return failed(&error);
    }
    plane.page_logins.log_out_all(visitor.login);
    let done = "<p>Your password alone lets you in now.</p>\n<p><a href=\"/account\">Your account</a></p>\n";
    page(StatusCode::OK, "Second factor turned off", done)
}

async fn refused(
    plane: &ControlPlane,
    visitor: &Visitor,
    failure: Failure,
    wrong: &str,
) -> Response {
    match failure {
        Failure::Wrong => overview(plane, visitor, StatusCode::FORBIDDEN, wrong).await,
        Failure::TooOften(wait) => {
            let status = StatusCode::TOO_MANY_REQUESTS;
            overview(plane, visitor, status, &slow(wait)).await
        }
        Failure::Broken(error) => failed(&error),
    }
}

async fn overview(
    plane: &ControlPlane,
    visitor: &Visitor,
    status: StatusCode,
    complaint: &str,
) -> Response {
    match body(plane, visitor, complaint).await {
        Ok(body) => page(status, "Your account", &body),
        Err(error) => failed(&error),
    }
}

async fn body(
    plane: &ControlPlane,
    visitor: &Visitor,
    complaint: &str,
) -> Result<String, store::Error> {
    let (workspace, account) = (visitor.workspace(plane), &visitor.account);
    let name = workspace.name().await?.unwrap_or_default();
    let factor = workspace.second_factor(account.id).await?;
    let logins = workspace
        .open_logins(account.id, plane.clock.now_ms())
        .await?;
    let csrf = hidden("csrf", &visitor.form_token(plane));
    Ok(format!(
        "{}<p>You are <strong>{}</strong>, {} of <strong>{}</strong>.</p>\n{}{}{}\
         <form method=\"post\" action=\"/logout\">\n{csrf}\
         <button type=\"submit\">Leave this page</button>\n</form>\n",
        problem(complaint),
        escape(&account.name),
        account.role.as_str(),
        escape(&name),
        password::section(visitor, &csrf),
        factor_section(factor.as_ref(), &csrf),
        logins_section(&logins, &csrf),
    ))
}

fn factor_section(factor: Option<&SecondFactor>, csrf: &str) -> String {
    let form = |step: &str, fields: &str, button: &str| {
        format!(
            "<form method=\"post\" action=\"{}\">\n{csrf}{fields}\
             <button type=\"submit\" name=\"step\" value=\"{step}\">{button}</button>\n</form>\n",
            enrol::ACCOUNT_PAGE
        )
    };
    let Some(factor) = factor.filter(|factor| factor.confirmed_at_ms.is_some()) else {
        let set_up = form("propose", "", "Set up a second factor");
        return format!(
            "<h2>Second factor</h2>\n<p>Your password alone lets you in.</p>\n{set_up}"
        );
    };
    let field = |id: &str, label: &str, rest: &str| {
        let name = id.split('-').next_back().unwrap_or(id);
        format!(
            "<label for=\"{id}\">{label}</label>\n<input id=\"{id}\" name=\"{name}\" {rest} required>\n"
        )
    };
    let code = "autocomplete=\"one-time-code\" maxlength=\"32\"";
    let password = "type=\"password\" autocomplete=\"current-password\" maxlength=\"1024\"";
    let renew = form(
        "recovery-codes",
        &field("renew-code", "A code of your authenticator", code),
        "New recovery codes",
    );
    let off = form(
        "disable",
        &format!(
            "{}{}",
            field("off-password", "Your password", password),
            field(
                "off-code",
                "A code of your authenticator, or a recovery code",
                code
            ),
        ),
        "Turn off the second factor",
    );
    format!(
        "<h2>Second factor</h2>\n<p>It is on. {} recovery codes are left.</p>\n\
         <details>\n<summary>New recovery codes</summary>\n{renew}</details>\n\
         <details>\n<summary>Turn off</summary>\n{off}</details>\n",
        factor.codes_left
    )
}

fn logins_section(logins: &[OpenLogin], csrf: &str) -> String {
    if logins.is_empty() {
        return "<h2>Logins</h2>\n<p>You are logged in nowhere else.</p>\n".into();
    }
    let rows: String = logins.iter().map(|login| row(login, csrf)).collect();
    format!(
        "<h2>Logins</h2>\n<table>\n<thead><tr><th scope=\"col\">By</th><th scope=\"col\">Since</th>\
         <th scope=\"col\">Last used</th><td></td></tr></thead>\n<tbody>\n{rows}</tbody>\n</table>\n"
    )
}

fn row(login: &OpenLogin, csrf: &str) -> String {
    let since = shown_time(login.started_at_ms);
    format!(
        "<tr><td>{}</td><td>{since}</td><td>{}</td><td>\
         <form method=\"post\" action=\"/account/logins\">{csrf}{}\
         <button type=\"submit\" aria-label=\"End the login of {since}\">End</button></form></td></tr>\n",
        escape(&login.method),
        shown_time(login.refreshed_at_ms),
        hidden("login", &login.id.to_string()),
    )
}

/// To the minute, in UTC.
fn shown_time(ms: u64) -> String {
    let time = OffsetDateTime::from_unix_timestamp((ms / 60_000 * 60) as i64).ok();
    let text = time.and_then(|time| time.format(&Rfc3339).ok());
    text.unwrap_or_default().replace(":00Z", "Z")
}
