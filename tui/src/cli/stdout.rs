//! Stdout and stderr as bytes that wait for a slow reader without stopping the rest of the program.
//!
//! As with stdin, the descriptor is never made non-blocking. The kernel is asked for room first, and
//! a piece is small enough that a write which blocks all the same blocks for a moment only.
//!
//! The descriptor is watched only while there is no room: a terminal tells of room after each byte
//! that it shows, and each such call would wake this process for nothing.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::io::Interest;

use super::readiness;

/// One write. A terminal that takes 4 MB/s takes it in 4 ms: so long may a key wait behind it.
const PIECE: usize = 16 << 10;

/// A writable descriptor.
#[derive(Debug)]
pub(super) struct Stdout {
    fd: OwnedFd,
    /// The kernel tells when there is room; in a regular file there always is.
    can_wait: bool,
}

impl Stdout {
    /// This process's stdout. Must be called on the runtime.
    pub(super) fn open() -> io::Result<Self> {
        Self::of(rustix::stdio::stdout())
    }

    /// This process's stderr. Must be called on the runtime.
    pub(super) fn open_stderr() -> io::Result<Self> {
        Self::of(rustix::stdio::stderr())
    }

    pub(super) fn of(fd: BorrowedFd<'_>) -> io::Result<Self> {
        let fd = rustix::io::fcntl_dupfd_cloexec(fd, 3)?;
        let can_wait = readiness::of(fd.as_fd(), Interest::WRITABLE).is_ok();
        Ok(Self { fd, can_wait })
    }

    /// Writes what there is room for now; 0 if there is none.
    pub(super) fn try_write(&self, data: &[u8]) -> io::Result<usize> {
        let mut written = 0;
        while written < data.len() {
            let end = data.len().min(written + PIECE);
            match self.write_piece(&data[written..end]) {
                Ok(length) => written += length,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
            // Between pieces somebody may have typed.
            if end < data.len() && self.can_wait {
                break;
            }
        }
        Ok(written)
    }

    /// Writes something of it, waiting for room. Cancel-safe: nothing is written before it returns.
    pub(super) async fn write(&self, data: &[u8]) -> io::Result<usize> {
        let piece = &data[..data.len().min(PIECE)];
        loop {
            match self.write_piece(piece) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.room().await?,
                done => return done,
            }
        }
    }

    async fn room(&self) -> io::Result<()> {
        match readiness::of(self.fd.as_fd(), Interest::WRITABLE) {
            Ok(watched) => watched.writable().await.map(|_| ()),
            Err(_) => Ok(()),
        }
    }

    fn write_piece(&self, piece: &[u8]) -> io::Result<usize> {
        if self.can_wait && !has_room(&self.fd)? {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        write(&self.fd, piece)
    }
}

fn has_room(fd: &OwnedFd) -> io::Result<bool> {
    let mut fds = [PollFd::new(fd, PollFlags::OUT)];
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    Ok(poll(&mut fds, Some(&now))? > 0)
}

fn write(fd: &OwnedFd, piece: &[u8]) -> io::Result<usize> {
    loop {
        match rustix::io::write(fd, piece) {
            Err(rustix::io::Errno::INTR) => {}
            other => return Ok(other?),
        }
    }
}
