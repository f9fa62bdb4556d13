//! Answers of the OAuth endpoints: never cached, and errors as RFC 6749, section 5.2 wants them, with
//! a sentence for people and our stable reason word beside the standard's.

use axum::Json;
use axum::extract::rejection::FormRejection;
use axum::response::{IntoResponse, Response};
use cmdop_proto::{ErrorKind, Refusal};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

/// An answer that says no.
#[derive(Debug)]
pub(super) struct Refused {
    status: StatusCode,
    /// The standard's word.
    error: &'static str,
    refusal: Refusal,
}

#[derive(Serialize)]
struct Body {
    error: &'static str,
    error_description: String,
    reason: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    hint: String,
}

impl Refused {
    /// A refusal under one of the standard's words.
    pub(super) fn new(error: &'static str, refusal: Refusal) -> Self {
        let status = match refusal.kind {
            ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            ErrorKind::Exhausted => StatusCode::TOO_MANY_REQUESTS,
            ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            _ if matches!(error, "invalid_client" | "invalid_token") => StatusCode::UNAUTHORIZED,
            _ => StatusCode::BAD_REQUEST,
        };
        let error = match refusal.kind {
            ErrorKind::Internal => "server_error",
            ErrorKind::Exhausted | ErrorKind::Unavailable => "temporarily_unavailable",
            _ => error,
        };
        Self {
            status,
            error,
            refusal,
        }
    }

    /// The request lacks something, or has it wrong.
    pub(super) fn invalid_request(message: impl Into<String>) -> Self {
        Self::new("invalid_request", Refusal::invalid("bad-request", message))
    }

    /// A parameter is not there.
    pub(super) fn missing(parameter: &str) -> Self {
        Self::invalid_request(format!("the parameter `{parameter}` is missing"))
    }
}

impl From<FormRejection> for Refused {
    fn from(rejection: FormRejection) -> Self {
        Self::invalid_request(format!(
            "the request is not a form (application/x-www-form-urlencoded) that can be read: {}",
            cmdop_proto::text::shown(&rejection.body_text(), 200)
        ))
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let body = Body {
            error: self.error,
            error_description: self.refusal.message,
            reason: self.refusal.reason,
            hint: self.refusal.hint,
        };
        let challenge = (self.error == "invalid_token").then(|| {
            let value = HeaderValue::from_static("Bearer error=\"invalid_token\"");
            [(header::WWW_AUTHENTICATE, value)]
        });
        (self.status, challenge, uncached(&body)).into_response()
    }
}

/// A JSON answer that nobody may keep (RFC 6749, section 5.1).
pub(super) fn uncached(body: &impl Serialize) -> Response {
    let mut response = Json(body).into_response();
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
