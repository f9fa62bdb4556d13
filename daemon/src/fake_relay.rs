//! For tests: a relay that does nothing by itself, over real TLS on loopback, behind a proxy that can
//! be cut; and an agent that is enrolled with it.

mod exec;
mod session;

use std::collections::HashMap;
use std::time::Duration;

use cmdop_proto::v1::agent_message::Message as Up;
use cmdop_proto::v1::agent_service_server::{AgentService, AgentServiceServer};
use cmdop_proto::v1::control_message::Message as Down;
use cmdop_proto::{MachineId, SessionId, WorkspaceId, limits, v1};
use cmdop_service::{serve, tls};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use crate::identity::{self, Identity};
use crate::{Config, Error, token};

pub(crate) use exec::ExecStream;
pub(crate) use session::SessionStream;

/// Everything in a test happens in this time, or it does not happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Waits for something that must happen.
pub(crate) async fn within<T>(what: &str, event: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, event)
        .await
        .unwrap_or_else(|_| panic!("{what} did not happen"))
}

/// One call of the agent: its metadata, what it says, and our side.
pub(crate) struct Call<U, D> {
    pub(crate) metadata: HashMap<String, String>,
    pub(crate) up: Streaming<U>,
    pub(crate) down: mpsc::Sender<Result<D, Status>>,
}

type Calls<U, D> = mpsc::Sender<Call<U, D>>;

#[derive(Clone)]
struct Service {
    links: Calls<v1::AgentMessage, v1::ControlMessage>,
    sessions: Calls<v1::SessionUp, v1::SessionDown>,
    execs: Calls<v1::ExecUp, v1::ExecDown>,
    /// When set, calls are refused with it.
    refusal: watch::Receiver<Option<Status>>,
    /// While set, calls are taken but not answered.
    hold: watch::Receiver<bool>,
}

impl Service {
    async fn take<U, D: Send + 'static>(
        &self,
        to: &Calls<U, D>,
        request: Request<Streaming<U>>,
    ) -> Result<Response<ReceiverStream<Result<D, Status>>>, Status> {
        if let Some(status) = self.refusal.borrow().clone() {
            return Err(status);
        }
        let metadata = request
            .metadata()
            .iter()
            .filter_map(|pair| match pair {
                tonic::metadata::KeyAndValueRef::Ascii(key, value) => {
                    Some((key.to_string(), value.to_str().ok()?.to_owned()))
                }
                tonic::metadata::KeyAndValueRef::Binary(..) => None,
            })
            .collect();
        let (down, answers) = mpsc::channel(64);
        let call = Call {
            metadata,
            up: request.into_inner(),
            down,
        };
        // Asked before the test can see the call: what it holds from then on is another one.
        let is_held = *self.hold.borrow();
        to.send(call)
            .await
            .map_err(|_| Status::unavailable("the test is over"))?;
        if is_held {
            let _ = self.hold.clone().wait_for(|hold| !hold).await;
        }
        Ok(Response::new(ReceiverStream::new(answers)))
    }
}

#[tonic::async_trait]
impl AgentService for Service {
    type ConnectStream = ReceiverStream<Result<v1::ControlMessage, Status>>;
    type SessionStream = ReceiverStream<Result<v1::SessionDown, Status>>;
    type ExecStream = ReceiverStream<Result<v1::ExecDown, Status>>;
    type FilesStream = ReceiverStream<Result<v1::FilesDown, Status>>;

    async fn connect(
        &self,
        request: Request<Streaming<v1::AgentMessage>>,
    ) -> Result<Response<Self::ConnectStream>, Status> {
        self.take(&self.links, request).await
    }

    async fn session(
        &self,
        request: Request<Streaming<v1::SessionUp>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        self.take(&self.sessions, request).await
    }

    /// Files are tested with a real relay.
    async fn files(
        &self,
        _request: Request<Streaming<v1::FilesUp>>,
    ) -> Result<Response<Self::FilesStream>, Status> {
        Err(Status::unimplemented("no files here"))
    }

    async fn exec(
        &self,
        request: Request<Streaming<v1::ExecUp>>,
    ) -> Result<Response<Self::ExecStream>, Status> {
        self.take(&self.execs, request).await
    }
}

/// The relay, and an agent that links to it.
pub(crate) struct World {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) config: Config,
    pub(crate) stop: CancellationToken,
    links: mpsc::Receiver<Call<v1::AgentMessage, v1::ControlMessage>>,
    sessions: mpsc::Receiver<Call<v1::SessionUp, v1::SessionDown>>,
    execs: mpsc::Receiver<Call<v1::ExecUp, v1::ExecDown>>,
    refusal: watch::Sender<Option<Status>>,
    hold: watch::Sender<bool>,
    cut: watch::Sender<u64>,
    tasks: JoinSet<()>,
    agent: JoinSet<Result<(), Error>>,
    link: Option<Link>,
    epoch: u64,
}

/// The control stream of the present link.
pub(crate) struct Link {
    pub(crate) register: v1::Register,
    up: Streaming<v1::AgentMessage>,
    down: mpsc::Sender<Result<v1::ControlMessage, Status>>,
    next_command: u64,
}

impl World {
    /// A relay, and an agent that is linked to it.
    pub(crate) async fn new() -> Self {
        let mut world = Self::without_link().await;
        world.linked().await;
        world
    }

    /// A relay, and an agent that dials it.
    pub(crate) async fn without_link() -> Self {
        Self::with_config(|_| ()).await
    }

    /// The same with changes to the agent's configuration.
    pub(crate) async fn with_config(change: impl FnOnce(&mut Config)) -> Self {
        tls::install_provider();
        cmdop_service::telemetry::install(cmdop_service::telemetry::LogFormat::Auto);
        let (links_to, links) = mpsc::channel(16);
        let (sessions_to, sessions) = mpsc::channel(16);
        let (execs_to, execs) = mpsc::channel(64);
        let (refusal, refused) = watch::channel(None);
        let (hold, held) = watch::channel(false);
        let service = Service {
            links: links_to,
            sessions: sessions_to,
            execs: execs_to,
            refusal: refused,
            hold: held,
        };
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        let (ca_pem, address) = start_server(service, &mut tasks, stop.clone()).await;
        let cut = watch::Sender::new(0);
        let proxy = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}", proxy.local_addr().unwrap());
        tasks.spawn(forward(proxy, address, cut.subscribe()));

        let dir = tempfile::tempdir().unwrap();
        enrolled(dir.path(), &url, ca_pem);
        let mut config = Config::new(dir.path());
        config.environment = std::env::vars_os().collect();
        change(&mut config);
        let mut agent = JoinSet::new();
        agent.spawn(crate::run(config.clone(), stop.clone()));
        Self {
            dir,
            config,
            stop,
            links,
            sessions,
            execs,
            refusal,
            hold,
            cut,
            tasks,
            agent,
            link: None,
            epoch: 0,
        }
    }

    /// Takes the agent's next link and registers it.
    pub(crate) async fn linked(&mut self) -> &mut Link {
        self.linked_every(limits::HEARTBEAT_INTERVAL).await
    }

    /// The same with heartbeats at this interval.
    pub(crate) async fn linked_every(&mut self, heartbeat: Duration) -> &mut Link {
        let mut call = within("a link", self.links.recv()).await.unwrap();
        assert_eq!(call.metadata["authorization"], "Bearer machine-token");
        let first = within("register", call.up.message())
            .await
            .unwrap()
            .unwrap();
        let Some(Up::Register(register)) = first.message else {
            panic!("the first word was {first:?}");
        };
        self.epoch += 1;
        let mut link = Link {
            register,
            up: call.up,
            down: call.down,
            next_command: 1,
        };
        link.order(Down::Registered(v1::Registered {
            link_epoch: self.epoch,
            heartbeat_interval_ms: heartbeat.as_millis() as u64,
            heartbeat_timeout_ms: 60_000,
            now_ms: cmdop_service::now_ms(),
        }))
        .await;
        self.link.insert(link)
    }

    /// The present link.
    pub(crate) fn link(&mut self) -> &mut Link {
        self.link.as_mut().expect("the agent is linked")
    }

    /// Cuts every connection.
    pub(crate) fn cut(&mut self) {
        self.link = None;
        self.cut.send_modify(|cuts| *cuts += 1);
    }

    /// From now on every call is refused so; `None`: no longer.
    pub(crate) fn refuse(&self, status: Option<Status>) {
        self.refusal.send_replace(status);
    }

    /// From now on calls are taken but not answered; `false`: answers all.
    pub(crate) fn hold(&self, hold: bool) {
        self.hold.send_replace(hold);
    }

    /// Starts a session with a command and takes its stream.
    pub(crate) async fn session(&mut self, command: &[&str]) -> SessionStream {
        self.start_session(start_session(command)).await
    }

    /// Starts this session and takes its stream.
    pub(crate) async fn start_session(&mut self, start: v1::StartSession) -> SessionStream {
        self.link().order(Down::StartSession(start)).await;
        self.session_stream().await
    }

    /// The next stream that a session opens.
    pub(crate) async fn session_stream(&mut self) -> SessionStream {
        let call = within("a session's stream", self.sessions.recv()).await;
        SessionStream::new(call.unwrap()).await
    }

    /// Runs a program and takes its stream.
    pub(crate) async fn exec(&mut self, start: v1::StartExec) -> ExecStream {
        self.link().order(Down::StartExec(start)).await;
        let call = within("an exec's stream", self.execs.recv()).await;
        ExecStream::new(call.unwrap()).await
    }

    /// Comes back to a run with what a caller has of it, and takes the new stream.
    pub(crate) async fn resume_exec(
        &mut self,
        run: &str,
        stdout: Vec<u8>,
        stderr: Vec<u8>,
    ) -> ExecStream {
        let resume = resume_exec(run, stdout.len(), stderr.len());
        self.link().order(Down::ResumeExec(resume)).await;
        let call = within("another stream of the exec", self.execs.recv()).await;
        ExecStream::new(call.unwrap()).await.having(stdout, stderr)
    }

    /// Waits until no session and no program is left.
    pub(crate) async fn no_sessions(&self) {
        let gone = async {
            loop {
                let status = crate::local::status(self.dir.path()).await.unwrap();
                if status.sessions + status.programs == 0 {
                    break;
                }
                tokio::task::yield_now().await;
            }
        };
        within("the end of all sessions", gone).await;
    }

    /// Stops the agent and waits for its end.
    pub(crate) async fn stopped(mut self) {
        self.stop.cancel();
        let done = within("the agent's end", self.agent.join_next()).await;
        done.unwrap().unwrap().unwrap();
        self.tasks.abort_all();
    }
}

impl Link {
    /// Tells the agent something.
    pub(crate) async fn order(&mut self, message: Down) -> u64 {
        let command_id = self.next_command;
        self.next_command += 1;
        let order = v1::ControlMessage {
            command_id,
            message: Some(message),
        };
        self.down.send(Ok(order)).await.unwrap();
        command_id
    }

    /// Ends the link with this word.
    pub(crate) async fn fail(&mut self, status: Status) {
        self.down.send(Err(status)).await.unwrap();
    }

    /// What the agent says next.
    pub(crate) async fn message(&mut self) -> Up {
        let message = within("a message of the agent", self.up.message()).await;
        message.unwrap().unwrap().message.unwrap()
    }
}

/// A request for a session that runs `command`.
pub(crate) fn start_session(command: &[&str]) -> v1::StartSession {
    v1::StartSession {
        session: Some(v1::Session {
            id: SessionId::new().to_string(),
            command: command.iter().map(ToString::to_string).collect(),
            size: Some(v1::Size { rows: 24, cols: 80 }),
            grace: Some(v1::Grace {
                limit: Some(v1::grace::Limit::DurationMs(30_000)),
            }),
            ..v1::Session::default()
        }),
        stream_token: "stream-token".into(),
        ..v1::StartSession::default()
    }
}

/// A request for a program.
pub(crate) fn start_exec(command: &[&str]) -> v1::StartExec {
    v1::StartExec {
        run_id: "run".into(),
        stream_token: "stream-token".into(),
        command: command.iter().map(ToString::to_string).collect(),
        ..v1::StartExec::default()
    }
}

/// A request to come back to a program.
pub(crate) fn resume_exec(run: &str, stdout: usize, stderr: usize) -> v1::ResumeExec {
    v1::ResumeExec {
        run_id: run.into(),
        stream_token: "stream-token".into(),
        stream_id: "visit".into(),
        stdout_from: stdout as u64,
        stderr_from: stderr as u64,
    }
}

fn enrolled(dir: &std::path::Path, url: &str, ca_pem: String) {
    let key = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    identity::save_key(dir, &key.serialize_pem()).unwrap();
    let identity = Identity {
        machine_id: MachineId::new(),
        workspace_id: WorkspaceId::new(),
        workspace_name: "default".into(),
        hostname: "web-1".into(),
        // Nobody there: the token on disk must do.
        control_url: "https://127.0.0.1:1".into(),
        issuer: "https://127.0.0.1:1".into(),
        relay_urls: vec![url.to_owned()],
        ca_pem,
    };
    identity.save(dir).unwrap();
    token::save_for_test(dir, "machine-token");
}

async fn start_server(
    service: Service,
    tasks: &mut JoinSet<()>,
    stop: CancellationToken,
) -> (String, std::net::SocketAddr) {
    let mut ca = CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_key = KeyPair::generate().unwrap();
    let ca_pem = ca.self_signed(&ca_key).unwrap().pem();
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["127.0.0.1".into()])
        .unwrap()
        .signed_by(&key, &Issuer::new(ca, ca_key))
        .unwrap();
    let tls = tls::server_config(leaf.pem().as_bytes(), key.serialize_pem().as_bytes()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let routes = tonic::service::Routes::new(
        AgentServiceServer::new(service)
            .max_decoding_message_size(limits::MAX_FRAME)
            .max_encoding_message_size(limits::MAX_FRAME),
    );
    tasks.spawn(async move {
        // The relay outlives the agent: it hears its last words.
        let _ = stop;
        let never = CancellationToken::new();
        serve::serve(listener, tls, routes, never, Duration::ZERO)
            .await
            .unwrap();
    });
    (ca_pem, address)
}

/// Passes bytes on, until the next cut.
async fn forward(listener: TcpListener, to: std::net::SocketAddr, cut: watch::Receiver<u64>) {
    let mut pairs = JoinSet::new();
    loop {
        let (mut inner, _) = listener.accept().await.unwrap();
        let mut cut = cut.clone();
        cut.mark_unchanged();
        pairs.spawn(async move {
            let Ok(mut outer) = TcpStream::connect(to).await else {
                return;
            };
            let _ = (inner.set_nodelay(true), outer.set_nodelay(true));
            let passing = tokio::io::copy_bidirectional(&mut inner, &mut outer);
            tokio::select! { _ = passing => {}, _ = cut.changed() => {} }
        });
    }
}
