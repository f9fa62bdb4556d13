//! Every live stream and the bearer that it was opened for, so that a revocation ends it.
//!
//! A stream's right to live is checked when something is revoked, not on every byte.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use cmdop_proto::token::Claims;
use tokio_util::sync::CancellationToken;

use crate::directory::Directory;

/// The streams.
#[derive(Clone, Debug, Default)]
pub(crate) struct LiveStreams {
    shared: Arc<Mutex<Streams>>,
}

#[derive(Debug, Default)]
struct Streams {
    count: u64,
    live: HashMap<u64, (Arc<Claims>, CancellationToken)>,
}

/// A stream is live until this is dropped.
#[derive(Debug)]
pub(crate) struct LiveStream {
    streams: LiveStreams,
    number: u64,
}

impl LiveStreams {
    /// Enters a stream of this bearer; `revoked` is cancelled when its token is.
    pub(crate) fn enter(&self, claims: &Arc<Claims>, revoked: CancellationToken) -> LiveStream {
        let mut streams = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        streams.count += 1;
        let number = streams.count;
        streams.live.insert(number, (claims.clone(), revoked));
        drop(streams);
        LiveStream {
            streams: self.clone(),
            number,
        }
    }

    /// Ends those whose bearer's token became void.
    pub(crate) fn end_revoked(&self, directory: &Directory) {
        let streams = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let revoked = streams
            .live
            .values()
            .filter(|(claims, _)| directory.is_revoked(claims));
        revoked.for_each(|(_, stream)| stream.cancel());
    }

    /// Ends those that this machine's agent opened.
    pub(crate) fn end_of(&self, subject: &str) {
        let streams = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let meant = streams
            .live
            .values()
            .filter(|(claims, _)| claims.sub == subject);
        meant.for_each(|(_, stream)| stream.cancel());
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.shared
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .live
            .len()
    }
}

impl Drop for LiveStream {
    fn drop(&mut self) {
        let mut streams = self
            .streams
            .shared
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        streams.live.remove(&self.number);
    }
}
