//! How an agent is set up: flags over the file over the defaults.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cmdop_proto::limits;
use cmdop_service::telemetry::LogFormat;
use serde::Deserialize;
use tokio::sync::watch;

use crate::files::Places;
use crate::state::LinkState;

/// Live sessions of one agent: each holds a terminal, a process and up to 4 MiB of output.
const DEFAULT_MAX_SESSIONS: usize = 512;

/// What the configuration file may say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct File {
    /// Where the identity is kept.
    pub data_dir: Option<PathBuf>,
    /// How log lines look.
    pub log_format: Option<LogFormat>,
    /// Relays to use instead of those that the control plane named.
    pub relays: Vec<String>,
    /// How many bytes of output each session keeps.
    pub output_log_bytes: Option<usize>,
    /// How many sessions may live at once.
    pub max_sessions: Option<usize>,
    /// Which directories each role may reach.
    pub files: Places,
}

/// All that an agent needs to run. Nothing in it is shared with another agent of the process.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the identity is kept; taken for the life of the agent.
    pub data_dir: PathBuf,
    /// The environment that programs may inherit from; see [`crate::user::User`].
    pub environment: Vec<(OsString, OsString)>,
    /// Relays to use instead of those that the control plane named.
    pub relays: Vec<String>,
    /// How many bytes of output each session keeps.
    pub output_log_bytes: usize,
    /// How many sessions may live at once.
    pub max_sessions: usize,
    /// Which directories each role may reach.
    pub files: Places,
    /// How long the relay may take to notice that the link is lost: a session without a link lives on
    /// for its grace period and this long.
    pub notice: Duration,
    /// Where the agent says how its link is; subscribe to wait for it.
    pub link: watch::Sender<LinkState>,
}

impl Config {
    /// The defaults, on a data directory.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            environment: Vec::new(),
            relays: Vec::new(),
            output_log_bytes: limits::AGENT_LOG,
            max_sessions: DEFAULT_MAX_SESSIONS,
            files: Places::default(),
            notice: limits::HEARTBEAT_TIMEOUT,
            link: watch::Sender::new(LinkState::Connecting),
        }
    }

    /// What the file says, over the defaults.
    pub fn from_file(file: &File, data_dir: &Path) -> Self {
        let defaults = Self::new(data_dir);
        Self {
            relays: file.relays.clone(),
            output_log_bytes: file.output_log_bytes.unwrap_or(defaults.output_log_bytes),
            max_sessions: file.max_sessions.unwrap_or(defaults.max_sessions),
            files: file.files.clone(),
            ..defaults
        }
    }
}
