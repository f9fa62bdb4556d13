//! The part of the holder's socket that fuzz targets drive: frames out of bytes, messages out of frames.

use super::channel::Incoming;
use super::message::{FromHolder, FromWorker};

/// Both directions' messages, from a stream that came in these pieces and whole: they are the same.
pub(crate) fn frames(pieces: &[&[u8]]) {
    let whole = pieces.concat();
    assert_eq!(messages(pieces), messages(&[&whole]));
}

fn messages(pieces: &[&[u8]]) -> Vec<Vec<u8>> {
    let mut incoming = Incoming::default();
    let mut all = Vec::new();
    for piece in pieces {
        incoming.push(piece, Vec::new());
        loop {
            match incoming.frame() {
                Ok(Some(frame)) => {
                    let _unknown = FromWorker::read(&frame.bytes);
                    let _unknown = FromHolder::read(&frame.bytes);
                    all.push(frame.bytes);
                }
                Ok(None) => break,
                // Nothing is read behind it.
                Err(_) => return all,
            }
        }
    }
    all
}
