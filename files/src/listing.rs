//! Stat, list, and what a tree takes.

use cmdop_proto::v1::file_response::Response;
use cmdop_proto::{Refusal, v1};
use globset::{Glob, GlobBuilder, GlobSet, GlobSetBuilder};
use rustix::io::Errno;

use crate::answers::{Answers, Outcomes, Stop};
use crate::confine::{Follow, Roots};
use crate::entry::{allocated, entry, entry_in, kind};
use crate::fault::{fault, shown};
use crate::linked::Linked;
use crate::tree::{Go, Step, Visitor, walk};

/// Entries in one message: with paths of usual length some 30 KiB, so that a listing begins at once.
const BATCH: usize = 256;

/// What the names in one message may take: long paths make shorter messages.
const BATCH_BYTES: usize = 256 << 10;

/// Globs in one request.
const MAX_GLOBS: usize = 256;

pub(crate) fn stat(
    roots: &Roots,
    request: &v1::FileStat,
    answers: &mut Answers<'_>,
) -> Result<(), Stop> {
    let follow = if request.follow {
        Follow::Yes
    } else {
        Follow::No
    };
    let (file, stat) = roots.look(&request.path, follow)?;
    let mut entry = entry(&request.path, &stat);
    if kind(&stat) == v1::FileKind::Symlink {
        let target = rustix::fs::readlinkat(&file, c"", Vec::new())
            .map_err(|errno| fault("read the link", &request.path, errno))?;
        entry.target = target.into_bytes().into();
    }
    answers.last(Response::Entry(entry))
}

pub(crate) fn list(
    roots: &Roots,
    request: &v1::FileList,
    answers: &mut Answers<'_>,
) -> Result<(), Stop> {
    let exclude = globs(&request.exclude, Case::Sensitive)?;
    let directory = roots.open_directory(&request.path)?;
    let mut lister = Lister {
        answers,
        exclude,
        recursive: request.recursive,
        entries: Vec::new(),
        bytes: 0,
        outcomes: Outcomes::default(),
    };
    walk(directory, &mut lister)?;
    lister.flush()?;
    lister.outcomes.tell(answers)
}

struct Lister<'a, 'b> {
    answers: &'a mut Answers<'b>,
    exclude: Option<GlobSet>,
    recursive: bool,
    entries: Vec<v1::FileEntry>,
    bytes: usize,
    outcomes: Outcomes,
}

impl Lister<'_, '_> {
    fn flush(&mut self) -> Result<(), Stop> {
        if self.entries.is_empty() {
            return Ok(());
        }
        let entries = std::mem::take(&mut self.entries);
        self.bytes = 0;
        self.answers
            .part(Response::Entries(v1::FileEntries { entries }))
    }
}

impl Visitor for Lister<'_, '_> {
    fn step(&mut self, step: &Step<'_>) -> Result<Go, Stop> {
        if self
            .exclude
            .as_ref()
            .is_some_and(|globs| matches(globs, step.path))
        {
            return Ok(Go::Past);
        }
        let entry = entry_in(step.directory, step.name, step.path, step.stat);
        self.bytes += entry.path.len() + entry.target.len() + 128;
        self.entries.push(entry);
        self.outcomes.done();
        if self.entries.len() >= BATCH || self.bytes >= BATCH_BYTES {
            self.flush()?;
        }
        Ok(if self.recursive { Go::In } else { Go::Past })
    }

    fn unreadable(&mut self, path: &[u8], errno: Errno) -> Result<(), Stop> {
        let refusal = fault("read", path, errno);
        self.outcomes.refuse(self.answers, &refusal, path)
    }
}

/// Whether a glob matches the path, or the name at its end.
pub(crate) fn matches(globs: &GlobSet, path: &[u8]) -> bool {
    use std::os::unix::ffi::OsStrExt as _;
    let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or(path);
    let as_path = |bytes| std::path::Path::new(std::ffi::OsStr::from_bytes(bytes));
    globs.is_match(as_path(path)) || globs.is_match(as_path(name))
}

/// Whether letters of both cases are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Case {
    Sensitive,
    Ignored,
}

/// Globs that were asked for; `None` if there are none.
pub(crate) fn globs(texts: &[String], case: Case) -> Result<Option<GlobSet>, Refusal> {
    if texts.is_empty() {
        return Ok(None);
    }
    if texts.len() > MAX_GLOBS {
        return Err(Refusal::invalid(
            "bad-pattern",
            format!("{} globs are more than {MAX_GLOBS}", texts.len()),
        ));
    }
    let mut set = GlobSetBuilder::new();
    for text in texts {
        set.add(glob(text, case)?);
    }
    let set = set.build().map_err(|error| bad_glob(&error.to_string()))?;
    Ok(Some(set))
}

fn glob(text: &str, case: Case) -> Result<Glob, Refusal> {
    GlobBuilder::new(text)
        .literal_separator(true)
        .case_insensitive(case == Case::Ignored)
        .build()
        .map_err(|error| bad_glob(&error.to_string()))
}

fn bad_glob(why: &str) -> Refusal {
    Refusal::invalid(
        "bad-pattern",
        format!("not a glob: {}", shown(why.as_bytes())),
    )
}

pub(crate) fn usage(
    roots: &Roots,
    request: &v1::FileUsage,
    answers: &mut Answers<'_>,
) -> Result<(), Stop> {
    let (file, stat) = roots.look(&request.path, Follow::Yes)?;
    let disk = rustix::fs::fstatvfs(&file)
        .map_err(|errno| fault("ask for the room of", &request.path, errno))?;
    let mut sum = Sum {
        usage: v1::DiskUsage {
            disk_total: disk.f_blocks.saturating_mul(disk.f_frsize),
            disk_available: disk.f_bavail.saturating_mul(disk.f_frsize),
            ..v1::DiskUsage::default()
        },
        linked: Linked::default(),
        answers,
    };
    sum.add(&stat);
    if kind(&stat) == v1::FileKind::Directory && !request.room_only {
        walk(roots.open_directory(&request.path)?, &mut sum)?;
    }
    let usage = sum.usage;
    answers.last(Response::Usage(usage))
}

/// The sum so far is told after so many entries.
const TELL_EVERY: u64 = 16_384;

struct Sum<'a, 'b> {
    usage: v1::DiskUsage,
    linked: Linked,
    answers: &'a mut Answers<'b>,
}

impl Sum<'_, '_> {
    fn add(&mut self, stat: &rustix::fs::Stat) {
        if !self.linked.is_new(stat) {
            return;
        }
        if kind(stat) == v1::FileKind::Directory {
            self.usage.directories += 1;
        } else {
            self.usage.files += 1;
            self.usage.bytes += stat.st_size as u64;
        }
        self.usage.allocated += allocated(stat);
    }
}

impl Visitor for Sum<'_, '_> {
    fn step(&mut self, step: &Step<'_>) -> Result<Go, Stop> {
        self.answers.wanted()?;
        self.add(step.stat);
        if (self.usage.files + self.usage.directories).is_multiple_of(TELL_EVERY) {
            self.answers.part(Response::Usage(self.usage))?;
        }
        Ok(Go::In)
    }

    fn unreadable(&mut self, _path: &[u8], _errno: Errno) -> Result<(), Stop> {
        self.usage.unreadable += 1;
        Ok(())
    }
}
