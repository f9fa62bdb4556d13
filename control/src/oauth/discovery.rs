//! What the world may know: where the endpoints are (RFC 8414), and the keys that sign (RFC 7517).

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use cmdop_proto::scope::Scope;
use http::header;

use super::answer::uncached;
use super::token::{AUTHORIZATION_CODE, DEVICE_CODE, LOCAL_SECRET, TOKEN_EXCHANGE};
use crate::plane::Shared;
use crate::tokens::SCOPE;

/// The server's metadata.
pub(super) async fn metadata(State(plane): State<Shared>) -> Response {
    let scopes: Vec<_> = [SCOPE]
        .into_iter()
        .chain(Scope::ALL.map(Scope::as_str))
        .collect();
    let at = |path: &str| format!("{}{path}", plane.issuer);
    uncached(&serde_json::json!({
        "issuer": plane.issuer,
        "authorization_endpoint": at("/oauth/authorize"),
        "token_endpoint": at("/oauth/token"),
        "device_authorization_endpoint": at("/oauth/device_authorization"),
        "revocation_endpoint": at("/oauth/revoke"),
        "introspection_endpoint": at("/oauth/introspect"),
        "jwks_uri": at("/.well-known/jwks.json"),
        "scopes_supported": scopes,
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
        "grant_types_supported": [AUTHORIZATION_CODE, DEVICE_CODE, "refresh_token", "client_credentials", LOCAL_SECRET,
            TOKEN_EXCHANGE],
        "token_endpoint_auth_methods_supported": ["none", "private_key_jwt"],
        "token_endpoint_auth_signing_alg_values_supported": ["EdDSA"],
        "introspection_endpoint_auth_methods_supported": ["Bearer"],
    }))
}

/// The public keys.
pub(super) async fn keys(State(plane): State<Shared>) -> Response {
    let kind = [(header::CONTENT_TYPE, "application/jwk-set+json")];
    (kind, plane.signer.keys().jwks().to_owned()).into_response()
}
