//! The call that opens a feed and adds to it: its caller's requests, as fast as those who take them.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use cmdop_proto::v1::feed_down::Message as Down;
use cmdop_proto::v1::feed_up::Message as Up;
use cmdop_proto::v1::file_request::Request as Ask;
use cmdop_proto::{Refusal, v1};
use futures_util::Stream;
use tokio_util::sync::WaitForCancellationFutureOwned;
use tonic::{Request, Status, Streaming};

use crate::feed::{FeedGuard, Piece, Producer};
use crate::file_access;
use crate::incoming;
use crate::live::LiveStream;
use crate::permission::Action;
use crate::relay::Relay;

pub(super) async fn feed(
    relay: &Arc<Relay>,
    request: Request<Streaming<v1::FeedUp>>,
) -> Result<Feeding, Refusal> {
    let account = relay.account(&request, Action::OpenFiles, "feed files")?;
    let mut up = request.into_inner();
    let first = incoming::first(&mut up, "`open`").await?;
    let Some(Up::Open(_)) = first.message else {
        return Err(incoming::wrong_first("`open`"));
    };
    // Who may not write anywhere has no use for one.
    file_access::require_write(&account).inspect_err(|refusal| {
        let reporter = &relay.context.reporter;
        reporter.denied(&account, "feed files", refusal);
    })?;
    let most = relay.context.limits.feeds_per_workspace;
    let guard = relay.feeds.open(file_access::owner(&account), most)?;
    let live = relay.enter(&account.claims, guard.feed.over.clone())?;
    let opened = v1::FeedOpened {
        feed: guard.feed.id().to_string(),
    };
    Ok(Feeding {
        opened: Some(opened),
        up: Some(up),
        waiting: None,
        producer: Producer::new(guard.feed.clone()),
        past: 0,
        over: Box::pin(guard.feed.over.clone().cancelled_owned()),
        is_done: false,
        _guard: guard,
        _live: live,
    })
}

/// The caller's side of a feed. Polling it is what adds to the feed.
pub(crate) struct Feeding {
    opened: Option<v1::FeedOpened>,
    /// `None`: the caller adds nothing more.
    up: Option<Streaming<v1::FeedUp>>,
    waiting: Option<Piece>,
    producer: Producer,
    /// What its caller knows to be past.
    past: u64,
    over: Pin<Box<WaitForCancellationFutureOwned>>,
    is_done: bool,
    _guard: FeedGuard,
    _live: LiveStream,
}

impl std::fmt::Debug for Feeding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Feeding")
            .field(&self.producer.feed())
            .finish()
    }
}

impl Feeding {
    /// Adds until something is refused.
    fn poll_add(&mut self, cx: &mut Context<'_>) -> Poll<Refusal> {
        loop {
            if let Some(piece) = &self.waiting {
                if let Err(refusal) = ready!(self.producer.poll_push(cx, piece)) {
                    return Poll::Ready(refusal);
                }
                self.waiting = None;
            }
            let Some(up) = &mut self.up else {
                return Poll::Pending;
            };
            match ready!(Pin::new(up).poll_next(cx)) {
                Some(Ok(v1::FeedUp {
                    message:
                        Some(Up::Piece(v1::FileRequest {
                            request: Some(ask @ (Ask::Write(_) | Ask::Put(_))),
                            ..
                        })),
                })) => match Piece::new(ask) {
                    Ok(piece) => self.waiting = Some(piece),
                    Err(refusal) => return Poll::Ready(refusal),
                },
                Some(Ok(_)) => {
                    return Poll::Ready(Refusal::invalid(
                        "bad-request",
                        "only `write` and `put` can be pieces of a feed",
                    ));
                }
                Some(Err(status)) => return Poll::Ready(incoming::broken(&status)),
                None => self.up = None,
            }
        }
    }
}

impl Stream for Feeding {
    type Item = Result<v1::FeedDown, Status>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if this.is_done {
            return Poll::Ready(None);
        }
        if let Some(opened) = this.opened.take() {
            return Poll::Ready(Some(Ok(down(Down::Opened(opened)))));
        }
        let refusal = if this.over.as_mut().poll(cx).is_ready() {
            crate::directory::revoked()
        } else if let Poll::Ready(refusal) = this.poll_add(cx) {
            refusal
        } else {
            let past = ready!(this.producer.poll_past(cx, this.past));
            this.past = past;
            return Poll::Ready(Some(Ok(down(Down::Room(v1::FeedRoom { past })))));
        };
        this.is_done = true;
        Poll::Ready(Some(Err(refusal.into())))
    }
}

fn down(message: Down) -> v1::FeedDown {
    v1::FeedDown {
        message: Some(message),
    }
}
