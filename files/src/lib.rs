//! One end of every file operation: requests of `cmdop.v1` in, answers out, done on this machine's disk.
//!
//! The agent serves a machine's files with it, and the client its own, so that a transfer is between two
//! ends that are alike. It knows no network and no caller: who may what is told when it is made.
//!
//! Invariants:
//! * Every path is opened beneath the directories that the caller may reach; what leads out is refused by
//!   the kernel, not by looking at the text.
//! * Only regular files are opened. A file appears under its name whole, or not at all.
//! * What a role writes stays below its quota, where its directories have one.
//! * Nothing is allocated by a length that a caller names, beyond the bounds of `cmdop_proto::limits`.

#![allow(
    clippy::unnecessary_cast,
    reason = "the fields of stat have other types on other systems"
)]

mod answers;
mod batch;
mod change;
mod confine;
mod copy;
mod entry;
mod fault;
#[cfg(any(test, fuzzing))]
pub mod fuzzed;
mod hash;
mod linked;
mod listing;
mod quota;
mod reader;
mod replace;
mod search;
mod serve;
mod service;
mod tree;
mod watch;
mod writer;

pub use answers::Caller;
pub use confine::{Roots, Scope};
pub use quota::Quota;
pub use serve::{QUEUE, serve, stand_back};
pub use service::Service;
