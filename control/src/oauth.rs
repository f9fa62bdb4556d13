//! OAuth 2.0 over HTTPS: how everybody gets tokens. One endpoint for all, no way round it.

mod answer;
mod code;
mod device;
mod discovery;
mod introspect;
mod redirect;
mod revoke;
mod token;

use axum::Router;
use axum::routing::{get, post};

pub(crate) use redirect::{RedirectUri, may_be_configured};

use crate::plane::Shared;

/// The only client that asks in a person's name. It is public: it holds no secret of its own.
pub(crate) const CLIENT: &str = "cmdop-cli";

/// The routes under `/oauth` and `/.well-known`.
pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route("/oauth/token", post(token::exchange))
        .route("/oauth/device_authorization", post(device::authorize))
        .route("/oauth/revoke", post(revoke::revoke))
        .route("/oauth/introspect", post(introspect::introspect))
        .route(
            "/.well-known/oauth-authorization-server",
            get(discovery::metadata),
        )
        .route("/.well-known/jwks.json", get(discovery::keys))
}
