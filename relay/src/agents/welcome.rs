//! What a newly linked agent has, and what we think it has: made one.
//!
//! The agent is the truth about which of its sessions live; the relay about which were ended.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use cmdop_proto::{Refusal, SessionId, Size, limits, text, v1};
use v1::control_message::Message as Control;

use crate::caller::Agent;
use crate::machines::{Link, Purpose};
use crate::relay::Relay;
use crate::session::{Facts, Session, Terms};
use crate::workspace::Workspace;

/// Bytes of a command that a record shows.
const SHOWN_COMMAND: usize = 1024;

pub(super) fn welcome(
    relay: &Arc<Relay>,
    agent: &Agent,
    link: &Arc<Link>,
    summaries: &[v1::SessionSummary],
) {
    let workspace = relay.workspaces.of(agent.workspace());
    let mut reported = HashSet::new();
    for summary in summaries {
        if let Some(id) = buried(&workspace, agent, summary) {
            reported.insert(id);
            end(link, id);
            continue;
        }
        match recognise(relay, agent, &workspace, summary) {
            Ok(session) => {
                reported.insert(session.id);
                go_on(link, &session, summary);
            }
            Err(refusal) => {
                tracing::warn!(machine = %agent.machine, reason = %refusal,
                    "an agent reports a session that it cannot have");
            }
        }
    }
    for session in workspace.of_machine(agent.machine) {
        if reported.contains(&session.id) {
            continue;
        }
        if session.is_pending() {
            start(link, &session);
        } else {
            session.gone_on_agent(None, "its agent was restarted and no longer has it");
        }
    }
    workspace.still_buried(agent.machine, &reported);
}

/// The session, if it was ended and forgotten here, and the agent has not heard of that.
fn buried(workspace: &Workspace, agent: &Agent, summary: &v1::SessionSummary) -> Option<SessionId> {
    let record = summary.session.as_ref()?;
    let is_live = record.status() != v1::SessionStatus::Disconnected;
    let id = record.id.parse().ok().filter(|_| is_live)?;
    workspace.is_buried(id, agent.machine).then_some(id)
}

/// Tells the agent that a session of its is over.
fn end(link: &Link, id: SessionId) {
    let end = v1::EndSession {
        session_id: id.to_string(),
        reason: "it ended while its agent was away".into(),
    };
    // Told again at the next registration.
    let _ = link.tell(Control::EndSession(end));
}

/// Tells the agent to start a session that waits for it.
pub(crate) fn start(link: &Link, session: &Arc<Session>) {
    let Some(start) = session.start_message(link.epoch) else {
        return;
    };
    let purpose = Some(Purpose::Session(session.id));
    if let Err(refusal) = link.tell_for(Control::StartSession(start), purpose) {
        session.start_failed(refusal);
    }
}

fn go_on(link: &Link, session: &Arc<Session>, summary: &v1::SessionSummary) {
    let record = summary.session.clone().unwrap_or_default();
    if record.status() == v1::SessionStatus::Disconnected {
        session.gone_on_agent(record.exit, &text::shown(&record.reason, 256));
        return;
    }
    if session.is_ended() {
        return end(link, session.id);
    }
    resume(link, session);
}

/// Asks the agent to open the stream of a session that it has.
pub(super) fn resume(link: &Link, session: &Arc<Session>) {
    let resume = v1::ResumeSession {
        session_id: session.id.to_string(),
        stream_token: session.invite(link.epoch).expose(),
    };
    let purpose = Some(Purpose::Session(session.id));
    // An agent that takes no commands is asked again on its next link.
    let _ = link.tell_for(Control::ResumeSession(resume), purpose);
}

/// A session ended while no relay was there to hear of it.
pub(super) fn ended(relay: &Relay, agent: &Agent, summary: &v1::SessionSummary) {
    let Some(record) = &summary.session else {
        return;
    };
    let workspace = relay.workspaces.of(agent.workspace());
    let session = record.id.parse().ok().and_then(|id| workspace.get(id));
    if let Some(session) = session.filter(|session| session.machine == agent.machine) {
        session.gone_on_agent(record.exit, &text::shown(&record.reason, 256));
    }
}

/// Our record of a session that the agent reports; made from what it says if we have none.
fn recognise(
    relay: &Arc<Relay>,
    agent: &Agent,
    workspace: &Arc<Workspace>,
    summary: &v1::SessionSummary,
) -> Result<Arc<Session>, Refusal> {
    let record = summary
        .session
        .as_ref()
        .ok_or_else(|| Refusal::invalid("bad-request", "a summary without a session"))?;
    let id: SessionId = record.id.parse()?;
    if let Some(session) = workspace.get(id) {
        if session.machine != agent.machine {
            return Err(Refusal::denied(
                "session-unknown",
                "the session is another machine's",
            ));
        }
        return Ok(session);
    }
    let terms = terms(relay, record.grace);
    let facts = facts(record);
    let make = |facts: Facts| {
        move || {
            Session::found(
                &relay.context,
                workspace,
                (id, agent.machine),
                facts,
                terms,
                summary,
            )
        }
    };
    let most = relay.context.limits.sessions_per_workspace;
    let named = workspace.enter(id, &facts.name, None, most, make(facts.clone()));
    // Somebody took its name while we did not know it: it lives on without.
    named.or_else(|_| {
        let name = String::new();
        workspace.enter(id, "", None, most, make(Facts { name, ..facts }))
    })
}

/// The limits of a session's life.
pub(crate) fn terms(relay: &Relay, grace: Option<v1::Grace>) -> Terms {
    use v1::grace::Limit;
    let limits = &relay.context.limits;
    let grace = match grace.and_then(|grace| grace.limit) {
        None | Some(Limit::Forever(false)) => Some(limits.grace),
        Some(Limit::Forever(true)) => None,
        // Beyond a century it is for ever; clocks do not reach further.
        Some(Limit::DurationMs(ms)) if ms > 100 * 365 * 86_400_000 => None,
        Some(Limit::DurationMs(ms)) => Some(Duration::from_millis(ms)),
    };
    Terms {
        pending: limits.pending,
        grace,
        background: limits.background,
        keep_ended: limits.keep_ended,
    }
}

fn facts(record: &v1::Session) -> Facts {
    let name = if text::is_name(&record.name) {
        record.name.clone()
    } else {
        String::new()
    };
    let size = record.size.and_then(|size| Size::try_from(size).ok());
    Facts {
        name,
        command: shown_command(&record.command),
        size: size.unwrap_or(Size::DEFAULT),
        created_at_ms: record.created_at_ms,
        created_by: text::shown(&record.created_by, limits::MAX_NAME),
    }
}

/// A command as records show it: without controls, and cut where it is long.
pub(crate) fn shown_command(command: &[String]) -> Vec<String> {
    let mut left = SHOWN_COMMAND;
    let mut shown = Vec::new();
    for argument in command.iter().take(64) {
        if left == 0 {
            shown.push("…".into());
            break;
        }
        let argument = text::shown(argument, left);
        left = left.saturating_sub(argument.len().max(1));
        shown.push(argument);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_command_is_cut_in_records() {
        let command = vec!["printf".to_owned(), "x".repeat(100_000), "more".to_owned()];
        let shown = shown_command(&command);
        assert_eq!(shown.first().unwrap(), "printf");
        assert_eq!(shown.last().unwrap(), "…");
        assert!(shown.concat().len() < 2 * SHOWN_COMMAND);
    }
}
