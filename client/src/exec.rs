//! Running one program on one machine: three streams and an end. Back-pressure runs to the program:
//! who does not read stops it, as a pipe does.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use cmdop_proto::limits::MAX_OUTPUT;
use cmdop_proto::v1::exec_request::Request as Ask;
use cmdop_proto::v1::exec_response::Response as Answer;
use cmdop_proto::{RunId, v1};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::connection::{Connection, Relay};
use crate::dial::Lane;
use crate::error::Error;

/// Requests on their way to the connection. Few: stdin must feel the program's back-pressure.
const QUEUE: usize = 4;

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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finished {
    /// Its exit code, or 128 + the signal that killed it: what a shell would say.
    pub exit_code: u8,
    /// The signal, if one killed it.
    pub signal: Option<u32>,
    /// The agent ended it because its time was over.
    pub timed_out: bool,
}

/// The way in: stdin and signals. Clones speak to the same program.
#[derive(Clone, Debug)]
pub struct Input {
    requests: mpsc::Sender<v1::ExecRequest>,
}

/// The way out.
#[derive(Debug)]
pub struct Output {
    responses: tonic::Streaming<v1::ExecResponse>,
    stdout: u64,
    stderr: u64,
    finished: bool,
}

/// Starts a program. Dropping the [`Output`] ends it (TERM to its process group, KILL after 5 s).
pub async fn run(connection: &Connection, command: Command) -> Result<(Input, Output), Error> {
    let relay = connection.relay(Lane::Bulk).await?;
    match start(connection, &relay, command.clone()).await {
        // Nothing was started: a token that this clock thought good may be renewed.
        Err(Error::Refused(refusal)) if refusal.reason == "token-expired" => {
            let relay = connection.renewed(Lane::Bulk, &relay).await?;
            start(connection, &relay, command).await
        }
        started => started,
    }
}

async fn start(
    connection: &Connection,
    relay: &Relay,
    command: Command,
) -> Result<(Input, Output), Error> {
    let (requests, stream) = mpsc::channel(QUEUE);
    let start = v1::ExecStart {
        machine: command.machine,
        command: command.command,
        cwd: command.cwd,
        env: command.env,
        stdin: command.stdin,
        timeout_ms: command.timeout.map_or(0, |limit| limit.as_millis() as u64),
        run_id: RunId::new().to_string(),
    };
    let first = v1::ExecRequest {
        request: Some(Ask::Start(start)),
    };
    requests
        .try_send(first)
        .map_err(|_| Error::Protocol("a new queue has no room".into()))?;
    let opened = relay.exec().run(ReceiverStream::new(stream)).await;
    let responses = opened
        .map_err(|status| {
            let error = Error::from(status);
            if matches!(error, Error::Lost(_)) {
                connection.lost(relay);
            }
            error
        })?
        .into_inner();
    let output = Output {
        responses,
        stdout: 0,
        stderr: 0,
        finished: false,
    };
    Ok((Input { requests }, output))
}

impl Input {
    /// Sends bytes to its stdin, waiting while it does not read. `false`: it is gone.
    pub async fn stdin(&self, mut data: Bytes) -> bool {
        while !data.is_empty() {
            let piece = data.split_to(data.len().min(MAX_STDIN));
            if !self.send(Ask::Stdin(piece)).await {
                return false;
            }
        }
        true
    }

    /// Ends its stdin.
    pub async fn close_stdin(&self) -> bool {
        self.send(Ask::StdinClosed(true)).await
    }

    /// Signals its process group, if that can be told at once. `false`: stdin that the program does
    /// not read stands before it, or it is gone.
    pub fn try_signal(&self, signal: u32) -> bool {
        let request = v1::ExecRequest {
            request: Some(Ask::Signal(signal)),
        };
        self.requests.try_send(request).is_ok()
    }

    async fn send(&self, request: Ask) -> bool {
        let request = v1::ExecRequest {
            request: Some(request),
        };
        self.requests.send(request).await.is_ok()
    }
}

impl Output {
    /// The next event; `None` after [`Event::Finished`]. Cancel-safe.
    pub async fn next(&mut self) -> Result<Option<Event>, Error> {
        loop {
            if self.finished {
                return Ok(None);
            }
            let Some(response) = self.responses.message().await? else {
                return Err(Error::Lost("the run ended without a result".into()));
            };
            if let Some(answer) = response.response {
                return self.read(answer).map(Some);
            }
        }
    }

    fn read(&mut self, answer: Answer) -> Result<Event, Error> {
        match answer {
            Answer::Started(started) => Ok(Event::Started { pid: started.pid }),
            Answer::Stdout(piece) => {
                advance(&mut self.stdout, &piece, "stdout").map(|()| Event::Stdout(piece.data))
            }
            Answer::Stderr(piece) => {
                advance(&mut self.stderr, &piece, "stderr").map(|()| Event::Stderr(piece.data))
            }
            Answer::Finished(finished) => {
                self.finished = true;
                self.check(&finished)?;
                Ok(Event::Finished(Finished::read(&finished)))
            }
        }
    }

    /// A result whose output is not whole is no result.
    fn check(&self, finished: &v1::ExecFinished) -> Result<(), Error> {
        let told = (finished.stdout_bytes, finished.stderr_bytes);
        if told == (self.stdout, self.stderr) {
            return Ok(());
        }
        Err(Error::Protocol(format!(
            "output is missing: the program wrote {} and {} bytes, {} and {} arrived",
            told.0, told.1, self.stdout, self.stderr
        )))
    }
}

fn advance(have: &mut u64, piece: &v1::ExecOutput, stream: &str) -> Result<(), Error> {
    if piece.offset != *have {
        return Err(Error::Protocol(format!(
            "{stream} has a gap: byte {} came after byte {have}",
            piece.offset
        )));
    }
    *have += piece.data.len() as u64;
    Ok(())
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

    #[test]
    fn a_gap_in_the_output_is_an_error_and_not_a_silent_loss() {
        let mut have = 4;
        let piece = |offset| v1::ExecOutput {
            offset,
            data: Bytes::from_static(b"ab"),
        };
        advance(&mut have, &piece(4), "stdout").unwrap();
        assert_eq!(have, 6);
        assert!(advance(&mut have, &piece(7), "stdout").is_err());
    }
}
