//! `/login`: name and password.

use axum::extract::rejection::FormRejection;
use axum::extract::{Extension, Form, Query, State};
use axum::response::Response;
use cmdop_service::serve::Peer;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use tokio::time::Instant;

use super::destination::{Destination, Wanted};
use super::entry::{self, Way};
use super::external;
use super::failure::Failure;
use super::html::{hidden, page, problem, with_cookie};
use super::session::{Browser, PageLogin};
use super::visitor::{STALE, UNREADABLE, failed, slow};
use crate::guesses::Guessable;
use crate::names;
use crate::plane::{ControlPlane, Shared};
use crate::store::{Known, Outcome};
use crate::throttle::{PASSWORD_OF_PEER, neighbourhood};

/// The same for a name that does not exist, a wrong password, and an account without one: who
/// guesses learns nothing.
const WRONG: &str = "That name and password do not belong together. An administrator sets a \
                     password with: cmdop-control admin set-password NAME --password-stdin";

/// What the form sends.
#[derive(Deserialize)]
pub(super) struct Submitted {
    csrf: Option<String>,
    name: Option<String>,
    password: Option<String>,
    user_code: Option<String>,
    next: Option<String>,
}

/// The form.
pub(super) async fn show(
    State(plane): State<Shared>,
    headers: HeaderMap,
    Query(wanted): Query<Wanted>,
) -> Response {
    form(&plane, &headers, StatusCode::OK, &wanted.into(), "")
}

/// The form comes back.
pub(super) async fn submit(
    State(plane): State<Shared>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    submitted: Result<Form<Submitted>, FormRejection>,
) -> Response {
    let Ok(Form(submitted)) = submitted else {
        let nowhere = Destination::Device(None);
        return form(
            &plane,
            &headers,
            StatusCode::BAD_REQUEST,
            &nowhere,
            UNREADABLE,
        );
    };
    let to = Destination::read(
        submitted.user_code.as_deref().unwrap_or_default(),
        submitted.next.as_deref().unwrap_or_default(),
    );
    let token = submitted.csrf.unwrap_or_default();
    if !Browser::of(&headers).is_some_and(|browser| plane.page_logins.is_own_form(&browser, &token))
    {
        return form(&plane, &headers, StatusCode::FORBIDDEN, &to, STALE);
    }
    let name = submitted.name.unwrap_or_default();
    let password = submitted.password.unwrap_or_default();
    let again = |status, complaint: &str| form(&plane, &headers, status, &to, complaint);
    match check(&plane, peer, name.trim(), &password).await {
        Ok(login) => entry::after_first(&plane, login, peer, Way::Password, &to)
            .await
            .unwrap_or_else(|error| failed(&error)),
        Err(Failure::Wrong) => again(StatusCode::FORBIDDEN, WRONG),
        Err(Failure::TooOften(wait)) => again(StatusCode::TOO_MANY_REQUESTS, &slow(wait)),
        Err(Failure::Broken(error)) => failed(&error),
    }
}

/// Who has this name and password.
pub(super) async fn check(
    plane: &ControlPlane,
    peer: Peer,
    name: &str,
    password: &str,
) -> Result<PageLogin, Failure> {
    if !names::is_account(name) {
        return Err(Failure::Wrong);
    }
    // Whatever the name is: one source has only so many tries, before anything is written down.
    let bucket = format!("password//{}", neighbourhood(peer.0.ip()));
    let taken = plane
        .throttle
        .take(bucket, PASSWORD_OF_PEER, Instant::now());
    taken.map_err(Failure::TooOften)?;
    let secret = Guessable::Password(name.to_owned());
    if let Some(wait) = plane.guess(&secret, peer).await? {
        let known = plane.store.account_named(name).await?;
        let login = known.map_or(entry::nobody(), login_of);
        entry::record_locked(plane, &secret, login, Way::Password).await?;
        return Err(Failure::TooOften(wait));
    }
    // A name that nobody has costs the same questions and the same synced record, of an account that is none: how long
    // the answer takes says little about which names there are. What is left is an event's row in that transaction.
    let known = plane.store.account_named(name).await?;
    let login = known.map_or(entry::nobody(), login_of);
    let workspace = plane.store.workspace(login.workspace);
    let account = workspace.account(login.account).await?;
    // Before the password: one that is replaced meanwhile is not right, or this login has ended when it begins.
    let login = PageLogin {
        epoch: account.as_ref().map_or(0, |account| account.login_epoch),
        ..login
    };
    let is_disabled = account.is_none_or(|account| account.is_disabled);
    let hash = workspace.password_hash(login.account).await?;
    let is_right = plane.passwords.is_right(password, hash).await;
    if is_right && !is_disabled {
        plane.guessed_right(&secret, peer).await?;
        return Ok(login);
    }
    entry::record(plane, login, peer, Way::Password, Outcome::Failed).await?;
    tracing::info!(peer = %peer.0.ip(), "a login on the page failed");
    Err(Failure::Wrong)
}

fn login_of(known: Known) -> PageLogin {
    PageLogin {
        workspace: known.workspace,
        account: known.account,
        epoch: 0,
    }
}

fn form(
    plane: &ControlPlane,
    headers: &HeaderMap,
    status: StatusCode,
    to: &Destination,
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
         <button type=\"submit\">Log in</button>\n</form>\n{}",
        hidden("csrf", &plane.page_logins.form_token(&browser)),
        to.fields(),
        external::link(plane, to),
    );
    with_cookie(page(status, "Log in", &body), &browser)
}
