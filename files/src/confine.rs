//! Where a caller may be: all of the machine, or beneath some directories. The kernel keeps to it
//! (`openat2`), whatever links are made and moved at the same time.
//!
//! Everything else of this crate reaches the disk through what is opened here.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use cmdop_proto::{Refusal, limits};
use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

use crate::answers::{Answers, Stop};
use crate::fault::{bad, fault, not_a_file};
use crate::quota::{Quota, Room};

/// What a caller may reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Whatever this process's user may.
    Whole,
    /// What lies beneath these directories; none: nothing.
    Beneath(Vec<PathBuf>),
}

/// The directories of a [`Scope`], open.
#[derive(Debug)]
pub struct Roots {
    home: PathBuf,
    /// `None`: the whole machine.
    roots: Option<Vec<Root>>,
    quota: Option<Arc<Quota>>,
}

#[derive(Debug)]
struct Root {
    path: PathBuf,
    directory: OwnedFd,
}

/// Whether the last component may be a symbolic link that is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Follow {
    Yes,
    No,
}

impl Roots {
    /// Opens the directories of `scope`; those that are not there are left out. Relative paths are relative to
    /// `home`, or to the first directory if `home` cannot be reached.
    pub fn open(home: &Path, scope: &Scope) -> Self {
        let Scope::Beneath(paths) = scope else {
            return Self {
                home: home.to_owned(),
                roots: None,
                quota: None,
            };
        };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let roots: Vec<Root> = paths
            .iter()
            .filter_map(|path| {
                let path = std::fs::canonicalize(path).ok()?;
                let directory = rustix::fs::open(&path, flags, Mode::empty()).ok()?;
                Some(Root { path, directory })
            })
            .collect();
        let is_inside = roots.iter().any(|root| home.starts_with(&root.path));
        let first = roots.first().map(|root| root.path.clone());
        Self {
            home: if is_inside {
                home.to_owned()
            } else {
                first.unwrap_or_default()
            },
            roots: Some(roots),
            quota: None,
        }
    }

    /// What is written here counts towards this limit.
    #[must_use]
    pub fn with_quota(self, quota: Option<Arc<Quota>>) -> Self {
        Self { quota, ..self }
    }

    /// Room for a file of so many bytes that is about to be written.
    pub(crate) fn room(
        &self,
        bytes: u64,
        path: &[u8],
        answers: &Answers<'_>,
    ) -> Result<Room, Stop> {
        Room::take(self.quota.as_ref(), bytes, path, answers)
    }

    /// Room for what is written at once: what is announced is spent.
    pub(crate) fn spend(&self, bytes: u64, path: &[u8], answers: &Answers<'_>) -> Result<(), Stop> {
        self.room(bytes, path, answers)?.spend(bytes, path, answers)
    }

    /// What relative paths are relative to.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// Opens a path with these flags.
    pub(crate) fn open_at(
        &self,
        path: &[u8],
        flags: OFlags,
        follow: Follow,
    ) -> Result<OwnedFd, Refusal> {
        let full = self.full(path)?;
        self.open_full(&full, flags, follow)
            .map_err(|errno| fault("open", path, errno))
    }

    fn open_full(&self, full: &Path, flags: OFlags, follow: Follow) -> Result<OwnedFd, Errno> {
        let mut flags = flags | OFlags::CLOEXEC;
        if !flags.contains(OFlags::PATH) {
            flags |= OFlags::NOCTTY | OFlags::NONBLOCK;
        }
        if follow == Follow::No {
            flags |= OFlags::NOFOLLOW;
        }
        let Some((root, rest)) = self.root_of(full)? else {
            return rustix::fs::openat(CWD, full, flags, Mode::empty());
        };
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        loop {
            // EAGAIN: something was renamed meanwhile, and the kernel could not prove where it led.
            match rustix::fs::openat2(root, &rest, flags, Mode::empty(), resolve) {
                Err(Errno::AGAIN) => {}
                opened => return opened,
            }
        }
    }

    /// The directory that the path lies beneath, and the way from there. `None`: nobody is confined.
    fn root_of(&self, full: &Path) -> Result<Option<(BorrowedFd<'_>, PathBuf)>, Errno> {
        let Some(roots) = &self.roots else {
            return Ok(None);
        };
        // Text decides only which directory is meant; the kernel decides whether the rest stays in it.
        let found = roots.iter().find_map(|root| {
            let rest = full.strip_prefix(&root.path).ok()?;
            let rest = if rest.as_os_str().is_empty() {
                PathBuf::from(".")
            } else {
                rest.to_owned()
            };
            Some((root.directory.as_fd(), rest))
        });
        found.map(Some).ok_or(Errno::XDEV)
    }

    fn full(&self, path: &[u8]) -> Result<PathBuf, Refusal> {
        if path.len() > limits::MAX_PATH {
            return Err(Refusal::invalid(
                "bad-path",
                format!("a path is longer than {} bytes", limits::MAX_PATH),
            ));
        }
        if path.contains(&0) {
            return Err(Refusal::invalid("bad-path", "a path holds a NUL byte"));
        }
        if self.roots.as_ref().is_some_and(Vec::is_empty) {
            return Err(Refusal::denied(
                "path-outside",
                "this role may reach no files of this machine",
            )
            .hint("the machine's configuration can give it directories (`[files]`)"));
        }
        Ok(self.home.join(OsStr::from_bytes(path)))
    }

    /// The directory that holds what `path` names, and the name in it.
    pub(crate) fn parent(&self, path: &[u8]) -> Result<(OwnedFd, OsString), Refusal> {
        let full = self.full(path)?;
        let nameless = || {
            Refusal::invalid(
                "bad-path",
                format!(
                    "{} has no name that could be changed",
                    crate::fault::shown(path)
                ),
            )
        };
        let Some(Component::Normal(name)) = full.components().next_back() else {
            return Err(nameless());
        };
        // `components` drops a `.` at the end, and with it what was really meant.
        let name = name.to_owned();
        let parent = full.parent().ok_or_else(nameless)?;
        let is_root = |root: &Root| root.path == full;
        if self.roots.iter().flatten().any(is_root) {
            return Err(fault("change", path, Errno::XDEV));
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        let parent = self
            .open_full(parent, flags, Follow::Yes)
            .map_err(|errno| fault("open the directory of", path, errno))?;
        Ok((parent, name))
    }

    /// What the path names, without opening it.
    pub(crate) fn look(&self, path: &[u8], follow: Follow) -> Result<(OwnedFd, Stat), Refusal> {
        let file = self.open_at(path, OFlags::PATH, follow)?;
        let stat = rustix::fs::fstat(&file).map_err(|errno| fault("look at", path, errno))?;
        Ok((file, stat))
    }

    /// Opens a regular file for reading. Anything else is never opened: that alone may do something.
    pub(crate) fn open_regular(&self, path: &[u8]) -> Result<(OwnedFd, Stat), Refusal> {
        let (_, stat) = self.look(path, Follow::Yes)?;
        require_regular(&stat, path)?;
        let file = self.open_at(path, OFlags::RDONLY, Follow::Yes)?;
        let stat = rustix::fs::fstat(&file).map_err(|errno| fault("look at", path, errno))?;
        require_regular(&stat, path)?;
        Ok((file, stat))
    }

    /// Opens a directory to be read.
    pub(crate) fn open_directory(&self, path: &[u8]) -> Result<OwnedFd, Refusal> {
        self.open_at(path, OFlags::RDONLY | OFlags::DIRECTORY, Follow::Yes)
    }
}

fn require_regular(stat: &Stat, path: &[u8]) -> Result<(), Refusal> {
    if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile {
        Ok(())
    } else {
        Err(not_a_file(path))
    }
}

/// A name that a caller gives inside of something: one component.
pub(crate) fn component(name: &[u8]) -> Result<OsString, Refusal> {
    if name.is_empty() || name == b"." || name == b".." || name.contains(&b'/') {
        return Err(bad("a name is not one component of a path"));
    }
    Ok(OsString::from_vec(name.to_vec()))
}

#[cfg(test)]
mod tests;
