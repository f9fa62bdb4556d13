//! What changes in a directory, told by the kernel (inotify(7)).

use std::collections::HashMap;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd as _, OwnedFd};

use bytes::Bytes;
use cmdop_proto::v1;
use cmdop_proto::v1::file_change::Kind;
use cmdop_proto::v1::file_response::Response;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;

use crate::answers::{Answers, Stop};
use crate::confine::Roots;
use crate::entry::kind;
use crate::fault::fault;
use crate::tree::{Go, Step, Visitor, open_child, walk};

/// Directories that one stream watches; the kernel has its own limit for each user.
const MAX_WATCHES: usize = 8192;

/// How long a change may wait for others that are told with it, and how often it is looked whether
/// anybody still listens.
const LISTENING: Timespec = Timespec {
    tv_sec: 1,
    tv_nsec: 0,
};

/// Changes in one message.
const BATCH: usize = 512;

/// Watches until nobody listens any more.
pub(crate) fn watch(
    roots: &Roots,
    request: &v1::FileWatch,
    answers: &mut Answers<'_>,
) -> Result<(), Stop> {
    let say = |errno| fault("watch", &request.path, errno);
    let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).map_err(say)?;
    let top = roots.open_directory(&request.path)?;
    let mut watcher = Watcher {
        inotify,
        top: top.try_clone().map_err(|_| say(Errno::MFILE))?,
        directories: HashMap::new(),
        is_full: false,
    };
    watcher.add(&top, &[]).map_err(say)?;
    if request.recursive {
        let mut below = Below {
            watcher: &mut watcher,
            path: Vec::new(),
        };
        walk(top, &mut below)?;
    }
    answers.part(Response::Done(v1::FileDone {
        count: watcher.directories.len() as u64,
    }))?;
    loop {
        let mut changes = watcher.next(request.recursive).map_err(say)?;
        changes.overflowed |= std::mem::take(&mut watcher.is_full);
        // An empty one asks whether anybody still listens.
        answers.part(Response::Changes(changes))?;
    }
}

struct Watcher {
    inotify: OwnedFd,
    top: OwnedFd,
    /// The path of each directory that is watched, from the top.
    directories: HashMap<i32, Vec<u8>>,
    /// Some directory is not watched.
    is_full: bool,
}

impl Watcher {
    fn add(&mut self, directory: &OwnedFd, path: &[u8]) -> Result<(), Errno> {
        if self.directories.len() >= MAX_WATCHES {
            self.is_full = true;
            return Ok(());
        }
        let flags = WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::MODIFY
            | WatchFlags::ATTRIB
            | WatchFlags::CLOSE_WRITE
            | WatchFlags::MOVED_FROM
            | WatchFlags::MOVED_TO
            | WatchFlags::ONLYDIR;
        // The descriptor is what was opened beneath the caller's directories; a name could be swapped.
        let by_number = format!("/proc/self/fd/{}", directory.as_raw_fd());
        let watch = inotify::add_watch(&self.inotify, by_number, flags)?;
        self.directories.insert(watch, path.to_vec());
        Ok(())
    }

    fn next(&mut self, recursive: bool) -> Result<v1::FileChanges, Errno> {
        let mut ready = [PollFd::new(&self.inotify, PollFlags::IN)];
        match poll(&mut ready, Some(&LISTENING)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
        let mut changes = v1::FileChanges::default();
        let mut made = Vec::new();
        let mut buffer = [MaybeUninit::uninit(); 16 << 10];
        let mut reader = Reader::new(&self.inotify, &mut buffer);
        while changes.changes.len() < BATCH {
            let event = match reader.next() {
                Ok(event) => event,
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => continue,
                Err(errno) => return Err(errno),
            };
            let flags = event.events();
            changes.overflowed |= flags.contains(ReadFlags::QUEUE_OVERFLOW);
            let (Some(directory), Some(name)) =
                (self.directories.get(&event.wd()), event.file_name())
            else {
                continue;
            };
            let path = joined(directory, name.to_bytes());
            if recursive && flags.contains(ReadFlags::ISDIR) && is_new(flags) {
                made.push(path.clone());
            }
            let change = v1::FileChange {
                kind: change_kind(flags).into(),
                path: Bytes::from(path),
            };
            // Writing a file tells of each piece.
            if changes.changes.last() != Some(&change) {
                changes.changes.push(change);
            }
        }
        // What was made in a new directory before it was watched was not told: look again at everything.
        changes.overflowed |= !made.is_empty();
        for path in made {
            self.add_new(&path);
        }
        Ok(changes)
    }

    /// Watches a directory that appeared, and those in it. One that is gone again is no fault.
    fn add_new(&mut self, path: &[u8]) {
        let Ok(directory) = open_below(&self.top, path) else {
            return;
        };
        if self.add(&directory, path).is_err() {
            self.is_full = true;
            return;
        }
        let mut below = Below {
            watcher: self,
            path: path.to_vec(),
        };
        let _ = walk(directory, &mut below);
    }
}

/// A directory below another one, not through any link.
fn open_below(top: &OwnedFd, path: &[u8]) -> Result<OwnedFd, Errno> {
    let mut at = top.try_clone().map_err(|_| Errno::MFILE)?;
    for name in path.split(|byte| *byte == b'/') {
        let name = std::ffi::CString::new(name).map_err(|_| Errno::INVAL)?;
        at = open_child(std::os::fd::AsFd::as_fd(&at), &name)?;
    }
    Ok(at)
}

fn joined(directory: &[u8], name: &[u8]) -> Vec<u8> {
    if directory.is_empty() {
        return name.to_vec();
    }
    [directory, b"/", name].concat()
}

fn is_new(flags: ReadFlags) -> bool {
    flags.intersects(ReadFlags::CREATE | ReadFlags::MOVED_TO)
}

fn change_kind(flags: ReadFlags) -> Kind {
    if is_new(flags) {
        Kind::Created
    } else if flags.intersects(ReadFlags::DELETE | ReadFlags::MOVED_FROM) {
        Kind::Removed
    } else {
        Kind::Changed
    }
}

/// Adds the directories of a tree.
struct Below<'a> {
    watcher: &'a mut Watcher,
    /// Where the walk began.
    path: Vec<u8>,
}

impl Visitor for Below<'_> {
    fn step(&mut self, step: &Step<'_>) -> Result<Go, Stop> {
        if kind(step.stat) != v1::FileKind::Directory {
            return Ok(Go::Past);
        }
        let path = joined(&self.path, step.path);
        let added = open_child(step.directory, step.name)
            .and_then(|directory| self.watcher.add(&directory, &path));
        self.watcher.is_full |= matches!(added, Err(Errno::NOSPC));
        Ok(if self.watcher.is_full {
            Go::Stop
        } else {
            Go::In
        })
    }

    fn unreadable(&mut self, _path: &[u8], _errno: Errno) -> Result<(), Stop> {
        Ok(())
    }
}
