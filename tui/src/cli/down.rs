//! `cmdop down`: stops what `up` started, the agent first.

use std::path::PathBuf;

use super::context::Context;
use super::failure::Failure;
use super::up::{Place, Program, State, stop};

/// Stop what `cmdop up` started on this machine; its sessions end
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  cmdop down")]
pub(super) struct Args {
    /// Where their state is kept [default: the user's data directory]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<u8, Failure> {
    let place = Place::find(context, args.data_dir)?;
    if !place.base().exists() {
        context.progress("nothing was started here");
        return Ok(0);
    }
    let _lock = place.lock_patiently().await?;
    let mut state = State::load(&place)?;
    // First of all: nobody may start again what is stopped here.
    if let Some(supervisor) = state.supervisor.take() {
        stop(&supervisor).await?;
    }
    for program in Program::ALL.into_iter().rev() {
        let Some(running) = state.get(program) else {
            continue;
        };
        if stop(running).await? {
            context.progress(&format!("stopped {}", program.name()));
        }
    }
    state.save(&place)?;
    Ok(0)
}
