//! What the relay knows of one session, and what each message changes in it.
//!
//! A plain struct: no IO, no waiting, no clock. It is locked for the length of one method at a time,
//! and says in [`After`] what has to happen once the lock is free.

use std::collections::VecDeque;
use std::time::Duration;

use cmdop_proto::{ClientId, CommandId, InputSeq, LinkEpoch, Offset, Refusal, Size, limits, v1};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::agent_side::AgentSide;
use super::attached::{AttachmentId, Client};
use super::input::Inputs;
use super::keyboard::Keyboard;
use super::keyframe::Keyframes;
use super::lifecycle::{Event, Life, Now, Terms};
use super::log::Log;
use super::owed::Owed;
use super::size::Policy;
use super::wakes::Wakes;
use crate::deadlines::Deadline;

/// How long the output of a session that is over is kept for clients that were away at its end: they
/// come back within their longest wait, or not.
const LINGER: Duration = Duration::from_secs(30);

/// What was agreed when the session was made.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    /// Empty, or its name.
    pub(crate) name: String,
    /// As it is shown: long commands are cut.
    pub(crate) command: Vec<String>,
    /// The size of its terminal.
    pub(crate) size: Size,
    /// Milliseconds since the Unix epoch.
    pub(crate) created_at_ms: u64,
    /// Whose it is.
    pub(crate) created_by: String,
}

/// What has to happen once the lock is free.
#[derive(Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent effects, not states"
)]
pub(crate) struct After {
    pub(super) wakes: Wakes,
    /// The record looks different: tell who watches.
    pub(super) changed: bool,
    /// The relay ended it: tell the agent.
    pub(super) end_on_agent: bool,
    /// The record's time is over.
    pub(super) forget: bool,
    /// It is over and keeps so many bytes of output for a while.
    pub(super) lingers: Option<usize>,
    /// It has given them back.
    pub(super) released: bool,
    /// There is room for input again, or there never will be.
    pub(super) input_moves: bool,
    /// It ended just now.
    pub(super) ended: bool,
    /// Something has to happen by a time that is new: an answer of the agent, a client's next update.
    pub(super) asked: bool,
}

/// The state.
#[derive(Debug)]
pub(crate) struct State {
    pub(super) facts: Facts,
    pub(super) terms: Terms,
    pub(super) life: Life,
    pub(super) log: Log,
    /// What the terminal does with what is typed, as its agent said with its newest output.
    pub(super) echo: v1::Echo,
    /// The relay has nothing of the log: it was restarted since.
    pub(super) is_log_unknown: bool,
    /// The terminal has had one size as long as this log is.
    pub(super) is_one_size: bool,
    pub(super) keyframes: Keyframes,
    pub(super) inputs: Inputs,
    pub(super) clients: Vec<Client>,
    /// Attachments that did not take their end in time; their streams are still to be dropped.
    pub(super) late: Vec<AttachmentId>,
    pub(super) attachments: u64,
    pub(super) agent: AgentSide,
    /// Who may type.
    pub(super) keyboard: Keyboard,
    /// Which accounts used which client ids; the least recent first.
    pub(super) owners: VecDeque<(ClientId, String)>,
    /// Whose terminal decides the size.
    pub(super) policy: Policy,
    /// Counts what operators and requests said of the size.
    pub(super) turns: u64,
    pub(super) captures: Owed<v1::CaptureResponse>,
    /// Pages of history.
    pub(super) pages: Owed<v1::HistoryResponse>,
    pub(super) sends: VecDeque<(ClientId, InputSeq, oneshot::Sender<CommandId>)>,
    /// What the agent must be told to start it, until it has.
    pub(super) start: Option<v1::StartSession>,
    /// The link on which it was told.
    pub(super) start_told: Option<LinkEpoch>,
    /// Why the agent could not start it.
    pub(super) start_failed: Option<Refusal>,
    /// The size that an operator asked for last; a new stream of the agent is told again.
    pub(super) wanted_size: Option<Size>,
    /// It was ended here, and its agent may still have it.
    pub(super) owes_end: bool,
    /// The tick that is arranged.
    pub(super) tick: Option<Deadline>,
    /// It is over, and its output is kept until then.
    pub(super) linger_until: Option<Instant>,
}

impl State {
    pub(super) fn new(facts: Facts, terms: Terms, life: Life, newest: CommandId) -> Self {
        Self {
            facts,
            terms,
            life,
            log: Log::new(Offset::START, limits::RELAY_WINDOW),
            is_log_unknown: false,
            echo: v1::Echo::Unspecified,
            is_one_size: true,
            keyframes: Keyframes::default(),
            inputs: Inputs::after(newest),
            clients: Vec::new(),
            late: Vec::new(),
            attachments: 0,
            agent: AgentSide::default(),
            keyboard: Keyboard::default(),
            owners: VecDeque::new(),
            policy: Policy::default(),
            turns: 0,
            captures: Owed::default(),
            pages: Owed::default(),
            sends: VecDeque::new(),
            start: None,
            start_told: None,
            start_failed: None,
            wanted_size: None,
            owes_end: false,
            tick: None,
            linger_until: None,
        }
    }

    /// Lets `event` happen.
    pub(super) fn happen(&mut self, event: Event, now: Now, after: &mut After) {
        let was_ended = self.life.is_ended();
        let (life, effect) = self.life.clone().step(event, &self.terms, now);
        self.life = life;
        after.end_on_agent |= effect.end_on_agent;
        self.owes_end |= effect.end_on_agent;
        after.forget |= effect.forget;
        if effect.changed {
            self.record_changed(after);
        }
        if self.life.is_ended() && !was_ended {
            self.ended(now, after);
        }
    }

    /// When a tick will change something.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let keyframe = self.keyframes.overdue_at();
        let keyframe = keyframe.filter(|_| self.agent.has_stream());
        let late = self.clients.iter().filter_map(|client| client.end_by).min();
        let linger = self.linger_until.filter(|_| self.clients.is_empty());
        let rewind = self.agent.rewinding_until();
        let paced = self.paced_until();
        [self.life.deadline(), keyframe, late, linger, rewind, paced]
            .into_iter()
            .flatten()
            .min()
    }

    /// Time passed.
    pub(super) fn tick(&mut self, now: Now, after: &mut After) {
        self.happen(Event::Tick, now, after);
        self.drop_late(now, after);
        if self.linger_until.is_some_and(|until| now.instant >= until) {
            self.release_memory(after);
        }
        self.give_up_rewind(now.instant, after);
        self.wake_paced(now, after);
        self.ask_again(now.instant, after);
    }

    /// A keyframe that the agent owes for too long is asked for again: somebody waits for it.
    fn ask_again(&mut self, now: Instant, after: &mut After) {
        if self.clients.is_empty() {
            return self.keyframes.withdraw();
        }
        let is_due = self.keyframes.overdue_at().is_some_and(|at| now >= at);
        if is_due && self.agent.has_stream() {
            self.ask_for_outstanding(now, after);
        }
    }

    pub(super) fn ask_for_outstanding(&mut self, now: Instant, after: &mut After) {
        if self.keyframes.ask_again(now) {
            self.agent.want_keyframe(after);
        }
    }

    fn ended(&mut self, now: Now, after: &mut After) {
        after.ended = true;
        after.input_moves = true;
        self.start = None;
        self.forget_owed();
        self.sends.clear();
        self.agent.close(after);
        for client in &mut self.clients {
            client.has_to_leave(now.instant);
            after.wakes.take(&mut client.waker);
        }
        self.linger(now.instant, after);
    }

    /// All who are attached, and all who watch, hear of it.
    pub(super) fn record_changed(&mut self, after: &mut After) {
        after.changed = true;
        for client in &mut self.clients {
            client.outbox.record_changed = true;
            after.wakes.take(&mut client.waker);
        }
    }

    /// The stream is gone on which the agent was asked: it answers no more.
    pub(super) fn forget_owed(&mut self) {
        self.captures.clear();
        self.pages.clear();
    }

    /// An ended session that nobody reads keeps its output for those who were cut off from it.
    pub(super) fn linger(&mut self, now: Instant, after: &mut After) {
        if self.life.is_ended() && self.clients.is_empty() && self.linger_until.is_none() {
            self.linger_until = Some(now + LINGER);
            let window = (self.log.end() - self.log.start()) as usize;
            after.lingers = Some(window + self.keyframes.bytes());
        }
    }

    /// After that, or where others need the memory, it keeps its record only; not while it is read.
    pub(super) fn release_memory(&mut self, after: &mut After) {
        if self.clients.is_empty() && self.linger_until.take().is_some() {
            self.log.restart(self.log.end());
            self.keyframes.forget();
            self.inputs = Inputs::default();
            after.released = true;
        }
    }

    /// Why a request cannot be done in this state of life.
    pub(super) fn require_alive(&self) -> Result<(), Refusal> {
        match self.life.ended() {
            None => Ok(()),
            Some(ended) => Err(ended_refusal(&ended.reason)),
        }
    }

    /// The same, for what needs the agent now.
    pub(super) fn require_linked(&self) -> Result<(), Refusal> {
        self.require_alive()?;
        if self.life.is_linked() {
            return Ok(());
        }
        Err(Refusal::unavailable(
            "machine-offline",
            "the session's machine is not connected now",
        )
        .hint("the session goes on when its agent is back; try again then"))
    }

    pub(super) fn client(&mut self, attachment: AttachmentId) -> Option<&mut Client> {
        self.clients
            .iter_mut()
            .find(|client| client.attachment == attachment)
    }

    /// The record, without what the session does not know: its machine's name and heartbeat.
    pub(super) fn record(&self) -> v1::Session {
        let ended = self.life.ended();
        let operators = self
            .clients
            .iter()
            .filter(|client| client.is_operator())
            .count();
        v1::Session {
            name: self.facts.name.clone(),
            status: self.life.status().into(),
            command: self.facts.command.clone(),
            size: Some(self.facts.size.into()),
            created_at_ms: self.facts.created_at_ms,
            connected_at_ms: self.life.connected_ms(),
            grace_period_started_at_ms: self.life.grace_started_ms(),
            ended_at_ms: ended.map_or(0, |ended| ended.at_ms),
            exit: ended.and_then(|ended| ended.exit),
            reason: ended.map(|ended| ended.reason.clone()).unwrap_or_default(),
            operator_count: operators as u32,
            observer_count: (self.clients.len() - operators) as u32,
            end_offset: self.log.end().0,
            grace: Some(grace_message(&self.terms)),
            created_by: self.facts.created_by.clone(),
            keyboard: Some(self.keyboard_message()),
            size_policy: self.policy.message().into(),
            ..v1::Session::default()
        }
    }
}

fn grace_message(terms: &Terms) -> v1::Grace {
    use v1::grace::Limit;
    v1::Grace {
        limit: Some(match terms.grace {
            None => Limit::Forever(true),
            Some(grace) => Limit::DurationMs(grace.as_millis() as u64),
        }),
    }
}

fn ended_refusal(reason: &str) -> Refusal {
    let why = if reason.is_empty() {
        "its program ended"
    } else {
        reason
    };
    Refusal::not_found("session-ended", format!("the session is over: {why}"))
        .hint("`cmdop new` starts another")
}
