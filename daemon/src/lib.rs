//! `cmdopd`: owns the terminals and programs of one machine, and dials out to a relay so that people
//! reach them.
//!
//! It listens on no port. Nothing here is shared between two agents of one process, so that tests
//! and benchmarks run many.

mod agent;
pub mod cli;
mod clock;
pub mod config;
mod control_http;
mod descriptor;
pub mod enroll;
mod exec;
mod facts;
#[cfg(test)]
mod fake_relay;
pub mod files;
#[cfg(any(test, fuzzing))]
pub mod fuzzed;
pub mod holder;
pub mod identity;
mod lane;
mod link;
pub mod local;
mod memory;
mod metrics;
mod process;
mod pty;
mod relay_call;
mod session;
pub mod state;
mod token;
pub mod user;

pub use agent::{Error, run};
pub use config::Config;
pub use enroll::{Enrollment, enroll, unenroll};
pub use state::{LinkState, Status};

/// What the program calls itself.
pub const PROGRAM: &str = "cmdopd";
