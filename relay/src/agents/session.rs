//! The stream of one session on its agent's side: output comes up, input and credit go down.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use cmdop_proto::{Refusal, SessionId, v1};
use futures_util::Stream;
use tokio::time::{Instant, Sleep};
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::{Request, Status, Streaming};
use v1::session_up::Message as Up;

use super::{stream_token, welcome};
use crate::incoming;
use crate::live::LiveStream;
use crate::relay::Relay;
use crate::session::{AgentNext, Fence, Heard, Session};

/// A stream that did not live so long is not asked for again at once.
const SHORT_LIFE: Duration = Duration::from_secs(1);

pub(super) async fn open(
    relay: &Arc<Relay>,
    request: Request<Streaming<v1::SessionUp>>,
) -> Result<Down, Refusal> {
    let (agent, _) = relay.agent(&request).await?;
    let token = stream_token(request.metadata())?;
    let mut up = request.into_inner();
    let first = incoming::first(&mut up, "`hello`").await?;
    let Some(Up::Hello(v1::SessionHello {
        summary: Some(summary),
    })) = first.message
    else {
        return Err(incoming::wrong_first("`hello` with a summary"));
    };
    let id = summary
        .session
        .as_ref()
        .map(|record| record.id.parse::<SessionId>())
        .transpose()?;
    let session = id
        .and_then(|id| relay.workspaces.of(agent.workspace()).get(id))
        .filter(|session| session.machine == agent.machine)
        .ok_or_else(|| Refusal::not_found("session-unknown", "there is no such session here"))?;
    let over = CancellationToken::new();
    let live = relay.enter_agent(&agent, over.clone())?;
    let fence = session.open(&token, &summary)?;
    tracing::debug!(session = %session.id, link = %fence.link, "a session's stream is open");
    let ended = over.clone().drop_guard();
    relay
        .tasks
        .spawn(hear(relay.clone(), session.clone(), fence, up, over, live));
    Ok(Down {
        session,
        fence,
        sleep: None,
        _ended: ended,
    })
}

async fn hear(
    relay: Arc<Relay>,
    session: Arc<Session>,
    fence: Fence,
    mut up: Streaming<v1::SessionUp>,
    over: CancellationToken,
    live: LiveStream,
) {
    let opened = Instant::now();
    let mut ended = std::pin::pin!(over.cancelled());
    loop {
        // Both branches are cancel-safe. Messages first: what came before the end counts.
        let message = tokio::select! {
            biased;
            message = up.message() => message,
            () = &mut ended => break,
        };
        let Ok(Some(v1::SessionUp {
            message: Some(message),
        })) = message
        else {
            break;
        };
        match session.hear(fence, message) {
            Heard::Bytes(_) if !over.is_cancelled() => {}
            Heard::Bytes(_) | Heard::Exited | Heard::Ghost => break,
            Heard::Gap(gap) => {
                tracing::warn!(session = %session.id, %gap, "an agent left out bytes");
                break;
            }
            Heard::Nonsense(what) => {
                tracing::warn!(session = %session.id, what, "an agent sent nonsense");
                break;
            }
        }
    }
    drop(live);
    session.stream_lost(fence);
    ask_again(&relay, &session, fence, opened).await;
}

/// The link is still there but the stream is not: the agent is asked to open it again.
async fn ask_again(relay: &Relay, session: &Arc<Session>, fence: Fence, opened: Instant) {
    tokio::time::sleep_until(opened + SHORT_LIFE).await;
    let link = relay.context.machines.present(session.machine);
    if let Some(link) = link.filter(|link| link.epoch == fence.link)
        && session.has_lost(fence)
    {
        welcome::resume(&link, session);
    }
}

/// What goes down: taken from the session's state when the transport has room for it.
#[derive(Debug)]
pub(crate) struct Down {
    session: Arc<Session>,
    fence: Fence,
    sleep: Option<Pin<Box<Sleep>>>,
    _ended: DropGuard,
}

impl Stream for Down {
    type Item = Result<v1::SessionDown, Status>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            let until = match this.session.next_for_agent(this.fence, cx.waker()) {
                AgentNext::Send(message) => {
                    let message = Some(message);
                    return Poll::Ready(Some(Ok(v1::SessionDown { message })));
                }
                AgentNext::Over => return Poll::Ready(None),
                AgentNext::Sleep(until) => until,
            };
            this.sleep = until.map(|until| Box::pin(tokio::time::sleep_until(until)));
            let is_time = this
                .sleep
                .as_mut()
                .is_some_and(|sleep| sleep.as_mut().poll(cx).is_ready());
            if !is_time {
                return Poll::Pending;
            }
        }
    }
}
