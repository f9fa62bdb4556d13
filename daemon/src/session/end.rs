//! Ending the processes of a session: HUP, as when a terminal's line drops, and KILL for what is
//! left after five seconds.

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::time::Instant;

use crate::process::{Process, members};

/// How long programs have to save their work.
pub(crate) const HANG_UP: Duration = Duration::from_secs(5);

/// An end that was asked for and is under way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Closing {
    /// When patience is over; `None` once KILL was sent.
    pub(crate) kill_at: Option<Instant>,
}

impl Closing {
    /// Hangs up on everybody in the session.
    pub(crate) async fn begin(process: Option<&Process>, foreground: Option<Pid>) -> Self {
        signal_all(process, foreground, Signal::HUP).await;
        // A stopped process hears nothing before it goes on.
        signal_all(process, foreground, Signal::CONT).await;
        Self {
            kill_at: Some(Instant::now() + HANG_UP),
        }
    }

    /// Kills who is left.
    pub(crate) async fn kill(&mut self, process: Option<&Process>, foreground: Option<Pid>) {
        signal_all(process, foreground, Signal::KILL).await;
        self.kill_at = None;
    }

    /// Whether KILL was sent.
    pub(crate) fn has_killed(&self) -> bool {
        self.kill_at.is_none()
    }
}

/// Whether somebody besides the leader, who must not be reaped yet, still belongs to the session.
pub(crate) async fn has_survivors(leader: Option<Pid>) -> bool {
    let Some(leader) = leader else { return false };
    tokio::task::spawn_blocking(move || !members::of_session(leader).is_empty())
        .await
        .unwrap_or(false)
}

async fn signal_all(process: Option<&Process>, foreground: Option<Pid>, signal: Signal) {
    if let Some(group) = foreground {
        let _ = kill_process_group(group, signal);
    }
    let Some(process) = process else { return };
    process.signal_group(signal);
    let leader = process.pid();
    // Reading /proc takes a millisecond on a busy machine.
    let _ = tokio::task::spawn_blocking(move || members::signal(leader, signal)).await;
}
