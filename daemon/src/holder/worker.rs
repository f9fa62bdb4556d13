//! One worker process, as the holder sees it: started with the holder at its stdin, waited for,
//! signalled.

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use cmdop_proto::v1::exit::Outcome;
use rustix::process::{Pid, Signal, kill_process};

use super::{OPEN_FILES, WORKER};
use crate::process::Process;

/// A running worker. It leads a group of its own: a terminal's keys reach the holder alone, which tells
/// the worker what they mean.
#[derive(Debug)]
pub(super) struct Worker {
    process: Option<Process>,
    pid: Pid,
}

impl Worker {
    pub(super) fn start(
        program: &Path,
        arguments: &[OsString],
        holder: OwnedFd,
    ) -> io::Result<Self> {
        let mut command = Command::new(program);
        if let Some(limit) = cmdop_service::descriptors::limit_before() {
            command.env(OPEN_FILES, limit.to_string());
        }
        let child = command
            .args(arguments)
            .env(WORKER, "1")
            .stdin(Stdio::from(holder))
            .process_group(0)
            .spawn()?;
        let pid = Pid::from_raw(child.id() as i32)
            .ok_or_else(|| io::Error::other("the worker has no process id"))?;
        Ok(Self {
            process: Some(Process::watch(pid)?),
            pid,
        })
    }

    pub(super) fn signal(&self, signal: Signal) {
        if self.process.is_some() {
            let _ = kill_process(self.pid, signal);
        }
    }

    /// Waits for its end; the exit code, or 128 and the signal. Cancel-safe; not to be called again
    /// after it returned.
    pub(super) async fn ended(&mut self) -> u8 {
        if let Some(process) = &mut self.process {
            process.ended().await;
        }
        let exit = self.process.take().map(Process::reap);
        match exit.and_then(|exit| exit.outcome) {
            Some(Outcome::Code(code)) => code as u8,
            Some(Outcome::Signal(signal)) => 128 + signal.min(127) as u8,
            None => 70,
        }
    }
}
