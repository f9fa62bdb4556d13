//! Backups: what a control plane cannot make again, its facts and its keys, in one file.
//!
//! A backup is taken while the server runs, and nobody waits for it. It is there whole or not at all; a
//! restore proves every byte before the first file is in its place. What the relays keep is theirs:
//! they hold nothing that cannot be made again. When backups are taken, and where they go, is not
//! decided here.

pub mod cli;

mod archive;
mod data_files;
mod postgres;
mod restore;

use std::io;
use std::path::{Path, PathBuf};

use cmdop_service::data_dir;

pub use restore::restore;

use crate::admin::{self, located};
use crate::args::Place;
use crate::clock::Clock;
use crate::store::{self, Database, Store};
use archive::{Content, Kind, Manifest, Part};

/// Where the files of a restore lie until all of them are proved.
const RESTORING: &str = ".restoring";

/// What says that a data directory was restored and not served since.
const RESTORED: &str = "restored";

/// The numbers of events were put back: whoever followed them is told, by another epoch, that they mean something
/// else now. (The restore itself may be of a version whose tables a start has to bring up to date first.)
pub(crate) async fn after_restore(store: &Store, directory: &Path) -> Result<(), Error> {
    let mark = directory.join(RESTORED);
    if !mark.exists() {
        return Ok(());
    }
    store.end_epochs().await?;
    std::fs::remove_file(&mark).map_err(io_error("remove", &mark))
}

/// Why there is no backup, or no restore.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The place was not understood.
    #[error(transparent)]
    Place(#[from] admin::Error),
    /// The database.
    #[error(transparent)]
    Database(#[from] store::OpenError),
    /// A statement.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The data directory.
    #[error(transparent)]
    DataDir(#[from] data_dir::Error),
    /// The system refused.
    #[error("cannot {verb} {path}: {reason}")]
    Io {
        /// What was tried.
        verb: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the system said.
        reason: io::Error,
    },
    /// A disk that is lost would take both.
    #[error(
        "{path} is inside the data directory: keep backups elsewhere, best on another computer"
    )]
    Inside {
        /// The file.
        path: PathBuf,
    },
    /// Something is there already.
    #[error(
        "{place} is not empty, and a restore replaces nothing: name an empty one, or move away what \
         is there"
    )]
    NotEmpty {
        /// The directory or database.
        place: String,
    },
    /// A restore was interrupted.
    #[error(
        "a restore into {path} was not finished: remove everything in that directory, and restore again"
    )]
    Unfinished {
        /// The directory.
        path: PathBuf,
    },
    /// The file is something else.
    #[error("{path} is not a backup of a control plane ({reason})")]
    NotABackup {
        /// The file.
        path: PathBuf,
        /// What it is not.
        reason: String,
    },
    /// A newer cmdop-control made it.
    #[error("{path} was made by a newer cmdop-control ({version}): restore it with that one")]
    Newer {
        /// The file.
        path: PathBuf,
        /// The version that made it.
        version: String,
    },
    /// It does not hold what was put in.
    #[error("the backup {path} is damaged ({what}): use another one")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where, in a few words.
        what: String,
    },
    /// The facts of a file do not go into a server, nor back.
    #[error("this is a backup of {kind}: {remedy}")]
    OtherKind {
        /// What it is of.
        kind: &'static str,
        /// What to do.
        remedy: &'static str,
    },
    /// PostgreSQL's own program is not there.
    #[error(
        "{program} is not installed here, and only it can do this: install PostgreSQL's client \
         programs, in the version of the server or a newer one (Debian: `apt-get install \
         postgresql-client`)"
    )]
    NoProgram {
        /// Which.
        program: &'static str,
    },
    /// PostgreSQL's own program failed.
    #[error("{program} failed: {said}")]
    Program {
        /// Which.
        program: &'static str,
        /// What it said.
        said: String,
    },
    /// It was told to stop.
    #[error("stopped before it was done")]
    Stopped,
}

fn io_error(verb: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    move |reason| Error::Io {
        verb,
        path: path.to_owned(),
        reason,
    }
}

/// What a backup holds.
#[derive(Clone, Debug)]
pub struct Summary {
    /// Files, the database among them.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// The version of the tables.
    pub tables: i64,
    /// Milliseconds since the Unix epoch.
    pub made_at_ms: u64,
    /// What lies in the data directory and is not in the backup.
    pub left_out: Vec<String>,
}

/// Puts everything that the control plane at `place` cannot make again into `file`, whether it runs or
/// not. A file that is there is replaced when the new one is complete.
pub async fn back_up(place: &Place, file: &Path) -> Result<Summary, Error> {
    let (directory, database) = located(place)?;
    let directory = absolute(&directory)?;
    let folder = absolute(&folder_of(file)?)?;
    if folder.starts_with(&directory) {
        return Err(Error::Inside {
            path: file.to_owned(),
        });
    }
    let scratch = Scratch::beside(file)?;
    let before = data_files::read(&directory)?;
    let (kind, tables) = copy_facts(&database, &scratch.join(archive::DATABASE)).await?;
    // After the facts: what they speak of is then in the files, never the other way round. A file that a start
    // took over into the database meanwhile is taken as it was before: the copy of the facts may be older.
    let found = data_files::read(&directory)?.and_what_went(before);
    let mut parts = found.parts;
    parts.push(Part {
        name: kind.member().to_owned(),
        content: Content::File(scratch.join(archive::DATABASE)),
    });
    let manifest = Manifest::new(kind, tables, Clock::default().now_ms());
    let target = file.to_owned();
    let written = tokio::task::spawn_blocking(move || {
        let new = scratch.join("archive");
        let manifest = archive::write(&new, manifest, &parts)?;
        std::fs::rename(&new, &target).map_err(io_error("write", &target))?;
        sync_directory(&folder)?;
        drop(scratch);
        Ok::<_, Error>(manifest)
    });
    let manifest = written.await.map_err(|_| Error::Stopped)??;
    Ok(manifest.summary(found.left_out))
}

/// Copies the facts as they are at one moment into `to`; says the version of the tables.
async fn copy_facts(database: &Database, to: &Path) -> Result<(Kind, i64), Error> {
    data_files::create_private(to)?;
    match database {
        Database::File(from) => Ok((Kind::Sqlite, store::copy_file(from, to).await?)),
        Database::Postgres(url) => {
            let version = store::postgres_version(url).await?;
            let version = version.ok_or_else(|| store::OpenError::Missing {
                place: url.to_string(),
            })?;
            postgres::dump(url, to).await?;
            Ok((Kind::Postgresql, version))
        }
    }
}

/// A server does not start on half a restore.
pub(crate) fn refuse_unfinished(directory: &Path) -> Result<(), Error> {
    if directory.join(RESTORING).exists() {
        return Err(Error::Unfinished {
            path: directory.to_owned(),
        });
    }
    Ok(())
}

/// The directory in which `file` is or will be.
fn folder_of(file: &Path) -> Result<PathBuf, Error> {
    let no_name = || io_error("write", file)(io::ErrorKind::InvalidInput.into());
    file.file_name().ok_or_else(no_name)?;
    match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => Ok(parent.to_owned()),
        _ => Ok(PathBuf::from(".")),
    }
}

fn absolute(path: &Path) -> Result<PathBuf, Error> {
    path.canonicalize().map_err(io_error("find", path))
}

fn sync_directory(path: &Path) -> Result<(), Error> {
    let opened = std::fs::File::open(path);
    let synced = opened.and_then(|directory| directory.sync_all());
    synced.map_err(io_error("write", path))
}

/// A private directory on the file system of the file that is to be written; gone when it is dropped.
#[derive(Debug)]
struct Scratch(PathBuf);

impl Scratch {
    fn beside(file: &Path) -> Result<Self, Error> {
        use std::os::unix::fs::DirBuilderExt as _;
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let path = folder_of(file)?.join(format!(".{name}.{}.part", std::process::id()));
        let made = std::fs::DirBuilder::new().mode(0o700).create(&path);
        made.map_err(io_error("write", &path))?;
        Ok(Self(path))
    }

    fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests;
