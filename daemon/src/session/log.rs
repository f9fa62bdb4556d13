//! The output log of one session: its newest bytes under their absolute offsets, and which command
//! each piece answered.
//!
//! Invariants: `start ≤ end`; both only grow; `end - start` never exceeds the capacity.

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;

use bytes::Bytes;
use cmdop_proto::{CommandId, Offset, v1};
use rustix::termios::LocalModes;

use crate::memory::{Memory, Taken, Turn};

/// How many changes of the command id are remembered. A log that is all echoes has one a byte; older
/// bytes then go out under id 0, "before any", which claims too little and never too much.
const MAX_MARKS: usize = 4096;

/// See the module. The bytes themselves are in the session's memory.
#[derive(Debug)]
pub(crate) struct Log {
    memory: Memory,
    marks: VecDeque<Mark>,
    echo: v1::Echo,
}

/// From here on the bytes carry this id.
#[derive(Clone, Copy, Debug)]
struct Mark {
    from: Offset,
    command: CommandId,
}

/// A piece of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) offset: Offset,
    pub(crate) data: Bytes,
    pub(crate) command: CommandId,
}

impl Log {
    /// The log in this memory. Which commands its bytes answered is not known any more.
    pub(crate) fn new(memory: Memory) -> Self {
        Self {
            memory,
            marks: VecDeque::new(),
            echo: v1::Echo::Unspecified,
        }
    }

    /// What the terminal did with what is typed when its newest bytes were taken.
    pub(crate) fn echo(&self) -> v1::Echo {
        self.echo
    }

    /// Where the log is, and what else outlives the worker.
    pub(crate) fn memory(&mut self) -> &mut Memory {
        &mut self.memory
    }

    /// The offset of the oldest byte that is still here.
    pub(crate) fn start(&self) -> Offset {
        let capacity = self.memory.capacity() as u64;
        Offset(self.end().0.saturating_sub(capacity))
    }

    /// The offset after the newest byte.
    pub(crate) fn end(&self) -> Offset {
        self.memory.end()
    }

    /// Moves bytes here from the terminal in one turn, printed after `command` was written; the oldest
    /// bytes give way.
    pub(crate) fn take(
        &mut self,
        terminal: &OwnedFd,
        turn: Turn,
        command: CommandId,
    ) -> io::Result<Taken> {
        let from = self.end();
        let taken = self.memory.take(terminal, turn)?;
        if taken.bytes > 0 {
            self.mark(from, command);
            self.echo = echo(terminal);
        }
        Ok(taken)
    }

    /// At most `limit` bytes from `from` on, all answering the same command. `None` if `from` is no
    /// longer here, or nothing is there yet.
    pub(crate) fn piece(&self, from: Offset, limit: usize) -> Option<Piece> {
        if from < self.start() || from >= self.end() {
            return None;
        }
        let (command, until) = self.command_at(from);
        let count = (until.min(self.end()) - from).min(limit as u64) as usize;
        let mut data = vec![0; count];
        match self.memory.read(from, &mut data) {
            Ok(()) => Some(Piece {
                offset: from,
                data: data.into(),
                command,
            }),
            Err(error) => {
                tracing::error!(%error, "the memory of the session cannot be read");
                None
            }
        }
    }

    /// Fills `buffer` with the log from `from` on; how many bytes there were.
    pub(crate) fn copy(&self, from: Offset, buffer: &mut [u8]) -> usize {
        let count = (self.end() - from).min(buffer.len() as u64) as usize;
        match self.memory.read(from, &mut buffer[..count]) {
            Ok(()) => count,
            Err(error) => {
                tracing::error!(%error, "the memory of the session cannot be read");
                0
            }
        }
    }

    fn mark(&mut self, from: Offset, command: CommandId) {
        let newest = self.marks.back().map_or(CommandId(0), |mark| mark.command);
        if command == newest {
            return;
        }
        if self.marks.len() == MAX_MARKS {
            self.marks.pop_front();
        }
        self.marks.push_back(Mark { from, command });
    }

    /// The id that holds at `offset`, and where the next one begins.
    fn command_at(&self, offset: Offset) -> (CommandId, Offset) {
        let next = self.marks.partition_point(|mark| mark.from <= offset);
        let command = match next.checked_sub(1) {
            Some(index) => self.marks[index].command,
            None => CommandId(0),
        };
        let until = self.marks.get(next).map_or(Offset::MAX, |mark| mark.from);
        (command, until)
    }
}

/// One call of the kernel for each turn of reading.
fn echo(terminal: &OwnedFd) -> v1::Echo {
    let Ok(settings) = rustix::termios::tcgetattr(terminal) else {
        return v1::Echo::Unspecified;
    };
    let modes = settings.local_modes;
    if modes.contains(LocalModes::ECHO) {
        v1::Echo::Terminal
    } else if modes.contains(LocalModes::ICANON) {
        v1::Echo::Hidden
    } else {
        v1::Echo::Program
    }
}

#[cfg(test)]
impl Log {
    /// A log in a memory of its own.
    pub(crate) fn of(capacity: usize) -> Self {
        Self::new(Memory::new(capacity).unwrap())
    }

    /// As if a terminal had printed it.
    pub(crate) fn append(&mut self, data: &[u8], command: CommandId) {
        if !data.is_empty() {
            self.mark(self.end(), command);
            self.memory.append(data).unwrap();
        }
    }
}

#[cfg(test)]
mod tests;
