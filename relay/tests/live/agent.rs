//! An agent in a few lines: its sessions echo what is typed, or print a flood, and remember their log.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use cmdop_proto::v1::agent_service_client::AgentServiceClient;
use cmdop_proto::{MachineId, limits, v1};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use v1::control_message::Message as Control;
use v1::session_down::Message as Down;
use v1::session_up::Message as Up;

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

async fn session(mut link: Link, id: String, token: String) {
    // Small, so that the relay's and the client's flow control reach the "program".
    let (up, messages) = mpsc::channel(2);
    let hello = v1::SessionHello {
        summary: Some(summary(&link.logs.lock().unwrap()[&id])),
    };
    up.send(wrap(Up::Hello(hello))).await.unwrap();
    let request = with_token(ReceiverStream::new(messages), &token);
    let Ok(response) = link.client.session(request).await else {
        return;
    };
    let mut down = response.into_inner();
    let mut sent = None;
    let mut read_up_to = 0;
    loop {
        // Commands first, as a real agent does.
        let message = tokio::select! {
            biased;
            message = down.message() => message,
            () = progress(&link.logs, &id, sent, read_up_to, &up), if sent.is_some() => {
                let Some(piece) = next_piece(&link.logs, &id, &mut sent, read_up_to) else { continue };
                if up.send(wrap(Up::Output(piece))).await.is_err() { return; }
                continue;
            }
        };
        let Ok(Some(v1::SessionDown {
            message: Some(message),
        })) = message
        else {
            return;
        };
        match message {
            Down::SendFrom(from) => sent = Some(from),
            Down::ReadUpTo(offset) => read_up_to = offset,
            other => {
                for reply in answer(&link.logs, &id, other, sent.unwrap_or(0)) {
                    let is_exit = matches!(reply, Up::Exited(_));
                    if let Up::Exited(_) = reply {
                        while let Some(piece) = next_piece(&link.logs, &id, &mut sent, u64::MAX) {
                            up.send(wrap(Up::Output(piece))).await.unwrap();
                        }
                    }
                    if up.send(wrap(reply)).await.is_err() {
                        return;
                    }
                    if is_exit {
                        return until_end(&mut down).await;
                    }
                }
            }
        }
    }
}

fn wrap(message: Up) -> v1::SessionUp {
    v1::SessionUp {
        message: Some(message),
    }
}

/// Returns when there is something to send and room to send it in.
async fn progress(
    logs: &Logs,
    id: &str,
    sent: Option<u64>,
    read_up_to: u64,
    up: &mpsc::Sender<v1::SessionUp>,
) {
    loop {
        {
            let mut logs = logs.lock().unwrap();
            let log = logs.get_mut(id).unwrap();
            let end = log.bytes.len() as u64;
            // The program runs ahead as far as it may.
            let more = log.flood.min(read_up_to.saturating_sub(end)).min(64 << 10);
            if more > 0 {
                log.bytes.extend((end..end + more).map(flood_byte));
                log.flood -= more;
            }
            if sent.unwrap() < log.bytes.len() as u64 {
                break;
            }
        }
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    let _ = up.reserve().await;
}

fn next_piece(logs: &Logs, id: &str, sent: &mut Option<u64>, _up_to: u64) -> Option<v1::Output> {
    let logs = logs.lock().unwrap();
    let log = &logs[id];
    let from = sent.unwrap();
    let rest = &log.bytes[from as usize..];
    if rest.is_empty() {
        return None;
    }
    let data = Bytes::copy_from_slice(&rest[..rest.len().min(64 << 10)]);
    *sent = Some(from + data.len() as u64);
    Some(v1::Output {
        offset: from,
        data,
        command_id: log.command_id,
        ..v1::Output::default()
    })
}

fn answer(logs: &Logs, id: &str, message: Down, sent: u64) -> Vec<Up> {
    let mut logs = logs.lock().unwrap();
    let log = logs.get_mut(id).unwrap();
    match message {
        Down::Input(input) => {
            let written = log.written.entry(input.client_id.clone()).or_default();
            if input.input_seq > *written {
                *written = input.input_seq;
                log.command_id = input.command_id;
                log.writes.push(input.data.to_vec());
                log.bytes.extend_from_slice(&input.data);
            }
            let mut replies = vec![Up::InputAck(v1::AgentInputAck {
                client_id: input.client_id,
                input_seq: input.input_seq,
                command_id: input.command_id,
            })];
            if input.data.as_ref() == b"exit\n" {
                log.record.status = v1::SessionStatus::Disconnected.into();
                replies.push(Up::Exited(v1::SessionExited {
                    exit: Some(v1::Exit {
                        outcome: Some(v1::exit::Outcome::Code(42)),
                    }),
                    end_offset: log.bytes.len() as u64,
                }));
            }
            replies
        }
        Down::KeyframeWanted(_) => {
            log.keyframes += 1;
            vec![Up::Keyframe(v1::Keyframe {
                offset: sent,
                size: log.record.size,
                data: Bytes::from_static(b"<screen>"),
                ..v1::Keyframe::default()
            })]
        }
        Down::Resize(size) => {
            log.sizes.push(size);
            log.record.size = Some(size);
            vec![Up::Resized(size)]
        }
        Down::Signal(signal) => {
            log.signals.push(signal);
            Vec::new()
        }
        Down::CaptureWanted(wanted) => vec![Up::Capture(v1::CaptureReply {
            request_id: wanted.request_id,
            capture: Some(v1::CaptureResponse {
                text: log.bytes.clone().into(),
                size: log.record.size,
                offset: log.bytes.len() as u64,
                ..v1::CaptureResponse::default()
            }),
        })],
        // Everything has left the screen, each command as a line.
        Down::HistoryWanted(wanted) => vec![Up::History(v1::HistoryTaken {
            request_id: wanted.request_id,
            history: Some(v1::HistoryResponse {
                text: log.bytes.clone().into(),
                mark: Some(v1::HistoryMark {
                    next: wanted.max_lines.into(),
                    ..v1::HistoryMark::default()
                }),
                from: wanted.before.unwrap_or(7),
                offset: wanted.max_bytes.into(),
                ..v1::HistoryResponse::default()
            }),
        })],
        _ => Vec::new(),
    }
}

async fn exec(mut link: Link, start: v1::StartExec) {
    use v1::exec_request::Request as Part;
    let (up, messages) = mpsc::channel(2);
    let hello = v1::exec_up::Message::Hello(v1::ExecHello {
        run_id: start.run_id,
    });
    up.send(v1::ExecUp {
        message: Some(hello),
    })
    .await
    .unwrap();
    let request = with_token(ReceiverStream::new(messages), &start.stream_token);
    let mut down = link.client.exec(request).await.unwrap().into_inner();
    if link.exec == Exec::Sleep {
        return std::future::pending().await;
    }
    let mut offset = 0;
    while let Ok(Some(message)) = down.message().await {
        match message.request.unwrap().request.unwrap() {
            Part::Stdin(data) => {
                let start = offset;
                offset += data.len() as u64;
                let output = v1::ExecOutput {
                    offset: start,
                    data,
                };
                if up
                    .send(response(v1::exec_response::Response::Stdout(output)))
                    .await
                    .is_err()
                {
                    return;
                }
            }
            Part::StdinClosed(_) => break,
            _ => {}
        }
    }
    let finished = v1::ExecFinished {
        exit: Some(v1::Exit {
            outcome: Some(v1::exit::Outcome::Code(0)),
        }),
        stdout_bytes: offset,
        ..v1::ExecFinished::default()
    };
    let finished = v1::exec_response::Response::Finished(finished);
    if up.send(response(finished)).await.is_ok() {
        until_end(&mut down).await;
    }
}

/// Whoever sent the last message waits until the relay has it: to drop a stream is to reset it, and
/// what was still in its buffers would be lost.
async fn until_end<T>(down: &mut Streaming<T>) {
    while let Ok(Some(_)) = down.message().await {}
}

fn response(response: v1::exec_response::Response) -> v1::ExecUp {
    v1::ExecUp {
        message: Some(v1::exec_up::Message::Response(v1::ExecResponse {
            response: Some(response),
        })),
    }
}

impl Agent {
    /// The session's program prints so many bytes, as fast as it may.
    pub(crate) fn flood(&self, session: &str, bytes: u64) {
        self.logs.lock().unwrap().get_mut(session).unwrap().flood = bytes;
    }
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
