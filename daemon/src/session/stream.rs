//! One stream of a session to a relay: where its cursor in the log stands and what goes out next.
//!
//! It reads the log and never changes it. What is not sent when the stream breaks is simply still
//! in the log.

use std::collections::VecDeque;

use cmdop_proto::v1::session_up::Message;
use cmdop_proto::v1::{self, SessionDown, SessionUp};
use cmdop_proto::{Offset, Refusal, limits};
use cmdop_service::flight::{self, Flight};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Status, Streaming};

use crate::relay_call;
use crate::session::log::Log;
use crate::token::Tokens;

/// Frames between the session and the connection. Few: what stands here is ahead of the next echo.
const FRAMES_AHEAD: usize = 4;

/// Acknowledgements and answers that wait for room. Beyond it no further message is taken.
const MAX_ANSWERS: usize = 256;

/// Makes the stream of a session on one link.
#[derive(Clone, Debug)]
pub(crate) struct Opener {
    pub(crate) channel: Channel,
    pub(crate) tokens: Tokens,
    pub(crate) stream_token: String,
}

impl Opener {
    /// Opens the stream and says what the session has.
    pub(crate) async fn open(self, hello: v1::SessionSummary) -> Result<Box<Stream>, Refusal> {
        let seen = self.tokens.current();
        match self.attempt(hello.clone()).await {
            Err(Failure::Refused(status)) if relay_call::is_expired(&status) => {
                self.tokens.renewed_after(seen).await;
                self.attempt(hello).await
            }
            other => other,
        }
        .map_err(|failure| match failure {
            Failure::Refused(status) => Refusal::from(status),
            Failure::NotSent(refusal) => refusal,
        })
    }

    async fn attempt(&self, hello: v1::SessionSummary) -> Result<Box<Stream>, Failure> {
        let (up, body) = mpsc::channel(FRAMES_AHEAD);
        let hello = Message::Hello(v1::SessionHello {
            summary: Some(hello),
        });
        let _ = up.try_send(SessionUp {
            message: Some(hello),
        });
        let body = ReceiverStream::new(body);
        let request = relay_call::stream_request(body, &self.tokens, &self.stream_token)
            .map_err(Failure::NotSent)?;
        let down = relay_call::client(self.channel.clone())
            .session(request)
            .await
            .map_err(Failure::Refused)?
            .into_inner();
        Ok(Box::new(Stream::new(up, down)))
    }
}

enum Failure {
    Refused(Status),
    NotSent(Refusal),
}

/// An open stream.
#[derive(Debug)]
pub(crate) struct Stream {
    /// Gone once the last message went out.
    up: Option<mpsc::Sender<SessionUp>>,
    down: Streaming<SessionDown>,
    queue: Queue,
    is_blocked: bool,
    read_up_to: Offset,
}

impl Stream {
    fn new(up: mpsc::Sender<SessionUp>, down: Streaming<SessionDown>) -> Self {
        Self {
            up: Some(up),
            down,
            queue: Queue::default(),
            is_blocked: false,
            read_up_to: Offset::MAX,
        }
    }

    /// The relay's next message, if it may be taken; or `None`, when there is room again for what
    /// could not be sent. Cancel-safe.
    pub(crate) async fn next(
        &mut self,
        intake: Intake,
    ) -> Option<Result<Option<SessionDown>, Status>> {
        if intake == Intake::Closed {
            self.queue.open_flight();
        }
        let takes = intake == Intake::Open
            && self.queue.answers.len() + self.queue.acks.len() < MAX_ANSWERS;
        let Self { up, down, .. } = self;
        tokio::select! {
            biased;
            message = down.message(), if takes => Some(message),
            () = room(up.as_ref()), if self.is_blocked => None,
            else => std::future::pending().await,
        }
    }

    /// How far the terminal may be read: as far as the relay says, and where somebody holds it back, no
    /// further than what the link soon takes. What was read is sent, also where it is not wanted any more.
    pub(crate) fn read_up_to(&self) -> Offset {
        match self.read_up_to {
            Offset::MAX => Offset::MAX,
            read_up_to => read_up_to.min(self.queue.reach()),
        }
    }

    /// The relay's word on how far the terminal may be read.
    pub(crate) fn set_read_up_to(&mut self, offset: Offset) {
        self.read_up_to = offset;
    }

    /// What is to be sent.
    pub(crate) fn queue(&mut self) -> &mut Queue {
        &mut self.queue
    }

    /// Whether the end of the session has been sent.
    pub(crate) fn has_said_goodbye(&self) -> bool {
        self.up.is_none()
    }

    /// Sends what there is and what the connection takes; with `exit`, that as the last message.
    /// `false`: the connection is gone.
    pub(crate) fn pump(&mut self, log: &Log, exit: Option<v1::Exit>) -> bool {
        if exit.is_some() {
            self.queue.release_acks();
        }
        while let Some(up) = &self.up {
            let up_to = self.read_up_to;
            let is_last = exit.is_some() && self.queue.has_sent_all(log);
            if !self.queue.has_work(log, up_to) && !is_last {
                self.is_blocked = false;
                return true;
            }
            let permit = match up.try_reserve() {
                Ok(permit) => permit,
                Err(mpsc::error::TrySendError::Full(())) => {
                    self.is_blocked = true;
                    return true;
                }
                Err(mpsc::error::TrySendError::Closed(())) => return false,
            };
            match (self.queue.next(log, up_to), exit) {
                (Some(message), _) => permit.send(SessionUp {
                    message: Some(message),
                }),
                (None, Some(exit)) if is_last => {
                    permit.send(SessionUp {
                        message: Some(Message::Exited(v1::SessionExited {
                            exit: Some(exit),
                            end_offset: log.end().0,
                        })),
                    });
                    self.up = None;
                }
                (None, _) => {
                    self.is_blocked = false;
                    return true;
                }
            }
        }
        self.is_blocked = false;
        true
    }
}

/// Whether the session takes messages now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Intake {
    /// Yes.
    Open,
    /// Not before the program has read what waits for it.
    Closed,
}

async fn room(up: Option<&mpsc::Sender<SessionUp>>) {
    if let Some(up) = up {
        let _ = up.reserve().await;
    }
}

/// What goes out on a stream, and in which order: answers first, then the log from the cursor on, with
/// the keyframe at its place in the log.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    answers: VecDeque<Message>,
    /// Acknowledgements that wait for an echo to travel with.
    acks: VecDeque<Message>,
    acks_are_due: bool,
    /// `None` until the relay has said where to begin.
    cursor: Option<Offset>,
    keyframe: Option<v1::Keyframe>,
    /// The relay said that it answers marks.
    is_answered: bool,
    /// From the first output on.
    flight: Option<Flight>,
}

impl Queue {
    /// Sends this before any output.
    pub(crate) fn answer(&mut self, message: Message) {
        self.answers.push_back(message);
    }

    /// Sends this after the next output, or once [`Queue::release_acks`] says that none comes.
    pub(crate) fn ack(&mut self, ack: v1::AgentInputAck) {
        self.acks.push_back(Message::InputAck(ack));
    }

    /// Whether acknowledgements wait for output, and not only for room.
    pub(crate) fn holds_acks(&self) -> bool {
        !self.acks.is_empty() && !self.acks_are_due
    }

    /// Sends the acknowledgements now.
    pub(crate) fn release_acks(&mut self) {
        self.acks_are_due = !self.acks.is_empty();
    }

    fn next_ack(&mut self) -> Option<Message> {
        if !self.acks_are_due {
            return None;
        }
        let ack = self.acks.pop_front();
        self.acks_are_due = !self.acks.is_empty();
        ack
    }

    /// Sends the log from `offset` on.
    pub(crate) fn begin(&mut self, offset: Offset) {
        self.cursor = Some(offset);
    }

    /// Sends this once all output before it was sent. A newer one replaces one that still waits.
    pub(crate) fn keyframe(&mut self, keyframe: v1::Keyframe) {
        self.keyframe = Some(keyframe);
    }

    /// The relay has all output up to this mark; with 0 it says that it will answer marks.
    pub(crate) fn received(&mut self, mark: u64) {
        self.is_answered |= mark == 0;
        if let Some(flight) = &mut self.flight {
            flight.received(mark, Instant::now());
        }
    }

    /// How many bytes of the log may be sent now.
    fn room(&self) -> usize {
        self.flight.as_ref().map_or(usize::MAX, Flight::room)
    }

    /// How far the log should be filled for now.
    fn reach(&self) -> Offset {
        let ahead = self.flight.as_ref().map_or(usize::MAX, Flight::ahead);
        self.cursor
            .map_or(Offset::MAX, |cursor| cursor.advance(ahead))
    }

    /// Counts what is sent. A relay that is not known to answer is not waited for.
    fn mark(&mut self, bytes: usize) -> u64 {
        let now = Instant::now();
        let flight = self.flight.get_or_insert_with(|| {
            let mut flight = Flight::new(flight::TO_RELAY, now);
            if !self.is_answered {
                flight.open();
            }
            flight
        });
        flight.send(bytes, now)
    }

    /// The relay's answers are not read for now.
    fn open_flight(&mut self) {
        if let Some(flight) = &mut self.flight {
            flight.open();
        }
    }

    /// Whether a keyframe waits behind bytes that the log has lost: a newer one is needed.
    pub(crate) fn has_stale_keyframe(&self, log: &Log) -> bool {
        self.keyframe.is_some() && self.cursor.is_some_and(|cursor| cursor < log.start())
    }

    /// Goes on from this keyframe, made at the log's end; what was to be sent before it is lost.
    pub(crate) fn jump(&mut self, keyframe: v1::Keyframe) {
        self.cursor = Some(Offset(keyframe.offset));
        self.answer(Message::LogStartsAt(keyframe.offset));
        self.keyframe(keyframe);
    }

    fn has_sent_all(&self, log: &Log) -> bool {
        self.cursor == Some(log.end())
    }

    /// Whether something can be sent, of the log at most what lies below `up_to`.
    fn has_work(&self, log: &Log, up_to: Offset) -> bool {
        let has_answers = !self.answers.is_empty() || self.acks_are_due;
        let Some(cursor) = self.cursor else {
            return has_answers;
        };
        let may_send = cursor < up_to && self.room() > 0;
        let waits = cursor != log.end() && (may_send || cursor > log.end());
        let frame_is_next = self
            .keyframe
            .as_ref()
            .is_some_and(|frame| waits || Offset(frame.offset) <= cursor);
        waits || frame_is_next || has_answers
    }

    /// What the relay gives credit for is all that is sent, so that those who read there can keep up
    /// also with what gathered here while they were away.
    pub(crate) fn next(&mut self, log: &Log, up_to: Offset) -> Option<Message> {
        if let Some(answer) = self.answers.pop_front() {
            return Some(answer);
        }
        let Some(cursor) = self.cursor else {
            return self.next_ack();
        };
        if cursor < log.start() || cursor > log.end() {
            // Overrun; or a relay that claims bytes we never printed. Both begin anew.
            self.cursor = Some(log.start());
            return Some(Message::LogStartsAt(log.start().0));
        }
        let mut limit = limits::MAX_OUTPUT;
        if let Some(keyframe) = &self.keyframe {
            let before = Offset(keyframe.offset) - cursor;
            if before == 0 {
                return self.keyframe.take().map(Message::Keyframe);
            }
            limit = limit.min(before as usize);
        }
        limit = limit.min((up_to - cursor).min(limit as u64) as usize);
        limit = limit.min(self.room());
        if limit > 0
            && let Some((mut output, end)) = output(log, cursor, limit)
        {
            self.cursor = Some(end);
            output.mark = self.mark(output.data.len());
            // What was typed has its echo: both travel in one piece.
            self.release_acks();
            return Some(Message::Output(output));
        }
        self.next_ack()
    }
}

fn output(log: &Log, from: Offset, limit: usize) -> Option<(v1::Output, Offset)> {
    let piece = log.piece(from, limit)?;
    let end = piece.offset.advance(piece.data.len());
    let output = v1::Output {
        offset: piece.offset.0,
        data: piece.data,
        command_id: piece.command.0,
        mark: 0,
        echo: log.echo().into(),
    };
    Some((output, end))
}

#[cfg(test)]
mod tests;
