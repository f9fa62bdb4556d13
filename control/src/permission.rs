//! Who may do what: one table. Every call names its action here and is decided here; nothing else in
//! the control plane compares a role or looks at a scope. (What callers may do with sessions and files,
//! relays decide: `relay/src/permission.rs`.)

use cmdop_proto::scope::{Scope, Scopes};
use cmdop_proto::token::Role;

/// Something that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Ask who one is.
    KnowOneself,
    /// Ask what a token of the workspace is good for.
    CheckTokens,
    /// See machines and fleets.
    SeeMachines,
    /// Rename and label machines.
    ChangeMachines,
    /// Remove machines.
    RemoveMachines,
    /// Make tokens with which machines join.
    EnrolMachines,
    /// Make, rename and remove fleets, and put machines into them.
    ChangeFleets,
    /// See who belongs to the workspace.
    SeeMembers,
    /// Give others a role, remove them, invite more: see [`may_give`] besides.
    ManageMembers,
    /// Issue, see and revoke keys of one's own.
    OwnKeys,
    /// See and revoke the keys of others.
    KeysOfOthers,
    /// Read the audit log.
    ReadAudit,
    /// Read the catalogue of sessions.
    SeeSessions,
    /// See schedules and what they did.
    SeeSchedules,
    /// Make schedules, and change one's own.
    ChangeSchedules,
    /// Change the schedules of others.
    SchedulesOfOthers,
    /// Have programs run by a schedule: asked besides, and of its owner whenever it runs.
    RunPrograms,
    /// See the names of files that others worked on.
    SeePaths,
}

/// What an action takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rule {
    /// Which action.
    pub action: Action,
    /// The lowest role that may.
    pub least: Role,
    /// What a token that names scopes must have; none: any token will do.
    pub scope: Option<Scope>,
    /// How a refusal says it: "… may not …".
    pub words: &'static str,
}

const fn rule(action: Action, least: Role, scope: Option<Scope>, words: &'static str) -> Rule {
    Rule {
        action,
        least,
        scope,
        words,
    }
}

/// The table.
#[rustfmt::skip]
pub(crate) const TABLE: [Rule; 18] = [
    rule(Action::KnowOneself,    Role::Guest,  None,                       "ask who they are"),
    rule(Action::CheckTokens,    Role::Guest,  None,                       "check tokens"),
    rule(Action::SeeMachines,    Role::Guest,  Some(Scope::MachinesRead),  "see machines"),
    rule(Action::ChangeMachines, Role::Admin,  Some(Scope::MachinesWrite), "change a machine"),
    rule(Action::RemoveMachines, Role::Admin,  Some(Scope::MachinesWrite), "remove a machine"),
    rule(Action::EnrolMachines,  Role::Admin,  Some(Scope::MachinesWrite), "enrol machines"),
    rule(Action::ChangeFleets,   Role::Admin,  Some(Scope::MachinesWrite), "change fleets"),
    rule(Action::SeeMembers,     Role::Guest,  Some(Scope::Admin),         "see members"),
    rule(Action::ManageMembers,  Role::Admin,  Some(Scope::Admin),         "manage members"),
    rule(Action::OwnKeys,        Role::Member, Some(Scope::Admin),         "manage API keys"),
    rule(Action::KeysOfOthers,   Role::Admin,  Some(Scope::Admin),         "manage the API keys of others"),
    rule(Action::ReadAudit,      Role::Admin,  Some(Scope::Admin),         "read the audit log"),
    rule(Action::SeeSessions,    Role::Guest,  Some(Scope::SessionsRead),  "see sessions"),
    rule(Action::SeeSchedules,   Role::Member, Some(Scope::Schedules),     "see schedules"),
    rule(Action::ChangeSchedules, Role::Member, Some(Scope::Schedules),    "change schedules"),
    rule(Action::SchedulesOfOthers, Role::Admin, Some(Scope::Schedules),   "change the schedules of others"),
    rule(Action::RunPrograms,    Role::Member, Some(Scope::Exec),          "run programs"),
    rule(Action::SeePaths,       Role::Member, Some(Scope::FilesRead),     "see the names of files"),
];

/// Why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Denied {
    /// It takes this role.
    Role(Role),
    /// It takes this scope.
    Scope(Scope),
}

/// The row of an action.
pub(crate) fn rule_of(action: Action) -> &'static Rule {
    TABLE
        .iter()
        .find(|rule| rule.action == action)
        .expect("a test finds each action in the table")
}

/// Whether an account with `role`, by a token with `scopes` (none: all), may.
pub(crate) fn check(action: Action, role: Role, scopes: Option<Scopes>) -> Result<(), Denied> {
    let rule = rule_of(action);
    if role < rule.least {
        return Err(Denied::Role(rule.least));
    }
    match (rule.scope, scopes) {
        (Some(needed), Some(given)) if !given.contains(needed) => Err(Denied::Scope(needed)),
        _ => Ok(()),
    }
}

/// Whether `by`, who manages members, may make one with `from` (nobody yet: none) one with `to` (gone:
/// none): nobody reaches above themselves.
pub(crate) fn may_give(by: Role, from: Option<Role>, to: Option<Role>) -> bool {
    [from, to].into_iter().flatten().all(|role| role <= by)
}

/// Whether an invitation still makes somebody with `to`, when `by` is what its inviter is now.
pub(crate) fn may_invite(by: Role, to: Role) -> bool {
    check(Action::ManageMembers, by, None).is_ok() && may_give(by, None, Some(to))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROLES: [Role; 4] = [Role::Guest, Role::Member, Role::Admin, Role::Owner];

    const ACTIONS: [Action; 18] = [
        Action::KnowOneself,
        Action::CheckTokens,
        Action::SeeMachines,
        Action::ChangeMachines,
        Action::RemoveMachines,
        Action::EnrolMachines,
        Action::ChangeFleets,
        Action::SeeMembers,
        Action::ManageMembers,
        Action::OwnKeys,
        Action::KeysOfOthers,
        Action::ReadAudit,
        Action::SeeSessions,
        Action::SeeSchedules,
        Action::ChangeSchedules,
        Action::SchedulesOfOthers,
        Action::RunPrograms,
        Action::SeePaths,
    ];

    #[test]
    fn every_action_has_one_row() {
        for action in ACTIONS {
            let rows = TABLE.iter().filter(|rule| rule.action == action).count();
            assert_eq!(rows, 1, "{action:?}");
        }
        assert_eq!(TABLE.len(), ACTIONS.len());
    }

    /// What each role may, written out: whoever changes the table changes this on purpose.
    #[test]
    fn each_role_may_exactly_this() {
        let may = |role| -> Vec<Action> {
            let may = |action: &Action| check(*action, role, None).is_ok();
            ACTIONS.into_iter().filter(may).collect()
        };
        let guest = [
            Action::KnowOneself,
            Action::CheckTokens,
            Action::SeeMachines,
            Action::SeeMembers,
            Action::SeeSessions,
        ];
        assert_eq!(may(Role::Guest), guest);
        let member: Vec<_> = may(Role::Member);
        let only_member: Vec<_> = member.iter().filter(|a| !guest.contains(a)).collect();
        let expected = [
            Action::OwnKeys,
            Action::SeeSchedules,
            Action::ChangeSchedules,
            Action::RunPrograms,
            Action::SeePaths,
        ];
        assert!(only_member.into_iter().eq(&expected));
        assert_eq!(may(Role::Admin), ACTIONS);
        assert_eq!(may(Role::Owner), ACTIONS);
    }

    #[test]
    fn a_scope_narrows_and_never_widens() {
        for role in ROLES {
            for action in ACTIONS {
                let plain = check(action, role, None).is_ok();
                let everything: Scopes = Scope::ALL.into_iter().collect();
                assert_eq!(check(action, role, Some(everything)).is_ok(), plain);
                let rule = rule_of(action);
                let nothing = check(action, role, Some(Scopes::default())).is_ok();
                assert_eq!(nothing, plain && rule.scope.is_none(), "{action:?}");
                for scope in Scope::ALL {
                    let alone = [scope].into_iter().collect();
                    let expected = plain && rule.scope.is_none_or(|needed| needed == scope);
                    assert_eq!(check(action, role, Some(alone)).is_ok(), expected);
                }
            }
        }
    }

    #[test]
    fn nobody_reaches_above_themselves() {
        for by in ROLES {
            for from in ROLES.map(Some).into_iter().chain([None]) {
                for to in ROLES.map(Some).into_iter().chain([None]) {
                    let reaches = from.is_none_or(|r| r <= by) && to.is_none_or(|r| r <= by);
                    assert_eq!(may_give(by, from, to), reaches);
                }
            }
        }
        assert!(!may_give(Role::Admin, Some(Role::Owner), None));
        assert!(!may_give(
            Role::Admin,
            Some(Role::Member),
            Some(Role::Owner)
        ));
        assert!(may_give(Role::Owner, Some(Role::Owner), Some(Role::Guest)));
        assert!(may_invite(Role::Admin, Role::Admin) && !may_invite(Role::Admin, Role::Owner));
        assert!(!may_invite(Role::Member, Role::Guest));
    }
}
