//! Finding and starting a program with pipes, in a process group of its own.
//!
//! The search is ours, not execvp's: so "not found" and "not executable" get the shell's codes, and
//! the standard library may use posix_spawn, which costs the same however large the agent is.

use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use cmdop_proto::{Refusal, text};
use rustix::fs::{Access, access};
use rustix::process::Pid;

/// What a pipe between the program and us holds: fewer wake-ups under load. The kernel may say no.
const PIPE_BYTES: usize = 256 << 10;

/// Where the program's stdin comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Input {
    /// From the caller.
    Pipe,
    /// /dev/null.
    Nothing,
}

/// What to run, checked.
#[derive(Clone, Debug)]
pub(super) struct Program {
    pub(super) argv: Vec<String>,
    pub(super) cwd: PathBuf,
    pub(super) env: Vec<(OsString, OsString)>,
    pub(super) stdin: Input,
}

/// A running program's ends of the pipes.
#[derive(Debug)]
pub(super) struct Started {
    pub(super) pid: Pid,
    pub(super) stdin: Option<OwnedFd>,
    pub(super) stdout: OwnedFd,
    pub(super) stderr: OwnedFd,
}

impl Started {
    /// Its process id as numbers go.
    pub(super) fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get() as u32
    }
}

/// Why a program did not start.
#[derive(Debug)]
pub(super) enum NotStarted {
    /// As a shell would put it: a line for stderr and an exit code.
    Shell { line: String, code: u32 },
    /// The machine could not.
    Machine(Refusal),
}

impl Program {
    /// Starts it. Blocks for about a millisecond.
    pub(super) fn start(&self) -> Result<Started, NotStarted> {
        let path = self.find()?;
        let mut command = Command::new(path);
        command
            .arg0(&self.argv[0])
            .args(&self.argv[1..])
            .current_dir(&self.cwd)
            .env_clear()
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .process_group(0)
            .stdin(match self.stdin {
                Input::Pipe => Stdio::piped(),
                Input::Nothing => Stdio::null(),
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        #[allow(clippy::zombie_processes, reason = "crate::process reaps it by its id")]
        let child = command.spawn().map_err(|error| self.refused(&error))?;
        let pid = Pid::from_raw(child.id() as i32).expect("a child's id is above zero");
        // At once: what the program may open is for it to ask first.
        cmdop_service::descriptors::restore_limit_of(pid);
        let started = Started {
            pid,
            stdin: child.stdin.map(Into::into),
            stdout: child.stdout.expect("stdout is piped").into(),
            stderr: child.stderr.expect("stderr is piped").into(),
        };
        for pipe in [&started.stdout, &started.stderr] {
            let _ = rustix::pipe::fcntl_setpipe_size(pipe, PIPE_BYTES);
        }
        Ok(started)
    }

    fn find(&self) -> Result<PathBuf, NotStarted> {
        let name = &self.argv[0];
        if name.contains('/') {
            return self.runnable(self.cwd.join(name));
        }
        let path = self
            .env
            .iter()
            .find(|(key, _)| key == "PATH")
            .map_or(OsStr::new(""), |(_, value)| value);
        let mut denied = None;
        for directory in std::env::split_paths(path) {
            match self.runnable(self.cwd.join(directory).join(name)) {
                Ok(found) => return Ok(found),
                Err(NotStarted::Shell { line, code: 126 }) => denied = Some(line),
                Err(_) => {}
            }
        }
        Err(match denied {
            Some(line) => NotStarted::Shell { line, code: 126 },
            None => self.shell("command not found", 127),
        })
    }

    fn runnable(&self, path: PathBuf) -> Result<PathBuf, NotStarted> {
        match path.metadata() {
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                Err(self.shell("permission denied", 126))
            }
            Err(_) => Err(self.shell("command not found", 127)),
            Ok(data) if data.is_dir() => Err(self.shell("is a directory", 126)),
            Ok(_) if is_executable(&path) => Ok(path),
            Ok(_) => Err(self.shell("permission denied", 126)),
        }
    }

    fn refused(&self, error: &std::io::Error) -> NotStarted {
        use std::io::ErrorKind as Kind;
        match error.kind() {
            // The file was there a moment ago: its interpreter is what is missing.
            Kind::NotFound => self.shell("its interpreter does not exist", 127),
            Kind::PermissionDenied => self.shell("permission denied", 126),
            Kind::ArgumentListTooLong => self.shell("argument list too long", 126),
            _ if error.raw_os_error() == Some(rustix::io::Errno::NOEXEC.raw_os_error()) => {
                self.shell("is not a program (a script needs a `#!` line)", 126)
            }
            _ => NotStarted::Machine(
                Refusal::exhausted(
                    "cannot-start",
                    format!("the machine could not start {}: {error}", self.name()),
                )
                .hint("the machine may be out of processes, descriptors or memory"),
            ),
        }
    }

    fn shell(&self, why: &str, code: u32) -> NotStarted {
        NotStarted::Shell {
            line: format!("cmdopd: {}: {why}\n", self.name()),
            code,
        }
    }

    fn name(&self) -> String {
        text::shown(&self.argv[0], 256)
    }
}

fn is_executable(path: &Path) -> bool {
    access(path, Access::EXEC_OK).is_ok()
}
