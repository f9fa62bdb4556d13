//! A worker's two streams: opened when first needed, opened again where they were lost.

use std::sync::Arc;
use std::time::Duration;

use cmdop_proto::v1;
use tokio::time::Instant;

use super::progress::Shared;
use super::{Job, Wish};
use crate::backoff::Backoff;
use crate::error::Error;
use crate::files::{Feed, Files, Opening, Part, Place};

/// Both ends.
#[derive(Debug)]
pub(crate) struct Ends {
    pub(crate) source: Files,
    pub(crate) target: Files,
    /// The feed by which contents go from machine to machine without us.
    carry: Option<String>,
    /// It lives as long as both ends, unless it is somebody else's.
    _feed: Option<Feed>,
}

impl Ends {
    /// Whether contents do not come here.
    pub(crate) fn is_carried(&self) -> bool {
        self.carry.is_some()
    }

    /// Where the source's contents go, if they need not come here: to a file that the target has open under
    /// this number.
    pub(crate) fn carry(&self, handle: u32) -> Option<v1::FileCarry> {
        let feed = self.carry.clone()?;
        Some(v1::FileCarry {
            feed,
            handle,
            ..v1::FileCarry::default()
        })
    }
}

/// A way to an end, with the part that it has in the transfer.
async fn open(
    job: &Job,
    place: &Place,
    (feed, part): (&str, Option<Part>),
) -> Result<Files, Error> {
    match (&job.connection, place) {
        (_, Place::Here) => Files::here().await,
        (Some(connection), Place::Machine(machine)) => {
            let open = Opening {
                machine,
                feed,
                part,
                queue: cmdop_files::QUEUE,
            };
            Files::remote(connection, open).await
        }
        (None, Place::Machine(_)) => Err(Error::Protocol(
            "a transfer with a machine needs a connection".into(),
        )),
    }
}

/// Opens both ends, to look and to make directories.
pub(crate) async fn both(job: &Job, shared: &Arc<Shared>, source: &Place) -> Result<Ends, Error> {
    patiently(job, shared, || async move {
        Ok(Ends {
            source: open(job, source, ("", None)).await?,
            target: target_once(job).await?,
            carry: None,
            _feed: None,
        })
    })
    .await
}

/// Opens the target alone, to look and to change attributes.
pub(crate) async fn target(job: &Job, shared: &Arc<Shared>) -> Result<Files, Error> {
    patiently(job, shared, || target_once(job)).await
}

async fn target_once(job: &Job) -> Result<Files, Error> {
    match &job.group {
        Some(group) => group.looking().await,
        None => open(job, &job.target.place, ("", None)).await,
    }
}

/// Opens both ends, to move contents: between machines, by the relay.
pub(crate) async fn carrying(
    job: &Job,
    shared: &Arc<Shared>,
    source: &Place,
) -> Result<Ends, Error> {
    patiently(job, shared, || carrying_once(job, source)).await
}

async fn carrying_once(job: &Job, source: &Place) -> Result<Ends, Error> {
    let is_machine = |place: &Place| matches!(place, Place::Machine(_));
    let from = job.part(v1::FileDirection::From);
    let to = job.part(v1::FileDirection::To);
    if let Some(group) = &job.group {
        let (target, feed) = group.writing(to).await?;
        return Ok(Ends {
            source: open(job, source, ("", Some(from))).await?,
            target,
            carry: is_machine(source).then_some(feed),
            _feed: None,
        });
    }
    let feed = match &job.connection {
        Some(connection) if is_machine(source) && is_machine(&job.target.place) => {
            Some(Feed::open(connection).await?)
        }
        _ => None,
    };
    let carry = feed.as_ref().map(|feed| feed.id().to_owned());
    let takes = carry.as_deref().unwrap_or("");
    Ok(Ends {
        source: open(job, source, ("", Some(from))).await?,
        target: open(job, &job.target.place, (takes, Some(to))).await?,
        carry,
        _feed: feed,
    })
}

/// Tries again while the connection is away, for as long as the caller is patient.
async fn patiently<T, R: Future<Output = Result<T, Error>>>(
    job: &Job,
    shared: &Arc<Shared>,
    open: impl Fn() -> R,
) -> Result<T, Error> {
    let begun = Instant::now();
    let mut backoff = Backoff::new();
    let mut wishes = shared.wishes();
    loop {
        let error = match open().await {
            Ok(opened) => return Ok(opened),
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
                | "too-many-feeds"
                | "feed-over"
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
