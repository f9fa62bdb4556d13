//! How the agent is doing, for whoever started it and for `cmdopd status`.

use serde::{Deserialize, Serialize};

/// The link to a relay.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum LinkState {
    /// Never linked yet, or dialling.
    #[default]
    Connecting,
    /// Registered at a relay.
    Linked {
        /// Which one.
        relay_url: String,
        /// Since when, milliseconds since the Unix epoch.
        since_ms: u64,
    },
    /// Waiting to dial again.
    Waiting {
        /// Why the last attempt failed, or the last link was lost.
        reason: String,
    },
    /// The agent ends its sessions.
    Stopping,
}

/// What the local socket answers: one line of JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The agent's version.
    pub version: String,
    /// Its process: the worker, which does all but hold the sessions.
    pub pid: u32,
    /// The process that holds the sessions, and starts the worker again when it dies.
    #[serde(default)]
    pub holder_pid: Option<u32>,
    /// The machine's id.
    pub machine_id: String,
    /// The machine's name in its workspace.
    pub hostname: String,
    /// The workspace's name.
    pub workspace: String,
    /// The link to a relay.
    pub link: LinkState,
    /// Live sessions.
    pub sessions: usize,
    /// Programs that run without a terminal, for `cmdop exec`.
    #[serde(default)]
    pub programs: usize,
}
