//! The control stream of one machine: it registers, then heartbeats; commands go down.

use std::sync::Arc;

use cmdop_proto::{Refusal, limits, text, v1};
use futures_util::{StreamExt as _, stream};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request, Status, Streaming};
use v1::agent_message::Message as Up;
use v1::control_message::Message as Control;

use super::welcome::welcome;
use crate::caller::Agent;
use crate::directory::{Enrolled, revoked};
use crate::incoming;
use crate::live::LiveStream;
use crate::machines::{About, Link, MAX_CONTROL, Purpose};
use crate::relay::Relay;

type Down = <super::Agents as v1::agent_service_server::AgentService>::ConnectStream;

pub(super) async fn connect(
    relay: &Arc<Relay>,
    request: Request<Streaming<v1::AgentMessage>>,
) -> Result<Down, Refusal> {
    let (agent, enrolled) = relay.agent(&request).await?;
    let mut up = request.into_inner();
    let first = incoming::first(&mut up, "`register`").await?;
    let Some(Up::Register(register)) = first.message else {
        return Err(incoming::wrong_first("`register`"));
    };
    check(&register, &enrolled)?;
    let over = CancellationToken::new();
    let live = relay.enter_agent(&agent, over.clone())?;
    let (down, messages) = mpsc::channel(MAX_CONTROL);
    let (link, old) = relay.context.machines.link(
        (agent.workspace(), agent.machine),
        about(&register),
        down,
        over,
        |epoch| registered(relay, epoch),
    );
    tracing::info!(machine = %enrolled.name, epoch = %link.epoch, "an agent is linked");
    let reporter = &relay.context.reporter;
    reporter.presence(agent.workspace(), (agent.machine, link.epoch), Ok(()));
    if let Some(old) = old {
        sessions_lost(relay, &agent, &old);
    }
    let detached = &relay.detached;
    detached.registered(agent.workspace(), agent.machine, &register.runs);
    welcome(relay, &agent, &link, &register.sessions);
    relay.context.meters.agents.increment(1.0);
    let commands = commands(relay.clone(), agent.clone(), link.clone(), messages);
    relay
        .tasks
        .spawn(hear(relay.clone(), agent, enrolled, link, up, live));
    Ok(commands)
}

/// The commands until the link is over, then why it is.
fn commands(
    relay: Arc<Relay>,
    agent: Agent,
    link: Arc<Link>,
    messages: mpsc::Receiver<v1::ControlMessage>,
) -> Down {
    // Whoever stops reading has left.
    let left = link.over.clone().drop_guard();
    let over = link.over.clone().cancelled_owned();
    let reason = stream::once(async move {
        let _left = left;
        let is_revoked = relay.context.directory.is_revoked(&agent.claims);
        Err(Status::from(if is_revoked {
            revoked()
        } else {
            link.reason()
        }))
    });
    let messages = ReceiverStream::new(messages).map(Ok).take_until(over);
    Box::pin(messages.chain(reason))
}

fn registered(relay: &Relay, epoch: cmdop_proto::LinkEpoch) -> Control {
    let limits = &relay.context.limits;
    Control::Registered(v1::Registered {
        link_epoch: epoch.0,
        heartbeat_interval_ms: limits.heartbeat_interval.as_millis() as u64,
        heartbeat_timeout_ms: limits.heartbeat_timeout.as_millis() as u64,
        now_ms: cmdop_service::now_ms(),
    })
}

/// An agent says nothing that a person could mistake. Its machine's name is the directory's.
fn check(register: &v1::Register, enrolled: &Enrolled) -> Result<(), Refusal> {
    if !text::is_hostname(&register.hostname) {
        return Err(Refusal::invalid(
            "bad-request",
            "the agent's hostname has characters that a hostname cannot have",
        ));
    }
    let ours = cmdop_service::now_ms();
    let apart = ours.abs_diff(register.now_ms);
    if apart >= limits::CLOCK_LEEWAY.as_millis() as u64 {
        tracing::warn!(
            machine = %enrolled.name,
            seconds = apart / 1000,
            "an agent's clock differs from ours: set both by NTP, or tokens will be refused"
        );
    }
    Ok(())
}

fn about(register: &v1::Register) -> About {
    let shown = |text: &str| text::shown(text, limits::MAX_NAME);
    let now = cmdop_service::now_ms();
    About {
        os: shown(&register.os),
        arch: shown(&register.arch),
        agent_version: shown(&register.agent_version),
        metrics: register.metrics,
        last_heartbeat_ms: now,
        connected_at_ms: now,
    }
}

async fn hear(
    relay: Arc<Relay>,
    agent: Agent,
    enrolled: Enrolled,
    link: Arc<Link>,
    mut up: Streaming<v1::AgentMessage>,
    live: LiveStream,
) {
    let silence = relay.context.limits.heartbeat_timeout;
    let why = loop {
        // Both branches are cancel-safe; which is seen first does not matter here.
        let message = tokio::select! {
            message = tokio::time::timeout(silence, up.message()) => message,
            () = link.over.cancelled() => break "it was ended",
        };
        match message {
            Ok(Ok(Some(message))) => heard(&relay, &agent, &link, message),
            Ok(Ok(None)) => break "it was closed",
            Ok(Err(_)) => break "the connection broke",
            Err(_) => break "no heartbeat came in time",
        }
    };
    link.over.cancel();
    drop(live);
    relay.context.meters.agents.decrement(1.0);
    if relay.context.machines.lost(&link) {
        let reporter = &relay.context.reporter;
        reporter.presence(agent.workspace(), (agent.machine, link.epoch), Err(why));
    }
    sessions_lost(&relay, &agent, &link);
    if relay.context.directory.machine(agent.machine).is_none() {
        // It left its workspace while it was registering.
        relay.machine_removed(agent.workspace(), agent.machine);
    }
    tracing::info!(machine = %enrolled.name, epoch = %link.epoch, why, "an agent's link is over");
}

fn sessions_lost(relay: &Relay, agent: &Agent, link: &Link) {
    for session in relay
        .workspaces
        .of(agent.workspace())
        .of_machine(agent.machine)
    {
        session.link_lost(link.epoch);
    }
}

fn heard(relay: &Relay, agent: &Agent, link: &Link, message: v1::AgentMessage) {
    match message.message {
        Some(Up::Heartbeat(heartbeat)) => {
            let machines = &relay.context.machines;
            if !machines.heartbeat(link, heartbeat.metrics, Instant::now()) {
                return;
            }
            let now_ms = cmdop_service::now_ms();
            // An agent that does not read is found out by its next command.
            let _ = link.tell(Control::HeartbeatAck(v1::HeartbeatAck { now_ms }));
        }
        Some(Up::Failed(failed)) => command_failed(relay, agent, link, failed),
        Some(Up::Ended(summary)) => super::welcome::ended(relay, agent, &summary),
        Some(Up::Register(_)) | None => {}
    }
}

fn command_failed(relay: &Relay, agent: &Agent, link: &Link, failed: v1::CommandFailed) {
    let code = Code::from_i32(failed.grpc_code as i32);
    let refusal = Refusal::from_parts(code, &failed.message, failed.detail);
    match link.take_purpose(failed.command_id) {
        None => {}
        Some(Purpose::Run(id)) => {
            if let Some(run) = relay.runs.get(agent.machine, id) {
                run.meeting.failed(refusal);
            }
        }
        Some(Purpose::Files(id)) => {
            if let Some(stream) = relay.file_streams.get(agent.machine, id) {
                stream.meeting.failed(refusal);
            }
        }
        Some(Purpose::Session(id)) => {
            if let Some(session) = relay.workspaces.of(agent.workspace()).get(id) {
                if session.is_pending() {
                    session.start_failed(refusal);
                } else {
                    session.gone_on_agent(None, &refusal.message);
                }
            }
        }
    }
}
