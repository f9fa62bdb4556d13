//! This process's stdin as bytes, in pieces as large as they come.
//!
//! The descriptor may be shared with other processes (a shell's terminal), so it is never made
//! non-blocking: where the kernel can tell that there is something to read, we ask, then read.
//! A regular file cannot tell; a thread reads it.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use bytes::Bytes;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;

use super::readiness;

/// One read: half of what one message of input may carry, so that what is made of it still fits.
const PIECE: usize = 32 << 10;

/// Pieces that a thread may read ahead: the reader's back-pressure must reach the file.
const AHEAD: usize = 2;

/// A readable stdin.
#[derive(Debug)]
pub(super) enum Stdin {
    /// The kernel tells when to read. The buffer is what one read fills.
    Ready(AsyncFd<OwnedFd>, Box<[u8]>),
    /// A thread reads; it ends with the process.
    Thread(mpsc::Receiver<io::Result<Bytes>>),
}

impl Stdin {
    /// Must be called on the runtime.
    pub(super) fn open() -> io::Result<Self> {
        let fd = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?;
        Self::of(fd)
    }

    fn of(fd: OwnedFd) -> io::Result<Self> {
        match readiness::of(fd, Interest::READABLE) {
            Ok(fd) => Ok(Self::Ready(fd, buffer())),
            Err(fd) => {
                let (pieces, received) = mpsc::channel(AHEAD);
                std::thread::Builder::new()
                    .name("stdin".into())
                    .spawn(move || read_all(&fd, &pieces))?;
                Ok(Self::Thread(received))
            }
        }
    }

    /// The next piece; empty at the end. Cancel-safe.
    pub(super) async fn read(&mut self) -> io::Result<Bytes> {
        match self {
            Self::Thread(pieces) => pieces.recv().await.unwrap_or_else(|| Ok(Bytes::new())),
            Self::Ready(fd, buffer) => loop {
                let mut guard = fd.readable().await?;
                let read = guard.try_io(|fd| {
                    if !is_readable(fd.get_ref())? {
                        return Err(io::ErrorKind::WouldBlock.into());
                    }
                    read_piece(fd.get_ref(), buffer)
                });
                if let Ok(read) = read {
                    return read;
                }
            },
        }
    }
}

fn is_readable(fd: &OwnedFd) -> io::Result<bool> {
    let mut fds = [PollFd::new(fd, PollFlags::IN)];
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    Ok(poll(&mut fds, Some(&now))? > 0)
}

fn buffer() -> Box<[u8]> {
    vec![0; PIECE].into()
}

fn read_piece(fd: &OwnedFd, buffer: &mut [u8]) -> io::Result<Bytes> {
    loop {
        match rustix::io::read(fd, &mut *buffer) {
            // A key keeps as much memory as it has bytes, not a whole buffer.
            Ok(length) => return Ok(Bytes::copy_from_slice(&buffer[..length])),
            Err(rustix::io::Errno::INTR) => {}
            // A terminal whose other end is gone.
            Err(rustix::io::Errno::IO) => return Ok(Bytes::new()),
            Err(error) => return Err(error.into()),
        }
    }
}

fn read_all(fd: &OwnedFd, pieces: &mpsc::Sender<io::Result<Bytes>>) {
    let mut buffer = buffer();
    loop {
        let piece = read_piece(fd, &mut buffer);
        let last = !matches!(&piece, Ok(piece) if !piece.is_empty());
        if pieces.blocking_send(piece).is_err() || last {
            return;
        }
    }
}

/// Whether this process is in its terminal's foreground: a background job that reads is stopped.
pub(super) fn is_foreground(terminal: BorrowedFd<'_>) -> bool {
    rustix::termios::tcgetpgrp(terminal).is_ok_and(|group| group == rustix::process::getpgrp())
}

#[cfg(test)]
mod tests {
    use std::io::{Seek as _, Write as _};

    use super::*;

    #[tokio::test]
    async fn a_pipe_is_read_as_it_is_written_to_and_then_ends() {
        let (reader, writer) = io::pipe().unwrap();
        let mut stdin = Stdin::of(reader.into()).unwrap();
        let mut writer = writer;
        writer.write_all(b"one").unwrap();
        assert_eq!(stdin.read().await.unwrap(), "one");
        writer.write_all(b"two").unwrap();
        drop(writer);
        assert_eq!(stdin.read().await.unwrap(), "two");
        assert_eq!(stdin.read().await.unwrap(), "");
    }

    #[tokio::test]
    async fn a_file_is_read_to_its_end() {
        let mut file = tempfile::tempfile().unwrap();
        let content = vec![7; 3 * PIECE + 1];
        file.write_all(&content).unwrap();
        file.rewind().unwrap();
        let mut stdin = Stdin::of(file.into()).unwrap();
        let mut length = 0;
        loop {
            let piece = stdin.read().await.unwrap();
            if piece.is_empty() {
                break;
            }
            length += piece.len();
        }
        assert_eq!(length, 3 * PIECE + 1);
    }
}
