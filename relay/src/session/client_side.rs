//! The clients' side of a session's state: who is attached, and what they type.
//!
//! Whether somebody may do a thing is decided here too, on every message, so that no way in exists
//! that forgets it.

use bytes::Bytes;
use cmdop_proto::{ClientId, InputSeq, Offset, Refusal, Size, v1};
use cmdop_service::flight::{self, Flight};

use super::arbitration::made_observer;
use super::attached::{AttachmentId, Client, End, Mode, Outbox};
use super::cursor::{self, Cursor};
use super::input::Accepted;
use super::lifecycle::{Event, Now};
use super::pace::Pace;
use super::state::{After, State};

/// Ctrl-C, Ctrl-\ and Ctrl-Z: what terminals are set to interrupt, quit and suspend by. Where a
/// terminal is set otherwise, a flood is shown to its end, or a picture comes earlier than need be.
const INTERRUPTS: [u8; 3] = [0x03, 0x1c, 0x1a];

/// Who wants to attach, and how.
#[derive(Clone, Debug)]
pub(crate) struct Attaching {
    /// Kept over reconnects.
    pub(crate) id: ClientId,
    /// Whose it is.
    pub(crate) account: String,
    /// That account's name.
    pub(crate) name: String,
    /// That account is an owner or administrator of the workspace.
    pub(crate) governs: bool,
    /// What it may do.
    pub(crate) mode: Mode,
    /// It has every byte below this.
    pub(crate) resume_from: Option<Offset>,
    /// Its terminal.
    pub(crate) size: Option<Size>,
    /// The newest state, so many times a second; `None`: every byte.
    pub(crate) rate: Option<u32>,
    /// It answers marks.
    pub(crate) answers_marks: bool,
}

impl State {
    pub(super) fn attach(
        &mut self,
        who: &Attaching,
        most: usize,
        now: Now,
        after: &mut After,
    ) -> Result<AttachmentId, Refusal> {
        // Who was away at the end gets what it has not seen yet of a session that is over.
        if !(who.resume_from.is_some() && self.linger_until.is_some()) {
            self.require_alive()?;
        }
        self.own(who.id, &who.account)?;
        let must_watch = self.keyboard.must_watch(who.id);
        let mode = if must_watch { Mode::Observer } else { who.mode };
        // The same client again: its old stream is dead, whether or not we have heard of it.
        self.clients.retain_mut(|client| {
            after.wakes.take(&mut client.waker);
            client.id != who.id
        });
        after.input_moves = true;
        if self.clients.len() >= most {
            return Err(Refusal::exhausted(
                "too-many-clients",
                format!("the session has {most} attached clients, which is the limit"),
            )
            .hint("detach another first"));
        }
        let waits_for_rewind = match (mode, who.resume_from) {
            (Mode::Operator, Some(from)) if who.rate.is_none() => {
                self.rewind(from, now.instant, after)
            }
            _ => false,
        };
        let cursor = match who.resume_from {
            Some(from) if waits_for_rewind => Cursor::waiting(&self.keyframes, from),
            Some(from) => Cursor::resumed(&self.log, &self.keyframes, from),
            None => Cursor::fresh(&self.log, &self.keyframes, self.may_replay()),
        };
        self.attachments += 1;
        let attachment = AttachmentId(self.attachments);
        self.record_changed(after);
        self.clients.push(Client {
            attachment,
            id: who.id,
            account: who.account.clone(),
            name: who.name.clone(),
            governs: who.governs,
            mode,
            cursor,
            pace: who.rate.map(|rate| Pace::new(rate, now.instant)),
            flight: who
                .answers_marks
                .then(|| Flight::new(flight::TO_CLIENT, now.instant)),
            vote: None,
            waiting_since: now.instant,
            is_in_background: false,
            waits_for_rewind,
            waker: None,
            outbox: Outbox {
                opened: Some((self.inputs.newest_written(who.id), mode)),
                ..Outbox::default()
            },
            end_by: None,
        });
        if self.life.is_ended() {
            let client = self.clients.last_mut().into_iter();
            client.for_each(|client| client.has_to_leave(now.instant));
            return Ok(attachment);
        }
        if mode == Mode::Operator {
            self.happen(Event::CameBack, now, after);
            if let Some(size) = who.size {
                self.voted(attachment, size, after);
            }
        } else if must_watch && who.mode == Mode::Operator {
            self.refuse_client(attachment, made_observer(), InputSeq(0), now, after);
        }
        self.agent.wake(after);
        Ok(attachment)
    }

    /// Whether a client that knows nothing is given the log from its first byte instead of a picture
    /// (design §5). The empty screen before the first byte is a picture too, and what follows is
    /// exact, as long as all of it is here and the terminal has had one size. It is cheaper than a
    /// picture only while it is short: later the agent draws one, and no bell rings again. Without
    /// the agent it is all there is.
    fn may_replay(&self) -> bool {
        let is_short = self.log.end() - Offset::START <= cursor::WORTH_SKIPPING;
        self.is_one_size && (is_short || !self.life.is_linked())
    }

    pub(super) fn detach(&mut self, attachment: AttachmentId, now: Now, after: &mut After) {
        self.late.retain(|late| *late != attachment);
        self.remove(attachment, now, after);
    }

    /// Those who do not take their end are not waited for.
    pub(super) fn drop_late(&mut self, now: Now, after: &mut After) {
        let is_late = |client: &&Client| client.end_by.is_some_and(|by| now.instant >= by);
        let late = self.clients.iter().filter(is_late);
        for attachment in late.map(|client| client.attachment).collect::<Vec<_>>() {
            self.late.push(attachment);
            self.remove(attachment, now, after);
        }
    }

    fn remove(&mut self, attachment: AttachmentId, now: Now, after: &mut After) {
        let place = self.clients.iter().position(|c| c.attachment == attachment);
        let Some(place) = place else {
            return;
        };
        let client = self.clients.remove(place);
        self.keyboard.left(client.id);
        self.vote_left(client.vote, after);
        after.input_moves = true;
        self.record_changed(after);
        self.agent.wake(after);
        self.look_at_background(now, after);
        self.linger(now.instant, after);
    }

    /// Operators only: whoever merely watches does not keep a session alive. Where none is attached,
    /// it stays what it was.
    pub(super) fn look_at_background(&mut self, now: Now, after: &mut After) {
        let mut operators = self.clients.iter().filter(|client| client.is_operator());
        let Some(first) = operators.next() else {
            return;
        };
        let is_away = first.is_in_background && operators.all(|client| client.is_in_background);
        let event = if is_away {
            Event::WentBackground
        } else {
            Event::CameBack
        };
        self.happen(event, now, after);
    }

    /// The mode of an attachment; one that was replaced or cut may do nothing.
    pub(super) fn require_operator(
        &mut self,
        attachment: AttachmentId,
    ) -> Result<ClientId, Refusal> {
        let client = self.client(attachment).ok_or_else(replaced)?;
        if let End::Cut(refusal) = &client.outbox.end {
            return Err(refusal.clone());
        }
        match client.mode {
            Mode::Operator => Ok(client.id),
            Mode::Observer => Err(Refusal::denied(
                "observer-read-only",
                "this client observes the session; it cannot change it",
            )
            .hint("attach as an operator to type")),
        }
    }

    /// An attached client typed. `Full`: the same again when there is room.
    pub(super) fn typed(
        &mut self,
        attachment: AttachmentId,
        input: &v1::Input,
        now: Now,
        after: &mut After,
    ) -> Result<Accepted, Refusal> {
        let id = self.require_operator(attachment)?;
        let seq = InputSeq(input.input_seq);
        let accepted = self.input(id, seq, input.data.clone(), now, after)?;
        let is_interrupt = input.data.iter().any(|byte| INTERRUPTS.contains(byte));
        let index = self
            .clients
            .iter()
            .position(|client| client.attachment == attachment);
        if let Some(client) = index.map(|index| &mut self.clients[index]) {
            // Whoever types is here, whatever was said before.
            client.is_in_background &= !matches!(accepted, Accepted::Queued(_));
            match accepted {
                Accepted::Written(seq, command) => client.outbox.ack = Some((seq, command)),
                Accepted::Queued(_) if is_interrupt => client.cursor.skip_flood(&self.log),
                // Its answers to marks come after this input.
                Accepted::Full => match &mut client.flight {
                    Some(flight) => flight.open(),
                    None => return Ok(accepted),
                },
                Accepted::Queued(_) | Accepted::OnItsWay => return Ok(accepted),
            }
            after.wakes.take(&mut client.waker);
        }
        Ok(accepted)
    }

    /// Input of somebody who may.
    pub(super) fn input(
        &mut self,
        id: ClientId,
        seq: InputSeq,
        data: Bytes,
        now: Now,
        after: &mut After,
    ) -> Result<Accepted, Refusal> {
        self.require_alive()?;
        if seq.0 == 0 {
            return Err(Refusal::invalid(
                "bad-request",
                "an input has no number: they count from 1",
            ));
        }
        if !self.keyboard.may_type(id) {
            return self.may_not_type(id, seq);
        }
        let accepted = self.inputs.accept(id, seq, data);
        if let Accepted::Queued(_) = accepted {
            self.keyboard.typed(now.instant);
            self.agent.wake(after);
            if self.life.is_in_background() {
                self.happen(Event::CameBack, now, after);
            }
        }
        Ok(accepted)
    }

    /// An attached client's terminal has another size.
    pub(super) fn client_resized(
        &mut self,
        attachment: AttachmentId,
        size: v1::Size,
        after: &mut After,
    ) -> Result<(), Refusal> {
        self.require_operator(attachment)?;
        self.require_alive()?;
        self.voted(attachment, size.try_into()?, after);
        Ok(())
    }

    pub(super) fn client_pinged(
        &mut self,
        attachment: AttachmentId,
        nonce: u64,
        after: &mut After,
    ) {
        if let Some(client) = self.client(attachment) {
            client.outbox.pong = Some(nonce);
            after.wakes.take(&mut client.waker);
        }
    }

    /// A client went to the background, or came back.
    pub(super) fn client_background(
        &mut self,
        attachment: AttachmentId,
        is_in_background: bool,
        now: Now,
        after: &mut After,
    ) -> Result<(), Refusal> {
        self.require_operator(attachment)?;
        if let Some(client) = self.client(attachment) {
            client.is_in_background = is_in_background;
        }
        self.look_at_background(now, after);
        Ok(())
    }

    pub(super) fn refuse_client(
        &mut self,
        attachment: AttachmentId,
        refusal: Refusal,
        seq: InputSeq,
        now: Now,
        after: &mut After,
    ) {
        if let Some(client) = self.client(attachment) {
            if let Err(too_many) = client.outbox.refuse(refusal, seq) {
                client.end(End::Cut(too_many), now.instant);
            }
            after.wakes.take(&mut client.waker);
        }
    }

    /// Ends one client's stream with `refusal`.
    pub(super) fn cut_client(
        &mut self,
        attachment: AttachmentId,
        refusal: Refusal,
        now: Now,
        after: &mut After,
    ) {
        if let Some(client) = self.client(attachment) {
            client.end(End::Cut(refusal), now.instant);
            after.wakes.take(&mut client.waker);
            after.input_moves = true;
        }
    }

    pub(super) fn cut_all(&mut self, refusal: &Refusal, now: Now, after: &mut After) {
        for client in &mut self.clients {
            client.end(End::Cut(refusal.clone()), now.instant);
            after.wakes.take(&mut client.waker);
        }
        after.input_moves = true;
    }

    /// A client closed its side of the stream.
    pub(super) fn client_left(&mut self, attachment: AttachmentId, now: Now, after: &mut After) {
        if let Some(client) = self.client(attachment) {
            client.end(End::Over, now.instant);
            after.wakes.take(&mut client.waker);
        }
    }

    pub(super) fn going_away(&mut self, after: &mut After) {
        for client in &mut self.clients {
            client.outbox.going_away = true;
            after.wakes.take(&mut client.waker);
        }
    }
}

pub(super) fn replaced() -> Refusal {
    Refusal::unavailable(
        "replaced",
        "the same client attached again; this is its older stream",
    )
}
