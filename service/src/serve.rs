//! The serving loop: TCP, TLS, HTTP/2 and gRPC (or HTTP/1.1 for pages and WebSockets), until told to stop.
//!
//! Who wants HTTP/2 says so in the TLS handshake (RFC 9113, section 3.2); everybody else speaks HTTP/1.1.
//! A peer that sends garbage, or nothing, costs one handshake slot for at most
//! [`HANDSHAKE_TIMEOUT`], then one connection for at most [`FIRST_BYTES_TIMEOUT`], and never ends the
//! loop.

mod pages;

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Sleep;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::transport::server::Connected;

use cmdop_proto::limits;

use crate::admission::{Admission, Limits, Permit};
use pages::Pages;

/// A peer has this long to finish TLS.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// A peer has this long after TLS to say which HTTP it speaks.
pub const FIRST_BYTES_TIMEOUT: Duration = Duration::from_secs(10);

/// What says which HTTP it is: the connection preface of HTTP/2 (RFC 9113, section 3.4). No request of
/// HTTP/1.1 is shorter, and its further lines have a time limit of their own.
const FIRST_BYTES: usize = 24;

/// Handshakes at the same time; more wait in the kernel's accept queue.
const MAX_HANDSHAKES: usize = 256;

/// Streams of one connection. An agent has one a session.
const MAX_STREAMS: u32 = 4096;

/// Unsent bytes that the kernel may hold for a connection: what a fresh keystroke's echo can stand
/// behind in the socket.
const NOT_SENT_LOW_WATER: u32 = 128 << 10;

/// What peers may use of us.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    connections: Limits,
    first_bytes: Duration,
}

/// Serves `routes` until `stop`, then waits for the open calls for at most `drain`.
pub async fn serve(
    listener: TcpListener,
    tls: Arc<ServerConfig>,
    routes: Routes,
    stop: CancellationToken,
    drain: Duration,
) -> Result<(), tonic::transport::Error> {
    let bounds = Bounds {
        connections: Limits::default(),
        first_bytes: FIRST_BYTES_TIMEOUT,
    };
    serve_within(bounds, listener, tls, routes, stop, drain).await
}

async fn serve_within(
    bounds: Bounds,
    listener: TcpListener,
    tls: Arc<ServerConfig>,
    routes: Routes,
    stop: CancellationToken,
    drain: Duration,
) -> Result<(), tonic::transport::Error> {
    let (accepted, connections) = mpsc::channel(16);
    let mut tasks = JoinSet::new();
    let pages = Pages::new(routes.clone().into_axum_router(), stop.clone());
    // However this ends, the connections do.
    let _over = pages.end_on_drop();
    let open_pages = pages.clone();
    let door = Door {
        tls: tls.into(),
        accepted,
        pages,
        first_bytes: bounds.first_bytes,
    };
    let admission = Admission::new(bounds.connections);
    tasks.spawn(accept(listener, door, admission, stop.clone()));
    let server = http().add_routes(routes).serve_with_incoming_shutdown(
        ReceiverStream::new(connections),
        stop.clone().cancelled_owned(),
    );
    let served = async {
        let served = server.await;
        open_pages.ended().await;
        served
    };
    let overdue = async {
        stop.cancelled().await;
        tokio::time::sleep(drain).await;
    };
    // Both branches may be dropped at any point: the process is about to end.
    tokio::select! {
        served = served => served,
        () = overdue => {
            tracing::info!("calls were still open at the end of the drain; closing them");
            Ok(())
        }
    }
}

/// HTTP as every server speaks it: windows, bounds and keepalive, over whatever carries it.
pub fn http() -> tonic::transport::Server {
    tonic::transport::Server::builder()
        .accept_http1(true)
        // What peers send us: files and bulk output need a round trip's worth. The connection's window bounds
        // the memory, and a session's output is bounded in time by its agent (ADR 9).
        .initial_stream_window_size(limits::BULK_STREAM_WINDOW)
        .initial_connection_window_size(limits::BULK_CONNECTION_WINDOW)
        .max_concurrent_streams(MAX_STREAMS)
        .http2_keepalive_interval(Some(limits::KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(limits::KEEPALIVE_TIMEOUT))
}

/// What a connection passes through.
#[derive(Clone)]
struct Door {
    tls: TlsAcceptor,
    accepted: mpsc::Sender<io::Result<Connection>>,
    pages: Pages,
    first_bytes: Duration,
}

async fn accept(
    listener: TcpListener,
    door: Door,
    admission: Arc<Admission>,
    stop: CancellationToken,
) {
    let mut handshakes = JoinSet::new();
    loop {
        // Cancel-safe: accept and join_next lose nothing when another branch wins.
        tokio::select! {
            () = stop.cancelled() => return,
            Some(_) = handshakes.join_next(), if !handshakes.is_empty() => {}
            connection = listener.accept(), if handshakes.len() < MAX_HANDSHAKES => match connection {
                Ok((stream, peer)) => if let Some(permit) = admission.admit(peer.ip()) {
                    handshakes.spawn(door.clone().handshake(stream, peer, permit));
                },
                Err(error) => {
                    // Out of descriptors, or the peer left in the queue: neither ends the server.
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }
}

impl Door {
    async fn handshake(self, stream: TcpStream, peer: SocketAddr, permit: Permit) {
        tune(&stream);
        match tokio::time::timeout(HANDSHAKE_TIMEOUT, self.tls.accept(stream)).await {
            Ok(Ok(stream)) => {
                let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                let connection = Connection {
                    stream: Box::new(stream),
                    peer,
                    awaited: Some(Awaited {
                        bytes: FIRST_BYTES,
                        until: Box::pin(tokio::time::sleep(self.first_bytes)),
                    }),
                    _permit: permit,
                };
                if is_http2 {
                    let _ = self.accepted.send(Ok(connection)).await;
                } else {
                    self.pages.take(connection);
                }
            }
            Ok(Err(error)) => tracing::debug!(%peer, %error, "a peer does not speak TLS with us"),
            Err(_) => tracing::debug!(%peer, "a peer did not finish TLS in time"),
        }
    }
}

/// Small writes leave at once, and the kernel's queue stays short. Both are wishes: without them
/// the connection is slower, not wrong.
fn tune(stream: &TcpStream) {
    let _ = stream.set_nodelay(true);
    // HTTP/1.1 has no ping: who vanished must not hold a place for ever.
    let _ = socket2::SockRef::from(stream).set_keepalive(true);
    let _ = socket2::SockRef::from(stream).set_tcp_notsent_lowat(NOT_SENT_LOW_WATER);
}

/// One accepted connection.
#[derive(Debug)]
pub struct Connection {
    stream: Box<TlsStream<TcpStream>>,
    peer: SocketAddr,
    /// Until the peer has said which HTTP it speaks.
    awaited: Option<Awaited>,
    _permit: Permit,
}

/// What the peer still owes us, and until when.
#[derive(Debug)]
struct Awaited {
    bytes: usize,
    until: Pin<Box<Sleep>>,
}

/// Who is at the other end, in the extensions of every request.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        Peer(self.peer)
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        let Some(awaited) = &mut self.awaited else {
            return read;
        };
        awaited.bytes = awaited.bytes.saturating_sub(buf.filled().len() - before);
        if awaited.bytes == 0 {
            self.awaited = None;
        } else if read.is_pending() && awaited.until.as_mut().poll(cx).is_ready() {
            let why = "the peer did not say in time which HTTP it speaks";
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, why)));
        }
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, data)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, data)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;
