//! Bytes to and from the terminal, and the screen that follows them.

use cmdop_proto::v1::session_up::Message as Up;
use cmdop_proto::{Offset, Size, v1};

use super::{FEED, Link, MAX_LAG, TURN, Task, WORK};
use crate::process;
use crate::pty::{self, Pty};
use crate::session::input::{Accepted, Ack};
use crate::session::screen::Look;

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
        while let (Some(pty), Some(data)) = (&self.pty, self.inputs.next()) {
            match pty.write(data) {
                Ok(Some(count)) => {
                    if let Some(ack) = self.inputs.wrote(count) {
                        self.acknowledge(ack);
                    }
                }
                Ok(None) => return,
                // Nobody will read it any more; the end of the session says the rest.
                Err(_) => self.inputs.clear(),
            }
        }
    }

    pub(super) fn acknowledge(&mut self, ack: Ack) {
        self.answer(Up::InputAck(v1::AgentInputAck {
            client_id: ack.client.to_string(),
            input_seq: ack.seq.0,
            command_id: ack.command.0,
        }));
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
        let limit = self.readable_bytes();
        let Some(pty) = &self.pty else { return };
        let mut filled = 0;
        let mut last = pty::Read::Empty;
        while filled < limit {
            last = pty.read(&mut self.buffer[filled..limit]);
            let pty::Read::Bytes(count) = last else { break };
            filled += count;
        }
        self.printed(filled);
        match last {
            pty::Read::Bytes(_) => tokio::task::yield_now().await,
            pty::Read::Empty => {}
            // All have closed the terminal, but the leader may live on without it: reading again
            // would turn in circles.
            pty::Read::End => self.is_hung_up = true,
        }
    }

    pub(super) fn printed(&mut self, count: usize) {
        self.log
            .append(&self.buffer[..count], self.inputs.written());
        self.pump();
    }

    /// Feeds the emulator one piece of what was sent already.
    pub(super) async fn feed(&mut self) {
        self.feed_piece();
        if self.fed < self.log.end() {
            tokio::task::yield_now().await;
        }
        self.write();
    }

    fn feed_piece(&mut self) {
        let data = self.log.adjacent(self.fed, FEED);
        let (count, reply) = self.screen.feed(data, WORK);
        self.fed = self.fed.advance(count);
        self.inputs.reply(reply);
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
    }

    pub(super) async fn keyframe(&mut self, wanted: v1::KeyframeWanted) {
        self.scrollback_wanted = wanted.scrollback_lines;
        let keyframe = self.make_keyframe(wanted.scrollback_lines).await;
        if let Link::Open(stream) = &mut self.link {
            stream.queue().keyframe(keyframe);
        }
    }

    /// The screen at the log's end.
    pub(super) async fn make_keyframe(&mut self, scrollback_lines: u32) -> v1::Keyframe {
        self.catch_up().await;
        v1::Keyframe {
            offset: self.log.end().0,
            size: Some(self.screen.size().into()),
            data: self.screen.keyframe(scrollback_lines).into(),
        }
    }

    pub(super) async fn capture(&mut self, wanted: v1::CaptureWanted) {
        self.catch_up().await;
        let look = if wanted.ansi { Look::Ansi } else { Look::Plain };
        let text = self.screen.capture(wanted.scrollback_lines, look);
        self.answer(Up::Capture(v1::CaptureReply {
            request_id: wanted.request_id,
            capture: Some(v1::CaptureResponse {
                text: text.into_bytes().into(),
                size: Some(self.screen.size().into()),
                offset: self.log.end().0,
            }),
        }));
    }
}
