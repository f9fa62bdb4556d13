//! A feed at the relay: what several streams write, sent there once, or read by a machine.

use std::collections::VecDeque;

use cmdop_proto::v1::feed_down::Message as Down;
use cmdop_proto::v1::feed_up::Message as Up;
use cmdop_proto::v1::file_request::Request as Ask;
use cmdop_proto::{limits, v1};
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
    /// The sizes of those that are not past yet.
    kept: VecDeque<usize>,
    bytes: usize,
    down: Streaming<v1::FeedDown>,
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
                kept: VecDeque::new(),
                bytes: 0,
                down,
            }),
            _ => Err(unexpected()),
        }
    }

    /// What streams call it.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// Waits until a piece of any size can be sent at once. Cancel-safe.
    pub(crate) async fn ready(&mut self) -> Result<(), Error> {
        while !self.kept.is_empty() && self.bytes + limits::MAX_FRAME > limits::FEED_WINDOW {
            let down = self.down.message().await?.ok_or_else(lost)?;
            let Some(Down::Room(room)) = down.message else {
                return Err(unexpected());
            };
            self.past(room.past);
        }
        self.pieces.reserve().await.map(drop).map_err(|_| lost())
    }

    fn past(&mut self, past: u64) {
        while self.count - (self.kept.len() as u64) < past
            && let Some(bytes) = self.kept.pop_front()
        {
            self.bytes -= bytes;
        }
    }

    /// Sends a piece: its number.
    pub(crate) async fn push(&mut self, ask: Ask) -> Result<u64, Error> {
        self.ready().await?;
        let bytes = size(&ask);
        let permit = self.pieces.reserve().await.map_err(|_| lost())?;
        let piece = v1::FileRequest {
            id: 0,
            request: Some(ask),
        };
        let message = Some(Up::Piece(piece));
        permit.send(v1::FeedUp { message });
        self.kept.push_back(bytes);
        self.bytes += bytes;
        self.count += 1;
        Ok(self.count - 1)
    }
}

/// What a piece takes, or a little more.
fn size(ask: &Ask) -> usize {
    const ENVELOPE: usize = 128;
    match ask {
        Ask::Write(write) => ENVELOPE + write.data.len(),
        Ask::Put(put) => {
            let file = |file: &v1::SmallFile| {
                ENVELOPE + file.data.len() + file.path.len() + file.target.len()
            };
            put.files.iter().map(file).sum()
        }
        _ => 0,
    }
}
