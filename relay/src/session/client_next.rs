//! What an attached client's stream gets next, from where the client is in the log.

use std::task::Waker;

use cmdop_proto::{Refusal, v1};
use cmdop_service::flight::Flight;
use tokio::time::Instant;
use v1::attach_response::Response;

use super::attached::{AttachmentId, End, Message};
use super::client_side::replaced;
use super::cursor::Next;
use super::pace::{Pictures, Turn};
use super::state::{After, State};

/// What an attached client's stream does next.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "boxing would cost an allocation a message"
)]
pub(crate) enum ClientNext {
    /// Send this.
    Send(Message),
    /// Send the record of the end, then end the stream.
    SendEnd,
    /// End the stream with this.
    Cut(Refusal),
    /// Sleep until woken.
    Sleep,
    /// The stream is over.
    Over,
}

impl State {
    /// What a client's stream sends next; where it sleeps, `waker` ends that.
    pub(super) fn next_for_client(
        &mut self,
        attachment: AttachmentId,
        now: Instant,
        waker: &Waker,
        after: &mut After,
    ) -> ClientNext {
        let Some(index) = self.clients.iter().position(|c| c.attachment == attachment) else {
            let is_late = self.late.contains(&attachment);
            return ClientNext::Cut(if is_late { late() } else { replaced() });
        };
        let client = &mut self.clients[index];
        if client.outbox.end != End::Open {
            return match std::mem::replace(&mut client.outbox.end, End::Over) {
                End::Cut(refusal) => ClientNext::Cut(refusal),
                End::Open | End::Over => ClientNext::Over,
            };
        }
        if let Some(message) = client.outbox.next() {
            return ClientNext::Send(message);
        }
        if client.waits_for_rewind && !self.life.is_ended() {
            client.waker = Some(waker.clone());
            return ClientNext::Sleep;
        }
        if let Some(pace) = &mut client.pace {
            let pictures = if self.agent.has_stream() && !self.life.is_ended() {
                Pictures::Drawn
            } else {
                Pictures::None
            };
            if pace.turn(&mut client.cursor, &self.log, pictures, now) == Turn::Hold {
                client.waker = Some(waker.clone());
                after.asked = true;
                return ClientNext::Sleep;
            }
        }
        let room = client.flight.as_ref().map_or(usize::MAX, Flight::room);
        if room == 0 && client.cursor.has().is_some() && !client.cursor.is_caught_up(&self.log) {
            client.waker = Some(waker.clone());
            return ClientNext::Sleep;
        }
        // A picture is not held back: whoever needs one has nothing before it.
        match client.cursor.next(&self.log, &self.keyframes, room) {
            Next::Bytes(piece) => {
                let mark = self.served(index, piece.data.len(), now, after);
                ClientNext::Send(Message::Plain(Response::Output(v1::Output {
                    offset: piece.start.0,
                    data: piece.data,
                    command_id: piece.command.0,
                    mark,
                    echo: self.echo.into(),
                })))
            }
            Next::Keyframe(mut frame) => {
                frame.echo = self.echo.into();
                frame.mark = self.served(index, frame.data.len(), now, after);
                ClientNext::Send(Message::Plain(Response::Keyframe(frame)))
            }
            _ if self.life.is_ended() => {
                self.clients[index].outbox.end = End::Over;
                ClientNext::SendEnd
            }
            next => {
                self.clients[index].waker = Some(waker.clone());
                if next == Next::NeedsKeyframe && self.keyframes.ask(now) {
                    after.asked = true;
                    self.agent.want_keyframe(after);
                }
                ClientNext::Sleep
            }
        }
    }

    /// A client gets so many bytes; the mark that it has to answer.
    fn served(&mut self, index: usize, bytes: usize, now: Instant, after: &mut After) -> u64 {
        let client = &mut self.clients[index];
        let flight = client.flight.as_mut();
        let mark = flight.map_or(0, |flight| flight.send(bytes, now));
        client.waiting_since = now;
        if client.end_by.is_some() {
            client.has_to_leave(now);
        }
        if client.holds_back() {
            let position = client.cursor.position();
            self.operator_moved(position, after);
        }
        mark
    }

    /// A client has everything up to a mark.
    pub(super) fn client_received(
        &mut self,
        attachment: AttachmentId,
        mark: u64,
        now: Instant,
        after: &mut After,
    ) {
        if let Some(client) = self.client(attachment)
            && let Some(flight) = &mut client.flight
        {
            flight.received(mark, now);
            after.wakes.take(&mut client.waker);
        }
    }
}

/// The stream had to end, and its client read nothing of it.
fn late() -> Refusal {
    Refusal::unavailable(
        "timeout",
        "the stream was over, and the client did not read to its end in time",
    )
}
