//! The end of what a program wrote, to both streams, in the order in which it came. Bounded, however much
//! it writes and in whatever pieces.

use std::collections::VecDeque;

use cmdop_proto::v1;

/// What is kept of one machine.
const MOST: usize = 64 << 10;

/// What is kept of all machines of a run.
const MOST_OF_RUN: usize = 1 << 20;

/// What a piece costs besides its bytes: a program that changes streams with every byte must not grow.
const PIECE: usize = 16;

/// Which stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    Stdout,
    Stderr,
}

/// The end of it.
#[derive(Debug)]
pub(crate) struct Tail {
    pieces: VecDeque<(Stream, VecDeque<u8>)>,
    cost: usize,
    room: usize,
    pub(crate) stdout: u64,
    pub(crate) stderr: u64,
}

impl Tail {
    /// For one of `machines` of a run.
    pub(crate) fn of(machines: usize) -> Self {
        Self {
            pieces: VecDeque::new(),
            cost: 0,
            room: MOST.min(MOST_OF_RUN / machines.max(1)),
            stdout: 0,
            stderr: 0,
        }
    }

    /// What came at this offset of a stream. Bytes that are here already are passed over.
    pub(crate) fn push(&mut self, stream: Stream, offset: u64, data: &[u8]) {
        let have = match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        };
        let known = have.saturating_sub(offset).min(data.len() as u64) as usize;
        *have = (*have).max(offset.saturating_add(data.len() as u64));
        let new = &data[known..];
        // No more than the room is ever looked at.
        let new = &new[new.len().saturating_sub(self.room)..];
        if new.is_empty() {
            return;
        }
        match self.pieces.back_mut() {
            Some((last, bytes)) if *last == stream => bytes.extend(new),
            _ => {
                self.pieces
                    .push_back((stream, new.iter().copied().collect()));
                self.cost += PIECE;
            }
        }
        self.cost += new.len();
        self.cut();
    }

    fn cut(&mut self) {
        while self.cost > self.room
            && let Some((_, bytes)) = self.pieces.front_mut()
        {
            let more = (self.cost - self.room).min(bytes.len());
            bytes.drain(..more);
            self.cost -= more;
            if bytes.is_empty() {
                self.pieces.pop_front();
                self.cost -= PIECE;
            }
        }
    }

    /// As it is kept and travels.
    pub(crate) fn on_the_wire(&self) -> v1::OutputTail {
        let pieces = self.pieces.iter().map(|(stream, bytes)| v1::OutputPiece {
            is_stderr: *stream == Stream::Stderr,
            data: bytes.iter().copied().collect::<Vec<u8>>().into(),
        });
        v1::OutputTail {
            pieces: pieces.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(tail: &Tail) -> String {
        let pieces = tail.on_the_wire().pieces;
        let pieces = pieces.iter().map(|piece| {
            let mark = if piece.is_stderr { '!' } else { '.' };
            format!("{mark}{}", String::from_utf8_lossy(&piece.data))
        });
        pieces.collect()
    }

    #[test]
    fn both_streams_stand_in_the_order_in_which_they_came() {
        let mut tail = Tail::of(1);
        tail.push(Stream::Stdout, 0, b"one");
        tail.push(Stream::Stdout, 3, b"two");
        tail.push(Stream::Stderr, 0, b"oh");
        tail.push(Stream::Stdout, 6, b"three");
        assert_eq!(text(&tail), ".onetwo!oh.three");
        assert_eq!((tail.stdout, tail.stderr), (11, 2));
    }

    #[test]
    fn what_is_told_again_after_a_lost_connection_is_there_once() {
        let mut tail = Tail::of(1);
        tail.push(Stream::Stdout, 0, b"abcd");
        tail.push(Stream::Stdout, 0, b"abcdef");
        tail.push(Stream::Stdout, 2, b"cd");
        assert_eq!((text(&tail), tail.stdout), (".abcdef".to_owned(), 6));
    }

    #[test]
    fn only_the_end_is_kept_whatever_the_pieces() {
        let mut tail = Tail::of(1);
        let mut at = 0;
        for _ in 0..100 {
            tail.push(Stream::Stdout, at, &[b'x'; 10_000]);
            at += 10_000;
        }
        tail.push(Stream::Stdout, at, b"end");
        let kept: usize = tail.on_the_wire().pieces.iter().map(|p| p.data.len()).sum();
        assert!(kept <= MOST && kept > MOST / 2 && text(&tail).ends_with("xend"));
        let mut restless = Tail::of(256);
        for at in 0..100_000 {
            restless.push(Stream::Stdout, at, b"a");
            restless.push(Stream::Stderr, at, b"b");
        }
        assert!(restless.pieces.len() * PIECE <= MOST_OF_RUN / 256);
        assert_eq!(restless.stderr, 100_000);
    }
}
