//! Stdout and stderr as bytes that wait for a slow reader without stopping the rest of the program.
//!
//! As with stdin, the descriptor is never made non-blocking. The kernel is asked for room first, and
//! a piece is small enough that a write which blocks all the same blocks for a moment only.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::readiness;

/// One write. A terminal that takes 4 MB/s takes it in 4 ms: so long may a key wait behind it.
const PIECE: usize = 16 << 10;

/// A writable descriptor.
#[derive(Debug)]
pub(super) enum Stdout {
    /// The kernel tells when there is room.
    Ready(AsyncFd<OwnedFd>),
    /// A regular file: there always is.
    File(OwnedFd),
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
        Ok(match readiness::of(fd, Interest::WRITABLE) {
            Ok(fd) => Self::Ready(fd),
            Err(fd) => Self::File(fd),
        })
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
            if end < data.len() && matches!(self, Self::Ready(_)) {
                break;
            }
        }
        Ok(written)
    }

    /// Writes something of it, waiting for room. Cancel-safe: nothing is written before it returns.
    pub(super) async fn write(&self, data: &[u8]) -> io::Result<usize> {
        let piece = &data[..data.len().min(PIECE)];
        match self {
            Self::File(fd) => write(fd, piece),
            Self::Ready(fd) => loop {
                let mut guard = fd.writable().await?;
                if let Ok(written) = guard.try_io(|fd| write_if_room(fd.get_ref(), piece)) {
                    return written;
                }
            },
        }
    }

    fn write_piece(&self, piece: &[u8]) -> io::Result<usize> {
        match self {
            Self::File(fd) => write(fd, piece),
            Self::Ready(fd) => write_if_room(fd.get_ref(), piece),
        }
    }
}

fn write_if_room(fd: &OwnedFd, piece: &[u8]) -> io::Result<usize> {
    let mut fds = [PollFd::new(fd, PollFlags::OUT)];
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    if poll(&mut fds, Some(&now))? == 0 {
        return Err(io::ErrorKind::WouldBlock.into());
    }
    write(fd, piece)
}

fn write(fd: &OwnedFd, piece: &[u8]) -> io::Result<usize> {
    loop {
        match rustix::io::write(fd, piece) {
            Err(rustix::io::Errno::INTR) => {}
            other => return Ok(other?),
        }
    }
}
