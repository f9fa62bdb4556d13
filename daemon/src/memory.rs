//! What of one session outlives the worker: its output log, a checkpoint of its screen, and how far
//! its input got, in a memory file and two pipes whose descriptors the holder keeps.
//!
//! A SIGKILL strikes between system calls, never inside one. So bytes are moved by calls that either
//! happen or do not (splice(2)), each announced before and confirmed after; what a pipe still holds
//! then tells how far an announced move got. Nothing is lost, and nothing is moved twice.
//!
//! It knows no terminal and no relay, and of time only until when it may go on.

mod checkpoint;
mod layout;
mod recovery;

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use cmdop_proto::{ClientId, CommandId, InputSeq, Offset};
use rustix::fs::{MemfdFlags, OFlags, ftruncate, memfd_create};
use rustix::io::{Errno, pread};
use rustix::pipe::{PipeFlags, SpliceFlags, pipe_with, splice};
use tokio::time::Instant;

use checkpoint::Checkpoint;
use layout::{CLIENT_SLOTS, Field, InputRecord, Layout};

pub(crate) use checkpoint::{Lines, Picture};

/// What one splice takes from a terminal: the kernel hands out no more at once (N_TTY).
const PIECE: usize = 4 << 10;

/// Pieces that fit a pipe whatever their size: one less than the buffers of a default pipe (pipe(7)).
const PIECES: usize = 15;

/// How long a move from a terminal goes on: as long as all that fits the pipe takes when it is there.
const TURN_TIME: Duration = Duration::from_micros(300);

/// What goes into a terminal at once; a pipe takes as much whole or not at all (PIPE_BUF, pipe(7)).
const CHUNK: usize = 4 << 10;

/// The descriptors of one session's memory, as the holder keeps them.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) file: OwnedFd,
    /// Reading and writing end of the pipe between terminal and log.
    pub(crate) output: (OwnedFd, OwnedFd),
    /// The same between input and terminal.
    pub(crate) input: (OwnedFd, OwnedFd),
}

impl Parts {
    /// How many descriptors they are.
    pub(crate) const COUNT: usize = 5;

    /// Fresh ones, for a log of `capacity` bytes. Pages are taken when they are first written.
    pub(crate) fn new(capacity: usize) -> io::Result<Self> {
        let file = memfd_create("cmdop-session", MemfdFlags::CLOEXEC)?;
        let layout = Layout { capacity };
        ftruncate(&file, layout.length())?;
        layout.write_header(&file)?;
        let flags = PipeFlags::CLOEXEC | PipeFlags::NONBLOCK;
        Ok(Self {
            file,
            output: pipe_with(flags)?,
            input: pipe_with(flags)?,
        })
    }

    /// Their descriptors, in a fixed order.
    pub(crate) fn as_fds(&self) -> [BorrowedFd<'_>; Self::COUNT] {
        [
            self.file.as_fd(),
            self.output.0.as_fd(),
            self.output.1.as_fd(),
            self.input.0.as_fd(),
            self.input.1.as_fd(),
        ]
    }

    /// The parts whose descriptors these are, in that order.
    pub(crate) fn from_fds(fds: [OwnedFd; Self::COUNT]) -> Self {
        let [
            file,
            output_reader,
            output_writer,
            input_reader,
            input_writer,
        ] = fds;
        Self {
            file,
            output: (output_reader, output_writer),
            input: (input_reader, input_writer),
        }
    }
}

/// Who typed what is being written; `None` of it: the emulator's answer to a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Typist {
    pub(crate) client: ClientId,
    pub(crate) seq: InputSeq,
    pub(crate) command: CommandId,
}

/// How much one move from the terminal to the log may bring. The kernel passes a piece to the reader's
/// side by a work of its own, for which the reader waits, and the program fills the room at once: a move
/// that went on until nothing is there would go on at the program's pace, and a key of another session
/// would wait for all of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turn {
    bytes: usize,
    /// No piece but the first begins later.
    until: Instant,
}

impl Turn {
    /// At most `bytes`, beginning now.
    pub(crate) fn from_now(bytes: usize) -> Self {
        Self {
            bytes,
            until: Instant::now() + TURN_TIME,
        }
    }

    fn is_over(self, moved: usize) -> bool {
        moved >= self.bytes || (moved > 0 && Instant::now() >= self.until)
    }
}

/// What a move from the terminal to the log brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    /// So many bytes are in the log now.
    pub(crate) bytes: usize,
    /// Why it was not more.
    pub(crate) why: Stopped,
}

/// Why a move stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stopped {
    /// The limit was reached.
    Limit,
    /// The terminal is empty.
    Empty,
    /// Nobody holds the other side of the terminal any more.
    End,
}

/// An input that was not written whole when the worker died.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Half {
    pub(crate) typist: Option<Typist>,
    /// So many of its bytes are in the terminal, or wait in the pipe before it.
    pub(crate) done: usize,
    /// So many of those still wait in the pipe.
    pub(crate) waiting: usize,
}

/// The memory of one session. One worker at a time has it.
#[derive(Debug)]
pub(crate) struct Memory {
    parts: Parts,
    layout: Layout,
    end: Offset,
    input: InputRecord,
    checkpoint: Checkpoint,
    slots: HashMap<ClientId, usize>,
    next_slot: usize,
    /// The terminal can be spliced from and to; else bytes pass through this process, which a
    /// SIGKILL in the wrong microsecond can cost some.
    can_splice: bool,
}

impl Memory {
    /// The memory in these parts, recovered from whatever moment its last worker died in.
    pub(crate) fn open(parts: Parts) -> io::Result<Self> {
        recovery::open(parts)
    }

    /// A memory that nobody keeps.
    #[cfg(test)]
    pub(crate) fn new(capacity: usize) -> io::Result<Self> {
        Self::open(Parts::new(capacity)?)
    }

    // ------------------------------------------------------------ output

    /// How many bytes of output are kept.
    pub(crate) fn capacity(&self) -> usize {
        self.layout.capacity
    }

    /// The offset after the newest byte.
    pub(crate) fn end(&self) -> Offset {
        self.end
    }

    /// Moves what is there from the terminal to the log, in one turn.
    pub(crate) fn take(&mut self, terminal: &OwnedFd, turn: Turn) -> io::Result<Taken> {
        if !self.can_splice {
            return self.take_by_hand(terminal, turn);
        }
        // What is in the log already, and what is in the pipe.
        let (mut bytes, mut waiting, mut pieces) = (0, 0, 0);
        let why = loop {
            if pieces == PIECES || turn.is_over(bytes + waiting) {
                break Stopped::Limit;
            }
            let most = PIECE.min(turn.bytes - bytes - waiting);
            let moved = splice(
                terminal,
                None,
                &self.parts.output.1,
                None,
                most,
                SpliceFlags::NONBLOCK,
            );
            match moved {
                Ok(0) | Err(Errno::IO) => break Stopped::End,
                Ok(moved) => waiting += moved,
                Err(Errno::INTR) => continue,
                // Either the terminal is empty or the pipe is full, which some systems make small.
                Err(Errno::AGAIN) if waiting > 0 => {
                    self.settle(waiting)?;
                    bytes += std::mem::take(&mut waiting);
                }
                Err(Errno::AGAIN) => break Stopped::Empty,
                Err(Errno::INVAL) if bytes + waiting == 0 => {
                    self.can_splice = false;
                    return self.take_by_hand(terminal, turn);
                }
                Err(error) => {
                    self.settle(waiting)?;
                    return Err(error.into());
                }
            }
            pieces += 1;
        };
        self.settle(waiting)?;
        Ok(Taken {
            bytes: bytes + waiting,
            why,
        })
    }

    /// Moves `bytes` from the output pipe to the end of the log.
    fn settle(&mut self, bytes: usize) -> io::Result<()> {
        if bytes == 0 {
            return Ok(());
        }
        layout::set_end(&self.parts.file, self.end, bytes)?;
        let mut left = bytes;
        while left > 0 {
            let (at, room) = self.layout.place(self.end.advance(bytes - left));
            let mut at = at;
            let moved = splice(
                &self.parts.output.0,
                None,
                &self.parts.file,
                Some(&mut at),
                left.min(room),
                SpliceFlags::empty(),
            );
            match moved {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(moved) => left -= moved,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.end = self.end.advance(bytes);
        layout::set_end(&self.parts.file, self.end, 0)
    }

    fn take_by_hand(&mut self, terminal: &OwnedFd, turn: Turn) -> io::Result<Taken> {
        let mut buffer = [0; PIECE];
        let mut bytes = 0;
        let why = loop {
            if turn.is_over(bytes) {
                break Stopped::Limit;
            }
            let most = PIECE.min(turn.bytes - bytes);
            match rustix::io::read(terminal, &mut buffer[..most]) {
                Ok(0) | Err(Errno::IO) => break Stopped::End,
                Ok(count) => {
                    self.append(&buffer[..count])?;
                    bytes += count;
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break Stopped::Empty,
                Err(error) => return Err(error.into()),
            }
        };
        Ok(Taken { bytes, why })
    }

    /// Adds bytes to the log that came another way.
    pub(crate) fn append(&mut self, data: &[u8]) -> io::Result<()> {
        // Of more than the log holds, only the newest part would survive anyway.
        let kept = &data[data.len().saturating_sub(self.layout.capacity)..];
        let mut at = self.end.advance(data.len() - kept.len());
        let mut rest = kept;
        while !rest.is_empty() {
            let (place, room) = self.layout.place(at);
            let count = rest.len().min(room);
            layout::write_all(&self.parts.file, &rest[..count], place)?;
            rest = &rest[count..];
            at = at.advance(count);
        }
        self.end = at;
        layout::set_end(&self.parts.file, self.end, 0)
    }

    /// Fills `buffer` with the log from `from` on, all of which must be there.
    pub(crate) fn read(&self, from: Offset, buffer: &mut [u8]) -> io::Result<()> {
        let mut filled = 0;
        while filled < buffer.len() {
            let (place, room) = self.layout.place(from.advance(filled));
            let most = room.min(buffer.len() - filled);
            match pread(&self.parts.file, &mut buffer[filled..filled + most], place) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => filled += count,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    // ------------------------------------------------------------ the screen

    /// What the screen has seen of the log.
    pub(crate) fn fed(&self) -> io::Result<Offset> {
        layout::get(&self.parts.file, Field::Fed).map(Offset)
    }

    /// The screen has seen the log up to here.
    pub(crate) fn set_fed(&self, fed: Offset) -> io::Result<()> {
        layout::set(&self.parts.file, Field::Fed, fed.0)
    }

    // ------------------------------------------------------------ input

    /// The id of the newest input that the terminal took whole.
    pub(crate) fn written(&self) -> CommandId {
        self.input.written
    }

    /// The input that was under way when this memory was opened.
    pub(crate) fn half(&self) -> Option<Half> {
        self.input.half()
    }

    /// Who typed how far.
    pub(crate) fn clients(&self) -> io::Result<Vec<(ClientId, InputSeq)>> {
        layout::clients(&self.parts.file)
    }

    /// Moves the next bytes of an input into the terminal: the first of `rest`, of which `done` bytes
    /// went before. `None`: the terminal takes nothing now; call it again with the same.
    pub(crate) fn write(
        &mut self,
        terminal: &OwnedFd,
        typist: Option<Typist>,
        done: usize,
        rest: &[u8],
    ) -> io::Result<Option<usize>> {
        if !self.can_splice {
            return write_by_hand(terminal, rest);
        }
        if self.input.waiting == 0 {
            let chunk = &rest[..rest.len().min(CHUNK)];
            self.input.announce(typist, done, chunk.len());
            self.input.write(&self.parts.file)?;
            // The pipe is empty, so it takes a chunk whole.
            match rustix::io::write(&self.parts.input.1, chunk)? {
                count if count == chunk.len() => {}
                _ => return Err(io::ErrorKind::WriteZero.into()),
            }
            self.input.filled();
            self.input.write(&self.parts.file)?;
        }
        loop {
            let moved = splice(
                &self.parts.input.0,
                None,
                terminal,
                None,
                self.input.waiting,
                SpliceFlags::NONBLOCK,
            );
            match moved {
                Ok(moved) => {
                    self.input.moved(moved);
                    self.input.write(&self.parts.file)?;
                    return Ok(Some(moved));
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(None),
                Err(Errno::INVAL) => {
                    self.empty_pipe()?;
                    return write_by_hand(terminal, rest);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Nobody will read what is under way any more.
    pub(crate) fn abandon_input(&mut self) -> io::Result<()> {
        if self.input.waiting > 0 {
            let mut buffer = [0; CHUNK];
            let _ = rustix::io::read(&self.parts.input.0, &mut buffer);
        }
        self.input.forget();
        self.input.write(&self.parts.file)
    }

    /// A terminal that cannot be spliced to: what waits in the pipe is `rest` of the caller still.
    fn empty_pipe(&mut self) -> io::Result<()> {
        self.can_splice = false;
        let mut buffer = [0; CHUNK];
        let _ = rustix::io::read(&self.parts.input.0, &mut buffer)?;
        self.input.forget();
        self.input.write(&self.parts.file)
    }

    /// The terminal took this input whole.
    pub(crate) fn set_written(&mut self, typist: Typist) -> io::Result<()> {
        let slot = match self.slots.get(&typist.client) {
            Some(slot) => *slot,
            None => {
                let slot = self.next_slot;
                self.next_slot = (slot + 1) % CLIENT_SLOTS;
                self.slots.retain(|_, taken| *taken != slot);
                self.slots.insert(typist.client, slot);
                slot
            }
        };
        layout::set_client(&self.parts.file, slot, typist.client, typist.seq)?;
        self.input.written = self.input.written.max(typist.command);
        self.input.write(&self.parts.file)
    }
}

fn write_by_hand(terminal: &OwnedFd, rest: &[u8]) -> io::Result<Option<usize>> {
    loop {
        match rustix::io::write(terminal, rest) {
            Ok(count) => return Ok(Some(count)),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Has writes and splices to `fd` return at once.
pub(crate) fn set_nonblocking(fd: &OwnedFd) -> io::Result<()> {
    let flags = rustix::fs::fcntl_getfl(fd)?;
    Ok(rustix::fs::fcntl_setfl(fd, flags | OFlags::NONBLOCK)?)
}

#[cfg(test)]
mod tests;
