//! What the control plane told: keys, machines, revocations. The relay decides with it, offline.
//!
//! It is a copy that is replaced piece by piece; asking it never waits for anybody.

mod facts;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use cmdop_proto::token::{Claims, RELAY_AUDIENCE};
use cmdop_proto::{MachineId, Refusal, WorkspaceId, v1};
use cmdop_service::tokens::KeySet;
use tokio::sync::{broadcast, watch};

use facts::Facts;
pub use facts::{Enrolled, Revoked, Snapshot};

/// Changes that a slow follower may miss before it has to look at everything again.
const CHANGES: usize = 256;

/// The copy; clones share it.
#[derive(Clone, Debug)]
pub struct Directory {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    facts: Mutex<Arc<Facts>>,
    /// What a snapshot that is under way has brought so far.
    incoming: Mutex<Option<Facts>>,
    changes: broadcast::Sender<Change>,
    is_known: watch::Sender<bool>,
}

/// What became different.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// A machine is new, or has another name or other labels.
    Machine(WorkspaceId, MachineId),
    /// A machine left its workspace.
    Removed(WorkspaceId, MachineId),
    /// Tokens became void.
    Revoked,
}

impl Default for Directory {
    fn default() -> Self {
        Self::new()
    }
}

impl Directory {
    /// One that knows nothing yet.
    pub fn new() -> Self {
        Self {
            shared: Arc::new(Shared {
                facts: Mutex::default(),
                incoming: Mutex::default(),
                changes: broadcast::Sender::new(CHANGES),
                is_known: watch::Sender::new(false),
            }),
        }
    }

    fn facts(&self) -> Arc<Facts> {
        self.shared
            .facts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// A connection to the control plane begins: what follows up to `synced` is the whole truth.
    pub fn begin(&self) {
        *self
            .shared
            .incoming
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(Facts::default());
    }

    /// Takes in one event.
    pub fn apply(&self, event: v1::control_event::Event) -> Result<(), Refusal> {
        use v1::control_event::Event;
        let mut incoming = self
            .shared
            .incoming
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if matches!(event, Event::Synced(_)) {
            let complete = incoming.take();
            drop(incoming);
            if let Some(facts) = complete {
                self.replace(facts);
            }
            return Ok(());
        }
        if let Some(facts) = incoming.as_mut() {
            return facts.apply(event).map(drop);
        }
        drop(incoming);
        let mut facts = self
            .shared
            .facts
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let change = Arc::make_mut(&mut facts).apply(event)?;
        drop(facts);
        if let Some(change) = change {
            // Nobody may be following.
            let _ = self.shared.changes.send(change);
        }
        Ok(())
    }

    fn replace(&self, new: Facts) {
        let mut facts = self
            .shared
            .facts
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let old = std::mem::replace(&mut *facts, Arc::new(new));
        let new = facts.clone();
        drop(facts);
        self.shared.is_known.send_replace(true);
        for change in new.changes_since(&old) {
            let _ = self.shared.changes.send(change);
        }
        let _ = self.shared.changes.send(Change::Revoked);
    }

    /// What is kept on disk.
    pub fn snapshot(&self) -> Snapshot {
        self.facts().snapshot()
    }

    /// Starts from what was kept on disk.
    pub fn restore(&self, snapshot: Snapshot) -> Result<(), Refusal> {
        self.replace(Facts::from_snapshot(snapshot)?);
        Ok(())
    }

    /// Returns once something is known: from disk or from the control plane.
    pub async fn known(&self) {
        let mut is_known = self.shared.is_known.subscribe();
        // The sender lives as long as we do.
        let _ = is_known.wait_for(|known| *known).await;
    }

    /// Whether anything is known.
    pub fn is_known(&self) -> bool {
        *self.shared.is_known.borrow()
    }

    pub(crate) fn follow(&self) -> broadcast::Receiver<Change> {
        self.shared.changes.subscribe()
    }

    // ------------------------------------------------------------ questions

    /// The claims of a token that is good now: signed for relays by a key that the control plane named, of
    /// this time, and not revoked. Every refusal says which of these failed.
    pub fn verify(&self, token: &str) -> Result<Claims, Refusal> {
        let facts = self.facts();
        let now = (cmdop_service::now_ms() / 1000) as i64;
        let claims = facts.keys()?.verify(token, RELAY_AUDIENCE, now)?;
        if facts.is_revoked(&claims) {
            return Err(revoked());
        }
        Ok(claims)
    }

    pub(crate) fn is_revoked(&self, claims: &Claims) -> bool {
        self.facts().is_revoked(claims)
    }

    /// A machine that the bearer of these claims reaches, by its name or id. One that it does not reach is
    /// not there.
    pub(crate) fn find(&self, claims: &Claims, name_or_id: &str) -> Result<Enrolled, Refusal> {
        self.facts()
            .find(claims, name_or_id)
            .cloned()
            .ok_or_else(|| {
                let name = cmdop_proto::text::shown(name_or_id, 64);
                Refusal::not_found("machine-unknown", format!("there is no machine `{name}`"))
                    .hint("`cmdop machines` lists those that there are")
            })
    }

    pub(crate) fn machine(&self, id: MachineId) -> Option<Enrolled> {
        self.facts().machine(id).cloned()
    }

    /// Its name; empty when it is gone.
    pub(crate) fn machine_name(&self, id: MachineId) -> String {
        self.facts()
            .machine(id)
            .map(|m| m.name.clone())
            .unwrap_or_default()
    }

    /// The machines that the bearer of these claims reaches.
    pub(crate) fn machines(&self, claims: &Claims) -> Vec<Enrolled> {
        self.facts().machines(claims).cloned().collect()
    }

    /// The machine, if the bearer of these claims reaches it.
    pub(crate) fn reached(&self, claims: &Claims, id: MachineId) -> Option<Enrolled> {
        let facts = self.facts();
        let machine = facts.machine(id)?;
        machine.is_reached_by(claims).then(|| machine.clone())
    }

    /// Whether the bearer of these claims, who belongs to the machine's workspace, reaches it.
    pub(crate) fn is_reached(&self, claims: &Claims, id: MachineId) -> bool {
        // Also one that has left: its sessions are still told of.
        claims.reach.is_all()
            || self
                .facts()
                .machine(id)
                .is_some_and(|machine| machine.is_reached_by(claims))
    }
}

/// The token was good once.
pub(crate) fn revoked() -> Refusal {
    Refusal::denied("token-revoked", "the token has been revoked")
        .hint("log in again with `cmdop login`, or ask an administrator of the workspace")
}

/// The keys of a relay that never heard of its control plane.
fn no_keys() -> Refusal {
    Refusal::unavailable(
        "unreachable",
        "the relay has not heard from its control plane yet",
    )
    .hint("check that the control plane runs and that the relay reaches it")
}

type Machines = HashMap<MachineId, Enrolled>;
type Keys = Option<KeySet>;
