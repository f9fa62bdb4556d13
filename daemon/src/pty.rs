//! A pseudo-terminal and the program in it: opening, reading and writing without ever blocking,
//! size and foreground process group.
//!
//! It keeps no bytes and decides nothing: they go between the terminal and the session's memory, and
//! when to read is the session's business.

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use cmdop_proto::{CommandId, Size};
use portable_pty::{CommandBuilder, PtySize};
use rustix::process::Pid;
use rustix::termios::{Winsize, tcgetpgrp, tcgetwinsize, tcsetwinsize};
use tokio::io::Interest;
use tokio::io::unix::{AsyncFd, AsyncFdReadyGuard};

use crate::descriptor;
use crate::memory::{Stopped, Taken, Turn};
use crate::session::input::Next;
use crate::session::log::Log;

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

/// The master side of a terminal; dropping it hangs the terminal up.
#[derive(Debug)]
pub(crate) struct Pty {
    master: AsyncFd<OwnedFd>,
}

impl Pty {
    /// Watches a terminal's master side.
    pub(crate) fn new(terminal: OwnedFd) -> io::Result<Self> {
        let master = descriptor::watch(terminal, Interest::READABLE | Interest::WRITABLE)?;
        Ok(Self { master })
    }

    /// Waits until it may be worth a read.
    pub(crate) async fn readable(&self) -> io::Result<AsyncFdReadyGuard<'_, OwnedFd>> {
        self.master.readable().await
    }

    /// Waits until it may take bytes.
    pub(crate) async fn writable(&self) -> io::Result<AsyncFdReadyGuard<'_, OwnedFd>> {
        self.master.writable().await
    }

    /// Moves what is there to the log. A terminal whose other side is closed answers EIO: that is its
    /// end.
    pub(crate) fn read(&self, log: &mut Log, turn: Turn, command: CommandId) -> io::Result<Taken> {
        let mut taken = Taken {
            bytes: 0,
            why: Stopped::Empty,
        };
        let read = self.master.try_io(Interest::READABLE, |terminal| {
            taken = log.take(terminal, turn, command)?;
            match taken.why {
                // The runtime is to wait for news.
                Stopped::Empty => Err(io::ErrorKind::WouldBlock.into()),
                Stopped::Limit | Stopped::End => Ok(()),
            }
        });
        match read {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            _ => Ok(taken),
        }
    }

    /// The same, asking the kernel even if the runtime has not heard of new bytes yet: after the
    /// program's end, "empty" must be the truth.
    pub(crate) fn read_now(
        &self,
        log: &mut Log,
        turn: Turn,
        command: CommandId,
    ) -> io::Result<Taken> {
        log.take(self.master.get_ref(), turn, command)
    }

    /// Writes what the terminal takes now of the next input; `None` if nothing.
    pub(crate) fn write(&self, log: &mut Log, next: &Next<'_>) -> io::Result<Option<usize>> {
        let written = self.master.try_io(Interest::WRITABLE, |terminal| {
            match log
                .memory()
                .write(terminal, next.typist, next.done, next.rest)?
            {
                Some(count) => Ok(count),
                None => Err(io::ErrorKind::WouldBlock.into()),
            }
        });
        match written {
            Ok(count) => Ok(Some(count)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Its size now.
    pub(crate) fn size(&self) -> Option<Size> {
        let size = tcgetwinsize(self.master.get_ref()).ok()?;
        Size::new(size.ws_row.into(), size.ws_col.into()).ok()
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

/// Starts `program` as the leader of a session on a new controlling terminal; its master side, and
/// the process.
pub(crate) fn start(program: &Program) -> Result<(OwnedFd, Pid), Error> {
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
    cmdop_service::descriptors::restore_limit_of(pid);
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
