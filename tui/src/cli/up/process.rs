//! Background processes that outlive us: started as leaders of their own session, known again by pid
//! and start time, and ended politely first.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use cmdop_client::clock::now_ms;
use cmdop_proto::text::shown;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader, Interest};
use tokio::process::Command;

use super::place::Running;
use crate::cli::failure::Failure;
use crate::cli::readiness;

/// A program that is not ready by then hangs.
const READY_TIMEOUT: Duration = Duration::from_secs(30);

/// A one-shot command of ours that is not done by then hangs.
const RUN_TIMEOUT: Duration = Duration::from_secs(30);

/// A program has this long to drain after SIGTERM (the contract of all our programs).
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// A log that is larger is put aside when its program is started again.
const MAX_LOG: u64 = 16 << 20;

/// What a failure shows of a log.
const TAIL_LINES: usize = 12;
const TAIL_BYTES: u64 = 8 << 10;

/// When a process began, in ticks since boot (field 22 of proc(5)'s stat); `None` if there is none,
/// or only its corpse.
pub(super) fn start_time(pid: u32) -> Option<u64> {
    parse_stat(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The second field is the program's name in parentheses and may hold anything: count from the last one.
fn parse_stat(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    if matches!(fields.next()?, "Z" | "X") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

/// Whether the process that was started is still there, and not another one under its id.
pub(in crate::cli) fn is_running(running: &Running) -> bool {
    start_time(running.pid) == Some(running.start_time)
}

/// How long it has been running.
pub(in crate::cli) fn uptime(running: &Running) -> Duration {
    Duration::from_millis(now_ms().saturating_sub(running.started_at_ms))
}

/// A program to start in the background.
#[derive(Debug)]
pub(super) struct Background<'a> {
    pub(super) binary: &'a Path,
    pub(super) args: Vec<String>,
    pub(super) log: &'a Path,
    pub(super) directory: &'a Path,
}

impl Background<'_> {
    /// Starts it and waits for the one line by which it says that it is ready.
    pub(super) async fn start(&self) -> Result<(Running, String), Failure> {
        let name = self.name();
        let cannot = |error: io::Error| {
            Failure::unavailable("unreachable", format!("cannot start {name}: {error}"))
        };
        let log = open_log(self.log).map_err(cannot)?;
        let own = std::env::current_exe().map_err(cannot)?;
        let mut child = Command::new(own)
            .args(["__detached", "--"])
            .arg(self.binary)
            .args(&self.args)
            .current_dir(self.directory)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .map_err(cannot)?;
        let pid = child.id().unwrap_or_default();
        let started_at_ms = now_ms();
        let stdout = child.stdout.take();
        let line = tokio::time::timeout(READY_TIMEOUT, first_line(stdout)).await;
        let failed = match line {
            Ok(Ok(line)) if !line.is_empty() => {
                // Only now is it the program itself and not the step before it.
                let start_time = start_time(pid).unwrap_or_default();
                let running = Running {
                    pid,
                    start_time,
                    started_at_ms,
                    address: String::new(),
                    restarts: 0,
                };
                return Ok((running, line));
            }
            Ok(_) => match child.wait().await {
                Ok(status) => format!("{name} ended before it was ready ({status})"),
                Err(error) => format!("{name} ended before it was ready ({error})"),
            },
            Err(_) => {
                // It is ours and it hangs: it must not hold its port against the next attempt.
                let _ = child.start_kill();
                let seconds = READY_TIMEOUT.as_secs();
                format!("{name} was not ready in {seconds} s and was stopped")
            }
        };
        Err(self.failed(&failed))
    }

    /// A failure with the end of the program's log.
    pub(super) fn failed(&self, what: &str) -> Failure {
        let tail = tail(self.log);
        let message = if tail.is_empty() {
            what.to_owned()
        } else {
            format!("{what}; its log ends with:\n{tail}")
        };
        Failure::unavailable("unreachable", message)
            .hint(format!("the whole log is {}", self.log.display()))
    }

    fn name(&self) -> String {
        let name = self.binary.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }
}

async fn first_line(stdout: Option<tokio::process::ChildStdout>) -> io::Result<String> {
    let Some(stdout) = stdout else {
        return Ok(String::new());
    };
    let mut line = String::new();
    BufReader::new(stdout.take(4096))
        .read_line(&mut line)
        .await?;
    Ok(shown(line.trim_end(), 1024))
}

/// Runs a program to its end and returns what it printed.
pub(super) async fn run(
    binary: &Path,
    args: &[&str],
    secret: Option<(&str, &str)>,
) -> Result<String, Failure> {
    let name = binary
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let what = format!(
        "{name} {}",
        args.iter().take(2).copied().collect::<Vec<_>>().join(" ")
    );
    let mut command = Command::new(binary);
    command.args(args).stdin(Stdio::null()).kill_on_drop(true);
    if let Some((variable, value)) = secret {
        command.env(variable, value);
    }
    let output = tokio::time::timeout(RUN_TIMEOUT, command.output())
        .await
        .map_err(|_| Failure::timeout(format!("`{what}` was not done in 30 s")))?
        .map_err(|error| {
            Failure::unavailable("unreachable", format!("cannot run {name}: {error}"))
        })?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        let said = last_lines(&stderr);
        return Err(Failure::unavailable(
            "unreachable",
            format!("`{what}` failed ({}):\n{said}", output.status),
        ));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Ends a process: TERM, and KILL if it does not end in 10 s. `false`: it was not running.
pub(in crate::cli) async fn stop(running: &Running) -> Result<bool, Failure> {
    let cannot = |error: io::Error| {
        Failure::internal(format!("cannot stop process {}: {error}", running.pid))
    };
    let Some((pid, ended)) = watch(running).map_err(cannot)? else {
        return Ok(false);
    };
    for (signal, patience) in [(Signal::TERM, STOP_TIMEOUT), (Signal::KILL, STOP_TIMEOUT)] {
        let _ = kill_process(pid, signal);
        if tokio::time::timeout(patience, ended.readable())
            .await
            .is_ok()
        {
            return Ok(true);
        }
    }
    Err(Failure::internal(format!(
        "process {} does not end",
        running.pid
    )))
}

/// Returns when the process is over; at once if it is already.
pub(super) async fn ended(running: &Running) -> io::Result<()> {
    if let Some((_, ended)) = watch(running)? {
        let _ = ended.readable().await?;
    }
    Ok(())
}

/// A descriptor that becomes readable at the process's end; `None` if it does not run.
fn watch(running: &Running) -> io::Result<Option<(Pid, AsyncFd<OwnedFd>)>> {
    let Some(pid) = Pid::from_raw(running.pid as i32) else {
        return Ok(None);
    };
    // The descriptor pins the process: from here on its id cannot pass to another one.
    let Ok(descriptor) = pidfd_open(pid, PidfdFlags::NONBLOCK) else {
        return Ok(None);
    };
    if !is_running(running) {
        return Ok(None);
    }
    let ended = readiness::of(descriptor, Interest::READABLE)
        .map_err(|_| io::Error::other("the kernel does not tell of its end"))?;
    Ok(Some((pid, ended)))
}

fn open_log(path: &Path) -> io::Result<File> {
    if std::fs::metadata(path).is_ok_and(|log| log.len() > MAX_LOG) {
        std::fs::rename(path, path.with_extension("log.old"))?;
    }
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)
}

fn tail(path: &Path) -> String {
    let read = || -> io::Result<String> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
        let mut bytes = Vec::new();
        file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    last_lines(&read().unwrap_or_default())
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    let from = lines.len().saturating_sub(TAIL_LINES);
    let indented: Vec<_> = lines[from..]
        .iter()
        .map(|line| format!("  | {}", shown(line, 500)))
        .collect();
    indented.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper() -> std::process::Child {
        std::process::Command::new("sleep")
            .arg("600")
            .spawn()
            .unwrap()
    }

    fn running(pid: u32) -> Running {
        Running {
            pid,
            start_time: start_time(pid).unwrap(),
            started_at_ms: now_ms(),
            address: String::new(),
            restarts: 0,
        }
    }

    #[test]
    fn a_program_name_with_parentheses_does_not_shift_the_fields() {
        let fields: Vec<String> = (4..=30).map(|n| n.to_string()).collect();
        let stat = format!("1 (a) b) S {}", fields.join(" "));
        assert_eq!(parse_stat(&stat), Some(22));
        assert_eq!(parse_stat(&stat.replace(" S ", " Z ")), None);
    }

    #[tokio::test]
    async fn a_recycled_process_id_is_never_stopped() {
        let mut child = sleeper();
        let mut other = running(child.id());
        other.start_time += 1;
        assert!(!is_running(&other));
        assert!(!stop(&other).await.unwrap());
        assert!(child.try_wait().unwrap().is_none(), "the bystander was hit");
        assert!(stop(&running(child.id())).await.unwrap());
        child.wait().unwrap();
    }

    #[test]
    fn the_end_of_a_log_is_shown_without_its_escapes() {
        let text: Vec<_> = (0..50).map(|n| format!("line {n}\x1b[31m")).collect();
        let text = text.join("\n");
        let tail = last_lines(&text);
        assert_eq!(tail.lines().count(), TAIL_LINES);
        assert!(tail.ends_with("line 49[31m") && !tail.contains('\x1b'));
    }
}
