//! `/connection/websocket`: where a request becomes a connection, unless a page of somebody else's makes it.

use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{WebSocket, WebSocketUpgrade};
use axum::extract::{Extension, State};
use axum::response::{IntoResponse as _, Response};
use cmdop_service::serve::Peer;
use http::{HeaderMap, StatusCode, header};
use tokio::time::Instant;

use super::connection::Connection;
use crate::plane::{ControlPlane, Shared};
use crate::routes::Route;
use crate::throttle::{TOKENS, neighbourhood};

/// The most that a client may say at once: all its channels with where it left each take a third of it.
const MAX_FRAME: usize = 64 << 10;

/// What is read and written at once; a connection that is quiet holds no more than this.
const BUFFER: usize = 8 << 10;

/// The way in.
pub(crate) fn routes() -> Vec<Route> {
    vec![Route::at("/connection/websocket").get(open)]
}

async fn open(
    State(plane): State<Shared>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    if !is_allowed_origin(&plane, &headers) {
        let why = "pages of this origin may not connect: see `allow-origin`\n";
        return (StatusCode::FORBIDDEN, why).into_response();
    }
    let from = neighbourhood(peer.0.ip());
    let key = format!("events/{from}");
    if plane.throttle.take(key, TOKENS, Instant::now()).is_err() {
        return (StatusCode::TOO_MANY_REQUESTS, "too many connections\n").into_response();
    }
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade,
        Err(rejection) => return rejection.into_response(),
    };
    // Extensions that compress are not offered: what one account is told, another could guess by lengths.
    let upgrade = upgrade
        .max_frame_size(MAX_FRAME)
        .max_message_size(MAX_FRAME)
        .read_buffer_size(BUFFER)
        .write_buffer_size(BUFFER);
    let connections = plane.hub.connections.clone();
    // Tracked from now on: a server that stops waits for it.
    let token = connections.token();
    upgrade.on_upgrade(move |socket: WebSocket| async move {
        let _token = token;
        Connection::new(plane, socket).run().await;
    })
}

/// A browser says which page connects. Other programs say nothing, and hold no cookies of anybody.
fn is_allowed_origin(plane: &ControlPlane, headers: &HeaderMap) -> bool {
    let mut origins = headers.get_all(header::ORIGIN).iter();
    origins.all(|origin| {
        let known = plane.own_urls.iter().chain(&plane.allowed_origins);
        let mut known = known.map(String::as_bytes);
        known.any(|known| known.eq_ignore_ascii_case(origin.as_bytes()))
    })
}
