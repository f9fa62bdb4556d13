//! What a piece of a feed counts, in one place: the relay's window and the credit of whoever adds to it are the
//! same sum. If the two differed, one side would wait for what the other never says.
//!
//! It counts what a piece takes in memory, not on the wire: an empty request takes a place there too, and a
//! small file of a few bytes takes that many fields.

use prost::Message as _;

use crate::error::Refusal;
use crate::limits;
use crate::v1;
use crate::v1::file_request::Request as Ask;

/// What a piece counts beside its encoded length.
pub const PIECE: usize = 256;

/// What each file of a `put` counts beside that.
pub const FILE: usize = 256;

/// The most that one piece may count: a full frame, and 1023 files in it.
pub const MAX_CHARGE: usize = limits::MAX_FRAME + (256 << 10);

/// Where more than this is kept, a piece might not fit any more: whoever adds stops, and the window counts as full.
pub const FULL: usize = limits::FEED_WINDOW - MAX_CHARGE;

const _: () = assert!(size_of::<v1::SmallFile>() <= FILE);
const _: () = assert!(MAX_CHARGE <= FULL);

/// What a request counts as a piece of a feed, in bytes; refused if it can be none.
pub fn charge(ask: &Ask) -> Result<usize, Refusal> {
    let bytes = match ask {
        Ask::Write(write) if write.data.len() > limits::FILE_PIECE => {
            let most = limits::FILE_PIECE >> 10;
            return Err(bad(format!("a piece of a file has more than {most} KiB")));
        }
        Ask::Put(put) if put.files.len() > limits::MAX_STAGED => {
            let most = limits::MAX_STAGED;
            return Err(bad(format!("more than {most} files are put at once")));
        }
        Ask::Write(write) => PIECE + write.encoded_len(),
        Ask::Put(put) => PIECE + put.encoded_len() + put.files.len() * FILE,
        _ => return Err(bad("only `write` and `put` can be pieces of a feed")),
    };
    if bytes > MAX_CHARGE {
        let refusal = bad("these files are too many, or their names too long, for one piece");
        return Err(refusal.hint("put fewer files at once"));
    }
    Ok(bytes)
}

fn bad(message: impl Into<String>) -> Refusal {
    Refusal::invalid("bad-request", message)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn put(files: usize, path: usize) -> Ask {
        let file = v1::SmallFile {
            path: vec![b'p'; path].into(),
            ..v1::SmallFile::default()
        };
        Ask::Put(v1::FilePut {
            files: vec![file; files],
        })
    }

    fn write(bytes: usize) -> Ask {
        Ask::Write(v1::FileWrite {
            data: vec![7; bytes].into(),
            ..v1::FileWrite::default()
        })
    }

    #[test]
    fn what_is_empty_on_the_wire_counts_what_it_takes_in_memory() {
        assert_eq!(charge(&write(0)), Ok(PIECE));
        assert_eq!(charge(&put(0, 0)), Ok(PIECE));
        // An empty file is two bytes on the wire.
        assert_eq!(charge(&put(4000, 0)), Ok(PIECE + 4000 * (2 + FILE)));
    }

    #[test]
    fn what_a_machine_would_refuse_is_no_piece() {
        assert!(charge(&write(limits::FILE_PIECE)).is_ok());
        assert!(charge(&put(limits::MAX_STAGED, 0)).is_ok());
        for ask in [
            write(limits::FILE_PIECE + 1),
            put(limits::MAX_STAGED + 1, 0),
            put(limits::MAX_STAGED, 200),
            Ask::Settle(v1::FileSettle {}),
        ] {
            assert_eq!(charge(&ask).unwrap_err().reason, "bad-request");
        }
    }

    #[test]
    fn a_full_frame_of_a_thousand_files_is_a_piece() {
        let ask = put(1000, 1040);
        let Ask::Put(files) = &ask else { panic!() };
        let length = files.encoded_len();
        assert!(length > limits::MAX_FRAME - (16 << 10) && length < limits::MAX_FRAME);
        assert!(charge(&ask).is_ok());
    }

    proptest! {
        #[test]
        fn both_ends_count_the_same(
            handle in any::<u32>(),
            offset in any::<u64>(),
            data in proptest::collection::vec(any::<u8>(), 0..300),
            files in proptest::collection::vec((0usize..300, any::<i32>(), any::<i64>()), 0..40),
        ) {
            let file = |(length, replace, mtime_ns): (usize, i32, i64)| v1::SmallFile {
                path: vec![b'p'; length].into(),
                data: data.clone().into(),
                mtime_ns,
                replace,
                ..v1::SmallFile::default()
            };
            let files = files.into_iter().map(file).collect();
            let write = v1::FileWrite {
                handle,
                offset,
                data: data.clone().into(),
                blake3: data.clone().into(),
            };
            for ask in [Ask::Write(write), Ask::Put(v1::FilePut { files })] {
                let charged = charge(&ask);
                let sent = v1::FileRequest { id: offset, request: Some(ask) };
                let came = v1::FileRequest::decode(&sent.encode_to_vec()[..]).unwrap();
                prop_assert_eq!(charge(&came.request.unwrap()), charged);
            }
        }
    }
}
