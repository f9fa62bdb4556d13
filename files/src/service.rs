//! Requests to operations: what is open on one stream, and what the caller may do there.

use std::collections::HashMap;
use std::os::unix::ffi::OsStrExt as _;

use cmdop_proto::v1::file_request::Request as Ask;
use cmdop_proto::v1::file_response::Response;
use cmdop_proto::{Refusal, file_change, limits, v1};

use crate::answers::{Answers, Caller, Stop};
use crate::batch::{self, Staging};
use crate::confine::Roots;
use crate::fault::bad;
use crate::reader::Reader;
use crate::writer::Writer;
use crate::{change, copy, listing, search, watch};

/// One stream's view of the disk. Blocking: it belongs on a thread of its own.
pub struct Service {
    roots: Roots,
    access: v1::FileAccess,
    readers: HashMap<u32, Reader>,
    writers: HashMap<u32, Writer>,
    staging: Staging,
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service")
            .field("roots", &self.roots)
            .field("access", &self.access)
            .finish_non_exhaustive()
    }
}

impl Service {
    /// A stream of somebody who may do this, there.
    pub fn new(roots: Roots, access: v1::FileAccess) -> Self {
        Self {
            roots,
            access,
            readers: HashMap::new(),
            writers: HashMap::new(),
            staging: Staging::default(),
        }
    }

    /// Does one request and tells its caller. `false`: nobody listens any more.
    pub fn handle(&mut self, request: v1::FileRequest, caller: &mut dyn Caller) -> bool {
        let mut answers = Answers::new(request.id, caller);
        match self.operate(request.request, &mut answers) {
            Ok(()) => true,
            Err(Stop::Refused(refusal)) => answers.refuse(&refusal).is_ok(),
            Err(Stop::Gone) => false,
        }
    }

    fn operate(&mut self, ask: Option<Ask>, answers: &mut Answers<'_>) -> Result<(), Stop> {
        let Some(ask) = ask else {
            return Err(Refusal::invalid(
                "unknown-operation",
                "this agent does not know the operation",
            )
            .hint("it may be older than the client: upgrade it")
            .into());
        };
        if file_change::verb(&ask).is_some() && self.access != v1::FileAccess::Write {
            return Err(Refusal::denied("read-only", "the caller may only read files here").into());
        }
        let roots = &self.roots;
        match ask {
            Ask::Open(_) => answers.last(Response::Opened(v1::FilesOpened {
                home: bytes::Bytes::copy_from_slice(roots.home().as_os_str().as_bytes()),
                access: self.access.into(),
            })),
            Ask::Stat(stat) => listing::stat(roots, &stat, answers),
            Ask::List(list) => listing::list(roots, &list, answers),
            Ask::Usage(usage) => listing::usage(roots, &usage, answers),
            Ask::Search(search) => search::search(roots, &search, answers),
            Ask::Watch(watch) => watch::watch(roots, &watch, answers),
            Ask::Fetch(fetch) => batch::fetch(roots, &fetch, answers),
            Ask::Put(put) => self.staging.put(roots, put, answers),
            Ask::Settle(_) => self.staging.settle(answers),
            Ask::Mkdir(mkdir) => change::mkdir(roots, &mkdir, answers),
            Ask::Remove(remove) => change::remove(roots, &remove, answers),
            Ask::Rename(rename) => change::rename(roots, &rename, answers),
            Ask::Copy(copy) => copy::copy(roots, &copy, answers),
            Ask::Attributes(attributes) => change::attributes(roots, &attributes, answers),
            Ask::Symlink(symlink) => change::symlink(roots, &symlink, answers),
            open_file => self.operate_open(open_file, answers),
        }
    }

    /// What is about a file that is open.
    fn operate_open(&mut self, ask: Ask, answers: &mut Answers<'_>) -> Result<(), Stop> {
        match ask {
            Ask::Reader(open) => {
                self.require_free(open.handle)?;
                let reader = Reader::open(&self.roots, &open, answers)?;
                self.readers.insert(open.handle, reader);
                Ok(())
            }
            Ask::Create(create) => {
                self.require_free(create.handle)?;
                let writer = Writer::create(&self.roots, &create, answers)?;
                self.writers.insert(create.handle, writer);
                Ok(())
            }
            Ask::Read(read) => self.reader(read.handle)?.read(&read, answers),
            Ask::Map(map) => self.reader(map.handle)?.map(answers),
            Ask::Write(write) => self.writer(write.handle)?.write(&write, answers),
            Ask::Digest(digest) => {
                let chunk = digest.chunk as usize;
                match self.writers.get(&digest.handle) {
                    Some(writer) => writer.digest(chunk, answers),
                    None => self.reader(digest.handle)?.digest(chunk, answers),
                }
            }
            Ask::Commit(commit) => {
                let writer = self.writers.remove(&commit.handle);
                writer.ok_or_else(not_open)?.commit(&commit, answers)
            }
            Ask::Close(close) => {
                if let Some(writer) = self.writers.remove(&close.handle) {
                    writer.abandon();
                    return answers.last(Response::Closed(v1::FileClosed::default()));
                }
                let reader = self.readers.remove(&close.handle);
                reader.ok_or_else(not_open)?.close(close.md5, answers)
            }
            _ => Err(bad("the operation is not one of an open file").into()),
        }
    }

    fn require_free(&self, handle: u32) -> Result<(), Refusal> {
        if self.readers.contains_key(&handle) || self.writers.contains_key(&handle) {
            return Err(bad("a file is open under this number already"));
        }
        if self.readers.len() + self.writers.len() >= limits::FILE_HANDLES {
            return Err(Refusal::exhausted(
                "too-many-files",
                format!(
                    "{} files are open on this stream already",
                    limits::FILE_HANDLES
                ),
            ));
        }
        Ok(())
    }

    fn reader(&mut self, handle: u32) -> Result<&mut Reader, Refusal> {
        self.readers.get_mut(&handle).ok_or_else(not_open)
    }

    fn writer(&mut self, handle: u32) -> Result<&mut Writer, Refusal> {
        self.writers.get_mut(&handle).ok_or_else(not_open)
    }
}

fn not_open() -> Refusal {
    bad("no file is open under this number")
}

#[cfg(test)]
mod tests;
