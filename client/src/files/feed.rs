//! A feed at the relay: what several streams write, sent there once, or read by a machine.

use std::collections::VecDeque;

use cmdop_proto::v1::feed_down::Message as Down;
use cmdop_proto::v1::feed_up::Message as Up;
use cmdop_proto::v1::file_request::Request as Ask;
use cmdop_proto::{feed, v1};
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
    credit: Credit,
    down: Streaming<v1::FeedDown>,
}

/// What was sent and is not past yet: what the relay's window keeps, by the same count.
#[derive(Debug, Default)]
struct Credit {
    /// Pieces that were sent.
    count: u64,
    /// What those count that are not past yet.
    kept: VecDeque<usize>,
    bytes: usize,
}

impl Credit {
    /// Whether a piece might not fit.
    fn is_used_up(&self) -> bool {
        self.bytes > feed::FULL
    }

    /// A piece was sent: its number.
    fn sent(&mut self, bytes: usize) -> u64 {
        self.kept.push_back(bytes);
        self.bytes += bytes;
        self.count += 1;
        self.count - 1
    }

    fn past(&mut self, past: u64) {
        while self.count - (self.kept.len() as u64) < past
            && let Some(bytes) = self.kept.pop_front()
        {
            self.bytes -= bytes;
        }
    }
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
                credit: Credit::default(),
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
        while self.credit.is_used_up() {
            let down = self.down.message().await?.ok_or_else(lost)?;
            let Some(Down::Room(room)) = down.message else {
                return Err(unexpected());
            };
            self.credit.past(room.past);
        }
        self.pieces.reserve().await.map(drop).map_err(|_| lost())
    }

    /// Sends a piece: its number.
    pub(crate) async fn push(&mut self, ask: Ask) -> Result<u64, Error> {
        let bytes = feed::charge(&ask).map_err(Error::Refused)?;
        self.ready().await?;
        let permit = self.pieces.reserve().await.map_err(|_| lost())?;
        let piece = v1::FileRequest {
            id: 0,
            request: Some(ask),
        };
        let message = Some(Up::Piece(piece));
        permit.send(v1::FeedUp { message });
        Ok(self.credit.sent(bytes))
    }
}

#[cfg(test)]
mod tests {
    use cmdop_proto::limits;

    use super::*;

    fn sent_until_used_up(credit: &mut Credit, ask: &Ask) -> usize {
        let bytes = feed::charge(ask).unwrap();
        let mut sent = 0;
        while !credit.is_used_up() {
            credit.sent(bytes);
            sent += 1;
        }
        assert!(credit.bytes <= limits::FEED_WINDOW);
        sent
    }

    #[test]
    fn pieces_without_contents_use_up_the_credit_too() {
        let mut credit = Credit::default();
        let empty = Ask::Write(v1::FileWrite::default());
        let sent = sent_until_used_up(&mut credit, &empty);
        assert!(sent <= limits::FEED_WINDOW / feed::PIECE, "{sent}");
        let files = vec![v1::SmallFile::default(); limits::MAX_STAGED];
        let many = Ask::Put(v1::FilePut { files });
        assert_eq!(sent_until_used_up(&mut Credit::default(), &many), 3);
    }

    #[test]
    fn what_is_past_gives_its_credit_back() {
        let mut credit = Credit::default();
        assert_eq!(credit.sent(feed::MAX_CHARGE), 0);
        assert_eq!(credit.sent(feed::FULL), 1);
        assert!(credit.is_used_up());
        credit.past(1);
        assert!(!credit.is_used_up());
        credit.past(9);
        assert_eq!((credit.bytes, credit.kept.len()), (0, 0));
    }
}
