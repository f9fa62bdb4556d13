//! The directories of the target: made one level after the other, and given their attributes last.
//!
//! Nothing is written beneath a directory that was not found to be one: a hostile source could name a link
//! first, and then what is in it.

use bytes::Bytes;
use cmdop_proto::v1::file_request::Request as Ask;
use cmdop_proto::{Refusal, v1};

use super::{Placed, Scout, shown};
use crate::error::Error;
use crate::files::{Files, refusal};
use crate::transfer::{item, streams};

/// Directories that get their attributes with one request.
const TOGETHER: usize = 1024;

/// Whether a directory may be a link to one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Links {
    Followed,
    Refused,
}

impl Scout {
    /// Makes directories, each after the one that it is in.
    pub(super) async fn make_levels(&mut self, directories: Vec<Placed>) -> Result<(), Error> {
        let mut left = directories;
        while !left.is_empty() {
            let (ready, rest): (Vec<_>, Vec<_>) =
                left.into_iter().partition(|(_, to, _)| self.has_home(to));
            if ready.is_empty() {
                for (from, ..) in rest {
                    self.homeless(from);
                }
                break;
            }
            self.make_directories(ready, Links::Refused).await?;
            left = rest;
        }
        Ok(())
    }

    /// Whether its directory was made by us: a hostile source could name a link first, and then what is in it.
    pub(super) fn has_home(&self, to: &[u8]) -> bool {
        self.made.contains(item::parent(to))
    }

    pub(super) fn homeless(&mut self, from: Bytes) {
        self.order += 1;
        let message = format!("the directory of {} could not be made", shown(&from));
        let error = Refusal::invalid("file-no-directory", message);
        self.shared.failed(self.order, from, Error::Refused(error));
    }

    pub(super) async fn make_directories(
        &mut self,
        directories: Vec<Placed>,
        links: Links,
    ) -> Result<(), Error> {
        if directories.is_empty() {
            return Ok(());
        }
        self.shared.found(directories.len() as u64, 0);
        if self.job.options.dry_run {
            for (from, to, _) in directories {
                self.plan(&from);
                self.made.insert(item::trimmed(&to));
            }
            return Ok(());
        }
        let paths = directories.iter().map(|(_, to, _)| to.clone()).collect();
        let mkdir = v1::FileMkdir {
            paths,
            parents: links == Links::Followed,
            mode: 0,
            real: links == Links::Refused,
        };
        let refused = self.ends.target.outcomes(Ask::Mkdir(mkdir)).await?;
        for refused in &refused {
            self.order += 1;
            let error = Error::Refused(refusal(refused));
            self.shared.failed(self.order, refused.path.clone(), error);
        }
        let is_made = |to: &Bytes| refused.iter().all(|refused| refused.path != to);
        let made = directories.into_iter().filter(|(_, to, _)| is_made(to));
        let all_modes = self.job.options.all_modes;
        for (_, to, entry) in made {
            self.shared.done(1);
            self.made.insert(item::trimmed(&to));
            self.directories.push(v1::FileAttribute {
                path: to,
                mode: Some(item::mode(&entry, all_modes)),
                mtime_ns: Some(entry.mtime_ns),
            });
        }
        Ok(())
    }

    /// Those inside first: a directory that may not be written to any more is done with.
    pub(super) async fn finish_directories(&mut self) {
        while !self.directories.is_empty() {
            let from = self.directories.len().saturating_sub(TOGETHER);
            let mut some = self.directories.split_off(from);
            some.reverse();
            let attributes = v1::FileAttributes { attributes: some };
            match self.set(attributes).await {
                Ok(refused) => {
                    for refused in refused {
                        self.order += 1;
                        let error = Error::Refused(refusal(&refused));
                        self.shared.failed(self.order, refused.path, error);
                    }
                }
                Err(error) => {
                    self.order += 1;
                    return self.shared.failed(self.order, Bytes::new(), error);
                }
            }
        }
    }

    /// Sets attributes, on a new stream if the old one was lost meanwhile.
    async fn set(&mut self, attributes: v1::FileAttributes) -> Result<Vec<v1::FileRefused>, Error> {
        let ask = Ask::Attributes(attributes);
        match self.ends.target.outcomes(ask.clone()).await {
            Err(error) if streams::may_pass(&error) => {
                let target: &mut Files = &mut self.ends.target;
                *target = streams::target(&self.job, &self.shared).await?;
                target.outcomes(ask).await
            }
            done => done,
        }
    }
}
