//! The link to a relay: dialled again and again, one at a time, while the sessions live on.
//!
//! The linker owns the table of sessions, and with it what the relay may ask for; the link itself
//! (dial, register, heartbeat) comes and goes.

mod connection;
mod control;
mod runs;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use cmdop_client::backoff::Backoff;
use cmdop_client::dial::Trust;
use cmdop_proto::{Refusal, SessionId, v1};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::exec::detached::Table;
use crate::files::Reaches;
use crate::holder::client::Holder;
use crate::metrics::Instruments;
use crate::session::{Command, Handle};
use crate::state::LinkState;
use crate::token::Tokens;
use crate::user::User;
use runs::Runs;

/// How long an agent whose link was taken over leaves it to the other one: two clones of one machine
/// that are quicker would only end each other's sessions.
const AFTER_CLONE: Duration = Duration::from_secs(300);

/// What a person is to do about it.
const CLONED: &str = "another agent has linked with this machine's identity: is this a copy of another \
                      machine, or does a second agent run on a copy of the data directory? \
                      On one of the two run `cmdopd unenroll` and enrol it again";

/// What sessions and programs need from the agent around them.
#[derive(Clone, Debug)]
pub(crate) struct Work {
    /// Owns their tasks.
    pub(crate) tracker: TaskTracker,
    /// Counts the sessions among them.
    pub(crate) sessions: TaskTracker,
    /// Owns the streams to files.
    pub(crate) files: TaskTracker,
    /// The agent is stopping.
    pub(crate) stop: CancellationToken,
    /// Where sessions that ended unheard leave their last word.
    pub(crate) unheard: mpsc::Sender<v1::SessionSummary>,
    /// Who keeps what outlives this process.
    pub(crate) holder: Holder,
    pub(crate) user: Arc<User>,
    pub(crate) hostname: String,
    pub(crate) log_bytes: usize,
    /// The directory of detached runs.
    pub(crate) runs: PathBuf,
    pub(crate) notice: Duration,
    pub(crate) max_sessions: usize,
    /// Which directories each role may reach.
    pub(crate) reaches: Arc<Reaches>,
}

/// Keeps a link up.
#[derive(Debug)]
pub(crate) struct Linker {
    relays: Vec<String>,
    trust: Trust,
    tokens: Tokens,
    state: watch::Sender<LinkState>,
    /// What `Work::unheard` brings.
    news: mpsc::Receiver<v1::SessionSummary>,
    work: Work,
    sessions: HashMap<SessionId, Handle>,
    /// The programs that run for callers.
    runs: Runs,
    /// The programs that run for nobody, and those that did.
    detached: Table,
    instruments: Instruments,
    /// Changes when the agent restarts.
    instance_id: String,
    backoff: Backoff,
    has_warned: bool,
}

/// Why a link ended.
#[derive(Debug)]
enum Ended {
    /// The relay is leaving: dial again at once, another one if there is one.
    GoingAway,
    /// It did not come about, or was lost.
    Lost(Refusal),
}

impl Linker {
    /// A linker without a link.
    pub(crate) fn new(
        relays: Vec<String>,
        trust: Trust,
        tokens: Tokens,
        state: watch::Sender<LinkState>,
        news: mpsc::Receiver<v1::SessionSummary>,
        work: Work,
    ) -> Self {
        let instruments = Instruments::new(work.user.home.clone());
        let detached = Table::open(work.runs.clone());
        Self {
            relays,
            trust,
            tokens,
            state,
            news,
            work,
            sessions: HashMap::new(),
            runs: Runs::default(),
            detached,
            instruments,
            instance_id: uuid::Uuid::new_v4().to_string(),
            backoff: Backoff::new(),
            has_warned: false,
        }
    }

    /// Runs until `quit`.
    pub(crate) async fn run(mut self, quit: CancellationToken) {
        let _ = quit.run_until_cancelled(self.link_for_ever()).await;
    }

    async fn link_for_ever(&mut self) {
        let mut next_relay = 0;
        loop {
            let url = self.relays[next_relay % self.relays.len()].clone();
            self.set_state(LinkState::Connecting);
            match Box::pin(self.link(&url)).await {
                Ended::GoingAway => tracing::info!(relay = url, "the relay is leaving"),
                Ended::Lost(refusal) => {
                    let wait = self.wait_after(&url, &refusal);
                    tokio::time::sleep(wait).await;
                }
            }
            next_relay += 1;
        }
    }

    /// Says why there is no link, and how long to be without.
    fn wait_after(&mut self, url: &str, refusal: &Refusal) -> Duration {
        // Our own links follow one another: who took this one over is somebody else.
        let is_cloned = refusal.reason == "link-replaced";
        let reason = if is_cloned {
            tracing::error!(relay = url, "no link: {CLONED}");
            CLONED.to_owned()
        } else {
            refusal.message.clone()
        };
        self.set_state(LinkState::Waiting { reason });
        let wait = if is_cloned {
            AFTER_CLONE
        } else {
            self.backoff.next_wait()
        };
        tracing::info!(
            relay = url,
            reason = refusal.reason,
            again_in_ms = wait.as_millis() as u64,
            "no link: {refusal}"
        );
        wait
    }

    fn set_state(&self, state: LinkState) {
        self.state.send_if_modified(|present| {
            let changes = *present != LinkState::Stopping && *present != state;
            if changes {
                *present = state;
            }
            changes
        });
    }

    /// What lives on this machine, from the sessions themselves.
    async fn summaries(&mut self) -> Vec<v1::SessionSummary> {
        self.sessions
            .retain(|_, handle| !handle.commands.is_closed());
        let mut asked = Vec::new();
        for handle in self.sessions.values() {
            let (answer, summary) = oneshot::channel();
            if handle.commands.send(Command::Summary(answer)).await.is_ok() {
                asked.push(summary);
            }
        }
        let mut summaries = Vec::new();
        for summary in asked {
            summaries.extend(summary.await);
        }
        summaries
    }

    /// Waits for the first token of all; later ones are renewed in time. Says why there is none.
    async fn first_token(&self) {
        let mut trouble = self.tokens.trouble();
        let token = self.tokens.renewed_after(None);
        tokio::pin!(token);
        loop {
            // Cancel-safe: both only wait for a change.
            tokio::select! {
                biased;
                () = &mut token => return,
                Ok(()) = trouble.changed() => {
                    let reason = trouble.borrow_and_update().clone();
                    self.set_state(LinkState::Waiting { reason });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
