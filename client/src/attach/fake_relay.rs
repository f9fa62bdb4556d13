//! A relay for tests: the real protocol over real TLS, and one scripted scene for each attach stream.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use cmdop_proto::v1;
use cmdop_proto::v1::attach_request::Request as Ask;
use cmdop_proto::v1::attach_response::Response as Answer;
use cmdop_proto::v1::session_service_server::{SessionService, SessionServiceServer};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt as _};
use tonic::{Request, Response, Status, Streaming};

use crate::connection::Connection;
use crate::fake_control::Identity;
use crate::profile::Profile;
use crate::token_store::Secret;
use crate::tokens::Tokens;

/// What happens on one attach stream.
pub(super) enum Scene {
    /// The call is refused.
    Refuse(cmdop_proto::Refusal),
    /// It is accepted.
    Play(Play),
}

type Answers = Box<dyn Fn(&v1::AttachOpen) -> Vec<Answer> + Send>;

/// An accepted stream: these answers, then so many requests other than `open`, then these answers, then its end.
pub(super) struct Play {
    /// The input_seq that the agent is said to have written.
    pub(super) acked: u64,
    /// What is sent first.
    pub(super) first: Answers,
    /// How many requests are awaited.
    pub(super) requests: usize,
    /// What is sent then.
    pub(super) then: Vec<Answer>,
}

impl Play {
    /// Sends what `answers` makes of the open request, and breaks.
    pub(super) fn new(answers: impl Fn(&v1::AttachOpen) -> Vec<Answer> + Send + 'static) -> Self {
        Self {
            acked: 0,
            first: Box::new(answers),
            requests: 0,
            then: Vec::new(),
        }
    }
}

/// What the relay saw, in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    pub(super) opens: Vec<v1::AttachOpen>,
    /// The stream's index and the request.
    pub(super) requests: Vec<(usize, Ask)>,
}

#[derive(Clone)]
struct Service {
    scenes: Arc<Mutex<VecDeque<Scene>>>,
    seen: Arc<Mutex<Seen>>,
}

/// A running fake relay.
pub(super) struct FakeRelay {
    pub(super) connection: Connection,
    seen: Arc<Mutex<Seen>>,
    _tasks: JoinSet<()>,
}

impl FakeRelay {
    pub(super) async fn start(scenes: impl IntoIterator<Item = Scene>) -> Self {
        let identity = Identity::new();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let service = Service {
            scenes: Arc::new(Mutex::new(scenes.into_iter().collect())),
            seen: Arc::default(),
        };
        let seen = service.seen.clone();
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener, identity.config.into(), service));
        let profile = Profile {
            name: "test".into(),
            relay_urls: vec![format!("https://{address}")],
            ca_pem: identity.ca_pem,
            ..Profile::default()
        };
        Self {
            connection: Connection::with_tokens(profile, Tokens::fixed(Secret::new("token"))),
            seen,
            _tasks: tasks,
        }
    }

    pub(super) fn seen(&self) -> Seen {
        self.seen.lock().unwrap().clone()
    }
}

async fn serve(listener: TcpListener, tls: TlsAcceptor, service: Service) {
    let (streams, incoming) = mpsc::channel::<std::io::Result<_>>(4);
    let accept = async move {
        while let Ok((stream, _)) = listener.accept().await {
            if let Ok(stream) = tls.accept(stream).await {
                let _ = streams.send(Ok(stream)).await;
            }
        }
    };
    let server = tonic::transport::Server::builder()
        .add_service(SessionServiceServer::new(service))
        .serve_with_incoming(ReceiverStream::new(incoming));
    let ((), served) = tokio::join!(accept, server);
    served.unwrap();
}

/// The session that every scene is about.
pub(super) fn session() -> v1::Session {
    v1::Session {
        id: "01900000-0000-7000-8000-000000000001".into(),
        name: "build".into(),
        ..v1::Session::default()
    }
}

type Responses = Pin<Box<dyn Stream<Item = Result<v1::AttachResponse, Status>> + Send>>;

async fn play(
    play: Play,
    open: v1::AttachOpen,
    index: usize,
    seen: Arc<Mutex<Seen>>,
    mut requests: Streaming<v1::AttachRequest>,
    responses: mpsc::Sender<Result<v1::AttachResponse, Status>>,
) {
    let opened = Answer::Opened(v1::AttachOpened {
        session: Some(session()),
        acked_input_seq: play.acked,
        mode: open.mode,
    });
    let first = (play.first)(&open);
    for answer in std::iter::once(opened).chain(first) {
        let response = v1::AttachResponse {
            response: Some(answer),
        };
        let _ = responses.send(Ok(response)).await;
    }
    for _ in 0..play.requests {
        let Ok(Some(request)) = requests.message().await else {
            return;
        };
        let request = request.request.expect("our client sends no empty requests");
        seen.lock().unwrap().requests.push((index, request));
    }
    for answer in play.then {
        let response = v1::AttachResponse {
            response: Some(answer),
        };
        let _ = responses.send(Ok(response)).await;
    }
    let _ = responses
        .send(Err(Status::unavailable("the scene is over")))
        .await;
}

#[tonic::async_trait]
impl SessionService for Service {
    type AttachStream = Responses;
    type WatchStream = Pin<Box<dyn Stream<Item = Result<v1::SessionEvent, Status>> + Send>>;

    async fn attach(
        &self,
        request: Request<Streaming<v1::AttachRequest>>,
    ) -> Result<Response<Responses>, Status> {
        assert_eq!(
            request.metadata().get("authorization").unwrap(),
            "Bearer token"
        );
        let mut requests = request.into_inner();
        let Some(Ask::Open(open)) = requests.message().await?.and_then(|first| first.request)
        else {
            return Err(Status::invalid_argument("the first request is not `open`"));
        };
        let index = {
            let mut seen = self.seen.lock().unwrap();
            seen.opens.push(open.clone());
            seen.opens.len() - 1
        };
        let scene = self.scenes.lock().unwrap().pop_front();
        match scene {
            None => Err(Status::aborted("there is no scene for another stream")),
            Some(Scene::Refuse(refusal)) => Err(refusal.into()),
            Some(Scene::Play(scene)) => {
                let (responses, stream) = mpsc::channel(4);
                let seen = self.seen.clone();
                let mut task = JoinSet::new();
                task.spawn(play(scene, open, index, seen, requests, responses));
                // The stream owns its task.
                let stream = ReceiverStream::new(stream).map(move |response| {
                    let _owned = &task;
                    response
                });
                Ok(Response::new(Box::pin(stream)))
            }
        }
    }

    async fn create(
        &self,
        _: Request<v1::CreateSessionRequest>,
    ) -> Result<Response<v1::Session>, Status> {
        Err(Status::unimplemented("create"))
    }

    async fn list(
        &self,
        _: Request<v1::ListSessionsRequest>,
    ) -> Result<Response<v1::ListSessionsResponse>, Status> {
        Err(Status::unimplemented("list"))
    }

    async fn get(
        &self,
        _: Request<v1::GetSessionRequest>,
    ) -> Result<Response<v1::Session>, Status> {
        Err(Status::unimplemented("get"))
    }

    async fn watch(
        &self,
        _: Request<v1::WatchSessionsRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        Err(Status::unimplemented("watch"))
    }

    async fn rename(
        &self,
        _: Request<v1::RenameSessionRequest>,
    ) -> Result<Response<v1::Session>, Status> {
        Err(Status::unimplemented("rename"))
    }

    async fn send(
        &self,
        _: Request<v1::SendRequest>,
    ) -> Result<Response<v1::SendResponse>, Status> {
        Err(Status::unimplemented("send"))
    }

    async fn capture(
        &self,
        _: Request<v1::CaptureRequest>,
    ) -> Result<Response<v1::CaptureResponse>, Status> {
        Err(Status::unimplemented("capture"))
    }

    async fn history(
        &self,
        _: Request<v1::HistoryRequest>,
    ) -> Result<Response<v1::HistoryResponse>, Status> {
        Err(Status::unimplemented("history"))
    }

    async fn resize(
        &self,
        _: Request<v1::ResizeRequest>,
    ) -> Result<Response<v1::ResizeResponse>, Status> {
        Err(Status::unimplemented("resize"))
    }

    async fn keyboard(
        &self,
        _: Request<v1::KeyboardRequest>,
    ) -> Result<Response<v1::KeyboardResponse>, Status> {
        Err(Status::unimplemented("keyboard"))
    }

    async fn signal(
        &self,
        _: Request<v1::SignalRequest>,
    ) -> Result<Response<v1::SignalResponse>, Status> {
        Err(Status::unimplemented("signal"))
    }

    async fn close(
        &self,
        _: Request<v1::CloseSessionRequest>,
    ) -> Result<Response<v1::Session>, Status> {
        Err(Status::unimplemented("close"))
    }
}
