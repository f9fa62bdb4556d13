//! The socket between holder and worker: frames of bytes, each with the descriptors that go with it.
//!
//! A frame is its length and its number of descriptors, then its bytes. Descriptors travel with the
//! frame's first byte (unix(7)), so they are there when the frame is whole, in the order of frames.

use std::collections::VecDeque;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::descriptor;
use crate::memory::set_nonblocking;

/// The largest frame: a command line and an environment as large as the kernel takes.
const MAX_FRAME: usize = 4 << 20;

/// Descriptors of one frame: a terminal and a memory.
pub(super) const MAX_FDS: usize = 8;

/// Length (4 bytes) and number of descriptors (1 byte).
const HEADER: usize = 5;

/// What one read takes.
const READ: usize = 64 << 10;

/// One message.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) bytes: Vec<u8>,
    pub(crate) fds: Vec<OwnedFd>,
}

/// One end.
#[derive(Debug)]
pub(crate) struct Channel {
    socket: AsyncFd<OwnedFd>,
    incoming: Incoming,
}

/// What came and is no whole frame yet.
#[derive(Debug, Default)]
pub(super) struct Incoming {
    bytes: Vec<u8>,
    fds: VecDeque<OwnedFd>,
}

impl Channel {
    /// Must be called on the runtime.
    pub(crate) fn new(socket: OwnedFd) -> io::Result<Self> {
        set_nonblocking(&socket)?;
        Ok(Self {
            socket: descriptor::watch(socket, Interest::READABLE | Interest::WRITABLE)?,
            incoming: Incoming::default(),
        })
    }

    /// Sends a frame. Not cancel-safe: half a frame is none.
    pub(crate) async fn send(&self, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        if bytes.len() > MAX_FRAME || fds.len() > MAX_FDS {
            return Err(io::Error::other("too much for one frame"));
        }
        let mut all = Vec::with_capacity(HEADER + bytes.len());
        all.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
        all.push(fds.len() as u8);
        all.extend_from_slice(bytes);
        let mut sent = 0;
        while sent < all.len() {
            let first = if sent == 0 { fds } else { &[] };
            let mut guard = self.socket.writable().await?;
            match guard.try_io(|socket| send(socket.get_ref(), &all[sent..], first)) {
                Ok(count) => sent += count?,
                Err(_) => continue,
            }
        }
        Ok(())
    }

    /// The next frame; `None` when the other end is gone. Cancel-safe.
    pub(crate) async fn receive(&mut self) -> io::Result<Option<Frame>> {
        loop {
            if let Some(frame) = self.incoming.frame()? {
                return Ok(Some(frame));
            }
            let mut guard = self.socket.readable().await?;
            let mut buffer = vec![0; READ];
            let received = guard.try_io(|socket| receive(socket.get_ref(), &mut buffer));
            match received {
                Ok(received) => {
                    let (count, fds) = received?;
                    if count == 0 {
                        return Ok(None);
                    }
                    self.incoming.push(&buffer[..count], fds);
                }
                Err(_) => continue,
            }
        }
    }
}

impl Incoming {
    pub(super) fn push(&mut self, bytes: &[u8], fds: Vec<OwnedFd>) {
        self.bytes.extend_from_slice(bytes);
        self.fds.extend(fds);
    }

    /// The next frame, if it is whole.
    pub(super) fn frame(&mut self) -> io::Result<Option<Frame>> {
        let Some((header, rest)) = self.bytes.split_at_checked(HEADER) else {
            return Ok(None);
        };
        let length = u32::from_le_bytes([header[0], header[1], header[2], header[3]]) as usize;
        let fds = usize::from(header[4]);
        if length > MAX_FRAME || fds > MAX_FDS {
            return Err(io::Error::other("a frame is larger than any can be"));
        }
        if rest.len() < length {
            return Ok(None);
        }
        if self.fds.len() < fds {
            return Err(io::Error::other("a frame came without its descriptors"));
        }
        let bytes = rest[..length].to_vec();
        self.bytes.drain(..HEADER + length);
        Ok(Some(Frame {
            bytes,
            fds: self.fds.drain(..fds).collect(),
        }))
    }
}

fn send(socket: &OwnedFd, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(io::Error::other("too many descriptors"));
    }
    loop {
        match sendmsg(
            socket,
            &[IoSlice::new(bytes)],
            &mut control,
            SendFlags::NOSIGNAL,
        ) {
            Err(Errno::INTR) => {}
            other => return Ok(other?),
        }
    }
}

fn receive(socket: &OwnedFd, buffer: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = loop {
        match recvmsg(
            socket,
            &mut [IoSliceMut::new(buffer)],
            &mut control,
            RecvFlags::CMSG_CLOEXEC,
        ) {
            Err(Errno::INTR) => {}
            other => break other?,
        }
    };
    let fds = control
        .drain()
        .filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(fds) => Some(fds),
            _ => None,
        })
        .flatten()
        .collect();
    Ok((received.bytes, fds))
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd as _;

    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

    use super::*;

    fn pair() -> (Channel, Channel) {
        let (one, other) = socketpair(
            AddressFamily::UNIX,
            SocketType::STREAM,
            SocketFlags::CLOEXEC,
            None,
        )
        .unwrap();
        (Channel::new(one).unwrap(), Channel::new(other).unwrap())
    }

    #[tokio::test]
    async fn frames_keep_their_descriptors_however_they_are_cut() {
        let (one, mut other) = pair();
        let send = async {
            for number in 0..50_usize {
                let (reader, writer) = rustix::pipe::pipe().unwrap();
                rustix::io::write(&writer, &[number as u8]).unwrap();
                let bytes = vec![number as u8; number * 9001];
                let fds = [reader.as_fd()];
                let fds = if number % 3 == 0 { &fds[..] } else { &[] };
                one.send(&bytes, fds).await.unwrap();
            }
        };
        let receive = async {
            for number in 0..50_usize {
                let frame = other.receive().await.unwrap().unwrap();
                assert_eq!(frame.bytes, vec![number as u8; number * 9001]);
                assert_eq!(frame.fds.len(), usize::from(number % 3 == 0));
                for fd in frame.fds {
                    let mut byte = [0];
                    rustix::io::read(&fd, &mut byte).unwrap();
                    assert_eq!(usize::from(byte[0]), number);
                }
            }
        };
        tokio::join!(send, receive);
        drop(one);
        assert!(other.receive().await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_frame_larger_than_any_is_refused_before_it_is_read() {
        let (one, mut other) = pair();
        rustix::io::write(one.socket.get_ref(), &[0xff; HEADER]).unwrap();
        other.receive().await.unwrap_err();
    }
}
