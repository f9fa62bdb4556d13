//! Where a recording goes: a file that is never overwritten by accident, or stdout.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use cmdop_proto::text::shown;

use crate::cli::failure::Failure;
use crate::cli::stdout::Stdout;

/// What stands for stdout.
const STDOUT: &str = "-";

/// An open recording.
#[derive(Debug)]
pub(super) enum Sink {
    File(File),
    Stdout(Stdout),
}

/// Refuses early what [`Sink::open`] would refuse, before a session is attached to.
pub(super) fn check(path: &Path, force: bool) -> Result<(), Failure> {
    if is_stdout(path) || force || path.symlink_metadata().is_err() {
        return Ok(());
    }
    Err(exists(path))
}

impl Sink {
    /// Makes the file, for its user's eyes only: a session's output may hold secrets.
    pub(super) fn open(path: &Path, force: bool) -> Result<Self, Failure> {
        if is_stdout(path) {
            return Stdout::open().map(Self::Stdout).map_err(Failure::from);
        }
        let mut options = OpenOptions::new();
        options.write(true).mode(0o600);
        if force {
            options.create(true).truncate(true);
        } else {
            options.create_new(true);
        }
        match options.open(path) {
            Ok(file) => Ok(Self::File(file)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(exists(path)),
            Err(error) => {
                let path = name(path);
                Err(Failure::usage(format!("cannot write {path}: {error}")))
            }
        }
    }

    /// Writes something of it; a file takes all. Cancel-safe: nothing is written before it returns.
    pub(super) async fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        match self {
            // In one piece, so that even SIGKILL leaves whole lines.
            Self::File(file) => file.write_all(data).map(|()| data.len()),
            Self::Stdout(stdout) => stdout.write(data).await,
        }
    }
}

/// What people call it.
pub(super) fn name(path: &Path) -> String {
    if is_stdout(path) {
        return "stdout".into();
    }
    shown(&path.to_string_lossy(), 1024)
}

fn is_stdout(path: &Path) -> bool {
    path == Path::new(STDOUT)
}

fn exists(path: &Path) -> Failure {
    Failure::usage(format!("{} exists", name(path))).hint("--force overwrites it")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_that_exists_is_overwritten_only_by_force() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.cast");
        check(&path, false).unwrap();
        let mut sink = Sink::open(&path, false).unwrap();
        assert_eq!(sink.write(b"first").await.unwrap(), 5);
        assert_eq!(check(&path, false).unwrap_err().code(), 2);
        assert_eq!(Sink::open(&path, false).unwrap_err().code(), 2);
        assert_eq!(std::fs::read(&path).unwrap(), b"first");
        check(&path, true).unwrap();
        let mut sink = Sink::open(&path, true).unwrap();
        sink.write(b"2nd").await.unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"2nd");
    }

    #[tokio::test]
    async fn a_recording_is_private_to_its_user() {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.cast");
        Sink::open(&path, false).unwrap();
        let mode = path.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{mode:o}");
    }

    #[tokio::test]
    async fn a_link_to_nowhere_is_not_followed() {
        let directory = tempfile::tempdir().unwrap();
        let (path, target) = (
            directory.path().join("link"),
            directory.path().join("target"),
        );
        std::os::unix::fs::symlink(&target, &path).unwrap();
        assert!(check(&path, false).is_err());
        assert!(Sink::open(&path, false).is_err());
        assert!(!target.exists());
    }
}
