//! Walking a tree by descriptors: no name on the way can be swapped for a link that leads out.
//!
//! A directory is told before what is in it. Links are not followed. It does not decide what is wanted.

use std::ffi::CStr;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use crate::answers::Stop;

/// Directories inside directories: each is a descriptor while it is walked. What is deeper is told as unreadable.
const MAX_DEPTH: usize = 200;

/// Something on the way.
pub(crate) struct Step<'a> {
    pub(crate) directory: BorrowedFd<'a>,
    pub(crate) name: &'a CStr,
    /// The path from where the walk began.
    pub(crate) path: &'a [u8],
    pub(crate) stat: &'a Stat,
}

/// What comes of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Go {
    /// On, into it if it is a directory.
    In,
    /// On, past it.
    Past,
    /// No further at all.
    Stop,
}

/// Who looks at the steps.
pub(crate) trait Visitor {
    fn step(&mut self, step: &Step<'_>) -> Result<Go, Stop>;

    /// Something could not be looked at.
    fn unreadable(&mut self, path: &[u8], errno: Errno) -> Result<(), Stop>;

    /// A directory is about to be read; `files` are the names in it.
    fn enter(&mut self, _directory: BorrowedFd<'_>, _path: &[u8]) -> Result<(), Stop> {
        Ok(())
    }

    /// All in that directory was told.
    fn leave(&mut self, _path: &[u8]) {}
}

struct Level {
    directory: OwnedFd,
    names: Dir,
    /// How long the path of this directory is.
    path: usize,
}

/// Walks what is in `directory`.
pub(crate) fn walk(directory: OwnedFd, visitor: &mut impl Visitor) -> Result<(), Stop> {
    let mut path = Vec::new();
    let mut levels = Vec::new();
    match level(directory, 0) {
        Ok(level) => {
            visitor.enter(level.directory.as_fd(), &path)?;
            levels.push(level);
        }
        Err(errno) => return visitor.unreadable(&path, errno),
    }
    loop {
        let depth = levels.len();
        let Some(top) = levels.last_mut() else { break };
        path.truncate(top.path);
        let name = match top.names.next() {
            None => {
                visitor.leave(&path);
                levels.pop();
                continue;
            }
            Some(Ok(entry)) => entry.file_name().to_owned(),
            Some(Err(errno)) => {
                visitor.unreadable(&path, errno)?;
                levels.pop();
                continue;
            }
        };
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(name.to_bytes());
        let stat = match rustix::fs::statat(&top.directory, &*name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            // It was removed since it was listed: as if it had been before.
            Err(Errno::NOENT) => continue,
            Err(errno) => {
                visitor.unreadable(&path, errno)?;
                continue;
            }
        };
        let step = Step {
            directory: top.directory.as_fd(),
            name: &name,
            path: &path,
            stat: &stat,
        };
        match visitor.step(&step)? {
            Go::Stop => return Ok(()),
            Go::Past => continue,
            Go::In => {}
        }
        if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
            continue;
        }
        if depth >= MAX_DEPTH {
            visitor.unreadable(&path, Errno::NAMETOOLONG)?;
            continue;
        }
        let opened = open_child(top.directory.as_fd(), &name).and_then(|fd| level(fd, path.len()));
        match opened {
            Ok(level) => {
                visitor.enter(level.directory.as_fd(), &path)?;
                levels.push(level);
            }
            Err(errno) => visitor.unreadable(&path, errno)?,
        }
    }
    Ok(())
}

fn level(directory: OwnedFd, path: usize) -> Result<Level, Errno> {
    Ok(Level {
        names: Dir::read_from(&directory)?,
        directory,
        path,
    })
}

/// A directory in a directory, not through a link.
pub(crate) fn open_child(parent: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(parent, name, flags, Mode::empty())
}
