//! Each call of a relay as somebody of another workspace makes it, by every name that its target has.

use std::fmt::{Debug, Write as _};

use cmdop_proto::v1::{self, exec_request, file_request};
use cmdop_proto::{ClientId, Refusal, limits};
use cmdop_tests::{Wire, wait};
use tonic::{Request, Response, Status, Streaming};

/// What is there in the workspace that is not the caller's.
pub(super) struct Things {
    pub(super) machine: String,
    pub(super) session: String,
    pub(super) run: String,
}

impl Things {
    /// What no answer may hold.
    pub(super) fn words(&self) -> impl Iterator<Item = &str> {
        let own = [&self.machine, &self.session, &self.run];
        own.into_iter()
            .map(String::as_str)
            .chain(["web-1", "marked-"])
    }

    /// All ways to name the session.
    fn sessions(&self) -> [String; 3] {
        [
            self.session.clone(),
            self.session[..30].to_owned(),
            "marked-session".to_owned(),
        ]
    }

    /// All ways to name the machine.
    fn machines(&self) -> [String; 2] {
        [self.machine.clone(), "web-1".to_owned()]
    }
}

/// Everything that was told.
pub(super) type Answer = Result<String, Refusal>;

/// Makes the call of that name in every way; nothing if it is not known here.
pub(super) async fn ask(
    name: &str,
    account: &Wire,
    machine: &Wire,
    things: &Things,
) -> Option<Vec<Answer>> {
    let (service, method) = name.split_once('/')?;
    match service {
        "SessionService" => sessions(method, account, things).await,
        "ExecService" if method == "Run" => Some(runs(account, things).await),
        "FileService" => files(method, account, things).await,
        "FleetService" => fleet(method, account).await,
        "AgentService" => agents(method, account, machine, things).await,
        _ => None,
    }
}

async fn sessions(method: &str, wire: &Wire, things: &Things) -> Option<Vec<Answer>> {
    let mut client = wire.sessions();
    let mut answers = Vec::new();
    match method {
        "List" => {
            let [id, name] = things.machines();
            for machine in [String::new(), id, name] {
                let request = v1::ListSessionsRequest {
                    machine,
                    include_ended: true,
                    page: String::new(),
                };
                answers.push(told(client.list(request).await));
            }
            return Some(answers);
        }
        "Watch" => {
            let events = client.watch(v1::WatchSessionsRequest {}).await;
            return Some(vec![until("Synced", events).await]);
        }
        "Create" => {
            for machine in things.machines() {
                let request = v1::CreateSessionRequest {
                    machine,
                    beside: things.session.clone(),
                    wait_for_agent: true,
                    ..v1::CreateSessionRequest::default()
                };
                answers.push(told(client.create(request).await));
            }
            return Some(answers);
        }
        _ => {}
    }
    for session in things.sessions() {
        answers.push(about_session(method, wire, session).await?);
    }
    Some(answers)
}

/// A call about one session.
async fn about_session(method: &str, wire: &Wire, session: String) -> Option<Answer> {
    let mut client = wire.sessions();
    Some(match method {
        "Get" => told(client.get(v1::GetSessionRequest { session }).await),
        "Attach" => {
            let attached = wire.attach(&session, v1::AttachMode::Observer).await;
            attached.map(|_| "attached".to_owned())
        }
        "Rename" => {
            let name = "stranger".into();
            told(
                client
                    .rename(v1::RenameSessionRequest { session, name })
                    .await,
            )
        }
        "Send" => {
            let request = v1::SendRequest {
                session,
                data: b"stranger".to_vec().into(),
                client_id: ClientId::new().to_string(),
                input_seq: 1,
            };
            told(client.send(request).await)
        }
        "Capture" => {
            let request = v1::CaptureRequest {
                session,
                ..v1::CaptureRequest::default()
            };
            told(client.capture(request).await)
        }
        "History" => {
            let request = v1::HistoryRequest {
                session,
                ..v1::HistoryRequest::default()
            };
            told(client.history(request).await)
        }
        "Resize" => {
            let request = v1::ResizeRequest {
                session,
                size: Some(v1::Size { rows: 9, cols: 9 }),
                ..v1::ResizeRequest::default()
            };
            told(client.resize(request).await)
        }
        "Keyboard" => {
            let request = v1::KeyboardRequest {
                session,
                ..v1::KeyboardRequest::default()
            };
            told(client.keyboard(request).await)
        }
        "Signal" => {
            let signal = v1::SignalRequest { session, signal: 9 };
            told(client.signal(signal).await)
        }
        "Close" => told(client.close(v1::CloseSessionRequest { session }).await),
        _ => return None,
    })
}

/// Starting a program, and coming back to one.
async fn runs(wire: &Wire, things: &Things) -> Vec<Answer> {
    let mut first = Vec::new();
    let [id, name] = things.machines();
    for machine in [id.clone(), name.clone()] {
        first.push(exec_request::Request::Start(v1::ExecStart {
            machine,
            command: vec!["true".into()],
            run_id: uuid::Uuid::new_v4().to_string(),
            ..v1::ExecStart::default()
        }));
    }
    for machine in [String::new(), id, name] {
        first.push(exec_request::Request::Resume(v1::ExecResume {
            machine,
            run_id: things.run.clone(),
            ..v1::ExecResume::default()
        }));
    }
    let mut answers = Vec::new();
    for request in first {
        let request = v1::ExecRequest {
            request: Some(request),
        };
        let opened = wire.exec().run(open(request)).await;
        answers.push(until("Response", opened).await);
    }
    answers
}

async fn files(method: &str, wire: &Wire, things: &Things) -> Option<Vec<Answer>> {
    match method {
        "Open" => {
            let mut answers = Vec::new();
            for machine in things.machines() {
                let files = v1::FilesOpen {
                    machine,
                    ..v1::FilesOpen::default()
                };
                let request = v1::FileRequest {
                    id: 0,
                    request: Some(file_request::Request::Open(files)),
                };
                let opened = wire.files().open(open(request)).await;
                answers.push(until("Response", opened).await);
            }
            Some(answers)
        }
        "Feed" => {
            let message = v1::feed_up::Message::Open(v1::FeedOpen {});
            let message = Some(message);
            let opened = wire.files().feed(open(v1::FeedUp { message })).await;
            Some(vec![until("Opened", opened).await])
        }
        _ => None,
    }
}

async fn fleet(method: &str, wire: &Wire) -> Option<Vec<Answer>> {
    let mut client = wire.fleet();
    Some(vec![match method {
        "List" => told(client.list(v1::ListMachinesRequest::default()).await),
        "Watch" => until("Synced", client.watch(v1::WatchFleetRequest {}).await).await,
        "Hello" => told(client.hello(v1::HelloRequest {}).await),
        _ => return None,
    }])
}

/// As a machine of the other workspace, and as an account, which no agent's call takes.
async fn agents(
    method: &str,
    account: &Wire,
    machine: &Wire,
    things: &Things,
) -> Option<Vec<Answer>> {
    let mut answers = Vec::new();
    for wire in [account, machine] {
        let mut client = wire.agent();
        answers.push(match method {
            "Connect" => {
                let register = v1::Register {
                    hostname: "other-1".into(),
                    sessions: vec![claimed(things)],
                    runs: vec![things.run.clone()],
                    ..v1::Register::default()
                };
                let message = Some(v1::agent_message::Message::Register(register));
                let connected = client.connect(open(v1::AgentMessage { message })).await;
                until("Registered", connected).await
            }
            "Session" => {
                let hello = v1::SessionHello {
                    summary: Some(claimed(things)),
                };
                let message = Some(v1::session_up::Message::Hello(hello));
                let up = with_guess(open(v1::SessionUp { message }));
                until("message", client.session(up).await).await
            }
            "Exec" => {
                let run_id = things.run.clone();
                let message = Some(v1::exec_up::Message::Hello(v1::ExecHello { run_id }));
                let up = with_guess(open(v1::ExecUp { message }));
                until("request", client.exec(up).await).await
            }
            "Files" => {
                let hello = v1::FilesHello {
                    stream_id: uuid::Uuid::new_v4().to_string(),
                };
                let message = Some(v1::files_up::Message::Hello(hello));
                let up = with_guess(open(v1::FilesUp { message }));
                until("request", client.files(up).await).await
            }
            _ => return None,
        });
    }
    Some(answers)
}

/// The session as if it were the caller's.
fn claimed(things: &Things) -> v1::SessionSummary {
    let session = v1::Session {
        id: things.session.clone(),
        machine_id: things.machine.clone(),
        ..v1::Session::default()
    };
    v1::SessionSummary {
        session: Some(session),
        ..v1::SessionSummary::default()
    }
}

/// A stream of one message that stays open for as long as somebody reads the answers.
fn open<T: Send + 'static>(first: T) -> Request<impl futures_util::Stream<Item = T> + Send> {
    use futures_util::StreamExt as _;
    let first = futures_util::stream::once(std::future::ready(first));
    Request::new(first.chain(futures_util::stream::pending()))
}

fn with_guess<T>(mut request: Request<T>) -> Request<T> {
    let guess = "0".repeat(64).parse().unwrap();
    let metadata = request.metadata_mut();
    metadata.insert(limits::STREAM_TOKEN_KEY, guess);
    request
}

fn told<T: Debug>(answer: Result<Response<T>, Status>) -> Answer {
    let answer = answer.map_err(Refusal::from)?;
    Ok(format!("{:?}", answer.into_inner()))
}

/// What a stream tells up to the message that holds `word`, or to its end.
async fn until<T: Debug>(word: &str, opened: Result<Response<Streaming<T>>, Status>) -> Answer {
    let mut stream = opened.map_err(Refusal::from)?.into_inner();
    let mut told = String::new();
    let read = async {
        while let Some(message) = stream.message().await.map_err(Refusal::from)? {
            write!(told, "{message:?}").expect("a string takes all");
            if told.contains(word) {
                break;
            }
        }
        Ok(told)
    };
    wait::within(&format!("a message with {word}"), read).await
}
