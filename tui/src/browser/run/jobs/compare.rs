//! Whether two trees are the same: by kind, size and time, which a transfer keeps; or by their contents.

use std::collections::BTreeMap;

use bytes::Bytes;
use cmdop_client::Error;
use cmdop_client::files::{Files, Follow, Listing};
use cmdop_client::transfer::{self, Difference};
use cmdop_proto::v1;

use super::super::super::work::Work;
use super::super::super::{Spot, path};
use super::{Tally, Worker};

/// Entries of a tree that are compared; a larger one is not known to be the same.
const MAX_TREE: usize = 1_000_000;

/// What tells two states of an entry apart, without looking into it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Version {
    Directory,
    File(u64, i64),
    Link(Bytes),
    /// Nothing that was copied.
    Other,
}

impl Version {
    fn of(entry: &v1::FileEntry) -> Self {
        match entry.kind() {
            v1::FileKind::Directory => Self::Directory,
            v1::FileKind::File => Self::File(entry.size, entry.mtime_ns),
            v1::FileKind::Symlink => Self::Link(entry.target.clone()),
            v1::FileKind::Special | v1::FileKind::Unspecified => Self::Other,
        }
    }
}

/// Whether all that is in the one is in the other too, and the same.
pub(super) async fn is_same(
    (source, from): (&mut Files, &[u8]),
    (target, to): (&mut Files, &[u8]),
) -> Result<bool, Error> {
    let one = Version::of(&source.stat(from, Follow::No).await?);
    let other = Version::of(&target.stat(to, Follow::No).await?);
    if one != other || one == Version::Other {
        return Ok(false);
    }
    if one != Version::Directory {
        return Ok(true);
    }
    let (Some(here), Some(there)) = (tree(source, from).await?, tree(target, to).await?) else {
        return Ok(false);
    };
    let is_there = |(path, version): (&Bytes, &Version)| {
        *version != Version::Other && there.get(path) == Some(version)
    };
    Ok(here.iter().all(is_there))
}

/// All that is in a directory; `None`: it is too much, or some of it cannot be read.
async fn tree(files: &mut Files, path: &[u8]) -> Result<Option<BTreeMap<Bytes, Version>>, Error> {
    let list = v1::FileList {
        path: Bytes::copy_from_slice(path),
        recursive: true,
        ..v1::FileList::default()
    };
    let mut all = BTreeMap::new();
    let mut is_whole = true;
    files
        .list(list, |part| match part {
            Listing::Entries(entries) if all.len() < MAX_TREE => {
                let versions = entries
                    .iter()
                    .map(|entry| (entry.path.clone(), Version::of(entry)));
                all.extend(versions);
            }
            Listing::Entries(_) | Listing::Unreadable(..) => is_whole = false,
        })
        .await?;
    Ok(is_whole.then_some(all))
}

impl Worker {
    /// Compares the contents of all files with those of their copies.
    pub(super) async fn verify(&mut self, work: &Work, tally: &mut Tally) -> Result<(), Error> {
        let (mut source, mut target) = (self.open(&work.from).await?, self.open(&work.to).await?);
        let mut pairs = Vec::new();
        for name in &work.names {
            let (from, to) = (work.from.child(name), work.target(name));
            self.pair(&mut source, &from, &to, &mut pairs, tally)
                .await?;
        }
        tally.progress.files_total = pairs.len() as u64;
        tally.progress.bytes_total = pairs.iter().map(|(_, _, size)| size).sum();
        for (from, to, size) in pairs {
            if !self.goes_on().await {
                tally.is_cancelled = true;
                return Ok(());
            }
            tally.progress.current = path::shown(&from);
            self.tell(&tally.progress);
            let compared = tokio::select! {
                compared = transfer::verify((&mut source, &from), (&mut target, &to)) => compared,
                () = self.cancelled() => {
                    tally.is_cancelled = true;
                    return Ok(());
                }
            };
            match compared {
                Ok(Difference::Same) => tally.progress.files_done += 1,
                Ok(Difference::Bytes(bytes)) => {
                    tally.fail(
                        &from,
                        &format!("differs from its copy, in at most {bytes} bytes"),
                    );
                }
                Err(error @ Error::Refused(_)) => {
                    tally.fail(&from, &error.refusal().message);
                    // One side refused, and the other may have its file open.
                    source = self.open(&work.from).await?;
                    target = self.open(&work.to).await?;
                }
                Err(error) => return Err(error),
            }
            tally.progress.bytes_done += size;
        }
        Ok(())
    }

    /// The files of a source, each with its copy and its size.
    async fn pair(
        &self,
        source: &mut Files,
        from: &Spot,
        to: &Spot,
        pairs: &mut Vec<(Bytes, Bytes, u64)>,
        tally: &mut Tally,
    ) -> Result<(), Error> {
        let entry = match source.stat(&from.path, Follow::No).await {
            Ok(entry) => entry,
            Err(error @ Error::Refused(_)) => {
                tally.fail(&from.path, &error.refusal().message);
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        match Version::of(&entry) {
            Version::File(size, _) => pairs.push((from.path.clone(), to.path.clone(), size)),
            Version::Directory => match tree(source, &from.path).await? {
                Some(all) => {
                    let files = all.into_iter().filter_map(|(path, version)| match version {
                        Version::File(size, _) => {
                            Some((from.child(&path).path, to.child(&path).path, size))
                        }
                        _ => None,
                    });
                    pairs.extend(files);
                }
                None => tally.fail(
                    &from.path,
                    "is more than can be compared, or cannot be read",
                ),
            },
            Version::Link(_) | Version::Other => {}
        }
        Ok(())
    }
}
