//! The task behind an attachment: one stream at a time, opened again when it is lost.
//!
//! It never waits for its caller while it could serve the wire: output is only read from the stream
//! when the caller has room for it, and input and heartbeats go on meanwhile.

use std::time::Duration;

use bytes::Bytes;
use cmdop_proto::v1::attach_request::Request as Ask;
use cmdop_proto::v1::attach_response::Response as Answer;
use cmdop_proto::{ClientId, ErrorKind, InputSeq, Offset, Refusal, Size, v1};
use tokio::sync::mpsc::{self, OwnedPermit};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Code;

use super::cursor::{Cursor, Piece};
use super::unacked::Unacked;
use super::written::Written;
use super::{Event, Options, Wishes};
use crate::backoff::Backoff;
use crate::connection::{Connection, Relay};
use crate::dial::Lane;
use crate::error::Error;

/// Pings leave before the relay's 30 s are over, and the answer to one must be there at the next.
const PING_INTERVAL: Duration = Duration::from_secs(20);

/// One attempt to attach again.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(15);

/// A relay that was just started learns its sessions from agents that wait up to 10 s before they
/// dial: for this long "unknown session" may only mean "not yet".
const UNKNOWN_FOR: Duration = Duration::from_secs(60);

/// Requests on their way to the connection. Input is kept in [`Unacked`] anyway; this only decouples.
const REQUESTS: usize = 32;

/// An attached client: what it keeps over reconnects.
pub(super) struct Client {
    connection: Connection,
    options: Options,
    id: ClientId,
    cursor: Cursor,
    unacked: Unacked,
    written: Written,
    /// The newest mark of this stream that is not answered yet, or 0.
    owed: u64,
    wishes: watch::Receiver<Wishes>,
}

/// One open stream.
pub(super) struct Link {
    relay: Relay,
    requests: mpsc::Sender<v1::AttachRequest>,
    responses: tonic::Streaming<v1::AttachResponse>,
    told: Wishes,
}

/// How a stream came to its end.
enum End {
    /// Nothing more is to come.
    Over,
    /// Open another one, after a wait.
    Lost(Error),
    /// Open another one at once, on the same connection: bytes are missing.
    Resync,
}

impl Client {
    pub(super) fn new(
        connection: Connection,
        options: Options,
        id: ClientId,
        wishes: watch::Receiver<Wishes>,
    ) -> Self {
        let mut cursor = Cursor::default();
        if options.from_start {
            cursor.keyframe(Offset::START);
        }
        Self {
            connection,
            options,
            id,
            cursor,
            unacked: Unacked::default(),
            written: Written::default(),
            owed: 0,
            wishes,
        }
    }

    /// Opens a stream and waits for the relay's consent; what is not acked goes out again.
    pub(super) async fn open(&mut self) -> Result<(Link, v1::Session), Error> {
        let wishes = *self.wishes.borrow_and_update();
        let (relay, requests, mut responses) = self.dial(wishes).await?;
        let Some(Answer::Opened(opened)) = next(&mut responses).await? else {
            return Err(Error::Protocol(
                "the relay did not begin with its consent".into(),
            ));
        };
        let session = opened
            .session
            .ok_or_else(|| Error::Protocol("the relay named no session".into()))?;
        // From now on by id: a name can pass to another session.
        self.options.session.clone_from(&session.id);
        self.unacked.acked(InputSeq(opened.acked_input_seq));
        let link = Link {
            relay,
            requests,
            responses,
            told: Wishes {
                background: false,
                ..wishes
            },
        };
        // Marks belong to their stream.
        self.owed = 0;
        Ok((link, session))
    }

    async fn dial(
        &self,
        wishes: Wishes,
    ) -> Result<
        (
            Relay,
            mpsc::Sender<v1::AttachRequest>,
            tonic::Streaming<v1::AttachResponse>,
        ),
        Error,
    > {
        let open = v1::AttachOpen {
            session: self.options.session.clone(),
            mode: self.options.mode.into(),
            client_id: self.id.to_string(),
            resume_from: self.cursor.resume_from().map(|offset| offset.0),
            size: wishes.size.map(Into::into),
            answers_marks: true,
            delivery: match self.options.latest {
                None => v1::Delivery::Lossless.into(),
                Some(_) => v1::Delivery::Latest.into(),
            },
            max_updates_per_second: self.options.latest.unwrap_or(0),
        };
        // The stream's first request lies in its queue before the call is made.
        let queue = std::sync::Mutex::new(None);
        let (relay, responses) = self
            .connection
            .stream(Lane::Interactive, "attaching", |relay| {
                let (requests, stream) = mpsc::channel(REQUESTS);
                let sent = requests.try_send(request(Ask::Open(open.clone())));
                *queue.lock().expect("nobody panics while holding it") = Some(requests);
                async move {
                    sent.map_err(|_| tonic::Status::internal("a new queue has no room"))?;
                    relay.sessions().attach(ReceiverStream::new(stream)).await
                }
            })
            .await?;
        let requests = queue
            .into_inner()
            .ok()
            .flatten()
            .ok_or_else(|| Error::Protocol("no stream was opened".into()))?;
        Ok((relay, requests, responses))
    }

    /// Serves the attachment until the session ends, the caller leaves, or nothing helps any more.
    pub(super) async fn run(
        mut self,
        mut link: Link,
        (mut inputs, mut asks): (mpsc::Receiver<Bytes>, mpsc::Receiver<v1::KeyboardChange>),
        events: mpsc::Sender<Event>,
    ) {
        loop {
            let end = self
                .serve(&mut link, (&mut inputs, &mut asks), &events)
                .await;
            let error = match end {
                End::Over => return,
                End::Resync => {
                    self.cursor.forget();
                    None
                }
                End::Lost(error) => {
                    self.connection.lost(&link.relay);
                    Some(error)
                }
            };
            match self.reopen(error, &events).await {
                Some(next) => link = next,
                None => return,
            }
            // Asked for while nobody could hear it.
            while asks.try_recv().is_ok() {}
        }
    }

    /// Opens a stream again and again; `None` when the caller left or it cannot help.
    async fn reopen(
        &mut self,
        mut error: Option<Error>,
        events: &mpsc::Sender<Event>,
    ) -> Option<Link> {
        let mut backoff = Backoff::new();
        let lost_at = Instant::now();
        let outage = error.is_some();
        let mut attempt = 0;
        loop {
            if let Some(error) = error.take() {
                attempt += 1;
                let reason = error.to_string();
                let event = Event::Reconnecting { reason, attempt };
                events.send(event).await.ok()?;
                // Cancel-safe: both only wait.
                tokio::select! {
                    () = tokio::time::sleep(backoff.next_wait()) => {}
                    () = events.closed() => return None,
                }
            }
            let tried = tokio::select! {
                // Dropping an attempt drops its stream; the next one resumes all the same.
                tried = tokio::time::timeout(ATTEMPT_TIMEOUT, self.open()) => tried,
                () = events.closed() => return None,
            };
            let failed = match tried {
                Ok(Ok((link, session))) => {
                    if outage {
                        events.send(Event::Reconnected).await.ok()?;
                    }
                    events.send(Event::State(session)).await.ok()?;
                    return Some(link);
                }
                Ok(Err(failed)) => failed,
                Err(_) => Error::Timeout {
                    what: "attaching again".into(),
                    after: ATTEMPT_TIMEOUT,
                },
            };
            if !may_pass(&failed, lost_at.elapsed()) {
                let _ = events.send(Event::Failed(failed)).await;
                return None;
            }
            error = Some(failed);
        }
    }

    /// Moves bytes both ways until the stream ends.
    async fn serve(
        &mut self,
        link: &mut Link,
        (inputs, asks): (
            &mut mpsc::Receiver<Bytes>,
            &mut mpsc::Receiver<v1::KeyboardChange>,
        ),
        events: &mpsc::Sender<Event>,
    ) -> End {
        self.unacked.rewind();
        let mut ping = tokio::time::interval_at(Instant::now() + PING_INTERVAL, PING_INTERVAL);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut nonce = 0_u64;
        let mut answered = 0_u64;
        let mut room: Option<OwnedPermit<Event>> = None;
        let mut wishes = self.wishes.clone();
        let mut typing = true;
        let mut open = true;
        let mut wishing = true;
        loop {
            if !typing && self.unacked.is_empty() {
                return End::Over;
            }
            link.tell(*wishes.borrow_and_update());
            if link.told.redraws != wishes.borrow().redraws {
                return End::Resync;
            }
            // Never waits for the wire here: a relay that takes no input until its output is read
            // would wait for us for ever.
            let waiting = !link.answer(&mut self.owed) || !link.send(&mut self.unacked);
            // All branches are cancel-safe: receiving, reserving, ticking and reading one message
            // lose nothing when another branch wins. Keys come before output, so that Ctrl-C beats a flood.
            tokio::select! {
                biased;
                input = inputs.recv(), if typing && self.unacked.has_room() => match input {
                    Some(data) => self.unacked.push(data),
                    None => typing = false,
                },
                // There is room again, or the stream is gone: then its other half says why.
                room = link.requests.reserve(), if waiting && open => open = room.is_ok(),
                Some(change) = asks.recv() => drop(link.ask(Ask::Keyboard(change))),
                changed = wishes.changed(), if wishing => wishing = changed.is_ok(),
                _ = ping.tick() => {
                    if answered < nonce {
                        return End::Lost(Error::Lost("the relay stopped answering".into()));
                    }
                    if link.ask(Ask::Ping(v1::Ping { nonce: nonce + 1 })) {
                        nonce += 1;
                    }
                }
                reserved = events.clone().reserve_owned(), if room.is_none() => match reserved {
                    Ok(permit) => room = Some(permit),
                    Err(_) => return End::Over,
                },
                answer = next(&mut link.responses), if room.is_some() => match answer {
                    Ok(Some(Answer::Pong(pong))) => answered = pong.nonce,
                    Ok(Some(answer)) => {
                        // Marks grow: the newest answers for all.
                        self.owed = self.owed.max(mark_of(&answer));
                        match self.read(answer) {
                        Read::Event(event) => {
                            let over = matches!(event, Event::Ended(_));
                            if let Some(permit) = room.take() {
                                permit.send(event);
                            }
                            if over {
                                return End::Over;
                            }
                        }
                        Read::Nothing => {}
                        Read::Gap => return End::Resync,
                        Read::Leaving => return End::Lost(Error::Lost("the relay is restarting".into())),
                    }
                    }
                    Ok(None) => return End::Lost(Error::Lost("the relay ended the stream".into())),
                    Err(error) => return broken(error, room),
                },
            }
        }
    }

    fn read(&mut self, answer: Answer) -> Read {
        match answer {
            Answer::Output(output) => {
                let (echo, command) = (output.echo(), output.command_id);
                match self.cursor.take(Offset(output.offset), output.data) {
                    Piece::New(offset, data) => Read::Event(Event::Output {
                        offset,
                        data,
                        reached: self.written.before(command),
                        echo,
                    }),
                    Piece::Known => Read::Nothing,
                    Piece::Gap => {
                        tracing::error!("output has a gap; asking for a keyframe");
                        Read::Gap
                    }
                }
            }
            Answer::Keyframe(keyframe) => {
                let offset = Offset(keyframe.offset);
                self.cursor.keyframe(offset);
                Read::Event(Event::Keyframe {
                    echo: keyframe.echo(),
                    offset,
                    size: size_of(keyframe.size),
                    data: keyframe.data,
                    history: keyframe.history,
                })
            }
            Answer::InputAck(ack) => {
                self.unacked.acked(InputSeq(ack.input_seq));
                self.written.push(ack.command_id, ack.input_seq);
                Read::Nothing
            }
            Answer::Refusal(refusal) => {
                self.unacked.refused(InputSeq(refusal.input_seq));
                let code = Code::from_i32(refusal.grpc_code as i32);
                let refusal = Refusal::from_parts(code, &refusal.message, refusal.detail);
                Read::Event(Event::Refused(refusal))
            }
            Answer::Changed(session) => Read::Event(Event::State(session)),
            Answer::Ended(session) => Read::Event(Event::Ended(session)),
            Answer::GoingAway(_) => Read::Leaving,
            Answer::Opened(_) | Answer::Pong(_) => Read::Nothing,
        }
    }
}

/// What an answer of the relay means.
#[allow(
    clippy::large_enum_variant,
    reason = "it is taken apart where it is made"
)]
enum Read {
    Event(Event),
    Nothing,
    Gap,
    Leaving,
}

impl Link {
    /// Sends what input the connection takes now. `false`: some is left.
    fn send(&self, unacked: &mut Unacked) -> bool {
        while let Some((seq, data)) = unacked.unsent() {
            let input_seq = seq.0;
            if !self.ask(Ask::Input(v1::Input { input_seq, data })) {
                return false;
            }
            unacked.sent();
        }
        true
    }

    /// Answers the newest mark. `false`: the connection does not take it now.
    fn answer(&self, owed: &mut u64) -> bool {
        if *owed > 0 && self.ask(Ask::Received(*owed)) {
            *owed = 0;
        }
        *owed == 0
    }

    /// Tells what the client wants, if the relay does not know it yet. A full queue leaves it for the
    /// next round: the caller's loop comes here after every event.
    fn tell(&mut self, wishes: Wishes) {
        if wishes.size != self.told.size
            && let Some(size) = wishes.size
            && self.ask(Ask::Resize(size.into()))
        {
            self.told.size = wishes.size;
        }
        if wishes.background != self.told.background && self.ask(Ask::Background(wishes.background))
        {
            self.told.background = wishes.background;
        }
    }

    fn ask(&self, ask: Ask) -> bool {
        self.requests.try_send(request(ask)).is_ok()
    }
}

/// What the relay wants to hear once this was taken, or 0.
fn mark_of(answer: &Answer) -> u64 {
    match answer {
        Answer::Output(output) => output.mark,
        Answer::Keyframe(keyframe) => keyframe.mark,
        _ => 0,
    }
}

/// The stream ended with an error: one that passes, or one for the caller.
fn broken(error: Error, room: Option<OwnedPermit<Event>>) -> End {
    if may_pass(&error, Duration::ZERO) || error.voids_token() {
        return End::Lost(error);
    }
    if let Some(permit) = room {
        permit.send(Event::Failed(error));
    }
    End::Over
}

/// Whether attaching again can help, this long after the loss.
fn may_pass(error: &Error, since: Duration) -> bool {
    match error {
        Error::Refused(refusal) => match refusal.kind {
            ErrorKind::Unavailable | ErrorKind::Exhausted | ErrorKind::Internal => true,
            ErrorKind::NotFound => since < UNKNOWN_FOR,
            ErrorKind::Denied => refusal.reason == "token-expired",
            ErrorKind::Invalid => false,
        },
        error => error.is_connection(),
    }
}

async fn next(
    responses: &mut tonic::Streaming<v1::AttachResponse>,
) -> Result<Option<Answer>, Error> {
    loop {
        match responses.message().await? {
            None => return Ok(None),
            // An answer that this version does not know.
            Some(v1::AttachResponse { response: None }) => {}
            Some(v1::AttachResponse { response }) => return Ok(response),
        }
    }
}

fn request(ask: Ask) -> v1::AttachRequest {
    v1::AttachRequest { request: Some(ask) }
}

/// A keyframe of an impossible size is shown in the nearest possible one.
fn size_of(size: Option<v1::Size>) -> Size {
    let clamp = |n: u32| n.min(u32::from(u16::MAX)) as u16;
    size.map_or(Size::DEFAULT, |size| {
        Size::clamped(clamp(size.rows), clamp(size.cols))
    })
}
