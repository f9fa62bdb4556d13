//! Looking for names and for lines, as a person would with find and grep.

use std::ffi::OsStr;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use bytes::Bytes;
use cmdop_proto::v1::file_response::Response;
use cmdop_proto::{Refusal, v1};
use globset::GlobSet;
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use regex::bytes::{Regex, RegexBuilder};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::answers::{Answers, Outcomes, Stop};
use crate::confine::Roots;
use crate::entry::{entry_in, kind};
use crate::fault::{fault, shown};
use crate::hash::read_up_to;
use crate::listing::{Case, globs, matches};
use crate::tree::{Go, Step, Visitor, walk};

/// Matches in one message.
const BATCH: usize = 64;

/// Matches of one search unless it asks for others, and the most that it may ask for.
const MATCHES: u32 = 10_000;
const MAX_MATCHES: u32 = 1_000_000;

/// What is told of a line.
const MAX_LINE: usize = 1 << 10;

/// What a compiled expression may take.
const REGEX_SIZE: usize = 4 << 20;

/// A file is searched in windows of this size; a line that is longer is split.
const WINDOW: usize = 1 << 20;

/// What an ignore file may take.
const MAX_IGNORE: usize = 256 << 10;

pub(crate) fn search(
    roots: &Roots,
    request: &v1::FileSearch,
    answers: &mut Answers<'_>,
) -> Result<(), Stop> {
    let case = if request.ignore_case {
        Case::Ignored
    } else {
        Case::Sensitive
    };
    let mut searcher = Searcher {
        globs: globs(&request.glob, case)?,
        name: regex(&request.name_regex, case)?,
        content: regex(&request.content_regex, case)?,
        ignores: request.gitignore.then(Vec::new),
        left: match request.max {
            0 => MATCHES,
            max => max.min(MAX_MATCHES),
        },
        found: Vec::new(),
        outcomes: Outcomes::default(),
        answers,
    };
    walk(roots.open_directory(&request.path)?, &mut searcher)?;
    searcher.flush()?;
    searcher.outcomes.tell(answers)
}

fn regex(text: &str, case: Case) -> Result<Option<Regex>, Refusal> {
    if text.is_empty() {
        return Ok(None);
    }
    RegexBuilder::new(text)
        .case_insensitive(case == Case::Ignored)
        .size_limit(REGEX_SIZE)
        .dfa_size_limit(REGEX_SIZE)
        .build()
        .map(Some)
        .map_err(|error| {
            let why = error.to_string();
            let why = why.lines().last().unwrap_or_default();
            Refusal::invalid(
                "bad-pattern",
                format!("not a regular expression: {}", shown(why.as_bytes())),
            )
        })
}

struct Searcher<'a, 'b> {
    globs: Option<GlobSet>,
    name: Option<Regex>,
    content: Option<Regex>,
    /// What the ignore files of the directories on the way say, each with how deep it lies.
    ignores: Option<Vec<Ignore>>,
    left: u32,
    found: Vec<v1::FileMatch>,
    outcomes: Outcomes,
    answers: &'a mut Answers<'b>,
}

struct Ignore {
    /// The length of its directory's path.
    depth: usize,
    rules: Gitignore,
}

impl Searcher<'_, '_> {
    fn is_ignored(&self, step: &Step<'_>) -> bool {
        let Some(ignores) = &self.ignores else {
            return false;
        };
        if step.name.to_bytes() == b".git" {
            return true;
        }
        let is_directory = kind(step.stat) == v1::FileKind::Directory;
        // The nearest file that says anything decides.
        for ignore in ignores.iter().rev() {
            let from = if ignore.depth == 0 {
                0
            } else {
                ignore.depth + 1
            };
            let path = Path::new(OsStr::from_bytes(step.path.get(from..).unwrap_or_default()));
            let decided = ignore.rules.matched(path, is_directory);
            if !decided.is_none() {
                return decided.is_ignore();
            }
        }
        false
    }

    fn has_name(&self, path: &[u8]) -> bool {
        self.globs.as_ref().is_none_or(|globs| matches(globs, path))
            && self.name.as_ref().is_none_or(|name| name.is_match(path))
    }

    fn flush(&mut self) -> Result<(), Stop> {
        if self.found.is_empty() {
            return Ok(());
        }
        let matches = std::mem::take(&mut self.found);
        self.answers
            .part(Response::Matches(v1::FileMatches { matches }))
    }

    fn tell(&mut self, found: v1::FileMatch) -> Result<(), Stop> {
        self.found.push(found);
        self.outcomes.done();
        self.left -= 1;
        if self.found.len() >= BATCH || self.left == 0 {
            self.flush()?;
        }
        Ok(())
    }

    /// The lines of a file that match.
    fn lines(&mut self, step: &Step<'_>, content: &Regex) -> Result<(), Stop> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match rustix::fs::openat(step.directory, step.name, flags, Mode::empty()) {
            Ok(file) => file,
            Err(errno) => return self.unreadable(step.path, errno),
        };
        let mut buffer = vec![0; WINDOW];
        let (mut offset, mut number) = (0u64, 0u64);
        loop {
            self.answers.wanted()?;
            let read = match read_up_to(&file, &mut buffer, offset) {
                Ok(read) => read,
                Err(errno) => return self.unreadable(step.path, errno),
            };
            let window = &buffer[..read];
            if offset == 0 && window.iter().take(8 << 10).any(|byte| *byte == 0) {
                return Ok(());
            }
            // Whole lines only, unless one fills the window or the file ends.
            let end = match window.iter().rposition(|byte| *byte == b'\n') {
                Some(end) if read == WINDOW => end + 1,
                _ => read,
            };
            for line in window[..end].split_inclusive(|byte| *byte == b'\n') {
                number += 1;
                let text = line.strip_suffix(b"\n").unwrap_or(line);
                if content.is_match(text) {
                    self.tell(v1::FileMatch {
                        entry: Some(entry_in(step.directory, step.name, step.path, step.stat)),
                        line: number,
                        text: Bytes::copy_from_slice(&text[..text.len().min(MAX_LINE)]),
                    })?;
                    if self.left == 0 {
                        return Ok(());
                    }
                }
            }
            offset += end as u64;
            if read < WINDOW {
                return Ok(());
            }
        }
    }
}

impl Visitor for Searcher<'_, '_> {
    fn step(&mut self, step: &Step<'_>) -> Result<Go, Stop> {
        self.answers.wanted()?;
        if self.left == 0 {
            return Ok(Go::Stop);
        }
        if self.is_ignored(step) {
            return Ok(Go::Past);
        }
        if !self.has_name(step.path) {
            return Ok(Go::In);
        }
        match self.content.take() {
            Some(content) => {
                if kind(step.stat) == v1::FileKind::File {
                    self.lines(step, &content)?;
                }
                self.content = Some(content);
            }
            None => self.tell(v1::FileMatch {
                entry: Some(entry_in(step.directory, step.name, step.path, step.stat)),
                ..v1::FileMatch::default()
            })?,
        }
        Ok(if self.left == 0 { Go::Stop } else { Go::In })
    }

    fn unreadable(&mut self, path: &[u8], errno: Errno) -> Result<(), Stop> {
        let refusal = fault("read", path, errno);
        self.outcomes.refuse(self.answers, &refusal, path)
    }

    fn enter(&mut self, directory: BorrowedFd<'_>, path: &[u8]) -> Result<(), Stop> {
        if let Some(ignores) = &mut self.ignores
            && let Some(rules) = rules(directory)
        {
            let depth = path.len();
            ignores.push(Ignore { depth, rules });
        }
        Ok(())
    }

    fn leave(&mut self, path: &[u8]) {
        if let Some(ignores) = &mut self.ignores
            && ignores.last().is_some_and(|last| last.depth == path.len())
        {
            ignores.pop();
        }
    }
}

/// What a directory's ignore files say, if it has any.
fn rules(directory: BorrowedFd<'_>) -> Option<Gitignore> {
    let mut builder = GitignoreBuilder::new("");
    let mut is_empty = true;
    for name in [c".gitignore", c".ignore"] {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let Ok(file) = rustix::fs::openat(directory, name, flags, Mode::empty()) else {
            continue;
        };
        for line in String::from_utf8_lossy(&small(&file)).lines() {
            // A line that is no pattern is passed over, as git does.
            let _ = builder.add_line(None, line);
            is_empty = false;
        }
    }
    if is_empty { None } else { builder.build().ok() }
}

fn small(file: &OwnedFd) -> Vec<u8> {
    let is_file = rustix::fs::fstat(file).is_ok_and(|stat| kind(&stat) == v1::FileKind::File);
    let mut buffer = vec![0; if is_file { MAX_IGNORE } else { 0 }];
    let read = read_up_to(file, &mut buffer, 0).unwrap_or(0);
    buffer.truncate(read);
    buffer
}
