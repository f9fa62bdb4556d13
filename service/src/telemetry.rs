//! Logs: for people on a terminal, JSON lines for machines; always to stderr, never a secret.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// Text; with colours on a terminal.
    #[default]
    Auto,
    /// One JSON object a line.
    Json,
}

/// Installs the process's subscriber. `CMDOP_LOG` (tracing's filter syntax) overrides the level `info`.
pub fn install(format: LogFormat) {
    let filter = EnvFilter::try_from_env("CMDOP_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    // A second installation (several programs in one test process) keeps the first.
    let _ = match format {
        LogFormat::Json => builder.json().try_init().map_err(drop),
        LogFormat::Auto => builder
            .with_ansi(std::io::stderr().is_terminal())
            .with_target(false)
            .try_init()
            .map_err(drop),
    };
}
