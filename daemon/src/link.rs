//! The link to a relay: dialled again and again, one at a time, while the sessions live on.
//!
//! The linker owns the table of sessions, and with it what the relay may ask for; the link itself
//! (dial, register, heartbeat) comes and goes.

mod connection;
mod control;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use cmdop_client::backoff::Backoff;
use cmdop_client::dial::Trust;
use cmdop_proto::{Refusal, SessionId, v1};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::metrics::Instruments;
use crate::session::{Command, Handle};
use crate::state::LinkState;
use crate::token::Tokens;
use crate::user::User;

/// What sessions and programs need from the agent around them.
#[derive(Clone, Debug)]
pub(crate) struct Work {
    /// Owns their tasks.
    pub(crate) tracker: TaskTracker,
    /// The agent is stopping.
    pub(crate) stop: CancellationToken,
    /// Where sessions that ended unheard leave their last word.
    pub(crate) unheard: mpsc::Sender<v1::SessionSummary>,
    pub(crate) user: Arc<User>,
    pub(crate) hostname: String,
    pub(crate) log_bytes: usize,
    pub(crate) notice: Duration,
    pub(crate) max_sessions: usize,
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
    /// What ends the programs that run for callers; cancelled when they have ended.
    runs: HashMap<String, CancellationToken>,
    /// `None` while a reading is being taken.
    instruments: Option<Instruments>,
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
        Self {
            relays,
            trust,
            tokens,
            state,
            news,
            work,
            sessions: HashMap::new(),
            runs: HashMap::new(),
            instruments: Some(instruments),
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
                    let wait = self.backoff.next_wait();
                    tracing::info!(
                        relay = url,
                        reason = refusal.reason,
                        again_in_ms = wait.as_millis() as u64,
                        "no link: {refusal}"
                    );
                    self.set_state(LinkState::Waiting {
                        reason: refusal.message,
                    });
                    tokio::time::sleep(wait).await;
                }
            }
            next_relay += 1;
        }
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

    async fn metrics(&mut self) -> v1::Metrics {
        // Dropped half-way, the reading is lost, and with it the instruments: take new ones.
        let instruments = self
            .instruments
            .take()
            .unwrap_or_else(|| Instruments::new(self.work.user.home.clone()));
        let (instruments, metrics) = instruments.read().await;
        self.instruments = Some(instruments);
        metrics
    }
}

#[cfg(test)]
mod tests;
