//! Requests to one session that are answered once: type, capture, resize, signal, close.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cmdop_proto::{ClientId, CommandId, InputSeq, Refusal, Size, v1};
use tokio::sync::oneshot;
use v1::session_down::Message as Down;

use super::arbitration::Asking;
use super::input::Accepted;
use super::lifecycle::Event;
use super::owed::Owed;
use super::size::Policy;
use super::state::State;
use super::{Session, now};

/// One-shot inputs that may wait for their acks at once in one session.
const MAX_SENDS: usize = 256;

/// What the agent can be asked for.
struct Question<T> {
    owed: fn(&mut State) -> &mut Owed<T>,
    /// Many of them.
    name: &'static str,
    /// One of them.
    what: &'static str,
    /// What the agent is to do.
    verb: &'static str,
}

impl Session {
    /// Types, and waits until the agent has written it.
    pub(crate) async fn send(
        self: &Arc<Self>,
        (account, client): (&str, ClientId),
        seq: InputSeq,
        data: Bytes,
        limit: Duration,
    ) -> Result<CommandId, Refusal> {
        let (written, wait) = oneshot::channel();
        let mut written = Some(written);
        let send = async {
            let accepted = self.when_room(|state, after| {
                state.require_linked()?;
                state.own(client, account)?;
                // Those who waited too long have left.
                state.sends.retain(|(_, _, waiting)| !waiting.is_closed());
                if state.sends.len() >= MAX_SENDS {
                    return Err(Refusal::exhausted(
                        "too-many-sends",
                        "too many inputs to the session wait for their acknowledgement",
                    ));
                }
                let accepted = state.input(client, seq, data.clone(), now(), after)?;
                if matches!(accepted, Accepted::Queued(_) | Accepted::OnItsWay)
                    && let Some(written) = written.take()
                {
                    state.sends.push_back((client, seq, written));
                }
                Ok(accepted)
            });
            match accepted.await? {
                Accepted::Written(_, command) => Ok(command),
                _ => wait.await.map_err(|_| lost_meanwhile("the input")),
            }
        };
        let sent = tokio::time::timeout(limit, send).await;
        sent.unwrap_or_else(|_| Err(no_answer("write the input", limit)))
    }

    /// What the screen shows.
    pub(crate) async fn capture(
        self: &Arc<Self>,
        scrollback_lines: u32,
        ansi: bool,
        limit: Duration,
    ) -> Result<v1::CaptureResponse, Refusal> {
        let asked = Question {
            owed: |state| &mut state.captures,
            name: "captures",
            what: "the capture",
            verb: "send its screen",
        };
        self.ask_agent(asked, limit, |request_id| {
            Down::CaptureWanted(v1::CaptureWanted {
                request_id,
                scrollback_lines,
                ansi,
            })
        })
        .await
    }

    /// A page of the lines that left the screen.
    pub(crate) async fn history(
        self: &Arc<Self>,
        wanted: v1::HistoryWanted,
        limit: Duration,
    ) -> Result<v1::HistoryResponse, Refusal> {
        let asked = Question {
            owed: |state| &mut state.pages,
            name: "pages",
            what: "the page of history",
            verb: "send its history",
        };
        self.ask_agent(asked, limit, |request_id| {
            Down::HistoryWanted(v1::HistoryWanted {
                request_id,
                ..wanted
            })
        })
        .await
    }

    /// Asks the agent, and waits for the answer.
    async fn ask_agent<T>(
        self: &Arc<Self>,
        asked: Question<T>,
        limit: Duration,
        message: impl FnOnce(u64) -> Down,
    ) -> Result<T, Refusal> {
        let (number, wait) = self.with(|state, after| {
            state.require_linked()?;
            let (number, wait) = (asked.owed)(state).ask(asked.name)?;
            state.agent.command(message(number), after)?;
            Ok::<_, Refusal>((number, wait))
        })?;
        let Ok(answer) = tokio::time::timeout(limit, wait).await else {
            (asked.owed)(&mut self.lock()).withdraw(number);
            return Err(no_answer(asked.verb, limit));
        };
        answer.map_err(|_| lost_meanwhile(asked.what))
    }

    pub(crate) fn resize(
        self: &Arc<Self>,
        size: Option<Size>,
        policy: Option<Policy>,
    ) -> Result<(), Refusal> {
        self.with(|state, after| {
            if size.is_some() {
                state.require_linked()?;
            }
            state.require_alive()?;
            state.set_size(size, policy, after)
        })
    }

    /// Who is attached and who may type, once `change` is made.
    pub(crate) fn keyboard(
        self: &Arc<Self>,
        change: Option<v1::KeyboardChange>,
        asking: &Asking,
    ) -> Result<v1::KeyboardResponse, Refusal> {
        let mut response = self.with(|state, after| {
            let now = now();
            if let Some(change) = change {
                state.account_keyboard(change, asking, now, after)?;
            }
            Ok::<_, Refusal>(state.keyboard_response(now.instant))
        })?;
        response.session = Some(self.record());
        Ok(response)
    }

    pub(crate) fn signal(self: &Arc<Self>, signal: u32) -> Result<(), Refusal> {
        self.with(|state, after| {
            state.require_linked()?;
            state.agent.command(Down::Signal(signal), after)
        })
    }

    /// Ends it. With an agent that is there, the end is what the agent reports; if it does not within
    /// `limit`, or is not there, the session is over all the same.
    pub(crate) async fn close(self: &Arc<Self>, by: &str, limit: Duration) {
        let reason = format!("closed by {by}");
        if self.lock().life.is_linked() {
            self.tell_agent_to_end(&reason);
            if tokio::time::timeout(limit, self.over()).await.is_ok() {
                return;
            }
        }
        self.tell_agent_to_end(&reason);
        self.with(|state, after| {
            state.owes_end |= !state.life.is_ended();
            state.happen(Event::Over(reason), now(), after);
        });
    }
}

fn lost_meanwhile(what: &str) -> Refusal {
    Refusal::unavailable(
        "machine-offline",
        format!("the session's machine was lost before {what} was confirmed"),
    )
}

fn no_answer(what: &str, limit: Duration) -> Refusal {
    Refusal::unavailable(
        "timeout",
        format!(
            "the session's agent did not {what} within {} s",
            limit.as_secs()
        ),
    )
}
