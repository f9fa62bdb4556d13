//! One agent: takes its data directory, keeps its token fresh, answers locally, and holds a link to a
//! relay until it is told to stop; then it ends its sessions.

use std::sync::Arc;
use std::time::Duration;

use cmdop_client::dial::Trust;
use cmdop_proto::v1;
use cmdop_service::data_dir::{self, DataDir};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::files::Reaches;
use crate::holder::client::{Holder, Left};
use crate::identity::{self, Identity};
use crate::link::{Linker, Work};
use crate::state::{LinkState, Status};
use crate::user::User;
use crate::{Config, PROGRAM, holder, local, token};

/// From the stop to the end of the sessions: they have 5 s between HUP and KILL.
const DRAIN: Duration = Duration::from_secs(8);

/// Sessions that ended while no relay heard; beyond it the oldest news are the least wanted.
const UNHEARD: usize = 256;

/// Why an agent does not run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The data directory.
    #[error(transparent)]
    DataDir(#[from] data_dir::Error),
    /// The identity in it.
    #[error(transparent)]
    Identity(#[from] identity::Error),
    /// The control plane named no relay, and the configuration names none.
    #[error(
        "this machine knows no relay: none had joined when it was enrolled; \
         name one with --relay, or enrol again"
    )]
    NoRelay,
    /// The holder ended, and with it the sessions.
    #[error("the process that holds the sessions is gone")]
    HolderGone,
}

/// Runs an agent until `stop`, and ends its sessions then.
pub async fn run(config: Config, stop: CancellationToken) -> Result<(), Error> {
    let data_dir = DataDir::open(&config.data_dir, PROGRAM)?;
    let identity = Identity::load(data_dir.path())?;
    let key = identity::load_key(data_dir.path())?;
    let relays = if config.relays.is_empty() {
        identity.relay_urls.clone()
    } else {
        config.relays.clone()
    };
    if relays.is_empty() {
        return Err(Error::NoRelay);
    }
    // Everything but the sessions stops after them: their last words need the link.
    let quit = CancellationToken::new();
    let services = TaskTracker::new();
    let (keeper, tokens) = token::keep(data_dir.path(), identity.clone(), key);
    services.spawn(keeper.run(quit.clone()));
    let (unheard, news) = mpsc::channel::<v1::SessionSummary>(UNHEARD);
    let (holder, left, holder_gone) = holder(&config, &services, &quit).await?;
    let work = Work {
        tracker: TaskTracker::new(),
        sessions: TaskTracker::new(),
        files: TaskTracker::new(),
        stop: stop.clone(),
        unheard,
        holder,
        user: Arc::new(User::current(&config.environment)),
        hostname: identity.hostname.clone(),
        log_bytes: config.output_log_bytes,
        runs: data_dir.join("runs"),
        notice: config.notice,
        max_sessions: config.max_sessions,
        reaches: Arc::new(Reaches::new(&config.files)),
    };
    serve_locally(&services, &data_dir, &config, &identity, &work, &quit);
    let tracker = work.tracker.clone();
    let mut linker = Linker::new(
        relays,
        Trust::Ca(identity.ca_pem.clone()),
        tokens,
        config.link.clone(),
        news,
        work,
    );
    linker.adopt(left);
    services.spawn(linker.run(quit.clone()));
    services.close();

    tokio::select! {
        () = stop.cancelled() => {}
        // Whoever comes next finds the terminals hung up; there is nothing left to end in order.
        () = holder_gone.cancelled() => return Err(Error::HolderGone),
    }
    config.link.send_replace(LinkState::Stopping);
    tracker.close();
    if tokio::time::timeout(DRAIN, tracker.wait()).await.is_err() {
        tracing::warn!(left = tracker.len(), "some sessions did not end in time");
    }
    quit.cancel();
    services.wait().await;
    Ok(())
}

/// Who keeps the sessions, what an earlier worker left with it, and what is cancelled when it is gone.
async fn holder(
    config: &Config,
    services: &TaskTracker,
    quit: &CancellationToken,
) -> Result<(Holder, Vec<Left>, CancellationToken), Error> {
    let gone = CancellationToken::new();
    if !holder::is_worker(&config.environment) {
        return Ok((Holder::Own, Vec::new(), gone));
    }
    let lost = |error: std::io::Error| {
        tracing::error!(%error, "cannot speak with the holder of sessions");
        Error::HolderGone
    };
    let socket = holder::client::socket().map_err(lost)?;
    let (holder, left, serve) = holder::client::connect(socket).await.map_err(lost)?;
    // A task of its own: sessions wait for its answers.
    let (guard, quit) = (gone.clone().drop_guard(), quit.clone());
    services.spawn(async move {
        let _ = quit.run_until_cancelled(serve).await;
        drop(guard);
    });
    Ok((holder, left, gone))
}

fn serve_locally(
    services: &TaskTracker,
    data_dir: &DataDir,
    config: &Config,
    identity: &Identity,
    work: &Work,
    quit: &CancellationToken,
) {
    let listener = match local::listen(data_dir.path()) {
        Ok(listener) => listener,
        Err(error) => {
            // A path that is too long for a socket, say. The agent works without.
            tracing::warn!(%error, "no local socket: `cmdopd status` will not find this agent");
            return;
        }
    };
    let (all, sessions) = (work.tracker.clone(), work.sessions.clone());
    let (identity, link) = (identity.clone(), config.link.subscribe());
    let is_worker = holder::is_worker(&config.environment);
    let status = move || Status {
        version: cmdop_service::VERSION.into(),
        pid: std::process::id(),
        holder_pid: is_worker.then(std::os::unix::process::parent_id),
        machine_id: identity.machine_id.to_string(),
        hostname: identity.hostname.clone(),
        workspace: identity.workspace_name.clone(),
        link: link.borrow().clone(),
        sessions: sessions.len(),
        programs: all.len().saturating_sub(sessions.len()),
    };
    let path = data_dir.path().to_owned();
    services.spawn(local::serve(listener, path, status, quit.clone()));
}
