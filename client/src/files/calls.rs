//! Single operations: each asks once and waits for its answers.

use bytes::Bytes;
use cmdop_proto::v1::file_request::Request as Ask;
use cmdop_proto::v1::file_response::Response;
use cmdop_proto::{Refusal, limits, v1};

use super::{Files, read, refusal, unexpected};
use crate::error::Error;

/// The handle of single operations; a transfer has its own streams.
const HANDLE: u32 = 0;

/// Some of what a directory holds, or what could not be read of it.
#[derive(Debug)]
pub enum Listing {
    /// Entries, in no order; a directory comes before what is in it.
    Entries(Vec<v1::FileEntry>),
    /// A path that could not be looked at, and why.
    Unreadable(Bytes, Refusal),
}

impl Files {
    /// What a path names; of a link itself unless `follow`.
    pub async fn stat(&mut self, path: &[u8], follow: Follow) -> Result<v1::FileEntry, Error> {
        let stat = v1::FileStat {
            path: Bytes::copy_from_slice(path),
            follow: follow == Follow::Yes,
        };
        match self.ask(Ask::Stat(stat)).await? {
            Response::Entry(entry) => Ok(entry),
            _ => Err(unexpected()),
        }
    }

    /// Lists a directory, or a tree; `each` gets the parts as they come.
    pub async fn list(
        &mut self,
        list: v1::FileList,
        mut each: impl FnMut(Listing),
    ) -> Result<(), Error> {
        self.asker.ask(Ask::List(list)).await?;
        loop {
            let (response, last) = read(self.answers.next().await?)?;
            match response {
                Response::Entries(entries) => each(Listing::Entries(entries.entries)),
                Response::Outcomes(outcomes) => {
                    for refused in outcomes.refused {
                        let refusal = refusal(&refused);
                        each(Listing::Unreadable(refused.path, refusal));
                    }
                }
                _ => return Err(unexpected()),
            }
            if last {
                return Ok(());
            }
        }
    }

    /// All entries of one directory, sorted by name; what cannot be read is left out.
    pub async fn directory(&mut self, path: &[u8]) -> Result<Vec<v1::FileEntry>, Error> {
        let list = v1::FileList {
            path: Bytes::copy_from_slice(path),
            ..v1::FileList::default()
        };
        let mut all = Vec::new();
        self.list(list, |part| {
            if let Listing::Entries(entries) = part {
                all.extend(entries);
            }
        })
        .await?;
        all.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(all)
    }

    /// Searches; `each` gets the matches as they come, and what could not be read.
    pub async fn search(
        &mut self,
        search: v1::FileSearch,
        mut each: impl FnMut(Result<v1::FileMatch, (Bytes, Refusal)>),
    ) -> Result<(), Error> {
        self.asker.ask(Ask::Search(search)).await?;
        loop {
            let (response, last) = read(self.answers.next().await?)?;
            match response {
                Response::Matches(matches) => {
                    matches.matches.into_iter().map(Ok).for_each(&mut each);
                }
                Response::Outcomes(outcomes) => {
                    for refused in outcomes.refused {
                        let refusal = refusal(&refused);
                        each(Err((refused.path, refusal)));
                    }
                }
                _ => return Err(unexpected()),
            }
            if last {
                return Ok(());
            }
        }
    }

    /// Begins to watch a directory; what changes then comes with [`Files::changes`], until this is dropped.
    pub async fn watch(&mut self, path: &[u8], recursive: bool) -> Result<(), Error> {
        let watch = v1::FileWatch {
            path: Bytes::copy_from_slice(path),
            recursive,
        };
        match self.ask(Ask::Watch(watch)).await? {
            Response::Done(_) => Ok(()),
            _ => Err(unexpected()),
        }
    }

    /// What changed next; empty once a second. Cancel-safe.
    pub async fn changes(&mut self) -> Result<v1::FileChanges, Error> {
        match self.answer().await? {
            Response::Changes(changes) => Ok(changes),
            _ => Err(unexpected()),
        }
    }

    /// What a tree takes, and the room on its file system.
    pub async fn usage(&mut self, path: &[u8]) -> Result<v1::DiskUsage, Error> {
        let usage = v1::FileUsage {
            path: Bytes::copy_from_slice(path),
            room_only: false,
        };
        self.asker.ask(Ask::Usage(usage)).await?;
        loop {
            match read(self.answers.next().await?)? {
                (Response::Usage(usage), true) => return Ok(usage),
                // The sum so far.
                (Response::Usage(_), false) => {}
                _ => return Err(unexpected()),
            }
        }
    }

    /// The bytes that may still be written on a path's file system; no tree is walked for it.
    pub async fn room(&mut self, path: &[u8]) -> Result<u64, Error> {
        let usage = v1::FileUsage {
            path: Bytes::copy_from_slice(path),
            room_only: true,
        };
        match self.ask(Ask::Usage(usage)).await? {
            Response::Usage(usage) => Ok(usage.disk_available),
            _ => Err(unexpected()),
        }
    }

    /// Reads a file from `offset` on, at most `length` bytes, in pieces of at most 256 KiB; `each` says
    /// whether it wants more. What is read is checked against its BLAKE3.
    pub async fn read(
        &mut self,
        path: &[u8],
        offset: u64,
        length: u64,
        mut each: impl FnMut(Bytes) -> bool,
    ) -> Result<(), Error> {
        let reader = v1::FileReader {
            handle: HANDLE,
            path: Bytes::copy_from_slice(path),
            without_md5: true,
        };
        self.ask(Ask::Reader(reader)).await?;
        let (mut at, end) = (offset, offset.saturating_add(length));
        while at < end {
            let wanted = (end - at).min(limits::MAX_CHUNK as u64);
            let (came, wants_more) = self.chunk(at, wanted as u32, &mut each).await?;
            at += came;
            // A file that ends here, also one that claims to be longer.
            if came < wanted || !wants_more {
                break;
            }
        }
        let close = v1::FileClose {
            handle: HANDLE,
            md5: false,
        };
        self.ask(Ask::Close(close)).await.map(drop)
    }

    async fn chunk(
        &mut self,
        offset: u64,
        length: u32,
        each: &mut impl FnMut(Bytes) -> bool,
    ) -> Result<(u64, bool), Error> {
        let handle = HANDLE;
        let read_range = v1::FileRead {
            handle,
            offset,
            length,
            carry: None,
        };
        self.asker.ask(Ask::Read(read_range)).await?;
        let mut hasher = blake3::Hasher::new();
        let (mut came, mut wants_more) = (0, true);
        loop {
            let (response, last) = read(self.answers.next().await?)?;
            let Response::Data(data) = response else {
                return Err(unexpected());
            };
            hasher.update(&data.data);
            came += data.data.len() as u64;
            if wants_more && !data.data.is_empty() {
                wants_more = each(data.data);
            }
            if last {
                if hasher.finalize().as_bytes()[..] != data.blake3[..] {
                    return Err(Error::Protocol(
                        "a part of the file did not arrive as it left".into(),
                    ));
                }
                return Ok((came, wants_more));
            }
        }
    }

    /// Makes directories; the first that could not be made is the error.
    pub async fn mkdir(&mut self, mkdir: v1::FileMkdir) -> Result<(), Error> {
        self.ask_several(Ask::Mkdir(mkdir)).await
    }

    /// Removes a file, or a directory with all in it; how many entries went.
    pub async fn remove(&mut self, path: &[u8], recursive: bool) -> Result<u64, Error> {
        let remove = v1::FileRemove {
            path: Bytes::copy_from_slice(path),
            recursive,
        };
        self.ask_done(Ask::Remove(remove)).await
    }

    /// Gives something another name, on the same file system.
    pub async fn rename(&mut self, rename: v1::FileRename) -> Result<(), Error> {
        self.ask_done(Ask::Rename(rename)).await.map(drop)
    }

    /// Copies on the machine itself; how many entries it was.
    pub async fn copy(&mut self, copy: v1::FileCopy) -> Result<u64, Error> {
        self.ask_done(Ask::Copy(copy)).await
    }

    /// Makes a symbolic link.
    pub async fn symlink(&mut self, path: &[u8], target: &[u8]) -> Result<(), Error> {
        let symlink = v1::FileSymlink {
            path: Bytes::copy_from_slice(path),
            target: Bytes::copy_from_slice(target),
        };
        self.ask_done(Ask::Symlink(symlink)).await.map(drop)
    }

    /// Sets modes and times; the first that could not be set is the error.
    pub async fn attributes(&mut self, attributes: Vec<v1::FileAttribute>) -> Result<(), Error> {
        let attributes = v1::FileAttributes { attributes };
        self.ask_several(Ask::Attributes(attributes)).await
    }

    async fn ask_done(&mut self, ask: Ask) -> Result<u64, Error> {
        match self.ask(ask).await? {
            Response::Done(done) => Ok(done.count),
            _ => Err(unexpected()),
        }
    }

    async fn ask_several(&mut self, ask: Ask) -> Result<(), Error> {
        match self.outcomes(ask).await?.into_iter().next() {
            Some(refused) => Err(Error::Refused(refusal(&refused))),
            None => Ok(()),
        }
    }

    /// Asks about several paths: what was refused.
    pub(crate) async fn outcomes(&mut self, ask: Ask) -> Result<Vec<v1::FileRefused>, Error> {
        self.asker.ask(ask).await?;
        let mut refused = Vec::new();
        loop {
            let (response, last) = read(self.answers.next().await?)?;
            let Response::Outcomes(outcomes) = response else {
                return Err(unexpected());
            };
            refused.extend(outcomes.refused);
            if last {
                return Ok(refused);
            }
        }
    }
}

/// Whether a link is looked at, or what it leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Follow {
    /// What it leads to.
    Yes,
    /// The link.
    No,
}
