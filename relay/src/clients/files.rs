//! A way to a machine's files on its caller's side: arranged with the agent, then its answers are pulled from
//! there.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use cmdop_proto::token::Role;
use cmdop_proto::{Refusal, v1};
use futures_util::Stream;
use tokio::sync::oneshot;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::{Request, Status, Streaming};
use v1::control_message::Message as Control;
use v1::file_request::Request as Ask;

use crate::carry::Carrier;
use crate::file_access;
use crate::file_streams::{FileStreamGuard, Left, New, Opened, moved};
use crate::incoming;
use crate::live::LiveStream;
use crate::machines::Purpose;
use crate::permission::Action;
use crate::relay::Relay;

pub(super) async fn open(
    relay: &Arc<Relay>,
    request: Request<Streaming<v1::FileRequest>>,
) -> Result<Answers, Refusal> {
    let account = relay.account(&request, Action::OpenFiles, "open files")?;
    let mut requests = request.into_inner();
    let first = incoming::first(&mut requests, "`open`").await?;
    let Some(Ask::Open(open)) = &first.request else {
        return Err(incoming::wrong_first("`open`"));
    };
    let named = moved::named(open)?;
    let directory = &relay.context.directory;
    let machine = directory.find(&account.claims, &open.machine)?;
    let link = relay.context.machines.online(machine.id, &machine.name)?;
    let caller = file_access::caller(&account)?;
    let (access, account_id) = (caller.access, caller.owner.account.clone());
    let over = CancellationToken::new();
    let reader = match open.feed.as_str() {
        "" => None,
        feed => Some(relay.feeds.find(feed, &caller.owner)?.join(over.clone())?),
    };
    let (opened, wait) = oneshot::channel();
    let new = New {
        machine_name: &machine.name,
        account: account.clone(),
        caller,
        left: Left { first, requests },
        opened,
        named,
        reader,
        over,
    };
    let most = relay.context.limits.file_streams_per_machine;
    let told = (&relay.context.reporter, &relay.context.transfers);
    let (guard, stream_token) = relay.file_streams.enter(&link, new, told, most)?;
    let live = relay.enter(&account.claims, guard.stream.meeting.over.clone())?;
    relay.context.meters.file_streams.increment(1);
    let id = guard.stream.id;
    let order = Control::StartFiles(v1::StartFiles {
        stream_id: id.to_string(),
        stream_token,
        access: access.into(),
        role: account.claims.role.map_or("", Role::as_str).to_owned(),
        account_id,
        account: account.name(),
    });
    link.tell_for(order, Some(Purpose::Files(id)))?;
    let up = opened_by_agent(relay, &guard, wait).await?;
    Ok(Answers {
        over: Box::pin(guard.stream.meeting.over.clone().cancelled_owned()),
        up,
        carrier: Carrier::default(),
        relay: relay.clone(),
        guard,
        is_done: false,
        _live: live,
    })
}

async fn opened_by_agent(
    relay: &Relay,
    guard: &FileStreamGuard,
    wait: oneshot::Receiver<Opened>,
) -> Result<Streaming<v1::FilesUp>, Refusal> {
    let limit = relay.context.limits.agent_answer;
    let name = &guard.stream.machine_name;
    // All branches only wait.
    tokio::select! {
        opened = wait => opened.map_err(|_| guard.stream.reason())?,
        () = guard.link().over.cancelled() => Err(Refusal::unavailable(
            "machine-offline",
            format!("the connection to {name} was lost before its files could be reached"),
        )),
        () = guard.stream.meeting.over.cancelled() => Err(guard.stream.reason()),
        () = tokio::time::sleep(limit) => Err(Refusal::unavailable(
            "machine-offline",
            format!("the agent of {name} did not open its files within {} s", limit.as_secs()),
        )
        .hint("an agent that is older than this command does not know how: upgrade it")),
    }
}

/// The agent's answers, pulled by the caller's flow control.
pub(crate) struct Answers {
    up: Streaming<v1::FilesUp>,
    carrier: Carrier,
    relay: Arc<Relay>,
    over: Pin<Box<WaitForCancellationFutureOwned>>,
    guard: FileStreamGuard,
    is_done: bool,
    _live: LiveStream,
}

impl std::fmt::Debug for Answers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Answers")
            .field(&self.guard.stream.id)
            .finish()
    }
}

impl Answers {
    /// The next answer for the caller; what is carried waits for room in its feed first. `None`: the agent has
    /// ended its stream.
    fn poll_answer(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<v1::FileResponse, Refusal>>> {
        let stream = &self.guard.stream;
        loop {
            if self.carrier.is_loaded() {
                return self.carrier.poll(cx).map(Some);
            }
            let up = ready!(Pin::new(&mut self.up).poll_next(cx));
            let message = up.and_then(Result::ok).and_then(|up| up.message);
            let Some(v1::files_up::Message::Response(response)) = message else {
                return Poll::Ready(None);
            };
            stream.answers(&response);
            let feeds = (&self.relay.feeds, &stream.caller.owner);
            match self.carrier.load(&stream.carried, feeds, response) {
                Ok(Some(response)) => return Poll::Ready(Some(Ok(response))),
                Ok(None) => {}
                Err(refusal) => return Poll::Ready(Some(Err(refusal))),
            }
        }
    }
}

impl Stream for Answers {
    type Item = Result<v1::FileResponse, Status>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if this.is_done {
            return Poll::Ready(None);
        }
        if this.over.as_mut().poll(cx).is_ready() {
            this.is_done = true;
            return Poll::Ready(Some(Err(this.guard.stream.reason().into())));
        }
        let answer = ready!(this.poll_answer(cx));
        this.is_done = !matches!(answer, Some(Ok(_)));
        let stream = &this.guard.stream;
        if answer.is_none() && !stream.is_closed() {
            stream.meeting.end(lost(&stream.machine_name));
            return Poll::Ready(Some(Err(stream.reason().into())));
        }
        Poll::Ready(answer.map(|answer| answer.map_err(Status::from)))
    }
}

/// The agent's stream ended before the caller's did.
fn lost(machine: &str) -> Refusal {
    Refusal::unavailable(
        "files-lost",
        format!("the connection to the files of {machine} was lost"),
    )
    .hint("try again; a transfer goes on with --resume")
}
