//! A file that is written under a temporary name, checked, made durable, and only then named.
//!
//! What is not committed stays under its temporary name, for whoever goes on with it. Nobody else can write
//! to it meanwhile: it is locked.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

use bytes::Bytes;
use cmdop_proto::v1::file_response::Response;
use cmdop_proto::{Refusal, limits, v1};
use rustix::fs::{AtFlags, FileType, FlockOperation, Mode, OFlags, Timespec, Timestamps};
use rustix::io::Errno;

use crate::answers::{Answers, Stop};
use crate::confine::Roots;
use crate::entry::entry;
use crate::fault::{bad, fault, shown};
use crate::hash::{self, Running};
use crate::quota::{Room, on_disk};
use crate::reader;
use crate::replace::{Expected, put_in_place};

/// How a temporary name ends.
pub(crate) const PARTIAL: &str = ".cmdop-part";

/// A file name (NAME_MAX of Linux).
const MAX_NAME: usize = 255;

/// The file system's room is asked for again after so many bytes.
const LOOK_EVERY: u64 = 64 << 20;

/// The disk is set to work after so many bytes, so that little is left to wait for when the file is made durable.
const START_EVERY: u64 = 16 << 20;

/// What is left to others: a file system that is full to the last block harms everybody on it.
pub(crate) const KEEP_FREE: u64 = 16 << 20;

/// The file under its temporary name.
pub(crate) struct Writer {
    file: OwnedFd,
    directory: OwnedFd,
    temporary: OsString,
    name: OsString,
    path: Bytes,
    expected: Expected,
    room: Room,
    running: Running,
    chunk: blake3::Hasher,
    /// Where the next piece of the chunk belongs.
    next: u64,
    unlooked: u64,
    /// Bytes before `next` that the disk was not set to work on.
    unstarted: u64,
}

impl Writer {
    pub(crate) fn create(
        roots: &Roots,
        request: &v1::FileCreate,
        answers: &mut Answers<'_>,
    ) -> Result<Self, Stop> {
        let path = &request.path;
        let (directory, name) = roots.parent(path)?;
        let expected = Expected::find(&directory, &name, path, request.replace())?;
        let temporary = temporary(&name, &request.key)?;
        let file = open_temporary(&directory, &temporary, path)?;
        if !request.resume {
            rustix::fs::ftruncate(&file, 0).map_err(|errno| fault("write", path, errno))?;
        }
        let stat = rustix::fs::fstat(&file).map_err(|errno| fault("look at", path, errno))?;
        let missing = request.size.saturating_sub(crate::entry::allocated(&stat));
        let room = room_for_all(roots, &file, missing, path, answers).inspect_err(|_| {
            // Nothing of it is here: nor is its name, or a role without room could fill the directory with those.
            if stat.st_size == 0 {
                let _ = rustix::fs::unlinkat(&directory, &temporary, AtFlags::empty());
            }
        })?;
        let present = crate::entry::present(&directory, &name).ok().flatten();
        let mut running = Running::new();
        if stat.st_size > 0 || request.without_md5 {
            running.give_up();
        }
        answers.last(Response::Created(v1::FileCreated {
            have: stat.st_size as u64,
            present: present.map(|stat| entry(path, &stat)),
        }))?;
        Ok(Self {
            file,
            directory,
            temporary,
            name,
            path: path.clone(),
            expected,
            room,
            running,
            chunk: blake3::Hasher::new(),
            next: 0,
            unlooked: 0,
            unstarted: 0,
        })
    }

    pub(crate) fn write(
        &mut self,
        request: &v1::FileWrite,
        answers: &mut Answers<'_>,
    ) -> Result<(), Stop> {
        let data = &request.data;
        if data.len() > limits::FILE_PIECE {
            return Err(bad("a piece of a file is too long").into());
        }
        if request.offset != self.next {
            self.chunk.reset();
            self.unstarted = 0;
        }
        self.room_for(data.len())?;
        self.room.spend(data.len() as u64, &self.path, answers)?;
        write_all(&self.file, data, request.offset)
            .map_err(|errno| fault("write", &self.path, errno))?;
        self.chunk.update(data);
        self.running.add(&self.file, request.offset, data);
        self.next = request.offset.saturating_add(data.len() as u64);
        self.start_disk(data.len());
        if request.blake3.is_empty() {
            return Ok(());
        }
        let hash = self.chunk.finalize();
        self.chunk.reset();
        if hash.as_bytes()[..] != request.blake3[..] {
            self.running.give_up();
            return Err(Refusal::unavailable(
                "chunk-differs",
                format!("a part of {} did not arrive as it left", shown(&self.path)),
            )
            .into());
        }
        answers.done(1)
    }

    /// Linux begins to write what is dirty when it is told that nobody needs it (posix_fadvise(2)).
    fn start_disk(&mut self, bytes: usize) {
        self.unstarted += bytes as u64;
        let Some(length) = std::num::NonZeroU64::new(self.unstarted) else {
            return;
        };
        if self.unstarted < START_EVERY {
            return;
        }
        let offset = self.next.saturating_sub(self.unstarted);
        self.unstarted = 0;
        // A file system that does not care writes later.
        let _ = rustix::fs::fadvise(
            &self.file,
            offset,
            Some(length),
            rustix::fs::Advice::DontNeed,
        );
    }

    fn room_for(&mut self, bytes: usize) -> Result<(), Refusal> {
        self.unlooked += bytes as u64;
        if self.unlooked < LOOK_EVERY {
            return Ok(());
        }
        self.unlooked = 0;
        require_room(&self.file, 0, &self.path)
    }

    pub(crate) fn digest(&self, chunk: usize, answers: &mut Answers<'_>) -> Result<(), Stop> {
        reader::digest(&self.file, &self.path, chunk, answers)
    }

    pub(crate) fn commit(
        mut self,
        request: &v1::FileCommit,
        answers: &mut Answers<'_>,
    ) -> Result<(), Stop> {
        let path = self.path.clone();
        let say = |what: &'static str| {
            let path = path.clone();
            move |errno| fault(what, &path, errno)
        };
        // What was not written is a hole; what an earlier try wrote beyond the end goes.
        rustix::fs::ftruncate(&self.file, request.size).map_err(say("write"))?;
        self.check(request)?;
        let mode = Mode::from_raw_mode(request.mode & 0o7777);
        rustix::fs::fchmod(&self.file, mode).map_err(say("set the mode of"))?;
        set_mtime(&self.file, request.mtime_ns).map_err(say("set the time of"))?;
        rustix::fs::fsync(&self.file).map_err(say("write"))?;
        put_in_place(
            &self.directory,
            &self.temporary,
            &self.name,
            self.expected,
            &path,
        )?;
        sync_directory(&self.directory);
        let stat = rustix::fs::fstat(&self.file).map_err(say("look at"))?;
        answers.last(Response::Entry(entry(&path, &stat)))
    }

    fn check(&mut self, request: &v1::FileCommit) -> Result<(), Refusal> {
        if request.md5.is_empty() {
            return Ok(());
        }
        let running = std::mem::replace(&mut self.running, Running::new());
        let md5 = match running.finish(&self.file, request.size) {
            Some(md5) => Some(md5),
            None => hash::of_file(&self.file, request.size)
                .map_err(|errno| fault("read", &self.path, errno))?,
        };
        match md5 {
            Some(md5) if md5[..] != request.md5[..] => Err(Refusal::unavailable(
                "file-differs",
                format!(
                    "{} did not arrive as it left: its MD5 is another",
                    shown(&self.path)
                ),
            )
            .hint("copy it again with --resume: only what differs is sent")),
            _ => Ok(()),
        }
    }

    /// Gives it up: the temporary file goes.
    pub(crate) fn abandon(self) {
        let flags = AtFlags::empty();
        // It may be gone already.
        let _ = rustix::fs::unlinkat(&self.directory, &self.temporary, flags);
    }
}

/// `.name.key.cmdop-part`, the name cut to what fits.
fn temporary(name: &OsStr, key: &str) -> Result<OsString, Refusal> {
    if key.is_empty() || key.len() > 32 || !key.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(bad("a key is 1 to 32 hexadecimal digits"));
    }
    Ok(temporary_name(name, key))
}

/// See [`temporary`].
pub(crate) fn temporary_name(name: &OsStr, key: &str) -> OsString {
    let rest = key.len() + PARTIAL.len() + 2;
    let name = name.as_bytes();
    let mut temporary = Vec::with_capacity(MAX_NAME);
    temporary.push(b'.');
    temporary.extend_from_slice(&name[..name.len().min(MAX_NAME - rest)]);
    temporary.push(b'.');
    temporary.extend_from_slice(key.as_bytes());
    temporary.extend_from_slice(PARTIAL.as_bytes());
    OsString::from_vec(temporary)
}

/// The room of what is missing of a file, on the disk and by the quota, and what rounding takes besides.
fn room_for_all(
    roots: &Roots,
    file: &OwnedFd,
    missing: u64,
    path: &[u8],
    answers: &Answers<'_>,
) -> Result<Room, Stop> {
    require_room(file, missing, path)?;
    let counted = on_disk(missing);
    let mut room = roots.room(counted, path, answers)?;
    room.spend(counted - missing, path, answers)?;
    Ok(room)
}

/// Only what we could have made ourselves is gone on with, and by one at a time.
fn open_temporary(directory: &OwnedFd, name: &OsStr, path: &[u8]) -> Result<OwnedFd, Refusal> {
    let flags =
        OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let private = Mode::RUSR | Mode::WUSR;
    let file = rustix::fs::openat(directory, name, flags, private)
        .map_err(|errno| fault("write", path, errno))?;
    let stat = rustix::fs::fstat(&file).map_err(|errno| fault("look at", path, errno))?;
    let is_ours = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
        && stat.st_nlink == 1
        && stat.st_uid == rustix::process::geteuid().as_raw();
    if !is_ours {
        return Err(Refusal::denied(
            "file-denied",
            format!("the temporary file of {} is somebody else's", shown(path)),
        ));
    }
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Err(Errno::WOULDBLOCK) => Err(Refusal::unavailable(
            "file-busy",
            format!("somebody else is copying the same to {}", shown(path)),
        )),
        // A file system without locks.
        Ok(()) | Err(_) => Ok(file),
    }
}

/// Refuses what does not fit.
pub(crate) fn require_room(file: impl AsFd, bytes: u64, path: &[u8]) -> Result<(), Refusal> {
    let Ok(disk) = rustix::fs::fstatvfs(file) else {
        // A file system that cannot tell says so when it is full.
        return Ok(());
    };
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    // Some network file systems report nothing at all.
    if disk.f_blocks == 0 || free >= bytes.saturating_add(KEEP_FREE) {
        return Ok(());
    }
    Err(fault("write", path, Errno::NOSPC))
}

pub(crate) fn write_all(file: impl AsFd, mut data: &[u8], mut offset: u64) -> Result<(), Errno> {
    while !data.is_empty() {
        match rustix::io::pwrite(&file, data, offset) {
            Ok(0) => return Err(Errno::NOSPC),
            Ok(count) => {
                data = &data[count..];
                offset += count as u64;
            }
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

pub(crate) fn set_mtime(file: impl AsFd, mtime_ns: i64) -> Result<(), Errno> {
    rustix::fs::futimens(file, &times(mtime_ns))
}

/// The time of the last access stays as it is.
pub(crate) fn times(mtime_ns: i64) -> Timestamps {
    Timestamps {
        last_access: Timespec {
            tv_sec: 0,
            tv_nsec: rustix::fs::UTIME_OMIT as _,
        },
        last_modification: Timespec {
            tv_sec: mtime_ns.div_euclid(1_000_000_000),
            tv_nsec: mtime_ns.rem_euclid(1_000_000_000) as _,
        },
    }
}

/// A name is durable when its directory is. A directory that cannot be read has to do without.
pub(crate) fn sync_directory(directory: &OwnedFd) {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    if let Ok(open) = rustix::fs::openat(directory, c".", flags, Mode::empty()) {
        let _ = rustix::fs::fsync(open);
    }
}
