//! A relay with its own services, and an agent of a few lines that dials as a real one does: it has one
//! session, and opens its stream when it is asked to.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use cmdop_client::backoff::Backoff;
use cmdop_proto::token::{Bearer, Claims, RELAY_AUDIENCE};
use cmdop_proto::v1::agent_service_client::AgentServiceClient;
use cmdop_proto::{LoginId, MachineId, SessionId, WorkspaceId, limits, v1};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rcgen::{KeyPair, PKCS_ED25519};
use tokio::sync::{broadcast, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Request, Streaming};
use v1::agent_message::Message as Up;
use v1::control_event::Event;
use v1::control_message::Message as Control;

use super::network::Network;
use crate::context::Context;
use crate::deadlines::Deadlines;
use crate::directory::Directory;
use crate::lingering::Lingering;
use crate::machines::Machines;
use crate::meters::Meters;
use crate::relay::Relay;
use crate::workspace::Workspace;

/// What never changes: who is who.
#[derive(Clone)]
struct Names {
    directory: Directory,
    workspace: WorkspaceId,
    session: SessionId,
    token: String,
}

pub(super) struct World {
    pub(super) network: Arc<Network>,
    names: Names,
    workspace: Arc<Workspace>,
    changes: broadcast::Receiver<SessionId>,
    status: v1::SessionStatus,
    dials: Arc<Mutex<Vec<Instant>>>,
    ended: watch::Receiver<bool>,
    server: JoinSet<()>,
    _agent: JoinSet<()>,
}

impl World {
    /// A relay, an agent, and a session that is connected.
    pub(super) async fn start(grace: Option<Duration>) -> Self {
        let names = names();
        let network = Network::new();
        let (workspace, server) = serve(&names, &network);
        let dials = Arc::new(Mutex::new(Vec::new()));
        let (ended_sender, ended) = watch::channel(false);
        let agent = Agent {
            network: network.clone(),
            record: v1::Session {
                id: names.session.to_string(),
                status: v1::SessionStatus::Connected.into(),
                grace: Some(v1::Grace {
                    limit: Some(match grace {
                        Some(grace) => v1::grace::Limit::DurationMs(grace.as_millis() as u64),
                        None => v1::grace::Limit::Forever(true),
                    }),
                }),
                ..v1::Session::default()
            },
            token: names.token.clone(),
            dials: dials.clone(),
            ended: ended_sender,
        };
        let mut task = JoinSet::new();
        task.spawn(agent.run());
        let mut world = Self {
            network,
            names,
            changes: workspace.watch(),
            workspace,
            status: v1::SessionStatus::Unspecified,
            dials,
            ended,
            server,
            _agent: task,
        };
        while world.next_status().await != v1::SessionStatus::Connected {}
        world.dials.lock().unwrap().clear();
        world
    }

    /// The relay is gone, and with it all that it knew; another one listens.
    pub(super) fn restart_relay(&mut self) {
        let (workspace, server) = serve(&self.names, &self.network);
        // Dropped, not told: its tasks and connections end where they stand.
        self.server = server;
        self.network.cut();
        self.changes = workspace.watch();
        self.workspace = workspace;
        // What the agent's word alone makes of it is not yet its stream.
        self.status = v1::SessionStatus::GracePeriod;
    }

    fn look(&self) -> Option<v1::SessionStatus> {
        let session = self.workspace.get(self.names.session)?;
        Some(session.record().status())
    }

    /// The session's next status.
    pub(super) async fn next_status(&mut self) -> v1::SessionStatus {
        loop {
            if let Some(status) = self.look().filter(|status| *status != self.status) {
                self.status = status;
                return status;
            }
            let _ = self.changes.recv().await;
        }
    }

    /// Its status, which is that of the last look.
    pub(super) fn still(&self) -> v1::SessionStatus {
        assert_eq!(self.look(), Some(self.status));
        self.status
    }

    pub(super) fn dials(&self) -> Vec<Instant> {
        self.dials.lock().unwrap().clone()
    }

    pub(super) async fn agent_is_told_of_the_end(&mut self) {
        self.ended.wait_for(|ended| *ended).await.expect("it lives");
    }
}

fn serve(names: &Names, network: &Network) -> (Arc<Workspace>, JoinSet<()>) {
    let relay = Relay::new(Context {
        limits: crate::config::Limits::default(),
        directory: names.directory.clone(),
        machines: Machines::new(),
        deadlines: Deadlines::default(),
        lingering: Lingering::default(),
        meters: Meters::new(),
        reporter: crate::report::Reporter::nowhere(),
        transfers: crate::transfers::Transfers::new(crate::report::Reporter::nowhere()),
    });
    let workspace = relay.workspaces.of(names.workspace);
    let door = ReceiverStream::new(network.listen());
    let mut server = JoinSet::new();
    server.spawn(async move {
        let (_health, routes) = crate::running::routes(&relay).await;
        let http = cmdop_service::serve::http().add_routes(routes);
        tokio::select! {
            _ = http.serve_with_incoming(door) => {}
            () = relay.context.deadlines.run() => {}
            () = relay.obey() => {}
        }
    });
    (workspace, server)
}

struct Agent {
    network: Arc<Network>,
    record: v1::Session,
    token: String,
    dials: Arc<Mutex<Vec<Instant>>>,
    ended: watch::Sender<bool>,
}

impl Agent {
    async fn run(self) {
        let mut backoff = Backoff::new();
        loop {
            self.dials.lock().unwrap().push(Instant::now());
            if let Some(channel) = self.network.dial().await {
                self.link(channel, &mut backoff).await;
            }
            tokio::time::sleep(backoff.next_wait()).await;
        }
    }

    /// `None`: it is over.
    async fn link(&self, channel: Channel, backoff: &mut Backoff) -> Option<()> {
        let mut client = AgentServiceClient::new(channel);
        let (up, messages) = mpsc::channel(16);
        let summary = v1::SessionSummary {
            session: Some(self.record.clone()),
            ..v1::SessionSummary::default()
        };
        let register = v1::Register {
            hostname: "web-1".into(),
            now_ms: cmdop_service::now_ms(),
            sessions: vec![summary.clone()],
            ..v1::Register::default()
        };
        up.send(message(Up::Register(register))).await.ok()?;
        let request = self.signed(ReceiverStream::new(messages), None);
        let mut down = client.connect(request).await.ok()?.into_inner();
        let mut sessions = JoinSet::new();
        let mut heartbeats = tokio::time::interval(limits::HEARTBEAT_INTERVAL);
        loop {
            let told = tokio::select! {
                told = down.message() => told.ok()??,
                _ = heartbeats.tick() => {
                    let heartbeat = v1::Heartbeat::default();
                    up.send(message(Up::Heartbeat(heartbeat))).await.ok()?;
                    continue;
                }
            };
            match told.message? {
                Control::Registered(_) => backoff.reset(),
                Control::ResumeSession(resume) => {
                    let (hello, body) = mpsc::channel(1);
                    let first = v1::session_up::Message::Hello(v1::SessionHello {
                        summary: Some(summary.clone()),
                    });
                    let first = v1::SessionUp {
                        message: Some(first),
                    };
                    hello.send(first).await.ok()?;
                    let request =
                        self.signed(ReceiverStream::new(body), Some(&resume.stream_token));
                    let mut client = client.clone();
                    sessions.spawn(async move {
                        let _open = hello;
                        if let Ok(opened) = client.session(request).await {
                            read(opened.into_inner()).await;
                        }
                    });
                }
                Control::EndSession(_) => drop(self.ended.send_replace(true)),
                _ => {}
            }
        }
    }

    fn signed<T>(&self, body: T, stream_token: Option<&str>) -> Request<T> {
        let mut request = Request::new(body);
        let metadata = request.metadata_mut();
        let bearer = format!("Bearer {}", self.token);
        metadata.insert("authorization", bearer.parse().expect("ASCII"));
        if let Some(token) = stream_token {
            metadata.insert(limits::STREAM_TOKEN_KEY, token.parse().expect("ASCII"));
        }
        request
    }
}

async fn read(mut down: Streaming<v1::SessionDown>) {
    while let Ok(Some(_)) = down.message().await {}
}

fn message(message: Up) -> v1::AgentMessage {
    v1::AgentMessage {
        message: Some(message),
    }
}

/// One workspace with one machine, and a token that outlives the test.
fn names() -> Names {
    let pair = KeyPair::generate_for(&PKCS_ED25519).expect("a key");
    let x = BASE64_URL_SAFE_NO_PAD.encode(pair.public_key_raw());
    let jwks = serde_json::json!({"keys": [
        {"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "kid": "k1", "x": x}]});
    let (workspace, machine) = (WorkspaceId::new(), MachineId::new());
    let directory = Directory::new();
    directory.begin();
    for event in [
        Event::JwksJson(jwks.to_string()),
        Event::Machine(v1::EnrolledMachine {
            id: machine.to_string(),
            workspace_id: workspace.to_string(),
            name: "web-1".into(),
            ..v1::EnrolledMachine::default()
        }),
        Event::Synced(true),
    ] {
        directory.apply(event).expect("it is in order");
    }
    let now = (cmdop_service::now_ms() / 1000) as i64;
    let claims = Claims {
        iss: "https://control".into(),
        sub: machine.to_string(),
        aud: vec![RELAY_AUDIENCE.into()],
        exp: now + 3600,
        iat: now,
        nbf: now - 60,
        jti: "1".into(),
        wid: workspace,
        bearer: Bearer::Machine,
        role: None,
        scope: None,
        reach: cmdop_proto::Reach::All,
        sid: Some(LoginId::new()),
        name: "web-1".into(),
    };
    let mut header = Header::new(Algorithm::EdDSA);
    header.kid = Some("k1".into());
    let signer = EncodingKey::from_ed_pem(pair.serialize_pem().as_bytes()).expect("a key");
    Names {
        directory,
        workspace,
        session: SessionId::new(),
        token: jsonwebtoken::encode(&header, &claims, &signer).expect("a token"),
    }
}
