//! Starting a session, once however often it is asked for.

use std::sync::Arc;

use cmdop_proto::{Refusal, SessionId, Size, text, v1};
use tonic::Request;
use uuid::Uuid;

use crate::agents::{shown_command, start, terms};
use crate::caller::Account;
use crate::directory::Enrolled;
use crate::permission::Action;
use crate::relay::Relay;
use crate::report::Event;
use crate::request::check_program;
use crate::session::{Facts, Session};

pub(super) async fn create(
    relay: &Arc<Relay>,
    request: Request<v1::CreateSessionRequest>,
) -> Result<v1::Session, Refusal> {
    let account = relay.account(&request, Action::OperateSessions, "start sessions")?;
    let request = request.into_inner();
    let key = match request.request_id.as_str() {
        "" => None,
        id => Some((account.claims.sub.clone(), request_id(id)?)),
    };
    let sessions = relay.sessions_of(&account);
    let session = match key.as_ref().and_then(|key| sessions.made_by(key)) {
        Some(session) => session,
        None => enter(relay, &account, request, key)?,
    };
    session.started().await?;
    Ok(session.record())
}

fn request_id(text: &str) -> Result<Uuid, Refusal> {
    Uuid::try_parse(text).map_err(|_| Refusal::invalid("bad-request", "request_id is not a UUID"))
}

fn enter(
    relay: &Arc<Relay>,
    account: &Account,
    request: v1::CreateSessionRequest,
    key: Option<(String, Uuid)>,
) -> Result<Arc<Session>, Refusal> {
    check_program(&request.command, &request.cwd, &request.env)?;
    if !request.name.is_empty() && !text::is_name(&request.name) {
        return Err(bad_name());
    }
    if !request.beside.is_empty() {
        let beside: Result<SessionId, _> = request.beside.parse();
        beside.map_err(|_| Refusal::invalid("bad-request", "`beside` is no session's id"))?;
    }
    let size = request.size.map_or(Ok(Size::DEFAULT), Size::try_from)?;
    let machine = relay
        .context
        .directory
        .find(&account.claims, &request.machine)?;
    if !request.wait_for_agent {
        relay.context.machines.online(machine.id, &machine.name)?;
    }
    // Random, not ordered by time: a short prefix of it is enough to name it.
    let id = SessionId::from(Uuid::new_v4());
    let facts = Facts {
        name: request.name.clone(),
        command: shown_command(&request.command),
        size,
        created_at_ms: cmdop_service::now_ms(),
        created_by: account.name(),
    };
    let command = facts.command.clone();
    let terms = terms(relay, request.grace);
    let sessions = relay.sessions_of(account);
    let workspace = sessions.workspace();
    let name = request.name.clone();
    let told = start_session(relay, account, &machine, id, &facts, request);
    let most = relay.context.limits.sessions_per_workspace;
    let session = workspace.enter(id, &name, key, most, || {
        let ids = (id, machine.id);
        Session::pending(&relay.context, workspace, ids, facts, terms, told)
    })?;
    if session.machine != machine.id {
        // A retry that names another machine, which may be one that is not reached any more.
        let other = "this request_id has made a session on another machine";
        return Err(Refusal::invalid("bad-request", other));
    }
    let event = Event::new("session-created", session.id)
        .detail("machine", &machine.name)
        .command(&command);
    relay.context.reporter.event(account, event);
    // An agent that links from here on is told when it registers.
    if let Some(link) = relay.context.machines.present(machine.id) {
        start(&link, &session);
    }
    Ok(session)
}

fn start_session(
    relay: &Relay,
    account: &Account,
    machine: &Enrolled,
    id: SessionId,
    facts: &Facts,
    request: v1::CreateSessionRequest,
) -> v1::StartSession {
    let default_grace = v1::grace::Limit::DurationMs(relay.context.limits.grace.as_millis() as u64);
    let session = v1::Session {
        id: id.to_string(),
        workspace_id: account.workspace().to_string(),
        machine_id: machine.id.to_string(),
        machine_name: machine.name.clone(),
        name: request.name,
        status: v1::SessionStatus::Pending.into(),
        command: request.command,
        size: Some(facts.size.into()),
        created_at_ms: facts.created_at_ms,
        created_by: facts.created_by.clone(),
        size_policy: request.size_policy,
        grace: request.grace.or(Some(v1::Grace {
            limit: Some(default_grace),
        })),
        ..v1::Session::default()
    };
    v1::StartSession {
        session: Some(session),
        stream_token: String::new(),
        cwd: request.cwd,
        env: request.env,
        beside: request.beside,
    }
}

pub(super) fn bad_name() -> Refusal {
    Refusal::invalid("bad-request", "that cannot name a session").hint(
        "use letters, digits, `-`, `_` and `.`, at most 64, with a letter or digit at both ends",
    )
}
