//! A relay without a control plane: its keys, its certificate and its roster are made here.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use cmdop_client::dial::{self, Lane, Trust};
use cmdop_proto::token::{Bearer, Claims, RELAY_AUDIENCE, Role};
use cmdop_proto::v1::control_event::Event;
use cmdop_proto::{AccountId, LoginId, MachineId, WorkspaceId, v1};
use cmdop_relay::{Directory, Limits, Parts, Running};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, IsCa, Issuer, KeyPair,
    PKCS_ED25519,
};
use tokio_util::sync::CancellationToken;
use tonic::metadata::MetadataValue;
use tonic::transport::Channel;

/// Anything that should happen happens within this.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// Waits for `what`, at most for [`SOON`].
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(SOON, Box::pin(future)).await;
    done.unwrap_or_else(|_| panic!("{what} did not happen in time"))
}

pub(crate) struct World {
    pub(crate) directory: Directory,
    pub(crate) workspace: WorkspaceId,
    pub(crate) url: String,
    pub(crate) stop: CancellationToken,
    pub(crate) running: Option<Running>,
    pub(crate) ca: Ca,
    pub(crate) tls: Arc<rustls::ServerConfig>,
    pub(crate) jwks: String,
    signer: EncodingKey,
    limits: Limits,
    machines: Mutex<HashMap<String, MachineId>>,
}

/// The authority that everybody trusts.
#[derive(Clone)]
pub(crate) struct Ca {
    pub(crate) pem: String,
    der: Vec<u8>,
    issuer: Arc<Issuer<'static, KeyPair>>,
}

impl Ca {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self {
            pem: certificate.pem(),
            der: certificate.der().to_vec(),
            issuer: Arc::new(Issuer::new(params, key)),
        }
    }

    pub(crate) fn der(&self) -> &[u8] {
        &self.der
    }

    pub(crate) fn sign(&self, request_pem: &str) -> String {
        let request = CertificateSigningRequestParams::from_pem(request_pem).unwrap();
        request.signed_by(&self.issuer).unwrap().pem()
    }

    fn server(&self) -> Arc<rustls::ServerConfig> {
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(vec!["127.0.0.1".into()]).unwrap();
        let leaf = leaf.signed_by(&key, &self.issuer).unwrap();
        let chain = format!("{}{}", leaf.pem(), self.pem);
        let key = key.serialize_pem();
        cmdop_service::tls::server_config(chain.as_bytes(), key.as_bytes()).unwrap()
    }
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::with(Limits::default()).await
    }

    pub(crate) async fn with(limits: Limits) -> Self {
        let ca = Ca::new();
        let (signer, jwks) = signer();
        let directory = Directory::new();
        directory.begin();
        directory.apply(Event::JwksJson(jwks.clone())).unwrap();
        directory.apply(Event::Synced(true)).unwrap();
        let mut world = Self {
            directory,
            workspace: WorkspaceId::new(),
            url: String::new(),
            stop: CancellationToken::new(),
            running: None,
            tls: ca.server(),
            ca,
            jwks,
            signer,
            limits,
            machines: Mutex::default(),
        };
        world.serve("127.0.0.1:0").await;
        world
    }

    async fn serve(&mut self, address: &str) {
        let parts = Parts {
            listener: tokio::net::TcpListener::bind(address).await.unwrap(),
            tls: self.tls.clone(),
            directory: self.directory.clone(),
            limits: self.limits.clone(),
        };
        let running = cmdop_relay::start_with(parts, self.stop.clone());
        self.url = format!("https://{}", running.address);
        self.running = Some(running);
    }

    /// The relay ends, and another starts that knows nothing of its sessions.
    pub(crate) async fn restart_relay(&mut self) {
        self.stop.cancel();
        let running = self.running.take().unwrap();
        let address = running.address.to_string();
        soon("the end of the relay", running.wait()).await.unwrap();
        self.stop = CancellationToken::new();
        self.serve(&address).await;
    }

    /// Puts a machine on the roster.
    pub(crate) fn enrol(&self, name: &str) -> MachineId {
        let id = MachineId::new();
        let machine = v1::EnrolledMachine {
            id: id.to_string(),
            workspace_id: self.workspace.to_string(),
            name: name.to_owned(),
            labels: [("role".to_owned(), name.to_owned())].into(),
            ..v1::EnrolledMachine::default()
        };
        self.directory.apply(Event::Machine(machine)).unwrap();
        self.machines.lock().unwrap().insert(name.to_owned(), id);
        id
    }

    /// A machine that was enrolled before.
    pub(crate) fn machine(&self, name: &str) -> MachineId {
        self.machines.lock().unwrap()[name]
    }

    /// The same accounts and machines, at another relay.
    pub(crate) fn at(&self, relay: SocketAddr) -> Self {
        Self {
            directory: self.directory.clone(),
            workspace: self.workspace,
            url: format!("https://{relay}"),
            stop: self.stop.clone(),
            running: None,
            ca: self.ca.clone(),
            tls: self.tls.clone(),
            jwks: self.jwks.clone(),
            signer: self.signer.clone(),
            limits: self.limits.clone(),
            machines: Mutex::new(self.machines.lock().unwrap().clone()),
        }
    }

    pub(crate) fn revoke(&self, claim: &str, value: &str) {
        let now = cmdop_service::now_ms();
        let revocation = v1::Revocation {
            claim: claim.into(),
            value: value.into(),
            issued_until_ms: now + 1000,
            forget_at_ms: now + 3_600_000,
        };
        self.directory.apply(Event::Revoked(revocation)).unwrap();
    }

    pub(crate) fn claims(&self, bearer: Bearer, role: Option<Role>) -> Claims {
        static TOKENS: AtomicU64 = AtomicU64::new(0);
        let now = (cmdop_service::now_ms() / 1000) as i64;
        Claims {
            iss: "https://control".into(),
            sub: AccountId::new().to_string(),
            aud: vec![RELAY_AUDIENCE.into()],
            exp: now + 3600,
            iat: now,
            nbf: now - 60,
            jti: TOKENS.fetch_add(1, Ordering::Relaxed).to_string(),
            wid: self.workspace,
            bearer,
            role,
            scope: None,
            reach: cmdop_proto::Reach::All,
            sid: Some(LoginId::new()),
            name: "ada".into(),
        }
    }

    pub(crate) fn account(&self, role: Role) -> Claims {
        self.claims(Bearer::Account, Some(role))
    }

    pub(crate) fn sign(&self, claims: &Claims) -> String {
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = Some("k1".into());
        jsonwebtoken::encode(&header, claims, &self.signer).unwrap()
    }

    pub(crate) fn machine_token(&self, machine: MachineId) -> String {
        let mut claims = self.claims(Bearer::Machine, None);
        claims.sub = machine.to_string();
        self.sign(&claims)
    }

    pub(crate) async fn channel(&self) -> Channel {
        dial::dial(
            &self.url,
            &Trust::Ca(self.ca.pem.clone()),
            Lane::Interactive,
        )
        .await
        .unwrap()
    }
}

/// Puts a bearer token on each request.
#[derive(Clone)]
pub(crate) struct Bear(pub(crate) String);

impl tonic::service::Interceptor for Bear {
    fn call(
        &mut self,
        mut request: tonic::Request<()>,
    ) -> Result<tonic::Request<()>, tonic::Status> {
        let bearer: MetadataValue<_> = format!("Bearer {}", self.0).parse().unwrap();
        request.metadata_mut().insert("authorization", bearer);
        Ok(request)
    }
}

pub(crate) type Authorised = tonic::service::interceptor::InterceptedService<Channel, Bear>;

/// The `reason` of a refusal.
pub(crate) fn reason<T>(result: Result<T, tonic::Status>) -> String {
    match result {
        Ok(_) => "none: it was done".into(),
        Err(status) => cmdop_proto::Refusal::from(status).reason,
    }
}

fn signer() -> (EncodingKey, String) {
    let pair = KeyPair::generate_for(&PKCS_ED25519).unwrap();
    let x = BASE64_URL_SAFE_NO_PAD.encode(pair.public_key_raw());
    let jwks = serde_json::json!({"keys": [
        {"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "kid": "k1", "x": x}]});
    (
        EncodingKey::from_ed_pem(pair.serialize_pem().as_bytes()).unwrap(),
        jwks.to_string(),
    )
}
