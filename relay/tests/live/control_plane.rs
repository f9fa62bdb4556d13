//! The relay's first start, its later starts, and its life without a control plane.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::State;
use axum::routing::{get, post};
use axum::{Form, Json, Router};
use cmdop_proto::token::Role;
use cmdop_proto::v1::control_event::Event;
use cmdop_proto::v1::enroll_service_server::{EnrollService, EnrollServiceServer};
use cmdop_proto::v1::relay_service_server::{RelayService, RelayServiceServer};
use cmdop_proto::{RelayId, v1};
use cmdop_relay::{Config, Limits, Running};
use futures_util::Stream;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use sha2::{Digest as _, Sha256};
use tokio::sync::broadcast;
use tokio::task::JoinSet;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::BroadcastStream;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::{Request, Response, Status};

use crate::agent::Agent;
use crate::client::Client;
use crate::world::{World, reason, soon};

/// As much of a control plane as a relay sees.
#[derive(Clone)]
struct Control {
    world: Arc<World>,
    machine: v1::EnrolledMachine,
    relay_key: Arc<Mutex<String>>,
    changes: broadcast::Sender<Event>,
    issuer: String,
}

#[tonic::async_trait]
impl EnrollService for Control {
    async fn enroll_machine(
        &self,
        _: Request<v1::EnrollMachineRequest>,
    ) -> Result<Response<v1::EnrollMachineResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn enroll_relay(
        &self,
        request: Request<v1::EnrollRelayRequest>,
    ) -> Result<Response<v1::EnrollRelayResponse>, Status> {
        let request = request.into_inner();
        if !request.token.contains("_good_") {
            return Err(cmdop_proto::Refusal::denied("enroll-token-used", "it was used").into());
        }
        *self.relay_key.lock().unwrap() = request.public_key_pem;
        Ok(Response::new(v1::EnrollRelayResponse {
            relay_id: RelayId::new().to_string(),
            certificate_pem: self.world.ca.sign(&request.csr_pem),
            ca_pem: self.world.ca.pem.clone(),
            now_ms: cmdop_service::now_ms(),
        }))
    }
}

#[tonic::async_trait]
impl RelayService for Control {
    type FollowStream = Pin<Box<dyn Stream<Item = Result<v1::ControlEvent, Status>> + Send>>;

    async fn report(
        &self,
        _request: Request<v1::ReportRequest>,
    ) -> Result<Response<v1::ReportResponse>, Status> {
        Ok(Response::new(v1::ReportResponse {}))
    }

    async fn progress(
        &self,
        _request: Request<v1::ProgressRequest>,
    ) -> Result<Response<v1::ProgressResponse>, Status> {
        Ok(Response::new(v1::ProgressResponse {}))
    }

    async fn follow(
        &self,
        request: Request<v1::FollowRequest>,
    ) -> Result<Response<Self::FollowStream>, Status> {
        assert_eq!(
            request.metadata().get("authorization").unwrap(),
            "Bearer the-relays-token"
        );
        let snapshot = [
            Event::JwksJson(self.world.jwks.clone()),
            Event::Machine(self.machine.clone()),
            Event::Synced(true),
        ];
        let changes = BroadcastStream::new(self.changes.subscribe()).map(Result::unwrap);
        let events = tokio_stream::iter(snapshot).chain(changes);
        let events = events.map(|event| Ok(v1::ControlEvent { event: Some(event) }));
        Ok(Response::new(Box::pin(events)))
    }
}

async fn metadata(State(control): State<Control>) -> Json<serde_json::Value> {
    let issuer = control.issuer;
    Json(serde_json::json!({"issuer": issuer, "token_endpoint": format!("{issuer}/oauth/token")}))
}

#[derive(serde::Deserialize)]
struct TokenForm {
    grant_type: String,
    client_assertion: String,
}

/// Gives a token to whoever proves to have the relay's key.
async fn token(
    State(control): State<Control>,
    Form(form): Form<TokenForm>,
) -> Json<serde_json::Value> {
    assert_eq!(form.grant_type, "client_credentials");
    let key = control.relay_key.lock().unwrap().clone();
    let key = DecodingKey::from_ed_pem(key.as_bytes()).unwrap();
    let mut validation = Validation::new(Algorithm::EdDSA);
    validation.set_audience(&[format!("{}/oauth/token", control.issuer)]);
    jsonwebtoken::decode::<serde_json::Value>(&form.client_assertion, &key, &validation).unwrap();
    Json(
        serde_json::json!({"access_token": "the-relays-token", "token_type": "Bearer", "expires_in": 900}),
    )
}

struct Plane {
    control: Control,
    tasks: JoinSet<()>,
}

impl Plane {
    async fn start() -> Self {
        let world = World::start().await;
        let machine = world.enrol("web-1");
        let machine = v1::EnrolledMachine {
            id: machine.to_string(),
            workspace_id: world.workspace.to_string(),
            name: "web-1".into(),
            ..v1::EnrolledMachine::default()
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let control = Control {
            issuer: format!("https://{}", listener.local_addr().unwrap()),
            world: Arc::new(world),
            machine,
            relay_key: Arc::default(),
            changes: broadcast::Sender::new(16),
        };
        let web = Router::new()
            .route("/.well-known/oauth-authorization-server", get(metadata))
            .route("/oauth/token", post(token))
            .with_state(control.clone());
        let routes = Routes::from(web)
            .add_service(EnrollServiceServer::new(control.clone()))
            .add_service(RelayServiceServer::new(control.clone()));
        let tls = control.world.tls.clone();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let stop = CancellationToken::new();
            let served = cmdop_service::serve::serve(listener, tls, routes, stop, Duration::ZERO);
            served.await.unwrap();
        });
        Self { control, tasks }
    }

    /// It is gone, and with it every connection to it.
    async fn kill(&mut self) {
        self.tasks.shutdown().await;
    }

    fn config(&self, dir: &Path, token: &str) -> Config {
        let fingerprint: String = Sha256::digest(self.control.world.ca.der())
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        let file: PathBuf = dir.join("token");
        let token = format!("cmdop_relay_{token}_{fingerprint}\n");
        cmdop_service::private_file::write(&file, token.as_bytes()).unwrap();
        Config {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            data_dir: dir.join("data"),
            control: Some(self.control.issuer.clone()),
            advertise: None,
            enroll_token_file: Some(file),
            metrics_listen: None,
            limits: Limits::default(),
        }
    }
}

async fn start(config: Config) -> (Running, CancellationToken) {
    cmdop_service::tls::install_provider();
    let stop = CancellationToken::new();
    let running = soon("the start", cmdop_relay::start(config, stop.clone()))
        .await
        .unwrap();
    (running, stop)
}

async fn echo(world: &World, address: SocketAddr) {
    let world = world.at(address);
    let machine = world.machine("web-1");
    let _agent = Agent::link(&world, machine).await;
    let mut client = Client::member(&world).await;
    let session = client.create("web-1", &[]).await;
    let mut ada = client.operate(&session.id).await;
    ada.typing(b"hello").await;
    ada.until_text("hello").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_enrols_once_and_serves_from_what_it_kept_when_the_control_plane_is_gone() {
    let mut plane = Plane::start().await;
    let dir = tempfile::tempdir().unwrap();
    let world = plane.control.world.clone();
    let (relay, stop) = start(plane.config(dir.path(), "good")).await;
    let address = relay.address;
    echo(&world, address).await;
    // A change arrives, and is kept.
    let ada = world.account(Role::Member);
    let revocation = v1::Revocation {
        claim: "sub".into(),
        value: ada.sub.clone(),
        issued_until_ms: cmdop_service::now_ms() + 1000,
        forget_at_ms: cmdop_service::now_ms() + 3_600_000,
    };
    plane
        .control
        .changes
        .send(Event::Revoked(revocation))
        .unwrap();
    let at = world.at(address);
    soon("the revocation", async {
        loop {
            let mut client = Client::with(&at, &ada).await;
            if reason(client.fleet.hello(v1::HelloRequest {}).await) == "token-revoked" {
                return;
            }
        }
    })
    .await;
    // It holds at once, and is kept a moment later.
    soon("the revocation is kept", async {
        let kept = dir.path().join("data/directory.json");
        while !std::fs::read_to_string(&kept).is_ok_and(|kept| kept.contains(&ada.sub)) {
            tokio::task::yield_now().await;
        }
    })
    .await;
    plane.kill().await;
    echo(&world, address).await;
    stop.cancel();
    soon("the end", relay.wait()).await.unwrap();
    // Again, from the data directory alone: on the same port, with the same knowledge.
    let (relay, stop) = start(plane.config(dir.path(), "used-up")).await;
    assert_eq!(relay.address, address);
    echo(&world, address).await;
    let mut client = Client::with(&at, &ada).await;
    assert_eq!(
        reason(client.fleet.hello(v1::HelloRequest {}).await),
        "token-revoked"
    );
    stop.cancel();
    soon("the end", relay.wait()).await.unwrap();
}

#[tokio::test]
async fn a_first_start_that_cannot_enrol_says_what_to_do() {
    let plane = Plane::start().await;
    let dir = tempfile::tempdir().unwrap();
    let refused = cmdop_relay::start(plane.config(dir.path(), "bad"), CancellationToken::new());
    let error = soon("the refusal", refused).await.unwrap_err();
    assert!(error.to_string().contains("it was used"), "{error}");
    let config = Config {
        enroll_token_file: None,
        ..plane.config(dir.path(), "good")
    };
    let refused = cmdop_relay::start(config, CancellationToken::new());
    let error = soon("the refusal", refused).await.unwrap_err();
    assert!(error.to_string().contains("--enroll-token-file"), "{error}");
    // Whoever stands between cannot show another CA.
    let other = Plane::start().await;
    let config = Config {
        control: Some(other.control.issuer.clone()),
        ..plane.config(dir.path(), "good")
    };
    let refused = cmdop_relay::start(config, CancellationToken::new());
    let error = soon("the refusal", refused).await.unwrap_err();
    assert!(
        error.to_string().contains("not a server that we trust"),
        "{error}"
    );
}
