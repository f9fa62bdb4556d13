//! A pseudo-terminal and the program in it: opening, reading and writing without ever blocking,
//! size and foreground process group.
//!
//! It keeps no bytes and decides nothing: when to read is the session's business.

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use cmdop_proto::Size;
use portable_pty::{CommandBuilder, PtySize};
use rustix::process::Pid;
use rustix::termios::{Winsize, tcgetpgrp, tcsetwinsize};
use tokio::io::Interest;
use tokio::io::unix::{AsyncFd, AsyncFdReadyGuard};

use crate::descriptor;
use crate::process::Process;

/// What to run in a terminal, fully resolved.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    /// Empty: the login shell that stands in `env` as SHELL.
    pub(crate) argv: Vec<OsString>,
    pub(crate) cwd: PathBuf,
    pub(crate) env: Vec<(OsString, OsString)>,
    pub(crate) size: Size,
}

/// Why no terminal was opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The machine has no terminal or no process left, or the program is none.
    #[error("{0}")]
    Start(String),
    /// The runtime cannot watch the terminal or its process.
    #[error("cannot watch the new terminal: {0}")]
    Watch(#[from] io::Error),
}

/// What a read brought.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Read {
    /// So many bytes; the terminal may hold more.
    Bytes(usize),
    /// Nothing now.
    Empty,
    /// Nobody holds the other side any more.
    End,
}

/// The master side of a terminal; dropping it hangs the terminal up.
#[derive(Debug)]
pub(crate) struct Pty {
    master: AsyncFd<OwnedFd>,
}

impl Pty {
    /// Starts `program` as the leader of a session on a new controlling terminal.
    pub(crate) async fn open(program: Program) -> Result<(Self, Process), Error> {
        // fork and exec take a millisecond: not on a runtime that carries other sessions' keys.
        let (master, pid) = tokio::task::spawn_blocking(move || start(&program))
            .await
            .map_err(|panic| Error::Start(panic.to_string()))??;
        let process = Process::watch(pid)?;
        let master = descriptor::watch(master, Interest::READABLE | Interest::WRITABLE)?;
        Ok((Self { master }, process))
    }

    /// Waits until it may be worth a read.
    pub(crate) async fn readable(&self) -> io::Result<AsyncFdReadyGuard<'_, OwnedFd>> {
        self.master.readable().await
    }

    /// Waits until it may take bytes.
    pub(crate) async fn writable(&self) -> io::Result<AsyncFdReadyGuard<'_, OwnedFd>> {
        self.master.writable().await
    }

    /// Reads what is there. A terminal whose other side is closed answers EIO: that is its end.
    pub(crate) fn read(&self, buffer: &mut [u8]) -> Read {
        outcome(
            self.master
                .try_io(Interest::READABLE, |fd| read(fd, buffer)),
        )
    }

    /// The same, asking the kernel even if the runtime has not heard of new bytes yet: after the
    /// program's end, "empty" must be the truth.
    pub(crate) fn read_now(&self, buffer: &mut [u8]) -> Read {
        outcome(read(self.master.get_ref(), buffer))
    }

    /// Writes what the terminal takes now; `None` if nothing.
    pub(crate) fn write(&self, data: &[u8]) -> io::Result<Option<usize>> {
        let written = self.master.try_io(Interest::WRITABLE, |fd| {
            loop {
                match rustix::io::write(fd, data) {
                    Err(rustix::io::Errno::INTR) => {}
                    other => return other.map_err(Into::into),
                }
            }
        });
        match written {
            Ok(count) => Ok(Some(count)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Gives the terminal a new size; its foreground group gets SIGWINCH.
    pub(crate) fn resize(&self, size: Size) -> io::Result<()> {
        let size = Winsize {
            ws_row: size.rows(),
            ws_col: size.cols(),
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        Ok(tcsetwinsize(self.master.get_ref(), size)?)
    }

    /// The process group that the terminal's keys go to.
    pub(crate) fn foreground(&self) -> Option<Pid> {
        tcgetpgrp(self.master.get_ref()).ok()
    }
}

fn read(fd: &OwnedFd, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match rustix::io::read(fd, &mut *buffer) {
            Err(rustix::io::Errno::INTR) => {}
            other => return Ok(other?),
        }
    }
}

fn outcome(read: io::Result<usize>) -> Read {
    match read {
        Ok(0) => Read::End,
        Ok(count) => Read::Bytes(count),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Read::Empty,
        Err(_) => Read::End,
    }
}

fn start(program: &Program) -> Result<(OwnedFd, Pid), Error> {
    let size = PtySize {
        rows: program.size.rows(),
        cols: program.size.cols(),
        pixel_width: 0,
        pixel_height: 0,
    };
    let pair = portable_pty::native_pty_system()
        .openpty(size)
        .map_err(|error| Error::Start(format!("{error:#}")))?;
    let child = pair
        .slave
        .spawn_command(command(program))
        .map_err(|error| Error::Start(format!("{error:#}")))?;
    let pid = child
        .process_id()
        .and_then(|pid| Pid::from_raw(pid as i32))
        .ok_or_else(|| Error::Start("the program has no process id".into()))?;
    let master = descriptor::duplicate(&*pair.master)?;
    Ok((master, pid))
}

fn command(program: &Program) -> CommandBuilder {
    let mut command = if program.argv.is_empty() {
        CommandBuilder::new_default_prog()
    } else {
        CommandBuilder::from_argv(program.argv.clone())
    };
    command.env_clear();
    for (name, value) in &program.env {
        command.env(name, value);
    }
    command.cwd(&program.cwd);
    command
}
