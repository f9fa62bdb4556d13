//! OAuth 2.0 over HTTPS: how everybody gets tokens. One endpoint for all, no way round it.

mod answer;
mod code;
mod device;
mod discovery;
mod introspect;
mod redirect;
mod revoke;
mod token;

pub(crate) use redirect::{RedirectUri, may_be_configured};

use crate::routes::Route;

/// The only client that asks in a person's name. It is public: it holds no secret of its own.
pub(crate) const CLIENT: &str = "cmdop-cli";

/// The routes under `/oauth` and `/.well-known`.
pub(crate) fn routes() -> Vec<Route> {
    let at = Route::at;
    vec![
        at("/oauth/token").post(token::exchange),
        at("/oauth/device_authorization").post(device::authorize),
        at("/oauth/revoke").post(revoke::revoke),
        at("/oauth/introspect").post(introspect::introspect),
        at("/.well-known/oauth-authorization-server").get(discovery::metadata),
        at("/.well-known/jwks.json").get(discovery::keys),
    ]
}
