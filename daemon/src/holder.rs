//! The holder: the process that keeps what must outlive the worker. It starts the programs of
//! sessions, holds their terminals and memories, learns how they ended, and starts a worker again
//! when one dies.
//!
//! It reads no terminal, opens no connection and parses nothing that comes from a network: there is
//! little in it that could fail, and little reason to change it.

mod channel;
pub(crate) mod client;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzed;
mod kept;
mod message;
mod programs;
mod worker;

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::Signal;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;

use channel::{Channel, Frame};
use kept::Kept;
use message::{FromHolder, FromWorker, from_holder, from_worker};
use programs::Programs;
use worker::Worker;

/// In the worker's environment: it is one, and the holder is at the other end of its stdin.
pub(crate) const WORKER: &str = "CMDOPD_WORKER";

/// In the worker's environment: how many files its programs may have open, before the holder raised that
/// for itself and its workers.
const OPEN_FILES: &str = "CMDOPD_OPEN_FILES";

/// The first wait before a worker is started again, and the longest.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// A worker that lived this long has recovered from what killed the one before.
const RECOVERED: Duration = Duration::from_secs(10);

/// From SIGTERM to the end of a worker; it has 8 s for its sessions.
const STOPPING: Duration = Duration::from_secs(9);

/// How long a dead worker's socket may take to end.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Whether this process is a worker.
pub fn is_worker(environment: &[(OsString, OsString)]) -> bool {
    environment.iter().any(|(name, _)| name == WORKER)
}

/// What a worker learns from its environment.
pub fn inherit(environment: &[(OsString, OsString)]) {
    let limit = environment
        .iter()
        .find(|(name, _)| name == OPEN_FILES)
        .and_then(|(_, value)| value.to_str()?.parse().ok());
    if let Some(limit) = limit {
        cmdop_service::descriptors::inherit_limit_before(limit);
    }
}

/// This process as a holder; its exit code is that of its last worker.
pub fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    match runtime.and_then(|runtime| runtime.block_on(run())) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("cmdopd: cannot hold sessions: {error}");
            ExitCode::from(70)
        }
    }
}

/// Runs until it is told to stop, or until a worker ends that never worked; its exit code.
async fn run() -> io::Result<u8> {
    cmdop_service::descriptors::raise_limit();
    let program = std::env::current_exe()?;
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let mut holder = Holder {
        kept: Kept::default(),
        programs: Programs::default(),
        has_worked: false,
        signals: Signals::new()?,
    };
    let mut wait = FIRST_WAIT;
    loop {
        let begun = Instant::now();
        let ended = match start(&program, &arguments) {
            Ok((worker, channel)) => holder.serve(worker, channel).await?,
            // A program that is being replaced, or a machine without a process left: both pass.
            Err(error) if holder.has_worked => {
                eprintln!("cmdopd: cannot start a worker: {error}");
                Ended::Died(70)
            }
            Err(error) => return Err(error),
        };
        match ended {
            Ended::Stopped(code) => {
                holder.kept.end_all().await;
                return Ok(code);
            }
            Ended::Upgrade => {
                wait = FIRST_WAIT;
                continue;
            }
            // It said why on stderr, and the next one would say the same.
            Ended::Died(code) if !holder.has_worked => return Ok(code),
            Ended::Died(_) => {}
        }
        if begun.elapsed() >= RECOVERED {
            wait = FIRST_WAIT;
        }
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            told = holder.signals.next() => if let Told::Stop = told {
                holder.kept.end_all().await;
                return Ok(0);
            }
        }
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}

fn start(program: &Path, arguments: &[OsString]) -> io::Result<(Worker, Channel)> {
    let (ours, theirs) = socketpair(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )?;
    let channel = Channel::new(ours)?;
    Ok((Worker::start(program, arguments, theirs)?, channel))
}

struct Holder {
    kept: Kept,
    programs: Programs,
    /// A worker got as far as asking for its sessions.
    has_worked: bool,
    signals: Signals,
}

/// How a worker's time came to its end.
enum Ended {
    /// We were told to stop, and so was it.
    Stopped(u8),
    /// It made way for another one.
    Upgrade,
    /// By itself.
    Died(u8),
}

impl Holder {
    /// Serves one worker until it is gone.
    async fn serve(&mut self, mut worker: Worker, mut channel: Channel) -> io::Result<Ended> {
        let mut stopping: Option<Instant> = None;
        let mut is_upgrade = false;
        let mut is_open = true;
        loop {
            let patience = stopping.unwrap_or_else(Instant::now);
            // All branches are cancel-safe.
            tokio::select! {
                biased;
                code = worker.ended() => {
                    let last_words = self.last_words(&mut channel);
                    let _ = tokio::time::timeout(LAST_WORDS, last_words).await;
                    self.programs.end_all();
                    return Ok(match (stopping, is_upgrade) {
                        (Some(_), _) => Ended::Stopped(code),
                        (None, true) => Ended::Upgrade,
                        (None, false) => Ended::Died(code),
                    });
                }
                told = self.signals.next(), if stopping.is_none() => match told {
                    Told::Stop => {
                        worker.signal(Signal::TERM);
                        stopping = Some(Instant::now() + STOPPING);
                    }
                    Told::Upgrade => {
                        // All that it has is here: an end in order would only end its sessions.
                        is_upgrade = true;
                        worker.signal(Signal::KILL);
                    }
                },
                () = tokio::time::sleep_until(patience), if stopping.is_some() => {
                    worker.signal(Signal::KILL);
                    stopping = Some(Instant::now() + STOPPING);
                }
                ended = self.kept.next_ended() => {
                    let message = from_holder::Message::Ended(ended);
                    is_open = is_open && tell(&mut channel, message, &[]).await;
                }
                frame = channel.receive(), if is_open => match frame {
                    Ok(Some(frame)) => is_open = self.obey(frame, &mut channel).await,
                    // Its end is seen by itself.
                    Ok(None) | Err(_) => is_open = false,
                },
            }
        }
    }

    /// `false`: the worker does not listen any more.
    async fn obey(&mut self, frame: Frame, channel: &mut Channel) -> bool {
        match FromWorker::read(&frame.bytes) {
            Some(from_worker::Message::Hello(_)) => {
                self.has_worked = true;
                self.hand_over(channel).await
            }
            Some(from_worker::Message::Start(start)) => self.start(start, channel).await,
            Some(from_worker::Message::Release(release)) => {
                self.kept.release(&release.session_id);
                true
            }
            Some(from_worker::Message::Program(program)) => {
                self.programs.heard(program.pid, program.over);
                true
            }
            // A message of a newer worker, which can tell by its silence that we do not know it.
            None => true,
        }
    }

    /// A dead worker's programs may still be told of in what it said last. It asks for nothing any more.
    async fn last_words(&mut self, channel: &mut Channel) {
        while let Ok(Some(frame)) = channel.receive().await {
            if let Some(from_worker::Message::Program(program)) = FromWorker::read(&frame.bytes) {
                self.programs.heard(program.pid, program.over);
            }
        }
    }

    /// Gives a new worker all that there is.
    async fn hand_over(&mut self, channel: &mut Channel) -> bool {
        for session in self.kept.all() {
            let message = from_holder::Message::Held(session.description());
            if !tell(channel, message, &session.as_fds()).await {
                return false;
            }
        }
        tell(channel, from_holder::Message::Ready(message::Ready {}), &[]).await
    }

    async fn start(&mut self, start: message::Start, channel: &mut Channel) -> bool {
        let id = start.session_id.clone();
        match self.kept.start(start) {
            Ok(session) => {
                let message = from_holder::Message::Held(session.description());
                tell(channel, message, &session.as_fds()).await
            }
            Err(error) => {
                let failed = message::Failed {
                    session_id: id,
                    message: error.to_string(),
                };
                tell(channel, from_holder::Message::Failed(failed), &[]).await
            }
        }
    }
}

async fn tell(
    channel: &mut Channel,
    message: from_holder::Message,
    fds: &[std::os::fd::BorrowedFd<'_>],
) -> bool {
    let bytes = FromHolder::bytes(message);
    channel.send(&bytes, fds).await.is_ok()
}

/// What a holder is told by signals.
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    upgrade: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            upgrade: signal(SignalKind::user_defined2())?,
        })
    }

    /// Cancel-safe.
    async fn next(&mut self) -> Told {
        tokio::select! {
            _ = self.terminate.recv() => Told::Stop,
            _ = self.interrupt.recv() => Told::Stop,
            _ = self.upgrade.recv() => Told::Upgrade,
        }
    }
}

/// What a signal says.
enum Told {
    Stop,
    Upgrade,
}
