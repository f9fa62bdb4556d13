//! The command line of `cmdop-relay`: flags over environment over file over defaults.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use cmdop_service::telemetry::LogFormat;
use cmdop_service::{config, data_dir};

use crate::config::{Config, DEFAULT_LISTEN, File};

/// Carries live sessions between agents and clients.
#[derive(Debug, Parser)]
#[command(name = "cmdop-relay", version, about, after_help = EXAMPLE)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXAMPLE: &str = "Example:\n  cmdop-relay serve --control https://control.example.org:7443 \\
      --advertise https://relay.example.org:7444 --listen 0.0.0.0:7444 --enroll-token-file token";

/// What a relay can be told to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serves agents and clients until SIGTERM
    Serve(Box<Serve>),
}

/// How to serve.
#[derive(Debug, Args)]
pub struct Serve {
    /// Configuration file (TOML)
    #[arg(long, value_name = "FILE", env = "CMDOP_RELAY_CONFIG")]
    config: Option<PathBuf>,
    /// Address for agents and clients; port 0 takes a free one [default: 127.0.0.1:7444]
    #[arg(long, value_name = "ADDR", env = "CMDOP_RELAY_LISTEN")]
    listen: Option<SocketAddr>,
    /// Where its identity and state are kept [default: the user's data directory]
    #[arg(long, value_name = "DIR", env = "CMDOP_RELAY_DATA_DIR")]
    data_dir: Option<PathBuf>,
    /// The control plane, for the first start
    #[arg(long, value_name = "URL", env = "CMDOP_RELAY_CONTROL")]
    control: Option<String>,
    /// How agents and clients reach it [default: https://LISTEN]
    #[arg(long, value_name = "URL", env = "CMDOP_RELAY_ADVERTISE")]
    advertise: Option<String>,
    /// File (mode 0600) with the enrolment token, for the first start
    #[arg(long, value_name = "FILE", env = "CMDOP_RELAY_ENROLL_TOKEN_FILE")]
    enroll_token_file: Option<PathBuf>,
    /// Address for Prometheus (plain HTTP) [default: none]
    #[arg(long, value_name = "ADDR", env = "CMDOP_RELAY_METRICS_LISTEN")]
    metrics_listen: Option<SocketAddr>,
    /// How log lines look [default: auto]
    #[arg(
        long,
        value_enum,
        value_name = "FORMAT",
        env = "CMDOP_RELAY_LOG_FORMAT"
    )]
    log_format: Option<LogFormat>,
}

/// Why the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// See [`config::Error`].
    #[error(transparent)]
    File(#[from] config::Error),
    /// See [`data_dir::Error`].
    #[error(transparent)]
    DataDir(#[from] data_dir::Error),
}

impl Serve {
    /// The configuration, and how log lines look.
    pub fn resolve(self) -> Result<(Config, LogFormat), Error> {
        let file: File = config::load(self.config.as_deref())?;
        let default_listen = || DEFAULT_LISTEN.parse().expect("the default is an address");
        let data_dir = match self.data_dir.or(file.data_dir) {
            Some(data_dir) => data_dir,
            None => data_dir::default_path("cmdop-relay")?,
        };
        let config = Config {
            listen: self.listen.or(file.listen).unwrap_or_else(default_listen),
            data_dir,
            control: self.control.or(file.control),
            advertise: self.advertise.or(file.advertise),
            enroll_token_file: self.enroll_token_file.or(file.enroll_token_file),
            metrics_listen: self.metrics_listen.or(file.metrics_listen),
            limits: file.limits,
        };
        Ok((
            config,
            self.log_format.or(file.log_format).unwrap_or_default(),
        ))
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn flags_win_over_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("relay.toml");
        std::fs::write(
            &path,
            "listen = \"127.0.0.1:1\"\ncontrol = \"https://c:1\"\n",
        )
        .unwrap();
        let arguments = [
            "cmdop-relay",
            "serve",
            "--listen",
            "127.0.0.1:2",
            "--data-dir",
            "/x",
        ];
        let config = ["--config", path.to_str().unwrap()];
        let Command::Serve(serve) = Cli::parse_from(arguments.into_iter().chain(config)).command;
        let (config, _) = serve.resolve().unwrap();
        assert_eq!(config.listen.port(), 2);
        assert_eq!(config.control.as_deref(), Some("https://c:1"));
    }
}
