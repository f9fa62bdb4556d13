//! The programs without a terminal that a worker runs: when it dies, nobody reads their output or hears
//! how they end, so they end with it.

use std::collections::HashMap;

use rustix::process::{Pid, Signal, kill_process_group};

/// Of one worker, by the ids of their processes, which lead groups of their own.
#[derive(Debug, Default)]
pub(super) struct Programs {
    running: HashMap<i32, Mark>,
}

impl Programs {
    /// The worker started one, or it is over. What ended before we could look is not ours to signal.
    pub(super) fn heard(&mut self, pid: i32, over: bool) {
        if over {
            self.running.remove(&pid);
        } else if let Some(mark) = Pid::from_raw(pid).and_then(Mark::of) {
            self.running.insert(pid, mark);
        }
    }

    /// The worker is dead: its programs follow. One whose leader has ended is no program any more, and
    /// what it left in the background may stay, as it may after any run.
    pub(super) fn end_all(&mut self) {
        for (pid, mark) in self.running.drain() {
            if let Some(pid) = Pid::from_raw(pid).filter(|_| mark.is_alive()) {
                let _ = kill_process_group(pid, Signal::KILL);
            }
        }
    }
}

/// Tells a process from a later one of the same id.
#[cfg(target_os = "linux")]
#[derive(Debug)]
struct Mark(std::os::fd::OwnedFd);

#[cfg(target_os = "linux")]
impl Mark {
    fn of(pid: Pid) -> Option<Self> {
        use rustix::process::{PidfdFlags, pidfd_open};
        pidfd_open(pid, PidfdFlags::empty()).ok().map(Self)
    }

    /// The descriptor becomes readable at the end.
    fn is_alive(&self) -> bool {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let now = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let mut fds = [PollFd::new(&self.0, PollFlags::IN)];
        poll(&mut fds, Some(&now)) == Ok(0)
    }
}

/// Where there is no descriptor for a process its id must do.
#[cfg(not(target_os = "linux"))]
#[derive(Debug)]
struct Mark;

#[cfg(not(target_os = "linux"))]
impl Mark {
    fn of(_: Pid) -> Option<Self> {
        Some(Self)
    }

    fn is_alive(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt as _;
    use std::process::Command;

    use super::*;

    #[test]
    fn what_runs_ends_with_its_worker_and_what_is_over_is_left_alone() {
        let start = || {
            let mut command = Command::new("sleep");
            command.arg("1000").process_group(0).spawn().unwrap()
        };
        let (mut one, mut other) = (start(), start());
        let mut programs = Programs::default();
        programs.heard(one.id() as i32, false);
        programs.heard(other.id() as i32, false);
        programs.heard(other.id() as i32, true);
        programs.end_all();
        assert!(!one.wait().unwrap().success());
        assert!(other.try_wait().unwrap().is_none());
        other.kill().unwrap();
        other.wait().unwrap();
        // Its id may be anybody's now.
        programs.heard(other.id() as i32, false);
        programs.end_all();
    }
}
