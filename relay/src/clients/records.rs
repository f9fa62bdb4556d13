//! The records of sessions: one, all, and as they change.

use std::collections::VecDeque;
use std::sync::Arc;

use cmdop_proto::{Refusal, SessionId, text, v1};
use futures_util::stream;
use prost::Message as _;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;
use tonic::Request;
use v1::session_event::Event;

use super::Events;
use crate::directory::Change;
use crate::live::LiveStream;
use crate::permission::Action;
use crate::reached::Reached;
use crate::relay::Relay;
use crate::session::Session;

/// The records of one page stay below this, so that it fits a frame.
const MAX_LIST: usize = 900 << 10;

pub(super) fn list(
    relay: &Relay,
    request: &Request<v1::ListSessionsRequest>,
) -> Result<v1::ListSessionsResponse, Refusal> {
    let account = relay.account(request, Action::SeeSessions, "list sessions")?;
    let wanted = request.get_ref();
    let machine = match wanted.machine.as_str() {
        "" => None,
        name => Some(relay.context.directory.find(&account.claims, name)?.id),
    };
    let after = match wanted.page.as_str() {
        "" => None,
        page => Some(page.parse::<SessionId>()?),
    };
    let all = relay.sessions_of(&account).all();
    let records = all
        .iter()
        .filter(|session| after.is_none_or(|after| session.id > after))
        .filter(|session| machine.is_none_or(|machine| session.machine == machine))
        .filter(|session| wanted.include_ended || !session.is_ended())
        .map(|session| session.record());
    Ok(page(records))
}

/// As many of `records`, in the order of their ids, as fit; and where the next page begins.
fn page(records: impl Iterator<Item = v1::Session>) -> v1::ListSessionsResponse {
    let mut response = v1::ListSessionsResponse::default();
    let mut bytes = 0;
    for record in records {
        // Its key and length in front of it.
        bytes += record.encoded_len() + 8;
        if let Some(last) = response.sessions.last().filter(|_| bytes > MAX_LIST) {
            response.next_page.clone_from(&last.id);
            break;
        }
        response.sessions.push(record);
    }
    response
}

pub(super) fn get(
    relay: &Relay,
    request: &Request<v1::GetSessionRequest>,
) -> Result<v1::Session, Refusal> {
    let account = relay.account(request, Action::SeeSessions, "see sessions")?;
    let session = relay
        .sessions_of(&account)
        .find(&request.get_ref().session)?;
    Ok(session.record())
}

pub(super) fn rename(
    relay: &Relay,
    request: &Request<v1::RenameSessionRequest>,
) -> Result<v1::Session, Refusal> {
    let account = relay.account(request, Action::OperateSessions, "rename sessions")?;
    let wanted = request.get_ref();
    if !wanted.name.is_empty() && !text::is_name(&wanted.name) {
        return Err(super::create::bad_name());
    }
    let sessions = relay.sessions_of(&account);
    let session = sessions.find(&wanted.session)?;
    sessions.workspace().rename(&session, &wanted.name)?;
    Ok(session.record())
}

pub(super) fn watch(
    relay: &Arc<Relay>,
    request: &Request<v1::WatchSessionsRequest>,
) -> Result<Events<v1::SessionEvent>, Refusal> {
    let account = relay.account(request, Action::SeeSessions, "see sessions")?;
    let sessions = relay.sessions_of(&account);
    let revoked = CancellationToken::new();
    let watch = Watch {
        changes: sessions.watch(),
        machines: (!account.claims.reach.is_all()).then(|| relay.context.directory.follow()),
        pending: VecDeque::new(),
        wants_all: true,
        sessions,
        _live: relay.enter(&account.claims, revoked.clone())?,
    };
    let events = stream::unfold(watch, |mut watch| async {
        let event = watch.next().await?;
        Some((Ok(v1::SessionEvent { event: Some(event) }), watch))
    });
    Ok(super::until_over(relay, events, revoked))
}

struct Watch {
    sessions: Reached,
    changes: broadcast::Receiver<SessionId>,
    /// Of who is kept to fleets: machines come into them, with their sessions. When one leaves, the tokens of
    /// those who lose it are void, and this stream ends.
    machines: Option<broadcast::Receiver<Change>>,
    /// Of a look at everything: records that were not sent yet, then `synced`.
    pending: VecDeque<Option<Arc<Session>>>,
    wants_all: bool,
    _live: LiveStream,
}

impl Watch {
    async fn next(&mut self) -> Option<Event> {
        loop {
            if std::mem::take(&mut self.wants_all) {
                self.pending = self.sessions.all().into_iter().map(Some).collect();
                self.pending.push_back(None);
            }
            match self.pending.pop_front() {
                Some(Some(session)) => return Some(Event::Changed(session.record())),
                Some(None) => return Some(Event::Synced(true)),
                None => {}
            }
            // Both branches are cancel-safe: a change stays in its channel until it is taken.
            let changed = tokio::select! {
                changed = self.changes.recv() => changed,
                machine = next_machine(&mut self.machines) => match machine {
                    Ok(Change::Machine(_, machine)) => {
                        let theirs = self.sessions.of_machine(machine);
                        self.pending.extend(theirs.into_iter().map(Some));
                        continue;
                    }
                    Ok(_) => continue,
                    Err(error) => Err(error),
                },
            };
            match changed {
                Ok(id) => {
                    if let Some(session) = self.sessions.get(id) {
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

/// Never, for who reaches all machines.
async fn next_machine(
    machines: &mut Option<broadcast::Receiver<Change>>,
) -> Result<Change, RecvError> {
    match machines {
        Some(machines) => machines.recv().await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use cmdop_proto::limits;

    use super::*;

    #[test]
    fn a_list_of_the_longest_records_comes_in_pages_that_fit_a_frame() {
        let record = |n: usize| v1::Session {
            id: format!("{n:08}"),
            command: vec!["x".repeat(2048)],
            reason: "y".repeat(4096),
            ..v1::Session::default()
        };
        let mut begin = 0;
        let mut pages = 0;
        while begin < 2000 {
            let answer = page((begin..2000).map(record));
            assert!(answer.encoded_len() <= limits::MAX_FRAME);
            assert_eq!(answer.sessions[0].id, format!("{begin:08}"));
            begin += answer.sessions.len();
            pages += 1;
            match begin {
                2000 => assert_eq!(answer.next_page, ""),
                next => assert_eq!(answer.next_page, format!("{:08}", next - 1)),
            }
        }
        assert!(pages > 10);
    }
}
