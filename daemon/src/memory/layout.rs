//! Where things stand in a session's memory file, as numbers that a later version still reads.
//!
//! All numbers are little-endian and 8 bytes wide. Records that belong together are written by one
//! call, so that a reader after a SIGKILL finds all of a record or none.

use std::io;
use std::os::fd::OwnedFd;

use cmdop_proto::{ClientId, CommandId, InputSeq, Offset};
use rustix::io::{Errno, pread, pwrite};

use super::{Half, Typist};

/// Says what the file is, and in which version of this layout: "cmdopmem", 1.
const MAGIC: u64 = 0x636d_646f_706d_0001;

/// Clients whose last written input is remembered. Every one-shot `send` is one.
pub(super) const CLIENT_SLOTS: usize = 1024;

/// A client's id and the number of its newest input.
const CLIENT_BYTES: usize = 24;

const CLIENTS_AT: u64 = 4 << 10;
const RING_AT: u64 = 32 << 10;

/// The most that a checkpoint may have: a whole keyframe with some of its history.
pub(super) const CHECKPOINT_BYTES: usize = 1 << 20;

pub(super) const CHECKPOINT_AT: u64 = 48;
const INPUT_AT: u64 = 96;

/// Where the numbering of lines stood at each checkpoint: 16 bytes for each of the two.
pub(super) const LINES_AT: u64 = 160;

/// Single numbers of the header.
#[derive(Clone, Copy, Debug)]
#[repr(u64)]
pub(super) enum Field {
    Magic = 0,
    Capacity = 8,
    End = 16,
    /// Bytes on their way from the output pipe to the end. Stands right behind `End`.
    Moving = 24,
    Fed = 32,
}

/// The shape of one file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    pub(super) capacity: usize,
}

impl Layout {
    pub(super) fn length(self) -> u64 {
        self.picture(2)
    }

    pub(super) fn write_header(self, file: &OwnedFd) -> io::Result<()> {
        set(file, Field::Capacity, self.capacity as u64)?;
        set(file, Field::Magic, MAGIC)
    }

    /// The layout of a file that another worker made.
    pub(super) fn read(file: &OwnedFd) -> io::Result<Self> {
        let capacity = get(file, Field::Capacity)?;
        let length = rustix::fs::fstat(file)?.st_size as u64;
        let layout = Self {
            capacity: usize::try_from(capacity).unwrap_or(0),
        };
        let is_ours = get(file, Field::Magic)? == MAGIC;
        if !is_ours || layout.capacity == 0 || capacity > length || layout.length() != length {
            return Err(io::Error::other(
                "the memory of the session is of another version",
            ));
        }
        Ok(layout)
    }

    /// Where a byte of the log lies, and how many follow it before the ring's edge.
    pub(super) fn place(self, offset: Offset) -> (u64, usize) {
        let at = (offset.0 % self.capacity as u64) as usize;
        (RING_AT + at as u64, self.capacity - at)
    }

    /// Where the pictures of checkpoints begin that are kept in turns.
    pub(super) fn picture(self, slot: u64) -> u64 {
        RING_AT + self.capacity as u64 + slot * CHECKPOINT_BYTES as u64
    }
}

pub(super) fn get(file: &OwnedFd, field: Field) -> io::Result<u64> {
    let mut bytes = [0; 8];
    read_all(file, &mut bytes, field as u64)?;
    Ok(u64::from_le_bytes(bytes))
}

pub(super) fn set(file: &OwnedFd, field: Field, value: u64) -> io::Result<()> {
    write_all(file, &value.to_le_bytes(), field as u64)
}

/// End of the log, and what is on its way there.
pub(super) fn set_end(file: &OwnedFd, end: Offset, moving: usize) -> io::Result<()> {
    write_all(
        file,
        words([end.0, moving as u64]).as_flattened(),
        Field::End as u64,
    )
}

pub(super) fn set_client(
    file: &OwnedFd,
    slot: usize,
    client: ClientId,
    seq: InputSeq,
) -> io::Result<()> {
    let mut bytes = [0; CLIENT_BYTES];
    bytes[..16].copy_from_slice(client.as_uuid().as_bytes());
    bytes[16..].copy_from_slice(&seq.0.to_le_bytes());
    write_all(file, &bytes, CLIENTS_AT + (slot * CLIENT_BYTES) as u64)
}

pub(super) fn clients(file: &OwnedFd) -> io::Result<Vec<(ClientId, InputSeq)>> {
    let mut bytes = vec![0; CLIENT_SLOTS * CLIENT_BYTES];
    read_all(file, &mut bytes, CLIENTS_AT)?;
    let (entries, _) = bytes.as_chunks::<CLIENT_BYTES>();
    let all = entries.iter().map(|entry| {
        let (id, seq) = entry.split_at(16);
        let id = client_id(id);
        (id, InputSeq(number(seq)))
    });
    Ok(all.filter(|(_, seq)| seq.0 > 0).collect())
}

/// How far the input that is under way got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct InputRecord {
    typist: Option<Typist>,
    /// Bytes of it that are in the terminal.
    done: usize,
    /// Bytes that were put, or are to be put, into the pipe.
    pub(super) waiting: usize,
    stage: Stage,
    /// The newest input that was written whole.
    pub(super) written: CommandId,
}

/// What happened to the bytes that wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Nothing,
    /// They are about to be put into the pipe.
    Announced,
    /// They were; what is not there any more is in the terminal.
    Filled,
}

impl InputRecord {
    pub(super) fn announce(&mut self, typist: Option<Typist>, done: usize, waiting: usize) {
        *self = Self {
            typist,
            done,
            waiting,
            stage: Stage::Announced,
            written: self.written,
        };
    }

    pub(super) fn filled(&mut self) {
        self.stage = Stage::Filled;
    }

    pub(super) fn moved(&mut self, bytes: usize) {
        self.done = self.done.saturating_add(bytes);
        self.waiting = self.waiting.saturating_sub(bytes);
    }

    pub(super) fn forget(&mut self) {
        self.waiting = 0;
        self.stage = Stage::Nothing;
    }

    /// The record after a death, when the pipe holds `in_pipe` bytes.
    pub(super) fn recover(&mut self, in_pipe: usize) {
        match self.stage {
            Stage::Nothing => self.waiting = 0,
            // Either nothing happened yet or all of it; a chunk enters the pipe whole.
            Stage::Announced => {
                self.waiting = in_pipe;
                self.stage = Stage::Filled;
            }
            Stage::Filled => self.moved(self.waiting.saturating_sub(in_pipe)),
        }
    }

    pub(super) fn half(&self) -> Option<Half> {
        let under_way = self.stage != Stage::Nothing && (self.typist.is_some() || self.waiting > 0);
        under_way.then_some(Half {
            typist: self.typist,
            done: self.done.saturating_add(self.waiting),
            waiting: self.waiting,
        })
    }

    pub(super) fn write(&self, file: &OwnedFd) -> io::Result<()> {
        let mut bytes = [0; 64];
        let (seq, command) = match self.typist {
            None => (0, 0),
            Some(typist) => {
                bytes[..16].copy_from_slice(typist.client.as_uuid().as_bytes());
                (typist.seq.0, typist.command.0)
            }
        };
        let stage = match self.stage {
            Stage::Nothing => 0,
            Stage::Announced => 1,
            Stage::Filled => 2,
        };
        let numbers = [
            seq,
            command,
            self.done as u64,
            self.waiting as u64,
            stage,
            self.written.0,
        ];
        bytes[16..].copy_from_slice(words(numbers).as_flattened());
        write_all(file, &bytes, INPUT_AT)
    }

    pub(super) fn read(file: &OwnedFd) -> io::Result<Self> {
        let mut bytes = [0; 64];
        read_all(file, &mut bytes, INPUT_AT)?;
        let (id, rest) = bytes.split_at(16);
        let [seq, command, done, waiting, stage, written] = numbers(rest);
        let typist = (seq > 0).then(|| Typist {
            client: client_id(id),
            seq: InputSeq(seq),
            command: CommandId(command),
        });
        Ok(Self {
            typist,
            done: done as usize,
            waiting: waiting as usize,
            stage: match stage {
                1 => Stage::Announced,
                2 => Stage::Filled,
                _ => Stage::Nothing,
            },
            written: CommandId(written),
        })
    }
}

fn client_id(bytes: &[u8]) -> ClientId {
    uuid::Uuid::from_bytes(bytes.try_into().unwrap_or_default()).into()
}

fn number(bytes: &[u8]) -> u64 {
    bytes.try_into().map_or(0, u64::from_le_bytes)
}

pub(super) fn numbers<const N: usize>(bytes: &[u8]) -> [u64; N] {
    std::array::from_fn(|index| bytes.get(index * 8..index * 8 + 8).map_or(0, number))
}

/// Numbers side by side.
pub(super) fn words<const N: usize>(numbers: [u64; N]) -> [[u8; 8]; N] {
    numbers.map(u64::to_le_bytes)
}

/// A memory file takes and gives a record whole; only what is larger comes in parts.
pub(super) fn write_all(file: &OwnedFd, mut data: &[u8], mut at: u64) -> io::Result<()> {
    while !data.is_empty() {
        match pwrite(file, data, at) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => {
                data = &data[count..];
                at += count as u64;
            }
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

pub(super) fn read_all(file: &OwnedFd, mut buffer: &mut [u8], mut at: u64) -> io::Result<()> {
    while !buffer.is_empty() {
        match pread(file, &mut *buffer, at) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => {
                buffer = &mut buffer[count..];
                at += count as u64;
            }
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
