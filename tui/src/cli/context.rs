//! What every command knows: the global flags, and where this user's profiles are.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use cmdop_client::home::Keyring;
use cmdop_client::{Connection, Home, Profile, Profiles};
use cmdop_proto::text::shown;

use super::failure::Failure;
use super::output::Format;
use crate::run::Look;
use crate::theme::Depth;

/// What `main` read from the environment.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// `CMDOP_HOME`: everything of every program lies under it.
    pub cmdop_home: Option<PathBuf>,
    /// `CMDOP_TOKEN_STORE`: `file` avoids the keyring.
    pub token_store: Option<String>,
    /// `NO_COLOR` is set.
    pub no_color: bool,
    /// `CMDOP_LOG`: what to log.
    pub log: Option<String>,
    /// What the full screen is to look like, and what the terminal can show.
    pub look: Look,
}

/// When to print in colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Flags that stand before or after any command.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Global options")]
pub struct Globals {
    /// Use this profile instead of the current one
    #[arg(long, global = true, value_name = "NAME", env = "CMDOP_PROFILE")]
    pub profile: Option<String>,
    /// Print JSON with stable field names
    #[arg(long, global = true)]
    pub json: bool,
    /// Print a header also where stdout is not a terminal
    #[arg(long, global = true)]
    pub header: bool,
    /// When to use colours
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    pub color: Color,
    /// Print no progress and no warnings
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Say more about what is done; twice and three times for still more
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Give up after this time [default: 30s for single requests, none for `exec`]
    #[arg(long, global = true, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub timeout: Option<Duration>,
}

/// The global flags, the environment, and what follows from them.
#[derive(Clone, Debug)]
pub struct Context {
    /// The flags as given.
    pub globals: Globals,
    /// `CMDOP_HOME`, if it is set.
    pub cmdop_home: Option<PathBuf>,
    home: Home,
    no_color: bool,
    look: Look,
}

impl Context {
    /// Finds the user's directory.
    pub(super) fn new(globals: Globals, environment: &Environment) -> Result<Self, Failure> {
        let keyring = match environment.token_store.as_deref() {
            None | Some("" | "keyring") => Keyring::Allowed,
            Some("file") => Keyring::Avoided,
            Some(other) => {
                let other = shown(other, 32);
                return Err(Failure::usage(format!(
                    "CMDOP_TOKEN_STORE is `{other}`; it can be `file` or `keyring`"
                )));
            }
        };
        let home = Home::locate(environment.cmdop_home.as_deref(), keyring).ok_or_else(|| {
            Failure::usage("this user has no home directory").hint("set CMDOP_HOME to a directory")
        })?;
        Ok(Self {
            globals,
            cmdop_home: environment.cmdop_home.clone(),
            home,
            no_color: environment.no_color,
            look: environment.look.clone(),
        })
    }

    /// The client's directory.
    pub(super) fn home(&self) -> &Home {
        &self.home
    }

    /// The profile that the command is about.
    pub(super) fn profile(&self) -> Result<Profile, Failure> {
        let profiles = Profiles::load(&self.home)?;
        Ok(profiles.select(self.globals.profile.as_deref())?.clone())
    }

    /// That profile's connection. Nothing is sent yet.
    pub(super) fn connection(&self) -> Result<Connection, Failure> {
        let connection = Connection::new(&self.home, &self.profile()?);
        Ok(match self.globals.timeout {
            Some(timeout) => connection.with_timeout(timeout),
            None => connection,
        })
    }

    /// How results are printed.
    pub(super) fn format(&self) -> Format {
        if self.globals.json {
            Format::Json
        } else if std::io::stdout().is_terminal() {
            Format::Table {
                color: self.color(std::io::stdout().is_terminal()),
            }
        } else {
            Format::Tsv {
                header: self.globals.header,
            }
        }
    }

    /// How the full screen looks: `--color` decides before the environment does.
    pub(super) fn look(&self) -> Look {
        let depth = match (self.color(true), self.look.depth) {
            (false, _) => Depth::None,
            (true, Depth::None) => Depth::Palette,
            (true, depth) => depth,
        };
        Look {
            depth,
            ..self.look.clone()
        }
    }

    /// Whether to use colours on a stream that is a terminal or not.
    pub(super) fn color(&self, terminal: bool) -> bool {
        match self.globals.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => terminal && !self.no_color,
        }
    }

    /// Says what is being done, to stderr.
    pub(super) fn progress(&self, text: &str) {
        if !self.globals.quiet && !self.globals.json {
            eprintln!("{text}");
        }
    }

    /// Warns, to stderr.
    pub(super) fn warn(&self, text: &str) {
        if !self.globals.quiet {
            eprintln!("cmdop: warning: {}", shown(text, 1024));
        }
    }

    /// Warns of a clock that a token refresh found to be wrong.
    pub(super) fn warn_of_clock(&self, connection: &Connection) {
        if let Some(skew) = connection.tokens().take_skew() {
            self.warn(&skew.to_string());
        }
    }
}
