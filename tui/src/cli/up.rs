//! `cmdop up`: control plane, relay and agent on this machine, in the background, and a first login.
//!
//! Whatever runs already is left alone; whatever died is started again on the address that it had.
//! Each step that hangs or fails names the program and shows the end of its log.

mod local;
mod place;
mod process;
mod steps;
pub(super) mod supervise;

use std::io::IsTerminal as _;
use std::path::PathBuf;

use super::context::Context;
use super::failure::Failure;
use super::output;

pub(super) use place::{Place, Program, Running, State};
pub(super) use process::{is_running, stop, uptime};

/// Start control plane, relay and agent on this machine, and open the full screen
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  cmdop up --no-tui && cmdop new")]
pub(super) struct Args {
    /// Where their state is kept [default: the user's data directory]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Do not open the full screen
    #[arg(long)]
    no_tui: bool,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<u8, Failure> {
    let place = Place::find(context, args.data_dir)?;
    let connection = steps::up(context, &place).await?;
    let terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    if args.no_tui || context.globals.json || !terminal {
        let profile = &connection.profile().name;
        if context.globals.json {
            super::status::run(context, super::status::Args::of(&place)).await?;
        } else if terminal {
            output::print(&format!(
                "ready: profile {profile}; `cmdop new` opens a shell\n"
            ))?;
        } else {
            output::print(&format!("ready\t{profile}\n"))?;
        }
        return Ok(0);
    }
    crate::start(
        connection,
        context.home().directory(),
        &context.look(),
        crate::run::Start::Shell,
    )
    .await
}
