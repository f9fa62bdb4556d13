//! The files of a data directory that a backup takes: all keys, whatever they are called.
//!
//! A file that a later version adds is taken without a line here. Left out are the database, which is
//! copied in its own way, locks, and what was being written.

use std::fs::{File, OpenOptions};
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use super::archive::{Content, MAX_FILE, MAX_MEMBERS, Part, is_member};
use super::{Error, io_error};
use crate::config::DATABASE;

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The files' contents.
    pub(super) parts: Vec<Part>,
    /// The names of what is not taken and could be missed.
    pub(super) left_out: Vec<String>,
}

impl Found {
    /// With the files of `before` that are not there any more.
    pub(super) fn and_what_went(mut self, before: Self) -> Self {
        for part in before.parts {
            let is_there = self.parts.iter().any(|other| other.name == part.name);
            if !is_there && self.parts.len() + 1 < MAX_MEMBERS {
                self.parts.push(part);
            }
        }
        self.parts.sort_by(|a, b| a.name.cmp(&b.name));
        self
    }
}

/// Reads them all.
pub(super) fn read(directory: &Path) -> Result<Found, Error> {
    let mut found = Found::default();
    let entries = std::fs::read_dir(directory).map_err(io_error("read", directory))?;
    for entry in entries {
        let entry = entry.map_err(io_error("read", directory))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if is_made_again(&name) {
            continue;
        }
        let path = entry.path();
        let metadata = entry.metadata().map_err(io_error("read", &path))?;
        let is_taken = metadata.is_file()
            && metadata.len() <= MAX_FILE
            && is_member(&name)
            && found.parts.len() + 1 < MAX_MEMBERS;
        if is_taken {
            let content = Content::Bytes(bounded(&path)?);
            found.parts.push(Part { name, content });
        } else {
            let shown = cmdop_proto::text::shown(&name, 64);
            found.left_out.push(shown);
        }
    }
    found.parts.sort_by(|a, b| a.name.cmp(&b.name));
    found.left_out.sort();
    Ok(found)
}

fn is_made_again(name: &str) -> bool {
    let is_database = name
        .strip_prefix(DATABASE)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'));
    let is_unfinished = Path::new(name)
        .extension()
        .is_some_and(|kind| kind == "new" || kind == "lock");
    is_database || is_unfinished
}

fn bounded(path: &Path) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let opened = File::open(path).map_err(io_error("read", path))?;
    let mut opened = opened.take(MAX_FILE);
    opened
        .read_to_end(&mut bytes)
        .map_err(io_error("read", path))?;
    Ok(bytes)
}

/// A new, empty file that nobody else can read.
pub(super) fn create_private(path: &Path) -> Result<File, Error> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    options.open(path).map_err(io_error("write", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_goes_while_a_backup_is_taken_is_in_it() {
        let dir = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        put("ca.key", "key");
        put("ca.pem", "old");
        let before = read(dir.path()).unwrap();
        std::fs::remove_file(dir.path().join("ca.key")).unwrap();
        put("ca.pem", "new");
        let found = read(dir.path()).unwrap().and_what_went(before);
        let names: Vec<&str> = found.parts.iter().map(|part| &*part.name).collect();
        assert_eq!(names, ["ca.key", "ca.pem"]);
        let Content::Bytes(pem) = &found.parts[1].content else {
            panic!("not in a file");
        };
        assert_eq!(pem, b"new");
    }
}
