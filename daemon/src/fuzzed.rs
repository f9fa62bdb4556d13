//! What the fuzz targets `memory`, `holder` and `down` of `tests/fuzz` do with bytes.

use std::os::fd::OwnedFd;

use cmdop_proto::{Offset, v1};
use prost::Message as _;
use v1::session_down::Message as Down;

use crate::holder::fuzzed::frames;
use crate::memory::{Memory, Parts};
use crate::session::fuzzed::Sender;

/// Output that the memory of a test keeps.
const CAPACITY: usize = 8 << 10;

fn parts() -> Parts {
    Parts::new(CAPACITY).expect("the system has room for a memory")
}

/// Two bytes for a place in the file, what stands there, and how many bytes wait in the pipes.
pub fn memory(bytes: &[u8]) {
    let [low, high, output, input, header @ ..] = bytes else {
        return;
    };
    let parts = parts();
    fill(&parts.output.1, *output);
    fill(&parts.input.1, *input);
    let place = u64::from(u16::from_le_bytes([*low, *high]));
    let written = rustix::io::pwrite(&parts.file, header, place).expect("a file takes bytes");
    assert_eq!(written, header.len());
    let Ok(memory) = Memory::open(parts) else {
        return;
    };
    crate::session::fuzzed::take_over(memory);
}

fn fill(pipe: &OwnedFd, bytes: u8) {
    let bytes = vec![b'x'; bytes.into()];
    let written = rustix::io::write(pipe, &bytes).expect("a pipe takes a few bytes");
    assert_eq!(written, bytes.len());
}

/// Pieces of the socket's stream, each after its length.
pub fn holder(bytes: &[u8]) {
    let mut pieces = Vec::new();
    let mut rest = bytes;
    while let [length, tail @ ..] = rest {
        let (piece, tail) = tail.split_at(usize::from(*length).min(tail.len()));
        pieces.push(piece);
        rest = tail;
    }
    frames(&pieces);
}

/// Messages of a relay, each after two bytes for its length.
pub fn down(bytes: &[u8]) {
    let mut memory = Memory::open(parts()).expect("a fresh memory");
    memory
        .append(&vec![b'x'; CAPACITY + 100])
        .expect("a memory takes output");
    let mut sender = Sender::new(memory);
    let mut rest = bytes;
    while let [low, high, tail @ ..] = rest {
        let length = usize::from(u16::from_le_bytes([*low, *high]));
        let (message, tail) = tail.split_at(length.min(tail.len()));
        let down = v1::SessionDown::decode(message).ok();
        match down.and_then(|down| down.message) {
            Some(Down::SendFrom(offset)) => sender.queue.begin(Offset(offset)),
            Some(Down::ReadUpTo(offset)) => sender.read_up_to = Offset(offset),
            Some(Down::Received(mark)) => sender.queue.received(mark),
            Some(Down::Signal(number)) => {
                // No signal is sent: its number is a place of the log where the screen is.
                let offset = u64::from(number);
                sender.queue.keyframe(v1::Keyframe {
                    offset,
                    ..v1::Keyframe::default()
                });
            }
            Some(Down::Input(input)) => sender.accept(input),
            _ => {}
        }
        sender.send_all();
        rest = tail;
    }
}

#[cfg(test)]
#[path = "../../tests/fuzz/replay.rs"]
mod replay;

#[cfg(test)]
mod tests {
    use super::replay::replay;

    #[test]
    fn the_corpus_of_memories_replays_without_a_panic() {
        replay("memory", 2000, super::memory);
    }

    #[test]
    fn the_corpus_of_the_holders_frames_replays_without_a_panic() {
        replay("holder", 20_000, super::holder);
    }

    #[test]
    fn the_corpus_of_a_relays_messages_replays_without_a_panic() {
        replay("down", 1000, super::down);
    }
}
