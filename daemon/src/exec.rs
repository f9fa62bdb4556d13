//! Programs without a terminal: streams apart, exit code at the end, back-pressure all the way.
//!
//! The end of the output, decided: `finished` is sent when both output pipes are closed, or, if a
//! background process keeps one open, [`run::QUIET`] after the program's end; what the program
//! itself wrote is always delivered whole. (ssh waits for ever there, which hangs scripts.)
//!
//! A run outlives the loss of its caller's stream for a while: the caller comes back as a [`Visit`].

pub(crate) mod detached;
mod living;
mod output;
mod program;
mod reader;
mod run;
mod spool;
mod stdin;
mod talk;
mod window;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use cmdop_proto::v1::agent_message::Message as Up;
use cmdop_proto::{Refusal, limits, v1};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use detached::Detached;

use crate::holder::client::Holder;
use crate::lane::BulkLane;
use crate::token::Tokens;
use crate::user::{self, User};

/// One program to run.
#[derive(Debug)]
pub(crate) struct Job {
    /// The control message that asked for it.
    pub(crate) command_id: u64,
    pub(crate) start: v1::StartExec,
    pub(crate) lane: BulkLane,
    pub(crate) tokens: Tokens,
    pub(crate) user: Arc<User>,
    /// Back to the link that asked.
    pub(crate) link: mpsc::Sender<v1::AgentMessage>,
    /// The agent is stopping: end the program.
    pub(crate) stop: CancellationToken,
    /// The relay says that nobody waits for the program: end it. The end of the stream says so too,
    /// but behind input that the program may never read.
    pub(crate) caller_gone: CancellationToken,
    /// Callers that come back.
    pub(crate) visits: mpsc::Receiver<Visit>,
    /// Set when nothing is left of the run but its result.
    pub(crate) has_ended: Arc<AtomicBool>,
    /// How long the relay may take to notice that the link is lost.
    pub(crate) notice: Duration,
    /// Who ends the program should this process die.
    pub(crate) holder: Holder,
}

/// A caller that comes back to a run: another stream, and how much of the output it has.
#[derive(Debug)]
pub(crate) struct Visit {
    command_id: u64,
    address: talk::Address,
    link: mpsc::Sender<v1::AgentMessage>,
    stdout_from: u64,
    stderr_from: u64,
}

impl Visit {
    /// What the relay's order means, over the link that brought it.
    pub(crate) fn new(
        command_id: u64,
        resume: v1::ResumeExec,
        (lane, tokens): (BulkLane, Tokens),
        link: mpsc::Sender<v1::AgentMessage>,
    ) -> Self {
        Self {
            command_id,
            address: talk::Address {
                lane,
                tokens,
                stream_token: resume.stream_token,
                stream_id: resume.stream_id,
            },
            link,
            stdout_from: resume.stdout_from,
            stderr_from: resume.stderr_from,
        }
    }

    /// Says no. A link that is gone or full of refusals lets the relay's own timers say it.
    pub(crate) fn refuse(self, refusal: &Refusal) {
        let failed = Up::Failed(failure(self.command_id, refusal));
        let _ = self.link.try_send(v1::AgentMessage {
            message: Some(failed),
        });
    }
}

/// There is no such run, or none that its caller could come back to.
pub(crate) fn unknown_run() -> Refusal {
    Refusal::not_found(
        "run-unknown",
        "the machine does not have this run (any more)",
    )
    .hint("its caller was away for too long, or the agent was restarted and ended it")
}

/// Runs the program to its end; a detached one with its place in the table.
pub(crate) async fn run(job: Job, detached: Option<Arc<Detached>>) {
    let (link, command_id) = (job.link.clone(), job.command_id);
    let done = match detached {
        None => run::run(job).await,
        Some(place) => detached::start(job, place).await,
    };
    if let Err(refusal) = done {
        tracing::info!(reason = refusal.reason, "an exec has no stream: {refusal}");
        let failed = Up::Failed(failure(command_id, &refusal));
        // The link is gone: then the relay knows that all it asked for has failed.
        let _ = link
            .send(v1::AgentMessage {
                message: Some(failed),
            })
            .await;
    }
}

/// A refusal as it travels on the agent's streams.
pub(crate) fn failure(command_id: u64, refusal: &Refusal) -> v1::CommandFailed {
    v1::CommandFailed {
        command_id,
        grpc_code: refusal.kind.code() as u32,
        message: refusal.message.clone(),
        detail: Some(refusal.detail()),
    }
}

/// argv, if a process can have it.
pub(crate) fn checked_command(argv: &[String]) -> Result<(), Refusal> {
    let bytes: usize = argv.iter().map(String::len).sum();
    if bytes > limits::MAX_COMMAND {
        return Err(Refusal::invalid(
            "command-too-long",
            format!(
                "a command of {bytes} bytes is longer than {}",
                limits::MAX_COMMAND
            ),
        ));
    }
    if argv.first().is_some_and(String::is_empty) || argv.iter().any(|arg| arg.contains('\0')) {
        return Err(Refusal::invalid(
            "bad-request",
            "the command is empty or holds a zero byte",
        ));
    }
    Ok(())
}

/// Everything about the program that can be refused before it starts.
async fn prepare(start: &v1::StartExec, user: &User) -> Result<program::Program, Refusal> {
    checked_command(&start.command)?;
    if start.command.is_empty() {
        return Err(Refusal::invalid(
            "bad-request",
            "there is no command to run",
        ));
    }
    let requested = user::checked_environment(start.env.clone())?;
    Ok(program::Program {
        argv: start.command.clone(),
        cwd: user.directory(&start.cwd).find().await?,
        env: user.environment(&requested),
        stdin: if start.stdin {
            program::Input::Pipe
        } else {
            program::Input::Nothing
        },
    })
}

#[cfg(test)]
mod tests;
