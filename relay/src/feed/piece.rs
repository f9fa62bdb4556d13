//! A request on its way into a feed: one that may go there, with what it counts, in memory of its own.
//!
//! Invariant: it holds on to little more than it counts. What is decoded are slices of the buffer that it came in:
//! one byte of a message would keep the whole of it, with all that nobody knows and counts.

use bytes::{Bytes, BytesMut};
use cmdop_proto::v1::file_request::Request as Ask;
use cmdop_proto::{Refusal, feed, limits, v1};

/// See the module.
#[derive(Debug)]
pub(crate) struct Piece {
    ask: Ask,
    bytes: usize,
}

impl Piece {
    /// Refused if a feed has no place for it.
    pub(crate) fn new(ask: Ask) -> Result<Self, Refusal> {
        let bytes = feed::charge(&ask)?;
        let ask = match ask {
            Ask::Write(write) => Ask::Write(own_write(write)),
            Ask::Put(put) => Ask::Put(own_put(put)),
            other => other,
        };
        Ok(Self { ask, bytes })
    }

    pub(crate) fn ask(&self) -> &Ask {
        &self.ask
    }

    /// What it counts.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

/// A full piece is a quarter of the largest buffer at least, and most of what passes: it is not copied.
fn own_write(write: v1::FileWrite) -> v1::FileWrite {
    let data = if write.data.len() < limits::FILE_PIECE {
        Bytes::copy_from_slice(&write.data)
    } else {
        write.data
    };
    v1::FileWrite {
        data,
        blake3: Bytes::copy_from_slice(&write.blake3),
        handle: write.handle,
        offset: write.offset,
    }
}

fn own_put(put: v1::FilePut) -> v1::FilePut {
    let length = |file: &v1::SmallFile| {
        file.path.len() + file.data.len() + file.blake3.len() + file.target.len()
    };
    let mut copies = Copies::with_room(put.files.iter().map(length).sum());
    let own = |file: v1::SmallFile| v1::SmallFile {
        path: copies.of(&file.path),
        data: copies.of(&file.data),
        blake3: copies.of(&file.blake3),
        target: copies.of(&file.target),
        ..file
    };
    let files = put.files.into_iter().map(own).collect();
    v1::FilePut { files }
}

/// Copies of many short fields, all in one piece of memory.
#[derive(Debug)]
pub(crate) struct Copies(BytesMut);

impl Copies {
    /// For so many bytes.
    pub(crate) fn with_room(bytes: usize) -> Self {
        Self(BytesMut::with_capacity(bytes))
    }

    pub(crate) fn of(&mut self, field: &[u8]) -> Bytes {
        self.0.extend_from_slice(field);
        self.0.split().freeze()
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;

    /// What came, as it is decoded from a frame; and the frame.
    fn came(ask: Ask) -> (Ask, Bytes) {
        let request = v1::FileRequest {
            id: 1,
            request: Some(ask),
        };
        let frame = Bytes::from(request.encode_to_vec());
        let request = v1::FileRequest::decode(frame.clone()).unwrap();
        (request.request.unwrap(), frame)
    }

    #[test]
    fn a_small_piece_keeps_nothing_of_the_buffer_that_it_came_in() {
        let write = v1::FileWrite {
            data: Bytes::from_static(b"x"),
            blake3: Bytes::from_static(&[1; 32]),
            handle: 3,
            offset: 4,
        };
        let file = v1::SmallFile {
            path: Bytes::from_static(b"/to/a"),
            data: Bytes::from_static(b"content"),
            mode: 0o644,
            ..v1::SmallFile::default()
        };
        let files = vec![file; 3];
        for ask in [Ask::Write(write), Ask::Put(v1::FilePut { files })] {
            let (came, frame) = came(ask.clone());
            assert!(!frame.is_unique());
            let piece = Piece::new(came).unwrap();
            assert!(frame.is_unique());
            assert_eq!(*piece.ask(), ask);
        }
    }

    #[test]
    fn what_is_too_much_for_a_machine_is_no_piece() {
        let long = Ask::Write(v1::FileWrite {
            data: vec![0; limits::FILE_PIECE + 1].into(),
            ..v1::FileWrite::default()
        });
        let many = Ask::Put(v1::FilePut {
            files: vec![v1::SmallFile::default(); limits::MAX_STAGED + 1],
        });
        for ask in [long, many, Ask::Settle(v1::FileSettle {})] {
            assert_eq!(Piece::new(ask).unwrap_err().reason, "bad-request");
        }
    }
}
