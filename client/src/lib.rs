//! How anything talks to a relay and a control plane: the SDK under the terminal client, the command
//! line, the agent's and the relay's outgoing calls, and the tests.
//!
//! ```text
//! Home ─► Profiles ─► Profile ─┐
//!           token_store ─► Tokens ─► Connection ─► sessions, machines, exec, account (one call each)
//!                                          ├─────► attach, follow, events (reconnect by themselves)
//!                                          └─────► files (one end: a machine, or here) ─► transfer (between two ends)
//!                                history: which lines above the screen are held (no call of its own)
//! ```
//!
//! Invariants:
//! * No call is made without a token, and a token is refreshed by one process at a time.
//! * What comes from the wire is handed on as it came: strip it with `cmdop_proto::text::shown`
//!   where it is shown.
//! * Nothing here reads the environment, prints, or keeps a global.

pub mod account;
pub mod attach;
pub mod audit;
pub mod backoff;
pub mod catalogue;
pub mod clock;
pub mod connection;
pub mod dial;
pub mod error;
pub mod events;
pub mod exec;
#[cfg(test)]
mod fake_control;
pub mod files;
pub mod fleets;
pub mod follow;
pub mod history;
pub mod home;
pub mod keys;
pub mod machines;
pub mod members;
pub mod oauth;
pub mod profile;
pub mod schedules;
mod secret_file;
pub mod sessions;
pub mod token_store;
pub mod tokens;
pub mod transfer;

pub use connection::{Connection, Relay};
pub use error::Error;
pub use home::Home;
pub use profile::{Profile, Profiles};
