//! Bytes to and from the terminal, and the screen that follows them.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use cmdop_proto::v1::session_up::Message as Up;
use cmdop_proto::{Offset, Size, v1};
use rustix::process::Pid;
use tokio::time::Instant;

use super::{FEED, Link, MAX_LAG, TURN, Task, WORK};
use crate::memory::{Stopped, Taken, Turn, Typist};
use crate::process::{self, Process};
use crate::pty::Pty;
use crate::session::input::Accepted;

/// A picture is kept as often as this while the log fills once: a worker after us has at most this
/// part of it to go through.
const CHECKPOINTS: u64 = 4;

/// How long an acknowledgement waits for the echo that it can travel with: by itself it would wake three
/// programs just before the echo does.
const ACK_DELAY: Duration = Duration::from_millis(5);

/// What a terminal holds ready when it is full: one byte less than a page (N_TTY_BUF_SIZE).
const FULL: usize = (4 << 10) - 1;

/// What is gathered of a flood before it is sent.
const GATHER: usize = 32 << 10;

/// How long it is gathered. A program that prints without end fills it in a tenth of that.
const GATHER_TIME: Duration = Duration::from_millis(1);

impl Task {
    pub(super) fn accept(&mut self, input: v1::AgentInput) {
        if self.pty.is_none() {
            return;
        }
        match self.inputs.accept(input) {
            Ok(Accepted::Waiting) => self.write(),
            Ok(Accepted::Written(ack)) => self.acknowledge(ack),
            Err(refusal) => tracing::warn!(reason = refusal.reason, "refused an input: {refusal}"),
        }
    }

    /// Writes what the terminal takes now, and waits for nothing.
    pub(super) fn write(&mut self) {
        while let (Some(pty), Some(next)) = (&self.pty, self.inputs.next()) {
            // Nothing of it is left where an earlier worker wrote all.
            let written = match next.rest.len() {
                0 => Ok(Some(0)),
                _ => pty.write(&mut self.log, &next),
            };
            match written {
                Ok(Some(count)) => {
                    if let Some(ack) = self.inputs.wrote(count) {
                        self.remember(ack);
                        self.acknowledge(ack);
                    }
                }
                Ok(None) => return,
                // Nobody will read it any more; the end of the session says the rest.
                Err(_) => {
                    self.inputs.clear();
                    let abandoned = self.log.memory().abandon_input();
                    kept(abandoned);
                }
            }
        }
    }

    fn remember(&mut self, ack: Typist) {
        let result = self.log.memory().set_written(ack);
        kept(result);
    }

    pub(super) fn acknowledge(&mut self, ack: Typist) {
        let Link::Open(stream) = &mut self.link else {
            return;
        };
        if !stream.queue().holds_acks() {
            self.acks_due_at = Instant::now() + ACK_DELAY;
        }
        stream.queue().ack(v1::AgentInputAck {
            client_id: ack.client.to_string(),
            input_seq: ack.seq.0,
            command_id: ack.command.0,
        });
    }

    pub(super) async fn resize(&mut self, size: v1::Size) {
        let (Ok(size), Some(pty)) = (Size::try_from(size), &self.pty) else {
            return;
        };
        if let Err(error) = pty.resize(size) {
            tracing::warn!(%error, "cannot resize the terminal");
            return;
        }
        self.catch_up().await;
        self.screen.resize(size);
        // What follows is of this size, also for a worker after us.
        self.checkpoint();
        self.record.size = Some(size.into());
        self.answer(Up::Resized(size.into()));
    }

    /// To whoever has the terminal's keys; to the leader's group if nobody has.
    pub(super) fn signal(&mut self, number: u32) {
        let Some(signal) = process::signal(number) else {
            tracing::warn!(number, "refused a signal that does not exist");
            return;
        };
        match (self.pty.as_ref().and_then(Pty::foreground), &self.process) {
            (Some(group), _) => {
                let _ = rustix::process::kill_process_group(group, signal);
            }
            (None, Some(process)) => process.signal_group(signal),
            (None, None) => {}
        }
    }

    /// The directory in which the program is that the keys go to, or else the session's own.
    pub(super) fn directory(&self) -> Option<PathBuf> {
        let foreground = self.pty.as_ref().and_then(Pty::foreground);
        let leader = self.process.as_ref().map(Process::pid);
        let of = |pid: Pid| std::fs::read_link(format!("/proc/{}/cwd", pid.as_raw_nonzero())).ok();
        foreground.and_then(of).or_else(|| leader.and_then(of))
    }

    pub(super) fn may_read(&self) -> bool {
        self.pty.is_some()
            && !self.is_hung_up
            && self.readable_bytes() > 0
            && self.log.end() - self.fed < MAX_LAG
    }

    /// What one turn may read: the relay gives credit for as much as its clients keep up with.
    fn readable_bytes(&self) -> usize {
        let read_up_to = match &self.link {
            Link::Open(stream) => stream.read_up_to(),
            Link::Away | Link::Opening(_) => Offset::MAX,
        };
        (read_up_to - self.log.end()).min(TURN as u64) as usize
    }

    pub(super) async fn read(&mut self) {
        let turn = Turn::from_now(self.readable_bytes());
        let command = self.inputs.written();
        let Some(pty) = &self.pty else { return };
        let read = pty.read(&mut self.log, turn, command);
        let taken = taken(read);
        if !self.gathers(taken) {
            self.pump();
        }
        match taken.why {
            Stopped::Limit => tokio::task::yield_now().await,
            Stopped::Empty => {}
            // All have closed the terminal, but the leader may live on without it: reading again
            // would turn in circles.
            Stopped::End => self.is_hung_up = true,
        }
    }

    /// Whether what was read waits for what certainly follows. The kernel hands out a flood in pieces
    /// of its small buffer; each by itself would wake relay and clients. A key's echo is smaller.
    fn gathers(&mut self, taken: Taken) -> bool {
        let has_more = taken.why != Stopped::End && taken.bytes >= FULL && self.may_read();
        if !has_more || self.gathered + taken.bytes >= GATHER {
            self.gathered = 0;
            return false;
        }
        if self.gathered == 0 {
            self.gather_until = Instant::now() + GATHER_TIME;
        }
        self.gathered += taken.bytes;
        true
    }

    /// Sends what came.
    pub(super) fn printed(&mut self, read: io::Result<Taken>) -> Taken {
        let taken = taken(read);
        self.pump();
        taken
    }

    /// Feeds the emulator one piece of what was sent already.
    pub(super) async fn feed(&mut self) {
        self.feed_piece();
        if self.fed < self.log.end() {
            tokio::task::yield_now().await;
        }
        self.write();
        self.keep_fed();
    }

    /// What the screen has seen is kept once its answers are in the terminal: a worker after us answers
    /// what is seen anew.
    fn keep_fed(&mut self) {
        if !self.inputs.has_replies() {
            let result = self.log.memory().set_fed(self.fed);
            kept(result);
        }
    }

    fn feed_piece(&mut self) {
        let reply = self.show_piece(FEED);
        self.inputs.reply(reply);
        let memory = self.log.memory();
        let since = memory.checkpoint_at().unwrap_or(Offset::START);
        if self.fed - since >= memory.capacity() as u64 / CHECKPOINTS {
            self.checkpoint();
        }
    }

    /// Shows the screen at most `most` more bytes; what it answers.
    pub(super) fn show_piece(&mut self, most: usize) -> Vec<u8> {
        let count = self.log.copy(self.fed, &mut self.buffer[..most]);
        let (count, reply) = self.screen.feed(&self.buffer[..count], WORK);
        self.fed = self.fed.advance(count);
        reply
    }

    /// Brings the emulator to the end of the log: at most [`MAX_LAG`] and one turn away. In turns, for
    /// these bytes may ask for more work than other sessions should wait for.
    pub(super) async fn catch_up(&mut self) {
        loop {
            self.feed_piece();
            if self.fed >= self.log.end() {
                break;
            }
            tokio::task::yield_now().await;
        }
        self.write();
        self.keep_fed();
    }
}

/// A memory that takes nothing is bad for a worker after us, and no reason to stop.
pub(super) fn kept(result: io::Result<()>) {
    if let Err(error) = result {
        tracing::error!(%error, "the memory of the session cannot be written");
    }
}

/// A memory that takes nothing any more is the end of the terminal.
fn taken(read: io::Result<Taken>) -> Taken {
    read.unwrap_or_else(|error| {
        tracing::error!(%error, "the memory of the session cannot be written");
        Taken {
            bytes: 0,
            why: Stopped::End,
        }
    })
}
