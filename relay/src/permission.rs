//! Who may do what with machines, sessions and files: one table. Every call of a client names its action
//! here before anything else happens; nothing else in the relay compares a role or looks at a scope,
//! but for what is finer than a call: what each request on an open file stream may do (`file_access`),
//! and who takes a keyboard from whom (`session/keyboard`).

use cmdop_proto::scope::{Scope, Scopes};
use cmdop_proto::token::Role;

/// Something that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Ask the relay for its version and clock.
    SayHello,
    /// See machines and their readings.
    SeeMachines,
    /// See which sessions there are.
    SeeSessions,
    /// Attach; in which mode is checked besides.
    Attach,
    /// See what is on a session's screen, or was.
    WatchSessions,
    /// Start, type into, resize, signal, rename and close sessions, and decide who types.
    OperateSessions,
    /// Run programs.
    RunPrograms,
    /// Open files; what is done with them is checked besides.
    OpenFiles,
}

/// What an action takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rule {
    /// Which action.
    pub(crate) action: Action,
    /// The lowest role that may.
    pub(crate) least: Role,
    /// A token that names scopes must have one of these; none: any token will do.
    pub(crate) one_of: &'static [Scope],
}

const fn rule(action: Action, least: Role, one_of: &'static [Scope]) -> Rule {
    Rule {
        action,
        least,
        one_of,
    }
}

/// The table.
#[rustfmt::skip]
pub(crate) const TABLE: [Rule; 8] = [
    rule(Action::SayHello,        Role::Guest,  &[]),
    rule(Action::SeeMachines,     Role::Guest,  &[Scope::MachinesRead]),
    rule(Action::SeeSessions,     Role::Guest,  &[Scope::SessionsRead, Scope::SessionsOperate]),
    rule(Action::Attach,          Role::Guest,  &[Scope::SessionsRead, Scope::SessionsOperate]),
    rule(Action::WatchSessions,   Role::Guest,  &[Scope::SessionsRead]),
    rule(Action::OperateSessions, Role::Member, &[Scope::SessionsOperate]),
    rule(Action::RunPrograms,     Role::Member, &[Scope::Exec]),
    rule(Action::OpenFiles,       Role::Guest,  &[Scope::FilesRead, Scope::FilesWrite]),
];

/// Which action each call of a client is: what a reader looks up, and what a test compares with the
/// services' own descriptors, so that no new call is forgotten.
#[cfg(test)]
pub(crate) const CALLS: [(&str, Action); 19] = [
    ("SessionService/Create", Action::OperateSessions),
    ("SessionService/List", Action::SeeSessions),
    ("SessionService/Get", Action::SeeSessions),
    ("SessionService/Watch", Action::SeeSessions),
    ("SessionService/Attach", Action::Attach),
    ("SessionService/Rename", Action::OperateSessions),
    ("SessionService/Send", Action::OperateSessions),
    ("SessionService/Capture", Action::WatchSessions),
    ("SessionService/History", Action::WatchSessions),
    ("SessionService/Resize", Action::OperateSessions),
    ("SessionService/Keyboard", Action::SeeSessions),
    ("SessionService/Signal", Action::OperateSessions),
    ("SessionService/Close", Action::OperateSessions),
    ("ExecService/Run", Action::RunPrograms),
    ("FileService/Open", Action::OpenFiles),
    ("FileService/Feed", Action::OpenFiles),
    ("FleetService/List", Action::SeeMachines),
    ("FleetService/Watch", Action::SeeMachines),
    ("FleetService/Hello", Action::SayHello),
];

/// Why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Denied {
    /// It takes this role.
    Role(Role),
    /// It takes one of these scopes.
    Scope(&'static [Scope]),
}

/// Whether a token with `role` (without one it is nobody's) and `scopes` (none: all) may.
pub(crate) fn check(
    action: Action,
    role: Option<Role>,
    scopes: Option<Scopes>,
) -> Result<(), Denied> {
    let rule = TABLE
        .iter()
        .find(|rule| rule.action == action)
        .expect("a test finds each action in the table");
    if role.is_none_or(|role| role < rule.least) {
        return Err(Denied::Role(rule.least));
    }
    let has = |given: Scopes| rule.one_of.iter().any(|scope| given.contains(*scope));
    match scopes {
        Some(given) if !rule.one_of.is_empty() && !has(given) => Err(Denied::Scope(rule.one_of)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;
    use prost_types::FileDescriptorSet;

    use super::*;

    const ROLES: [Role; 4] = [Role::Guest, Role::Member, Role::Admin, Role::Owner];

    #[test]
    fn every_call_of_a_client_is_in_the_table() {
        let set = FileDescriptorSet::decode(cmdop_proto::FILE_DESCRIPTOR_SET).unwrap();
        let ours = [
            "SessionService",
            "ExecService",
            "FileService",
            "FleetService",
        ];
        let mut calls = Vec::new();
        for service in set.file.iter().flat_map(|file| &file.service) {
            if ours.contains(&service.name()) {
                let methods = service.method.iter();
                calls.extend(methods.map(|m| format!("{}/{}", service.name(), m.name())));
            }
        }
        let mut listed = CALLS.map(|(call, _)| call.to_owned());
        listed.sort();
        calls.sort();
        assert_eq!(calls, listed);
        for (_, action) in CALLS {
            let rows = TABLE.iter().filter(|rule| rule.action == action).count();
            assert_eq!(rows, 1, "{action:?}");
        }
    }

    #[test]
    fn a_guest_watches_and_a_member_operates() {
        for rule in TABLE {
            let changes = matches!(rule.action, Action::OperateSessions | Action::RunPrograms);
            for role in ROLES {
                let may = check(rule.action, Some(role), None).is_ok();
                assert_eq!(may, !changes || role >= Role::Member, "{rule:?} {role:?}");
            }
            assert!(check(rule.action, None, None).is_err(), "{rule:?}");
        }
    }

    #[test]
    fn a_scope_narrows_and_never_widens() {
        for rule in TABLE {
            for role in ROLES {
                let plain = check(rule.action, Some(role), None).is_ok();
                for scope in Scope::ALL {
                    let alone = Some([scope].into_iter().collect());
                    let expected = rule.one_of.is_empty() || rule.one_of.contains(&scope);
                    let may = check(rule.action, Some(role), alone).is_ok();
                    assert_eq!(may, plain && expected, "{rule:?} {role:?} {scope:?}");
                }
                let nothing = check(rule.action, Some(role), Some(Scopes::default())).is_ok();
                assert_eq!(nothing, plain && rule.one_of.is_empty());
            }
        }
    }
}
