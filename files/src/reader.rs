//! A regular file that is read in ranges: each with its BLAKE3, the whole with its MD5.

use std::os::fd::OwnedFd;

use bytes::Bytes;
use cmdop_proto::v1::file_response::Response;
use cmdop_proto::{Refusal, limits, v1};
use rustix::fs::SeekFrom;
use rustix::io::Errno;

use crate::answers::{Answers, Stop};
use crate::confine::Roots;
use crate::entry::{entry, version};
use crate::fault::{bad, fault};
use crate::hash::{self, Running};

/// Extents that are told of one file; a file in more pieces is read as if it had no holes.
const MAX_EXTENTS: usize = 4096;

/// An open file.
pub(crate) struct Reader {
    file: OwnedFd,
    path: Bytes,
    opened: v1::FileVersion,
    running: Running,
}

impl Reader {
    pub(crate) fn open(
        roots: &Roots,
        request: &v1::FileReader,
        answers: &mut Answers<'_>,
    ) -> Result<Self, Stop> {
        let path = &request.path;
        let (file, stat) = roots.open_regular(path)?;
        answers.last(Response::Entry(entry(path, &stat)))?;
        Ok(Self {
            file,
            path: path.clone(),
            opened: version(&stat),
            running: if request.without_md5 {
                Running::none()
            } else {
                Running::new()
            },
        })
    }

    pub(crate) fn read(
        &mut self,
        request: &v1::FileRead,
        answers: &mut Answers<'_>,
    ) -> Result<(), Stop> {
        let length = request.length as usize;
        if length == 0 || length > limits::MAX_CHUNK {
            return Err(bad(format!("a range of {length} bytes is empty or too long")).into());
        }
        let mut hasher = blake3::Hasher::new();
        let mut done = 0;
        loop {
            let offset = request.offset.saturating_add(done as u64);
            let wanted = (length - done).min(limits::FILE_PIECE);
            let data = self.piece(offset, wanted)?;
            hasher.update(&data);
            self.running.add(&self.file, offset, &data);
            done += data.len();
            let is_last = data.len() < wanted || done == length;
            let part = v1::FileData {
                offset,
                data,
                blake3: if is_last {
                    Bytes::copy_from_slice(hasher.finalize().as_bytes())
                } else {
                    Bytes::new()
                },
                carried: None,
            };
            if is_last {
                return answers.last(Response::Data(part));
            }
            answers.part(Response::Data(part))?;
        }
    }

    fn piece(&self, offset: u64, length: usize) -> Result<Bytes, Refusal> {
        hash::read_new(&self.file, length, offset)
            .map(Bytes::from)
            .map_err(|errno| fault("read", &self.path, errno))
    }

    pub(crate) fn map(&self, answers: &mut Answers<'_>) -> Result<(), Stop> {
        let extents = self
            .extents()
            .map_err(|errno| fault("map", &self.path, errno))?;
        answers.last(Response::Extents(v1::FileExtents { extents }))
    }

    fn extents(&self) -> Result<Vec<v1::FileExtent>, Errno> {
        let size = self.opened.size;
        let all = vec![v1::FileExtent {
            offset: 0,
            length: size,
        }];
        let mut extents = Vec::new();
        let mut at = 0;
        while at < size {
            let start = match rustix::fs::seek(&self.file, SeekFrom::Data(at)) {
                Ok(start) if start < size => start,
                Ok(_) | Err(Errno::NXIO) => break,
                Err(Errno::INVAL | Errno::OPNOTSUPP) => return Ok(all),
                Err(errno) => return Err(errno),
            };
            let end = rustix::fs::seek(&self.file, SeekFrom::Hole(start))?.min(size);
            if end <= start || extents.len() == MAX_EXTENTS {
                return Ok(all);
            }
            extents.push(v1::FileExtent {
                offset: start,
                length: end - start,
            });
            at = end;
        }
        Ok(extents)
    }

    pub(crate) fn digest(&self, chunk: usize, answers: &mut Answers<'_>) -> Result<(), Stop> {
        digest(&self.file, &self.path, chunk, answers)
    }

    pub(crate) fn close(self, wants_md5: bool, answers: &mut Answers<'_>) -> Result<(), Stop> {
        let say = |errno| fault("look at", &self.path, errno);
        let stat = rustix::fs::fstat(&self.file).map_err(say)?;
        let changed = version(&stat) != self.opened;
        let size = self.opened.size;
        let md5 = if wants_md5 && !changed {
            match self.running.finish(&self.file, size) {
                Some(md5) => Some(md5),
                None => hash::of_file(&self.file, size).map_err(say)?,
            }
        } else {
            None
        };
        answers.last(Response::Closed(v1::FileClosed {
            md5: md5
                .map(|md5| Bytes::copy_from_slice(&md5))
                .unwrap_or_default(),
            changed,
        }))
    }
}

/// The BLAKE3 of each chunk of an open file.
pub(crate) fn digest(
    file: &OwnedFd,
    path: &[u8],
    chunk: usize,
    answers: &mut Answers<'_>,
) -> Result<(), Stop> {
    if !(limits::MIN_CHUNK..=limits::MAX_CHUNK).contains(&chunk) {
        return Err(bad(format!(
            "a chunk of {chunk} bytes is too small or too large"
        ))
        .into());
    }
    let told = hash::chunks(file, chunk, |blake3, size| {
        answers.part(Response::Digests(v1::FileDigests { blake3, size }))
    });
    match told {
        Ok((blake3, size)) => answers.last(Response::Digests(v1::FileDigests { blake3, size })),
        Err(Ok(errno)) => Err(fault("read", path, errno).into()),
        Err(Err(stop)) => Err(stop),
    }
}
