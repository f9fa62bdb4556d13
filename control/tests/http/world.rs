//! One control plane with a clock that can be set forward, and the ways in which it is asked.

use std::time::Duration;

use cmdop_client::dial::{self, Lane, Trust};
use cmdop_control::admin::Admin;
use cmdop_control::args::Place;
use cmdop_control::store::DatabaseUrl;
use cmdop_control::{Clock, Config, Running};
use cmdop_proto::Refusal;
use cmdop_proto::token::Role;
use cmdop_proto::v1::account_service_client::AccountServiceClient;
use cmdop_proto::v1::enroll_service_client::EnrollServiceClient;
use cmdop_proto::v1::key_service_client::KeyServiceClient;
use cmdop_proto::v1::{
    EnrollMachineRequest, EnrollMachineResponse, IssueKeyRequest, IssueKeyResponse, WhoAmIRequest,
    WhoAmIResponse,
};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rcgen::KeyPair;
use reqwest::{Client, Response};
use serde_json::Value;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tonic::Request;
use tonic::transport::Channel;

use crate::database::Database;

pub const LOCAL_SECRET: &str = "urn:cmdop:params:oauth:grant-type:local-secret";
pub const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
pub const API_KEY: &str = "urn:cmdop:params:oauth:token-type:api-key";
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// A control plane, and an HTTP client that trusts it.
pub struct World {
    pub running: Running,
    pub clock: Clock,
    pub http: Client,
    pub data: TempDir,
    pub database: Database,
    stop: CancellationToken,
}

/// What the token endpoint says when it says no.
#[derive(Debug, serde::Deserialize)]
pub struct Refused {
    pub error: String,
    pub error_description: String,
    pub reason: String,
}

/// A machine's or relay's own key.
pub struct Key(KeyPair);

impl Key {
    pub fn new() -> Self {
        Self(KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap())
    }

    pub fn public_pem(&self) -> String {
        self.0.public_key_pem()
    }
}

impl World {
    pub async fn start() -> Self {
        Self::start_on(tempfile::tempdir().unwrap(), Database::new()).await
    }

    /// A control plane on what is there already.
    pub async fn start_on(data: TempDir, database: Database) -> Self {
        Self::start_with(data, database, Clock::default(), |_| {}).await
    }

    /// One that is configured otherwise.
    pub async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let data = tempfile::tempdir().unwrap();
        Self::start_with(data, Database::new(), Clock::default(), change).await
    }

    /// The same on what is there already, with another clock.
    pub async fn start_with(
        data: TempDir,
        database: Database,
        clock: Clock,
        change: impl FnOnce(&mut Config),
    ) -> Self {
        let url = database.url();
        let stop = CancellationToken::new();
        let mut config = Config {
            listen: ([127, 0, 0, 1], 0).into(),
            clock: clock.clone(),
            database: url.map(|url| DatabaseUrl::parse(&url).unwrap()),
            ..Config::new(data.path().join("control"))
        };
        change(&mut config);
        let running = cmdop_control::serve(config, stop.clone()).await.unwrap();
        let tls = dial::tls_config(&Trust::Ca(running.ca_pem.clone())).unwrap();
        let http = Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .unwrap();
        Self {
            running,
            clock,
            http,
            data,
            database,
            stop,
        }
    }

    /// Stops in order; a server that hangs fails the test.
    pub async fn stop(self) {
        self.stopped().await;
    }

    /// Stops, and leaves what it kept.
    pub async fn stopped(self) -> (TempDir, Database) {
        self.stop.cancel();
        let ended = tokio::time::timeout(Duration::from_secs(10), self.running.ended());
        ended.await.expect("it stops within 10 s").unwrap();
        (self.data, self.database)
    }

    /// Where its state is, as `admin` is told.
    pub fn place(&self) -> Place {
        Place {
            data_dir: Some(self.data.path().join("control")),
            database: self.database.url(),
        }
    }

    pub async fn admin(&self) -> Admin {
        Admin::open_at(&self.place(), self.clock.clone())
            .await
            .unwrap()
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.running.url)
    }

    pub async fn get(&self, path: &str) -> Response {
        self.http.get(self.url(path)).send().await.unwrap()
    }

    pub async fn post(&self, path: &str, form: &[(&str, &str)]) -> Response {
        self.http
            .post(self.url(path))
            .form(form)
            .send()
            .await
            .unwrap()
    }

    pub async fn token(&self, form: &[(&str, &str)]) -> Result<Value, Refused> {
        let answer = self.post("/oauth/token", form).await;
        if answer.status().is_success() {
            assert_eq!(answer.headers()["cache-control"], "no-store");
            return Ok(answer.json().await.unwrap());
        }
        Err(answer.json().await.unwrap())
    }

    pub async fn local_secret(&self, secret: &str) -> Result<Value, Refused> {
        self.token(&[("grant_type", LOCAL_SECRET), ("secret", secret)])
            .await
    }

    /// The owner's tokens.
    pub async fn owner(&self) -> Value {
        let secret = self
            .admin()
            .await
            .login_secret("owner", Duration::from_secs(60))
            .await;
        self.local_secret(secret.unwrap().expose()).await.unwrap()
    }

    /// Somebody new with this role, logged in.
    pub async fn person(&self, name: &str, workspace: &str, role: Role) -> Value {
        let admin = self.admin().await;
        let made = admin.create_account(name, workspace, role, None).await;
        made.unwrap();
        let secret = admin.login_secret(name, Duration::from_secs(60)).await;
        self.local_secret(secret.unwrap().expose()).await.unwrap()
    }

    /// A new key of the bearer's.
    pub async fn key(&self, by: &Value, scopes: &[&str], lifetime: Duration) -> IssueKeyResponse {
        let mut keys = KeyServiceClient::new(self.channel().await);
        let request = IssueKeyRequest {
            name: "key".into(),
            scopes: scopes.iter().map(ToString::to_string).collect(),
            lifetime_ms: lifetime.as_millis() as u64,
        };
        let issued = keys.issue(bearer(request, &by["access_token"])).await;
        issued.unwrap().into_inner()
    }

    /// What a key is exchanged for.
    pub async fn exchange(&self, key: &str, scope: Option<&str>) -> Result<Value, Refused> {
        let mut form = vec![
            ("grant_type", TOKEN_EXCHANGE),
            ("subject_token", key),
            ("subject_token_type", API_KEY),
        ];
        form.extend(scope.map(|scope| ("scope", scope)));
        self.token(&form).await
    }

    /// An access token of a new key of the bearer's.
    pub async fn key_token(&self, by: &Value, scopes: &[&str]) -> Value {
        let key = self.key(by, scopes, Duration::ZERO).await;
        let granted = self.exchange(&key.secret, None).await.unwrap();
        granted["access_token"].clone()
    }

    pub async fn refresh(&self, token: &Value) -> Result<Value, Refused> {
        self.token(&[
            ("grant_type", "refresh_token"),
            ("refresh_token", text(token)),
        ])
        .await
    }

    pub async fn channel(&self) -> Channel {
        let trust = Trust::Ca(self.running.ca_pem.clone());
        dial::dial(&self.running.url, &trust, Lane::Interactive)
            .await
            .unwrap()
    }

    pub async fn who_am_i(&self, token: &Value) -> Result<WhoAmIResponse, Refusal> {
        let mut accounts = AccountServiceClient::new(self.channel().await);
        let answer = accounts.who_am_i(bearer(WhoAmIRequest {}, token)).await;
        Ok(answer.map_err(Refusal::from)?.into_inner())
    }

    /// Enrols over a connection that trusts only what the token pins.
    pub async fn enroll(
        &self,
        token: &str,
        hostname: &str,
        key: &Key,
    ) -> Result<EnrollMachineResponse, Refusal> {
        let mut enroll = EnrollServiceClient::new(self.pinned_channel().await);
        let request = EnrollMachineRequest {
            token: token.into(),
            hostname: hostname.into(),
            public_key_pem: key.public_pem(),
            os: "linux".into(),
            arch: "x86_64".into(),
            ..EnrollMachineRequest::default()
        };
        let answer = enroll.enroll_machine(request).await;
        Ok(answer.map_err(Refusal::from)?.into_inner())
    }

    pub async fn pinned_channel(&self) -> Channel {
        let mut fingerprint = [0; 32];
        for (byte, digits) in fingerprint
            .iter_mut()
            .zip(self.running.ca_fingerprint.as_bytes().chunks(2))
        {
            *byte = u8::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).unwrap();
        }
        let trust = Trust::Fingerprint(fingerprint);
        dial::dial(&self.running.url, &trust, Lane::Interactive)
            .await
            .unwrap()
    }

    /// An enrolled machine's id.
    pub async fn machine(&self, name: &str, key: &Key) -> String {
        let admin = self.admin().await;
        let token = admin
            .enroll_token("default", Duration::from_secs(60), [])
            .await
            .unwrap();
        self.enroll(token.expose(), name, key)
            .await
            .unwrap()
            .machine_id
    }

    /// Proves to be `id` with its key, by a clock that is `off_s` seconds off.
    pub async fn assert(&self, key: &Key, id: &str, off_s: i64) -> Result<Value, Refused> {
        self.present(&self.assertion(key, id, off_s, &self.running.url))
            .await
    }

    pub fn assertion(&self, key: &Key, id: &str, off_s: i64, issuer: &str) -> String {
        let now = (self.clock.now_ms() / 1000) as i64 + off_s;
        let claims = serde_json::json!({
            "iss": id, "sub": id, "aud": format!("{issuer}/oauth/token"),
            "iat": now, "exp": now + 120, "jti": uuid::Uuid::new_v4().to_string(),
        });
        let signing = EncodingKey::from_ed_pem(key.0.serialize_pem().as_bytes()).unwrap();
        jsonwebtoken::encode(&Header::new(Algorithm::EdDSA), &claims, &signing).unwrap()
    }

    pub async fn present(&self, assertion: &str) -> Result<Value, Refused> {
        self.token(&[
            ("grant_type", "client_credentials"),
            ("client_assertion_type", JWT_BEARER),
            ("client_assertion", assertion),
        ])
        .await
    }
}

pub fn text(value: &Value) -> &str {
    value.as_str().expect("a string")
}

pub fn bearer<T>(message: T, token: &Value) -> Request<T> {
    let mut request = Request::new(message);
    let value = format!("Bearer {}", text(token)).parse().unwrap();
    request.metadata_mut().insert("authorization", value);
    request
}
