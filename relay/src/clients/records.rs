//! The records of sessions: one, all, and as they change.

use std::collections::VecDeque;
use std::sync::Arc;

use cmdop_proto::{Refusal, SessionId, limits, text, v1};
use futures_util::stream;
use prost::Message as _;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;
use tonic::Request;
use v1::session_event::Event;

use super::Events;
use crate::live::LiveStream;
use crate::relay::Relay;
use crate::session::Session;
use crate::workspace::Workspace;

/// A list stays below this, so that it fits a frame.
const MAX_LIST: usize = limits::MAX_FRAME - (64 << 10);

pub(super) fn list(
    relay: &Relay,
    request: &Request<v1::ListSessionsRequest>,
) -> Result<v1::ListSessionsResponse, Refusal> {
    let account = relay.account(request)?;
    let wanted = request.get_ref();
    let machine = match wanted.machine.as_str() {
        "" => None,
        name => Some(relay.context.directory.find(account.workspace(), name)?.id),
    };
    let all = relay.workspace_of(&account).all();
    let mut sessions: Vec<_> = all
        .iter()
        .filter(|session| machine.is_none_or(|machine| session.machine == machine))
        .filter(|session| wanted.include_ended || !session.is_ended())
        .map(|session| session.record())
        .collect();
    sessions.sort_by_key(|session| session.created_at_ms);
    let mut response = v1::ListSessionsResponse { sessions };
    if response.encoded_len() > MAX_LIST {
        // Long commands are what makes a list long; a single record has them still.
        response
            .sessions
            .iter_mut()
            .for_each(|session| session.command.truncate(1));
    }
    Ok(response)
}

pub(super) fn get(
    relay: &Relay,
    request: &Request<v1::GetSessionRequest>,
) -> Result<v1::Session, Refusal> {
    let account = relay.account(request)?;
    let session = relay
        .workspace_of(&account)
        .find(&request.get_ref().session)?;
    Ok(session.record())
}

pub(super) fn rename(
    relay: &Relay,
    request: &Request<v1::RenameSessionRequest>,
) -> Result<v1::Session, Refusal> {
    let account = relay.account(request)?;
    account.require_operator("rename sessions")?;
    let wanted = request.get_ref();
    if !wanted.name.is_empty() && !text::is_name(&wanted.name) {
        return Err(super::create::bad_name());
    }
    let workspace = relay.workspace_of(&account);
    let session = workspace.find(&wanted.session)?;
    workspace.rename(&session, &wanted.name)?;
    Ok(session.record())
}

pub(super) fn watch(
    relay: &Arc<Relay>,
    request: &Request<v1::WatchSessionsRequest>,
) -> Result<Events<v1::SessionEvent>, Refusal> {
    let account = relay.account(request)?;
    let workspace = relay.workspace_of(&account);
    let revoked = CancellationToken::new();
    let watch = Watch {
        changes: workspace.watch(),
        pending: VecDeque::new(),
        wants_all: true,
        workspace,
        _live: relay.live.enter(&account.claims, revoked.clone()),
    };
    let events = stream::unfold(watch, |mut watch| async {
        let event = watch.next().await?;
        Some((Ok(v1::SessionEvent { event: Some(event) }), watch))
    });
    Ok(super::until_over(relay, events, revoked))
}

struct Watch {
    workspace: Arc<Workspace>,
    changes: broadcast::Receiver<SessionId>,
    /// Of a look at everything: records that were not sent yet, then `synced`.
    pending: VecDeque<Option<Arc<Session>>>,
    wants_all: bool,
    _live: LiveStream,
}

impl Watch {
    async fn next(&mut self) -> Option<Event> {
        loop {
            if std::mem::take(&mut self.wants_all) {
                self.pending = self.workspace.all().into_iter().map(Some).collect();
                self.pending.push_back(None);
            }
            match self.pending.pop_front() {
                Some(Some(session)) => return Some(Event::Changed(session.record())),
                Some(None) => return Some(Event::Synced(true)),
                None => {}
            }
            match self.changes.recv().await {
                Ok(id) => {
                    if let Some(session) = self.workspace.get(id) {
                        return Some(Event::Changed(session.record()));
                    }
                }
                // It was too slow: it hears everything again.
                Err(RecvError::Lagged(_)) => self.wants_all = true,
                Err(RecvError::Closed) => return None,
            }
        }
    }
}
