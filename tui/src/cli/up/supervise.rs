//! The hidden program that starts again what `up` started and what died since.
//!
//! It watches processes that are not its children, by descriptors that the kernel closes at their
//! end. So it may die itself: the others run on, and the next `up` starts another one. What `up` and
//! `down` do to a program is none of its business: under the lock it looks whether the program that
//! died is still the one that is remembered.

use std::path::PathBuf;
use std::time::Duration;

use cmdop_client::backoff::Backoff;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::place::{Place, Program, Running, State};
use super::{process, steps};
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output;

/// A program that ran this long has recovered: its next death is met with a short wait again.
const RECOVERED: Duration = Duration::from_secs(60);

/// How often the place is looked at for a program that `up` started since.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// How often an agent looks for the servers that it needs: for 30 s.
const SERVER_LOOKS: u32 = 150;

/// Start again what dies of what `cmdop up` started
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Where the state of the programs is kept
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
}

/// Runs until it is told to stop.
pub(in crate::cli) async fn run(context: &Context, args: Args) -> Result<u8, Failure> {
    let place = Place::find(context, Some(args.data_dir))?;
    let mut terminate = signal(SignalKind::terminate())
        .map_err(|error| Failure::internal(format!("cannot hear signals: {error}")))?;
    output::print("supervising\n")?;
    let mut watches = JoinSet::new();
    for program in Program::ALL {
        let place = place.clone();
        watches.spawn(async move { watch(&place, program).await });
    }
    terminate.recv().await;
    Ok(0)
}

/// Keeps one program running.
async fn watch(place: &Place, program: Program) {
    let mut backoff = Backoff::new();
    loop {
        let Some(running) = remembered(place, program) else {
            tokio::time::sleep(LOOK_AGAIN).await;
            continue;
        };
        let begun = Instant::now();
        if process::ended(&running).await.is_err() {
            // No descriptor is to be had: look again later.
            tokio::time::sleep(LOOK_AGAIN).await;
            continue;
        }
        if begun.elapsed() >= RECOVERED {
            backoff.reset();
        }
        // Somebody else, who is at it right now, may have ended it on purpose.
        tokio::time::sleep(backoff.next_wait()).await;
        wait_for_servers(place, program).await;
        match again(place, program, &running).await {
            Ok(Restart::Done(pid)) => {
                say(&format!("{} died; started again as {pid}", program.name()));
            }
            // The next look is soon: whoever is at work may be starting what this one needs.
            Ok(Restart::NotOurs | Restart::Busy) => backoff.reset(),
            Err(failure) => say(&format!(
                "{} does not start: {}",
                program.name(),
                failure.refusal().message
            )),
        }
    }
}

/// An agent is ready only when it is linked: what it links to comes first, or it would hold the lock in
/// vain. Not for ever: somebody may have stopped a server by hand.
async fn wait_for_servers(place: &Place, program: Program) {
    if program != Program::Agent {
        return;
    }
    for _ in 0..SERVER_LOOKS {
        let are_up = [Program::Control, Program::Relay]
            .into_iter()
            .all(|server| {
                remembered(place, server).is_some_and(|running| process::is_running(&running))
            });
        if are_up {
            return;
        }
        tokio::time::sleep(LOOK_AGAIN / 10).await;
    }
}

enum Restart {
    Done(u32),
    /// `up` or `down` had it since.
    NotOurs,
    /// `up` or `down` is at work.
    Busy,
}

async fn again(place: &Place, program: Program, died: &Running) -> Result<Restart, Failure> {
    let Ok(_lock) = place.lock() else {
        return Ok(Restart::Busy);
    };
    let mut state = State::load(place)?;
    if state.get(program) != Some(died) {
        return Ok(Restart::NotOurs);
    }
    let mut running = steps::launch(place, &state, program, &[]).await?;
    running.restarts = died.restarts.saturating_add(1);
    let pid = running.pid;
    state.put(program, running);
    state.save(place)?;
    Ok(Restart::Done(pid))
}

/// The program as it was last started; `None` if it was not, or the state cannot be read now.
fn remembered(place: &Place, program: Program) -> Option<Running> {
    State::load(place).ok()?.get(program).cloned()
}

/// A line of its log, which `up` made its stderr.
fn say(what: &str) {
    let now = crate::cli::values::rfc3339(cmdop_client::clock::now_ms()).unwrap_or_default();
    eprintln!("{now} {what}");
}
