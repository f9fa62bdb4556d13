//! A worker's two streams: opened when first needed, opened again where they were lost.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::progress::Shared;
use super::{Job, Wish};
use crate::backoff::Backoff;
use crate::error::Error;
use crate::files::{Files, Place};

/// Both ends.
#[derive(Debug)]
pub(crate) struct Ends {
    pub(crate) source: Files,
    pub(crate) target: Files,
}

/// A way to an end.
pub(crate) async fn open(job: &Job, place: &Place) -> Result<Files, Error> {
    match (&job.connection, place) {
        (_, Place::Here) => Files::here().await,
        (Some(connection), place) => Files::open(connection, place).await,
        (None, Place::Machine(_)) => Err(Error::Protocol(
            "a transfer with a machine needs a connection".into(),
        )),
    }
}

/// Opens both ends; tries again while the connection is away, for as long as the caller is patient.
pub(crate) async fn both(job: &Job, shared: &Arc<Shared>, source: &Place) -> Result<Ends, Error> {
    let begun = Instant::now();
    let mut backoff = Backoff::new();
    let mut wishes = shared.wishes();
    loop {
        let opened = async {
            let source = open(job, source).await?;
            let target = open(job, &job.target.place).await?;
            Ok(Ends { source, target })
        };
        let error = match opened.await {
            Ok(ends) => return Ok(ends),
            Err(error) => error,
        };
        if !may_pass(&error) || begun.elapsed() > job.options.patience {
            return Err(error);
        }
        tracing::info!("the files cannot be reached: {error}");
        let wait = backoff.next_wait().min(Duration::from_secs(2));
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = cancelled(&mut wishes) => return Err(error),
        }
    }
}

/// Whether another stream may go on where this one failed.
pub(crate) fn may_pass(error: &Error) -> bool {
    match error {
        Error::Refused(refusal) => matches!(
            refusal.reason.as_str(),
            "files-lost"
                | "machine-offline"
                | "draining"
                | "unreachable"
                | "too-many-file-streams"
                | "file-busy"
        ),
        other => other.is_connection(),
    }
}

/// Waits until the transfer is to end.
pub(crate) async fn cancelled(wishes: &mut tokio::sync::watch::Receiver<Wish>) {
    if wishes.wait_for(|wish| *wish == Wish::Cancel).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// The caller wanted it to end.
pub(crate) fn cancelled_error() -> Error {
    Error::Refused(cmdop_proto::Refusal::unavailable(
        "cancelled",
        "the transfer was cancelled",
    ))
}

pub(crate) fn is_cancelled(error: &Error) -> bool {
    matches!(error, Error::Refused(refusal) if refusal.reason == "cancelled")
}
