//! The sessions that one caller may know of: those of its workspace, on the machines that it reaches. Whoever
//! answers a client looks for sessions here, and nowhere else.

use std::sync::Arc;

use cmdop_proto::token::Claims;
use cmdop_proto::{MachineId, Refusal, SessionId};
use tokio::sync::broadcast;

use crate::directory::Directory;
use crate::session::Session;
use crate::workspace::{RequestKey, Workspace};

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Reached {
    workspace: Arc<Workspace>,
    directory: Directory,
    claims: Arc<Claims>,
}

impl Reached {
    /// What the bearer of these claims, which belong to `workspace`, may know of.
    pub(crate) fn new(
        workspace: Arc<Workspace>,
        directory: Directory,
        claims: Arc<Claims>,
    ) -> Self {
        debug_assert_eq!(workspace.id(), claims.wid);
        Self {
            workspace,
            directory,
            claims,
        }
    }

    /// The session that people mean by `reference`: see [`Workspace::find`].
    pub(crate) fn find(&self, reference: &str) -> Result<Arc<Session>, Refusal> {
        let is_reached = |session: &Session| self.reaches(session.machine);
        self.workspace.find(reference, is_reached)
    }

    pub(crate) fn get(&self, id: SessionId) -> Option<Arc<Session>> {
        let session = self.workspace.get(id)?;
        self.reaches(session.machine).then_some(session)
    }

    /// What a request made before: see [`Workspace::made_by`].
    pub(crate) fn made_by(&self, request: &RequestKey) -> Option<Arc<Session>> {
        let session = self.workspace.made_by(request)?;
        self.reaches(session.machine).then_some(session)
    }

    /// All of them, the ended ones too, in the order of their ids.
    pub(crate) fn all(&self) -> Vec<Arc<Session>> {
        let mut all = self.workspace.all();
        all.retain(|session| self.reaches(session.machine));
        all
    }

    /// Those of one machine; none, if it is not reached.
    pub(crate) fn of_machine(&self, machine: MachineId) -> Vec<Arc<Session>> {
        if self.reaches(machine) {
            self.workspace.of_machine(machine)
        } else {
            Vec::new()
        }
    }

    /// Which sessions of the workspace change, those that are not reached too: [`Self::get`] finds the others.
    pub(crate) fn watch(&self) -> broadcast::Receiver<SessionId> {
        self.workspace.watch()
    }

    /// Where sessions are entered and get their names, which are unique in the whole workspace.
    pub(crate) fn workspace(&self) -> &Arc<Workspace> {
        &self.workspace
    }

    fn reaches(&self, machine: MachineId) -> bool {
        self.directory.is_reached(&self.claims, machine)
    }
}
