//! An agent in a few lines: its sessions echo what is typed, or print a flood, and remember their log.

mod exec;
mod session;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use cmdop_proto::v1::agent_service_client::AgentServiceClient;
use cmdop_proto::{MachineId, limits, v1};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use v1::control_message::Message as Control;
use v1::session_up::Message as Up;

use exec::exec;
use session::{session, wrap};

use crate::world::{Authorised, Bear, World, soon};

/// What a session prints of itself: a byte that depends on its offset, so that a gap shows.
pub(crate) fn flood_byte(offset: u64) -> u8 {
    b'a' + (offset.wrapping_mul(2_654_435_761) >> 9) as u8 % 26
}

#[derive(Default)]
pub(crate) struct Log {
    pub(crate) record: v1::Session,
    pub(crate) bytes: Vec<u8>,
    /// The newest input of each client that was written.
    written: HashMap<String, u64>,
    pub(crate) writes: Vec<Vec<u8>>,
    command_id: u64,
    flood: u64,
    /// Keyframes that were made.
    pub(crate) keyframes: usize,
    pub(crate) sizes: Vec<v1::Size>,
    pub(crate) signals: Vec<u32>,
}

type Logs = Arc<Mutex<HashMap<String, Log>>>;

/// What an agent does with its runs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exec {
    /// As `cat` does.
    Cat,
    /// Reads nothing, prints nothing.
    Sleep,
    /// Cannot be started.
    Refuse,
}

pub(crate) struct Agent {
    pub(crate) logs: Logs,
    pub(crate) epoch: u64,
    /// Runs whose end the agent was told.
    pub(crate) ended: watch::Receiver<Vec<String>>,
    /// Why the control stream ended.
    pub(crate) closed: watch::Receiver<Option<String>>,
    tasks: JoinSet<()>,
    up: mpsc::Sender<v1::AgentMessage>,
}

#[derive(Clone)]
struct Link {
    client: AgentServiceClient<Authorised>,
    logs: Logs,
    exec: Exec,
}

impl Agent {
    pub(crate) async fn link(world: &World, machine: MachineId) -> Self {
        Self::link_with(world, machine, Logs::default(), Exec::Cat)
            .await
            .unwrap()
    }

    /// The same agent again, over a new link.
    pub(crate) async fn link_again(world: &World, logs: &Logs, machine: MachineId) -> Self {
        Self::link_with(world, machine, logs.clone(), Exec::Cat)
            .await
            .unwrap()
    }

    pub(crate) async fn link_with(
        world: &World,
        machine: MachineId,
        logs: Logs,
        exec: Exec,
    ) -> Result<Self, tonic::Status> {
        let bear = Bear(world.machine_token(machine));
        let mut client = AgentServiceClient::with_interceptor(world.channel().await, bear);
        let (up, messages) = mpsc::channel(16);
        let sessions = logs.lock().unwrap().values().map(summary).collect();
        let register = v1::Register {
            hostname: "whatever-it-says".into(),
            now_ms: cmdop_service::now_ms(),
            sessions,
            ..v1::Register::default()
        };
        let register = v1::agent_message::Message::Register(register);
        up.send(v1::AgentMessage {
            message: Some(register),
        })
        .await
        .unwrap();
        let mut down = client
            .connect(ReceiverStream::new(messages))
            .await?
            .into_inner();
        let first = soon("registration", down.message()).await?.unwrap();
        assert_eq!(first.command_id, 1);
        let Some(Control::Registered(registered)) = first.message else {
            panic!("the first message is {first:?}");
        };
        let link = Link {
            client,
            logs: logs.clone(),
            exec,
        };
        let (ended_sender, ended) = watch::channel(Vec::new());
        let (closed_sender, closed) = watch::channel(None);
        let mut tasks = JoinSet::new();
        tasks.spawn(obey(link, down, up.clone(), ended_sender, closed_sender));
        Ok(Self {
            logs,
            epoch: registered.link_epoch,
            ended,
            closed,
            tasks,
            up,
        })
    }

    /// The connection is lost, as when a cable is pulled; what it had written is kept.
    pub(crate) async fn cut(&mut self) {
        self.tasks.shutdown().await;
    }

    pub(crate) async fn heartbeat(&self, cpu_percent: f32) {
        let metrics = v1::Metrics {
            cpu_percent,
            ..v1::Metrics::default()
        };
        let heartbeat = v1::Heartbeat {
            metrics: Some(metrics),
            now_ms: 1,
        };
        let message = Some(v1::agent_message::Message::Heartbeat(heartbeat));
        self.up.send(v1::AgentMessage { message }).await.unwrap();
    }

    /// The session's program prints, with or without a relay.
    pub(crate) fn print(&self, session: &str, text: &[u8]) {
        self.logs
            .lock()
            .unwrap()
            .get_mut(session)
            .unwrap()
            .bytes
            .extend_from_slice(text);
    }

    /// The session's program prints so many bytes, as fast as it may.
    pub(crate) fn flood(&self, session: &str, bytes: u64) {
        self.logs.lock().unwrap().get_mut(session).unwrap().flood = bytes;
    }

    pub(crate) fn with_log<R>(&self, session: &str, look: impl FnOnce(&Log) -> R) -> R {
        look(&self.logs.lock().unwrap()[session])
    }
}

fn summary(log: &Log) -> v1::SessionSummary {
    v1::SessionSummary {
        session: Some(log.record.clone()),
        start_offset: 0,
        end_offset: log.bytes.len() as u64,
        command_id: log.command_id,
    }
}

async fn obey(
    link: Link,
    mut down: Streaming<v1::ControlMessage>,
    up: mpsc::Sender<v1::AgentMessage>,
    ended: watch::Sender<Vec<String>>,
    closed: watch::Sender<Option<String>>,
) {
    let mut tasks = JoinSet::new();
    let why = loop {
        let message = match down.message().await {
            Ok(Some(message)) => message,
            Ok(None) => break "end".to_owned(),
            Err(status) => break crate::world::reason::<()>(Err(status)),
        };
        match message.message.unwrap() {
            Control::StartSession(start) => {
                let record = start.session.unwrap();
                if record.command.first().is_some_and(|c| c == "missing") {
                    up.send(failed(message.command_id, "not-found"))
                        .await
                        .unwrap();
                    continue;
                }
                let id = record.id.clone();
                let flood = match record.command.as_slice() {
                    [program, bytes] if program == "flood" => bytes.parse().unwrap(),
                    _ => 0,
                };
                let log = Log {
                    record,
                    flood,
                    ..Log::default()
                };
                link.logs.lock().unwrap().insert(id.clone(), log);
                tasks.spawn(session(link.clone(), id, start.stream_token));
            }
            Control::ResumeSession(resume) => {
                tasks.spawn(session(
                    link.clone(),
                    resume.session_id,
                    resume.stream_token,
                ));
            }
            Control::StartExec(start) if link.exec == Exec::Refuse => {
                let _ = start;
                up.send(failed(message.command_id, "cwd-missing"))
                    .await
                    .unwrap();
            }
            Control::StartExec(start) => {
                tasks.spawn(exec(link.clone(), start));
            }
            Control::EndSession(end) => {
                ended.send_modify(|ended| ended.push(end.session_id));
            }
            _ => {}
        }
    };
    closed.send_replace(Some(why));
}

fn failed(command_id: u64, reason: &str) -> v1::AgentMessage {
    let failed = v1::CommandFailed {
        command_id,
        grpc_code: tonic::Code::NotFound as u32,
        message: "no such thing on this machine".into(),
        detail: Some(v1::ErrorDetail {
            reason: reason.into(),
            hint: String::new(),
        }),
    };
    v1::AgentMessage {
        message: Some(v1::agent_message::Message::Failed(failed)),
    }
}

fn with_token<T>(message: T, token: &str) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    request
        .metadata_mut()
        .insert(limits::STREAM_TOKEN_KEY, token.parse().unwrap());
    request
}

/// Whoever sent the last message waits until the relay has it: to drop a stream is to reset it, and
/// what was still in its buffers would be lost.
async fn until_end<T>(down: &mut Streaming<T>) {
    while let Ok(Some(_)) = down.message().await {}
}

/// An agent that registers and then does nothing that it is told.
pub(crate) async fn deaf(world: &World, machine: MachineId) -> impl Sized {
    let bear = Bear(world.machine_token(machine));
    let mut client = AgentServiceClient::with_interceptor(world.channel().await, bear);
    let (up, messages) = mpsc::channel(1);
    let register = v1::Register {
        hostname: "deaf".into(),
        now_ms: cmdop_service::now_ms(),
        ..v1::Register::default()
    };
    let message = Some(v1::agent_message::Message::Register(register));
    up.send(v1::AgentMessage { message }).await.unwrap();
    let down = client.connect(ReceiverStream::new(messages)).await.unwrap();
    (up, down)
}

/// What the relay says to an agent that opens a session's stream with this token.
pub(crate) async fn open_session(
    world: &World,
    machine: MachineId,
    session: &str,
    token: &str,
) -> String {
    let bear = Bear(world.machine_token(machine));
    let mut client = AgentServiceClient::with_interceptor(world.channel().await, bear);
    let record = v1::Session {
        id: session.into(),
        ..v1::Session::default()
    };
    let summary = v1::SessionSummary {
        session: Some(record),
        ..v1::SessionSummary::default()
    };
    let hello = Up::Hello(v1::SessionHello {
        summary: Some(summary),
    });
    let messages = tokio_stream::iter([wrap(hello)]);
    let opened = client.session(with_token(messages, token)).await;
    crate::world::reason(opened)
}
