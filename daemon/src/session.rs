//! One session: a terminal, its processes, its log and its emulator, owned by one task that outlives
//! every connection.
//!
//! ```text
//! relay ══► stream ─► inputs ─► pty ─► log ─► stream ══► relay
//!                        ▲              └──► screen ─┐ (fed after the bytes were sent)
//!                        └── answers to queries ─────┘
//! ```
//!
//! Invariants: what the terminal printed is in the log before it is sent, and sent before it is
//! emulated; input is written once and acknowledged after; nothing here waits for the network while
//! the terminal has something to say.

mod end;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzed;
pub(crate) mod input;
pub(crate) mod log;
mod screen;
mod stream;
mod task;

use std::path::PathBuf;
use std::time::Duration;

use cmdop_proto::{Refusal, v1};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

pub(crate) use stream::Opener;
pub(crate) use task::{adopt, run};

use crate::holder::client::Holder;

/// Commands that wait for a session; each link sends one or two.
pub(crate) const COMMANDS: usize = 8;

/// What the agent asks of a session.
#[derive(Debug)]
pub(crate) enum Command {
    /// Open (or open anew) the stream to the relay.
    Resume(Opener),
    /// Say what there is, for a new link.
    Summary(oneshot::Sender<v1::SessionSummary>),
    /// Say in which directory its program is now.
    Where(oneshot::Sender<Option<PathBuf>>),
    /// The relay has given the session up: end its processes, and then be gone.
    End,
}

/// How the agent reaches a session.
#[derive(Clone, Debug)]
pub(crate) struct Handle {
    pub(crate) commands: mpsc::Sender<Command>,
}

impl Handle {
    /// The directory in which its program is now; `None`: it does not say, or not soon.
    async fn directory(&self) -> Option<PathBuf> {
        let (answer, answered) = oneshot::channel();
        self.commands.try_send(Command::Where(answer)).ok()?;
        tokio::time::timeout(WHERE_TIMEOUT, answered)
            .await
            .ok()?
            .ok()?
    }
}

/// How long a session has to say where its program is: it may be busy, and its neighbour starts at home
/// rather than late.
const WHERE_TIMEOUT: Duration = Duration::from_secs(1);

/// What a session needs from the agent around it.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    /// The agent is stopping: end the processes.
    pub(crate) stop: CancellationToken,
    /// Where a session that ended unheard leaves its last word.
    pub(crate) unheard: mpsc::Sender<v1::SessionSummary>,
    /// Who keeps what outlives the worker.
    pub(crate) holder: Holder,
    /// How many bytes of output are kept.
    pub(crate) log_bytes: usize,
    /// How long the relay may take to notice that a link is lost: only then its grace period begins.
    pub(crate) notice: Duration,
}

/// A session to start, checked.
#[derive(Debug)]
pub(crate) struct Start {
    pub(crate) record: v1::Session,
    pub(crate) cwd: crate::user::Directory,
    /// Start in the directory of this one's program, if that can be found.
    pub(crate) beside: Option<Handle>,
    /// Without its directory, which is looked for in the session's own task.
    pub(crate) program: crate::pty::Program,
}

/// How long a session lives on without a stream to a relay. `None`: for ever.
fn patience(record: &v1::Session, notice: Duration) -> Option<Duration> {
    use v1::grace::Limit;
    match record.grace.as_ref().and_then(|grace| grace.limit) {
        Some(Limit::Forever(true)) => None,
        Some(Limit::DurationMs(ms)) => Some(Duration::from_millis(ms).saturating_add(notice)),
        Some(Limit::Forever(false)) | None => Some(DEFAULT_GRACE + notice),
    }
}

/// The relay's own default (design: lifecycle).
const DEFAULT_GRACE: Duration = Duration::from_secs(30);

/// How much of a command records keep: enough to tell sessions apart.
const SHOWN_COMMAND: usize = 512;

/// A command as records show it: without controls, and cut where it is long.
fn shown_command(command: &[String]) -> Vec<String> {
    let mut left = SHOWN_COMMAND;
    let mut shown = Vec::new();
    for argument in command {
        if left == 0 {
            shown.push("…".into());
            break;
        }
        let argument = cmdop_proto::text::shown(argument, left);
        // An empty argument counts too: there may be many.
        left = left.saturating_sub(argument.len().max(8));
        shown.push(argument);
    }
    shown
}

/// Why no session was started, in the relay's words.
pub(crate) fn not_started(error: &crate::pty::Error) -> Refusal {
    Refusal::invalid(
        "cannot-start",
        cmdop_proto::text::shown(&format!("cannot start the session: {error}"), 512),
    )
    .hint("check the command and its path on the machine")
}
