//! Opening the database, or saying exactly why not. Which one it is, is decided here and forgotten above.

mod postgres;
mod sqlite;
mod url;

use std::path::{Path, PathBuf};

use cmdop_service::private_file;
use sqlx::migrate::MigrateError;

pub use url::DatabaseUrl;

use super::Store;
use super::migrations::MIGRATIONS;

/// What to do about the version of the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schema {
    /// Make them, or bring them up to date.
    Migrate,
    /// They must be there and up to date: another process may be serving.
    Expect,
}

/// Where the facts are kept.
#[derive(Clone, Debug)]
pub enum Database {
    /// In a file of this machine.
    File(PathBuf),
    /// In a PostgreSQL server, where several control planes can share it.
    Postgres(DatabaseUrl),
}

/// Why the database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is none yet.
    #[error(
        "there is no control plane in {place} yet: start one with `cmdop-control serve`, \
         or name its directory with --data-dir, its database with --database"
    )]
    Missing {
        /// The database.
        place: String,
    },
    /// Others may read the hashes in it.
    #[error(transparent)]
    Loose(private_file::Error),
    /// The file is damaged, or is not a database at all.
    #[error(
        "{place} is not a usable database ({reason}): restore it from a backup, or move it away \
         (with the files whose names begin with it) to start with an empty one"
    )]
    Corrupt {
        /// The database file.
        place: String,
        /// What SQLite said.
        reason: String,
    },
    /// A newer cmdop-control wrote it.
    #[error(
        "{place} was written by a newer cmdop-control (its tables have version {version}): \
         run that one, or restore a backup made before the upgrade"
    )]
    Newer {
        /// The database.
        place: String,
        /// The version that this program does not know.
        version: i64,
    },
    /// An older cmdop-control wrote it, and this command may not change its tables.
    #[error(
        "{place} was written by an older cmdop-control: stop it and run `cmdop-control migrate`, \
         or restart it as this version"
    )]
    Older {
        /// The database.
        place: String,
    },
    /// The text is no URL of a database.
    #[error(
        "this is not the URL of a database: it has the form \
         postgres://user:password@host:port/database"
    )]
    Url,
    /// The server would not hold this role to the row-level security that keeps workspaces apart.
    #[error(
        "the role {role} of the {place} passes row-level security by: use one that does not, made \
         with `CREATE ROLE cmdop LOGIN NOSUPERUSER NOBYPASSRLS PASSWORD '…'` and `CREATE DATABASE \
         cmdop OWNER cmdop`"
    )]
    Privileged {
        /// The database.
        place: String,
        /// The role.
        role: String,
    },
    /// The system refused, or the database for another reason.
    #[error("cannot open the database {place}: {reason}")]
    Refused {
        /// The database.
        place: String,
        /// What was said.
        reason: String,
    },
}

/// Opens it.
pub async fn open(database: &Database, schema: Schema) -> Result<Store, Error> {
    let pool = match database {
        Database::File(path) => sqlite::open(path, schema).await?,
        Database::Postgres(url) => postgres::open(url, schema).await?,
    };
    Ok(Store::new(pool))
}

/// Copies the database file `from`, as it is at one moment and while others use it, into the empty file `to`.
/// Says which version its tables have.
pub(crate) async fn copy_file(from: &Path, to: &Path) -> Result<i64, Error> {
    sqlite::copy(from, to).await
}

/// Looks for damage in the database file at `path`, and says which version its tables have.
pub(crate) async fn examine_file(path: &Path) -> Result<i64, Error> {
    sqlite::examine(path).await
}

/// Which version the tables of a PostgreSQL database have; nothing where there are none at all.
pub(crate) async fn postgres_version(url: &DatabaseUrl) -> Result<Option<i64>, Error> {
    postgres::version_at(url).await
}

/// Whether this program can work with tables of that version, after a migration perhaps.
pub(crate) fn must_be_known(place: &str, version: i64) -> Result<(), Error> {
    match check_version(place, Some(version)) {
        Err(Error::Older { .. }) => Ok(()),
        checked => checked,
    }
}

/// What a migration that did not happen means.
fn not_migrated(
    place: &str,
    error: MigrateError,
    explain: impl Fn(&sqlx::Error) -> Error,
) -> Error {
    match error {
        MigrateError::VersionMissing(version) => Error::Newer {
            place: place.to_owned(),
            version,
        },
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => explain(&error),
        other => Error::Refused {
            place: place.to_owned(),
            reason: other.to_string(),
        },
    }
}

/// Whether tables of the version `found` are what this program works with.
fn check_version(place: &str, found: Option<i64>) -> Result<(), Error> {
    let place = place.to_owned();
    let known = MIGRATIONS.iter().map(|step| step.version).max();
    let known = known.unwrap_or(0);
    match found {
        None => Err(Error::Missing { place }),
        Some(version) if version > known => Err(Error::Newer { place, version }),
        Some(version) if version < known => Err(Error::Older { place }),
        Some(_) => Ok(()),
    }
}
