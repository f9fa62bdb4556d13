//! The command line of `cmdop-control`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};
use cmdop_proto::token::Role;
use cmdop_service::telemetry::LogFormat;

use crate::secret::Secret;
use crate::store::SecondFactorRule;

/// Accounts, machines, keys and tokens of cmdop.
#[derive(Debug, Parser)]
#[command(name = "cmdop-control", version, after_help = EXAMPLES)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

const EXAMPLES: &str = "Examples:
  cmdop-control serve --listen 0.0.0.0:7443 --public-url https://control.example.org:7443
  cmdop-control backup /backups/control.tar
  cmdop-control admin create-account ada --role member
  cmdop-control admin enroll-token --lifetime 1h --label site=lab";

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Serve until SIGTERM; prints the address in one line when ready.
    Serve(ServeFlags),
    /// Bring the database up to this version without serving; the server must be stopped.
    Migrate(Place),
    /// Put everything that cannot be made again, database and keys, into one file, also while the server runs.
    Backup(BackupArgs),
    /// Make an empty data directory (and an empty PostgreSQL database) what they were at a backup.
    Restore(BackupArgs),
    /// Work on the database directly, also while the server runs.
    Admin(AdminArgs),
}

/// What `serve` takes. A flag beats the environment, the environment beats the file.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ServeFlags {
    /// The configuration file, TOML [default: none].
    #[arg(long, value_name = "FILE", env = "CMDOP_CONTROL_CONFIG")]
    pub config: Option<PathBuf>,
    /// Where to listen; port 0 takes a free one [default: 127.0.0.1:7443].
    #[arg(long, value_name = "ADDR", env = "CMDOP_CONTROL_LISTEN")]
    pub listen: Option<SocketAddr>,
    /// Where state is kept [default: cmdop/cmdop-control in the user's data directory].
    #[arg(long, value_name = "DIR", env = "CMDOP_CONTROL_DATA_DIR")]
    pub data_dir: Option<PathBuf>,
    /// The PostgreSQL database, `postgres://user:password@host/database`; a password is better told in
    /// the environment or the file [default: a file in the data directory].
    #[arg(
        long,
        value_name = "URL",
        env = "CMDOP_CONTROL_DATABASE",
        hide_env_values = true
    )]
    pub database: Option<String>,
    /// The keys that seal secrets in the database, one of 32 bytes in base64 a line; better told in the environment
    /// [default: secrets.key in the data directory].
    #[arg(
        long,
        value_name = "KEYS",
        env = "CMDOP_CONTROL_SECRETS_KEY",
        hide_env_values = true,
        value_parser = secret()
    )]
    pub secrets_key: Option<Secret>,
    /// How people, machines and relays reach it [default: the address that it listens on].
    #[arg(long, value_name = "URL", env = "CMDOP_CONTROL_PUBLIC_URL")]
    pub public_url: Option<String>,
    /// How logs look [default: auto].
    #[arg(long, value_name = "FORMAT", env = "CMDOP_LOG_FORMAT", value_enum)]
    pub log_format: Option<LogFormat>,
    /// The account that the first start makes [default: this user's name].
    #[arg(long, value_name = "NAME", env = "CMDOP_CONTROL_OWNER")]
    pub owner: Option<String>,
    /// How long the records of sessions are kept after their end, at least 1d [default: 90d].
    #[arg(long, value_name = "AGE", env = "CMDOP_CONTROL_KEEP_SESSIONS")]
    pub keep_sessions: Option<String>,
    /// How long the audit log is kept, at least 30d, or `forever` [default: forever].
    #[arg(long, value_name = "AGE", env = "CMDOP_CONTROL_KEEP_AUDIT")]
    pub keep_audit: Option<String>,
    /// Address for Prometheus (plain HTTP) [default: none].
    #[arg(long, value_name = "ADDR", env = "CMDOP_CONTROL_METRICS_LISTEN")]
    pub metrics_listen: Option<SocketAddr>,
    /// A page of another origin that may hear events, `https://host:port`; can be given again
    /// [default: only the control plane's own].
    #[arg(
        long,
        value_name = "URL",
        env = "CMDOP_CONTROL_ALLOW_ORIGIN",
        value_delimiter = ','
    )]
    pub allow_origin: Vec<String>,
}

/// Where the state is.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Place {
    /// Where state is kept [default: cmdop/cmdop-control in the user's data directory].
    #[arg(
        long,
        value_name = "DIR",
        env = "CMDOP_CONTROL_DATA_DIR",
        global = true
    )]
    pub data_dir: Option<PathBuf>,
    /// The PostgreSQL database, `postgres://user:password@host/database`; a password is better told in
    /// the environment or the file [default: a file in the data directory].
    #[arg(
        long,
        value_name = "URL",
        env = "CMDOP_CONTROL_DATABASE",
        hide_env_values = true,
        global = true
    )]
    pub database: Option<String>,
}

/// What `backup` and `restore` take.
#[derive(Debug, clap::Args)]
pub struct BackupArgs {
    /// The file of the backup. It holds every key of this control plane: keep it as safe as those.
    pub file: PathBuf,
    /// Where the state is.
    #[command(flatten)]
    pub place: Place,
}

/// What `admin` takes.
#[derive(Debug, clap::Args)]
pub struct AdminArgs {
    /// Where the state is.
    #[command(flatten)]
    pub place: Place,
    /// The keys that seal secrets in the database, one of 32 bytes in base64 a line; better told in the environment
    /// [default: secrets.key in the data directory].
    #[arg(
        long,
        value_name = "KEYS",
        env = "CMDOP_CONTROL_SECRETS_KEY",
        hide_env_values = true,
        value_parser = secret(),
        global = true
    )]
    pub secrets_key: Option<Secret>,
    /// What to do.
    #[command(subcommand)]
    pub task: Task,
}

/// A task on the database.
#[derive(Debug, Subcommand)]
pub enum Task {
    /// Make a workspace; prints its id.
    CreateWorkspace {
        /// Its name.
        name: String,
    },
    /// List the workspaces.
    Workspaces {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Make an account; prints its id. Without a password it logs in by `login-secret`.
    CreateAccount {
        /// Its name, one of its kind on the whole control plane.
        name: String,
        /// Its workspace.
        #[command(flatten)]
        workspace: InWorkspace,
        /// What it may do: owner, admin, member or guest.
        #[arg(long, value_parser = role)]
        role: Role,
        /// Read its password from stdin.
        #[arg(long)]
        password_stdin: bool,
    },
    /// List the accounts.
    Accounts {
        /// Only those of this workspace.
        #[arg(long, value_name = "NAME")]
        workspace: Option<String>,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Give an account a password: what it logged in with before ends.
    SetPassword {
        /// The account.
        name: String,
        /// Let its logins go on.
        #[arg(long)]
        keep_logins: bool,
        /// Read it from stdin.
        #[arg(long, required = true)]
        password_stdin: bool,
    },
    /// Refuse an account from now on: its logins end, its tokens are void.
    DisableAccount {
        /// The account.
        name: String,
    },
    /// Let a disabled account log in again.
    EnableAccount {
        /// The account.
        name: String,
    },
    /// Give an account another role in its workspace; the last owner stays one.
    SetRole {
        /// The account.
        name: String,
        /// What it may do: owner, admin, member or guest.
        #[arg(value_parser = role)]
        role: Role,
    },
    /// Print a secret that logs an account in once.
    LoginSecret {
        /// The account.
        name: String,
        /// How long it can be used.
        #[arg(long, default_value = "1h", value_parser = duration)]
        lifetime: Duration,
    },
    /// Require a second factor of everybody in a workspace, or leave it to them. Logins that stand go on.
    RequireSecondFactor {
        /// The workspace.
        workspace: String,
        /// `on` or `off`.
        #[arg(value_parser = second_factor_rule, value_name = "on|off")]
        rule: SecondFactorRule,
    },
    /// Take an account's second factor and recovery codes away: for who lost both.
    ResetSecondFactor {
        /// The account.
        name: String,
    },
    /// Let an account be logged in to again at once, after too many wrong guesses.
    Unlock {
        /// The account.
        name: String,
    },
    /// Let somebody who logs in at another provider of identity come as an account.
    NameIdentity {
        /// The account.
        name: String,
        /// The provider, as it is configured.
        #[arg(long, value_name = "URL")]
        issuer: String,
        /// An address that the provider has verified; the first who comes with it stays.
        #[arg(
            long,
            value_name = "ADDRESS",
            required_unless_present = "subject",
            conflicts_with = "subject"
        )]
        email: Option<String>,
        /// The provider's own name for them.
        #[arg(long)]
        subject: Option<String>,
    },
    /// Let nobody come from another provider of identity as an account any more.
    ForgetIdentities {
        /// The account.
        name: String,
    },
    /// Make a new key for signing tokens; prints its name. It is published at once and signs later.
    RotateKey {
        /// After how long it signs: by then every relay has heard of it.
        #[arg(long, default_value = "10m", value_parser = duration)]
        lead: Duration,
    },
    /// List the keys that sign tokens.
    SigningKeys {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Remove a key for signing tokens: what it signed is void at once. Old keys go by themselves.
    RemoveKey {
        /// Its name.
        key: String,
    },
    /// List the keys for secrets, those in secrets.key and those that have sealed something, and how much each has sealed: a
    /// key that has sealed nothing any more can be taken out.
    SecretsKeys {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Seal every secret in the database anew with the first key in secrets.key, while the servers run; prints how many.
    /// All servers must have that key already.
    Reseal {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Print the certificate of the private CA, PEM: what relays, machines and people trust.
    Ca {
        /// Print its SHA-256 instead, as it stands in enrolment tokens.
        #[arg(long)]
        fingerprint: bool,
    },
    /// Remove the private CA, for when its key has leaked: the next start of the servers makes another, and relays and
    /// machines have to enrol again.
    RemoveCa {
        /// The SHA-256 of its certificate, as `ca --fingerprint` prints it.
        fingerprint: String,
    },
    /// Print a token with which one machine can join.
    EnrollToken {
        /// Its workspace.
        #[command(flatten)]
        workspace: InWorkspace,
        /// How long it can be used.
        #[arg(long, default_value = "1h", value_parser = duration)]
        lifetime: Duration,
        /// A label that the machine gets; can be given again.
        #[arg(long = "label", value_name = "KEY=VALUE", value_parser = label)]
        labels: Vec<(String, String)>,
    },
    /// Print a token with which one relay can join.
    RelayToken {
        /// How long it can be used.
        #[arg(long, default_value = "1h", value_parser = duration)]
        lifetime: Duration,
    },
    /// List the machines.
    Machines {
        /// Only those of this workspace.
        #[arg(long, value_name = "NAME")]
        workspace: Option<String>,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Remove a machine: its tokens are void, its name is free.
    RemoveMachine {
        /// Its name or id.
        name: String,
        /// Its workspace.
        #[command(flatten)]
        workspace: InWorkspace,
    },
}

/// Which workspace.
#[derive(Clone, Debug, clap::Args)]
pub struct InWorkspace {
    /// The workspace.
    #[arg(long, value_name = "NAME", default_value = crate::bootstrap::DEFAULT_WORKSPACE)]
    pub workspace: String,
}

fn secret() -> clap::builder::ValueParser {
    let read = |text: &str| Ok::<_, std::convert::Infallible>(Secret::given(text));
    clap::builder::ValueParser::new(read)
}

fn role(text: &str) -> Result<Role, String> {
    Role::parse(text).ok_or_else(|| "it is one of owner, admin, member, guest".to_owned())
}

fn second_factor_rule(text: &str) -> Result<SecondFactorRule, String> {
    match text {
        "on" => Ok(SecondFactorRule::Required),
        "off" => Ok(SecondFactorRule::Optional),
        _ => Err("it is on or off".to_owned()),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|error| format!("{error}; for example 90s, 1h or 2d"))
}

fn label(text: &str) -> Result<(String, String), String> {
    text.split_once('=')
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .ok_or_else(|| "it has the form KEY=VALUE".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Args::command().debug_assert();
    }

    #[test]
    fn admin_takes_its_directory_before_or_after_the_task() {
        for line in [
            "cmdop-control admin --data-dir /x enroll-token --label a=b --label c=d=e",
            "cmdop-control admin enroll-token --label a=b --label c=d=e --data-dir /x",
        ] {
            let args = Args::try_parse_from(line.split(' ')).unwrap();
            let Verb::Admin(AdminArgs { place, task, .. }) = args.verb else {
                panic!("not admin");
            };
            assert_eq!(place.data_dir, Some("/x".into()));
            let Task::EnrollToken {
                labels, lifetime, ..
            } = task
            else {
                panic!("not enroll-token");
            };
            assert_eq!(lifetime, Duration::from_secs(3600));
            assert_eq!(labels[1], ("c".to_owned(), "d=e".to_owned()));
        }
    }

    #[test]
    fn a_role_that_does_not_exist_names_those_that_do() {
        let line = "cmdop-control admin create-account ada --role root";
        let error = Args::try_parse_from(line.split(' ')).unwrap_err();
        assert!(
            error.to_string().contains("owner, admin, member, guest"),
            "{error}"
        );
    }
}
