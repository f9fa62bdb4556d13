//! The stream of one run on its agent's side: it takes what the caller sends, and leaves its own
//! output for the caller to pull.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use cmdop_proto::{Refusal, RunId, v1};
use futures_util::Stream;
use tokio_util::sync::WaitForCancellationFutureOwned;
use tonic::{Request, Status, Streaming};
use v1::exec_request::Request as Part;

use super::stream_token;
use crate::incoming;
use crate::live::LiveStream;
use crate::relay::Relay;
use crate::request::check_signal;
use crate::runs::Run;

/// The most of a program's input in one message (see the .proto).
const MAX_STDIN: usize = 256 << 10;

pub(super) async fn open(
    relay: &Arc<Relay>,
    request: Request<Streaming<v1::ExecUp>>,
) -> Result<Requests, Refusal> {
    let (agent, _) = relay.agent(&request).await?;
    let token = stream_token(request.metadata())?;
    let mut up = request.into_inner();
    let first = incoming::first(&mut up, "`hello`").await?;
    let Some(v1::exec_up::Message::Hello(hello)) = first.message else {
        return Err(incoming::wrong_first("`hello`"));
    };
    let id: RunId = hello.run_id.parse()?;
    let run = relay
        .runs
        .get(agent.machine, id)
        .ok_or_else(|| Refusal::not_found("run-unknown", "the run is over"))?;
    let live = relay.enter_agent(&agent, run.meeting.over.clone())?;
    let left = run.meeting.meet(&token, up)?;
    Ok(Requests {
        requests: left.requests,
        over: Box::pin(run.meeting.over.clone().cancelled_owned()),
        awaits_stdin: left.has_stdin,
        is_closed: false,
        run,
        _live: live,
    })
}

/// What the caller sends, checked, as the agent's flow control asks for it. It ends when the run is
/// over, which tells the agent to end the program.
pub(crate) struct Requests {
    requests: Streaming<v1::ExecRequest>,
    over: Pin<Box<WaitForCancellationFutureOwned>>,
    /// The end of the program's input is still to come.
    awaits_stdin: bool,
    /// The caller has sent all that it will.
    is_closed: bool,
    run: Arc<Run>,
    _live: LiveStream,
}

impl std::fmt::Debug for Requests {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Requests").field(&self.run.id).finish()
    }
}

impl Stream for Requests {
    type Item = Result<v1::ExecDown, Status>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if this.over.as_mut().poll(cx).is_ready() {
            return Poll::Ready(this.last_word(cx));
        }
        if this.is_closed {
            return Poll::Pending;
        }
        match ready!(Pin::new(&mut this.requests).poll_next(cx)) {
            Some(Ok(request)) => match check(&request) {
                Ok(()) => {
                    this.awaits_stdin &= !matches!(request.request, Some(Part::StdinClosed(true)));
                    Poll::Ready(Some(Ok(down(request))))
                }
                Err(refusal) => {
                    this.run.meeting.end(refusal);
                    Poll::Ready(None)
                }
            },
            // A caller that is lost may come back: to the agent this is the end of a visit.
            Some(Err(status)) => {
                this.run.meeting.end(incoming::broken(&status));
                Poll::Ready(None)
            }
            None => this.closed(),
        }
    }
}

impl Requests {
    /// A caller that has its result says so and is gone in the same moment: the agent need not keep it
    /// then. Nothing else of a caller that is gone counts.
    fn last_word(&mut self, cx: &mut Context<'_>) -> Option<Result<v1::ExecDown, Status>> {
        if std::mem::replace(&mut self.is_closed, true) {
            return None;
        }
        while let Poll::Ready(Some(Ok(request))) = Pin::new(&mut self.requests).poll_next(cx) {
            if matches!(request.request, Some(Part::Done(true))) {
                return Some(Ok(down(request)));
            }
        }
        None
    }

    /// A caller that closes its side has no more input; its program goes on.
    fn closed(&mut self) -> Poll<Option<Result<v1::ExecDown, Status>>> {
        self.is_closed = true;
        if !std::mem::take(&mut self.awaits_stdin) {
            return Poll::Pending;
        }
        let request = Some(Part::StdinClosed(true));
        Poll::Ready(Some(Ok(down(v1::ExecRequest { request }))))
    }
}

fn down(request: v1::ExecRequest) -> v1::ExecDown {
    v1::ExecDown {
        request: Some(request),
    }
}

fn check(request: &v1::ExecRequest) -> Result<(), Refusal> {
    match &request.request {
        Some(Part::Start(_) | Part::Resume(_)) => Err(Refusal::invalid(
            "bad-request",
            "`start` and `resume` can only come first",
        )),
        Some(Part::Stdin(data)) if data.len() > MAX_STDIN => Err(Refusal::invalid(
            "frame-too-large",
            format!("a piece of input is larger than {} KiB", MAX_STDIN >> 10),
        )),
        Some(Part::Signal(signal)) => check_signal(*signal),
        _ => Ok(()),
    }
}
