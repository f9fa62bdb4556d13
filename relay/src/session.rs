//! One session: a log, its readers, its input queue and its life, behind one lock of its own.
//!
//! The lock is held for one short method at a time and never across an await; two sessions are never
//! locked together. Sleepers are woken, and others told, after it is free.

mod agent_messages;
mod agent_side;
mod arbitration;
mod attached;
mod client_calls;
mod client_next;
mod client_side;
mod credit;
mod cursor;
mod input;
mod keyboard;
mod keyframe;
mod lifecycle;
mod log;
mod one_shot;
mod owed;
mod pace;
mod size;
mod state;
mod told;
mod wakes;

use std::sync::{Arc, Weak};
use std::task::Waker;

use cmdop_proto::{CommandId, LinkEpoch, MachineId, Refusal, SessionId, v1};
use tokio::sync::Notify;
use tokio::time::Instant;

pub(crate) use agent_messages::Heard;
pub(crate) use agent_side::AgentNext;
pub(crate) use arbitration::Asking;
pub(crate) use attached::{AttachmentId, Message, Mode};
pub(crate) use client_next::ClientNext;
pub(crate) use client_side::Attaching;
pub(crate) use input::Accepted;
pub(crate) use lifecycle::{Fence, Terms};
pub(crate) use pace::Pace;
pub(crate) use size::Policy;
pub(crate) use state::Facts;

use keyboard::Keyboard;
use lifecycle::{Event, Life, Now};
use state::{After, State};

use crate::context::Context;
use crate::deadlines::Deadline;
use crate::lock::{Held, Lock};
use crate::stream_token::StreamToken;
use crate::workspace::Workspace;

/// How far the command ids of a relay that restarted stay away from those of its predecessor, whose
/// last inputs the agent may not have reported.
const COMMAND_ID_GAP: u64 = 1 << 20;

/// Counts and offsets that an agent reports stay below this: no session lives long enough to pass
/// it, and sums with it do not overflow.
const FARTHEST: u64 = 1 << 62;

/// A session of this relay.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) id: SessionId,
    pub(crate) machine: MachineId,
    workspace: Weak<Workspace>,
    context: Arc<Context>,
    state: Lock<State>,
    /// Told when input may have room again.
    input_moves: Notify,
    /// Told when the status changes.
    status_moves: Notify,
    told: Lock<told::Told>,
}

impl Session {
    /// A session that somebody asked for; `start` is what its agent will be told.
    pub(crate) fn pending(
        context: &Arc<Context>,
        workspace: &Arc<Workspace>,
        (id, machine): (SessionId, MachineId),
        facts: Facts,
        terms: Terms,
        start: v1::StartSession,
    ) -> Arc<Self> {
        let life = Life::pending(&terms, now());
        let mut state = State::new(facts, terms, life, CommandId(0));
        state.policy = start.session.as_ref().map_or(Policy::Latest, policy);
        state.start = Some(start);
        Self::put_together(context, workspace, (id, machine), state)
    }

    /// A session that its agent has and we did not know: the relay was restarted since.
    pub(crate) fn found(
        context: &Arc<Context>,
        workspace: &Arc<Workspace>,
        (id, machine): (SessionId, MachineId),
        facts: Facts,
        terms: Terms,
        summary: &v1::SessionSummary,
    ) -> Arc<Self> {
        let connected_ms = summary.session.as_ref().map_or(0, |s| s.connected_at_ms);
        let life = Life::found(&terms, connected_ms, now());
        let newest = CommandId(
            summary
                .command_id
                .min(FARTHEST)
                .saturating_add(COMMAND_ID_GAP),
        );
        let mut state = State::new(facts, terms, life, newest);
        if let Some(record) = &summary.session {
            // What operators set of it; its agent kept it.
            state.policy = policy(record);
            state.keyboard = Keyboard::restored(record.keyboard.as_ref(), now().instant);
        }
        state.is_log_unknown = true;
        state.is_one_size = false;
        Self::put_together(context, workspace, (id, machine), state)
    }

    fn put_together(
        context: &Arc<Context>,
        workspace: &Arc<Workspace>,
        (id, machine): (SessionId, MachineId),
        state: State,
    ) -> Arc<Self> {
        let session = Arc::new(Self {
            id,
            machine,
            workspace: Arc::downgrade(workspace),
            context: context.clone(),
            state: Lock::new(state),
            input_moves: Notify::new(),
            status_moves: Notify::new(),
            told: Lock::default(),
        });
        context.meters.sessions.increment(1.0);
        // Arms its first deadline.
        session.with(|_, _| ());
        session
    }

    fn lock(&self) -> Held<'_, State> {
        self.state.lock()
    }

    /// One change, and then what follows from it.
    fn with<R>(self: &Arc<Self>, change: impl FnOnce(&mut State, &mut After) -> R) -> R {
        let mut after = After::default();
        let mut state = self.lock();
        let result = change(&mut state, &mut after);
        self.arm(&mut state);
        drop(state);
        self.follow_up(after);
        result
    }

    /// Arranges a tick, unless one comes before it is needed: that one arranges the next.
    fn arm(self: &Arc<Self>, state: &mut State) {
        let Some(at) = state.deadline() else {
            return;
        };
        if state.tick.is_none_or(|armed| at < armed.at) {
            let deadlines = &self.context.deadlines;
            state.tick = Some(deadlines.arm(at, Arc::downgrade(self), state.tick));
        }
    }

    fn follow_up(self: &Arc<Self>, after: After) {
        after.wakes.wake();
        if after.input_moves {
            self.input_moves.notify_waiters();
        }
        if let Some(bytes) = after.lingers {
            let lingering = &self.context.lingering;
            for oldest in lingering.add(Arc::downgrade(self), bytes) {
                if let Some(oldest) = oldest.upgrade() {
                    oldest.with(State::release_memory);
                }
            }
        }
        if after.released {
            self.context.lingering.remove(&Arc::downgrade(self));
        }
        if !(after.changed || after.ended || after.end_on_agent || after.forget) {
            return;
        }
        self.status_moves.notify_waiters();
        if after.end_on_agent {
            self.tell_agent_to_end("the relay ended the session");
        }
        let Some(workspace) = self.workspace.upgrade() else {
            return;
        };
        if after.ended {
            self.context.meters.sessions.decrement(1.0);
            workspace.session_ended(self);
        }
        self.tell_control(&workspace);
        if after.forget {
            workspace.forget(self.id);
        } else {
            workspace.session_changed(self.id);
        }
    }

    /// Time passed: `deadline` is due.
    pub(crate) fn tick(self: &Arc<Self>, deadline: Deadline) {
        self.with(|state, after| {
            // Another may have taken its place on its way here.
            if state.tick == Some(deadline) {
                state.tick = None;
            }
            state.tick(now(), after);
        });
    }

    // ------------------------------------------------------------ records

    /// The record, as clients see it.
    pub(crate) fn record(&self) -> v1::Session {
        let mut record = self.lock().record();
        self.name_record(&mut record);
        record
    }

    fn name_record(&self, record: &mut v1::Session) {
        record.id = self.id.to_string();
        record.machine_id = self.machine.to_string();
        if let Some(workspace) = self.workspace.upgrade() {
            record.workspace_id = workspace.id().to_string();
        }
        record.machine_name = self.context.directory.machine_name(self.machine);
        record.last_heartbeat_at_ms = self.context.machines.last_heartbeat_ms(self.machine);
    }

    pub(crate) fn name(&self) -> String {
        self.lock().facts.name.clone()
    }

    /// Only its workspace renames it, which holds the lock of its index.
    pub(crate) fn rename(self: &Arc<Self>, name: String) {
        self.with(|state, after| {
            state.facts.name = name;
            state.record_changed(after);
        });
    }

    pub(crate) fn is_ended(&self) -> bool {
        self.lock().life.is_ended()
    }

    /// Whether it was ended here and its agent, for all that is known, still has it.
    pub(crate) fn owes_its_agent_the_end(&self) -> bool {
        self.lock().owes_end
    }

    /// Waits until `done` finds what it looks for in the state.
    async fn until<R>(&self, mut done: impl FnMut(&State) -> Option<R>) -> R {
        loop {
            let moves = self.status_moves.notified();
            if let Some(found) = done(&self.lock()) {
                return found;
            }
            moves.await;
        }
    }

    /// Waits until its agent has opened it, or it is clear that it will not.
    pub(crate) async fn started(&self) -> Result<(), Refusal> {
        self.until(|state| match &state.life {
            Life::Pending(_) => None,
            Life::Ended(ended) => Some(Err(match &state.start_failed {
                Some(refusal) => refusal.clone(),
                None => Refusal::unavailable("timeout", format!("no session: {}", ended.reason)),
            })),
            _ => Some(Ok(())),
        })
        .await
    }

    /// Waits until it is over.
    pub(crate) async fn over(&self) {
        self.until(|state| state.life.is_ended().then_some(()))
            .await;
    }

    // ------------------------------------------------------------ the agent

    /// What its agent has to be told to start it, once on each link.
    pub(crate) fn start_message(&self, link: LinkEpoch) -> Option<v1::StartSession> {
        let mut state = self.lock();
        if state.start_told == Some(link) {
            return None;
        }
        let mut start = state.start.clone()?;
        state.start_told = Some(link);
        start.stream_token = state.invite(link).expose();
        Some(start)
    }

    /// Whether its agent was never seen to have it.
    pub(crate) fn is_pending(&self) -> bool {
        matches!(self.lock().life, Life::Pending(_))
    }

    /// Invites the agent to open the session's stream.
    pub(crate) fn invite(&self, link: LinkEpoch) -> StreamToken {
        self.lock().invite(link)
    }

    /// The agent could not start it.
    pub(crate) fn start_failed(self: &Arc<Self>, refusal: Refusal) {
        self.with(|state, after| {
            if matches!(state.life, Life::Pending(_)) {
                let reason = refusal.message.clone();
                state.start_failed = Some(refusal);
                state.happen(Event::Over(reason), now(), after);
            }
        });
    }

    /// The agent opens the stream.
    pub(crate) fn open(
        self: &Arc<Self>,
        token: &str,
        summary: &v1::SessionSummary,
    ) -> Result<Fence, Refusal> {
        self.with(|state, after| state.open(token, summary, now(), after))
    }

    /// A message on that stream.
    pub(crate) fn hear(self: &Arc<Self>, fence: Fence, up: v1::session_up::Message) -> Heard {
        let heard = self.with(|state, after| state.hear(fence, up, now(), after));
        if let Heard::Bytes(added) = heard {
            self.context.meters.bytes_in.increment(added as u64);
        }
        heard
    }

    /// That stream is lost.
    pub(crate) fn stream_lost(self: &Arc<Self>, fence: Fence) {
        self.with(|state, after| state.lost(fence, now(), after));
    }

    /// Ends the agent's stream: the relay leaves.
    pub(crate) fn end_stream(self: &Arc<Self>) {
        self.with(|state, after| {
            if let Some(fence) = state.open_fence() {
                state.lost(fence, now(), after);
            }
        });
    }

    /// Whether that stream was the last one, and is lost.
    pub(crate) fn has_lost(&self, fence: Fence) -> bool {
        self.lock().life.has_lost(fence)
    }

    /// A link is lost, and with it every stream that was opened under it.
    pub(crate) fn link_lost(self: &Arc<Self>, link: LinkEpoch) {
        self.with(|state, after| {
            if let Some(fence) = state.open_fence().filter(|fence| fence.link <= link) {
                state.lost(fence, now(), after);
            }
        });
    }

    /// The agent says that it is over, or does not have it any more.
    pub(crate) fn gone_on_agent(self: &Arc<Self>, exit: Option<v1::Exit>, reason: &str) {
        self.with(|state, after| {
            state.owes_end = false;
            let event = match exit {
                Some(exit) => Event::Exited(Some(exit)),
                None => Event::Over(reason.to_owned()),
            };
            state.happen(event, now(), after);
        });
    }

    /// What the stream `fence` sends next.
    pub(crate) fn next_for_agent(&self, fence: Fence, waker: &Waker) -> AgentNext {
        self.lock().next_for_agent(fence, Instant::now(), waker)
    }

    fn tell_agent_to_end(&self, reason: &str) {
        let end = v1::EndSession {
            session_id: self.id.to_string(),
            reason: reason.to_owned(),
        };
        self.context
            .machines
            .tell(self.machine, v1::control_message::Message::EndSession(end));
    }

    // ------------------------------------------------------------ attached clients

    pub(crate) fn attach(self: &Arc<Self>, who: &Attaching) -> Result<AttachmentId, Refusal> {
        let most = self.context.limits.clients_per_session;
        let attachment = self.with(|state, after| state.attach(who, most, now(), after))?;
        self.context.meters.attached.increment(1.0);
        Ok(attachment)
    }

    pub(crate) fn detach(self: &Arc<Self>, attachment: AttachmentId) {
        self.with(|state, after| state.detach(attachment, now(), after));
        self.context.meters.attached.decrement(1.0);
    }

    /// What an attachment's stream sends next, and the record if that has to be in it.
    pub(crate) fn next_for_client(
        self: &Arc<Self>,
        attachment: AttachmentId,
        waker: &Waker,
    ) -> ClientNext {
        let mut after = After::default();
        let mut state = self.lock();
        let next = state.next_for_client(attachment, Instant::now(), waker, &mut after);
        if after.asked {
            self.arm(&mut state);
        }
        drop(state);
        after.wakes.wake();
        next
    }

    /// Takes an attached client's input; waits while there is no room for it.
    pub(crate) async fn typed(
        self: &Arc<Self>,
        attachment: AttachmentId,
        input: v1::Input,
    ) -> Result<(), Refusal> {
        self.when_room(|state, after| state.typed(attachment, &input, now(), after))
            .await?;
        self.context.meters.inputs.increment(1);
        Ok(())
    }

    async fn when_room(
        self: &Arc<Self>,
        mut accept: impl FnMut(&mut State, &mut After) -> Result<Accepted, Refusal>,
    ) -> Result<Accepted, Refusal> {
        // The common case takes no waiter.
        match self.with(&mut accept)? {
            Accepted::Full => {}
            accepted => return Ok(accepted),
        }
        loop {
            let mut room = std::pin::pin!(self.input_moves.notified());
            room.as_mut().enable();
            match self.with(&mut accept)? {
                Accepted::Full => room.await,
                accepted => return Ok(accepted),
            }
        }
    }
}

fn policy(record: &v1::Session) -> Policy {
    Policy::read(record.size_policy()).unwrap_or_default()
}

fn now() -> Now {
    Now {
        instant: Instant::now(),
        unix_ms: cmdop_service::now_ms(),
    }
}

#[cfg(test)]
mod tests;
