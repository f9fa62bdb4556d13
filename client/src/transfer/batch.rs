//! Many small files between two ends: read whole, several in one message, written under temporary names,
//! and named together.

use std::collections::HashMap;

use bytes::Bytes;
use cmdop_proto::v1;
use cmdop_proto::v1::file_request::Request as Ask;
use cmdop_proto::v1::file_response::Response;

use super::Options;
use super::item::{self, Item};
use super::one::replace;
use super::streams::Ends;
use crate::error::Error;
use crate::files::{read, refusal, unexpected};

/// What became of some items.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// Written, and not named yet.
    pub(super) put: Vec<Item>,
    /// Refused, each for its own reason.
    pub(super) failed: Vec<(Item, Error)>,
}

/// Reads the items, and writes them under temporary names.
pub(super) async fn put(
    ends: &mut Ends,
    options: &Options,
    items: Vec<Item>,
) -> Result<Outcome, Error> {
    let mut outcome = Outcome::default();
    let mut by_source: HashMap<Bytes, Item> = items
        .into_iter()
        .map(|item| (item.from.clone(), item))
        .collect();
    let (paths, to) = by_source
        .values()
        .map(|item| (item.from.clone(), item.to.clone()))
        .unzip();
    let carry = ends.carry(0).map(|carry| v1::FileCarry {
        to,
        replace: replace(options).into(),
        modes: item::modes(options.all_modes),
        ..carry
    });
    let fetch = Ask::Fetch(v1::FileFetch { paths, carry });
    ends.source.asker.ask(fetch).await?;
    loop {
        let (response, last) = read(ends.source.answers.next().await?)?;
        match response {
            Response::Batch(batch) => {
                let mut by_target = HashMap::new();
                let mut files = Vec::new();
                for file in batch.files {
                    // What was not asked for is not written anywhere.
                    let Some(item) = by_source.remove(&file.path) else {
                        continue;
                    };
                    files.push(as_copy(file, &item, options));
                    by_target.insert(item.to.clone(), item);
                }
                let put = match batch.carried {
                    Some(to) => Ask::Piece(v1::FilePiece {
                        number: to.piece,
                        is_silent: false,
                    }),
                    None => Ask::Put(v1::FilePut { files }),
                };
                let refused = ends.target.outcomes(put).await?;
                take_refused(refused, &mut by_target, &mut outcome.failed);
                outcome.put.extend(by_target.into_values());
            }
            Response::Outcomes(outcomes) => {
                take_refused(outcomes.refused, &mut by_source, &mut outcome.failed);
            }
            _ => return Err(unexpected()),
        }
        if last {
            break;
        }
    }
    if by_source.is_empty() {
        return Ok(outcome);
    }
    Err(unexpected())
}

fn as_copy(file: v1::SmallFile, item: &Item, options: &Options) -> v1::SmallFile {
    let mut copy = file;
    copy.path = item.to.clone();
    copy.replace = replace(options).into();
    copy.mode &= item::modes(options.all_modes);
    copy
}

fn take_refused(
    refused: Vec<v1::FileRefused>,
    items: &mut HashMap<Bytes, Item>,
    failed: &mut Vec<(Item, Error)>,
) {
    for refused in refused {
        if let Some(item) = items.remove(&refused.path) {
            failed.push((item, Error::Refused(refusal(&refused))));
        }
    }
}

/// Names what was put: those that were refused.
pub(super) async fn settle(ends: &mut Ends, put: Vec<Item>) -> Result<Outcome, (Vec<Item>, Error)> {
    let refused = match ends.target.outcomes(Ask::Settle(v1::FileSettle {})).await {
        Ok(refused) => refused,
        Err(error) => return Err((put, error)),
    };
    let mut by_target: HashMap<Bytes, Item> = put
        .into_iter()
        .map(|item| (item.to.clone(), item))
        .collect();
    let mut outcome = Outcome::default();
    take_refused(refused, &mut by_target, &mut outcome.failed);
    outcome.put.extend(by_target.into_values());
    Ok(outcome)
}
