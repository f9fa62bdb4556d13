//! The live stream of one attached client.
//!
//! Down, it is pulled: the transport asks, the session's state answers from the client's cursor. Up,
//! one task takes what the client sends, because a client whose reading stands still may still type.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use cmdop_proto::{ClientId, InputSeq, Offset, Refusal, Size, v1};
use futures_util::Stream;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::{Request, Status, Streaming};
use v1::attach_request::Request as Up;
use v1::attach_response::Response;

use super::one_shot::check_input;
use crate::caller::Account;
use crate::incoming;
use crate::live::LiveStream;
use crate::permission::Action;
use crate::relay::Relay;
use crate::report::Event;
use crate::session::{Attaching, AttachmentId, ClientNext, Message, Mode, Pace, Session};

pub(super) async fn attach(
    relay: &Arc<Relay>,
    request: Request<Streaming<v1::AttachRequest>>,
) -> Result<Attached, Refusal> {
    let account = relay.account(&request, Action::Attach, "attach to sessions")?;
    let mut up = request.into_inner();
    let first = incoming::first(&mut up, "`open`").await?;
    let Some(Up::Open(open)) = first.request else {
        return Err(incoming::wrong_first("`open`"));
    };
    let who = attaching(relay, &account, &open)?;
    let over = CancellationToken::new();
    let live = relay.enter(&account.claims, over.clone())?;
    let session = relay.sessions_of(&account).find(&open.session)?;
    let attachment = session.attach(&who)?;
    let mode = if who.mode == Mode::Operator {
        "operator"
    } else {
        "observer"
    };
    let event = Event::new("session-attached", session.id).detail("mode", mode);
    let event = event.detail("session", session.name());
    relay.context.reporter.event(&account, event);
    let left = over.clone().drop_guard();
    let client = Client {
        relay: relay.clone(),
        account,
        session: session.clone(),
        attachment,
    };
    relay.tasks.spawn(client.stay(up, over, live));
    Ok(Attached {
        relay: relay.clone(),
        session,
        attachment,
        _left: left,
    })
}

fn attaching(
    relay: &Relay,
    account: &Account,
    open: &v1::AttachOpen,
) -> Result<Attaching, Refusal> {
    let mode = match open.mode() {
        v1::AttachMode::Operator => {
            relay
                .permit(account, Action::OperateSessions, "operate sessions")
                .map_err(|refusal| refusal.hint("watch it with `cmdop attach --observe`"))?;
            Mode::Operator
        }
        v1::AttachMode::Observer => {
            relay.permit(account, Action::WatchSessions, "watch sessions")?;
            Mode::Observer
        }
        v1::AttachMode::Unspecified => {
            return Err(Refusal::invalid("bad-request", "the request names no mode"));
        }
    };
    Ok(Attaching {
        id: open.client_id.parse::<ClientId>()?,
        account: account.claims.sub.clone(),
        name: account.name(),
        governs: account.governs(),
        mode,
        resume_from: open.resume_from.map(Offset),
        size: open.size.map(Size::try_from).transpose()?,
        rate: Pace::read(open),
        answers_marks: open.answers_marks,
    })
}

/// The task that hears an attached client.
struct Client {
    relay: Arc<Relay>,
    account: Account,
    session: Arc<Session>,
    attachment: AttachmentId,
}

impl Client {
    async fn stay(
        self,
        up: Streaming<v1::AttachRequest>,
        over: CancellationToken,
        live: LiveStream,
    ) {
        let begun = Instant::now();
        let (relay, account, id) = (self.relay.clone(), self.account.clone(), self.session.id);
        self.hear(up, over, live).await;
        let event = Event::new("session-detached", id);
        let event = event.detail("seconds", begun.elapsed().as_secs().to_string());
        relay.context.reporter.event(&account, event);
    }

    async fn hear(
        self,
        mut up: Streaming<v1::AttachRequest>,
        over: CancellationToken,
        _live: LiveStream,
    ) {
        let limit = self.relay.context.limits.client_silence;
        let mut over_now = std::pin::pin!(over.cancelled());
        let mut silence = std::pin::pin!(tokio::time::sleep(limit));
        let mut heard_at = Instant::now();
        loop {
            // All branches are cancel-safe.
            let message = tokio::select! {
                biased;
                message = up.message() => message,
                () = &mut over_now => break self.cut_if_revoked(),
                () = &mut silence => {
                    // The timer is moved only when it fires: not with every key.
                    if heard_at.elapsed() >= limit {
                        break self.cut(silent(limit));
                    }
                    silence.as_mut().reset(heard_at + limit);
                    continue;
                }
            };
            if over.is_cancelled() {
                break self.cut_if_revoked();
            }
            match message {
                // Input may wait for room for ever; the end of the stream does not wait for that.
                // What waits is not in the queue, so nothing is left half done.
                Ok(Some(message)) => tokio::select! {
                    biased;
                    () = self.heard(message.request) => {}
                    () = &mut over_now => break self.cut_if_revoked(),
                },
                Ok(None) => break self.session.client_left(self.attachment),
                Err(status) => break self.cut(incoming::broken(&status)),
            }
            // Waiting for room in the input queue is not the client's silence.
            heard_at = Instant::now();
        }
    }

    fn cut(&self, refusal: Refusal) {
        self.session.cut_client(self.attachment, refusal);
    }

    /// The stream is over: because the client left, or because it may not be here any more.
    fn cut_if_revoked(&self) {
        if self
            .relay
            .context
            .directory
            .is_revoked(&self.account.claims)
        {
            self.cut(crate::directory::revoked());
        }
    }

    async fn heard(&self, request: Option<Up>) {
        let (session, attachment) = (&self.session, self.attachment);
        let mut seq = InputSeq(0);
        let done = match request {
            Some(Up::Input(input)) => {
                seq = InputSeq(input.input_seq);
                self.typed(input).await
            }
            Some(Up::Resize(size)) => session.client_resized(attachment, size),
            Some(Up::Ping(ping)) => {
                session.client_pinged(attachment, ping.nonce);
                Ok(())
            }
            Some(Up::Keyboard(change)) => session.client_keyboard(attachment, change),
            Some(Up::Received(mark)) => {
                session.client_received(attachment, mark);
                Ok(())
            }
            Some(Up::Background(background)) => session.client_background(attachment, background),
            Some(Up::Open(_)) => Err(Refusal::invalid("bad-request", "`open` came twice")),
            // A request of a newer client that we do not know.
            None => Ok(()),
        };
        if let Err(refusal) = done {
            self.relay.context.meters.refusals.increment(1);
            session.refuse_client(attachment, refusal, seq);
        }
    }

    async fn typed(&self, input: v1::Input) -> Result<(), Refusal> {
        check_input(input.data.len())?;
        self.session.typed(self.attachment, input).await
    }
}

fn silent(limit: Duration) -> Refusal {
    Refusal::unavailable(
        "timeout",
        format!(
            "the client sent nothing for {} s, not even a ping",
            limit.as_secs()
        ),
    )
    .hint("attach again; the session lives on")
}

/// What an attached client receives.
#[derive(Debug)]
pub(crate) struct Attached {
    relay: Arc<Relay>,
    session: Arc<Session>,
    attachment: AttachmentId,
    _left: DropGuard,
}

impl Stream for Attached {
    type Item = Result<v1::AttachResponse, Status>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let response = match self.session.next_for_client(self.attachment, cx.waker()) {
            ClientNext::Send(Message::Plain(response)) => {
                if let Response::Output(output) = &response {
                    self.relay
                        .context
                        .meters
                        .bytes_out
                        .increment(output.data.len() as u64);
                }
                response
            }
            ClientNext::Send(Message::Opened(acked, mode)) => Response::Opened(v1::AttachOpened {
                session: Some(self.session.record()),
                acked_input_seq: acked.0,
                mode: mode.message().into(),
            }),
            ClientNext::Send(Message::Changed) => Response::Changed(self.session.record()),
            ClientNext::SendEnd => Response::Ended(self.session.record()),
            ClientNext::Cut(refusal) => {
                return Poll::Ready(Some(Err(self.relay.refuse(refusal))));
            }
            ClientNext::Sleep => return Poll::Pending,
            ClientNext::Over => return Poll::Ready(None),
        };
        Poll::Ready(Some(Ok(v1::AttachResponse {
            response: Some(response),
        })))
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        self.session.detach(self.attachment);
    }
}
