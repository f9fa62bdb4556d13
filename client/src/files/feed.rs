//! A feed at the relay: what several streams write, sent there once, or read by a machine.

use cmdop_proto::v1;
use cmdop_proto::v1::feed_down::Message as Down;
use cmdop_proto::v1::feed_up::Message as Up;
use cmdop_proto::v1::file_request::Request as Ask;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use super::{lost, unexpected};
use crate::connection::Connection;
use crate::dial::Lane;
use crate::error::Error;

/// See the module. It is over when this is dropped.
#[derive(Debug)]
pub(crate) struct Feed {
    id: String,
    pieces: mpsc::Sender<v1::FeedUp>,
    /// Pieces that were sent.
    count: u64,
    /// Ends with the feed.
    _down: Streaming<v1::FeedDown>,
}

impl Feed {
    /// A new one, without pieces.
    pub(crate) async fn open(connection: &Connection) -> Result<Self, Error> {
        let newest = std::sync::Mutex::new(None);
        let opened = connection.stream(Lane::Bulk, "opening a feed", |relay| {
            let (pieces, stream) = mpsc::channel(cmdop_files::QUEUE);
            let message = Some(Up::Open(v1::FeedOpen {}));
            // It cannot fail: the queue is new.
            let _ = pieces.try_send(v1::FeedUp { message });
            *newest.lock().expect("nobody panics while holding it") = Some(pieces);
            async move { relay.files().feed(ReceiverStream::new(stream)).await }
        });
        let (_, mut down) = opened.await?;
        let pieces = newest.into_inner().ok().flatten().ok_or_else(lost)?;
        match down.message().await?.and_then(|down| down.message) {
            Some(Down::Opened(opened)) => Ok(Self {
                id: opened.feed,
                pieces,
                count: 0,
                _down: down,
            }),
            None => Err(unexpected()),
        }
    }

    /// What streams call it.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// Waits until a piece can be sent at once. Cancel-safe.
    pub(crate) async fn ready(&self) -> Result<(), Error> {
        self.pieces.reserve().await.map(drop).map_err(|_| lost())
    }

    /// Sends a piece: its number.
    pub(crate) async fn push(&mut self, ask: Ask) -> Result<u64, Error> {
        let permit = self.pieces.reserve().await.map_err(|_| lost())?;
        let piece = v1::FileRequest {
            id: 0,
            request: Some(ask),
        };
        let message = Some(Up::Piece(piece));
        permit.send(v1::FeedUp { message });
        self.count += 1;
        Ok(self.count - 1)
    }
}
