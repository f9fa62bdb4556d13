//! One attached client inside a session's state: its place in the log, and what it has to be told.
//!
//! What it has to be told is state, not a queue: a newer ack, record or pong replaces the older, so a
//! client that does not read costs nothing. Only refusals are listed, each by itself.

use std::collections::VecDeque;
use std::task::Waker;
use std::time::Duration;

use cmdop_proto::{ClientId, CommandId, InputSeq, Refusal, v1};
use cmdop_service::flight::Flight;
use tokio::time::Instant;

use super::cursor::Cursor;
use super::keyboard::Typist;
use super::log::Log;
use super::pace::Pace;
use super::size::Vote;
use super::wakes::Wakes;

/// Refusals that may wait for a client; one that lets more gather does not read its stream.
const MAX_REFUSALS: usize = 64;

/// A client whose stream is to end, and who takes nothing of it for so long, is not waited for: it
/// may have stopped reading for good, and the session's window is kept for its readers.
const TAKE_END: Duration = Duration::from_secs(30);

/// What an attached client may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Type, resize, signal.
    Operator,
    /// Watch.
    Observer,
}

impl Mode {
    pub(crate) fn message(self) -> v1::AttachMode {
        match self {
            Self::Operator => v1::AttachMode::Operator,
            Self::Observer => v1::AttachMode::Observer,
        }
    }
}

/// Names one attachment within its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AttachmentId(pub u64);

/// One attached client.
#[derive(Debug)]
pub(crate) struct Client {
    pub(super) attachment: AttachmentId,
    pub(super) id: ClientId,
    /// Whose it is.
    pub(super) account: String,
    /// That account's name.
    pub(super) name: String,
    /// That account is an owner or administrator.
    pub(super) governs: bool,
    pub(super) mode: Mode,
    pub(super) cursor: Cursor,
    /// It wants the newest state, not every byte.
    pub(super) pace: Option<Pace>,
    /// What is under way to it; `None`: it does not tell what it has.
    pub(super) flight: Option<Flight>,
    /// The size of its terminal, if that counts.
    pub(super) vote: Option<Vote>,
    /// When it last took bytes, or bytes began to wait for it.
    pub(super) waiting_since: Instant,
    pub(super) is_in_background: bool,
    /// The log is to go back to where it is.
    pub(super) waits_for_rewind: bool,
    pub(super) waker: Option<Waker>,
    pub(super) outbox: Outbox,
    /// When it is dropped unless it takes something; `None`: its stream goes on.
    pub(super) end_by: Option<Instant>,
}

impl Client {
    /// Its stream is to end; from now on it is dropped if it does not read.
    pub(super) fn has_to_leave(&mut self, now: Instant) {
        self.end_by = Some(now + TAKE_END);
    }

    /// Ends its stream with `end`. The first reason counts.
    pub(super) fn end(&mut self, end: End, now: Instant) {
        if self.outbox.end == End::Open {
            self.outbox.end = end;
            self.has_to_leave(now);
        }
    }

    /// Since when bytes wait for it; `None`: it has all.
    pub(super) fn waits_since(&self, log: &Log) -> Option<Instant> {
        (!self.cursor.is_caught_up(log)).then_some(self.waiting_since)
    }

    pub(super) fn is_operator(&self) -> bool {
        self.mode == Mode::Operator
    }

    /// Whether the session waits for it: an operator who wants every byte.
    pub(super) fn holds_back(&self) -> bool {
        self.is_operator() && self.pace.is_none()
    }

    /// New output is there for it. Who is asleep between two updates sleeps on.
    pub(super) fn has_output(&mut self, wakes: &mut Wakes) {
        if !self.pace.as_ref().is_some_and(Pace::is_asleep) {
            wakes.take(&mut self.waker);
        }
    }

    pub(super) fn typist(&self) -> Typist {
        Typist {
            client: self.id,
            account: self.account.clone(),
            name: self.name.clone(),
        }
    }

    /// As others see it.
    pub(super) fn message(&self) -> v1::AttachedClient {
        let delivery = match self.pace {
            None => v1::Delivery::Lossless,
            Some(_) => v1::Delivery::Latest,
        };
        v1::AttachedClient {
            who: Some(self.typist().message()),
            mode: self.mode.message().into(),
            delivery: delivery.into(),
            size: self.vote.map(|vote| vote.size.into()),
        }
    }
}

/// What a client has to be told before it gets more output.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    /// The first message of the stream is still to come.
    pub(super) opened: Option<(InputSeq, Mode)>,
    pub(super) ack: Option<(InputSeq, CommandId)>,
    pub(super) pong: Option<u64>,
    pub(super) going_away: bool,
    pub(super) record_changed: bool,
    pub(super) refusals: VecDeque<v1::AttachRefusal>,
    pub(super) end: End,
}

/// How far a client's stream is from its end.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) enum End {
    /// It goes on.
    #[default]
    Open,
    /// It ends with this.
    Cut(Refusal),
    /// Nothing comes any more: the last message was taken, or the client left.
    Over,
}

/// A message for a client; a record is put in by whoever knows its names.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "boxing would cost an allocation a message"
)]
pub(crate) enum Message {
    /// `opened`, with the record.
    Opened(InputSeq, Mode),
    /// `changed`, with the record.
    Changed,
    /// Anything else.
    Plain(v1::attach_response::Response),
}

impl Outbox {
    /// Lists a refusal; a client that lets too many gather is to be cut off with the error.
    pub(super) fn refuse(&mut self, refusal: Refusal, input_seq: InputSeq) -> Result<(), Refusal> {
        if self.refusals.len() >= MAX_REFUSALS {
            return Err(Refusal::exhausted(
                "too-many-refusals",
                "the client sends what it may not, and does not read the answers",
            ));
        }
        self.refusals.push_back(v1::AttachRefusal {
            grpc_code: refusal.kind.code() as i32 as u32,
            detail: Some(refusal.detail()),
            message: refusal.message,
            input_seq: input_seq.0,
        });
        Ok(())
    }

    /// The next message, the urgent first.
    pub(super) fn next(&mut self) -> Option<Message> {
        use v1::attach_response::Response;
        if let Some((acked, mode)) = self.opened.take() {
            self.record_changed = false;
            return Some(Message::Opened(acked, mode));
        }
        let plain = if let Some(refusal) = self.refusals.pop_front() {
            Response::Refusal(refusal)
        } else if let Some((seq, command)) = self.ack.take() {
            Response::InputAck(v1::InputAck {
                input_seq: seq.0,
                command_id: command.0,
            })
        } else if let Some(nonce) = self.pong.take() {
            Response::Pong(v1::Ping { nonce })
        } else if std::mem::take(&mut self.going_away) {
            Response::GoingAway(true)
        } else if std::mem::take(&mut self.record_changed) {
            return Some(Message::Changed);
        } else {
            return None;
        };
        Some(Message::Plain(plain))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_ack_replaces_an_older_one() {
        let mut outbox = Outbox::default();
        for n in 1..=3 {
            outbox.ack = Some((InputSeq(n), CommandId(n)));
        }
        let next = outbox.next();
        assert!(
            matches!(next, Some(Message::Plain(v1::attach_response::Response::InputAck(ack)))
            if ack.input_seq == 3)
        );
        assert!(outbox.next().is_none());
    }

    #[test]
    fn who_gathers_refusals_is_cut_off() {
        let mut outbox = Outbox::default();
        let mut refuse = |n| outbox.refuse(Refusal::denied("observer-read-only", "no"), n);
        for n in 0..MAX_REFUSALS as u64 {
            refuse(InputSeq(n)).unwrap();
        }
        assert_eq!(
            refuse(InputSeq(99)).unwrap_err().reason,
            "too-many-refusals"
        );
        assert_eq!(outbox.refusals.len(), MAX_REFUSALS);
    }
}
