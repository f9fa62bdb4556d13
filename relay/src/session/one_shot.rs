//! Requests to one session that are answered once: type, capture, resize, signal, close.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cmdop_proto::{ClientId, CommandId, InputSeq, Refusal, Size, v1};
use tokio::sync::oneshot;

use super::arbitration::Asking;
use super::input::Accepted;
use super::lifecycle::Event;
use super::size::Policy;
use super::{Session, now};

/// Captures that may be under way at once for one session.
const MAX_CAPTURES: usize = 16;

/// One-shot inputs that may wait for their acks at once in one session.
const MAX_SENDS: usize = 256;

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
        let (reply, wait) = oneshot::channel();
        let request_id = self.with(|state, after| {
            state.require_linked()?;
            state.captures.retain(|_, waiting| !waiting.is_closed());
            if state.captures.len() >= MAX_CAPTURES {
                return Err(Refusal::exhausted(
                    "too-many-captures",
                    format!("{MAX_CAPTURES} captures of the session are under way already"),
                ));
            }
            state.capture_count += 1;
            let request_id = state.capture_count;
            let wanted = v1::CaptureWanted {
                request_id,
                scrollback_lines,
                ansi,
            };
            state
                .agent
                .command(v1::session_down::Message::CaptureWanted(wanted), after)?;
            state.captures.insert(request_id, reply);
            Ok(request_id)
        })?;
        let Ok(captured) = tokio::time::timeout(limit, wait).await else {
            self.lock().captures.remove(&request_id);
            return Err(no_answer("send its screen", limit));
        };
        captured.map_err(|_| lost_meanwhile("the capture"))
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
            state
                .agent
                .command(v1::session_down::Message::Signal(signal), after)
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
