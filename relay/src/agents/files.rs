//! A way to a machine's files on its agent's side: it takes what the caller sends, checked, and leaves its own
//! answers for the caller to pull.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use cmdop_proto::{Refusal, RunId, v1};
use futures_util::Stream;
use tokio_util::sync::WaitForCancellationFutureOwned;
use tonic::{Request, Status, Streaming};
use v1::file_request::Request as Ask;

use super::stream_token;
use crate::file_streams::FileStream;
use crate::incoming;
use crate::live::LiveStream;
use crate::relay::Relay;

pub(super) async fn open(
    relay: &Arc<Relay>,
    request: Request<Streaming<v1::FilesUp>>,
) -> Result<Requests, Refusal> {
    let (agent, _) = relay.agent(&request).await?;
    let token = stream_token(request.metadata())?;
    let mut up = request.into_inner();
    let first = incoming::first(&mut up, "`hello`").await?;
    let Some(v1::files_up::Message::Hello(hello)) = first.message else {
        return Err(incoming::wrong_first("`hello`"));
    };
    let id: RunId = hello.stream_id.parse()?;
    let stream = relay
        .file_streams
        .get(agent.machine, id)
        .ok_or_else(|| Refusal::not_found("stream-unknown", "the stream is over"))?;
    let live = relay.enter_agent(&agent, stream.meeting.over.clone())?;
    let left = stream.meeting.meet(&token, up)?;
    Ok(Requests {
        first: Some(left.first),
        requests: left.requests,
        wanted: None,
        over: Box::pin(stream.meeting.over.clone().cancelled_owned()),
        stream,
        _live: live,
    })
}

/// What the client sends, as the agent's flow control asks for it. It ends when the stream is over.
pub(crate) struct Requests {
    first: Option<v1::FileRequest>,
    requests: Streaming<v1::FileRequest>,
    /// A piece of the feed that is to come next, and the number of the request that it is.
    wanted: Option<(u64, u64)>,
    over: Pin<Box<WaitForCancellationFutureOwned>>,
    stream: Arc<FileStream>,
    _live: LiveStream,
}

impl std::fmt::Debug for Requests {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Requests").field(&self.stream.id).finish()
    }
}

impl Requests {
    /// The next request, a piece of a feed in the place of its number.
    fn poll_request(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<v1::FileRequest, Refusal>>> {
        loop {
            if let Some((id, number)) = self.wanted {
                let Some(reader) = &self.stream.reader else {
                    let refusal = Refusal::invalid("bad-request", "the stream takes from no feed");
                    return Poll::Ready(Some(Err(refusal)));
                };
                let piece = ready!(reader.poll_take(cx, number));
                self.wanted = None;
                return Poll::Ready(Some(piece.map(|ask| v1::FileRequest {
                    id,
                    request: Some(ask),
                })));
            }
            match ready!(Pin::new(&mut self.requests).poll_next(cx)) {
                Some(Ok(request)) => {
                    let Some(Ask::Piece(piece)) = &request.request else {
                        return Poll::Ready(Some(Ok(request)));
                    };
                    self.wanted = Some((request.id, piece.number));
                }
                Some(Err(status)) => return Poll::Ready(Some(Err(incoming::broken(&status)))),
                None => return Poll::Ready(None),
            }
        }
    }
}

impl Stream for Requests {
    type Item = Result<v1::FilesDown, Status>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if this.over.as_mut().poll(cx).is_ready() {
            return Poll::Ready(None);
        }
        if let Some(first) = this.first.take() {
            return Poll::Ready(Some(Ok(down(first))));
        }
        // The client has nothing more to ask: its answers are still to come.
        let Some(request) = ready!(this.poll_request(cx)) else {
            this.stream.closed();
            return Poll::Ready(None);
        };
        let checked = request.and_then(|mut request| {
            this.stream.asks(&mut request)?;
            Ok(request)
        });
        match checked {
            Ok(request) => Poll::Ready(Some(Ok(down(request)))),
            Err(refusal) => {
                this.stream.meeting.end(refusal);
                Poll::Ready(None)
            }
        }
    }
}

fn down(request: v1::FileRequest) -> v1::FilesDown {
    v1::FilesDown {
        request: Some(request),
    }
}
