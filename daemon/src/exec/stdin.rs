//! What the caller sends on its way to the program's stdin, and how much of it the program took.

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;

use cmdop_proto::limits::RUN_STDIN_WINDOW;
use tokio::net::unix::pipe;

/// Bytes that wait for a program that does not read. A caller that waits for acknowledgements never has
/// as many under way, so its signals are always heard; any other waits at its own end, which is the
/// back-pressure of a pipe.
const MAX_WAITING: usize = 2 * RUN_STDIN_WINDOW;

/// So much more must be taken before it is worth an acknowledgement.
const ACK_EVERY: u64 = RUN_STDIN_WINDOW as u64 / 4;

/// The program's stdin.
#[derive(Debug, Default)]
pub(super) struct Stdin {
    /// Gone once it is closed, by either side.
    pipe: Option<pipe::Sender>,
    waiting: VecDeque<u8>,
    is_complete: bool,
    /// Where the next byte of the caller belongs.
    received: u64,
    acked: u64,
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
    pub(super) fn push(&mut self, data: &[u8]) {
        self.received += data.len() as u64;
        if self.pipe.is_some() && !self.is_complete {
            self.waiting.extend(data);
            self.write();
        }
    }

    /// No frame will follow.
    pub(super) fn complete(&mut self) {
        self.is_complete = true;
        self.write();
    }

    /// Where the next byte of the caller belongs.
    pub(super) fn received(&self) -> u64 {
        self.received
    }

    fn taken(&self) -> u64 {
        self.received - self.waiting.len() as u64
    }

    /// How much the program took, if that is worth telling.
    pub(super) fn take_ack(&mut self) -> Option<u64> {
        (self.taken() - self.acked >= ACK_EVERY).then(|| self.ack_now())
    }

    /// How much the program took: what was told before may not have arrived.
    pub(super) fn ack_now(&mut self) -> u64 {
        self.acked = self.taken();
        self.acked
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
        while let (Some(pipe), false) = (&self.pipe, self.waiting.is_empty()) {
            match pipe.try_write(self.waiting.as_slices().0) {
                Ok(count) => drop(self.waiting.drain(..count)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => self.close(),
            }
        }
        if self.is_complete {
            self.close();
        }
    }

    /// Closes it; what waits is dropped.
    pub(super) fn close(&mut self) {
        self.pipe = None;
        self.waiting = VecDeque::new();
    }
}
