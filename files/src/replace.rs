//! Giving a finished file its name, without ever taking away what nobody knew of.

use std::ffi::OsStr;
use std::os::fd::AsFd;

use cmdop_proto::{Refusal, v1};
use rustix::fs::{AtFlags, RenameFlags};
use rustix::io::Errno;

use crate::entry::{is_same, kind, present, version};
use crate::fault::{fault, shown};

/// What was found at the destination when the writing began.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Expected {
    Nothing,
    This(v1::FileVersion),
}

impl Expected {
    /// What stands there now, if it may be replaced.
    pub(crate) fn find(
        directory: impl AsFd,
        name: &OsStr,
        path: &[u8],
        replace: v1::FileReplace,
    ) -> Result<Self, Refusal> {
        let found = present(directory, name).map_err(|errno| fault("look at", path, errno))?;
        let Some(stat) = found else {
            return Ok(Self::Nothing);
        };
        match kind(&stat) {
            v1::FileKind::Directory => Err(fault("replace", path, Errno::ISDIR)),
            _ if replace == v1::FileReplace::Never => Err(fault("make", path, Errno::EXIST)),
            _ => Ok(Self::This(version(&stat))),
        }
    }
}

/// Renames `temporary` to `name` if the destination is what was expected.
pub(crate) fn put_in_place(
    directory: impl AsFd,
    temporary: &OsStr,
    name: &OsStr,
    expected: Expected,
    path: &[u8],
) -> Result<(), Refusal> {
    let directory = directory.as_fd();
    let done = match expected {
        Expected::Nothing => rename(directory, temporary, name, RenameFlags::NOREPLACE),
        Expected::This(version) => exchange(directory, temporary, name, &version),
    };
    match done {
        Ok(()) => Ok(()),
        Err(Errno::EXIST | Errno::STALE) => Err(changed(path)),
        // A file system that can neither: then what is left is to look first.
        Err(Errno::INVAL | Errno::NOSYS) => {
            look_and_rename(directory, temporary, name, expected, path)
        }
        Err(errno) => Err(fault("give its name to", path, errno)),
    }
}

fn rename(directory: impl AsFd, from: &OsStr, to: &OsStr, flags: RenameFlags) -> Result<(), Errno> {
    let directory = directory.as_fd();
    rustix::fs::renameat_with(directory, from, directory, to, flags)
}

/// Both change places, and what is now under the temporary name is looked at: if it is not what was
/// expected, they change back.
fn exchange(
    directory: impl AsFd,
    temporary: &OsStr,
    name: &OsStr,
    expected: &v1::FileVersion,
) -> Result<(), Errno> {
    let directory = directory.as_fd();
    match rename(directory, temporary, name, RenameFlags::EXCHANGE) {
        Ok(()) => {}
        // Somebody removed it: nothing is lost by taking the place.
        Err(Errno::NOENT) => return rename(directory, temporary, name, RenameFlags::NOREPLACE),
        Err(errno) => return Err(errno),
    }
    let old = present(directory, temporary)?;
    if old.is_some_and(|old| is_same(&version(&old), expected)) {
        return rustix::fs::unlinkat(directory, temporary, AtFlags::empty());
    }
    rename(directory, temporary, name, RenameFlags::EXCHANGE)?;
    Err(Errno::STALE)
}

fn look_and_rename(
    directory: impl AsFd,
    temporary: &OsStr,
    name: &OsStr,
    expected: Expected,
    path: &[u8],
) -> Result<(), Refusal> {
    let directory = directory.as_fd();
    let say = |errno| fault("give its name to", path, errno);
    let found = present(directory, name).map_err(say)?;
    let is_expected = match (found, expected) {
        (None, _) => true,
        (Some(_), Expected::Nothing) => false,
        (Some(stat), Expected::This(wanted)) => is_same(&version(&stat), &wanted),
    };
    if !is_expected {
        return Err(changed(path));
    }
    rustix::fs::renameat(directory, temporary, directory, name).map_err(say)
}

fn changed(path: &[u8]) -> Refusal {
    Refusal::invalid(
        "destination-changed",
        format!(
            "{} was changed by somebody else meanwhile; it was left as it is",
            shown(path)
        ),
    )
    .hint("look at it, then copy again")
}
