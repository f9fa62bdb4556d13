//! The command line of `cmdop-router`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, Subcommand};
use cmdop_service::telemetry::LogFormat;

/// One door to language models and web search.
#[derive(Debug, Parser)]
#[command(name = "cmdop-router", version, after_help = EXAMPLES)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

const EXAMPLES: &str = "Examples:
  cmdop-router check --config router.toml
  cmdop-router serve --listen 127.0.0.1:7445";

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Serve until SIGTERM; prints the address in one line when ready.
    Serve(Flags),
    /// Check the configuration and say what `serve` would do, without doing it.
    Check(Flags),
}

/// What both verbs take. A flag beats the environment, the environment beats the file.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Flags {
    /// The configuration file, TOML [default: none].
    #[arg(long, value_name = "FILE", env = "CMDOP_ROUTER_CONFIG")]
    pub config: Option<PathBuf>,
    /// Where to listen; port 0 takes a free one [default: 127.0.0.1:7445].
    #[arg(long, value_name = "ADDR", env = "CMDOP_ROUTER_LISTEN")]
    pub listen: Option<SocketAddr>,
    /// Where state is kept [default: cmdop/router in the user's data directory].
    #[arg(long, value_name = "DIR", env = "CMDOP_ROUTER_DATA_DIR")]
    pub data_dir: Option<PathBuf>,
    /// How logs look [default: auto].
    #[arg(long, value_name = "FORMAT", env = "CMDOP_LOG_FORMAT", value_enum)]
    pub log_format: Option<LogFormat>,
}

impl Args {
    /// The flags, whatever the verb.
    pub fn flags(&self) -> &Flags {
        match &self.verb {
            Verb::Serve(flags) | Verb::Check(flags) => flags,
        }
    }
}
