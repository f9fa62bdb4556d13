//! Who is there: the account that a browser is logged in as, as the database knows it now.

use axum::response::Response;
use http::{HeaderMap, StatusCode};

use super::html::{page, problem};
use super::session::{Browser, PageLogin};
use crate::plane::ControlPlane;
use crate::store::{self, Account, Workspace};

/// What is said to a form that is not ours, or is too old.
pub(super) const STALE: &str = "This form is too old, or did not come from here. Please try again.";

/// What is said to a form that is none.
pub(super) const UNREADABLE: &str = "The form could not be read.";

/// A person who is logged in, in their browser.
pub(super) struct Visitor {
    /// The browser.
    pub browser: Browser,
    /// What it is logged in as.
    pub login: PageLogin,
    /// The account.
    pub account: Account,
}

impl Visitor {
    /// The account's workspace, in its own hands.
    pub(super) fn workspace<'a>(&self, plane: &'a ControlPlane) -> Workspace<'a> {
        let workspace = plane.store.workspace(self.login.workspace);
        workspace.by(self.account.actor())
    }

    /// What a form of theirs must carry.
    pub(super) fn form_token(&self, plane: &ControlPlane) -> String {
        plane.page_logins.form_token(&self.browser)
    }

    /// Whether a form with this token came from a page that we gave them.
    pub(super) fn is_own_form(&self, plane: &ControlPlane, token: Option<&str>) -> bool {
        let token = token.unwrap_or_default();
        plane.page_logins.is_own_form(&self.browser, token)
    }
}

/// Who is there; an account that was disabled meanwhile is nobody.
pub(super) async fn visitor(
    plane: &ControlPlane,
    headers: &HeaderMap,
) -> Result<Option<Visitor>, store::Error> {
    let Some(browser) = Browser::of(headers) else {
        return Ok(None);
    };
    let Some(login) = plane.page_logins.login_of(&browser, plane.clock.now_ms()) else {
        return Ok(None);
    };
    named(plane, browser, login).await
}

/// The account of `login`, if it may be there: not if its logins were ended since, perhaps by another process.
pub(super) async fn named(
    plane: &ControlPlane,
    browser: Browser,
    login: PageLogin,
) -> Result<Option<Visitor>, store::Error> {
    let workspace = plane.store.workspace(login.workspace);
    let account = workspace.account(login.account).await?;
    Ok(account
        .filter(|account| !account.is_disabled && account.login_epoch == login.epoch)
        .map(|account| Visitor {
            browser,
            login,
            account,
        }))
}

/// The page for what is our fault; its cause goes to the log.
pub(super) fn failed(error: &impl std::fmt::Display) -> Response {
    tracing::error!(%error, "a page failed");
    let body = problem("Something went wrong on the server; its log has the cause.");
    page(StatusCode::INTERNAL_SERVER_ERROR, "Not done", &body)
}

/// What is said to who tried too often.
pub(super) fn slow(wait: std::time::Duration) -> String {
    let wait_s = wait.as_secs() + 1;
    let (count, unit) = if wait_s < 120 {
        (wait_s, "s")
    } else {
        (wait_s.div_ceil(60), "minutes")
    };
    format!("Too many attempts. Please wait {count} {unit} and try again.")
}
