//! What the system says, as refusals: one place, so that a full disk is called the same everywhere.

use cmdop_proto::{ErrorKind, Refusal, text};
use rustix::io::Errno;

/// A path as a person may see it: bytes that are no text are replaced.
pub(crate) fn shown(path: &[u8]) -> String {
    text::shown(&String::from_utf8_lossy(path), 512)
}

/// Why `what` could not be done on `path`.
pub(crate) fn fault(what: &str, path: &[u8], errno: Errno) -> Refusal {
    let path = shown(path);
    let (kind, reason, why) = meaning(errno);
    let why = why.map_or_else(|| std::io::Error::from(errno).to_string(), str::to_owned);
    let refusal = Refusal::new(kind, reason, format!("cannot {what} {path}: {why}"));
    match reason {
        "disk-full" => refusal.hint("make room on that file system, then go on with --resume"),
        "path-outside" => {
            refusal.hint("the machine's configuration confines this role to some directories")
        }
        _ => refusal,
    }
}

fn meaning(errno: Errno) -> (ErrorKind, &'static str, Option<&'static str>) {
    match errno {
        Errno::NOENT => (
            ErrorKind::NotFound,
            "file-unknown",
            Some("there is no such file or directory"),
        ),
        Errno::ACCESS | Errno::PERM => (
            ErrorKind::Denied,
            "file-denied",
            Some("the user may not do that"),
        ),
        Errno::ROFS => (
            ErrorKind::Denied,
            "file-denied",
            Some("the file system is read-only"),
        ),
        Errno::XDEV => (
            ErrorKind::Denied,
            "path-outside",
            Some("it leads out of where this role may be"),
        ),
        Errno::EXIST => (
            ErrorKind::Invalid,
            "file-exists",
            Some("it is there already"),
        ),
        Errno::ISDIR => (
            ErrorKind::Invalid,
            "file-is-directory",
            Some("it is a directory"),
        ),
        Errno::NOTDIR => (
            ErrorKind::Invalid,
            "file-no-directory",
            Some("it is not a directory"),
        ),
        Errno::NOTEMPTY => (
            ErrorKind::Invalid,
            "directory-not-empty",
            Some("the directory is not empty"),
        ),
        Errno::NAMETOOLONG => (ErrorKind::Invalid, "bad-path", Some("the name is too long")),
        Errno::LOOP => (
            ErrorKind::Invalid,
            "bad-path",
            Some("its symbolic links lead in circles, or nowhere that may be followed"),
        ),
        Errno::NOSPC => (
            ErrorKind::Exhausted,
            "disk-full",
            Some("there is no room left on the file system"),
        ),
        Errno::DQUOT => (
            ErrorKind::Exhausted,
            "disk-full",
            Some("the user's quota is used up"),
        ),
        Errno::FBIG => (
            ErrorKind::Exhausted,
            "disk-full",
            Some("the file is larger than the file system or the user's limit allows"),
        ),
        Errno::MFILE | Errno::NFILE => (ErrorKind::Exhausted, "too-many-files", None),
        _ => (ErrorKind::Unavailable, "file-error", None),
    }
}

/// What was asked for is not a regular file.
pub(crate) fn not_a_file(path: &[u8]) -> Refusal {
    let path = shown(path);
    Refusal::invalid(
        "file-not-regular",
        format!(
            "{path} is not a regular file: directories, devices, sockets and pipes are not read"
        ),
    )
}

/// The request cannot be.
pub(crate) fn bad(message: impl Into<String>) -> Refusal {
    Refusal::invalid("bad-request", message)
}
