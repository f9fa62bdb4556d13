//! Putting a relay together, and taking it down without losing what is on its way.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::routing::get;
use cmdop_proto::v1::agent_service_server::AgentServiceServer;
use cmdop_proto::v1::exec_service_server::ExecServiceServer;
use cmdop_proto::v1::file_service_server::FileServiceServer;
use cmdop_proto::v1::fleet_service_server::FleetServiceServer;
use cmdop_proto::v1::session_service_server::SessionServiceServer;
use cmdop_proto::{FILE_DESCRIPTOR_SET, limits, v1};
use cmdop_service::{data_dir, listen, serve};
use rustls::ServerConfig;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic_health::server::HealthReporter;

use crate::agents::Agents;
use crate::clients::Clients;
use crate::config::{Config, Limits};
use crate::context::Context;
use crate::control;
use crate::deadlines::Deadlines;
use crate::directory::Directory;
use crate::frame::NameTooLarge;
use crate::lingering::Lingering;
use crate::machines::Machines;
use crate::meters::Meters;
use crate::relay::{Relay, draining};
use crate::report::deliver::deliver;
use crate::report::progress;
use crate::report::spool::Spool;
use crate::report::{Reporter, Writer};
use crate::transfers::Transfers;

/// A relay without anything cached waits so long for its control plane before it serves all the same.
const FIRST_SYNC: Duration = Duration::from_secs(5);

/// Connections may take so long to close after the last stream has ended.
const CLOSE: Duration = Duration::from_secs(3);

/// Why a relay did not start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its data directory cannot be used.
    #[error(transparent)]
    DataDir(#[from] data_dir::Error),
    /// Its address cannot be used.
    #[error(transparent)]
    Listen(#[from] listen::Error),
    /// It has no identity and could not get one.
    #[error(transparent)]
    Enrol(#[from] control::EnrolError),
    /// The spool of its reports cannot be used.
    #[error("the spool of reports cannot be used: {0}")]
    Spool(#[from] std::io::Error),
    /// Its certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] cmdop_service::tls::Error),
    /// The serving loop failed.
    #[error("the server failed: {0}")]
    Serve(#[from] tonic::transport::Error),
    /// A part of it panicked.
    #[error("the server stopped by a bug of its own: {0}")]
    Panicked(#[from] tokio::task::JoinError),
}

/// A relay that serves.
#[derive(Debug)]
pub struct Running {
    /// Where it listens.
    pub address: SocketAddr,
    served: JoinHandle<Result<(), Error>>,
}

impl Running {
    /// Waits until it has stopped.
    pub async fn wait(self) -> Result<(), Error> {
        self.served.await?
    }
}

/// What a relay is made of, for those who have it without a control plane.
#[derive(Debug)]
pub struct Parts {
    /// Where it listens.
    pub listener: TcpListener,
    /// Its certificate and key.
    pub tls: Arc<ServerConfig>,
    /// What it knows; the caller may go on to change it.
    pub directory: Directory,
    /// Its limits.
    pub limits: Limits,
}

/// Starts a relay: enrols at the first start, follows the control plane, and serves until `stop`.
/// It returns when it serves.
pub async fn start(config: Config, stop: CancellationToken) -> Result<Running, Error> {
    let data_dir = data_dir::DataDir::open(&config.data_dir, "cmdop-relay")?;
    let address = control::listen_address(&config, &data_dir)?;
    let listener = listen::bind(address).await?;
    let bound = listener
        .local_addr()
        .map_err(|reason| listen::Error::Refused { address, reason })?;
    let identity = control::identity(&config, &data_dir, bound).await?;
    let directory = Directory::new();
    control::restore(&directory, &data_dir);
    let parts = Parts {
        tls: cmdop_service::tls::server_config(
            identity.certificate_pem.as_bytes(),
            identity.tls_key_pem.as_bytes(),
        )?,
        listener,
        directory: directory.clone(),
        limits: config.limits,
    };
    let metrics = match config.metrics_listen {
        None => None,
        Some(address) => Some(listen::bind_for("--metrics-listen", address).await?),
    };
    let spool = Spool::open(&data_dir.join("spool"), parts.limits.spool_bytes)?;
    let deliver = deliver(identity.clone(), spool.clone());
    let (reporter, writer) = Reporter::spooled(spool);
    let transfers = Transfers::new(reporter.clone());
    let tell = progress::tell(identity.clone(), transfers.progress());
    let follow = control::follow(identity, directory.clone(), data_dir);
    let duties = async move {
        tokio::join!(follow, deliver, tell);
    };
    let towards_control = TowardsControl {
        duties: Box::pin(duties),
        writer,
    };
    let running = assemble(
        parts,
        stop,
        metrics,
        (reporter, transfers),
        Some(towards_control),
    );
    // Nobody may be turned away because it asked a moment too early.
    let _ = tokio::time::timeout(FIRST_SYNC, directory.known()).await;
    Ok(running)
}

/// Starts a relay from its parts.
pub fn start_with(parts: Parts, stop: CancellationToken) -> Running {
    let transfers = Transfers::new(Reporter::nowhere());
    assemble(parts, stop, None, (Reporter::nowhere(), transfers), None)
}

/// A relay's dealings with its control plane.
struct TowardsControl {
    /// Follows it, delivers what is in the spool, and tells how far transfers are; for ever.
    duties: std::pin::Pin<Box<dyn Future<Output = ()> + Send>>,
    /// Writes into the spool what is told.
    writer: Writer,
}

fn assemble(
    parts: Parts,
    stop: CancellationToken,
    metrics: Option<TcpListener>,
    (reporter, transfers): (Reporter, Transfers),
    control: Option<TowardsControl>,
) -> Running {
    let address = parts
        .listener
        .local_addr()
        .unwrap_or(([0, 0, 0, 0], 0).into());
    let relay = Relay::new(Context {
        limits: parts.limits,
        directory: parts.directory,
        machines: Machines::new(),
        deadlines: Deadlines::default(),
        lingering: Lingering::default(),
        meters: Meters::new(),
        reporter,
        transfers,
    });
    let served = run(
        relay.clone(),
        parts.listener,
        parts.tls,
        stop,
        metrics,
        control,
    );
    Running {
        address,
        served: relay.tasks.spawn(served),
    }
}

async fn run(
    relay: Arc<Relay>,
    listener: TcpListener,
    tls: Arc<ServerConfig>,
    stop: CancellationToken,
    metrics: Option<TcpListener>,
    control: Option<TowardsControl>,
) -> Result<(), Error> {
    let Some(TowardsControl { duties, mut writer }) = control else {
        return serve_until(relay, listener, tls, stop, metrics, std::future::pending()).await;
    };
    let towards_control = async {
        tokio::join!(duties, writer.run());
    };
    let transfers = relay.context.transfers.clone();
    let served = serve_until(relay, listener, tls, stop, metrics, towards_control).await;
    transfers.end_all();
    // What was told last is on the disk before the process ends; the next life delivers it.
    writer.finish().await;
    served
}

/// Serves until `stop`, then leaves; `duties` go on all the while.
async fn serve_until(
    relay: Arc<Relay>,
    listener: TcpListener,
    tls: Arc<ServerConfig>,
    stop: CancellationToken,
    metrics: Option<TcpListener>,
    duties: impl Future<Output = ()>,
) -> Result<(), Error> {
    let (health, routes) = routes(&relay).await;
    let stop_serving = CancellationToken::new();
    let drain = relay.context.limits.drain + CLOSE;
    let server = serve::serve(listener, tls, routes, stop_serving.clone(), drain);
    let mut server = std::pin::pin!(server);
    let more_duties = duties;
    let duties = async {
        tokio::join!(
            relay.context.deadlines.run(),
            relay.context.transfers.run(),
            relay.obey(),
            serve_metrics(&relay, metrics),
            more_duties,
        )
    };
    let mut duties = std::pin::pin!(duties);
    // The duties never end by themselves; all of it goes on while the relay drains.
    tokio::select! {
        served = &mut server => return Ok(served?),
        _ = &mut duties => {}
        () = stop.cancelled() => {}
    }
    let leave = async {
        leave(&relay, &health, &stop_serving).await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        served = &mut server => Ok(served?),
        _ = &mut duties => Ok(()),
        () = leave => Ok(()),
    }
}

/// Says so to everybody, stops accepting, gives streams their time, then ends them.
async fn leave(relay: &Relay, health: &HealthReporter, stop_serving: &CancellationToken) {
    relay.draining.cancel();
    health
        .set_not_serving::<SessionServiceServer<Clients>>()
        .await;
    relay
        .context
        .machines
        .tell_all(&v1::control_message::Message::GoingAway(true));
    let all_sessions = || {
        relay
            .workspaces
            .all()
            .into_iter()
            .flat_map(|workspace| workspace.all())
    };
    all_sessions().for_each(|session| session.going_away());
    stop_serving.cancel();
    let until = tokio::time::Instant::now() + relay.context.limits.drain;
    while relay.live.count() > 0 && tokio::time::Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    tracing::info!(
        streams = relay.live.count(),
        "ending the streams that are left"
    );
    relay.ended.cancel();
    relay.runs.end_all(&draining());
    relay.file_streams.end_all(&draining());
    all_sessions().for_each(|session| session.cut_all(&draining()));
    relay.context.machines.end_all(&draining());
    all_sessions().for_each(|session| session.end_stream());
}

async fn routes(relay: &Arc<Relay>) -> (HealthReporter, Routes) {
    let agents = Agents {
        relay: relay.clone(),
    };
    let clients = Clients {
        relay: relay.clone(),
    };
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_serving::<SessionServiceServer<Clients>>().await;
    health.set_serving::<AgentServiceServer<Agents>>().await;
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()
        .expect("our own descriptors are readable");
    let web = axum::Router::new()
        .route("/healthz", get(healthz))
        .with_state(relay.clone());
    let most = limits::MAX_FRAME;
    let routes = Routes::from(web)
        .add_service(AgentServiceServer::new(agents).max_decoding_message_size(most))
        .add_service(SessionServiceServer::new(clients.clone()).max_decoding_message_size(most))
        .add_service(ExecServiceServer::new(clients.clone()).max_decoding_message_size(most))
        .add_service(FileServiceServer::new(clients.clone()).max_decoding_message_size(most))
        .add_service(FleetServiceServer::new(clients).max_decoding_message_size(most))
        .add_service(health_service)
        .add_service(reflection);
    (
        health,
        Routes::from(routes.into_axum_router().layer(NameTooLarge)),
    )
}

async fn healthz(
    State(relay): State<Arc<Relay>>,
) -> (http::StatusCode, axum::Json<serde_json::Value>) {
    let draining = relay.draining.is_cancelled();
    let status = if draining {
        http::StatusCode::SERVICE_UNAVAILABLE
    } else {
        http::StatusCode::OK
    };
    let body = serde_json::json!({
        "status": if draining { "draining" } else { "ok" },
        "version": cmdop_service::VERSION,
        "knows_control_plane": relay.context.directory.is_known(),
    });
    (status, axum::Json(body))
}

async fn serve_metrics(relay: &Arc<Relay>, listener: Option<TcpListener>) {
    let Some(listener) = listener else {
        return std::future::pending().await;
    };
    let render = |State(relay): State<Arc<Relay>>| async move { relay.context.meters.render() };
    let router = axum::Router::new()
        .route("/metrics", get(render))
        .with_state(relay.clone());
    if let Err(error) = axum::serve(listener, router).await {
        tracing::error!(%error, "metrics are served no longer");
    }
    std::future::pending::<()>().await;
}

#[cfg(test)]
mod partitions;
