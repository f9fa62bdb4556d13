//! `POST /oauth/device_authorization` (RFC 8628, section 3.1): a program asks for a code.

use axum::extract::rejection::FormRejection;
use axum::extract::{Extension, Form, State};
use axum::response::Response;
use cmdop_proto::Refusal;
use cmdop_service::serve::Peer;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::CLIENT;
use super::answer::{Refused, uncached};
use crate::lifetimes::{DEVICE_CODE, DEVICE_INTERVAL};
use crate::plane::Shared;
use crate::secret::{self, Secret};
use crate::store::NewDeviceCode;
use crate::throttle::{STRANGER, neighbourhood};

/// What is asked.
#[derive(Deserialize)]
pub(super) struct Request {
    client_id: Option<String>,
}

#[derive(Serialize)]
struct Answer {
    device_code: String,
    user_code: String,
    verification_uri: String,
    verification_uri_complete: String,
    expires_in: u64,
    interval: u64,
}

/// Hands out a device code and the user code that goes with it.
pub(super) async fn authorize(
    State(plane): State<Shared>,
    Extension(peer): Extension<Peer>,
    form: Result<Form<Request>, FormRejection>,
) -> Result<Response, Refused> {
    known_client(form?.0.client_id.as_deref())?;
    let from = neighbourhood(peer.0.ip());
    let busy = |wait| {
        let why = "too many codes were asked for";
        let hint = format!("wait {wait} s and try again");
        Refused::new(
            "invalid_request",
            Refusal::exhausted("busy", why).hint(hint),
        )
    };
    plane
        .throttle
        .take(format!("device/{from}"), STRANGER, Instant::now())
        .map_err(|wait| busy(wait.as_secs() + 1))?;
    let (device_code, user_code) = (Secret::random("cmdop_device_"), secret::user_code());
    let now_ms = plane.clock.now_ms();
    let kept = NewDeviceCode {
        hash: &device_code.hash(),
        user_code_hash: &secret::hash(&user_code),
        client: CLIENT,
        peer: &peer.0.ip().to_canonical().to_string(),
        expires_at_ms: now_ms + DEVICE_CODE.as_millis() as u64,
    };
    let added = plane.store.add_device_code(kept, now_ms).await;
    if !added.map_err(|error| Refused::new("server_error", error.into()))? {
        return Err(busy(DEVICE_CODE.as_secs()));
    }
    let shown = secret::shown_user_code(&user_code);
    Ok(uncached(&Answer {
        verification_uri: format!("{}/device", plane.issuer),
        verification_uri_complete: format!("{}/device?user_code={shown}", plane.issuer),
        device_code: device_code.expose().to_owned(),
        user_code: shown,
        expires_in: DEVICE_CODE.as_secs(),
        interval: DEVICE_INTERVAL.as_secs(),
    }))
}

/// Refuses a client that is not ours.
pub(super) fn known_client(client: Option<&str>) -> Result<(), Refused> {
    match client {
        Some(CLIENT) => Ok(()),
        None => Err(Refused::missing("client_id")),
        Some(_) => Err(Refused::new(
            "invalid_client",
            Refusal::denied("bad-request", "this client_id is not known here")
                .hint(format!("it is `{CLIENT}`")),
        )),
    }
}
