//! Opening the database, or saying exactly why not. Which one it is, is decided here and forgotten above.

mod postgres;
mod sqlite;

use std::path::PathBuf;

use cmdop_service::private_file;
use sqlx::migrate::{MigrateError, Migrator};

use super::Store;

/// The tables, in SQL that both databases read.
static MIGRATIONS: Migrator = sqlx::migrate!();

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

/// `postgres://user@host/database`. It may hold a password: it is shown without.
#[derive(Clone)]
pub struct DatabaseUrl {
    options: Box<sqlx::postgres::PgConnectOptions>,
    shown: String,
}

impl DatabaseUrl {
    /// Reads it.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let options: sqlx::postgres::PgConnectOptions = match text.split_once("://") {
            Some(("postgres" | "postgresql", _)) => text.parse().map_err(|_| Error::Url)?,
            _ => return Err(Error::Url),
        };
        let at = options.get_socket().map_or_else(
            || format!("{}:{}", options.get_host(), options.get_port()),
            |directory| directory.display().to_string(),
        );
        let name = options.get_database().unwrap_or(options.get_username());
        Ok(Self {
            shown: cmdop_proto::text::shown(&format!("PostgreSQL database {name} at {at}"), 256),
            options: Box::new(options),
        })
    }
}

impl std::fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.shown)
    }
}

impl std::fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.shown)
    }
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
