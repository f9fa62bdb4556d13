//! One run on its caller's side: it is arranged with the agent, then its output is pulled from there.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use cmdop_proto::{Refusal, RunId, v1};
use futures_util::Stream;
use tokio::sync::oneshot;
use tokio_util::sync::WaitForCancellationFutureOwned;
use tonic::{Code, Request, Status, Streaming};
use v1::exec_response::Response as Part;

use crate::incoming;
use crate::live::LiveStream;
use crate::machines::Purpose;
use crate::relay::Relay;
use crate::request::check_program;
use crate::runs::{Meeting, Opened, RunGuard};

pub(super) async fn run(
    relay: &Arc<Relay>,
    request: Request<Streaming<v1::ExecRequest>>,
) -> Result<Output, Refusal> {
    let account = relay.account(&request)?;
    account.require_operator("run programs")?;
    let mut requests = request.into_inner();
    let first = incoming::first(&mut requests, "`start`").await?;
    let Some(v1::exec_request::Request::Start(start)) = first.request else {
        return Err(incoming::wrong_first("`start`"));
    };
    check_program(&start.command, &start.cwd, &start.env)?;
    if start.command.is_empty() {
        return Err(Refusal::invalid(
            "bad-request",
            "there is no program to run",
        ));
    }
    let machine = relay
        .context
        .directory
        .find(account.workspace(), &start.machine)?;
    let link = relay.context.machines.online(machine.id, &machine.name)?;
    let id = match start.run_id.as_str() {
        "" => RunId::new(),
        id => id.parse()?,
    };
    let (opened, wait) = oneshot::channel();
    let meeting = Meeting {
        requests,
        has_stdin: start.stdin,
        opened,
    };
    let most = relay.context.limits.execs_per_machine;
    let (guard, token) = relay
        .runs
        .enter(&link, (id, &machine.name), meeting, most)?;
    let live = relay.enter(&account.claims, guard.run.over.clone())?;
    relay.context.meters.execs.increment(1);
    let start = v1::control_message::Message::StartExec(start_exec(start, id, token));
    link.tell_for(start, Some(Purpose::Run(id)))?;
    let up = opened_by_agent(relay, &guard, wait).await?;
    Ok(Output {
        over: Box::pin(guard.run.over.clone().cancelled_owned()),
        up,
        guard,
        is_done: false,
        _live: live,
    })
}

fn start_exec(start: v1::ExecStart, id: RunId, stream_token: String) -> v1::StartExec {
    v1::StartExec {
        run_id: id.to_string(),
        stream_token,
        command: start.command,
        cwd: start.cwd,
        env: start.env,
        stdin: start.stdin,
        timeout_ms: start.timeout_ms,
    }
}

async fn opened_by_agent(
    relay: &Relay,
    guard: &RunGuard,
    wait: oneshot::Receiver<Opened>,
) -> Result<Streaming<v1::ExecUp>, Refusal> {
    let limit = relay.context.limits.agent_answer;
    let name = &guard.run.machine_name;
    // All branches only wait.
    tokio::select! {
        opened = wait => opened.map_err(|_| guard.run.reason())?,
        () = guard.link().over.cancelled() => Err(Refusal::unavailable(
            "machine-offline",
            format!("the connection to {name} was lost before the program was started"),
        )),
        () = guard.run.over.cancelled() => Err(guard.run.reason()),
        () = tokio::time::sleep(limit) => Err(Refusal::unavailable(
            "machine-offline",
            format!("the agent of {name} did not answer within {} s", limit.as_secs()),
        )),
    }
}

/// The agent's output, pulled by the caller's flow control.
pub(crate) struct Output {
    up: Streaming<v1::ExecUp>,
    over: Pin<Box<WaitForCancellationFutureOwned>>,
    guard: RunGuard,
    is_done: bool,
    _live: LiveStream,
}

impl std::fmt::Debug for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Output").field(&self.guard.run.id).finish()
    }
}

impl Stream for Output {
    type Item = Result<v1::ExecResponse, Status>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let run = &this.guard.run;
        if this.is_done {
            return Poll::Ready(None);
        }
        if this.over.as_mut().poll(cx).is_ready() {
            this.is_done = true;
            return Poll::Ready(Some(Err(run.reason().into())));
        }
        let up = ready!(Pin::new(&mut this.up).poll_next(cx));
        let message = up.and_then(Result::ok).and_then(|up| up.message);
        Poll::Ready(Some(match message {
            Some(v1::exec_up::Message::Response(response)) => {
                if matches!(response.response, Some(Part::Finished(_))) {
                    run.finished();
                    this.is_done = true;
                }
                Ok(response)
            }
            Some(v1::exec_up::Message::Failed(failed)) => {
                run.finished();
                this.is_done = true;
                let code = Code::from_i32(failed.grpc_code as i32);
                Err(Refusal::from_parts(code, &failed.message, failed.detail).into())
            }
            Some(v1::exec_up::Message::Hello(_)) | None => {
                this.is_done = true;
                Err(lost(&run.machine_name).into())
            }
        }))
    }
}

/// The agent's stream ended before the program did.
fn lost(machine: &str) -> Refusal {
    Refusal::unavailable(
        "run-lost",
        format!("the connection to {machine} was lost while the program ran"),
    )
    .hint("whether the program went on is not known")
}
