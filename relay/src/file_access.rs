//! Who may do what with files: by role, and by the scope of the token. Each message is checked here, whichever
//! way it came; the agent checks again.
//!
//! A token that is for no files at all does not come here: the table of permissions refuses its call. It is
//! refused here all the same, a second lock on purpose: nothing that is written here leans on that table.

use cmdop_proto::scope::Scope;
use cmdop_proto::token::Role;
use cmdop_proto::{Refusal, file_change, v1};
use v1::file_request::Request as Ask;

use crate::caller::Account;
use crate::feed::Owner;
use crate::file_streams::{Caller, FileStream};

/// The scopes of tokens that are about files. Whoever may write may read what is there.
const READ: Scope = Scope::FilesRead;
const WRITE: Scope = Scope::FilesWrite;

/// What the account may do, if anything: a member reads and writes, a guest reads what its machine lets guests
/// read; a token with a scope, no more than that says.
pub(crate) fn caller(account: &Account) -> Result<Caller, Refusal> {
    let claims = &account.claims;
    let writes = claims.is_scoped_for(WRITE);
    if !writes && !claims.is_scoped_for(READ) {
        return Err(out_of_scope(account, READ));
    }
    let operates = claims.role.is_some_and(Role::can_operate);
    Ok(Caller {
        account: account.name(),
        owner: owner(account),
        is_narrowed: operates && !writes,
        access: if operates && writes {
            v1::FileAccess::Write
        } else {
            v1::FileAccess::Read
        },
    })
}

/// Whose streams and feeds belong together.
pub(crate) fn owner(account: &Account) -> Owner {
    Owner {
        workspace: account.workspace(),
        account: account.claims.sub.clone(),
    }
}

/// Refuses whoever may not write anywhere.
pub(crate) fn require_write(account: &Account) -> Result<(), Refusal> {
    let caller = caller(account)?;
    if caller.access == v1::FileAccess::Write {
        return Ok(());
    }
    Err(may_only_read(&caller, "writing"))
}

/// Refuses what the caller may not, or what no client of ours sends.
pub(crate) fn check(stream: &FileStream, request: &v1::FileRequest) -> Result<(), Refusal> {
    let Some(ask) = &request.request else {
        // An operation of a newer client: the agent says that it does not know it.
        return Ok(());
    };
    if let Ask::Open(_) = ask {
        return Err(Refusal::invalid(
            "bad-request",
            "`open` can only come first",
        ));
    }
    match file_change::verb(ask) {
        Some(verb) if stream.caller.access != v1::FileAccess::Write => {
            Err(may_only_read(&stream.caller, verb))
        }
        _ => Ok(()),
    }
}

fn may_only_read(caller: &Caller, verb: &str) -> Refusal {
    if caller.is_narrowed {
        return Refusal::denied(
            "scope-missing",
            format!(
                "the key of {} may only read files: {verb} takes the scope {}",
                caller.account,
                WRITE.as_str()
            ),
        )
        .hint("use a key that was issued with this scope");
    }
    Refusal::denied(
        "role-too-low",
        format!(
            "{} may only read files: {verb} takes a member",
            caller.account
        ),
    )
    .hint("ask an administrator of the workspace for another role")
}

fn out_of_scope(account: &Account, scope: Scope) -> Refusal {
    Refusal::denied(
        "scope-missing",
        format!(
            "the key of {} is not for files: it takes the scope {}",
            account.name(),
            scope.as_str()
        ),
    )
    .hint("use a key that was issued with this scope")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn access(role: Option<Role>, scope: Option<&str>) -> Result<v1::FileAccess, String> {
        let mut account = Account::of_a_test();
        let claims = Arc::make_mut(&mut account.claims);
        claims.role = role;
        claims.scope = scope.map(cmdop_proto::scope::Scopes::read);
        caller(&account)
            .map(|caller| caller.access)
            .map_err(|refusal| refusal.reason)
    }

    #[test]
    fn a_token_may_what_its_role_and_its_scope_both_allow() {
        use v1::FileAccess::{Read, Write};
        let (member, guest) = (Some(Role::Member), Some(Role::Guest));
        let missing = || Err("scope-missing".to_owned());
        for (role, scope, expected) in [
            (member, None, Ok(Write)),
            (member, Some("files:write"), Ok(Write)),
            (member, Some("exec files:read files:write"), Ok(Write)),
            (member, Some("files:read"), Ok(Read)),
            (member, Some("exec sessions:operate"), missing()),
            (member, Some("files:readwrite xfiles:write"), missing()),
            (member, Some(""), missing()),
            (guest, None, Ok(Read)),
            (guest, Some("files:write"), Ok(Read)),
            (None, None, Ok(Read)),
        ] {
            assert_eq!(access(role, scope), expected, "{role:?} {scope:?}");
        }
    }
}
