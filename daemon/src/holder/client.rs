//! The worker's side of the holder: asks it for sessions, and hears of their ends.
//!
//! Without a holder (in a test, or when the agent is a library) sessions are started in this process
//! and live no longer than it does.

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt as _;

use cmdop_proto::v1;
use rustix::process::Pid;
use tokio::sync::{mpsc, oneshot, watch};

use super::channel::{Channel, Frame};
use super::message::{self, FromHolder, FromWorker, from_holder, from_worker};
use crate::memory::Parts;
use crate::process::Process;
use crate::pty::{self, Program};

/// Requests that wait for the holder, which answers each in a few milliseconds.
const REQUESTS: usize = 256;

/// A terminal with its memory and its process.
#[derive(Debug)]
pub(crate) struct Ground {
    pub(crate) terminal: OwnedFd,
    pub(crate) parts: Parts,
    pub(crate) process: Process,
}

/// A session that an earlier worker left.
#[derive(Debug)]
pub(crate) struct Left {
    pub(crate) record: v1::Session,
    pub(crate) ground: Ground,
}

/// Who keeps sessions. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) enum Holder {
    /// This process.
    Own,
    /// The holder.
    Far(mpsc::Sender<Request>),
}

/// What the holder is asked.
#[derive(Debug)]
pub(crate) enum Request {
    Start(
        Box<message::Start>,
        oneshot::Sender<Result<Ground, pty::Error>>,
    ),
    Release(String),
    Program(message::Program),
}

impl Holder {
    /// Starts a session's program.
    pub(crate) async fn start(
        &self,
        record: &v1::Session,
        program: Program,
        log_bytes: usize,
    ) -> Result<Ground, pty::Error> {
        match self {
            // fork and exec take a millisecond: not on a runtime that carries other sessions' keys.
            Self::Own => tokio::task::spawn_blocking(move || start_here(&program, log_bytes))
                .await
                .map_err(|panic| pty::Error::Start(panic.to_string()))?,
            Self::Far(requests) => {
                let (answer, started) = oneshot::channel();
                let start = Box::new(start_message(record, program, log_bytes));
                let gone = |()| pty::Error::Start("the holder of sessions is gone".into());
                requests
                    .send(Request::Start(start, answer))
                    .await
                    .map_err(|_| gone(()))?;
                started.await.map_err(|_| gone(()))?
            }
        }
    }

    /// A program without a terminal runs: the holder ends it should this process die.
    pub(crate) async fn program_started(&self, pid: u32) {
        self.tell_of(pid, false).await;
    }

    /// It is over.
    pub(crate) async fn program_over(&self, pid: u32) {
        self.tell_of(pid, true).await;
    }

    async fn tell_of(&self, pid: u32, over: bool) {
        if let Self::Far(requests) = self {
            let pid = pid as i32;
            let program = message::Program { pid, over };
            // A holder that is gone ends nothing.
            let _ = requests.send(Request::Program(program)).await;
        }
    }

    /// The session is over, and its relay has heard so or never will.
    pub(crate) async fn release(&self, session: &str) {
        if let Self::Far(requests) = self {
            // A holder that is gone keeps nothing.
            let _ = requests.send(Request::Release(session.to_owned())).await;
        }
    }
}

fn start_here(program: &Program, log_bytes: usize) -> Result<Ground, pty::Error> {
    let parts = Parts::new(log_bytes)?;
    let (terminal, pid) = pty::start(program)?;
    Ok(Ground {
        terminal,
        parts,
        process: Process::watch(pid)?,
    })
}

fn start_message(record: &v1::Session, program: Program, log_bytes: usize) -> message::Start {
    let variable = |(name, value): (std::ffi::OsString, std::ffi::OsString)| message::Variable {
        name: name.into_vec(),
        value: value.into_vec(),
    };
    message::Start {
        session_id: record.id.clone(),
        argv: program
            .argv
            .into_iter()
            .map(std::ffi::OsString::into_vec)
            .collect(),
        cwd: program.cwd.into_os_string().into_vec(),
        env: program.env.into_iter().map(variable).collect(),
        size: Some(program.size.into()),
        log_bytes: log_bytes as u64,
        record: Some(record.clone()),
    }
}

/// Says hello on `socket`; what an earlier worker left, and the task that serves the holder from then
/// on. It returns when the holder is gone, and then the worker has no reason to live.
pub(crate) async fn connect(
    socket: OwnedFd,
) -> io::Result<(Holder, Vec<Left>, impl Future<Output = ()>)> {
    let mut link = Link {
        channel: Channel::new(socket)?,
        exits: HashMap::new(),
        starting: HashMap::new(),
    };
    let hello = message::Hello {
        version: cmdop_service::VERSION.into(),
    };
    let hello = FromWorker::bytes(from_worker::Message::Hello(hello));
    link.channel.send(&hello, &[]).await?;
    let mut left = Vec::new();
    loop {
        let frame = link.channel.receive().await?;
        let frame = frame.ok_or(io::ErrorKind::UnexpectedEof)?;
        match FromHolder::read(&frame.bytes) {
            Some(from_holder::Message::Ready(_)) => break,
            Some(from_holder::Message::Held(held)) => {
                let record = held.record.clone().unwrap_or_default();
                match link.ground(held, frame.fds) {
                    Ok(ground) => left.push(Left { record, ground }),
                    Err(error) => tracing::error!(%error, session = record.id, "a session is lost"),
                }
            }
            Some(from_holder::Message::Ended(ended)) => link.ended(&ended),
            Some(from_holder::Message::Failed(_)) | None => {}
        }
    }
    let (requests, received) = mpsc::channel(REQUESTS);
    Ok((Holder::Far(requests), left, link.serve(received)))
}

struct Link {
    channel: Channel,
    exits: HashMap<String, watch::Sender<Option<v1::Exit>>>,
    starting: HashMap<String, oneshot::Sender<Result<Ground, pty::Error>>>,
}

impl Link {
    async fn serve(mut self, mut requests: mpsc::Receiver<Request>) {
        loop {
            // Both are cancel-safe.
            let alive = tokio::select! {
                request = requests.recv() => match request {
                    Some(request) => self.ask(request).await.is_ok(),
                    None => return,
                },
                frame = self.channel.receive() => match frame {
                    Ok(Some(frame)) => {
                        self.hear(frame);
                        true
                    }
                    Ok(None) | Err(_) => false,
                },
            };
            if !alive {
                tracing::warn!("the holder of sessions is gone");
                return;
            }
        }
    }

    async fn ask(&mut self, request: Request) -> io::Result<()> {
        let message = match request {
            Request::Start(start, answer) => {
                self.starting.insert(start.session_id.clone(), answer);
                from_worker::Message::Start(*start)
            }
            Request::Release(session_id) => {
                self.exits.remove(&session_id);
                from_worker::Message::Release(message::Release { session_id })
            }
            Request::Program(program) => from_worker::Message::Program(program),
        };
        self.channel.send(&FromWorker::bytes(message), &[]).await
    }

    fn hear(&mut self, frame: Frame) {
        match FromHolder::read(&frame.bytes) {
            Some(from_holder::Message::Held(held)) => {
                let answer = self.starting.remove(&held.session_id);
                let ground = self.ground(held, frame.fds);
                if let Some(answer) = answer {
                    let _ = answer.send(ground);
                }
            }
            Some(from_holder::Message::Failed(failed)) => {
                if let Some(answer) = self.starting.remove(&failed.session_id) {
                    let _ = answer.send(Err(pty::Error::Start(failed.message)));
                }
            }
            Some(from_holder::Message::Ended(ended)) => self.ended(&ended),
            // A message of a later holder.
            Some(from_holder::Message::Ready(_)) | None => {}
        }
    }

    fn ground(&mut self, held: message::Held, fds: Vec<OwnedFd>) -> Result<Ground, pty::Error> {
        let wrong = |what: &str| pty::Error::Start(format!("the holder gave {what}"));
        let pid = Pid::from_raw(held.pid).ok_or_else(|| wrong("no process"))?;
        let mut fds = fds.into_iter();
        let terminal = fds.next().ok_or_else(|| wrong("no terminal"))?;
        let parts: Vec<_> = fds.collect();
        let parts = parts.try_into().map_err(|_| wrong("no memory"))?;
        let (exit, exited) = watch::channel(held.exit);
        self.exits.insert(held.session_id, exit);
        Ok(Ground {
            terminal,
            parts: Parts::from_fds(parts),
            process: Process::held(pid, exited),
        })
    }

    fn ended(&mut self, ended: &message::Ended) {
        if let Some(exit) = self.exits.get(&ended.session_id) {
            exit.send_replace(Some(ended.exit.unwrap_or_default()));
        }
    }
}

/// The holder at the other end of this process's stdin.
pub(crate) fn socket() -> io::Result<OwnedFd> {
    Ok(rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?)
}
