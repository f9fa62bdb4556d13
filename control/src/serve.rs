//! Starting and stopping: the data directory, the keys, the port, the routes, the drain.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use cmdop_proto::text;
use cmdop_service::data_dir::{self, DataDir};
use cmdop_service::{listen, serve as service, tls};
use http::{StatusCode, header};
use rustls::ServerConfig;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

use crate::assertion::Used;
use crate::ca::{self, Ca, LOOPBACK};
use crate::config::{self, Config};
use crate::housekeeping::keep_house;
use crate::meters::Meters;
use crate::oidc::{self, Provider};
use crate::pages::PageLogins;
use crate::password::Passwords;
use crate::plane::{ControlPlane, Shared};
use crate::sealed::{self, Sealer};
use crate::secret::Secret;
use crate::signer::{self, Signer};
use crate::store::{self, Outcome, Schema, Store};
use crate::strikes::Strikes;
use crate::throttle::Throttle;
use crate::{backup, bootstrap, grpc, routes, schedules};

/// How long open requests may run on after SIGTERM: the promise is to be gone within 10 s.
const DRAIN: Duration = Duration::from_secs(5);

/// How long those who hear events may take to leave after that.
const GOODBYES: Duration = Duration::from_secs(2);

/// How long connections to the database may take to end, which another process may hold up.
const CLOSING: Duration = Duration::from_secs(2);

/// A form has a few short fields; the longest is a token.
const MAX_FORM: usize = 64 << 10;

/// The file with the owner's first login secret.
const OWNER_LOGIN: &str = "owner-login";

/// Why the control plane does not serve.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The data directory.
    #[error(transparent)]
    DataDir(#[from] data_dir::Error),
    /// Half of a restore is there.
    #[error(transparent)]
    Restore(#[from] backup::Error),
    /// The database.
    #[error(transparent)]
    Open(#[from] store::OpenError),
    /// A statement.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The certificate authority.
    #[error(transparent)]
    Ca(#[from] ca::Error),
    /// The signing key.
    #[error(transparent)]
    Signer(#[from] signer::Error),
    /// The first start.
    #[error("the first start was not completed: {0}")]
    FirstStart(#[from] bootstrap::Error),
    /// The keys for secrets in the database.
    #[error(transparent)]
    Sealed(#[from] sealed::KeyError),
    /// The identity provider.
    #[error(transparent)]
    Provider(#[from] oidc::Error),
    /// The port.
    #[error(transparent)]
    Listen(#[from] listen::Error),
    /// Our own certificate.
    #[error("cannot make a server certificate: {0}")]
    Certificate(String),
    /// The TLS configuration.
    #[error(transparent)]
    Tls(#[from] tls::Error),
    /// Our own descriptors.
    #[error("the gRPC services cannot be described: {0}")]
    Reflection(String),
    /// The serving loop ended.
    #[error("serving ended: {0}")]
    Serving(String),
}

/// A control plane that serves. Dropping it stops it without a drain; cancelling the token that it was
/// started with, then [`Running::ended`], stops it in order.
#[derive(Debug)]
pub struct Running {
    /// Where it listens.
    pub address: SocketAddr,
    /// Where Prometheus reads its metrics.
    pub metrics_address: Option<SocketAddr>,
    /// How it is reached: the issuer of its tokens.
    pub url: String,
    /// The private CA's certificate, PEM: what its clients trust.
    pub ca_pem: String,
    /// SHA-256 of that certificate, 64 hexadecimal digits.
    pub ca_fingerprint: String,
    /// The private file with the owner's first login secret, until it is used.
    pub owner_login: PathBuf,
    tasks: JoinSet<Result<(), Error>>,
}

impl Running {
    /// Waits for the end.
    pub async fn ended(mut self) -> Result<(), Error> {
        let mut outcome = Ok(());
        while let Some(task) = self.tasks.join_next().await {
            let ended = task.map_err(|error: JoinError| Error::Serving(error.to_string()));
            outcome = outcome.and(ended.and_then(|ended| ended));
        }
        outcome
    }
}

/// Starts a control plane; returns when it listens. It runs until `stop`.
pub async fn serve(config: Config, stop: CancellationToken) -> Result<Running, Error> {
    let data = DataDir::open(&config.data_dir, "cmdop-control")?;
    backup::refuse_unfinished(data.path())?;
    let now_ms = config.clock.now_ms();
    let database = config::database(data.path(), config.database.clone());
    let meters = if config.metrics_listen.is_some() {
        Meters::new()
    } else {
        Meters::none()
    };
    let store = store::open(&database, Schema::Migrate).await?;
    let store = store.counted_by(meters.clone());
    backup::after_restore(&store, data.path()).await?;
    let throttled = meters.throttled();
    let sealer = sealer(&store, data.path(), config.secrets_key.clone()).await?;
    let ca = Ca::load_or_make(&store, &sealer, data.path(), now_ms).await?;
    let signer = Signer::load_or_make(&store, &sealer, data.path(), now_ms).await?;
    let owner_login = data.join(OWNER_LOGIN);
    bootstrap::first_start(&store, config.owner.as_deref(), &owner_login, now_ms).await?;
    let metrics = match config.metrics_listen {
        Some(address) => Some(listen::bind_for("--metrics-listen", address).await?),
        None => None,
    };
    let listener = listen::bind(config.listen).await?;
    let address = listener
        .local_addr()
        .map_err(|error: io::Error| Error::Serving(error.to_string()))?;
    let names = Names::of(&config, address);
    let tls = identity(&ca, &names.hosts, now_ms)?;
    let plane = Arc::new(ControlPlane {
        store,
        signer,
        sealer,
        ca,
        clock: config.clock,
        keep: config.keep,
        meters,
        issuer: names.issuer,
        own_urls: names.urls,
        allowed_origins: config.allowed_origins,
        hub: Arc::default(),
        redirect_uris: config.redirect_uris,
        provider: config.oidc.map(Provider::new).transpose()?,
        throttle: Throttle::counting(throttled),
        strikes: Strikes::default(),
        passwords: Passwords::default(),
        assertions: Used::default(),
        page_logins: PageLogins::default(),
        owner_login,
        schedules_changed: Notify::new(),
        stop: stop.clone(),
    });
    let routes = services(&plane).await?;
    let metrics_address = metrics.as_ref().and_then(|m| m.local_addr().ok());
    let listeners = Listeners { listener, metrics };
    let mut tasks = JoinSet::new();
    tasks.spawn(run(plane.clone(), data, listeners, tls, routes, stop));
    tracing::info!(%address, url = plane.issuer, "serving");
    Ok(Running {
        address,
        metrics_address,
        url: plane.issuer.clone(),
        ca_pem: plane.ca.pem().to_owned(),
        ca_fingerprint: plane.ca.fingerprint(),
        owner_login: plane.owner_login.clone(),
        tasks,
    })
}

/// The keys for secrets in the database. One is made only where there is nothing yet that it would have to open.
async fn sealer(store: &Store, dir: &Path, given: Option<Secret>) -> Result<Sealer, Error> {
    let is_needed = store.holds_sealed_keys().await?;
    let dir = dir.to_owned();
    let loaded = tokio::task::spawn_blocking(move || {
        let given = given.as_ref().map(Secret::expose);
        if is_needed {
            Sealer::load(&dir, given)
        } else {
            Sealer::load_or_make(&dir, given)
        }
    });
    let loaded = loaded.await;
    Ok(loaded.map_err(|error| Error::Serving(error.to_string()))??)
}

fn identity(ca: &Ca, hosts: &[String], now_ms: u64) -> Result<Arc<ServerConfig>, Error> {
    let made = ca.server_identity(hosts, now_ms);
    let identity = made.map_err(|error| Error::Certificate(error.to_string()))?;
    let (chain, key) = (identity.chain_pem, identity.key_pem);
    Ok(tls::server_config(chain.as_bytes(), key.as_bytes())?)
}

/// Where it is asked.
struct Listeners {
    listener: TcpListener,
    metrics: Option<TcpListener>,
}

/// Never ends.
async fn serve_metrics(plane: &Shared, listener: Option<TcpListener>) {
    let Some(listener) = listener else {
        return std::future::pending().await;
    };
    let router = routes::metrics().with_state(plane.clone());
    if let Err(error) = axum::serve(listener, router).await {
        tracing::error!(%error, "metrics are served no longer");
    }
    std::future::pending::<()>().await;
}

/// Counts each answer, by gRPC or not.
async fn count(State(plane): State<Shared>, request: Request, next: Next) -> Response {
    let answer = next.run(request).await;
    let is_no = answer.status().is_client_error()
        || answer.status().is_server_error()
        || answer
            .headers()
            .get("grpc-status")
            .is_some_and(|code| code != "0");
    plane.meters.answered(if is_no {
        Outcome::Denied
    } else {
        Outcome::Allowed
    });
    answer
}

/// Serves, keeps house, and lets go of the data directory last.
async fn run(
    plane: Shared,
    data: DataDir,
    Listeners { listener, metrics }: Listeners,
    tls: Arc<ServerConfig>,
    routes: Routes,
    stop: CancellationToken,
) -> Result<(), Error> {
    let no_more_runs = stop.child_token();
    let serving = async {
        // What goes on besides ends with the serving; dropped anywhere, its transaction rolls back.
        let served = tokio::select! {
            served = service::serve(listener, tls, routes, stop, DRAIN) => served,
            () = keep_house(&plane) => Ok(()),
            () = serve_metrics(&plane, metrics) => Ok(()),
            () = plane.hub.run(&plane) => Ok(()),
            () = signer::follow(&plane) => Ok(()),
        };
        no_more_runs.cancel();
        served
    };
    let (served, ()) = tokio::join!(
        serving,
        schedules::work(plane.clone(), no_more_runs.clone())
    );
    // They have been told already.
    plane.hub.connections.close();
    let _ = tokio::time::timeout(GOODBYES, plane.hub.connections.wait()).await;
    if tokio::time::timeout(CLOSING, plane.store.close())
        .await
        .is_err()
    {
        tracing::warn!(
            "the database still answers something; its connections end with the process"
        );
    }
    drop(data);
    served.map_err(|error| Error::Serving(error.to_string()))
}

async fn services(plane: &Shared) -> Result<Routes, Error> {
    let pages = routes::router()
        .fallback(unknown)
        .layer(DefaultBodyLimit::max(MAX_FORM))
        .with_state(plane.clone());
    let routes = grpc::routes(plane, pages)
        .await
        .map_err(|error| Error::Reflection(error.to_string()))?;
    let counted = middleware::from_fn_with_state(plane.clone(), count);
    Ok(Routes::from(routes.into_axum_router().layer(counted)))
}

/// What is not there: in the words of who asks.
async fn unknown(request: Request) -> Response {
    let kind = request.headers().get(header::CONTENT_TYPE);
    if kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc")) {
        return tonic::Status::unimplemented("this server has no such service").into_http();
    }
    (StatusCode::NOT_FOUND, "there is nothing here\n").into_response()
}

/// What this server is called.
struct Names {
    issuer: String,
    urls: Vec<String>,
    hosts: Vec<String>,
}

impl Names {
    fn of(config: &Config, address: SocketAddr) -> Self {
        let mut hosts: Vec<String> = LOOPBACK.map(str::to_owned).to_vec();
        let mut add = |host: String| {
            if !hosts.contains(&host) {
                hosts.push(host);
            }
        };
        let nodename = rustix::system::uname();
        let nodename = nodename
            .nodename()
            .to_str()
            .unwrap_or_default()
            .to_ascii_lowercase();
        if text::is_hostname(&nodename) {
            add(nodename.clone());
        }
        if !address.ip().is_unspecified() {
            add(address.ip().to_string());
        }
        if let Some(public) = &config.public_url {
            add(public.host().to_owned());
        }
        let urls = hosts.iter().map(|host| url(host, address.port()));
        let mut urls: Vec<String> = urls.collect();
        let issuer = match &config.public_url {
            Some(public) => public.as_str().to_owned(),
            None if !address.ip().is_unspecified() => {
                url(&address.ip().to_string(), address.port())
            }
            None if text::is_hostname(&nodename) => url(&nodename, address.port()),
            None => url("localhost", address.port()),
        };
        urls.push(issuer.clone());
        Self {
            issuer,
            urls,
            hosts,
        }
    }
}

fn url(host: &str, port: u16) -> String {
    if host.contains(':') {
        format!("https://[{host}]:{port}")
    } else {
        format!("https://{host}:{port}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::PublicUrl;

    #[test]
    fn the_server_answers_to_its_public_name_and_to_loopback() {
        let config = Config {
            public_url: Some(PublicUrl::parse("https://control.example.org").unwrap()),
            ..Config::new("/x")
        };
        let names = Names::of(&config, ([0, 0, 0, 0], 7443).into());
        assert_eq!(names.issuer, "https://control.example.org");
        for host in ["localhost", "127.0.0.1", "::1", "control.example.org"] {
            assert!(names.hosts.iter().any(|name| name == host), "{host}");
        }
        for own in [
            "https://control.example.org",
            "https://[::1]:7443",
            "https://localhost:7443",
        ] {
            assert!(names.urls.iter().any(|name| name == own), "{own}");
        }
        let names = Names::of(&Config::new("/x"), ([127, 0, 0, 1], 9).into());
        assert_eq!(names.issuer, "https://127.0.0.1:9");
    }
}
