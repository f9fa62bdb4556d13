//! `cmdop fs`: files of machines, looked at and changed.

mod cat;
mod change;
mod find;
mod list;

use clap::Subcommand;
use cmdop_client::files::{Files, Place};

use super::context::Context;
use super::failure::Failure;

/// Look at files of machines, and change them
#[derive(Debug, clap::Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Example:\n  cmdop fs ls web-1:/var/log\n  cmdop fs cat web-1:/etc/hostname\n\n\
                  A path is MACHINE:PATH; one that is not absolute is relative to the home of the agent's user."
)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Ls(list::LsArgs),
    Stat(list::StatArgs),
    Du(list::DuArgs),
    Cat(cat::Args),
    Find(find::Args),
    Watch(find::WatchArgs),
    Mkdir(change::MkdirArgs),
    Rm(change::RmArgs),
    Mv(change::MvArgs),
    Cp(change::CpArgs),
    Chmod(change::ChmodArgs),
    Ln(change::LnArgs),
}

pub(super) async fn run(context: &Context, args: Args) -> Result<u8, Failure> {
    match args.action {
        Action::Ls(args) => list::ls(context, args).await,
        Action::Stat(args) => list::stat(context, args).await,
        Action::Du(args) => list::du(context, args).await,
        Action::Cat(args) => cat::run(context, args).await,
        Action::Find(args) => find::run(context, args).await,
        Action::Watch(args) => find::watch(context, args).await,
        Action::Mkdir(args) => change::mkdir(context, args).await,
        Action::Rm(args) => change::rm(context, args).await,
        Action::Mv(args) => change::mv(context, args).await,
        Action::Cp(args) => change::cp(context, args).await,
        Action::Chmod(args) => change::chmod(context, args).await,
        Action::Ln(args) => change::ln(context, args).await,
    }
}

/// A stream to a machine's files.
async fn open(context: &Context, machine: String) -> Result<Files, Failure> {
    let connection = context.connection()?;
    let files = Files::open(&connection, &Place::Machine(machine)).await?;
    context.warn_of_clock(&connection);
    Ok(files)
}
