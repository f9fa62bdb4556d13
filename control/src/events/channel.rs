//! Channels by name: whose events they carry, and what it takes to hear them.

use cmdop_proto::{SessionId, WorkspaceId};

use super::protocol::MAX_CHANNEL;
use crate::permission::Action;
use crate::store::Stream;

/// A channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Channel {
    /// `workspace:<id>`: machines, sessions, files.
    Workspace(WorkspaceId),
    /// `session:<id>`: one session.
    Session(SessionId),
    /// `audit:<workspace id>`: the audit log.
    Audit(WorkspaceId),
}

impl Channel {
    /// Reads a name; nothing if there is no channel of that kind.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        if name.len() > MAX_CHANNEL {
            return None;
        }
        match name.split_once(':')? {
            ("workspace", id) => id.parse().ok().map(Self::Workspace),
            ("session", id) => id.parse().ok().map(Self::Session),
            ("audit", id) => id.parse().ok().map(Self::Audit),
            _ => None,
        }
    }

    /// Its stream, in its workspace.
    pub(crate) fn stream(self) -> Stream {
        match self {
            Self::Workspace(_) => Stream::Workspace,
            Self::Session(id) => Stream::Session(id),
            Self::Audit(_) => Stream::Audit,
        }
    }

    /// Which workspace it names, if it names one.
    pub(crate) fn workspace(self) -> Option<WorkspaceId> {
        match self {
            Self::Workspace(id) | Self::Audit(id) => Some(id),
            Self::Session(_) => None,
        }
    }

    /// All that one must be allowed to do to hear it.
    pub(crate) fn takes(self) -> &'static [Action] {
        match self {
            Self::Workspace(_) => &[Action::SeeMachines, Action::SeeSessions],
            Self::Session(_) => &[Action::SeeSessions],
            Self::Audit(_) => &[Action::ReadAudit],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_kind_and_an_id_and_nothing_else() {
        let workspace = WorkspaceId::new();
        let named = |kind: &str| Channel::parse(&format!("{kind}:{workspace}"));
        assert_eq!(named("workspace"), Some(Channel::Workspace(workspace)));
        assert_eq!(named("audit"), Some(Channel::Audit(workspace)));
        assert!(matches!(named("session"), Some(Channel::Session(_))));
        for bad in ["", "workspace", "workspace:", "workspace:*", "user:1", "$x"] {
            assert_eq!(Channel::parse(bad), None, "{bad}");
        }
        let long = format!("workspace:{workspace}{}", " ".repeat(64));
        assert_eq!(Channel::parse(&long), None);
    }
}
