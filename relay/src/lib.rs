//! The relay of cmdop: it carries bytes between agents and clients, and understands none of them.
//!
//! A session is a log with cursors and an input queue (`session`); agents dial in (`agents`), clients
//! attach (`clients`); who may do what is decided offline with what the control plane told earlier
//! ([`directory`]). Nothing here parses a terminal, asks another server on a caller's behalf, or
//! keeps anything that cannot be rebuilt from the agents.

mod agents;
mod by_machine;
mod caller;
mod carry;
pub mod cli;
mod clients;
pub mod config;
mod context;
mod control;
mod deadlines;
mod detached;
pub mod directory;
mod feed;
mod file_access;
mod file_streams;
mod frame;
#[cfg(any(test, fuzzing))]
pub mod fuzzed;
mod incoming;
mod lingering;
mod live;
mod lock;
mod machines;
mod meeting;
mod meters;
mod permission;
mod reached;
mod relay;
mod report;
mod request;
mod running;
mod runs;
mod session;
mod stream_token;
mod transfers;
mod workspace;

pub use config::{Config, Limits};
pub use control::EnrolError;
pub use directory::Directory;
pub use running::{Error, Parts, Running, start, start_with};
