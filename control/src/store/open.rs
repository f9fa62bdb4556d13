//! Opening the database file, or saying exactly why not.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use cmdop_service::private_file;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};

use super::Store;

static MIGRATIONS: Migrator = sqlx::migrate!();

/// A writer waits this long for another: `admin` beside `serve`, never a person.
const BUSY: Duration = Duration::from_secs(10);

/// Reads run side by side, writes one at a time: more connections would only wait.
const CONNECTIONS: u32 = 4;

/// What to do about the version of the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schema {
    /// Make them, or bring them up to date.
    Migrate,
    /// They must be there and up to date: another process may be serving.
    Expect,
}

/// Why the database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is none yet.
    #[error(
        "there is no control plane in {path} yet: start one with `cmdop-control serve`, \
         or name its directory with --data-dir"
    )]
    Missing {
        /// The database file.
        path: PathBuf,
    },
    /// Others may read the hashes in it.
    #[error(transparent)]
    Loose(private_file::Error),
    /// The file is damaged, or is not a database at all.
    #[error(
        "{path} is not a usable database ({reason}): restore it from a backup, or move it away \
         (with the files whose names begin with it) to start with an empty one"
    )]
    Corrupt {
        /// The database file.
        path: PathBuf,
        /// What SQLite said.
        reason: String,
    },
    /// A newer cmdop-control wrote it.
    #[error(
        "{path} was written by a newer cmdop-control (its tables have version {version}): \
         run that one, or restore a backup made before the upgrade"
    )]
    Newer {
        /// The database file.
        path: PathBuf,
        /// The version that this program does not know.
        version: i64,
    },
    /// An older cmdop-control wrote it, and this command may not change its tables.
    #[error(
        "{path} was written by an older cmdop-control: stop it and run `cmdop-control migrate`, \
         or restart it as this version"
    )]
    Older {
        /// The database file.
        path: PathBuf,
    },
    /// The system refused, or SQLite for another reason.
    #[error("cannot open the database {path}: {reason}")]
    Refused {
        /// The database file.
        path: PathBuf,
        /// What was said.
        reason: String,
    },
}

/// Opens the database at `path`.
pub async fn open(path: &Path, schema: Schema) -> Result<Store, Error> {
    prepare_file(path, schema)?;
    let options = SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(BUSY);
    let pool = SqlitePoolOptions::new()
        .max_connections(CONNECTIONS)
        .connect_with(options)
        .await
        .map_err(|error| explain(path, &error))?;
    check(path, &pool).await?;
    match schema {
        Schema::Migrate => migrate(path, &pool).await?,
        Schema::Expect => expect_current(path, &pool).await?,
    }
    Ok(Store::new(pool))
}

/// SQLite would make the file readable for all that umask lets in.
fn prepare_file(path: &Path, schema: Schema) -> Result<(), Error> {
    let refused = |reason: &io::Error| Error::Refused {
        path: path.to_owned(),
        reason: reason.to_string(),
    };
    match path.metadata() {
        Ok(metadata) if metadata.mode() & 0o077 != 0 => {
            Err(Error::Loose(private_file::Error::Loose {
                path: path.to_owned(),
                mode: metadata.mode() & 0o777,
            }))
        }
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound && schema == Schema::Expect => {
            Err(Error::Missing {
                path: path.to_owned(),
            })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map(drop)
            .map_err(|error| refused(&error)),
        Err(error) => Err(refused(&error)),
    }
}

/// Damage is better found now than under a login.
async fn check(path: &Path, pool: &SqlitePool) -> Result<(), Error> {
    let verdict: String = sqlx::query_scalar("PRAGMA quick_check(1)")
        .fetch_one(pool)
        .await
        .map_err(|error| explain(path, &error))?;
    if verdict == "ok" {
        return Ok(());
    }
    Err(Error::Corrupt {
        path: path.to_owned(),
        reason: verdict,
    })
}

async fn migrate(path: &Path, pool: &SqlitePool) -> Result<(), Error> {
    MIGRATIONS.run(pool).await.map_err(|error| match error {
        MigrateError::VersionMissing(version) => Error::Newer {
            path: path.to_owned(),
            version,
        },
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
            explain(path, &error)
        }
        other => Error::Refused {
            path: path.to_owned(),
            reason: other.to_string(),
        },
    })
}

async fn expect_current(path: &Path, pool: &SqlitePool) -> Result<(), Error> {
    let tables: i64 =
        sqlx::query_scalar("SELECT COUNT(*) FROM sqlite_master WHERE name = '_sqlx_migrations'")
            .fetch_one(pool)
            .await
            .map_err(|error| explain(path, &error))?;
    if tables == 0 {
        return Err(Error::Missing {
            path: path.to_owned(),
        });
    }
    let version: Option<i64> = sqlx::query_scalar("SELECT MAX(version) FROM _sqlx_migrations")
        .fetch_one(pool)
        .await
        .map_err(|error| explain(path, &error))?;
    let (found, known) = (version.unwrap_or(0), newest());
    if found > known {
        return Err(Error::Newer {
            path: path.to_owned(),
            version: found,
        });
    }
    if found < known {
        return Err(Error::Older {
            path: path.to_owned(),
        });
    }
    Ok(())
}

fn newest() -> i64 {
    MIGRATIONS
        .iter()
        .map(|step| step.version)
        .max()
        .unwrap_or(0)
}

/// SQLITE_CORRUPT is 11 and SQLITE_NOTADB is 26, in the low byte of the extended code.
fn explain(path: &Path, error: &sqlx::Error) -> Error {
    let code = error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code)
        .and_then(|code| code.parse::<u32>().ok());
    let path = path.to_owned();
    match code.map(|code| code & 0xff) {
        Some(11 | 26) => Error::Corrupt {
            path,
            reason: error.to_string(),
        },
        _ => Error::Refused {
            path,
            reason: error.to_string(),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn private(path: &Path) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }

    #[tokio::test]
    async fn a_new_database_is_private_and_opens_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("control.db");
        open(&path, Schema::Migrate).await.unwrap().close().await;
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o600);
        open(&path, Schema::Expect).await.unwrap();
    }

    #[tokio::test]
    async fn a_file_that_is_no_database_is_named_with_the_remedy() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("control.db");
        std::fs::write(&path, "this is not a database, by any measure".repeat(200)).unwrap();
        private(&path);
        let error = open(&path, Schema::Migrate).await.unwrap_err();
        assert!(matches!(error, Error::Corrupt { .. }), "{error}");
        let text = error.to_string();
        assert!(
            text.contains("control.db") && text.contains("backup"),
            "{text}"
        );
    }

    #[tokio::test]
    async fn damage_in_the_middle_is_found_when_it_opens() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("control.db");
        open(&path, Schema::Migrate).await.unwrap().close().await;
        let mut bytes = std::fs::read(&path).unwrap();
        let end = bytes.len();
        bytes[4096..end].fill(0xa5);
        std::fs::write(&path, bytes).unwrap();
        let error = open(&path, Schema::Migrate).await.unwrap_err();
        assert!(matches!(error, Error::Corrupt { .. }), "{error}");
    }

    #[tokio::test]
    async fn a_newer_database_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("control.db");
        let store = open(&path, Schema::Migrate).await.unwrap();
        sqlx::query(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
             VALUES (9999, 'future', TRUE, x'00', 0)",
        )
        .execute(&store.pool)
        .await
        .unwrap();
        store.close().await;
        for schema in [Schema::Migrate, Schema::Expect] {
            let error = open(&path, schema).await.unwrap_err();
            assert!(
                matches!(error, Error::Newer { version: 9999, .. }),
                "{error}"
            );
        }
    }

    #[tokio::test]
    async fn a_database_that_others_can_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("control.db");
        std::fs::write(&path, "").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let error = open(&path, Schema::Migrate).await.unwrap_err();
        assert!(error.to_string().contains("chmod 600"), "{error}");
    }

    #[tokio::test]
    async fn admin_without_a_control_plane_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let error = open(&dir.path().join("control.db"), Schema::Expect)
            .await
            .unwrap_err();
        assert!(matches!(error, Error::Missing { .. }), "{error}");
    }
}
