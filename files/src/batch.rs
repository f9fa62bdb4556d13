//! Many small files at once: read whole, or written under temporary names that become real together.
//!
//! One `syncfs` makes thousands of them durable; `fsync` for each would cost a disk's round trip each.

use std::collections::HashMap;
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use bytes::Bytes;
use cmdop_proto::v1::file_response::Response;
use cmdop_proto::{Refusal, limits, v1};
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use crate::answers::{Answers, Outcomes, Stop};
use crate::confine::{Follow, Roots};
use crate::entry::{kind, mode, mtime_ns};
use crate::fault::{bad, fault, not_a_file, shown};
use crate::hash;
use crate::quota::on_disk;
use crate::replace::{Expected, put_in_place};
use crate::writer::{require_room, temporary_name, times, write_all};

/// Files that wait for their names. Those that were not settled go when this is dropped.
#[derive(Default)]
pub(crate) struct Staging {
    staged: Vec<Staged>,
    /// One file of each file system that was written to.
    devices: HashMap<u64, OwnedFd>,
    /// The directory of the last file: the next one is most often in the same.
    last: Option<(Vec<u8>, Rc<OwnedFd>)>,
    count: u64,
}

struct Staged {
    directory: Rc<OwnedFd>,
    temporary: OsString,
    name: OsString,
    path: Bytes,
    expected: Expected,
}

impl Staging {
    pub(crate) fn put(
        &mut self,
        roots: &Roots,
        request: v1::FilePut,
        answers: &mut Answers<'_>,
    ) -> Result<(), Stop> {
        if self.staged.len() + request.files.len() > limits::MAX_STAGED {
            return Err(bad(format!(
                "more than {} files wait to be settled",
                limits::MAX_STAGED
            ))
            .into());
        }
        let mut outcomes = Outcomes::default();
        for file in request.files {
            let taken = on_disk(file.data.len() as u64);
            let room = roots.spend(taken, &file.path, answers);
            let staged = room.and_then(|()| Ok(self.stage(roots, &file)?));
            match staged {
                Ok(staged) => {
                    self.staged.push(staged);
                    outcomes.done();
                }
                Err(Stop::Refused(refusal)) => outcomes.refuse(answers, &refusal, &file.path)?,
                Err(Stop::Gone) => return Err(Stop::Gone),
            }
        }
        outcomes.tell(answers)
    }

    fn stage(&mut self, roots: &Roots, file: &v1::SmallFile) -> Result<Staged, Refusal> {
        let (directory, name) = self.parent(roots, &file.path)?;
        let expected = Expected::find(&*directory, &name, &file.path, file.replace())?;
        self.count += 1;
        let key = format!(
            "{:x}{:06x}",
            rustix::process::getpid().as_raw_nonzero(),
            self.count
        );
        let temporary = temporary_name(&name, &key);
        let staged = Staged {
            directory,
            temporary,
            name,
            path: file.path.clone(),
            expected,
        };
        match file.kind() {
            v1::FileKind::Symlink => stage_link(&staged, file)?,
            v1::FileKind::File => self
                .stage_file(&staged, file)
                .inspect_err(|_| discard(&staged))?,
            _ => return Err(bad("only files and symbolic links can be put")),
        }
        Ok(staged)
    }

    fn parent(&mut self, roots: &Roots, path: &[u8]) -> Result<(Rc<OwnedFd>, OsString), Refusal> {
        let split = path.iter().rposition(|byte| *byte == b'/');
        if let (Some(split), Some((last, directory))) = (split, &self.last)
            && path[..split] == last[..]
            && let Ok(name) = crate::confine::component(&path[split + 1..])
        {
            return Ok((directory.clone(), name));
        }
        let (directory, name) = roots.parent(path)?;
        let directory = Rc::new(directory);
        if let Some(split) = split {
            self.last = Some((path[..split].to_vec(), directory.clone()));
        }
        Ok((directory, name))
    }

    fn stage_file(&mut self, staged: &Staged, file: &v1::SmallFile) -> Result<(), Refusal> {
        let say = |errno| fault("write", &staged.path, errno);
        if blake3::hash(&file.data).as_bytes()[..] != file.blake3[..] {
            return Err(Refusal::unavailable(
                "chunk-differs",
                format!("{} did not arrive as it left", shown(&staged.path)),
            ));
        }
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let private = Mode::RUSR | Mode::WUSR;
        let open = rustix::fs::openat(&*staged.directory, &staged.temporary, flags, private)
            .map_err(say)?;
        // Asked of each 256th: the answer costs as much as the file.
        if self.count % 256 == 1 {
            require_room(&open, 0, &staged.path)?;
        }
        write_all(&open, &file.data, 0).map_err(say)?;
        rustix::fs::fchmod(&open, Mode::from_raw_mode(file.mode & 0o7777)).map_err(say)?;
        rustix::fs::futimens(&open, &times(file.mtime_ns)).map_err(say)?;
        if self.devices.is_empty() || self.count % 256 == 1 {
            let stat = rustix::fs::fstat(&open).map_err(say)?;
            self.devices.insert(stat.st_dev as u64, open);
        }
        Ok(())
    }

    /// Makes them durable, names them, and makes the names durable.
    pub(crate) fn settle(&mut self, answers: &mut Answers<'_>) -> Result<(), Stop> {
        self.sync()?;
        let mut outcomes = Outcomes::default();
        for staged in self.staged.drain(..) {
            let named = put_in_place(
                &*staged.directory,
                &staged.temporary,
                &staged.name,
                staged.expected,
                &staged.path,
            );
            match named {
                Ok(()) => outcomes.done(),
                Err(refusal) => {
                    discard(&staged);
                    outcomes.refuse(answers, &refusal, &staged.path)?;
                }
            }
        }
        self.sync()?;
        self.devices.clear();
        outcomes.tell(answers)
    }

    fn sync(&self) -> Result<(), Refusal> {
        for file in self.devices.values() {
            rustix::fs::syncfs(file).map_err(|errno| fault("make durable", b"the files", errno))?;
        }
        Ok(())
    }
}

fn stage_link(staged: &Staged, file: &v1::SmallFile) -> Result<(), Refusal> {
    let say = |errno| fault("link", &staged.path, errno);
    let directory = &*staged.directory;
    rustix::fs::symlinkat(&file.target[..], directory, &staged.temporary).map_err(say)?;
    // Not every file system keeps the time of a link.
    let _ = rustix::fs::utimensat(
        directory,
        &staged.temporary,
        &times(file.mtime_ns),
        AtFlags::SYMLINK_NOFOLLOW,
    );
    Ok(())
}

fn discard(staged: &Staged) {
    let _ = rustix::fs::unlinkat(&*staged.directory, &staged.temporary, AtFlags::empty());
}

impl Drop for Staging {
    fn drop(&mut self) {
        self.staged.iter().for_each(discard);
    }
}

/// Reads small files and links whole.
pub(crate) fn fetch(
    roots: &Roots,
    request: &v1::FileFetch,
    answers: &mut Answers<'_>,
) -> Result<(), Stop> {
    if request.paths.len() > limits::MAX_STAGED {
        return Err(bad("too many paths in one request").into());
    }
    let mut outcomes = Outcomes::default();
    let mut batch = Vec::new();
    let mut bytes = 0;
    for path in &request.paths {
        match whole(roots, path) {
            Ok(file) => {
                let size = file.data.len() + path.len() + file.target.len() + 128;
                if bytes + size > limits::FILE_BATCH && !batch.is_empty() {
                    let files = std::mem::take(&mut batch);
                    answers.part(Response::Batch(v1::FileBatch {
                        files,
                        carried: None,
                    }))?;
                    bytes = 0;
                }
                bytes += size;
                batch.push(file);
                outcomes.done();
            }
            Err(refusal) => outcomes.refuse(answers, &refusal, path)?,
        }
    }
    if !batch.is_empty() {
        answers.part(Response::Batch(v1::FileBatch {
            files: batch,
            carried: None,
        }))?;
    }
    outcomes.tell(answers)
}

fn whole(roots: &Roots, path: &Bytes) -> Result<v1::SmallFile, Refusal> {
    let say = |errno| fault("read", path, errno);
    let (link, stat) = roots.look(path, Follow::No)?;
    if kind(&stat) == v1::FileKind::Symlink {
        let target = rustix::fs::readlinkat(&link, c"", Vec::new()).map_err(say)?;
        return Ok(v1::SmallFile {
            path: path.clone(),
            kind: v1::FileKind::Symlink.into(),
            mtime_ns: mtime_ns(&stat),
            target: target.into_bytes().into(),
            ..v1::SmallFile::default()
        });
    }
    if kind(&stat) != v1::FileKind::File {
        return Err(not_a_file(path));
    }
    let file = roots.open_at(path, OFlags::RDONLY, Follow::No)?;
    let stat = rustix::fs::fstat(&file).map_err(say)?;
    let size = stat.st_size as u64;
    if kind(&stat) != v1::FileKind::File || size > limits::SMALL_FILE as u64 {
        return Err(fault("read whole", path, Errno::FBIG));
    }
    // One byte more than there should be tells whether it grew.
    let mut data = vec![0; size as usize + 1];
    let read = hash::read_up_to(&file, &mut data, 0).map_err(say)?;
    data.truncate(read);
    if read as u64 != size {
        return Err(changed_while_read(path));
    }
    Ok(v1::SmallFile {
        path: path.clone(),
        kind: v1::FileKind::File.into(),
        mode: mode(&stat),
        mtime_ns: mtime_ns(&stat),
        blake3: Bytes::copy_from_slice(blake3::hash(&data).as_bytes()),
        data: data.into(),
        ..v1::SmallFile::default()
    })
}

fn changed_while_read(path: &[u8]) -> Refusal {
    Refusal::unavailable(
        "source-changed",
        format!("{} changed while it was read", shown(path)),
    )
    .hint("copy it again once nothing writes to it")
}
