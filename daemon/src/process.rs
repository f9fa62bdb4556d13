//! One child process, from its start until it is reaped: waiting for its end without blocking the
//! runtime, signals to its process group, and how it ended.
//!
//! Invariant: a process that has ended stays unreaped until [`Process::reap`], so its id, its group
//! and its session cannot pass to a stranger while signals are still sent to them.

pub(crate) mod members;

use std::io;

use cmdop_proto::v1;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

/// A started child; it leads its own process group.
#[derive(Debug)]
pub(crate) struct Process {
    pid: Pid,
    end: End,
    reaped: bool,
}

impl Process {
    /// Takes charge of the child `pid`. Nobody else may wait for it.
    pub(crate) fn watch(pid: Pid) -> io::Result<Self> {
        Ok(Self {
            pid,
            end: End::of(pid)?,
            reaped: false,
        })
    }

    /// Its id, which is also that of its process group.
    pub(crate) fn pid(&self) -> Pid {
        self.pid
    }

    /// Returns once the process has ended. May be asked again, and dropped half-way.
    pub(crate) async fn ended(&mut self) {
        self.end.wait().await;
    }

    /// Signals its process group. A group that is gone is no error: that is what was wanted.
    pub(crate) fn signal_group(&self, signal: Signal) {
        let _ = kill_process_group(self.pid, signal);
    }

    /// How it ended. Call it only after [`Process::ended`].
    pub(crate) fn reap(mut self) -> v1::Exit {
        self.reaped = true;
        let status = waitid(
            WaitId::Pid(self.pid),
            WaitIdOptions::EXITED | WaitIdOptions::NOHANG,
        );
        let outcome = match status {
            Ok(Some(status)) => match (status.exit_status(), status.terminating_signal()) {
                (Some(code), _) => v1::exit::Outcome::Code(code as u32 & 0xff),
                (None, Some(signal)) => v1::exit::Outcome::Signal(signal as u32),
                (None, None) => return v1::Exit::default(),
            },
            _ => return v1::Exit::default(),
        };
        v1::Exit {
            outcome: Some(outcome),
        }
    }
}

impl Drop for Process {
    /// Only when the runtime is torn down: whoever ends a process in order reaps it.
    fn drop(&mut self) {
        if !self.reaped {
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
