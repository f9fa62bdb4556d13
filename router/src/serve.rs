//! Serving: the port, the routes, the drain.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use cmdop_service::data_dir::{self, DataDir};
use cmdop_service::{listen, private_file, serve as service, tls};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::config::{Settings, TlsFiles};

/// How long open requests may run on after SIGTERM: the promise is to be gone within 10 s.
const DRAIN: Duration = Duration::from_secs(8);

/// Why the router does not serve.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The data directory.
    #[error(transparent)]
    DataDir(#[from] data_dir::Error),
    /// The port.
    #[error(transparent)]
    Listen(#[from] listen::Error),
    /// The certificate cannot be read.
    #[error("cannot read the TLS certificate {path}: {reason}")]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: io::Error,
    },
    /// The key cannot be read, or others can.
    #[error(transparent)]
    Key(#[from] private_file::Error),
    /// The TLS files are not what they should be.
    #[error(transparent)]
    Tls(#[from] tls::Error),
    /// The serving loop ended.
    #[error("serving ended: {0}")]
    Http(io::Error),
}

/// Serves until `stop`, then drains; prints the address when the port is open.
pub async fn serve(settings: &Settings, stop: CancellationToken) -> Result<(), Error> {
    let _state = DataDir::open(&settings.data_dir, "cmdop-router")?;
    let identity = settings.tls.as_ref().map(load_tls).transpose()?;
    let listener = listen::bind(settings.listen).await?;
    let address = listener.local_addr().map_err(Error::Http)?;
    if identity.is_none() && !address.ip().is_loopback() {
        tracing::warn!(%address, "serving plain HTTP to the network; set tls-cert and tls-key");
    }
    listen::announce(address);
    match identity {
        Some(identity) => service::serve(listener, identity, routes().into(), stop, DRAIN)
            .await
            .map_err(|error| Error::Http(io::Error::other(error))),
        None => plain(listener, stop).await,
    }
}

/// What `serve` would do with these settings, in a sentence; or why it could not.
pub fn check(settings: &Settings) -> Result<String, Error> {
    if let Some(files) = &settings.tls {
        load_tls(files)?;
    }
    let scheme = if settings.tls.is_some() {
        "https"
    } else {
        "http"
    };
    Ok(format!(
        "the configuration is good: would serve {scheme}://{} with state in {}",
        settings.listen,
        settings.data_dir.display(),
    ))
}

fn routes() -> Router {
    Router::new().route("/healthz", get(|| async { "ok\n" }))
}

async fn plain(listener: TcpListener, stop: CancellationToken) -> Result<(), Error> {
    let overdue = async {
        stop.cancelled().await;
        tokio::time::sleep(DRAIN).await;
    };
    let server =
        axum::serve(listener, routes()).with_graceful_shutdown(stop.clone().cancelled_owned());
    // Both branches may be dropped at any point: the process is about to end.
    tokio::select! {
        served = server => served.map_err(Error::Http),
        () = overdue => {
            tracing::info!("requests were still open at the end of the drain; closing them");
            Ok(())
        }
    }
}

fn load_tls(files: &TlsFiles) -> Result<Arc<rustls::ServerConfig>, Error> {
    let chain = std::fs::read(&files.certificate).map_err(|reason| Error::Certificate {
        path: files.certificate.clone(),
        reason,
    })?;
    let key = private_file::read(&files.key)?;
    Ok(tls::server_config(&chain, key.as_bytes())?)
}
