//! A restore: into nothing, whole, or not at all.
//!
//! The files lie in a directory of their own until each is proved; the database is put in its place
//! last. A server refuses to start while that directory is there.

use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use cmdop_service::data_dir::DataDir;

use super::archive::{self, Kind, Manifest};
use super::{Error, RESTORED, RESTORING, Summary, io_error, located, postgres, sync_directory};
use crate::args::Place;
use crate::store::{self, Database, DatabaseUrl};

/// Makes the control plane at `place` what it was when the backup `file` was taken. The data directory, and
/// the PostgreSQL database if one is named, must be empty.
pub async fn restore(place: &Place, file: &Path) -> Result<Summary, Error> {
    let (directory, database) = located(place)?;
    let manifest = archive::manifest(file)?;
    must_fit(&manifest, &database, file)?;
    let data = DataDir::open(&directory, "cmdop-control")?;
    must_be_empty(data.path())?;
    let staging = Staging::make(data.path())?;
    let (source, described, into) = (file.to_owned(), manifest.clone(), staging.path.clone());
    let unpacked = tokio::task::spawn_blocking(move || archive::unpack(&source, &described, &into));
    unpacked.await.map_err(|_| Error::Stopped)??;
    let facts = staging.path.join(manifest.database.member());
    match &database {
        Database::File(_) => {
            store::examine_file(&facts).await?;
        }
        Database::Postgres(url) => {
            load(url, &facts).await?;
            std::fs::remove_file(&facts).map_err(io_error("remove", &facts))?;
        }
    }
    staging.mark()?;
    staging.put_in_place(&manifest, data.path())?;
    Ok(manifest.summary(Vec::new()))
}

/// Whether this program, and the place, can take what the archive holds.
fn must_fit(manifest: &Manifest, database: &Database, file: &Path) -> Result<(), Error> {
    store::must_be_known(&file.display().to_string(), manifest.tables)?;
    match (manifest.database, database) {
        (Kind::Sqlite, Database::Postgres(_)) => Err(Error::OtherKind {
            kind: "a database in a file",
            remedy: "leave out --database",
        }),
        (Kind::Postgresql, Database::File(_)) => Err(Error::OtherKind {
            kind: "a PostgreSQL database",
            remedy: "name an empty one with --database",
        }),
        _ => Ok(()),
    }
}

fn must_be_empty(directory: &Path) -> Result<(), Error> {
    let entries = std::fs::read_dir(directory).map_err(io_error("read", directory))?;
    for entry in entries {
        let entry = entry.map_err(io_error("read", directory))?;
        let name = entry.file_name();
        if name == RESTORING {
            return super::refuse_unfinished(directory);
        }
        // Our own lock, and what every new file system has.
        if name != "cmdop-control.lock" && name != "lost+found" {
            return Err(Error::NotEmpty {
                place: directory.display().to_string(),
            });
        }
    }
    Ok(())
}

async fn load(url: &DatabaseUrl, facts: &Path) -> Result<(), Error> {
    if store::postgres_version(url).await?.is_some() {
        return Err(Error::NotEmpty {
            place: format!("the {url}"),
        });
    }
    postgres::load(url, facts).await
}

/// Where files lie until all of them are proved; gone when it is dropped.
#[derive(Debug)]
struct Staging {
    path: PathBuf,
}

impl Staging {
    fn make(directory: &Path) -> Result<Self, Error> {
        let path = directory.join(RESTORING);
        let made = std::fs::DirBuilder::new().mode(0o700).create(&path);
        made.map_err(io_error("write", &path))?;
        Ok(Self { path })
    }

    /// The first start on what was restored has something to do: see [`super::after_restore`].
    fn mark(&self) -> Result<(), Error> {
        let mark = self.path.join(RESTORED);
        std::fs::write(&mark, "").map_err(io_error("write", &mark))
    }

    /// The database last: until it is there, nothing was restored.
    fn put_in_place(self, manifest: &Manifest, directory: &Path) -> Result<(), Error> {
        let facts = manifest.database.member();
        let names = manifest.members.iter().map(|member| member.name.as_str());
        let names = names.filter(|name| *name != facts && *name != RESTORED);
        let mut names: Vec<&str> = std::iter::once(RESTORED).chain(names).collect();
        if manifest.database == Kind::Sqlite {
            names.push(facts);
        }
        let moved = names.iter().try_for_each(|name| {
            let to = directory.join(name);
            std::fs::rename(self.path.join(name), &to).map_err(io_error("write", &to))
        });
        if let Err(error) = moved.and_then(|()| sync_directory(directory)) {
            // Half of it is there: the mark that says so stays.
            std::mem::forget(self);
            return Err(error);
        }
        drop(self);
        sync_directory(directory)
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}
