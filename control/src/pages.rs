//! The pages on which a person logs in and approves a device. Plain HTML: no scripts, nothing loaded
//! from elsewhere, every word from outside escaped.
//!
//! A browser holds one cookie with a random id. Forms carry a token that only we can make for that id
//! ([`session`]): another site can send our forms but cannot fill this in.

mod device;
mod html;
mod invitation;
mod login;
mod session;

use axum::Router;
use axum::routing::get;

pub(crate) use session::PageLogins;

use crate::plane::Shared;

/// The routes of the pages.
pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route("/login", get(login::show).post(login::submit))
        .route("/device", get(device::show).post(device::submit))
        .route(
            "/invitation",
            get(invitation::show).post(invitation::submit),
        )
        .route("/style.css", get(html::style))
}
