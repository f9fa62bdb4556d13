//! The long-running programs of a test: started in a group of their own, their first line awaited,
//! their logs kept, and ended whatever happens to the test.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::sync::mpsc;

use crate::wait;

/// SIGSTOP, and the wait until none of the process's threads runs any more: the signal itself only asks for that.
pub async fn freeze(pid: u32) {
    signal(pid, Signal::STOP);
    wait::until_true("all of the process stands still", || stands_still(pid)).await;
}

fn stands_still(pid: u32) -> bool {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).expect("the process is there");
    threads.flatten().all(|thread| {
        // proc(5): the state follows the name, which may have any character in it.
        let stat = std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        let state = stat.rsplit(')').next().unwrap_or_default();
        state.trim_start().starts_with('T') || stat.is_empty()
    })
}

/// A program that runs until it is stopped or dropped.
#[derive(Debug)]
pub struct Program {
    name: String,
    child: Child,
    log: PathBuf,
    lines: mpsc::Receiver<String>,
}

impl Program {
    /// Starts `command`; its stderr goes to `log`, which later starts continue.
    pub fn start(name: &str, mut command: Command, log: &Path) -> Self {
        use std::os::unix::process::CommandExt as _;
        let stderr = File::options()
            .append(true)
            .create(true)
            .open(log)
            .expect("a log file");
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .process_group(0);
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
        let stdout = child.stdout.take().expect("stdout is a pipe");
        // A program says one line when it is ready; more than a screenful would be a bug.
        let (sender, lines) = mpsc::channel(64);
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.blocking_send(line).is_err() {
                    return;
                }
            }
        });
        Self {
            name: name.to_owned(),
            child,
            log: log.to_owned(),
            lines,
        }
    }

    /// The next line of its stdout.
    pub async fn line(&mut self) -> String {
        let what = format!("a line from {}", self.name);
        match wait::within(&what, self.lines.recv()).await {
            Some(line) => line,
            None => panic!(
                "{} ended before it was ready; it said:\n{}",
                self.name,
                self.log()
            ),
        }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// All that it wrote to stderr.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// SIGTERM; returns its exit code (128 + n for signal n) when it has ended.
    pub async fn terminate(&mut self) -> i32 {
        signal(self.pid(), Signal::TERM);
        self.exit().await
    }

    /// SIGKILL, to itself and its group; returns when it is gone.
    pub async fn kill(&mut self) {
        kill(self.pid());
        self.exit().await;
    }

    /// Waits for its end.
    pub async fn exit(&mut self) -> i32 {
        let what = format!("the end of {}", self.name);
        wait::until(&what, || {
            let status = self.child.try_wait().expect("a child can be waited for");
            std::future::ready(status.map(exit_code))
        })
        .await
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if self.is_running() {
            kill(self.pid());
            let _ = self.child.wait();
        }
    }
}

/// The code of a status as a shell shows it: 128 + n for signal n.
pub fn exit_code(status: std::process::ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt as _;
    status
        .code()
        .or_else(|| status.signal().map(|n| 128 + n))
        .unwrap_or(-1)
}

/// Sends `signal` to one process; one that is gone is no error.
pub fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(pid as i32) {
        let _ = kill_process(pid, signal);
    }
}

/// SIGKILL to a process that leads a group, and to its group.
pub fn kill(pid: u32) {
    if let Some(pid) = Pid::from_raw(pid as i32) {
        let _ = kill_process_group(pid, Signal::KILL);
        let _ = kill_process(pid, Signal::KILL);
    }
}
