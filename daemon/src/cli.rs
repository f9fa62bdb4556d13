//! The command line of `cmdopd`.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use cmdop_proto::ErrorKind;
use cmdop_service::telemetry::{self, LogFormat};
use cmdop_service::{config as files, data_dir, shutdown, tls};

use crate::config::{Config, File};
use crate::enroll::{self, Enrollment};
use crate::state::{LinkState, Status};
use crate::{PROGRAM, agent, local};

/// The agent of cmdop: live shells on this machine, reached through a relay.
#[derive(Debug, Parser)]
#[command(
    name = "cmdopd",
    version,
    after_help = "Example:\n  cmdopd enroll --control https://control:7443 --token cmdop_enroll_…\n  cmdopd run"
)]
pub struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Join a workspace with an enrolment token.
    #[command(
        after_help = "Example:\n  cmdopd enroll --control https://control:7443 --token cmdop_enroll_… --label env=prod"
    )]
    Enroll(Enroll),
    /// Run the agent until it is stopped.
    #[command(after_help = "Example:\n  cmdopd run --data-dir /var/lib/cmdopd --log-format json")]
    Run(Run),
    /// How the agent that runs here is doing, as one line of JSON.
    #[command(after_help = "Example:\n  cmdopd status")]
    Status(Place),
    /// Replace the running agent by the program that is installed now; sessions go on.
    #[command(after_help = "Example:\n  install -m 755 cmdopd /usr/local/bin/ && cmdopd upgrade")]
    Upgrade(Place),
    /// Forget this machine's identity and key.
    #[command(after_help = "Example:\n  cmdopd unenroll && cmdopd enroll --control … --token …")]
    Unenroll(Place),
}

#[derive(Debug, Args)]
struct Place {
    /// Where the identity is kept [default: the user's data directory for cmdopd].
    #[arg(long, value_name = "DIR", env = "CMDOP_DATA_DIR")]
    data_dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct Enroll {
    /// The control plane.
    #[arg(long, value_name = "URL", env = "CMDOP_CONTROL")]
    control: String,
    /// What `cmdop machines enroll-token` printed.
    #[arg(long, env = "CMDOP_ENROLL_TOKEN", hide_env_values = true)]
    token: String,
    /// The machine's name in the workspace [default: its hostname].
    #[arg(long, value_name = "NAME")]
    hostname: Option<String>,
    /// A label to select the machine by; may be given several times.
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = label)]
    labels: Vec<(String, String)>,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Args)]
struct Run {
    #[command(flatten)]
    place: Place,
    /// A TOML file with settings.
    #[arg(long, value_name = "FILE", env = "CMDOP_CONFIG")]
    config: Option<PathBuf>,
    /// A relay to use instead of those that the control plane named; may be given several times.
    #[arg(long = "relay", value_name = "URL")]
    relays: Vec<String>,
    /// How log lines look [default: auto].
    #[arg(long, value_name = "FORMAT", env = "CMDOP_LOG_FORMAT")]
    log_format: Option<LogFormat>,
}

/// How long a new agent may take until it is linked, and how often it is asked.
const UPGRADE_TIMEOUT: Duration = Duration::from_secs(30);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration file.
    #[error(transparent)]
    Config(#[from] files::Error),
    /// The data directory.
    #[error(transparent)]
    DataDir(#[from] data_dir::Error),
    /// Joining or leaving.
    #[error(transparent)]
    Enroll(#[from] enroll::Error),
    /// Running.
    #[error(transparent)]
    Run(#[from] agent::Error),
    /// Asking the running agent.
    #[error(transparent)]
    Status(#[from] local::Error),
    /// The agent that runs is not one that can be replaced.
    #[error(
        "the agent that runs here holds its sessions itself: it cannot be replaced under them; \
         stop it and start the new one"
    )]
    NoHolder,
    /// The new agent did not come up.
    #[error("the new agent was not linked within 30 s; `cmdopd status` and its log say more")]
    UpgradeTimeout,
    /// The system refused signals or a terminal.
    #[error("cannot start: {0}")]
    System(#[from] std::io::Error),
}

impl Error {
    /// The process's exit code (sysexits.h).
    pub fn exit_code(&self) -> u8 {
        let kind = match self {
            Self::Config(_) => ErrorKind::Invalid,
            Self::Enroll(error) => error.kind(),
            Self::DataDir(_) | Self::Run(_) => ErrorKind::Denied,
            Self::Status(_) | Self::NoHolder | Self::UpgradeTimeout => ErrorKind::Unavailable,
            Self::System(_) => ErrorKind::Internal,
        };
        kind.exit_code()
    }
}

impl Cli {
    /// Does what the command line says. `environment` is what programs may inherit from.
    pub async fn run(self, environment: Vec<(OsString, OsString)>) -> Result<(), Error> {
        tls::install_provider();
        match self.verb {
            Verb::Enroll(arguments) => enroll(arguments).await,
            Verb::Run(arguments) => run(arguments, environment).await,
            Verb::Status(place) => status(place).await,
            Verb::Upgrade(place) => upgrade(place).await,
            Verb::Unenroll(place) => unenroll(place),
        }
    }

    /// Whether it asks for an agent, whose sessions are to outlive it.
    pub fn runs_an_agent(&self) -> bool {
        matches!(self.verb, Verb::Run(_))
    }
}

impl Place {
    fn resolve(self, configured: Option<PathBuf>) -> Result<PathBuf, Error> {
        Ok(match self.data_dir.or(configured) {
            Some(path) => path,
            None => data_dir::default_path(PROGRAM)?,
        })
    }
}

async fn enroll(arguments: Enroll) -> Result<(), Error> {
    telemetry::install(LogFormat::Auto);
    let identity = enroll::enroll(Enrollment {
        control_url: arguments.control,
        token: arguments.token,
        hostname: arguments.hostname,
        labels: arguments.labels.into_iter().collect::<HashMap<_, _>>(),
        data_dir: arguments.place.resolve(None)?,
    })
    .await?;
    say(&format!(
        "enrolled as {} in workspace {}",
        identity.hostname, identity.workspace_name
    ));
    Ok(())
}

async fn run(arguments: Run, environment: Vec<(OsString, OsString)>) -> Result<(), Error> {
    let file: File = files::load(arguments.config.as_deref())?;
    telemetry::install(arguments.log_format.or(file.log_format).unwrap_or_default());
    let data_dir = arguments.place.resolve(file.data_dir.clone())?;
    let mut config = Config::from_file(&file, &data_dir);
    config.environment = environment;
    if !arguments.relays.is_empty() {
        config.relays = arguments.relays;
    }
    let mut link = config.link.subscribe();
    let stop = shutdown::on_signal()?;
    let agent = agent::run(config, stop.clone());
    let announce = async {
        let is_linked = |state: &LinkState| matches!(state, LinkState::Linked { .. });
        let linked = link.wait_for(is_linked).await.map(|state| state.clone());
        if let Ok(LinkState::Linked { relay_url, .. }) = linked {
            say(&format!("linked {relay_url}"));
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        done = agent => Ok(done?),
        () = announce => Ok(()),
    }
}

async fn status(place: Place) -> Result<(), Error> {
    let status: Status = local::status(&place.resolve(None)?).await?;
    say(&serde_json::to_string(&status).expect("text and numbers are JSON"));
    Ok(())
}

async fn upgrade(place: Place) -> Result<(), Error> {
    let data_dir = place.resolve(None)?;
    let before = local::status(&data_dir).await?;
    let holder = before
        .holder_pid
        .and_then(|pid| rustix::process::Pid::from_raw(pid as i32))
        .ok_or(Error::NoHolder)?;
    rustix::process::kill_process(holder, rustix::process::Signal::USR2)
        .map_err(std::io::Error::from)?;
    let replaced = async {
        loop {
            tokio::time::sleep(LOOK_AGAIN).await;
            if let Ok(now) = local::status(&data_dir).await
                && now.pid != before.pid
                && matches!(now.link, LinkState::Linked { .. })
            {
                return now;
            }
        }
    };
    let now = tokio::time::timeout(UPGRADE_TIMEOUT, replaced)
        .await
        .map_err(|_| Error::UpgradeTimeout)?;
    say(&format!(
        "upgraded from {} (process {}) to {} (process {}); {} sessions go on",
        before.version, before.pid, now.version, now.pid, now.sessions
    ));
    Ok(())
}

fn unenroll(place: Place) -> Result<(), Error> {
    match enroll::unenroll(&place.resolve(None)?)? {
        Some(identity) => say(&format!(
            "forgot that this machine was {} in workspace {}; an admin frees the name with \
             `cmdop machines remove {}`",
            identity.hostname, identity.workspace_name, identity.hostname
        )),
        None => say("this machine was not enrolled"),
    }
    Ok(())
}

/// A result for whoever started us; a reader that went away is no reason to fail.
fn say(line: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = writeln!(stdout, "{line}");
    let _ = stdout.flush();
}

fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.into(), value.into())),
        _ => Err("a label is KEY=VALUE".into()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_label_has_a_key() {
        assert_eq!(label("a=b=c"), Ok(("a".into(), "b=c".into())));
        assert!(label("=b").is_err() && label("a").is_err());
    }
}
