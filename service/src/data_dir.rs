//! The directory in which a program keeps its state: private, writable, and used by one process.

use std::fs::{DirBuilder, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

/// Why a data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It could not be made, or nothing can be written in it.
    #[error(
        "cannot write in the data directory {path}: {reason}; make it writable for this user, \
         or name another with --data-dir"
    )]
    NotWritable {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        reason: io::Error,
    },
    /// Others could replace what is in it: keys, identities, programs to start.
    #[error(
        "others can change the data directory {path} ({why}); it holds secrets: \
         run `{remedy}`, or name another directory with --data-dir"
    )]
    Loose {
        /// The directory.
        path: PathBuf,
        /// Who, in a few words.
        why: String,
        /// The command that closes it.
        remedy: String,
    },
    /// Another process holds it.
    #[error(
        "the data directory {path} is in use by another {program}; stop that one first, \
         or name another directory with --data-dir"
    )]
    InUse {
        /// The directory.
        path: PathBuf,
        /// Which program.
        program: String,
    },
    /// There is no home directory to put it in.
    #[error("this user has no home directory: name a place with --data-dir")]
    NoHome,
}

/// A data directory that belongs to this process until it is dropped.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    _lock: File,
}

impl DataDir {
    /// Makes the directory (mode 0700) if need be and takes it for `program`.
    pub fn open(path: &Path, program: &str) -> Result<Self, Error> {
        let not_writable = |reason| Error::NotWritable {
            path: path.to_owned(),
            reason,
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(not_writable)?;
        refuse_others(path, &std::fs::metadata(path).map_err(not_writable)?)?;
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path.join(format!("{program}.lock")))
            .map_err(not_writable)?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive).map_err(|_| Error::InUse {
            path: path.to_owned(),
            program: program.to_owned(),
        })?;
        Ok(Self {
            path: path.to_owned(),
            _lock: lock,
        })
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file in it.
    pub fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

/// Whoever owns a directory, or may write in it, can put another file in the place of ours.
fn refuse_others(path: &Path, found: &Metadata) -> Result<(), Error> {
    let (owner, mode) = (found.uid(), found.mode() & 0o7777);
    let user = rustix::process::geteuid().as_raw();
    let (why, remedy) = if owner != user {
        (
            format!("it belongs to user {owner}, and this is user {user}"),
            format!("chown {user} {}", path.display()),
        )
    } else if mode & 0o022 != 0 {
        (
            format!("mode {mode:04o}"),
            format!("chmod 700 {}", path.display()),
        )
    } else {
        return Ok(());
    };
    Err(Error::Loose {
        path: path.to_owned(),
        why,
        remedy,
    })
}

/// Where `program` keeps its state unless told otherwise: `$CMDOP_HOME/<program>`, or the platform's
/// data directory.
pub fn default_path(program: &str) -> Result<PathBuf, Error> {
    if let Some(home) = std::env::var_os("CMDOP_HOME") {
        return Ok(PathBuf::from(home).join(program));
    }
    directories::ProjectDirs::from("", "", "cmdop")
        .map(|dirs| dirs.data_dir().join(program))
        .ok_or(Error::NoHome)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_directory_that_others_can_change_is_refused_with_the_remedy() {
        let dir = tempfile::tempdir().unwrap();
        for mode in [0o770, 0o777, 0o1777, 0o702] {
            std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(mode)).unwrap();
            let error = DataDir::open(dir.path(), "cmdopd").unwrap_err();
            assert!(error.to_string().contains("chmod 700"), "{error}");
        }
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        DataDir::open(dir.path(), "cmdopd").unwrap();
        // The root directory belongs to root: to us, if we are root, and then to somebody else here.
        let foreign = std::fs::metadata("/").unwrap();
        if foreign.uid() != rustix::process::geteuid().as_raw() {
            let error = refuse_others(Path::new("/"), &foreign).unwrap_err();
            assert!(error.to_string().contains("chown"), "{error}");
        }
    }

    #[test]
    fn a_directory_has_one_owner_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        let first = DataDir::open(&path, "cmdop-relay").unwrap();
        assert!(matches!(
            DataDir::open(&path, "cmdop-relay"),
            Err(Error::InUse { .. })
        ));
        drop(first);
        DataDir::open(&path, "cmdop-relay").unwrap();
    }

    #[test]
    fn a_place_that_cannot_hold_a_directory_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        let error = DataDir::open(&file.join("x"), "cmdopd").unwrap_err();
        assert!(error.to_string().contains("--data-dir"), "{error}");
    }
}
