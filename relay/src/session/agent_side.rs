//! The agent's side of a session's state: the stream that is open, the one that is invited, and what
//! goes down on it. Commands go before input, input before credit.

use std::collections::VecDeque;
use std::task::Waker;
use std::time::Duration;

use cmdop_proto::{LinkEpoch, Offset, Refusal, limits, v1};
use tokio::time::Instant;
use v1::session_down::Message as Down;

use super::FARTHEST;
use super::credit::{self, Operator};
use super::lifecycle::{Event, Fence, Now};
use super::log::Gap;
use super::state::{After, State};
use crate::stream_token::StreamToken;

/// Commands other than input that may wait for the agent. More means that it does not read.
const MAX_COMMANDS: usize = 64;

/// An agent that was told to send from an earlier offset begins within a round trip; what it sends
/// instead of that for so long, or sends not at all, is not waited for.
const REWIND: Duration = Duration::from_secs(10);

/// The agent's streams for one session.
#[derive(Debug, Default)]
pub(crate) struct AgentSide {
    streams: u64,
    invited: Option<(Fence, StreamToken)>,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    fence: Fence,
    commands: VecDeque<Down>,
    /// The size that its terminal has to take; only the newest matters.
    resize: Option<v1::Size>,
    /// What it has to keep of the session; only the newest matters.
    settings: Option<v1::SessionSettings>,
    /// It has to make a keyframe; one serves all.
    owes_keyframe: bool,
    granted: Option<Offset>,
    /// The mark that it has to hear of; only the newest matters. 0: none.
    received: u64,
    /// It was told to send from an earlier offset, and has to begin by then; what it sent before it
    /// heard that may still come.
    rewinding_until: Option<Instant>,
    /// Its task sleeps and knows that the agent may soon stand still.
    knows_short: bool,
    waker: Option<Waker>,
}

/// What the agent's stream does next.
#[derive(Debug)]
pub(crate) enum AgentNext {
    /// Send this.
    Send(Down),
    /// Sleep; at the latest until then.
    Sleep(Option<Instant>),
    /// Another stream took over, or the session is over.
    Over,
}

impl AgentSide {
    /// Closes the stream, once what it was told has been sent.
    pub(super) fn close(&mut self, after: &mut After) {
        self.invited = None;
        if let Some(mut open) = self.open.take() {
            after.wakes.take(&mut open.waker);
        }
    }

    pub(super) fn has_stream(&self) -> bool {
        self.open.is_some()
    }

    pub(super) fn is_open(&self, fence: Fence) -> bool {
        self.open.as_ref().is_some_and(|open| open.fence == fence)
    }

    /// Puts a command before all input.
    pub(super) fn command(&mut self, command: Down, after: &mut After) -> Result<(), Refusal> {
        let Some(open) = &mut self.open else {
            return Ok(());
        };
        if open.commands.len() >= MAX_COMMANDS {
            return Err(Refusal::exhausted(
                "agent-busy",
                "the session's agent does not take commands at present",
            ));
        }
        open.commands.push_back(command);
        after.wakes.take(&mut open.waker);
        Ok(())
    }

    /// Only the newest size matters.
    pub(super) fn resize(&mut self, size: v1::Size, after: &mut After) {
        if let Some(open) = &mut self.open {
            open.resize = Some(size);
            after.wakes.take(&mut open.waker);
        }
    }

    /// Only the newest settings matter.
    pub(super) fn keep(&mut self, settings: v1::SessionSettings, after: &mut After) {
        if let Some(open) = &mut self.open {
            open.settings = Some(settings);
            after.wakes.take(&mut open.waker);
        }
    }

    /// Output with this mark came.
    pub(super) fn received(&mut self, mark: u64, after: &mut After) {
        if mark > 0
            && let Some(open) = &mut self.open
        {
            open.received = mark;
            after.wakes.take(&mut open.waker);
        }
    }

    /// When an agent that was told to go back has taken too long.
    pub(super) fn rewinding_until(&self) -> Option<Instant> {
        self.open.as_ref()?.rewinding_until
    }

    /// Asks for a keyframe.
    pub(super) fn want_keyframe(&mut self, after: &mut After) {
        if let Some(open) = &mut self.open {
            open.owes_keyframe = true;
            after.wakes.take(&mut open.waker);
        }
    }

    /// Its stream has something to do.
    pub(super) fn wake(&mut self, after: &mut After) {
        if let Some(open) = &mut self.open {
            after.wakes.take(&mut open.waker);
        }
    }
}

impl State {
    /// A stream may be opened under `link` with the token that this returns, and only with that one.
    pub(super) fn invite(&mut self, link: LinkEpoch) -> StreamToken {
        self.agent.streams += 1;
        let token = StreamToken::random();
        let fence = Fence {
            link,
            stream: self.agent.streams,
        };
        self.agent.invited = Some((fence, token.clone()));
        token
    }

    /// The agent opened its stream. From here on only this one counts.
    pub(super) fn open(
        &mut self,
        token: &str,
        summary: &v1::SessionSummary,
        now: Now,
        after: &mut After,
    ) -> Result<Fence, Refusal> {
        self.require_alive()?;
        let fence = match &self.agent.invited {
            Some((fence, invited)) if invited.matches(token) => *fence,
            _ => {
                return Err(Refusal::denied(
                    "stream-token-wrong",
                    "the stream token is not the one that was given out for this session",
                ));
            }
        };
        if summary.end_offset > FARTHEST {
            return Err(Refusal::invalid(
                "bad-request",
                "the agent's log is longer than any can be",
            ));
        }
        self.agent.close(after);
        let send_from = self.reconcile(summary, now.instant, after);
        // Credit first: what gathered at the agent must not come faster than it is read here.
        let grant = self.grant(now.instant).up_to;
        self.agent.open = Some(Open {
            fence,
            commands: [
                Down::Received(0),
                Down::ReadUpTo(grant.0),
                Down::SendFrom(send_from.0),
            ]
            .into(),
            resize: None,
            settings: None,
            owes_keyframe: false,
            granted: Some(grant),
            received: 0,
            rewinding_until: None,
            knows_short: false,
            waker: None,
        });
        self.inputs.send_all_again();
        self.start = None;
        if let Some(size) = self.wanted_size.filter(|size| *size != self.facts.size) {
            self.agent.resize(size.into(), after);
        }
        if !self.is_kept(summary) {
            let settings = self.settings();
            self.agent.keep(settings, after);
        }
        self.happen(Event::Opened(fence), now, after);
        self.ask_for_outstanding(now.instant, after);
        Ok(fence)
    }

    /// Where the agent's log and ours meet. The agent's is the truth.
    fn reconcile(
        &mut self,
        summary: &v1::SessionSummary,
        now: Instant,
        after: &mut After,
    ) -> Offset {
        let start = Offset(summary.start_offset.min(summary.end_offset));
        let end = Offset(summary.end_offset);
        let ours = self.log.end();
        let was_unknown = std::mem::take(&mut self.is_log_unknown);
        let from = if was_unknown {
            let window = limits::RELAY_WINDOW as u64;
            Offset(end.0.saturating_sub(window)).max(start)
        } else {
            ours.clamp(start, end)
        };
        let from = match self.fastest_operator() {
            Some(place) if place >= start && (was_unknown || place < self.log.start()) => {
                from.min(place)
            }
            _ => from,
        };
        if from != ours {
            self.log.restart(from);
        }
        self.rewound(after);
        for client in &mut self.clients {
            client.cursor.agent_ends_at(end);
            after.wakes.take(&mut client.waker);
        }
        let size = summary.session.as_ref().and_then(|session| session.size);
        if let Some(size) = size.and_then(|size| size.try_into().ok())
            && size != self.facts.size
        {
            self.resized(size, now, after);
        }
        from
    }

    /// How far the operator who has most of the log has it.
    fn fastest_operator(&self) -> Option<Offset> {
        let operators = self.clients.iter().filter(|client| client.holds_back());
        operators.filter_map(|client| client.cursor.has()).max()
    }

    /// The only operator is back and has less than the window: the log goes on for all from where it
    /// is, if the agent still has that. `false`: it has to go on without. What is here stays until
    /// the first byte of it comes.
    pub(super) fn rewind(&mut self, to: Offset, now: Instant, after: &mut After) -> bool {
        if to >= self.log.start() || self.life.is_ended() || self.fastest_operator().is_some() {
            return false;
        }
        if let Some(open) = &mut self.agent.open {
            if open.commands.len() + 2 > MAX_COMMANDS {
                return false;
            }
            open.rewinding_until = Some(now + REWIND);
            // Credit first: the bytes must not come faster than they are read here.
            let reach = to.advance(limits::RELAY_WINDOW);
            open.granted = Some(reach);
            open.commands.push_back(Down::ReadUpTo(reach.0));
            open.commands.push_back(Down::SendFrom(to.0));
            after.wakes.take(&mut open.waker);
        }
        // Without a stream, the next one begins there.
        true
    }

    /// Whoever waits for the log to go back waits no longer: it has, or it cannot.
    pub(super) fn rewound(&mut self, after: &mut After) {
        if let Some(open) = &mut self.agent.open {
            open.rewinding_until = None;
        }
        for client in &mut self.clients {
            client.waits_for_rewind = false;
            after.wakes.take(&mut client.waker);
        }
    }

    /// An agent that is linked and does not go back is not waited for: a picture has to do.
    pub(super) fn give_up_rewind(&mut self, now: Instant, after: &mut After) {
        if self.agent.rewinding_until().is_some_and(|by| now >= by) {
            self.rewound(after);
        }
    }

    /// How far the agent may read and send.
    fn grant(&self, now: Instant) -> credit::Grant {
        let operators = self.clients.iter().filter(|client| client.holds_back());
        let operators = operators.map(|client| Operator {
            position: client.cursor.position(),
            waiting_since: client.waits_since(&self.log),
        });
        credit::grant(operators, now)
    }

    /// The stream is lost, or its link. One that was replaced before changes nothing.
    pub(super) fn lost(&mut self, fence: Fence, now: Now, after: &mut After) {
        if !self.agent.is_open(fence) {
            return;
        }
        self.agent.close(after);
        self.forget_owed();
        self.happen(Event::Lost(fence), now, after);
    }

    /// The link of the present stream, or of the invited one.
    pub(super) fn open_fence(&self) -> Option<Fence> {
        self.agent.open.as_ref().map(|open| open.fence)
    }

    /// Bytes of the log came.
    pub(super) fn output(
        &mut self,
        output: v1::Output,
        now: Instant,
        after: &mut After,
    ) -> Result<usize, Gap> {
        let is_rewinding = self.agent.rewinding_until().is_some();
        if is_rewinding && Offset(output.offset) < self.log.start() {
            self.log.restart(Offset(output.offset));
            self.rewound(after);
        }
        let before = self.log.end();
        let command = cmdop_proto::CommandId(output.command_id);
        self.echo = output.echo();
        let added = self
            .log
            .append(Offset(output.offset), output.data, command)?;
        for client in &mut self.clients {
            if client.cursor.position() == before {
                client.waiting_since = now;
            }
            client.has_output(&mut after.wakes);
        }
        self.look_after_credit(after);
        Ok(added)
    }

    /// An agent that may soon stand still has somebody who watches the clock for it.
    fn look_after_credit(&mut self, after: &mut After) {
        let end = self.log.end();
        if let Some(open) = &mut self.agent.open
            && !open.knows_short
            && open
                .granted
                .is_some_and(|granted| credit::is_short(granted, end))
        {
            after.wakes.take(&mut open.waker);
        }
    }

    /// An operator moved on: the agent may read further if that is worth a message.
    pub(super) fn operator_moved(&mut self, position: Offset, after: &mut After) {
        let Some(open) = &mut self.agent.open else {
            return;
        };
        let reach = position.advance(limits::RELAY_WINDOW);
        let is_due = open
            .granted
            .is_none_or(|granted| granted == Offset::MAX || reach - granted >= credit::STEP);
        if is_due {
            after.wakes.take(&mut open.waker);
        }
    }

    /// What the stream `fence` sends next; where it sleeps, `waker` ends that.
    pub(super) fn next_for_agent(
        &mut self,
        fence: Fence,
        now: Instant,
        waker: &Waker,
    ) -> AgentNext {
        let Some(open) = self.agent.open.as_mut().filter(|open| open.fence == fence) else {
            return AgentNext::Over;
        };
        if let Some(command) = open.commands.pop_front() {
            return AgentNext::Send(command);
        }
        // The size first: a picture of the old one would be of no use.
        if let Some(size) = open.resize.take() {
            return AgentNext::Send(Down::Resize(size));
        }
        if let Some(settings) = open.settings.take() {
            return AgentNext::Send(Down::Settings(settings));
        }
        if std::mem::take(&mut open.owes_keyframe) {
            return AgentNext::Send(Down::KeyframeWanted(v1::KeyframeWanted {}));
        }
        let received = std::mem::take(&mut open.received);
        if received > 0 {
            return AgentNext::Send(Down::Received(received));
        }
        if let Some(input) = self.inputs.next_to_send() {
            return AgentNext::Send(Down::Input(v1::AgentInput {
                client_id: input.client.to_string(),
                input_seq: input.seq.0,
                command_id: input.command.0,
                data: input.data.clone(),
            }));
        }
        let grant = self.grant(now);
        let Some(open) = &mut self.agent.open else {
            return AgentNext::Over;
        };
        if open
            .granted
            .is_none_or(|old| credit::is_worth_a_message(old, grant.up_to))
        {
            open.granted = Some(grant.up_to);
            return AgentNext::Send(Down::ReadUpTo(grant.up_to.0));
        }
        open.waker = Some(waker.clone());
        let granted = open.granted.unwrap_or(Offset::MAX);
        open.knows_short = credit::is_short(granted, self.log.end());
        AgentNext::Sleep(grant.until.filter(|_| open.knows_short))
    }
}
