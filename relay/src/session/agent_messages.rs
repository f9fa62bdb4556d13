//! What an agent's stream tells a session, after `hello`. Agents are hostile: what they say is
//! checked, bounded, and touches this session only.

use cmdop_proto::{InputSeq, Offset, Size, limits, v1};
use tokio::time::Instant;
use v1::session_up::Message as Up;

use super::FARTHEST;
use super::lifecycle::{Event, Fence, Now};
use super::log::Gap;
use super::state::{After, State};

/// What a message of the agent led to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// The session goes on; so many new bytes of output came.
    Bytes(usize),
    /// The process ended: the stream is over.
    Exited,
    /// The stream was replaced by a newer one.
    Ghost,
    /// Bytes are missing: the stream has to be opened again from where we stand.
    Gap(Gap),
    /// It says what it may not.
    Nonsense(&'static str),
}

impl State {
    /// A message on the stream `fence`.
    pub(super) fn hear(&mut self, fence: Fence, up: Up, now: Now, after: &mut After) -> Heard {
        if !self.agent.is_open(fence) {
            return Heard::Ghost;
        }
        if farthest(&up) > FARTHEST {
            return Heard::Nonsense("an offset is beyond any that can be");
        }
        match up {
            Up::Output(output) => {
                self.agent.received(output.mark, after);
                return match self.output(output, now.instant, after) {
                    Ok(added) => Heard::Bytes(added),
                    Err(gap) => Heard::Gap(gap),
                };
            }
            Up::InputAck(ack) => self.input_written(&ack, after),
            Up::Keyframe(frame) => self.keyframe_came(frame, after),
            Up::Capture(reply) => {
                let capture = reply.capture.unwrap_or_default();
                self.captures.came(reply.request_id, capture);
            }
            Up::History(taken) => {
                let page = taken.history.unwrap_or_default();
                self.pages.came(taken.request_id, page);
            }
            Up::Resized(size) => match size.try_into() {
                Ok(size) => self.resized(size, now.instant, after),
                Err(_) => return Heard::Nonsense("a terminal's size is outside the limits"),
            },
            Up::LogStartsAt(start) => self.log_starts_at(Offset(start), after),
            Up::Exited(exited) => {
                self.happen(Event::Exited(exited.exit), now, after);
                return Heard::Exited;
            }
            Up::Hello(_) => return Heard::Nonsense("`hello` came twice"),
        }
        Heard::Bytes(0)
    }

    fn input_written(&mut self, ack: &v1::AgentInputAck, after: &mut After) {
        let Ok(id) = ack.client_id.parse() else {
            return;
        };
        let seq = InputSeq(ack.input_seq);
        let Some(command) = self.inputs.written(id, seq) else {
            return;
        };
        after.input_moves = true;
        for client in self.clients.iter_mut().filter(|client| client.id == id) {
            client.outbox.ack = Some((seq, command));
            after.wakes.take(&mut client.waker);
        }
        while let Some(index) = self
            .sends
            .iter()
            .position(|(client, sent, _)| *client == id && *sent <= seq)
        {
            if let Some((_, _, waiting)) = self.sends.remove(index) {
                let _ = waiting.send(command);
            }
        }
    }

    fn keyframe_came(&mut self, frame: v1::Keyframe, after: &mut After) {
        if frame.data.len() > limits::MAX_KEYFRAME {
            // It counts as no answer, and is asked for again in a while. To close the stream for it
            // would help nobody: the next stream's answer would be the same.
            tracing::debug!(
                bytes = frame.data.len(),
                "a keyframe is larger than the limit"
            );
            return;
        }
        self.keyframes.came(frame);
        for client in &mut self.clients {
            after.wakes.take(&mut client.waker);
        }
    }

    /// The terminal has this size now.
    pub(super) fn resized(&mut self, size: Size, now: Instant, after: &mut After) {
        if size == self.facts.size {
            return;
        }
        self.facts.size = size;
        self.is_one_size &= self.log.end() == Offset::START;
        self.keyframes.resized();
        if !self.clients.is_empty() && self.keyframes.ask(now) {
            self.agent.want_keyframe(after);
        }
        self.record_changed(after);
    }

    /// The agent no longer has what we asked for.
    fn log_starts_at(&mut self, start: Offset, after: &mut After) {
        self.rewound(after);
        if start <= self.log.end() {
            return;
        }
        self.log.restart(start);
        for client in &mut self.clients {
            after.wakes.take(&mut client.waker);
        }
    }
}

/// The offset that a message names.
fn farthest(up: &Up) -> u64 {
    match up {
        Up::Output(output) => output.offset,
        Up::Keyframe(frame) => frame.offset,
        Up::LogStartsAt(start) => *start,
        _ => 0,
    }
}
