//! The pages on which a person logs in, approves a device or a program, and keeps the account. Plain HTML: no scripts, nothing loaded
//! from elsewhere, every word from outside escaped.
//!
//! A browser holds one cookie with a random id. Forms carry a token that only we can make for that id
//! ([`session`]): another site can send our forms but cannot fill this in.

mod account;
mod authorize;
mod code;
mod code_form;
mod destination;
mod device;
mod enrol;
mod entry;
mod external;
mod html;
mod invitation;
mod login;
mod session;
mod visitor;

use axum::Router;
use axum::routing::{get, post};

pub(crate) use session::PageLogins;

use crate::plane::Shared;

/// The routes of the pages.
pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route("/login", get(login::show).post(login::submit))
        .route("/login/code", get(code::show).post(code::submit))
        .route("/login/second-factor", get(enrol::show).post(enrol::submit))
        .route("/login/external", get(external::leave))
        .route("/login/external/callback", get(external::arrive))
        .route("/account", get(account::show))
        .route("/account/second-factor", post(account::second_factor))
        .route("/account/logins", post(account::end_login))
        .route("/logout", post(account::leave))
        .route(
            "/oauth/authorize",
            get(authorize::show).post(authorize::submit),
        )
        .route("/device", get(device::show).post(device::submit))
        .route(
            "/invitation",
            get(invitation::show).post(invitation::submit),
        )
        .route("/style.css", get(html::style))
}
