//! `/login`: name and password.

use axum::extract::rejection::FormRejection;
use axum::extract::{Extension, Form, Query, State};
use axum::response::Response;
use cmdop_service::serve::Peer;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use tokio::time::Instant;

use super::html::{hidden, page, problem, redirect, with_cookie};
use super::session::{Browser, PageLogin};
use crate::plane::{ControlPlane, Shared};
use crate::store::{Event, Known, Outcome};
use crate::throttle::{PASSWORD, PASSWORD_OF_ACCOUNT, PASSWORD_OF_PEER, neighbourhood};
use crate::{names, secret, store};

/// The same for a name that does not exist, a wrong password, and an account without one: who
/// guesses learns nothing.
const WRONG: &str = "That name and password do not belong together. An administrator sets a \
                     password with: cmdop-control admin set-password NAME --password-stdin";

/// Where to go afterwards.
#[derive(Deserialize)]
pub(super) struct Wanted {
    user_code: Option<String>,
}

/// What the form sends.
#[derive(Deserialize)]
pub(super) struct Submitted {
    csrf: Option<String>,
    name: Option<String>,
    password: Option<String>,
    user_code: Option<String>,
}

/// The form.
pub(super) async fn show(
    State(plane): State<Shared>,
    headers: HeaderMap,
    Query(wanted): Query<Wanted>,
) -> Response {
    let code = wanted.user_code.unwrap_or_default();
    form(&plane, &headers, StatusCode::OK, &code, "")
}

/// The form comes back.
pub(super) async fn submit(
    State(plane): State<Shared>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    submitted: Result<Form<Submitted>, FormRejection>,
) -> Response {
    let Ok(Form(submitted)) = submitted else {
        return form(
            &plane,
            &headers,
            StatusCode::BAD_REQUEST,
            "",
            "The form could not be read.",
        );
    };
    let code = submitted.user_code.unwrap_or_default();
    let token = submitted.csrf.unwrap_or_default();
    if !Browser::of(&headers).is_some_and(|browser| plane.page_logins.is_own_form(&browser, &token))
    {
        let stale = "This form is too old, or did not come from here. Please try again.";
        return form(&plane, &headers, StatusCode::FORBIDDEN, &code, stale);
    }
    let name = submitted.name.unwrap_or_default();
    let password = submitted.password.unwrap_or_default();
    match check(&plane, peer, name.trim(), &password).await {
        Ok(login) => {
            let browser = plane.page_logins.log_in(login, plane.clock.now_ms());
            with_cookie(redirect(&device_page(&code)), &browser)
        }
        Err(Failure::Wrong) => form(&plane, &headers, StatusCode::FORBIDDEN, &code, WRONG),
        Err(Failure::TooOften(wait)) => {
            let slow = format!("Too many attempts. Please wait {wait} s and try again.");
            form(
                &plane,
                &headers,
                StatusCode::TOO_MANY_REQUESTS,
                &code,
                &slow,
            )
        }
        Err(Failure::Store(error)) => {
            tracing::error!(%error, "the database failed");
            let ours = "Something went wrong on the server; its log has the cause.";
            form(
                &plane,
                &headers,
                StatusCode::INTERNAL_SERVER_ERROR,
                &code,
                ours,
            )
        }
    }
}

enum Failure {
    Wrong,
    TooOften(u64),
    Store(store::Error),
}

impl From<store::Error> for Failure {
    fn from(error: store::Error) -> Self {
        Self::Store(error)
    }
}

async fn check(
    plane: &ControlPlane,
    peer: Peer,
    name: &str,
    password: &str,
) -> Result<PageLogin, Failure> {
    if !names::is_account(name) {
        return Err(Failure::Wrong);
    }
    let from = neighbourhood(peer.0.ip());
    let key = name.to_lowercase();
    let tries = [
        (format!("password/{key}/{from}"), PASSWORD),
        (format!("password/{key}"), PASSWORD_OF_ACCOUNT),
        (format!("password//{from}"), PASSWORD_OF_PEER),
    ];
    let now = Instant::now();
    for (bucket, rule) in &tries {
        let taken = plane.throttle.take(bucket.clone(), *rule, now);
        taken.map_err(|wait| Failure::TooOften(wait.as_secs() + 1))?;
    }
    let known = plane.store.account_named(name).await?;
    let (hash, is_disabled) = match known {
        Some(known) => {
            let workspace = plane.store.workspace(known.workspace);
            let account = workspace.account(known.account).await?;
            let is_disabled = account.is_none_or(|account| account.is_disabled);
            (workspace.password_hash(known.account).await?, is_disabled)
        }
        None => (None, true),
    };
    let is_right = plane.passwords.is_right(password, hash).await;
    match known {
        Some(known) if is_right && !is_disabled => {
            for (bucket, _) in &tries {
                plane.throttle.give_back(bucket);
            }
            record(plane, known, peer, Outcome::Allowed).await?;
            tracing::info!(account = name, "logged in on the page");
            Ok(PageLogin {
                workspace: known.workspace,
                account: known.account,
            })
        }
        _ => {
            if let Some(known) = known {
                record(plane, known, peer, Outcome::Failed).await?;
            }
            tracing::info!(peer = %peer.0.ip(), "a login on the page failed");
            Err(Failure::Wrong)
        }
    }
}

/// Who tries often waits long, so that this cannot fill the log either.
async fn record(
    plane: &ControlPlane,
    known: Known,
    peer: Peer,
    outcome: Outcome,
) -> Result<(), store::Error> {
    let from = peer.0.ip().to_canonical().to_string();
    let event = Event::new("page-login", known.account.to_string())
        .outcome(outcome)
        .detail("from", from);
    let workspace = plane.store.workspace(known.workspace);
    workspace.note(event, plane.clock.now_ms()).await
}

/// The page that comes after the login; only a code that can be one travels on.
fn device_page(code: &str) -> String {
    match secret::read_user_code(code) {
        Some(code) => format!("/device?user_code={}", secret::shown_user_code(&code)),
        None => "/device".into(),
    }
}

/// The page to log in on before the device page.
pub(super) fn login_page(code: &str) -> String {
    device_page(code).replacen("/device", "/login", 1)
}

fn form(
    plane: &ControlPlane,
    headers: &HeaderMap,
    status: StatusCode,
    code: &str,
    complaint: &str,
) -> Response {
    let browser = Browser::of(headers).unwrap_or_else(Browser::new);
    let complaint = problem(complaint);
    let body = format!(
        "{complaint}<form method=\"post\" action=\"/login\">\n{}{}\
         <label for=\"name\">Account</label>\n\
         <input id=\"name\" name=\"name\" autocomplete=\"username\" autocapitalize=\"none\" \
         maxlength=\"64\" required autofocus>\n\
         <label for=\"password\">Password</label>\n\
         <input id=\"password\" name=\"password\" type=\"password\" \
         autocomplete=\"current-password\" maxlength=\"1024\" required>\n\
         <button type=\"submit\">Log in</button>\n</form>\n",
        hidden("csrf", &plane.page_logins.form_token(&browser)),
        hidden("user_code", &cmdop_proto::text::shown(code, 32)),
    );
    with_cookie(page(status, "Log in", &body), &browser)
}
