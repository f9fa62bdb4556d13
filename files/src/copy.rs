//! Copying on the machine itself: by reflink where the file system can, else in the kernel.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;

use cmdop_proto::{Refusal, v1};
use rustix::fs::{AtFlags, Mode, OFlags, Stat};
use rustix::io::Errno;

use crate::answers::{Answers, Stop};
use crate::confine::{Follow, Roots};
use crate::entry::{allocated, kind, mode, mtime_ns};
use crate::fault::{fault, not_a_file};
use crate::quota::on_disk;
use crate::replace::{Expected, put_in_place};
use crate::tree::{Go, Step, Visitor, walk};
use crate::writer::{require_room, set_mtime, temporary_name, times};

/// What the kernel copies before we look whether anybody still listens.
const STRIDE: usize = 64 << 20;

pub(crate) fn copy(
    roots: &Roots,
    request: &v1::FileCopy,
    answers: &mut Answers<'_>,
) -> Result<(), Stop> {
    let (_, stat) = roots.look(&request.from, Follow::No)?;
    let (parent, name) = roots.parent(&request.to)?;
    let c_name = CString::new(name.as_bytes()).map_err(|_| crate::fault::bad("a NUL in a path"))?;
    match kind(&stat) {
        v1::FileKind::Directory if !request.recursive => {
            Err(fault("copy", &request.from, Errno::ISDIR).into())
        }
        v1::FileKind::Directory => {
            refuse_into_itself(roots, request)?;
            let from = roots.open_directory(&request.from)?;
            roots.spend(on_disk(0), &request.to, answers)?;
            let to = make_directory(&parent, &c_name, &request.to)?;
            let mut copier = Copier {
                roots,
                roots_to: vec![to],
                request,
                answers: &*answers,
                count: 1,
                finished: vec![(mode(&stat), mtime_ns(&stat))],
            };
            walk(from, &mut copier)?;
            let count = copier.count;
            answers.done(count)
        }
        v1::FileKind::Symlink | v1::FileKind::File => {
            let (from_parent, from_name) = roots.parent(&request.from)?;
            let from_name = CString::new(from_name.as_bytes())
                .map_err(|_| crate::fault::bad("a NUL in a path"))?;
            let expected = Expected::find(&parent, &name, &request.to, request.replace())?;
            one(
                (from_parent.as_fd(), &from_name),
                &stat,
                (parent.as_fd(), &c_name),
                expected,
                (&request.to, roots, answers),
            )?;
            answers.done(1)
        }
        _ => Err(not_a_file(&request.from).into()),
    }
}

/// A directory that is copied into itself never ends.
fn refuse_into_itself(roots: &Roots, request: &v1::FileCopy) -> Result<(), Refusal> {
    let (_, from) = roots.look(&request.from, Follow::No)?;
    let (mut at, _) = roots.parent(&request.to)?;
    for _ in 0..4096 {
        let Ok(stat) = rustix::fs::fstat(&at) else {
            break;
        };
        if (stat.st_dev, stat.st_ino) == (from.st_dev, from.st_ino) {
            return Err(Refusal::invalid(
                "bad-path",
                "a directory cannot be copied into itself",
            ));
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let Ok(up) = rustix::fs::openat(&at, c"..", flags, Mode::empty()) else {
            break;
        };
        let same = rustix::fs::fstat(&up)
            .is_ok_and(|up| (up.st_dev, up.st_ino) == (stat.st_dev, stat.st_ino));
        if same {
            break;
        }
        at = up;
    }
    Ok(())
}

fn make_directory(parent: &OwnedFd, name: &CStr, path: &[u8]) -> Result<OwnedFd, Refusal> {
    match rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(0o700)) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(errno) => return Err(fault("make the directory", path, errno)),
    }
    crate::tree::open_child(parent.as_fd(), name)
        .map_err(|errno| fault("make the directory", path, errno))
}

struct Copier<'a, 'b> {
    roots: &'a Roots,
    /// The copies of the directories on the way, from the top.
    roots_to: Vec<OwnedFd>,
    /// Their attributes, which are set when nothing is written to them any more.
    finished: Vec<(u32, i64)>,
    request: &'a v1::FileCopy,
    answers: &'a Answers<'b>,
    count: u64,
}

impl Visitor for Copier<'_, '_> {
    fn step(&mut self, step: &Step<'_>) -> Result<Go, Stop> {
        self.answers.wanted()?;
        let Some(to) = self.roots_to.last() else {
            return Ok(Go::Stop);
        };
        let path = [&self.request.to[..], b"/", step.path].concat();
        match kind(step.stat) {
            v1::FileKind::Directory => {
                self.roots.spend(on_disk(0), &path, self.answers)?;
                let directory = make_directory(to, step.name, &path)?;
                self.roots_to.push(directory);
                self.finished.push((mode(step.stat), mtime_ns(step.stat)));
            }
            v1::FileKind::File | v1::FileKind::Symlink => {
                let name = std::ffi::OsStr::from_bytes(step.name.to_bytes());
                let expected = Expected::find(to, name, &path, self.request.replace())?;
                let from = (step.directory, step.name);
                let to = (to.as_fd(), step.name);
                let about = (&path[..], self.roots, self.answers);
                one(from, step.stat, to, expected, about)?;
            }
            // A device is not copied: it would not be the same device.
            _ => return Ok(Go::Past),
        }
        self.count += 1;
        Ok(Go::In)
    }

    fn unreadable(&mut self, path: &[u8], errno: Errno) -> Result<(), Stop> {
        Err(fault("read", path, errno).into())
    }

    fn leave(&mut self, _path: &[u8]) {
        if let (Some(directory), Some((mode, mtime_ns))) =
            (self.roots_to.pop(), self.finished.pop())
        {
            let _ = rustix::fs::fchmod(&directory, Mode::from_raw_mode(mode));
            let _ = set_mtime(&directory, mtime_ns);
        }
    }
}

/// One file or link, under a temporary name first.
fn one(
    (from, from_name): (BorrowedFd<'_>, &CStr),
    stat: &Stat,
    (to, to_name): (BorrowedFd<'_>, &CStr),
    expected: Expected,
    (path, roots, answers): (&[u8], &Roots, &Answers<'_>),
) -> Result<(), Stop> {
    let say = |errno| fault("copy to", path, errno);
    let name = std::ffi::OsStr::from_bytes(to_name.to_bytes());
    let temporary = temporary_name(
        name,
        &format!("{:x}c", rustix::process::getpid().as_raw_nonzero()),
    );
    if kind(stat) == v1::FileKind::Symlink {
        roots.spend(on_disk(0), path, answers)?;
        let target = rustix::fs::readlinkat(from, from_name, Vec::new()).map_err(say)?;
        rustix::fs::symlinkat(&*target, to, &temporary).map_err(say)?;
        let _ = rustix::fs::utimensat(
            to,
            &temporary,
            &times(mtime_ns(stat)),
            AtFlags::SYMLINK_NOFOLLOW,
        );
    } else {
        roots.spend(on_disk(allocated(stat)), path, answers)?;
        contents((from, from_name), (to, &temporary), path, answers).inspect_err(|_| {
            let _ = rustix::fs::unlinkat(to, &temporary, AtFlags::empty());
        })?;
    }
    put_in_place(to, &temporary, name, expected, path).inspect_err(|_| {
        let _ = rustix::fs::unlinkat(to, &temporary, AtFlags::empty());
    })?;
    Ok(())
}

fn contents(
    (from, from_name): (BorrowedFd<'_>, &CStr),
    (to, temporary): (BorrowedFd<'_>, &std::ffi::OsStr),
    path: &[u8],
    answers: &Answers<'_>,
) -> Result<(), Stop> {
    let say = |errno| fault("copy to", path, errno);
    let reading = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let source = rustix::fs::openat(from, from_name, reading, Mode::empty()).map_err(say)?;
    let stat = rustix::fs::fstat(&source).map_err(say)?;
    if kind(&stat) != v1::FileKind::File {
        return Err(not_a_file(path).into());
    }
    let writing =
        OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let private = Mode::RUSR | Mode::WUSR;
    let target = rustix::fs::openat(to, temporary, writing, private).map_err(say)?;
    if rustix::fs::ioctl_ficlone(&target, &source).is_err() {
        require_room(&target, allocated(&stat), path)?;
        copy_data(&source, &target, stat.st_size as u64, |errno| match errno {
            Some(errno) => Err(say(errno).into()),
            None => answers.wanted(),
        })?;
    }
    rustix::fs::fchmod(&target, Mode::from_raw_mode(mode(&stat))).map_err(say)?;
    set_mtime(&target, mtime_ns(&stat)).map_err(say)?;
    rustix::fs::fsync(&target).map_err(say)?;
    Ok(())
}

/// Data only: holes stay holes. `go` is asked before each stride, and told what failed.
fn copy_data(
    source: &OwnedFd,
    target: &OwnedFd,
    size: u64,
    go: impl Fn(Option<Errno>) -> Result<(), Stop>,
) -> Result<(), Stop> {
    let or_stop = |errno| go(Some(errno));
    if let Err(errno) = rustix::fs::ftruncate(target, size) {
        return or_stop(errno);
    }
    let mut at = 0;
    while at < size {
        let start = match rustix::fs::seek(source, rustix::fs::SeekFrom::Data(at)) {
            Ok(start) => start,
            Err(Errno::NXIO) => return Ok(()),
            Err(_) => at,
        };
        let end = match rustix::fs::seek(source, rustix::fs::SeekFrom::Hole(start)) {
            Ok(end) => end.min(size),
            Err(_) => size,
        };
        let (mut off_in, mut off_out) = (start, start);
        while off_in < end {
            go(None)?;
            let length = (end - off_in).min(STRIDE as u64) as usize;
            match copy_range(source, &mut off_in, target, &mut off_out, length) {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                Err(errno) => return or_stop(errno),
            }
        }
        at = end.max(start + 1);
    }
    Ok(())
}

fn copy_range(
    source: &OwnedFd,
    off_in: &mut u64,
    target: &OwnedFd,
    off_out: &mut u64,
    length: usize,
) -> Result<usize, Errno> {
    match rustix::fs::copy_file_range(source, Some(off_in), target, Some(off_out), length) {
        Err(Errno::XDEV | Errno::NOSYS | Errno::INVAL | Errno::OPNOTSUPP) => {}
        copied => return copied,
    }
    let mut buffer = vec![0; length.min(1 << 20)];
    let read = crate::hash::read_up_to(source, &mut buffer, *off_in)?;
    crate::writer::write_all(target, &buffer[..read], *off_out)?;
    *off_in += read as u64;
    *off_out += read as u64;
    Ok(read)
}
