//! `cmdop keys`: API keys for programs.

use std::time::Duration;

use clap::Subcommand;
use cmdop_client::keys::{self, Whose};
use cmdop_proto::scope::{Scope, Scopes};
use cmdop_proto::text::shown;
use cmdop_proto::v1;
use serde::Serialize;

use super::context::Context;
use super::failure::Failure;
use super::output;
use super::table::Table;
use super::values::{ago, rfc3339};

/// Issue, list and revoke API keys, with which programs act for you
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  cmdop keys issue ci --scope exec --scope machines:read --lifetime 90d"
)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Subcommand)]
enum Action {
    Ls(ListArgs),
    Issue(IssueArgs),
    Revoke(RevokeArgs),
}

/// List keys
#[derive(Debug, Default, clap::Args)]
#[command(after_help = "Example:\n  cmdop keys ls --all")]
struct ListArgs {
    /// Also those of other members; takes an admin
    #[arg(long)]
    all: bool,
}

/// Make a key, and print it this once
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  cmdop keys issue ci --scope exec --lifetime 90d > key\n  \
                        cmdop login https://host:7443 --api-key-stdin < key"
)]
struct IssueArgs {
    /// What to call it
    name: String,
    /// What it is good for, of what your role allows; may be repeated
    #[arg(long = "scope", required = true, value_parser = scope)]
    scopes: Vec<Scope>,
    /// How long it works [default: until it is revoked]
    #[arg(long, value_parser = humantime::parse_duration)]
    lifetime: Option<Duration>,
}

/// End a key: its tokens are refused within a second
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  cmdop keys revoke ci")]
struct RevokeArgs {
    /// Its id, or its name where no other key has it
    key: String,
}

/// Reads a scope.
fn scope(text: &str) -> Result<Scope, String> {
    Scope::parse(text).ok_or_else(|| {
        let known = Scope::ALL.map(Scope::as_str).join(", ");
        format!("it is one of {known}")
    })
}

pub(super) async fn run(context: &Context, args: Args) -> Result<u8, Failure> {
    let connection = context.connection()?;
    match args.action.unwrap_or(Action::Ls(ListArgs::default())) {
        Action::Ls(args) => {
            let whose = if args.all {
                Whose::Everybody
            } else {
                Whose::Own
            };
            let all = keys::list(&connection, whose).await?;
            let records: Vec<_> = all.iter().map(Record::of).collect();
            output::listing(context.format(), &records, &table(&all))?;
        }
        Action::Issue(args) => {
            let scopes: Scopes = args.scopes.into_iter().collect();
            let made = keys::issue(&connection, &args.name, scopes, args.lifetime).await?;
            issued(context, &made)?;
        }
        Action::Revoke(args) => {
            keys::revoke(&connection, &args.key).await?;
            context.progress(&format!("revoked {}", shown(&args.key, 64)));
        }
    }
    Ok(0)
}

/// The key alone, so that it can be piped; what else there is to say goes to stderr.
fn issued(context: &Context, made: &v1::IssueKeyResponse) -> Result<(), Failure> {
    let secret = shown(&made.secret, 1024);
    if context.globals.json {
        let mut record = Record::of(&made.key.clone().unwrap_or_default());
        record.key = Some(secret);
        return output::json(&record);
    }
    context.progress("this is the only time that the key is shown");
    output::print(&format!("{secret}\n"))
}

/// A key as `--json` prints it.
#[derive(Debug, Serialize)]
struct Record {
    id: String,
    name: String,
    prefix: String,
    scopes: Vec<String>,
    account: String,
    state: &'static str,
    created_at: Option<String>,
    expires_at: Option<String>,
    last_used_at: Option<String>,
    revoked_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
}

impl Record {
    fn of(key: &v1::ApiKey) -> Self {
        Self {
            id: key.id.clone(),
            name: key.name.clone(),
            prefix: key.prefix.clone(),
            scopes: key.scopes.clone(),
            account: key.account_name.clone(),
            state: state(key),
            created_at: rfc3339(key.created_at_ms),
            expires_at: rfc3339(key.expires_at_ms),
            last_used_at: rfc3339(key.last_used_at_ms),
            revoked_at: rfc3339(key.revoked_at_ms),
            key: None,
        }
    }
}

fn state(key: &v1::ApiKey) -> &'static str {
    let now = cmdop_client::clock::now_ms();
    if key.revoked_at_ms > 0 {
        "revoked"
    } else if key.expires_at_ms > 0 && key.expires_at_ms <= now {
        "expired"
    } else {
        "good"
    }
}

fn table(keys: &[v1::ApiKey]) -> Table {
    let mut table = Table::new(&[
        "KEY",
        "BEGINS WITH",
        "OF",
        "STATE",
        "USED",
        "UNTIL",
        "SCOPES",
        "ID",
    ]);
    for key in keys {
        table.row([
            key.name.clone(),
            key.prefix.clone(),
            key.account_name.clone(),
            state(key).into(),
            ago(key.last_used_at_ms),
            rfc3339(key.expires_at_ms).unwrap_or_default(),
            key.scopes.join(" "),
            key.id.clone(),
        ]);
    }
    table
}
