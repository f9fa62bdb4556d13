//! Events over WebSocket: what happens in a workspace, as it happens, in the client protocol of Centrifugo
//! (docs/adr/0020), so that the clients published for that protocol work here unmodified.
//!
//! The streams lie in the database (`store/events.rs`); here is who may hear which, and the sockets. Nobody
//! publishes over a socket, and nothing in here changes anything but the audit log's list of refusals.

mod channel;
mod code;
mod connection;
mod door;
mod hearing;
mod hub;
mod pace;
mod protocol;
mod ticket;
mod voids;

pub(crate) use door::routes;
pub(crate) use hub::Hub;
