//! Which processes belong to a terminal session: its leader's jobs have process groups of their own,
//! and at the end of the session all of them must go.

use rustix::process::{Pid, Signal, kill_process};

/// The processes whose session is `leader`'s. Reads all of /proc: for the end of a session only,
/// and not on the runtime's threads.
pub(crate) fn of_session(leader: Pid) -> Vec<Pid> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .filter(|pid| session(*pid) == Some(leader.as_raw_nonzero().get()))
        .filter_map(Pid::from_raw)
        .collect()
}

/// Signals all processes of a session but its leader.
pub(crate) fn signal(leader: Pid, signal: Signal) {
    for pid in of_session(leader) {
        if pid != leader {
            let _ = kill_process(pid, signal);
        }
    }
}

/// Field 6 of /proc/PID/stat (proc(5)); the name before it may itself hold blanks and brackets.
fn session(pid: i32) -> Option<i32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace();
    let alive = fields.next()? != "Z";
    alive.then(|| fields.nth(2)?.parse().ok()).flatten()
}
