//! Stdin that the program is not yet known to have taken: kept to be sent again. Free of IO.

use std::collections::VecDeque;

use bytes::{Buf as _, Bytes};
use cmdop_proto::limits::RUN_STDIN_WINDOW;

use super::MAX_STDIN;

/// The stdin of one run, from the first byte that the program is not known to have taken.
#[derive(Debug, Default)]
pub(super) struct Unacked {
    pieces: VecDeque<Bytes>,
    /// The offset of the first byte of them, and the one after the last.
    start: u64,
    end: u64,
    /// So far they went out on the present stream.
    sent: u64,
    /// No more will come, and whether that went out.
    is_complete: bool,
    is_closed: bool,
}

/// What is to go out next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    Data(Bytes),
    Closed,
}

impl Unacked {
    /// Whether more can be taken: one piece more than this and still no more than may be under way.
    pub(super) fn has_room(&self) -> bool {
        !self.is_complete && (self.end - self.start) as usize + MAX_STDIN <= RUN_STDIN_WINDOW
    }

    /// Keeps a piece of at most [`MAX_STDIN`] bytes.
    pub(super) fn push(&mut self, data: Bytes) {
        self.end += data.len() as u64;
        self.pieces.push_back(data);
    }

    /// No more will come.
    pub(super) fn complete(&mut self) {
        self.is_complete = true;
    }

    /// What did not go out on the present stream.
    pub(super) fn next(&self) -> Option<Next> {
        let mut skip = (self.sent - self.start) as usize;
        for piece in &self.pieces {
            if skip < piece.len() {
                return Some(Next::Data(piece.slice(skip..)));
            }
            skip -= piece.len();
        }
        (self.is_complete && !self.is_closed).then_some(Next::Closed)
    }

    /// That went out.
    pub(super) fn went_out(&mut self, next: &Next) {
        match next {
            Next::Data(data) => self.sent += data.len() as u64,
            Next::Closed => self.is_closed = true,
        }
    }

    /// The program took all up to `offset`; what never went out it cannot have.
    pub(super) fn acked(&mut self, offset: u64) {
        let offset = offset.min(self.sent);
        while let Some(piece) = self.pieces.front_mut() {
            let taken = offset.saturating_sub(self.start).min(piece.len() as u64);
            piece.advance(taken as usize);
            self.start += taken;
            if !piece.is_empty() {
                return;
            }
            self.pieces.pop_front();
        }
    }

    /// A peer that acknowledges nothing has what was sent.
    pub(super) fn all_sent_is_taken(&mut self) {
        self.acked(u64::MAX);
    }

    /// Another stream, whose agent has all up to `offset`. `false`: it cannot.
    pub(super) fn go_on_from(&mut self, offset: u64) -> bool {
        let is_possible = (self.start..=self.sent).contains(&offset);
        if is_possible {
            self.sent = offset;
            self.is_closed = false;
        }
        is_possible
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn send(stdin: &mut Unacked) -> Vec<u8> {
        let mut all = Vec::new();
        while let Some(next) = stdin.next() {
            stdin.went_out(&next);
            match next {
                Next::Data(data) => all.extend_from_slice(&data),
                Next::Closed => all.push(b'.'),
            }
        }
        all
    }

    #[test]
    fn what_the_agent_lacks_goes_out_again_and_nothing_else() {
        let mut stdin = Unacked::default();
        for piece in ["abc", "def", "ghi"] {
            stdin.push(Bytes::from_static(piece.as_bytes()));
        }
        assert_eq!(send(&mut stdin), b"abcdefghi");
        stdin.acked(4);
        assert!(stdin.go_on_from(7));
        stdin.complete();
        assert_eq!(send(&mut stdin), b"hi.");
        assert_eq!(send(&mut stdin), b"");
        assert!(stdin.go_on_from(9) && send(&mut stdin) == b".");
        assert!(!stdin.go_on_from(3) && !stdin.go_on_from(10));
    }

    #[test]
    fn what_waits_for_an_ack_is_bounded() {
        let mut stdin = Unacked::default();
        let piece = Bytes::from(vec![0; MAX_STDIN]);
        while stdin.has_room() {
            stdin.push(piece.clone());
        }
        assert_eq!(stdin.end, RUN_STDIN_WINDOW as u64);
        send(&mut stdin);
        stdin.acked(1);
        assert!(!stdin.has_room());
        stdin.all_sent_is_taken();
        assert!(stdin.has_room() && stdin.pieces.is_empty());
    }
}
