//! Scripting calls: one request, one answer, no stream.

use std::sync::Arc;
use std::time::Duration;

use cmdop_proto::{ClientId, InputSeq, Refusal, Size, limits, v1};
use tonic::Request;

use crate::caller::Account;
use crate::permission::Action;
use crate::relay::Relay;
use crate::report::Event;
use crate::request::check_signal;
use crate::session::{Asking, Policy, Session};

/// Processes that are told to end get 5 s before they are killed; then their agent reports.
const CLOSE: Duration = Duration::from_secs(8);

/// The session that an operator's request names, and who asks.
fn operated<T>(
    relay: &Relay,
    request: &Request<T>,
    (reference, what): (&str, &str),
) -> Result<(Account, Arc<Session>), Refusal> {
    let account = relay.account(request, Action::OperateSessions, what)?;
    let session = relay.sessions_of(&account).find(reference)?;
    Ok((account, session))
}

pub(super) async fn send(
    relay: &Relay,
    request: Request<v1::SendRequest>,
) -> Result<v1::SendResponse, Refusal> {
    let named = (request.get_ref().session.as_str(), "type into sessions");
    let (account, session) = operated(relay, &request, named)?;
    let input = request.into_inner();
    check_input(input.data.len())?;
    let (client, seq) = match input.client_id.as_str() {
        "" => (ClientId::new(), InputSeq(1)),
        id => (id.parse()?, InputSeq(input.input_seq)),
    };
    let event = Event::new("session-input-sent", session.id);
    relay.context.reporter.event(&account, event);
    let limit = relay.context.limits.agent_answer;
    let command = session
        .send((&account.claims.sub, client), seq, input.data, limit)
        .await?;
    Ok(v1::SendResponse {
        command_id: command.0,
    })
}

/// Input fits one message.
pub(super) fn check_input(bytes: usize) -> Result<(), Refusal> {
    if bytes <= limits::MAX_INPUT {
        return Ok(());
    }
    Err(Refusal::invalid(
        "frame-too-large",
        format!(
            "{bytes} bytes of input in one message are more than {}",
            limits::MAX_INPUT
        ),
    )
    .hint("send it in smaller pieces"))
}

pub(super) async fn capture(
    relay: &Relay,
    request: Request<v1::CaptureRequest>,
) -> Result<v1::CaptureResponse, Refusal> {
    let account = relay.account(&request, Action::WatchSessions, "capture sessions")?;
    let wanted = request.get_ref();
    let session = relay.sessions_of(&account).find(&wanted.session)?;
    let lines = wanted.scrollback_lines.min(limits::MAX_CAPTURE_SCROLLBACK);
    session
        .capture(lines, wanted.ansi, relay.context.limits.agent_answer)
        .await
}

pub(super) async fn history(
    relay: &Relay,
    request: Request<v1::HistoryRequest>,
) -> Result<v1::HistoryResponse, Refusal> {
    let account = relay.account(
        &request,
        Action::WatchSessions,
        "read the history of sessions",
    )?;
    let wanted = request.get_ref();
    let session = relay.sessions_of(&account).find(&wanted.session)?;
    let wanted = v1::HistoryWanted {
        request_id: 0,
        before: wanted.before,
        max_lines: wanted.max_lines.min(limits::MAX_HISTORY_LINES),
        max_bytes: wanted.max_bytes.min(limits::MAX_HISTORY_BYTES),
    };
    session
        .history(wanted, relay.context.limits.agent_answer)
        .await
}

pub(super) fn resize(
    relay: &Relay,
    request: &Request<v1::ResizeRequest>,
) -> Result<v1::ResizeResponse, Refusal> {
    let wanted = request.get_ref();
    let (_, session) = operated(relay, request, (&wanted.session, "resize sessions"))?;
    let size = wanted.size.map(Size::try_from).transpose()?;
    let policy = Policy::read(wanted.policy());
    if size.is_none() && policy.is_none() {
        return Err(Refusal::invalid(
            "bad-request",
            "the request has neither a size nor a policy",
        ));
    }
    session.resize(size, policy)?;
    Ok(v1::ResizeResponse {})
}

pub(super) fn keyboard(
    relay: &Relay,
    request: Request<v1::KeyboardRequest>,
) -> Result<v1::KeyboardResponse, Refusal> {
    let account = relay.account(&request, Action::SeeSessions, "see who may type")?;
    let wanted = request.into_inner();
    if wanted.change.is_some() {
        relay.permit(&account, Action::OperateSessions, "change who may type")?;
    }
    let asking = Asking {
        account: account.claims.sub.clone(),
        governs: account.governs(),
        client: wanted.client,
    };
    let session = relay.sessions_of(&account).find(&wanted.session)?;
    session.keyboard(wanted.change, &asking)
}

pub(super) fn signal(
    relay: &Relay,
    request: &Request<v1::SignalRequest>,
) -> Result<v1::SignalResponse, Refusal> {
    let wanted = request.get_ref();
    let (account, session) = operated(relay, request, (&wanted.session, "signal sessions"))?;
    check_signal(wanted.signal)?;
    let event = Event::new("session-signalled", session.id);
    let event = event.detail("signal", wanted.signal.to_string());
    relay.context.reporter.event(&account, event);
    session.signal(wanted.signal)?;
    Ok(v1::SignalResponse {})
}

pub(super) async fn close(
    relay: &Relay,
    request: Request<v1::CloseSessionRequest>,
) -> Result<v1::Session, Refusal> {
    let account = relay.account(&request, Action::OperateSessions, "close sessions")?;
    let session = relay
        .sessions_of(&account)
        .find(&request.get_ref().session)?;
    if !session.is_ended() {
        let event = Event::new("session-closed", session.id);
        relay.context.reporter.event(&account, event);
        session.close(&account.name(), CLOSE).await;
    }
    Ok(session.record())
}
