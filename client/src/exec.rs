//! Running one program on one machine: three streams and an end. Back-pressure runs to the program:
//! who does not read stops it, as a pipe does.
//!
//! Invariants: the bytes of each output stream join without gap or overlap, stdin is written once and in
//! order, and both hold over any number of lost connections. A run ends when its [`Output`] is dropped,
//! unless it is a detached one.

mod link;
mod stdin;

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use cmdop_proto::limits::{MAX_OUTPUT, RUN_GRACE};
use cmdop_proto::v1::exec_request::Request as Ask;
use cmdop_proto::{RunId, v1};
use tokio::sync::mpsc;

use crate::connection::{Connection, Relay};
use crate::dial::Lane;
use crate::error::Error;
use link::{Client, Ends, Link, Tie};

/// Events between the connection and the caller. Few: four pieces of output are 256 KiB.
const EVENTS: usize = 4;

/// Pieces of stdin on their way to the connection: stdin must feel the program's back-pressure.
const TYPED: usize = 2;

/// Signals that were not taken yet.
const SIGNALS: usize = 8;

/// The largest piece of stdin in one message.
pub const MAX_STDIN: usize = MAX_OUTPUT;

/// What to run.
#[derive(Clone, Debug, Default)]
pub struct Command {
    /// A machine's name or id.
    pub machine: String,
    /// argv, without a shell; at least one.
    pub command: Vec<String>,
    /// Empty: the home of the agent's user.
    pub cwd: String,
    /// Variables to set.
    pub env: HashMap<String, String>,
    /// Whether stdin will be sent; else it is /dev/null.
    pub stdin: bool,
    /// The agent ends the program when it lasts longer.
    pub timeout: Option<Duration>,
    /// It stays when we leave, and its output is kept on the machine. It has no stdin.
    pub detach: bool,
}

/// What came back.
#[derive(Debug)]
pub enum Event {
    /// The agent has started it.
    Started {
        /// Its process id over there.
        pid: u32,
    },
    /// Bytes that it wrote to stdout.
    Stdout(Bytes),
    /// Bytes that it wrote to stderr.
    Stderr(Bytes),
    /// It ended, and all its output was told before.
    Finished(Finished),
}

/// How it ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Finished {
    /// Its exit code, or 128 + the signal that killed it: what a shell would say.
    pub exit_code: u8,
    /// The signal, if one killed it.
    pub signal: Option<u32>,
    /// The agent ended it because its time was over.
    pub timed_out: bool,
    /// The agent was restarted meanwhile and cannot tell how it ended.
    pub lost: bool,
    /// Bytes of stdout that a detached run wrote beyond what is kept.
    pub stdout_lost: u64,
    /// The same of stderr.
    pub stderr_lost: u64,
}

/// What the caller says.
#[derive(Debug)]
enum Typed {
    Data(Bytes),
    End,
}

/// The way in: stdin and signals. Clones speak to the same program.
#[derive(Clone, Debug)]
pub struct Input {
    typed: mpsc::Sender<Typed>,
    signals: mpsc::Sender<u32>,
}

/// The way out.
#[derive(Debug)]
pub struct Output {
    run_id: String,
    events: mpsc::Receiver<Result<Event, Error>>,
}

/// Starts a program. Dropping the [`Output`] ends it (TERM to its process group, KILL after 5 s); a
/// process that ends right after that waits for [`Connection::settle`].
pub async fn run(connection: &Connection, command: Command) -> Result<(Input, Output), Error> {
    let relay = connection.relay(Lane::Bulk).await?;
    let run_id = RunId::new().to_string();
    let start = v1::ExecStart {
        machine: command.machine.clone(),
        command: command.command,
        cwd: command.cwd,
        env: command.env,
        stdin: command.stdin,
        timeout_ms: command.timeout.map_or(0, |limit| limit.as_millis() as u64),
        run_id: run_id.clone(),
        grace_ms: RUN_GRACE.as_millis() as u64,
        detach: command.detach,
        unlisted: false,
    };
    let opened = match open(connection, &relay, start.clone()).await {
        // Nothing was started: a token that is not good any more may be replaced.
        Err(error @ Error::Refused(_)) => {
            let relay = connection.renewed(Lane::Bulk, &relay, error).await?;
            open(connection, &relay, start).await
        }
        opened => opened,
    };
    let link = match opened {
        // It may have been started: whoever comes back to it will see.
        Err(error @ Error::Lost(_)) => Err(error),
        Err(error) => return Err(error),
        Ok(link) => Ok(link),
    };
    let tie = if command.detach {
        Tie::Detached
    } else {
        Tie::Own
    };
    let client = Client::new(connection.clone(), command.machine, run_id.clone(), tie);
    Ok(serve(connection, client, run_id, link))
}

/// Comes to a detached run: all its output from the beginning, then what it writes from now on, then its
/// end. `run` is its id or a unique beginning of it. Dropping the [`Output`] leaves the run alone.
pub async fn attach(connection: &Connection, run: &str) -> Result<Output, Error> {
    let mut client = detached(connection, run);
    let link = client.come_back().await?;
    Ok(serve(connection, client, run.to_owned(), Ok(link)).1)
}

/// Ends a detached run (TERM to its process group, KILL after 5 s), and comes to it as [`attach`] does.
pub async fn end(connection: &Connection, run: &str) -> Result<Output, Error> {
    let mut client = detached(connection, run);
    let link = client.come_back().await?;
    let end = v1::ExecRequest {
        request: Some(Ask::End(true)),
    };
    // A stream that is gone already says so by itself.
    let _ = link.requests.send(end).await;
    Ok(serve(connection, client, run.to_owned(), Ok(link)).1)
}

fn detached(connection: &Connection, run: &str) -> Client {
    Client::new(
        connection.clone(),
        String::new(),
        run.to_owned(),
        Tie::Detached,
    )
}

fn serve(
    connection: &Connection,
    client: Client,
    run_id: String,
    link: Result<Link, Error>,
) -> (Input, Output) {
    let (typed, typed_out) = mpsc::channel(TYPED);
    let (signals, signals_out) = mpsc::channel(SIGNALS);
    let (events_in, events) = mpsc::channel(EVENTS);
    let ends = Ends {
        typed: typed_out,
        signals: signals_out,
        events: events_in,
    };
    connection.runs().spawn(client.run(link, ends));
    (Input { typed, signals }, Output { run_id, events })
}

async fn open(connection: &Connection, relay: &Relay, start: v1::ExecStart) -> Result<Link, Error> {
    let (requests, stream) = link::queue(Ask::Start(start));
    let opened = relay.exec().run(stream).await;
    let responses = opened
        .map_err(|status| {
            let error = Error::from(status);
            if matches!(error, Error::Lost(_)) {
                connection.lost(relay);
            }
            error
        })?
        .into_inner();
    Ok(Link {
        relay: relay.clone(),
        requests,
        responses,
    })
}

impl Input {
    /// Sends bytes to its stdin, waiting while more than 1 MiB is not taken. `false`: it is gone.
    pub async fn stdin(&self, mut data: Bytes) -> bool {
        while !data.is_empty() {
            let piece = data.split_to(data.len().min(MAX_STDIN));
            if self.typed.send(Typed::Data(piece)).await.is_err() {
                return false;
            }
        }
        true
    }

    /// Ends its stdin.
    pub async fn close_stdin(&self) -> bool {
        self.typed.send(Typed::End).await.is_ok()
    }

    /// Signals its process group. One that is under way when a connection is lost is lost with it.
    /// `false`: the program is gone, or eight signals wait already.
    pub fn try_signal(&self, signal: u32) -> bool {
        self.signals.try_send(signal).is_ok()
    }
}

impl Output {
    /// The run's id: what [`attach`] needs to come to a detached one.
    pub fn run_id(&self) -> &str {
        &self.run_id
    }

    /// The next event; `None` after [`Event::Finished`] or an error. Cancel-safe.
    pub async fn next(&mut self) -> Result<Option<Event>, Error> {
        self.events.recv().await.transpose()
    }
}

impl Finished {
    fn read(finished: &v1::ExecFinished) -> Self {
        let (exit_code, signal) = match finished.exit.and_then(|exit| exit.outcome) {
            Some(v1::exit::Outcome::Code(code)) => (code as u8, None),
            Some(v1::exit::Outcome::Signal(signal)) => {
                ((128 + signal.min(127)) as u8, Some(signal))
            }
            // The agent saw its end but not how: nothing that a script may take for success.
            None => (70, None),
        };
        Self {
            exit_code,
            signal,
            timed_out: finished.timed_out,
            lost: finished.lost,
            stdout_lost: finished.stdout_lost,
            stderr_lost: finished.stderr_lost,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finished(outcome: Option<v1::exit::Outcome>) -> Finished {
        Finished::read(&v1::ExecFinished {
            exit: Some(v1::Exit { outcome }),
            ..v1::ExecFinished::default()
        })
    }

    #[test]
    fn the_exit_code_is_what_a_shell_would_say() {
        assert_eq!(finished(Some(v1::exit::Outcome::Code(42))).exit_code, 42);
        assert_eq!(finished(Some(v1::exit::Outcome::Signal(9))).exit_code, 137);
        assert_eq!(finished(None).exit_code, 70);
    }
}
