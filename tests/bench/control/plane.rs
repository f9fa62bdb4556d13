//! A control plane of this process on one of the two databases, with its owner logged in.

use std::time::Duration;

use cmdop_client::dial::{self, Lane, Trust};
use cmdop_client::oauth::Server;
use cmdop_client::token_store::Secret;
use cmdop_control::store::{self, Database, DatabaseUrl, Schema, Store};
use cmdop_control::{Config, Running};
use cmdop_proto::WorkspaceId;
use cmdop_tests::forge;
use tempfile::TempDir;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::Request;
use tonic::transport::Channel;

use super::server;

/// Which database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Sqlite,
    Postgres,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
        }
    }
}

/// One that serves.
pub(super) struct Plane {
    pub(super) kind: Kind,
    pub(super) workspace: WorkspaceId,
    pub(super) channel: Channel,
    http: reqwest::Client,
    token: String,
    running: Running,
    stop: CancellationToken,
    data: TempDir,
    database: Option<server::Database>,
}

impl Plane {
    pub(super) async fn start(kind: Kind) -> Self {
        let data = tempfile::tempdir().expect("a directory");
        let database = (kind == Kind::Postgres).then(server::Database::new);
        let stop = CancellationToken::new();
        let config = Config {
            listen: ([127, 0, 0, 1], 0).into(),
            database: database.as_ref().map(url),
            ..Config::new(data.path().join("control"))
        };
        let running = cmdop_control::serve(config, stop.clone());
        let running = running.await.expect("a control plane");
        let trust = Trust::Ca(running.ca_pem.clone());
        let token = log_in(&running, &trust).await;
        let dialled = dial::dial(&running.url, &trust, Lane::Interactive).await;
        let tls = dial::tls_config(&trust).expect("a usable CA");
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .no_proxy();
        Self {
            kind,
            workspace: forge::claims(&token).wid,
            channel: dialled.expect("it can be dialled"),
            http: http.build().expect("a client"),
            token,
            running,
            stop,
            data,
            database,
        }
    }

    /// A message as the owner sends it.
    pub(super) fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        let bearer = format!("Bearer {}", self.token);
        let bearer = bearer.parse().expect("a token is ASCII");
        request.metadata_mut().insert("authorization", bearer);
        request
    }

    /// How long a page took, and the page.
    pub(super) async fn timed_page(&self, path: &str) -> (Duration, String) {
        let url = format!("{}{path}", self.running.url);
        let begun = Instant::now();
        let answer = self.http.get(url).send().await.expect("an answer");
        let page = answer.text().await.expect("a page");
        (begun.elapsed(), page)
    }

    /// The same database, as another process would open it.
    pub(super) fn located(&self) -> Database {
        match &self.database {
            Some(database) => Database::Postgres(url(database)),
            None => Database::File(self.data.path().join("control/control.db")),
        }
    }

    /// Its URL, or its file.
    pub(super) fn address(&self) -> String {
        match &self.database {
            Some(database) => database.url(),
            None => format!("sqlite://{}/control/control.db", self.data.path().display()),
        }
    }

    pub(super) async fn stop(self) {
        self.stop.cancel();
        self.running.ended().await.expect("it stops in order");
    }

    /// A handle for the facts, beside the server's.
    pub(super) async fn store(&self) -> Store {
        let opened = store::open(&self.located(), Schema::Expect).await;
        opened.expect("the database is there")
    }
}

fn url(database: &server::Database) -> DatabaseUrl {
    DatabaseUrl::parse(&database.url()).expect("the URL of a test")
}

async fn log_in(running: &Running, trust: &Trust) -> String {
    let secret = std::fs::read_to_string(&running.owner_login).expect("the owner's secret");
    let server = Server::new(&running.url, trust).expect("a usable CA");
    let grant = server.local_secret(&Secret::new(secret)).await;
    let grant = grant.expect("the secret is good");
    grant.access_token.expose().to_owned()
}
