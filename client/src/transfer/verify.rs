//! Whether two files are the same, by the hashes of their chunks: nothing but hashes travels.

use bytes::Bytes;
use cmdop_proto::v1;
use cmdop_proto::v1::file_request::Request as Ask;
use cmdop_proto::v1::file_response::Response;

use super::one::{COMPARED, digest};
use super::ranges::Ranges;
use super::streams::Ends;
use crate::error::Error;
use crate::files::{Files, unexpected};

const HANDLE: u32 = 1;

/// How two files differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Difference {
    /// They do not.
    Same,
    /// In so many bytes of the first, counted in whole chunks.
    Bytes(u64),
}

/// Compares a file of one end with a file of another.
pub async fn verify(
    (one, path): (&mut Files, &[u8]),
    (other, other_path): (&mut Files, &[u8]),
) -> Result<Difference, Error> {
    // Both to their ends: what is answered half belongs to no question any more.
    let (ours, theirs) = tokio::join!(hashes(one, path), hashes(other, other_path));
    let (ours, theirs) = (ours?, theirs?);
    let ranges = Ranges::different(&ours.1, &theirs.1, u64::from(COMPARED), ours.0);
    Ok(match ranges.bytes() {
        0 if ours.0 == theirs.0 => Difference::Same,
        0 => Difference::Bytes(ours.0.abs_diff(theirs.0)),
        bytes => Difference::Bytes(bytes),
    })
}

async fn hashes(files: &mut Files, path: &[u8]) -> Result<(u64, Vec<u8>), Error> {
    let reader = v1::FileReader {
        handle: HANDLE,
        path: Bytes::copy_from_slice(path),
        without_md5: true,
    };
    let Response::Entry(entry) = files.ask(Ask::Reader(reader)).await? else {
        return Err(unexpected());
    };
    let hashes = digest(files).await?;
    let close = v1::FileClose {
        handle: HANDLE,
        md5: false,
    };
    files.ask(Ask::Close(close)).await?;
    Ok((entry.size, hashes))
}

/// Whether a file is at its destination already. What cannot be compared is not the same.
pub(super) async fn is_there(ends: &mut Ends, from: &[u8], to: &[u8]) -> Result<bool, Error> {
    let Ends { source, target, .. } = ends;
    match verify((source, from), (target, to)).await {
        Ok(difference) => Ok(difference == Difference::Same),
        Err(Error::Refused(_)) => {
            // One side refused, and the other may have its file open.
            for files in [source, target] {
                let close = v1::FileClose {
                    handle: HANDLE,
                    md5: false,
                };
                match files.ask(Ask::Close(close)).await {
                    Ok(_) | Err(Error::Refused(_)) => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(false)
        }
        Err(error) => Err(error),
    }
}
