//! A command on many machines: some at a time, each driven as `cmdop exec` drives it, and what happens told
//! to a bounded channel. What the user would not see is not sent: of each machine the beginning, at once, and
//! at its end the last of its output.

use std::time::Duration;

use bytes::Bytes;
use cmdop_client::exec::{Command, Finished};
use cmdop_client::{Connection, Error};
use cmdop_proto::{MachineId, text};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::results::{End, Happened, RunEvent, RunRequest, Tail};
use crate::cli::exec::drive::{self, Sink};
use crate::cli::exec::{Outcome, outcome};

/// How many machines run it at the same time, as with `cmdop exec`.
pub const JOBS: usize = 64;

/// How many events may wait: a picture's worth. A client that does not take them stops the programs.
pub const EVENTS: usize = 256;

/// The longest reason that is shown.
const MAX_REASON: usize = 256;

/// A run that is under way; dropping it ends its programs.
#[derive(Debug)]
pub struct Running {
    /// Its number.
    pub run: u64,
    _task: JoinSet<()>,
}

/// Starts it. Every machine of the request tells its end exactly once, unless the run is dropped before.
pub fn start(
    connection: Connection,
    request: RunRequest,
    jobs: usize,
    events: mpsc::Sender<RunEvent>,
) -> Running {
    let run = request.run;
    let mut task = JoinSet::new();
    task.spawn(run_all(connection, request, jobs.max(1), events));
    Running { run, _task: task }
}

async fn run_all(
    connection: Connection,
    request: RunRequest,
    jobs: usize,
    events: mpsc::Sender<RunEvent>,
) {
    let mut waiting = request.machines.iter();
    let mut running = JoinSet::new();
    loop {
        while running.len() < jobs
            && let Some((machine, _)) = waiting.next()
        {
            let teller = Teller {
                run: request.run,
                machine: *machine,
                events: events.clone(),
                tail: Tail::new(request.max_output),
            };
            let command = shell(*machine, &request.command);
            running.spawn(one(connection.clone(), command, teller));
        }
        if running.join_next().await.is_none() {
            return;
        }
    }
}

/// By its id: its name may be another machine's by now.
fn shell(machine: MachineId, line: &str) -> Command {
    Command {
        machine: machine.to_string(),
        command: ["sh", "-c", line].map(str::to_owned).to_vec(),
        ..Command::default()
    }
}

async fn one(connection: Connection, command: Command, mut teller: Teller) {
    let begun = Instant::now();
    let end = drive::run(&connection, command, None, &mut teller).await;
    teller.ended(end, begun.elapsed()).await;
}

/// What tells of one machine.
struct Teller {
    run: u64,
    machine: MachineId,
    events: mpsc::Sender<RunEvent>,
    tail: Tail,
}

impl Teller {
    async fn tell(&self, what: Happened) {
        let event = RunEvent {
            run: self.run,
            machine: self.machine,
            what,
        };
        // Nobody to tell means that the run is being dropped.
        let _ = self.events.send(event).await;
    }

    async fn wrote(&mut self, data: Bytes) {
        if let Some(head) = self.tail.take(data) {
            self.tell(Happened::Output(head)).await;
        }
    }

    async fn ended(mut self, end: Result<Finished, Error>, took: Duration) {
        let tail = std::mem::replace(&mut self.tail, Tail::new(0));
        let (tail, cut) = tail.finish();
        let end = meaning(end);
        self.tell(Happened::Ended {
            end,
            tail,
            cut,
            took,
        })
        .await;
    }
}

impl Sink for Teller {
    async fn started(&mut self) {
        self.tell(Happened::Started).await;
    }

    async fn stdout(&mut self, data: Bytes) {
        self.wrote(data).await;
    }

    async fn stderr(&mut self, data: Bytes) {
        self.wrote(data).await;
    }
}

/// What an end means to a person; the same distinctions as those of `cmdop exec`.
fn meaning(end: Result<Finished, Error>) -> End {
    let outcome = outcome(&end);
    let reason = |error: &Error| text::shown(&error.refusal().message, MAX_REASON);
    match (outcome, end) {
        (Outcome::TimedOut, _) => End::TimedOut,
        (_, Ok(finished)) if finished.lost => End::Unreported("its agent was restarted".into()),
        (_, Ok(finished)) => match finished.signal {
            Some(signal) => End::Killed(signal),
            None => End::Exited(finished.exit_code),
        },
        (Outcome::Offline, Err(_)) => End::Unreachable,
        (Outcome::NotReported, Err(error)) => End::Unreported(reason(&error)),
        (_, Err(error)) => End::Refused(reason(&error)),
    }
}

#[cfg(test)]
mod tests {
    use cmdop_proto::Refusal;

    use super::*;

    #[test]
    fn an_end_is_told_as_the_command_line_tells_it() {
        let finished = |finished| meaning(Ok(finished));
        assert_eq!(finished(Finished::default()), End::Exited(0));
        let killed = Finished {
            exit_code: 137,
            signal: Some(9),
            ..Finished::default()
        };
        assert_eq!(finished(killed), End::Killed(9));
        let late = Finished {
            timed_out: true,
            ..Finished::default()
        };
        assert_eq!(finished(late), End::TimedOut);
        let refused = |refusal| meaning(Err(Error::Refused(refusal)));
        let offline = Refusal::unavailable("machine-offline", "the machine web-1 is offline");
        assert_eq!(refused(offline), End::Unreachable);
        let unknown = Refusal::not_found("machine-unknown", "no such \u{1b}[31mmachine");
        assert_eq!(refused(unknown), End::Refused("no such [31mmachine".into()));
        let lost = meaning(Err(Error::Lost("the link broke".into())));
        assert!(matches!(lost, End::Unreported(_)), "{lost:?}");
    }
}
