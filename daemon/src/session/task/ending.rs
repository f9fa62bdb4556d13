//! How a session ends: by itself, or because somebody wants it to.

use tokio::time::Instant;

use super::{Link, TURN, Task};
use crate::memory::{Stopped, Turn};
use crate::process::Process;
use crate::pty::Pty;
use crate::session::end::{self, Closing};

impl Task {
    /// Whether the leader is gone and what it left in the terminal may be read now.
    pub(super) fn may_finish(&self) -> bool {
        self.has_ended && self.exit.is_none() && !self.is_held_back()
    }

    /// The leader ended: read what it left in the terminal. A background job may hold the terminal
    /// open for ever, so an empty terminal is the end, not only a closed one.
    pub(super) async fn last_words(&mut self) {
        let is_closed = loop {
            let Some(pty) = &self.pty else { break true };
            let turn = Turn::from_now(self.last_words.min(TURN));
            let command = self.inputs.written();
            let read = pty.read_now(&mut self.log, turn, command);
            let taken = self.printed(read);
            self.last_words -= taken.bytes;
            if taken.bytes > 0 {
                self.catch_up().await;
                if self.is_held_back() {
                    return;
                }
            }
            match taken.why {
                Stopped::Limit if self.last_words > 0 => {}
                Stopped::Limit | Stopped::Empty => break false,
                Stopped::End => break true,
            }
        };
        if self.awaits_survivors() {
            let leader = self.process.as_ref().map(Process::pid);
            if !is_closed || end::has_survivors(leader).await {
                self.is_hung_up = is_closed;
                return;
            }
        }
        self.finish();
    }

    /// The relay's credit is used up: the last words wait for it, as all output does.
    fn is_held_back(&self) -> bool {
        matches!(&self.link, Link::Open(stream) if self.log.end() >= stream.read_up_to())
    }

    /// An end that was asked for takes the background jobs along; they have until KILL.
    fn awaits_survivors(&self) -> bool {
        self.closing.is_some_and(|closing| !closing.has_killed())
    }

    fn finish(&mut self) {
        self.inputs.clear();
        self.pty = None;
        let exit = self.process.take().map(Process::reap);
        self.exit = Some(exit.unwrap_or_default());
    }

    /// Nobody wants to hear of the session any more: end it and be gone.
    pub(super) async fn give_up(&mut self) {
        self.is_given_up = true;
        self.close().await;
    }

    async fn close(&mut self) {
        if self.closing.is_none() && self.exit.is_none() {
            let foreground = self.pty.as_ref().and_then(Pty::foreground);
            self.closing = Some(Closing::begin(self.process.as_ref(), foreground).await);
        }
    }

    /// When something must be done although nothing happens.
    pub(super) fn deadline(&self) -> Option<Instant> {
        if self.exit.is_none()
            && let Some(closing) = self.closing
        {
            return closing.kill_at;
        }
        match &self.link {
            Link::Open(_) => None,
            Link::Away | Link::Opening(_) => self.patience.map(|p| self.away_since + p),
        }
    }

    pub(super) async fn deadline_passed(&mut self) {
        if self.exit.is_some() {
            // Nobody came for the end.
            let _ = self.unheard.try_send(self.summary());
            self.is_given_up = true;
            self.leave();
        } else if let Some(closing) = &mut self.closing {
            let foreground = self.pty.as_ref().and_then(Pty::foreground);
            closing.kill(self.process.as_ref(), foreground).await;
        } else {
            tracing::info!("no relay asked for the session within its grace period: ending it");
            self.close().await;
        }
    }
}
