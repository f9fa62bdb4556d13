//! A person changes their own password.

use axum::extract::rejection::FormRejection;
use axum::extract::{Extension, Form, State};
use axum::response::Response;
use cmdop_service::serve::Peer;
use http::{HeaderMap, StatusCode};

use super::{Submitted, overview, own, refused};
use crate::pages::failure::Failure;
use crate::pages::html::page;
use crate::pages::login;
use crate::pages::visitor::{Visitor, failed};
use crate::plane::Shared;

/// Where the form goes.
const PAGE: &str = "/account/password";

const WRONG: &str = "That password is not right.";

/// `POST /account/password`: by who knows the present one, so that an open browser is not enough. Every login from before
/// ends, this one too.
pub(in crate::pages) async fn change(
    State(plane): State<Shared>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    submitted: Result<Form<Submitted>, FormRejection>,
) -> Response {
    let (visitor, form) = match own(&plane, &headers, submitted).await {
        Ok(own) => own,
        Err(answer) => return *answer,
    };
    let present = form.password.as_deref().unwrap_or_default();
    let checked = match login::check(&plane, peer, &visitor.account.name, present).await {
        Ok(checked) => checked,
        Err(failure) => return refused(&plane, &visitor, failure, WRONG).await,
    };
    let new = form.new_password.unwrap_or_default();
    let hash = match plane.passwords.hash(new).await {
        Ok(hash) => hash,
        Err(refusal) => {
            let complaint = format!("{}.", refusal.message);
            return overview(&plane, &visitor, StatusCode::BAD_REQUEST, &complaint).await;
        }
    };
    let workspace = visitor.workspace(&plane);
    let now_ms = plane.clock.now_ms();
    let changed = workspace.change_password(checked.account, checked.epoch, &hash, now_ms);
    match changed.await {
        Ok(true) => {
            plane.page_logins.log_out_all(checked);
            let done = "<p>Every login from before has ended.</p>\n\
                        <p><a href=\"/account\">Log in with the new password</a></p>\n";
            page(StatusCode::OK, "Password changed", done)
        }
        Ok(false) => refused(&plane, &visitor, Failure::Wrong, WRONG).await,
        Err(error) => failed(&error),
    }
}

/// The form, for who has one.
pub(super) fn section(visitor: &Visitor, csrf: &str) -> String {
    if !visitor.account.has_password {
        return String::new();
    }
    format!(
        "<h2>Password</h2>\n<details>\n<summary>Change it</summary>\n\
         <form method=\"post\" action=\"{PAGE}\">\n{csrf}\
         <label for=\"present-password\">Your password</label>\n\
         <input id=\"present-password\" name=\"password\" type=\"password\" \
         autocomplete=\"current-password\" maxlength=\"1024\" required>\n\
         <label for=\"new-password\">A new one, at least 8 characters</label>\n\
         <input id=\"new-password\" name=\"new_password\" type=\"password\" \
         autocomplete=\"new-password\" minlength=\"8\" maxlength=\"1024\" required>\n\
         <p>Every login from before ends, on this page too.</p>\n\
         <button type=\"submit\">Change the password</button>\n</form>\n</details>\n"
    )
}
