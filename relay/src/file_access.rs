//! Who may do what with files, and what is said of it in the log. The one place of the relay that looks
//! into a request: whether it writes, and which paths it names.

use cmdop_proto::token::Role;
use cmdop_proto::{Refusal, limits, text, v1};
use v1::file_request::Request as Ask;

use crate::caller::Account;
use crate::file_streams::{Caller, FileStream};

/// What the account may do: a member reads and writes, a guest reads what its machine lets guests read.
pub(crate) fn caller(account: &Account) -> Caller {
    let writes = account.claims.role.is_some_and(Role::can_operate);
    Caller {
        account: account.name(),
        access: if writes {
            v1::FileAccess::Write
        } else {
            v1::FileAccess::Read
        },
    }
}

/// Refuses what the caller may not, or what no client of ours sends; puts changes into the log.
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
    let Some((operation, paths)) = change(ask) else {
        return Ok(());
    };
    if stream.caller.access != v1::FileAccess::Write {
        return Err(Refusal::denied(
            "role-too-low",
            format!(
                "{} may only read files: {operation} takes a member",
                stream.caller.account
            ),
        )
        .hint("ask an administrator of the workspace for another role"));
    }
    for path in paths {
        tracing::info!(
            target: "audit",
            stream = %stream.id,
            account = %stream.caller.account,
            machine = %stream.machine_name,
            operation,
            path = shown(path),
            "a file is changed"
        );
    }
    Ok(())
}

fn shown(path: &[u8]) -> String {
    text::shown(&String::from_utf8_lossy(path), limits::MAX_PATH)
}

/// What a request changes: the operation's name and the paths. `None`: it reads.
fn change(ask: &Ask) -> Option<(&'static str, Vec<&[u8]>)> {
    Some(match ask {
        Ask::Create(create) => ("write", vec![&create.path]),
        // Of what was created: that was told.
        Ask::Write(_) => ("write", Vec::new()),
        Ask::Commit(_) | Ask::Settle(_) => ("commit", Vec::new()),
        Ask::Put(put) => ("put", put.files.iter().map(|file| &file.path[..]).collect()),
        Ask::Mkdir(mkdir) => ("mkdir", mkdir.paths.iter().map(|path| &path[..]).collect()),
        Ask::Remove(remove) => ("remove", vec![&remove.path]),
        Ask::Rename(rename) => ("rename", vec![&rename.from, &rename.to]),
        Ask::Copy(copy) => ("copy", vec![&copy.to]),
        Ask::Attributes(attributes) => {
            let paths = attributes.attributes.iter().map(|one| &one.path[..]);
            ("attributes", paths.collect())
        }
        Ask::Symlink(symlink) => ("symlink", vec![&symlink.path]),
        // Closing gives up only what this stream was writing itself.
        Ask::Open(_)
        | Ask::Stat(_)
        | Ask::List(_)
        | Ask::Reader(_)
        | Ask::Read(_)
        | Ask::Map(_)
        | Ask::Digest(_)
        | Ask::Close(_)
        | Ask::Fetch(_)
        | Ask::Search(_)
        | Ask::Watch(_)
        | Ask::Usage(_) => return None,
    })
}
