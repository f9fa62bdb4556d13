//! The file of a backup: a tar archive whose first member, `manifest.json`, says what follows, how long
//! each is, and its SHA-256. Every tar can list it; this module alone trusts none of it.
//!
//! Nothing is unpacked by the path that stands in the archive: only names of the manifest are, and
//! those are plain.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::data_files::create_private;
use super::{Error, Summary, io_error};
use crate::config;
use crate::secret::hex;

/// The format of the archive.
const FORMAT: u32 = 1;

const MANIFEST: &str = "manifest.json";

/// Sixty-four members of this are a few kilobytes.
const MAX_MANIFEST: u64 = 64 << 10;

/// Files in one backup.
pub(super) const MAX_MEMBERS: usize = 64;

/// The largest file besides the database: keys take less than a kilobyte.
pub(super) const MAX_FILE: u64 = 1 << 20;

/// What the copy of the facts is called before it is in the archive.
pub(super) const DATABASE: &str = "database";

/// What kind of database the facts come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    /// A file, as it is.
    Sqlite,
    /// A server, as `pg_dump --format=custom` writes it.
    Postgresql,
}

impl Kind {
    /// Under which name the facts are in the archive.
    pub(super) fn member(self) -> &'static str {
        match self {
            Self::Sqlite => config::DATABASE,
            Self::Postgresql => "database.dump",
        }
    }
}

/// What an archive says of itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Manifest {
    format: u32,
    /// The version of cmdop-control that made it.
    program: String,
    pub(super) made_at_ms: u64,
    pub(super) database: Kind,
    /// The version of the tables.
    pub(super) tables: i64,
    pub(super) members: Vec<Member>,
}

/// One file in it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Member {
    pub(super) name: String,
    bytes: u64,
    sha256: String,
}

/// One file that goes into it.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) name: String,
    pub(super) content: Content,
}

/// Where its bytes are.
#[derive(Debug)]
pub(super) enum Content {
    Bytes(Vec<u8>),
    /// In a file that nobody changes meanwhile.
    File(PathBuf),
}

impl Content {
    fn read(&self) -> Result<Box<dyn Read + '_>, Error> {
        Ok(match self {
            Self::Bytes(bytes) => Box::new(&bytes[..]),
            Self::File(path) => {
                let file = File::open(path).map_err(io_error("read", path))?;
                Box::new(BufReader::with_capacity(1 << 20, file))
            }
        })
    }
}

impl Manifest {
    pub(super) fn new(database: Kind, tables: i64, made_at_ms: u64) -> Self {
        Self {
            format: FORMAT,
            program: cmdop_service::VERSION.to_owned(),
            made_at_ms,
            database,
            tables,
            members: Vec::new(),
        }
    }

    pub(super) fn summary(&self, left_out: Vec<String>) -> Summary {
        Summary {
            files: self.members.len(),
            bytes: self.members.iter().map(|member| member.bytes).sum(),
            tables: self.tables,
            made_at_ms: self.made_at_ms,
            left_out,
        }
    }

    /// What is wrong with it, if anything is.
    fn fault(&self) -> Option<&'static str> {
        let names = || self.members.iter().map(|member| member.name.as_str());
        let is_facts = |member: &&Member| member.name == self.database.member();
        let is_small = |member: &Member| member.bytes <= MAX_FILE || is_facts(&member);
        let distinct: std::collections::BTreeSet<_> = names().collect();
        if self.members.len() > MAX_MEMBERS || !self.members.iter().all(is_small) {
            Some("it is larger than any backup")
        } else if !names().all(is_member) || distinct.len() != self.members.len() {
            Some("a name in it cannot be")
        } else if !self.members.iter().any(|member| is_facts(&member)) {
            Some("it holds no database")
        } else {
            None
        }
    }
}

/// A plain name: no directory, nothing hidden.
pub(super) fn is_member(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    (1..=64).contains(&name.len()) && !name.starts_with('.') && name.chars().all(plain)
}

/// Writes the archive into the new file `to`, and everything to the disk.
pub(super) fn write(to: &Path, mut manifest: Manifest, parts: &[Part]) -> Result<Manifest, Error> {
    for part in parts {
        let mut hashing = Hashing::of(io::sink());
        let failed = io_error("read", to);
        io::copy(&mut part.content.read()?, &mut hashing).map_err(failed)?;
        manifest.members.push(hashing.member(&part.name));
    }
    let described = serde_json::to_vec_pretty(&manifest).expect("plain values are always JSON");
    let file = create_private(to)?;
    let written = (|| {
        let mut archive = tar::Builder::new(BufWriter::with_capacity(1 << 20, file));
        let at_s = manifest.made_at_ms / 1000;
        append(
            &mut archive,
            MANIFEST,
            described.len() as u64,
            at_s,
            &described[..],
        )?;
        for (part, member) in parts.iter().zip(&manifest.members) {
            let content = part.content.read().map_err(io::Error::other)?;
            append(&mut archive, &part.name, member.bytes, at_s, content)?;
        }
        let mut file = archive.into_inner()?;
        file.flush()?;
        file.get_ref().sync_all()
    })();
    written.map_err(io_error("write", to))?;
    Ok(manifest)
}

fn append<W: Write>(
    archive: &mut tar::Builder<W>,
    name: &str,
    bytes: u64,
    at_s: u64,
    content: impl Read,
) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes);
    header.set_mode(0o600);
    header.set_mtime(at_s);
    archive.append_data(&mut header, name, content)
}

/// What the archive at `path` says of itself, if this version understands it.
pub(super) fn manifest(path: &Path) -> Result<Manifest, Error> {
    let foreign = |reason: String| Error::NotABackup {
        path: path.to_owned(),
        reason,
    };
    let file = File::open(path).map_err(io_error("read", path))?;
    let mut archive = tar::Archive::new(BufReader::new(file));
    let first = archive.entries().and_then(|mut entries| {
        let first = entries.next().ok_or(io::ErrorKind::UnexpectedEof)??;
        if &*first.path_bytes() != MANIFEST.as_bytes() || first.size() > MAX_MANIFEST {
            return Err(io::Error::other("it does not begin with a manifest"));
        }
        let mut text = String::new();
        first.take(MAX_MANIFEST).read_to_string(&mut text)?;
        Ok(text)
    });
    let text = first.map_err(|error| foreign(error.to_string()))?;
    let named: Named = serde_json::from_str(&text).map_err(|error| foreign(error.to_string()))?;
    if named.format > FORMAT {
        return Err(Error::Newer {
            path: path.to_owned(),
            version: cmdop_proto::text::shown(&named.program, 32),
        });
    }
    let read = serde_json::from_str(&text);
    let manifest: Manifest = read.map_err(|error| foreign(error.to_string()))?;
    match manifest.fault() {
        Some(fault) => Err(foreign(fault.to_owned())),
        None => Ok(manifest),
    }
}

/// The part of a manifest that no format changes.
#[derive(Deserialize)]
struct Named {
    format: u32,
    program: String,
}

/// Writes each member into the empty directory `into`; an error unless all are there, whole, and nothing else.
pub(super) fn unpack(path: &Path, manifest: &Manifest, into: &Path) -> Result<(), Error> {
    let damaged = |what: String| Error::Damaged {
        path: path.to_owned(),
        what,
    };
    let file = File::open(path).map_err(io_error("read", path))?;
    let mut archive = tar::Archive::new(BufReader::with_capacity(1 << 20, file));
    let entries = archive
        .entries()
        .map_err(|error| damaged(error.to_string()))?;
    let mut missing: Vec<&Member> = manifest.members.iter().collect();
    for entry in entries.skip(1) {
        let entry = entry.map_err(|error| damaged(error.to_string()))?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let place = missing.iter().position(|member| member.name == name);
        let place = place.filter(|_| entry.header().entry_type().is_file());
        let place =
            place.ok_or_else(|| damaged("it holds what its manifest does not name".into()))?;
        let member = missing.swap_remove(place);
        let found = copy(entry.take(member.bytes + 1), &into.join(&name))?.member(&name);
        if (found.bytes, &found.sha256) != (member.bytes, &member.sha256) {
            return Err(damaged(format!("{name} is not what was put in")));
        }
    }
    match missing.first() {
        Some(member) => Err(damaged(format!("{} is missing", member.name))),
        None => Ok(()),
    }
}

fn copy(mut from: impl Read, to: &Path) -> Result<Hashing<File>, Error> {
    let mut hashing = Hashing::of(create_private(to)?);
    io::copy(&mut from, &mut hashing).map_err(io_error("write", to))?;
    hashing.inner.sync_all().map_err(io_error("write", to))?;
    Ok(hashing)
}

/// Passes bytes on, and knows what they were.
struct Hashing<W> {
    inner: W,
    hasher: Sha256,
    bytes: u64,
}

impl<W> Hashing<W> {
    fn of(inner: W) -> Self {
        Self {
            inner,
            hasher: Sha256::new(),
            bytes: 0,
        }
    }

    fn member(self, name: &str) -> Member {
        Member {
            name: name.to_owned(),
            bytes: self.bytes,
            sha256: hex(&self.hasher.finalize()),
        }
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..count]);
        self.bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
