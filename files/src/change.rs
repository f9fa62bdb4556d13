//! Making directories and links, removing, renaming, attributes.

use std::ffi::{CStr, CString, OsStr};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;

use cmdop_proto::{Refusal, limits, v1};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use crate::answers::{Answers, Outcomes, Stop};
use crate::confine::Roots;
use crate::fault::{bad, fault};
use crate::quota::on_disk;
use crate::tree::open_child;
use crate::writer::{sync_directory, times};

/// Directories inside directories, as for walking.
const MAX_DEPTH: usize = 200;

pub(crate) fn mkdir(
    roots: &Roots,
    request: &v1::FileMkdir,
    answers: &mut Answers<'_>,
) -> Result<(), Stop> {
    bounded(request.paths.len())?;
    let mut outcomes = Outcomes::default();
    for path in &request.paths {
        // What has no content takes room as well.
        let made = roots.spend(on_disk(0), path, answers).and_then(|()| {
            Ok(if request.real {
                make_real(roots, path, request.mode)
            } else if request.parents {
                make_all(roots, path, request.mode)
            } else {
                make(roots, path, request.mode)
            }?)
        });
        match made {
            Ok(()) => outcomes.done(),
            Err(Stop::Refused(refusal)) => outcomes.refuse(answers, &refusal, path)?,
            Err(Stop::Gone) => return Err(Stop::Gone),
        }
    }
    outcomes.tell(answers)
}

fn bounded(paths: usize) -> Result<(), Refusal> {
    if paths > limits::MAX_STAGED {
        return Err(bad(format!("{paths} paths in one request are too many")));
    }
    Ok(())
}

fn make(roots: &Roots, path: &[u8], mode: u32) -> Result<(), Refusal> {
    let say = |errno| fault("make the directory", path, errno);
    let (parent, name) = roots.parent(path)?;
    rustix::fs::mkdirat(&parent, &name, Mode::from_raw_mode(0o777)).map_err(say)?;
    if mode == 0 {
        return Ok(());
    }
    let mode = Mode::from_raw_mode(mode & 0o7777);
    rustix::fs::chmodat(&parent, &name, mode, AtFlags::empty()).map_err(say)
}

/// One that is there already is no fault, unless it is a link.
fn make_real(roots: &Roots, path: &[u8], mode: u32) -> Result<(), Refusal> {
    match make(roots, path, mode) {
        Err(refusal) if refusal.reason == "file-exists" => {
            let (_, stat) = roots.look(path, crate::confine::Follow::No)?;
            if crate::entry::kind(&stat) == v1::FileKind::Directory {
                return Ok(());
            }
            Err(refusal)
        }
        made => made,
    }
}

/// With all that lead there: from the end, as far back as is needed.
fn make_all(roots: &Roots, path: &[u8], mode: u32) -> Result<(), Refusal> {
    if roots.open_directory(path).is_ok() {
        return Ok(());
    }
    let trimmed: &[u8] = match path.iter().rposition(|byte| *byte != b'/') {
        Some(end) => &path[..=end],
        None => path,
    };
    if let Some(slash) = trimmed.iter().rposition(|byte| *byte == b'/')
        && slash > 0
        && roots.open_directory(&trimmed[..slash]).is_err()
    {
        make_all(roots, &trimmed[..slash], 0)?;
    }
    match make(roots, trimmed, mode) {
        // Somebody else was quicker.
        Err(refusal) if refusal.reason == "file-exists" && roots.open_directory(path).is_ok() => {
            Ok(())
        }
        made => made,
    }
}

pub(crate) fn remove(
    roots: &Roots,
    request: &v1::FileRemove,
    answers: &mut Answers<'_>,
) -> Result<(), Stop> {
    let path = &request.path;
    let say = |errno| fault("remove", path, errno);
    let (parent, name) = roots.parent(path)?;
    match rustix::fs::unlinkat(&parent, &name, AtFlags::empty()) {
        Ok(()) => return answers.done(1),
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(errno) => return Err(say(errno).into()),
    }
    if !request.recursive {
        rustix::fs::unlinkat(&parent, &name, AtFlags::REMOVEDIR).map_err(say)?;
        return answers.done(1);
    }
    let name = CString::new(name.as_bytes()).map_err(|_| bad("a path holds a NUL byte"))?;
    let mut removal = Removal {
        answers: &*answers,
        count: 0,
    };
    removal
        .tree(parent.as_fd(), &name, 0)
        .map_err(|end| match end {
            End::Failed(errno) => say(errno).into(),
            End::Gone => Stop::Gone,
        })?;
    let count = removal.count;
    answers.done(count)
}

/// Removes trees for as long as somebody waits for it.
struct Removal<'a, 'b> {
    answers: &'a Answers<'b>,
    count: u64,
}

/// Why a removal did not go on.
enum End {
    Failed(Errno),
    Gone,
}

impl From<Errno> for End {
    fn from(errno: Errno) -> Self {
        Self::Failed(errno)
    }
}

impl Removal<'_, '_> {
    fn tree(&mut self, parent: BorrowedFd<'_>, name: &CStr, depth: usize) -> Result<(), End> {
        if depth >= MAX_DEPTH {
            return Err(Errno::NAMETOOLONG.into());
        }
        let directory = open_child(parent, name)?;
        // What is removed while it is read may or may not be listed: look until nothing is left.
        loop {
            let names = names(&directory)?;
            if names.is_empty() {
                break;
            }
            for (name, is_directory) in names {
                self.answers.wanted().map_err(|_| End::Gone)?;
                if is_directory {
                    self.tree(directory.as_fd(), &name, depth + 1)?;
                    continue;
                }
                match rustix::fs::unlinkat(&directory, &*name, AtFlags::empty()) {
                    Ok(()) => self.count += 1,
                    Err(Errno::NOENT) => {}
                    Err(errno) => return Err(errno.into()),
                }
            }
        }
        rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR)?;
        self.count += 1;
        Ok(())
    }
}

/// Some of the names in a directory, and which of them are directories.
fn names(directory: &OwnedFd) -> Result<Vec<(CString, bool)>, Errno> {
    const SOME: usize = 4096;
    let mut names = Vec::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let kind = match entry.file_type() {
            FileType::Unknown => {
                let stat = rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW);
                stat.map_or(FileType::Unknown, |stat| {
                    FileType::from_raw_mode(stat.st_mode)
                })
            }
            kind => kind,
        };
        names.push((name.to_owned(), kind == FileType::Directory));
        if names.len() == SOME {
            break;
        }
    }
    Ok(names)
}

pub(crate) fn rename(
    roots: &Roots,
    request: &v1::FileRename,
    answers: &mut Answers<'_>,
) -> Result<(), Stop> {
    let say = |errno| fault("rename", &request.from, errno);
    let (from, from_name) = roots.parent(&request.from)?;
    let (to, to_name) = roots.parent(&request.to)?;
    let renamed = match request.replace() {
        v1::FileReplace::Never => {
            rustix::fs::renameat_with(&from, &from_name, &to, &to_name, RenameFlags::NOREPLACE)
        }
        v1::FileReplace::Unspecified => rustix::fs::renameat(&from, &from_name, &to, &to_name),
    };
    match renamed {
        Ok(()) => {}
        Err(Errno::EXIST) => return Err(fault("make", &request.to, Errno::EXIST).into()),
        Err(Errno::XDEV) => {
            return Err(Refusal::invalid(
                "other-file-system",
                format!(
                    "{} lies on another file system than where it should go",
                    crate::fault::shown(&request.from)
                ),
            )
            .hint("copy it and remove the original")
            .into());
        }
        Err(errno) => return Err(say(errno).into()),
    }
    sync_directory(&to);
    answers.done(1)
}

pub(crate) fn attributes(
    roots: &Roots,
    request: &v1::FileAttributes,
    answers: &mut Answers<'_>,
) -> Result<(), Stop> {
    bounded(request.attributes.len())?;
    let mut outcomes = Outcomes::default();
    for attribute in &request.attributes {
        match set(roots, attribute) {
            Ok(()) => outcomes.done(),
            Err(refusal) => outcomes.refuse(answers, &refusal, &attribute.path)?,
        }
    }
    outcomes.tell(answers)
}

fn set(roots: &Roots, attribute: &v1::FileAttribute) -> Result<(), Refusal> {
    let path = &attribute.path;
    let say = |errno| fault("change", path, errno);
    let flags = OFlags::RDONLY;
    let (_, stat) = roots.look(path, crate::confine::Follow::No)?;
    let kind = crate::entry::kind(&stat);
    if kind == v1::FileKind::Symlink {
        return match attribute.mtime_ns {
            Some(mtime_ns) => {
                let (parent, name) = roots.parent(path)?;
                rustix::fs::utimensat(&parent, &name, &times(mtime_ns), AtFlags::SYMLINK_NOFOLLOW)
                    .map_err(say)
            }
            None => Err(bad("a symbolic link has no mode of its own")),
        };
    }
    if kind == v1::FileKind::Special {
        return Err(crate::fault::not_a_file(path));
    }
    // A file that its own user may not read is changed by its name.
    let Ok(file) = roots.open_at(path, flags, crate::confine::Follow::No) else {
        return set_by_name(roots, attribute);
    };
    if let Some(mode) = attribute.mode {
        rustix::fs::fchmod(&file, Mode::from_raw_mode(mode & 0o7777)).map_err(say)?;
    }
    if let Some(mtime_ns) = attribute.mtime_ns {
        rustix::fs::futimens(&file, &times(mtime_ns)).map_err(say)?;
    }
    Ok(())
}

fn set_by_name(roots: &Roots, attribute: &v1::FileAttribute) -> Result<(), Refusal> {
    let say = |errno| fault("change", &attribute.path, errno);
    let (parent, name) = roots.parent(&attribute.path)?;
    if let Some(mode) = attribute.mode {
        // Opened by its number: a link that took the name meanwhile is not followed.
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&parent, &name, flags, Mode::empty()).map_err(say)?;
        let by_number = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&file));
        let stat = rustix::fs::fstat(&file).map_err(say)?;
        if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink {
            return Err(bad("a symbolic link has no mode of its own"));
        }
        rustix::fs::chmod(by_number, Mode::from_raw_mode(mode & 0o7777)).map_err(say)?;
    }
    if let Some(mtime_ns) = attribute.mtime_ns {
        rustix::fs::utimensat(&parent, &name, &times(mtime_ns), AtFlags::SYMLINK_NOFOLLOW)
            .map_err(say)?;
    }
    Ok(())
}

pub(crate) fn symlink(
    roots: &Roots,
    request: &v1::FileSymlink,
    answers: &mut Answers<'_>,
) -> Result<(), Stop> {
    if request.target.is_empty()
        || request.target.len() > limits::MAX_PATH
        || request.target.contains(&0)
    {
        return Err(Refusal::invalid("bad-path", "a link cannot lead there").into());
    }
    let (parent, name) = roots.parent(&request.path)?;
    roots.spend(on_disk(0), &request.path, answers)?;
    rustix::fs::symlinkat(OsStr::from_bytes(&request.target), &parent, &name)
        .map_err(|errno| fault("link", &request.path, errno))?;
    answers.done(1)
}
