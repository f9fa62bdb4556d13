//! How far into a session's log a client has come: no byte twice, no gap unnoticed. Free of IO.

use bytes::{Buf as _, Bytes};
use cmdop_proto::Offset;

/// The offset after the last byte that was handed on; nothing before the first keyframe or output.
#[derive(Debug, Default)]
pub(crate) struct Cursor {
    next: Option<Offset>,
}

/// What of an arriving piece is new.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// These bytes, from this offset.
    New(Offset, Bytes),
    /// Nothing: we have it all.
    Known,
    /// It begins beyond what we have: bytes are missing.
    Gap,
}

impl Cursor {
    /// What to ask for after a loss: `None` asks for a keyframe.
    pub(crate) fn resume_from(&self) -> Option<Offset> {
        self.next
    }

    /// The whole terminal at `offset`: the log goes on there, further on or back.
    pub(crate) fn keyframe(&mut self, offset: Offset) {
        self.next = Some(offset);
    }

    /// What is known is of no use: the next attempt begins with a keyframe.
    pub(crate) fn forget(&mut self) {
        self.next = None;
    }

    /// Takes a piece of the log.
    pub(crate) fn take(&mut self, offset: Offset, mut data: Bytes) -> Piece {
        // Without a keyframe there is nothing that output could follow on, save the start of the log.
        let next = self.next.unwrap_or(Offset::START);
        let Some(known) = next.overlap(offset) else {
            return Piece::Gap;
        };
        if known >= data.len() as u64 {
            return if data.is_empty() || known > 0 {
                Piece::Known
            } else {
                Piece::New(next, data)
            };
        }
        data.advance(known as usize);
        self.next = Some(next.advance(data.len()));
        Piece::New(next, data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(next: u64) -> Cursor {
        let mut cursor = Cursor::default();
        cursor.keyframe(Offset(next));
        cursor
    }

    #[test]
    fn only_the_new_part_of_an_overlapping_piece_is_handed_on() {
        let mut cursor = at(10);
        let piece = cursor.take(Offset(8), Bytes::from_static(b"abcd"));
        assert_eq!(piece, Piece::New(Offset(10), Bytes::from_static(b"cd")));
        assert_eq!(cursor.resume_from(), Some(Offset(12)));
        assert_eq!(
            cursor.take(Offset(8), Bytes::from_static(b"abcd")),
            Piece::Known
        );
    }

    #[test]
    fn a_gap_is_noticed_and_nothing_is_taken() {
        let mut cursor = at(10);
        assert_eq!(
            cursor.take(Offset(11), Bytes::from_static(b"x")),
            Piece::Gap
        );
        assert_eq!(cursor.resume_from(), Some(Offset(10)));
    }

    #[test]
    fn a_keyframe_moves_the_cursor_either_way() {
        let mut cursor = at(10);
        cursor.keyframe(Offset(5));
        let piece = cursor.take(Offset(5), Bytes::from_static(b"x"));
        assert_eq!(piece, Piece::New(Offset(5), Bytes::from_static(b"x")));
    }

    #[test]
    fn before_any_keyframe_only_the_start_of_the_log_can_follow() {
        let mut cursor = Cursor::default();
        assert_eq!(cursor.resume_from(), None);
        assert_eq!(cursor.take(Offset(1), Bytes::from_static(b"x")), Piece::Gap);
        let piece = cursor.take(Offset(0), Bytes::from_static(b"x"));
        assert_eq!(piece, Piece::New(Offset(0), Bytes::from_static(b"x")));
    }
}
