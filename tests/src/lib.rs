//! The harness of the end-to-end tests, of the chaos and of the benchmarks: a whole cmdop of real
//! programs, people at real terminals, a network that can be cut, and named waits.
//!
//! ```text
//! World ── Control, Relay, Machine (real programs)     Person ── Pty (real terminal)
//!   └──── Account ── Cli (`cmdop` as a script runs it)  Wire (raw stubs)  Forge (tokens)  Proxy (cuts)
//! ```
//!
//! Nothing here sleeps to let something happen: everything waits for an event or a named condition
//! with a deadline (`wait`).

pub mod binaries;
pub mod browser;
pub mod chromium;
pub mod cli;
pub mod faults;
pub mod forge;
pub mod person;
pub mod process;
pub mod pty;
pub mod reaper;
pub mod wait;
pub mod wire;
pub mod workload;
pub mod world;

pub use person::Person;
pub use pty::{Pty, Shape};
pub use wire::Wire;
pub use world::World;
