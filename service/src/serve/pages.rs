//! Connections that speak HTTP/1.1: those of browsers, and those that become WebSockets.
//!
//! tonic serves HTTP/1.1 as well, but does not let go of a connection that becomes something else.

use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use super::{Connection, Peer};

/// What a connection may hold of what came and is not read: the lines of one request fit, and a form comes after them.
const MAX_BUFFER: usize = 64 << 10;

/// Serves such connections; clones share them.
#[derive(Clone)]
pub(super) struct Pages {
    router: axum::Router,
    stop: CancellationToken,
    over: CancellationToken,
    /// Those that are HTTP still; one that became something else belongs to who asked for that.
    connections: TaskTracker,
}

impl Pages {
    pub(super) fn new(router: axum::Router, stop: CancellationToken) -> Self {
        Self {
            router,
            stop,
            over: CancellationToken::new(),
            connections: TaskTracker::new(),
        }
    }

    /// Ends all connections when it is dropped.
    pub(super) fn end_on_drop(&self) -> DropGuard {
        self.over.clone().drop_guard()
    }

    /// Waits until the last connection has ended; there are no new ones.
    pub(super) async fn ended(&self) {
        self.connections.close();
        self.connections.wait().await;
    }

    /// Serves one connection until it ends, or becomes something else.
    pub(super) fn take(&self, connection: Connection) {
        let pages = self.clone();
        self.connections.spawn(async move {
            // Cancel-safe: the connection goes with its future.
            tokio::select! {
                () = pages.serve(connection) => {}
                () = pages.over.cancelled() => {}
            }
        });
    }

    async fn serve(&self, connection: Connection) {
        let peer = Peer(connection.peer);
        let routes = self.router.clone().map_request(
            move |mut request: http::Request<hyper::body::Incoming>| {
                request.extensions_mut().insert(peer);
                request
            },
        );
        let mut http = hyper::server::conn::http1::Builder::new();
        // With a clock, the lines of a request have their time limit too.
        let http = http
            .timer(TokioTimer::new())
            .max_buf_size(MAX_BUFFER)
            .serve_connection(TokioIo::new(connection), TowerToHyperService::new(routes))
            .with_upgrades();
        tokio::pin!(http);
        // Cancel-safe: the connection is polled on, whichever is first.
        let ended = tokio::select! {
            ended = &mut http => ended,
            () = self.stop.cancelled() => {
                http.as_mut().graceful_shutdown();
                http.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection ended badly");
        }
    }
}
