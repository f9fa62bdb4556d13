//! The MD5 of a file that is read or written in order, kept on the way; and made afterwards where it was not.

use std::os::fd::AsFd;

use bytes::Bytes;
use cmdop_proto::limits::FILE_PIECE;
use md5::{Digest as _, Md5};
use rustix::fs::SeekFrom;
use rustix::io::Errno;

/// Beyond so many bytes of holes a file has no MD5: hashing zeros takes a second for each 500 MB.
pub(crate) const MAX_HOLES: u64 = 1 << 30;

static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

/// The MD5 of [0, at), as long as everything came in order.
pub(crate) struct Running {
    md5: Md5,
    at: u64,
    holes: u64,
    is_broken: bool,
}

impl Running {
    pub(crate) fn new() -> Self {
        Self {
            md5: Md5::new(),
            at: 0,
            holes: 0,
            is_broken: false,
        }
    }

    /// The file's bytes at `offset`. What was left out before them must be a hole.
    pub(crate) fn add(&mut self, file: impl AsFd, offset: u64, data: &[u8]) {
        if self.is_broken || data.is_empty() {
            return;
        }
        if offset != self.at && !self.skip(file, offset) {
            self.is_broken = true;
            return;
        }
        self.md5.update(data);
        self.at += data.len() as u64;
    }

    /// None is wanted.
    pub(crate) fn none() -> Self {
        let mut running = Self::new();
        running.give_up();
        running
    }

    /// Nothing that follows can be trusted to be in order.
    pub(crate) fn give_up(&mut self) {
        self.is_broken = true;
    }

    fn skip(&mut self, file: impl AsFd, to: u64) -> bool {
        let Some(length) = to.checked_sub(self.at) else {
            return false;
        };
        self.holes = self.holes.saturating_add(length);
        if self.holes > MAX_HOLES || !is_hole(file, self.at, to) {
            return false;
        }
        zeros(&mut self.md5, length);
        self.at = to;
        true
    }

    /// The MD5 of a file of this size; `None`: it has to be made from the file.
    pub(crate) fn finish(mut self, file: impl AsFd, size: u64) -> Option<[u8; 16]> {
        if self.is_broken || (self.at != size && !self.skip(file, size)) {
            return None;
        }
        Some(self.md5.finalize().into())
    }
}

fn zeros(md5: &mut Md5, mut length: u64) {
    while length > 0 {
        let piece = length.min(ZEROS.len() as u64);
        md5.update(&ZEROS[..piece as usize]);
        length -= piece;
    }
}

/// Whether [from, to) holds no data.
fn is_hole(file: impl AsFd, from: u64, to: u64) -> bool {
    match rustix::fs::seek(file, SeekFrom::Data(from)) {
        Ok(data) => data >= to,
        // Beyond the last data.
        Err(Errno::NXIO) => true,
        Err(_) => false,
    }
}

/// The MD5 of a file, read for that. `None`: its holes are too large.
pub(crate) fn of_file(file: impl AsFd, size: u64) -> Result<Option<[u8; 16]>, Errno> {
    let mut running = Running::new();
    let mut buffer = vec![0; FILE_PIECE];
    let mut at = 0;
    while at < size {
        let data = next_data(&file, at, size)?;
        let length = (size - data).min(FILE_PIECE as u64) as usize;
        if length == 0 {
            break;
        }
        let read = read_up_to(&file, &mut buffer[..length], data)?;
        running.add(&file, data, &buffer[..read]);
        if running.is_broken {
            return Ok(None);
        }
        at = data + read as u64;
        if read < length {
            break;
        }
    }
    Ok(running.finish(&file, size))
}

/// Where the next data is at or after `at`; `size` if there is none.
fn next_data(file: impl AsFd, at: u64, size: u64) -> Result<u64, Errno> {
    match rustix::fs::seek(file, SeekFrom::Data(at)) {
        Ok(data) => Ok(data.min(size)),
        Err(Errno::NXIO) => Ok(size),
        // A file system that knows no holes.
        Err(Errno::INVAL | Errno::OPNOTSUPP) => Ok(at),
        Err(errno) => Err(errno),
    }
}

/// Reads until the buffer is full or the file ends.
pub(crate) fn read_up_to(file: impl AsFd, buffer: &mut [u8], offset: u64) -> Result<usize, Errno> {
    let mut filled = 0;
    while filled < buffer.len() {
        match rustix::io::pread(&file, &mut buffer[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(filled)
}

/// The same into a buffer that holds nothing yet, up to `length` bytes.
pub(crate) fn read_new(file: impl AsFd, length: usize, offset: u64) -> Result<Vec<u8>, Errno> {
    let mut buffer = Vec::with_capacity(length);
    while buffer.len() < length {
        let at = offset + buffer.len() as u64;
        match rustix::io::pread(&file, rustix::buffer::spare_capacity(&mut buffer), at) {
            Ok(0) => break,
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    // The buffer may be larger than it was asked to be.
    buffer.truncate(length);
    Ok(buffer)
}

/// The BLAKE3 of each chunk of a file, told as they come: `(hashes, bytes hashed, last)`.
pub(crate) fn chunks(
    file: impl AsFd,
    chunk: usize,
    mut tell: impl FnMut(Bytes, u64) -> Result<(), crate::answers::Stop>,
) -> Result<(Bytes, u64), Result<Errno, crate::answers::Stop>> {
    /// Hashes in one message: 4,096 of 32 bytes are 128 KiB.
    const BATCH: usize = 4096 * 32;
    let mut buffer = vec![0; chunk];
    let mut hashes = Vec::new();
    let mut at = 0u64;
    loop {
        let read = read_up_to(&file, &mut buffer, at).map_err(Ok)?;
        if read > 0 {
            hashes.extend_from_slice(blake3::hash(&buffer[..read]).as_bytes());
            at += read as u64;
        }
        if read < chunk {
            return Ok((hashes.into(), at));
        }
        if hashes.len() >= BATCH {
            tell(std::mem::take(&mut hashes).into(), at).map_err(Err)?;
        }
    }
}
