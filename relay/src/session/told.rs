//! What the control plane is told of a session: its record, when its state or its name is another one.
//! Not each change of it: offsets and clients come and go all the time.

use cmdop_proto::v1;

use super::Session;
use crate::workspace::Workspace;

/// What was told last.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    status: i32,
    name: String,
}

impl Session {
    /// Tells the state, if it is another one than was told last. The session must not be locked.
    pub(super) fn tell_control(&self, workspace: &Workspace) {
        let reporter = &self.context.reporter;
        if !reporter.is_heard() {
            return;
        }
        // Read and told under one lock: the order of reports is that of the states. Who holds it takes the
        // session's own for the record, never the other way round, and waits for nothing.
        let mut told = self.told.lock();
        let record: v1::Session = self.record();
        let now = Told {
            status: record.status,
            name: record.name.clone(),
        };
        if *told != now {
            *told = now;
            reporter.session(workspace.id(), record);
        }
    }
}
