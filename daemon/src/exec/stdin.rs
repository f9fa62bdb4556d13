//! What the caller sends on its way to the program's stdin.

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;

use bytes::{Buf as _, Bytes};
use tokio::net::unix::pipe;

/// Frames that wait for a program that does not read. Beyond it the caller waits, which is the
/// back-pressure of a pipe.
const MAX_WAITING: usize = 4;

/// The program's stdin.
#[derive(Debug, Default)]
pub(super) struct Stdin {
    /// Gone once it is closed, by either side.
    pipe: Option<pipe::Sender>,
    waiting: VecDeque<Bytes>,
    is_complete: bool,
}

impl Stdin {
    /// Takes over our end of the pipe, if the program has one.
    pub(super) fn new(pipe: Option<OwnedFd>) -> io::Result<Self> {
        Ok(Self {
            pipe: pipe.map(pipe::Sender::from_owned_fd).transpose()?,
            ..Self::default()
        })
    }

    /// Whether another frame may be taken.
    pub(super) fn has_room(&self) -> bool {
        self.waiting.len() < MAX_WAITING
    }

    /// Takes a frame. A program that has closed its stdin gets no more, and that is its choice.
    pub(super) fn push(&mut self, data: Bytes) {
        if self.pipe.is_some() && !self.is_complete && !data.is_empty() {
            self.waiting.push_back(data);
            self.write();
        }
    }

    /// No frame will follow.
    pub(super) fn complete(&mut self) {
        self.is_complete = true;
        self.write();
    }

    /// Waits until the program may take more. For ever, if there is nothing to give.
    pub(super) async fn writable(&self) {
        match &self.pipe {
            Some(pipe) if !self.waiting.is_empty() => drop(pipe.writable().await),
            _ => std::future::pending().await,
        }
    }

    /// Gives the program what it takes now.
    pub(super) fn write(&mut self) {
        while let (Some(pipe), Some(data)) = (&self.pipe, self.waiting.front_mut()) {
            match pipe.try_write(data) {
                Ok(count) => data.advance(count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => self.close(),
            }
            if self.waiting.front().is_some_and(Bytes::is_empty) {
                self.waiting.pop_front();
            }
        }
        if self.is_complete {
            self.close();
        }
    }

    /// Closes it; what waits is dropped.
    pub(super) fn close(&mut self) {
        self.pipe = None;
        self.waiting.clear();
    }
}
