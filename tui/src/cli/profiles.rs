//! `cmdop profiles`: the servers and accounts that this user has logged in to.

use clap::Subcommand;
use cmdop_client::Profiles;
use serde::Serialize;

use super::context::Context;
use super::failure::Failure;
use super::output;
use super::table::Table;

/// List profiles, or choose the current one
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  cmdop profiles")]
pub(super) struct Args {
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List profiles
    #[command(after_help = "Example:\n  cmdop profiles ls --json")]
    Ls,
    /// Make a profile the current one
    #[command(after_help = "Example:\n  cmdop profiles use local")]
    Use {
        /// Its name
        name: String,
    },
}

pub(super) fn run(context: &Context, args: Args) -> Result<u8, Failure> {
    let mut profiles = Profiles::load(context.home())?;
    match args.action {
        None | Some(Action::Ls) => list(context, &profiles)?,
        Some(Action::Use { name }) => {
            profiles.choose(&name)?;
            profiles.save(context.home())?;
            context.progress(&format!("the current profile is {name}"));
        }
    }
    Ok(0)
}

fn list(context: &Context, profiles: &Profiles) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Record {
        name: String,
        current: bool,
        control_url: String,
        relay_urls: Vec<String>,
        account: String,
        workspace: String,
        token_store: String,
    }
    let mut table = Table::new(&[
        "PROFILE",
        "CURRENT",
        "ACCOUNT",
        "WORKSPACE",
        "CONTROL",
        "TOKENS",
    ]);
    let mut records = Vec::new();
    for profile in profiles.iter() {
        let current = profile.name == profiles.current;
        table.row([
            profile.name.clone(),
            if current { "*".into() } else { String::new() },
            profile.account.clone(),
            profile.workspace.clone(),
            profile.control_url.clone(),
            profile.token_store.to_string(),
        ]);
        records.push(Record {
            name: profile.name.clone(),
            current,
            control_url: profile.control_url.clone(),
            relay_urls: profile.relay_urls.clone(),
            account: profile.account.clone(),
            workspace: profile.workspace.clone(),
            token_store: profile.token_store.to_string(),
        });
    }
    output::listing(context.format(), &records, &table)
}
