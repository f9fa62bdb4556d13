//! One child process, from its start until it is reaped: waiting for its end without blocking the
//! runtime, signals to its process group, and how it ended.
//!
//! Invariant: a process that has ended stays unreaped until [`Process::reap`], so its id, its group
//! and its session cannot pass to a stranger while signals are still sent to them.

pub(crate) mod members;

use std::io;

use cmdop_proto::v1;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tokio::sync::watch;

/// A started process; it leads its own process group.
#[derive(Debug)]
pub(crate) struct Process {
    pid: Pid,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// A child of ours.
    Child(End),
    /// A child of the holder, which tells us of its end.
    Held(watch::Receiver<Option<v1::Exit>>),
    /// Nothing is to be done any more.
    Done,
}

impl Process {
    /// Takes charge of the child `pid`. Nobody else may wait for it.
    pub(crate) fn watch(pid: Pid) -> io::Result<Self> {
        Ok(Self {
            pid,
            kind: Kind::Child(End::of(pid)?),
        })
    }

    /// Somebody else's child, of whose end `exited` tells. It stays unreaped until its session is
    /// released.
    pub(crate) fn held(pid: Pid, exited: watch::Receiver<Option<v1::Exit>>) -> Self {
        Self {
            pid,
            kind: Kind::Held(exited),
        }
    }

    /// Its id, which is also that of its process group.
    pub(crate) fn pid(&self) -> Pid {
        self.pid
    }

    /// Returns once the process has ended. May be asked again, and dropped half-way.
    pub(crate) async fn ended(&mut self) {
        match &mut self.kind {
            Kind::Child(end) => end.wait().await,
            Kind::Held(exited) => {
                if exited.wait_for(Option::is_some).await.is_err() {
                    // The holder is gone, and with it this process's reason to live.
                    std::future::pending::<()>().await;
                }
            }
            Kind::Done => {}
        }
    }

    /// Signals its process group. A group that is gone is no error: that is what was wanted.
    pub(crate) fn signal_group(&self, signal: Signal) {
        let _ = kill_process_group(self.pid, signal);
    }

    /// How it ended. Call it only after [`Process::ended`].
    pub(crate) fn reap(mut self) -> v1::Exit {
        match std::mem::replace(&mut self.kind, Kind::Done) {
            Kind::Child(_) => exit(self.pid, WaitIdOptions::empty()).unwrap_or_default(),
            Kind::Held(exited) => exited.borrow().unwrap_or_default(),
            Kind::Done => v1::Exit::default(),
        }
    }

    /// Leaves it as it is, living or unreaped.
    pub(crate) fn leave(mut self) {
        self.kind = Kind::Done;
    }
}

/// How the child `pid` ended, if it has; it stays unreaped.
pub(crate) fn exit_of(pid: Pid) -> Option<v1::Exit> {
    exit(pid, WaitIdOptions::NOWAIT)
}

/// Waits for the child `pid`, which has ended or is about to.
pub(crate) fn reap_now(pid: Pid) {
    let _ = waitid(WaitId::Pid(pid), WaitIdOptions::EXITED);
}

fn exit(pid: Pid, how: WaitIdOptions) -> Option<v1::Exit> {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | how;
    let status = waitid(WaitId::Pid(pid), options).ok()??;
    let outcome = match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => Some(v1::exit::Outcome::Code(code as u32 & 0xff)),
        (None, Some(signal)) => Some(v1::exit::Outcome::Signal(signal as u32)),
        (None, None) => None,
    };
    Some(v1::Exit { outcome })
}

impl Drop for Process {
    /// Only when the runtime is torn down: whoever ends a process in order reaps it. What the holder
    /// keeps is the holder's to end.
    fn drop(&mut self) {
        if matches!(self.kind, Kind::Child(_)) {
            self.signal_group(Signal::KILL);
        }
    }
}

/// A signal by its number on the wire, if it is one that can be sent.
pub(crate) fn signal(number: u32) -> Option<Signal> {
    Signal::from_named_raw(i32::try_from(number).ok()?)
}

#[cfg(target_os = "linux")]
#[derive(Debug)]
struct End(tokio::io::unix::AsyncFd<std::os::fd::OwnedFd>);

#[cfg(target_os = "linux")]
impl End {
    fn of(pid: Pid) -> io::Result<Self> {
        use rustix::process::{PidfdFlags, pidfd_open};
        let fd = pidfd_open(pid, PidfdFlags::NONBLOCK)?;
        let fd = crate::descriptor::watch(fd, tokio::io::Interest::READABLE)?;
        Ok(Self(fd))
    }

    async fn wait(&mut self) {
        // The descriptor becomes readable at the end and stays so.
        if let Ok(mut ready) = self.0.readable().await {
            ready.retain_ready();
        }
    }
}

/// Where there is no descriptor for a process, a thread waits for it, without reaping it.
#[cfg(not(target_os = "linux"))]
#[derive(Debug)]
struct End(Option<tokio::task::JoinHandle<()>>);

#[cfg(not(target_os = "linux"))]
impl End {
    fn of(pid: Pid) -> io::Result<Self> {
        Ok(Self(Some(tokio::task::spawn_blocking(move || {
            let _ = waitid(
                WaitId::Pid(pid),
                WaitIdOptions::EXITED | WaitIdOptions::NOWAIT,
            );
        }))))
    }

    async fn wait(&mut self) {
        if let Some(thread) = &mut self.0 {
            let _ = thread.await;
            self.0 = None;
        }
    }
}
