//! What an operator of a relay can set: addresses, places, and limits with their defaults.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use cmdop_proto::limits;
use cmdop_service::telemetry::LogFormat;
use serde::Deserialize;

/// Where a relay listens unless told otherwise.
pub const DEFAULT_LISTEN: &str = "127.0.0.1:7444";

/// Everything that a relay needs to start.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where agents and clients reach it; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Its identity, its certificate and what it last heard from the control plane.
    pub data_dir: PathBuf,
    /// The control plane, `https://host:port`; needed at the first start only.
    pub control: Option<String>,
    /// How agents and clients reach it, `https://host:port`; absent: `https://<listen>`.
    pub advertise: Option<String>,
    /// Holds the token for the first start.
    pub enroll_token_file: Option<PathBuf>,
    /// Where Prometheus reads its metrics (plain HTTP); absent: nowhere.
    pub metrics_listen: Option<SocketAddr>,
    /// Its limits.
    pub limits: Limits,
}

/// The configuration file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct File {
    /// See [`Config::listen`].
    pub listen: Option<SocketAddr>,
    /// See [`Config::data_dir`].
    pub data_dir: Option<PathBuf>,
    /// See [`Config::control`].
    pub control: Option<String>,
    /// See [`Config::advertise`].
    pub advertise: Option<String>,
    /// See [`Config::enroll_token_file`].
    pub enroll_token_file: Option<PathBuf>,
    /// See [`Config::metrics_listen`].
    pub metrics_listen: Option<SocketAddr>,
    /// How its log lines look.
    pub log_format: Option<LogFormat>,
    /// See [`Config::limits`].
    pub limits: Limits,
}

/// Times and numbers that bound what others can make a relay do. Times are written as `30s` or `1h`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Limits {
    /// How often an agent sends its metrics.
    #[serde(deserialize_with = "duration")]
    pub heartbeat_interval: Duration,
    /// Silence after which an agent counts as lost.
    #[serde(deserialize_with = "duration")]
    pub heartbeat_timeout: Duration,
    /// How long a session outlives its agent's link, unless its maker says otherwise.
    #[serde(deserialize_with = "duration")]
    pub grace: Duration,
    /// How long a session lives with all its clients in the background.
    #[serde(deserialize_with = "duration")]
    pub background: Duration,
    /// How long a session waits for its agent's first stream.
    #[serde(deserialize_with = "duration")]
    pub pending: Duration,
    /// Silence after which an attached client is dropped; it pings every 30 s.
    #[serde(deserialize_with = "duration")]
    pub client_silence: Duration,
    /// How long an agent may take to open the stream of an exec, or to answer a one-shot call.
    #[serde(deserialize_with = "duration")]
    pub agent_answer: Duration,
    /// How long the record of an ended session is kept.
    #[serde(deserialize_with = "duration")]
    pub keep_ended: Duration,
    /// How long open streams may take to end when the relay stops.
    #[serde(deserialize_with = "duration")]
    pub drain: Duration,
    /// Live sessions of one workspace.
    pub sessions_per_workspace: usize,
    /// Clients attached to one session.
    pub clients_per_session: usize,
    /// Runs at the same time on one machine.
    pub execs_per_machine: usize,
    /// Streams to the files of one machine at the same time.
    pub file_streams_per_machine: usize,
    /// Feeds of one workspace at the same time: each keeps up to 4 MiB for copies to several machines, or between
    /// two.
    pub feeds_per_workspace: usize,
    /// Bytes of reports that wait on the disk while the control plane is away.
    pub spool_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            heartbeat_interval: limits::HEARTBEAT_INTERVAL,
            heartbeat_timeout: limits::HEARTBEAT_TIMEOUT,
            grace: Duration::from_secs(30),
            background: Duration::from_secs(60 * 60),
            pending: Duration::from_secs(60),
            client_silence: Duration::from_secs(60),
            agent_answer: Duration::from_secs(10),
            keep_ended: Duration::from_secs(60 * 60),
            drain: Duration::from_secs(2),
            sessions_per_workspace: 1000,
            clients_per_session: 64,
            execs_per_machine: 256,
            file_streams_per_machine: limits::FILE_STREAMS,
            feeds_per_workspace: 64,
            spool_bytes: 64 << 20,
        }
    }
}

fn duration<'de, D: serde::Deserializer<'de>>(text: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(text)?;
    humantime::parse_duration(&text).map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_written_as_people_write_times() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("relay.toml");
        std::fs::write(&path, "[limits]\ngrace = \"5m\"\nclients-per-session = 3\n").unwrap();
        let file: File = cmdop_service::config::load(Some(&path)).unwrap();
        assert_eq!(file.limits.grace, Duration::from_secs(300));
        assert_eq!(file.limits.clients_per_session, 3);
        assert_eq!(file.limits.background, Limits::default().background);
    }

    #[test]
    fn a_misspelt_limit_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("relay.toml");
        std::fs::write(&path, "[limits]\ngrase = \"5m\"\n").unwrap();
        let error = cmdop_service::config::load::<File>(Some(&path)).unwrap_err();
        assert!(error.to_string().contains("`grace`"), "{error}");
    }
}
