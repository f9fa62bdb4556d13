//! The few HTTPS requests to the control plane that are not gRPC, over the same trusted connection.

use cmdop_client::dial::{self, Lane, Trust};
use http::{Method, StatusCode, header};
use http_body_util::{BodyExt as _, Limited};
use serde::de::DeserializeOwned;
use tonic::body::Body;
use tonic::transport::Channel;
use tower::ServiceExt as _;

/// An answer above this is no answer of a control plane.
const MAX_ANSWER: usize = 64 << 10;

/// Why no usable answer came.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// No connection.
    #[error(transparent)]
    Dial(#[from] dial::Error),
    /// The connection broke, or the answer is not one.
    #[error("the control plane did not answer {path}: {reason}")]
    Broken {
        /// What was asked for.
        path: &'static str,
        /// What went wrong.
        reason: String,
    },
    /// It says no (RFC 6749, section 5.2).
    #[error("the control plane refused {path}: {description} ({code})")]
    Refused {
        /// What was asked for.
        path: &'static str,
        /// The stable word.
        code: String,
        /// The sentence for people.
        description: String,
    },
}

#[derive(serde::Deserialize)]
struct OAuthError {
    error: String,
    #[serde(default)]
    error_description: String,
}

/// A connection to the control plane.
pub(crate) async fn dial(url: &str, trust: &Trust) -> Result<Channel, Error> {
    Ok(dial::dial(url, trust, Lane::Interactive).await?)
}

/// GET, answered with JSON.
pub(crate) async fn get<T: DeserializeOwned>(
    channel: Channel,
    path: &'static str,
) -> Result<T, Error> {
    let request = http::Request::builder()
        .method(Method::GET)
        .uri(path)
        .body(Body::empty());
    send(channel, path, request).await
}

/// POST of an encoded form, answered with JSON.
pub(crate) async fn post<T: DeserializeOwned>(
    channel: Channel,
    path: &'static str,
    form: String,
) -> Result<T, Error> {
    let request = http::Request::builder()
        .method(Method::POST)
        .uri(path)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Body::new(form));
    send(channel, path, request).await
}

async fn send<T: DeserializeOwned>(
    channel: Channel,
    path: &'static str,
    request: http::Result<http::Request<Body>>,
) -> Result<T, Error> {
    let broken = |reason: String| Error::Broken { path, reason };
    let request = request.map_err(|error| broken(error.to_string()))?;
    let response = channel
        .oneshot(request)
        .await
        .map_err(|error| broken(error.to_string()))?;
    let status = response.status();
    let body = Limited::new(response.into_body(), MAX_ANSWER)
        .collect()
        .await
        .map_err(|error| broken(error.to_string()))?
        .to_bytes();
    if status == StatusCode::OK {
        return serde_json::from_slice(&body)
            .map_err(|error| broken(format!("its answer is not understood: {error}")));
    }
    match serde_json::from_slice::<OAuthError>(&body) {
        Ok(refused) => Err(Error::Refused {
            path,
            code: cmdop_proto::text::shown(&refused.error, 64),
            description: cmdop_proto::text::shown(&refused.error_description, 512),
        }),
        Err(_) => Err(broken(format!("it answered {status}"))),
    }
}
