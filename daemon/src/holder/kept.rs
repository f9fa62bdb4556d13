//! The sessions that the holder keeps: each with its terminal, its memory and its process.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

use cmdop_proto::{Size, v1};
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use rustix::process::{Pid, Signal, kill_process_group};

use super::message::{Ended, Held, Start};
use crate::memory::Parts;
use crate::process::{self, Process, exit_of, members};
use crate::pty::{self, Program};

/// One of them.
#[derive(Debug)]
pub(super) struct Session {
    id: String,
    record: Option<v1::Session>,
    pid: Pid,
    terminal: OwnedFd,
    parts: Parts,
    exit: Option<v1::Exit>,
}

impl Session {
    pub(super) fn description(&self) -> Held {
        Held {
            session_id: self.id.clone(),
            pid: self.pid.as_raw_nonzero().get(),
            record: self.record.clone(),
            exit: self.exit,
        }
    }

    pub(super) fn as_fds(&self) -> Vec<BorrowedFd<'_>> {
        let mut fds = vec![self.terminal.as_fd()];
        fds.extend(self.parts.as_fds());
        fds
    }
}

/// All of them.
#[derive(Default)]
pub(super) struct Kept {
    sessions: BTreeMap<String, Session>,
    /// Waits for the end of each process, and gives the session's id.
    ends: FuturesUnordered<BoxFuture<'static, String>>,
}

impl Kept {
    pub(super) fn all(&self) -> impl Iterator<Item = &Session> {
        self.sessions.values()
    }

    /// Starts a session's program on a terminal of its own. The same session again is the same.
    pub(super) fn start(&mut self, start: Start) -> Result<&Session, pty::Error> {
        let id = start.session_id.clone();
        if !self.sessions.contains_key(&id) {
            let session = begin(start)?;
            let mut end = Process::watch(session.pid)?;
            let ended = id.clone();
            self.ends.push(Box::pin(async move {
                end.ended().await;
                // Not reaped: its id stays taken until the session is released.
                end.leave();
                ended
            }));
            self.sessions.insert(id.clone(), session);
        }
        Ok(&self.sessions[&id])
    }

    /// Waits for the next process to end. Cancel-safe.
    pub(super) async fn next_ended(&mut self) -> Ended {
        loop {
            let Some(id) = self.ends.next().await else {
                std::future::pending::<()>().await;
                continue;
            };
            if let Some(session) = self.sessions.get_mut(&id) {
                session.exit = exit_of(session.pid);
                return Ended {
                    session_id: id,
                    exit: session.exit,
                };
            }
        }
    }

    /// Forgets a session: hangs its terminal up and reaps its process.
    pub(super) fn release(&mut self, id: &str) {
        let Some(session) = self.sessions.remove(id) else {
            return;
        };
        if session.exit.is_none() {
            // A worker that gives up a living process wants it gone.
            let _ = kill_process_group(session.pid, Signal::KILL);
        }
        // It is gone, or will be in a moment: KILL was sent.
        process::reap_now(session.pid);
    }

    /// Ends all that a worker left behind.
    pub(super) async fn end_all(&mut self) {
        for session in std::mem::take(&mut self.sessions).into_values() {
            let pid = session.pid;
            // Its jobs have groups of their own, and reading /proc takes a moment.
            let ended = tokio::task::spawn_blocking(move || {
                let _ = kill_process_group(pid, Signal::HUP);
                let _ = kill_process_group(pid, Signal::KILL);
                members::signal(pid, Signal::KILL);
            });
            let _ = ended.await;
        }
    }
}

fn begin(start: Start) -> Result<Session, pty::Error> {
    let text = |bytes: Vec<u8>| OsString::from_vec(bytes);
    let size = start.size.and_then(|size| Size::try_from(size).ok());
    let program = Program {
        argv: start.argv.into_iter().map(text).collect(),
        cwd: PathBuf::from(text(start.cwd)),
        env: start
            .env
            .into_iter()
            .map(|variable| (text(variable.name), text(variable.value)))
            .collect(),
        size: size.unwrap_or(Size::DEFAULT),
    };
    let parts = Parts::new(start.log_bytes as usize)?;
    let (terminal, pid) = pty::start(&program)?;
    Ok(Session {
        id: start.session_id,
        record: start.record,
        pid,
        terminal,
        parts,
        exit: None,
    })
}
