//! One output stream of a program: read piece by piece, counted, and never more than was asked for.

use std::io;
use std::os::fd::OwnedFd;

use bytes::{Bytes, BytesMut};
use cmdop_proto::limits;
use tokio::net::unix::pipe;

/// A program's stdout or stderr.
#[derive(Debug, Default)]
pub(super) struct Output {
    /// Gone at the end of the stream.
    pipe: Option<pipe::Receiver>,
    buffer: BytesMut,
    /// Once the program has ended: how much of what it wrote is still in the pipe.
    owed: Option<u64>,
}

impl Output {
    /// Takes over our end of the pipe.
    pub(super) fn new(pipe: OwnedFd) -> io::Result<Self> {
        Ok(Self {
            pipe: Some(pipe::Receiver::from_owned_fd(pipe)?),
            ..Self::default()
        })
    }

    /// Waits until there is something to read, or the end. For ever, once the end was seen.
    pub(super) async fn readable(&self) {
        match &self.pipe {
            Some(pipe) => drop(pipe.readable().await),
            None => std::future::pending().await,
        }
    }

    /// The next piece, if there is one.
    pub(super) fn read(&mut self) -> Option<Bytes> {
        let pipe = self.pipe.as_ref()?;
        self.buffer.reserve(limits::MAX_OUTPUT);
        let mut room = bytes::BufMut::limit(&mut self.buffer, limits::MAX_OUTPUT);
        match pipe.try_read_buf(&mut room) {
            Ok(0) => self.close(),
            Ok(_) => return Some(self.piece()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => self.close(),
        }
        None
    }

    fn piece(&mut self) -> Bytes {
        let data: Bytes = self.buffer.split().freeze();
        if let Some(owed) = &mut self.owed {
            *owed = owed.saturating_sub(data.len() as u64);
        }
        data
    }

    /// The program has ended: what is in the pipe now is the last that it can have written.
    pub(super) fn program_ended(&mut self) {
        let waiting = self
            .pipe
            .as_ref()
            .and_then(|pipe| rustix::io::ioctl_fionread(pipe).ok());
        self.owed = Some(waiting.unwrap_or(0));
    }

    /// Whether all that the program wrote was read.
    pub(super) fn is_settled(&self) -> bool {
        self.is_closed() || self.owed == Some(0)
    }

    /// Whether nobody can write any more.
    pub(super) fn is_closed(&self) -> bool {
        self.pipe.is_none()
    }

    /// Nothing more is wanted of it.
    pub(super) fn close(&mut self) {
        self.pipe = None;
    }
}
