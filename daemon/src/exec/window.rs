//! What of one output stream the caller is not known to have: kept to be sent again. Free of IO.
//!
//! The program waits when it is full; this, and nothing else, bounds what a run keeps.

use std::collections::VecDeque;

use bytes::{BufMut as _, Bytes, BytesMut};
use cmdop_proto::limits::{MAX_OUTPUT, RUN_WINDOW};
use cmdop_proto::v1;

/// The newest bytes of a stream. They are copied here, because pieces of a read share their memory
/// with what was around them: a program that prints byte for byte would keep far more than it printed.
#[derive(Debug, Default)]
pub(super) struct Window {
    bytes: VecDeque<u8>,
    /// The offset of the first of them.
    start: u64,
    /// So far they went out on the present stream.
    sent: u64,
}

impl Window {
    /// Whether another piece may be read.
    pub(super) fn has_room(&self) -> bool {
        self.bytes.len() + MAX_OUTPUT <= RUN_WINDOW
    }

    /// The offset after the last byte.
    pub(super) fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }

    /// Whether all of it went out.
    pub(super) fn is_sent(&self) -> bool {
        self.sent == self.end()
    }

    /// Keeps the next bytes of the stream, not sent yet.
    pub(super) fn push(&mut self, data: &[u8]) {
        self.bytes.extend(data);
    }

    /// All of it went out.
    pub(super) fn all_sent(&mut self) {
        self.sent = self.end();
    }

    /// The next piece that did not go out, which it does now.
    pub(super) fn take_unsent(&mut self) -> Option<v1::ExecOutput> {
        let skip = (self.sent - self.start) as usize;
        let length = (self.bytes.len() - skip).min(MAX_OUTPUT);
        if length == 0 {
            return None;
        }
        let mut data = BytesMut::with_capacity(length);
        let (one, other) = self.bytes.as_slices();
        for half in [
            one.get(skip..).unwrap_or_default(),
            &other[skip.saturating_sub(one.len()).min(other.len())..],
        ] {
            data.put_slice(&half[..half.len().min(length - data.len())]);
        }
        let offset = self.sent;
        self.sent += length as u64;
        let data: Bytes = data.freeze();
        Some(v1::ExecOutput { offset, data })
    }

    /// The caller has all up to `offset`. What never went out it cannot have.
    pub(super) fn acked(&mut self, offset: u64) {
        let upto = offset.min(self.sent);
        let known = upto.saturating_sub(self.start) as usize;
        self.bytes.drain(..known);
        self.start += known as u64;
    }

    /// Whether a caller that has all up to `offset` can go on.
    pub(super) fn holds(&self, offset: u64) -> bool {
        (self.start..=self.end()).contains(&offset)
    }

    /// A caller came back and has all up to `offset`, which the window must hold.
    pub(super) fn go_on_from(&mut self, offset: u64) {
        self.sent = offset;
        self.acked(offset);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unsent(window: &mut Window) -> Vec<u8> {
        let mut all = Vec::new();
        let mut next = None;
        while let Some(piece) = window.take_unsent() {
            assert!(next.is_none_or(|next| piece.offset == next), "a gap");
            next = Some(piece.offset + piece.data.len() as u64);
            all.extend_from_slice(&piece.data);
        }
        all
    }

    #[test]
    fn a_caller_that_comes_back_gets_exactly_what_it_lacks() {
        let data: Vec<u8> = (0..1_000_000_u32).map(|n| (n ^ (n >> 7)) as u8).collect();
        let mut window = Window::default();
        let mut had = 0;
        for piece in data.chunks(30_011) {
            window.push(piece);
            let _ = window.take_unsent();
            had += 20_000;
            // Wraps the ring around many times.
            window.acked(had.min(window.sent));
        }
        assert_eq!(window.end(), data.len() as u64);
        let from = window.start + 12_345;
        assert!(window.holds(from) && !window.holds(window.end() + 1));
        assert!(!window.holds(window.start - 1));
        window.go_on_from(from);
        assert!(unsent(&mut window) == data[from as usize..]);
        assert!(window.is_sent());
    }

    #[test]
    fn what_never_went_out_cannot_be_acknowledged() {
        let mut window = Window::default();
        window.push(b"abc");
        window.acked(3);
        assert_eq!(unsent(&mut window), b"abc");
        window.acked(u64::MAX);
        assert!(window.bytes.is_empty() && window.end() == 3);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut window = Window::default();
        while window.has_room() {
            window.push(&vec![0; MAX_OUTPUT]);
        }
        assert_eq!(window.bytes.len(), RUN_WINDOW);
    }
}
