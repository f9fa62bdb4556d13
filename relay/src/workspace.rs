//! The sessions of one tenant. Whoever looks for one looks inside a workspace: there is no way to
//! ask across.
//!
//! The index is locked for look-ups and small changes. A session may be locked meanwhile, for the
//! length of one question; the index is never locked while a session is.

mod buried;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use cmdop_proto::{MachineId, Refusal, SessionId, WorkspaceId, text};
use tokio::sync::broadcast;

use crate::lock::{Held, Lock};
use crate::session::Session;
use buried::Buried;

/// Changes that a slow watcher may miss before it has to look at everything again.
const CHANGES: usize = 256;

/// Records of ended sessions; the oldest go first.
const MAX_ENDED: usize = 500;

/// The shortest prefix of an id that counts as one.
const SHORTEST_PREFIX: usize = 4;

/// Names the request of one account, so that a retry finds what the first attempt made.
pub(crate) type RequestKey = (String, uuid::Uuid);

/// The tenant's sessions.
#[derive(Debug)]
pub(crate) struct Workspace {
    id: WorkspaceId,
    index: Lock<Index>,
    changes: broadcast::Sender<SessionId>,
}

#[derive(Debug, Default)]
struct Index {
    sessions: HashMap<SessionId, Arc<Session>>,
    /// Of live sessions only.
    names: HashMap<String, SessionId>,
    requests: HashMap<RequestKey, SessionId>,
    /// In the order of their ends.
    ended: std::collections::VecDeque<SessionId>,
    /// Those that are forgotten, but whose agent may bring them back.
    buried: Buried,
}

impl Workspace {
    fn new(id: WorkspaceId) -> Self {
        Self {
            id,
            index: Lock::default(),
            changes: broadcast::Sender::new(CHANGES),
        }
    }

    pub(crate) fn id(&self) -> WorkspaceId {
        self.id
    }

    fn lock(&self) -> Held<'_, Index> {
        self.index.lock()
    }

    /// What a request made before, if this is a retry of it.
    pub(crate) fn made_by(&self, request: &RequestKey) -> Option<Arc<Session>> {
        let index = self.lock();
        index.sessions.get(index.requests.get(request)?).cloned()
    }

    /// Enters a session, if there is room and its name is free. A request that made one before gets
    /// that one, and `make` is not called.
    pub(crate) fn enter(
        &self,
        id: SessionId,
        name: &str,
        request: Option<RequestKey>,
        most: usize,
        make: impl FnOnce() -> Arc<Session>,
    ) -> Result<Arc<Session>, Refusal> {
        let mut index = self.lock();
        let made = request
            .as_ref()
            .and_then(|request| index.requests.get(request));
        if let Some(session) = made.and_then(|id| index.sessions.get(id)) {
            return Ok(session.clone());
        }
        if index.sessions.len() - index.ended.len() >= most {
            return Err(Refusal::exhausted(
                "too-many-sessions",
                format!("the workspace has {most} live sessions, which is the limit"),
            )
            .hint("close some with `cmdop sessions close`"));
        }
        if !name.is_empty() {
            if index.names.contains_key(name) {
                return Err(name_taken(name));
            }
            index.names.insert(name.to_owned(), id);
        }
        if let Some(request) = request {
            index.requests.insert(request, id);
        }
        let session = make();
        index.sessions.insert(id, session.clone());
        drop(index);
        self.session_changed(id);
        Ok(session)
    }

    /// Gives a session another name; empty takes it away.
    pub(crate) fn rename(&self, session: &Arc<Session>, name: &str) -> Result<(), Refusal> {
        let mut index = self.lock();
        // Asked under the lock: an end or another rename comes before all of this, or after it.
        if session.is_ended() {
            return Err(Refusal::not_found("session-ended", "the session is over"));
        }
        let old = session.name();
        if !name.is_empty() {
            match index.names.get(name) {
                Some(other) if *other != session.id => return Err(name_taken(name)),
                _ => index.names.insert(name.to_owned(), session.id),
            };
        }
        if old != name && index.names.get(&old) == Some(&session.id) {
            index.names.remove(&old);
        }
        session.rename(name.to_owned());
        Ok(())
    }

    /// It ended: its name is free, and its record one of those that are kept for a while.
    pub(crate) fn session_ended(&self, session: &Session) {
        let mut index = self.lock();
        // It cannot be renamed any more.
        let name = session.name();
        if index.names.get(&name) == Some(&session.id) {
            index.names.remove(&name);
        }
        index.ended.push_back(session.id);
        let oldest = (index.ended.len() > MAX_ENDED).then(|| index.ended.front().copied());
        drop(index);
        if let Some(Some(oldest)) = oldest {
            self.forget(oldest);
        }
    }

    pub(crate) fn session_changed(&self, id: SessionId) {
        // Nobody may be watching.
        let _ = self.changes.send(id);
    }

    /// Its record's time is over.
    pub(crate) fn forget(&self, id: SessionId) {
        let mut index = self.lock();
        let session = index.sessions.remove(&id);
        if let Some(session) = session.as_ref().filter(|s| s.owes_its_agent_the_end()) {
            index.buried.bury(id, session.machine);
        }
        index.ended.retain(|ended| *ended != id);
        index.requests.retain(|_, made| *made != id);
        drop(index);
        // The session's own drop runs without the lock.
        drop(session);
    }

    /// Whether this machine's agent has to be told that a session of its is long over.
    pub(crate) fn is_buried(&self, id: SessionId, machine: MachineId) -> bool {
        self.lock().buried.holds(id, machine)
    }

    /// Of the machine's buried sessions, its agent still has `reported` only.
    pub(crate) fn still_buried(&self, machine: MachineId, reported: &HashSet<SessionId>) {
        self.lock()
            .buried
            .keep(machine, |id| reported.contains(&id));
    }

    pub(crate) fn watch(&self) -> broadcast::Receiver<SessionId> {
        self.changes.subscribe()
    }

    pub(crate) fn get(&self, id: SessionId) -> Option<Arc<Session>> {
        self.lock().sessions.get(&id).cloned()
    }

    /// All of them, the ended ones too.
    pub(crate) fn all(&self) -> Vec<Arc<Session>> {
        let mut all: Vec<_> = self.lock().sessions.values().cloned().collect();
        all.sort_by_key(|session| session.id);
        all
    }

    /// Those of one machine.
    pub(crate) fn of_machine(&self, machine: MachineId) -> Vec<Arc<Session>> {
        let index = self.lock();
        index
            .sessions
            .values()
            .filter(|session| session.machine == machine)
            .cloned()
            .collect()
    }

    /// The session that people mean by `reference`: an id, a name, or a unique prefix of an id. Live
    /// sessions come before ended ones. Those that the caller does not reach are not there.
    pub(crate) fn find(
        &self,
        reference: &str,
        is_reached: impl Fn(&Session) -> bool,
    ) -> Result<Arc<Session>, Refusal> {
        let index = self.lock();
        let by_id = reference
            .parse::<SessionId>()
            .ok()
            .and_then(|id| index.sessions.get(&id));
        let by_name = || index.sessions.get(index.names.get(reference)?);
        let known = by_id.or_else(by_name);
        if let Some(session) = known.filter(|session| is_reached(session)) {
            return Ok(session.clone());
        }
        let mut matching = Vec::new();
        if (SHORTEST_PREFIX..36).contains(&reference.len()) {
            let wanted = reference.to_ascii_lowercase();
            let all = index.sessions.values();
            matching.extend(
                all.filter(|s| s.id.to_string().starts_with(&wanted) && is_reached(s))
                    .cloned(),
            );
        }
        drop(index);
        if matching.len() > 1 && matching.iter().any(|session| !session.is_ended()) {
            matching.retain(|session| !session.is_ended());
        }
        match matching.len() {
            0 => Err(unknown(reference)),
            1 => Ok(matching.remove(0)),
            several => Err(Refusal::invalid(
                "session-ambiguous",
                format!(
                    "{several} sessions begin with `{}`",
                    text::shown(reference, 36)
                ),
            )
            .hint("give more characters of the id, or the session's name")),
        }
    }
}

fn unknown(reference: &str) -> Refusal {
    let reference = text::shown(reference, 64);
    Refusal::not_found(
        "session-unknown",
        format!("there is no session `{reference}`"),
    )
    .hint("`cmdop sessions` lists those that there are")
}

fn name_taken(name: &str) -> Refusal {
    Refusal::invalid(
        "session-name-taken",
        format!("another session is named `{name}`"),
    )
    .hint("choose another name, or close that session first")
}

/// All tenants that have or had a session here.
#[derive(Debug, Default)]
pub(crate) struct Workspaces {
    by_id: Lock<HashMap<WorkspaceId, Arc<Workspace>>>,
}

impl Workspaces {
    /// The tenant's sessions. Its id comes from a checked token.
    pub(crate) fn of(&self, id: WorkspaceId) -> Arc<Workspace> {
        let mut by_id = self.by_id.lock();
        by_id
            .entry(id)
            .or_insert_with(|| Arc::new(Workspace::new(id)))
            .clone()
    }

    /// Every tenant, for the end of the relay only.
    pub(crate) fn all(&self) -> Vec<Arc<Workspace>> {
        self.by_id.lock().values().cloned().collect()
    }
}
