//! Input that the agent is not yet known to have written: kept to be sent again. Free of IO.

use std::collections::VecDeque;

use bytes::Bytes;
use cmdop_proto::InputSeq;
use cmdop_proto::limits::MAX_INPUT;

/// What may be typed or pasted ahead of the agent's acknowledgement; more waits at its source. It is
/// what a 20 ms link at 50 MB/s has under way.
pub(crate) const MAX_UNACKED: usize = 1 << 20;

/// The inputs of one client id, in order.
#[derive(Debug, Default)]
pub(crate) struct Unacked {
    inputs: VecDeque<(InputSeq, Bytes)>,
    bytes: usize,
    last: InputSeq,
    /// How many of them, from the front, went out on the present stream.
    sent: usize,
}

impl Unacked {
    /// Whether more can be taken.
    pub(crate) fn has_room(&self) -> bool {
        self.bytes < MAX_UNACKED
    }

    /// Whether the agent has written everything.
    pub(crate) fn is_empty(&self) -> bool {
        self.inputs.is_empty()
    }

    /// Numbers an input of at most [`MAX_INPUT`] bytes and keeps it, not yet sent.
    pub(crate) fn push(&mut self, data: Bytes) {
        debug_assert!(data.len() <= MAX_INPUT, "the caller splits its input");
        self.last = self.last.next();
        self.bytes += data.len();
        self.inputs.push_back((self.last, data));
    }

    /// The oldest input that did not go out on the present stream.
    pub(crate) fn unsent(&self) -> Option<(InputSeq, Bytes)> {
        self.inputs.get(self.sent).cloned()
    }

    /// That one went out.
    pub(crate) fn sent(&mut self) {
        self.sent += 1;
    }

    /// A new stream: all of them have to go out again.
    pub(crate) fn rewind(&mut self) {
        self.sent = 0;
    }

    /// The agent has written all up to `seq`.
    pub(crate) fn acked(&mut self, seq: InputSeq) {
        while self.inputs.front().is_some_and(|(first, _)| *first <= seq) {
            if let Some((_, data)) = self.inputs.pop_front() {
                self.bytes -= data.len();
                self.sent = self.sent.saturating_sub(1);
            }
        }
    }

    /// This one was refused: sending it again would not help.
    pub(crate) fn refused(&mut self, seq: InputSeq) {
        if let Some(at) = self.inputs.iter().position(|(other, _)| *other == seq)
            && let Some((_, data)) = self.inputs.remove(at)
        {
            self.bytes -= data.len();
            if at < self.sent {
                self.sent -= 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn send_all(unacked: &mut Unacked) -> Vec<(u64, Bytes)> {
        let mut sent = Vec::new();
        while let Some((seq, data)) = unacked.unsent() {
            sent.push((seq.0, data));
            unacked.sent();
        }
        sent
    }

    #[test]
    fn what_is_not_acked_is_sent_again_in_order_with_its_number() {
        let mut unacked = Unacked::default();
        for text in ["a", "b", "c", "d"] {
            unacked.push(Bytes::from_static(text.as_bytes()));
        }
        assert_eq!(send_all(&mut unacked).len(), 4);
        assert_eq!(send_all(&mut unacked).len(), 0);
        unacked.acked(InputSeq(2));
        unacked.push(Bytes::from_static(b"e"));
        assert_eq!(send_all(&mut unacked), [(5, Bytes::from_static(b"e"))]);
        unacked.refused(InputSeq(3));
        unacked.rewind();
        let again = [(4, Bytes::from_static(b"d")), (5, Bytes::from_static(b"e"))];
        assert_eq!(send_all(&mut unacked), again);
        unacked.acked(InputSeq(9));
        assert_eq!(send_all(&mut unacked), []);
        assert_eq!(unacked.bytes, 0);
    }

    #[test]
    fn what_waits_for_an_ack_is_bounded() {
        let mut unacked = Unacked::default();
        let piece = Bytes::from(vec![0; MAX_INPUT]);
        while unacked.has_room() {
            unacked.push(piece.clone());
        }
        assert_eq!(unacked.bytes, MAX_UNACKED);
    }
}
