//! One run on its caller's side: it is arranged with the agent, then its output is pulled from there.
//!
//! The relay knows nothing of runs: to come back to one is to ask its agent for another stream of it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use cmdop_proto::{Refusal, RunId, v1};
use futures_util::Stream;
use tokio::sync::oneshot;
use tokio_util::sync::WaitForCancellationFutureOwned;
use tonic::{Code, Request, Status, Streaming};
use v1::exec_request::Request as Ask;
use v1::exec_response::Response as Part;

use crate::caller::Account;
use crate::directory::Enrolled;
use crate::incoming;
use crate::live::LiveStream;
use crate::machines::Purpose;
use crate::permission::Action;
use crate::relay::Relay;
use crate::report::Event;
use crate::request::check_program;
use crate::runs::{Left, Opened, RunGuard, WhenLost};

pub(super) async fn run(
    relay: &Arc<Relay>,
    request: Request<Streaming<v1::ExecRequest>>,
) -> Result<Output, Refusal> {
    let account = relay.account(&request, Action::RunPrograms, "run programs")?;
    let mut requests = request.into_inner();
    let first = incoming::first(&mut requests, "`start` or `resume`").await?;
    let visit = match first.request {
        Some(Ask::Start(start)) => start_visit(relay, &account, start)?,
        Some(Ask::Resume(resume)) => resume_visit(relay, &account, resume)?,
        _ => return Err(incoming::wrong_first("`start` or `resume`")),
    };
    arrange(relay, &account, visit, requests).await
}

/// What a caller wants of a machine's agent.
struct Visit {
    machine: Enrolled,
    /// By what the agent will name its stream.
    id: RunId,
    when_lost: WhenLost,
    has_stdin: bool,
    /// The order, but for the stream's token.
    order: Order,
}

#[allow(
    clippy::large_enum_variant,
    reason = "it is taken apart where it is made"
)]
enum Order {
    Start(v1::ExecStart),
    Resume(RunId, v1::ExecResume),
}

fn start_visit(relay: &Relay, account: &Account, start: v1::ExecStart) -> Result<Visit, Refusal> {
    check_program(&start.command, &start.cwd, &start.env)?;
    if start.command.is_empty() {
        return Err(Refusal::invalid(
            "bad-request",
            "there is no program to run",
        ));
    }
    let directory = &relay.context.directory;
    let machine = directory.find(&account.claims, &start.machine)?;
    let id = match start.run_id.as_str() {
        "" => RunId::new(),
        id => id.parse()?,
    };
    Ok(Visit {
        machine,
        id,
        when_lost: if start.grace_ms > 0 || start.detach {
            WhenLost::Keep
        } else {
            WhenLost::End
        },
        has_stdin: start.stdin && !start.detach,
        order: Order::Start(start),
    })
}

fn resume_visit(
    relay: &Relay,
    account: &Account,
    resume: v1::ExecResume,
) -> Result<Visit, Refusal> {
    let directory = &relay.context.directory;
    let (run, machine) = if resume.machine.is_empty() {
        let is_reached = |machine| directory.is_reached(&account.claims, machine);
        let known = &relay.detached;
        let (run, machine) = known.find(account.workspace(), &resume.run_id, is_reached)?;
        let id = machine.to_string();
        (run, directory.find(&account.claims, &id)?)
    } else {
        let machine = directory.find(&account.claims, &resume.machine)?;
        (resume.run_id.parse()?, machine)
    };
    Ok(Visit {
        machine,
        id: RunId::new(),
        when_lost: WhenLost::Keep,
        // The agent knows whether its stdin has ended.
        has_stdin: false,
        order: Order::Resume(run, resume),
    })
}

async fn arrange(
    relay: &Arc<Relay>,
    account: &Account,
    visit: Visit,
    requests: Streaming<v1::ExecRequest>,
) -> Result<Output, Refusal> {
    let machine = &visit.machine;
    let link = relay.context.machines.online(machine.id, &machine.name)?;
    let (opened, wait) = oneshot::channel();
    let left = Left {
        requests,
        has_stdin: visit.has_stdin,
    };
    let most = relay.context.limits.execs_per_machine;
    let call = (visit.id, machine.name.as_str(), visit.when_lost);
    let (guard, token) = relay.runs.enter(&link, call, (left, opened), most)?;
    let live = relay.enter(&account.claims, guard.run.meeting.over.clone())?;
    relay.context.meters.execs.increment(1);
    if let Order::Start(start) = &visit.order
        && start.detach
        && !start.unlisted
    {
        let detached = &relay.detached;
        detached.started(account.workspace(), machine.id, visit.id);
    }
    relay.context.reporter.event(account, told(&visit));
    let begins = match &visit.order {
        Order::Start(_) => Begins::Program,
        Order::Resume(..) => Begins::Nothing,
    };
    let order = order(visit.order, visit.id, token);
    link.tell_for(order, Some(Purpose::Run(visit.id)))?;
    let up = opened_by_agent(relay, &guard, wait, begins).await?;
    Ok(Output {
        over: Box::pin(guard.run.meeting.over.clone().cancelled_owned()),
        up,
        guard,
        is_done: false,
        _live: live,
    })
}

/// What the audit log is told of it.
fn told(visit: &Visit) -> Event {
    match &visit.order {
        Order::Start(start) => Event::new("exec-started", &visit.machine.name)
            .detail("run", visit.id.to_string())
            .command(&start.command),
        Order::Resume(run, _) => {
            Event::new("exec-resumed", &visit.machine.name).detail("run", run.to_string())
        }
    }
}

fn order(order: Order, id: RunId, stream_token: String) -> v1::control_message::Message {
    match order {
        Order::Start(start) => v1::control_message::Message::StartExec(v1::StartExec {
            run_id: id.to_string(),
            stream_token,
            command: start.command,
            cwd: start.cwd,
            env: start.env,
            stdin: start.stdin && !start.detach,
            timeout_ms: start.timeout_ms,
            grace_ms: start.grace_ms,
            detach: start.detach,
            unlisted: start.unlisted,
        }),
        Order::Resume(run, resume) => v1::control_message::Message::ResumeExec(v1::ResumeExec {
            run_id: run.to_string(),
            stream_token,
            stream_id: id.to_string(),
            stdout_from: resume.stdout_from,
            stderr_from: resume.stderr_from,
        }),
    }
}

/// What an order that nobody answered may have done all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Begins {
    Program,
    Nothing,
}

impl Begins {
    /// The agent was told, and its answer did not come: the word says whether the program may run.
    fn unanswered(self, why: impl std::fmt::Display) -> Refusal {
        match self {
            Self::Nothing => Refusal::unavailable("machine-offline", why.to_string()),
            Self::Program => Refusal::unavailable(
                "run-unanswered",
                format!("{why}: whether the program was started is not known"),
            )
            .hint("look on the machine before you run it again"),
        }
    }

    /// The stream was ended meanwhile, be it because its caller may not run programs any more.
    fn cut(self, refusal: Refusal) -> Refusal {
        match self {
            Self::Program => self.unanswered(refusal.message),
            Self::Nothing => refusal,
        }
    }
}

/// The agent was told what to do: from here on only itself can say that it did nothing.
async fn opened_by_agent(
    relay: &Relay,
    guard: &RunGuard,
    wait: oneshot::Receiver<Opened>,
    begins: Begins,
) -> Result<Streaming<v1::ExecUp>, Refusal> {
    let limit = relay.context.limits.agent_answer;
    let name = &guard.run.machine_name;
    // All branches only wait.
    tokio::select! {
        opened = wait => opened.map_err(|_| begins.cut(guard.run.reason()))?,
        () = guard.link().over.cancelled() => Err(begins.unanswered(format_args!(
            "the connection to {name} was lost before its agent answered"
        ))),
        () = guard.run.meeting.over.cancelled() => Err(begins.cut(guard.run.reason())),
        () = tokio::time::sleep(limit) => Err(begins.unanswered(format_args!(
            "the agent of {name} did not answer within {} s", limit.as_secs()
        ))),
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
        Poll::Ready(match message {
            Some(v1::exec_up::Message::Response(response)) => {
                if matches!(response.response, Some(Part::Finished(_))) {
                    // The agent ends its stream once the caller said that it has this.
                    run.finished();
                    this.is_done = run.ends_when_lost();
                }
                Some(Ok(response))
            }
            Some(v1::exec_up::Message::Failed(failed)) => {
                run.finished();
                this.is_done = true;
                let code = Code::from_i32(failed.grpc_code as i32);
                let refusal = Refusal::from_parts(code, &failed.message, failed.detail);
                Some(Err(refusal.into()))
            }
            Some(v1::exec_up::Message::Hello(_)) | None => {
                this.is_done = true;
                (!run.is_finished()).then(|| Err(lost(&run.machine_name).into()))
            }
        })
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
