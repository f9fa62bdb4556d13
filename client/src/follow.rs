//! A list that keeps itself up to date: a snapshot, then each change, over reconnects.
//!
//! After [`Change::Lost`] a new snapshot begins: what it does not name before its [`Change::Synced`]
//! is gone.

use std::future::Future;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::backoff::Backoff;
use crate::connection::{Connection, Relay};
use crate::error::Error;

/// Records wait here for a moment while the caller draws; the relay's own window holds the rest.
const QUEUE: usize = 64;

/// What happened to a followed list.
#[derive(Debug)]
pub enum Change<T> {
    /// A record, new or changed.
    Changed(T),
    /// The record with this id is gone.
    Removed(String),
    /// All records that exist have been told.
    Synced,
    /// The stream broke; it is being opened again. The caller's list is old until the next `Synced`.
    Lost(Error),
    /// It will not be opened again (not logged in, not allowed). The last change.
    Failed(Error),
}

/// A followed list; dropping it ends the stream.
#[derive(Debug)]
pub struct Follow<T> {
    changes: mpsc::Receiver<Change<T>>,
    _task: JoinSet<()>,
}

impl<T: Send + 'static> Follow<T> {
    pub(crate) fn start<F: Feed<Item = T>>(connection: Connection) -> Self {
        let (sender, changes) = mpsc::channel(QUEUE);
        let mut task = JoinSet::new();
        task.spawn(run::<F>(connection, sender));
        Self {
            changes,
            _task: task,
        }
    }

    /// The next change; `None` after [`Change::Failed`]. Cancel-safe.
    pub async fn next(&mut self) -> Option<Change<T>> {
        self.changes.recv().await
    }

    /// A change that is there already.
    pub fn try_next(&mut self) -> Option<Change<T>> {
        self.changes.try_recv().ok()
    }
}

/// A stream of events on the relay that begins with a snapshot.
pub(crate) trait Feed: 'static {
    /// What the list holds.
    type Item: Send + 'static;
    /// What comes over the wire.
    type Event: Send + 'static;

    /// Opens it.
    fn open(
        connection: &Connection,
    ) -> impl Future<Output = Result<(Relay, tonic::Streaming<Self::Event>), Error>> + Send;

    /// The changes that one event tells; none if it is unknown.
    fn read(event: Self::Event) -> Vec<Change<Self::Item>>;
}

async fn run<F: Feed>(connection: Connection, changes: mpsc::Sender<Change<F::Item>>) {
    let mut backoff = Backoff::new();
    loop {
        let (error, may_pass) = match F::open(&connection).await {
            Ok((relay, mut events)) => {
                let error = loop {
                    match events.message().await {
                        Ok(Some(event)) => {
                            backoff.reset();
                            for change in F::read(event) {
                                if changes.send(change).await.is_err() {
                                    return;
                                }
                            }
                        }
                        Ok(None) => break Error::Lost("the relay ended the stream".into()),
                        Err(status) => break Error::from(status),
                    }
                };
                connection.lost(&relay);
                let may_pass = is_passing(&error) || error.voids_token();
                (error, may_pass)
            }
            Err(error) => {
                let may_pass = is_passing(&error);
                (error, may_pass)
            }
        };
        if !may_pass {
            let _ = changes.send(Change::Failed(error)).await;
            return;
        }
        if changes.send(Change::Lost(error)).await.is_err() {
            return;
        }
        // Cancel-safe: both only wait.
        tokio::select! {
            () = tokio::time::sleep(backoff.next_wait()) => {}
            () = changes.closed() => return,
        }
    }
}

/// Whether trying again can help. A token that ended in the middle is refreshed by the next try.
pub(crate) fn is_passing(error: &Error) -> bool {
    error.is_connection()
        || matches!(error, Error::Refused(refusal) if refusal.reason == "token-expired"
            || matches!(refusal.kind, cmdop_proto::ErrorKind::Exhausted | cmdop_proto::ErrorKind::Internal))
}
