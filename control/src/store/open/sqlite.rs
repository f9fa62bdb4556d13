//! One file, private to its user. `admin` may have it open beside the server.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::time::Duration;

use cmdop_service::private_file;
use sqlx::AssertSqlSafe;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};

use super::{Error, Schema, check_version, not_migrated};
use crate::store::migrations::MIGRATIONS;
use crate::store::transaction::Pool;

/// A writer waits this long for another: `admin` beside `serve`, never a person.
const BUSY: Duration = Duration::from_secs(10);

/// Reads run side by side, writes one at a time: more connections would only wait.
const CONNECTIONS: u32 = 4;

/// Opens the database at `path`.
pub(super) async fn open(path: &Path, schema: Schema) -> Result<Pool, Error> {
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
        // The data directory's lock keeps a second server, and `migrate`, away from the file.
        Schema::Migrate => {
            let migrated = MIGRATIONS.run(&pool).await;
            migrated
                .map_err(|error| not_migrated(&shown(path), error, |error| explain(path, error)))?;
            guard(&pool).await.map_err(|error| explain(path, &error))?;
        }
        Schema::Expect => check_version(&shown(path), version(path, &pool).await?)?,
    }
    Ok(Pool::Sqlite(pool))
}

/// The audit log can be read and added to, by no statement changed; only what is before a chain's anchor can
/// be dropped. (PostgreSQL has policies for that.)
async fn guard(pool: &SqlitePool) -> Result<(), sqlx::Error> {
    let before_anchor = "WHEN NOT EXISTS (SELECT 1 FROM audit_anchors AS anchor \
                         WHERE anchor.workspace_id = OLD.workspace_id AND OLD.seq <= anchor.seq)";
    for (name, change, when) in [
        ("audit_not_updated", "UPDATE", ""),
        ("audit_not_deleted", "DELETE", before_anchor),
    ] {
        let trigger = format!(
            "DROP TRIGGER IF EXISTS {name}; CREATE TRIGGER {name} BEFORE {change} ON audit {when} \
             BEGIN SELECT RAISE(ABORT, 'the audit log is only added to'); END"
        );
        sqlx::raw_sql(AssertSqlSafe(trigger)).execute(pool).await?;
    }
    Ok(())
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// SQLite would make the file readable for all that umask lets in.
fn prepare_file(path: &Path, schema: Schema) -> Result<(), Error> {
    let refused = |reason: &io::Error| Error::Refused {
        place: shown(path),
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
            Err(Error::Missing { place: shown(path) })
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
        place: shown(path),
        reason: verdict,
    })
}

/// The version of its tables; nothing where there are none.
async fn version(path: &Path, pool: &SqlitePool) -> Result<Option<i64>, Error> {
    let number = async |sql: &'static str| -> Result<Option<i64>, Error> {
        let found = sqlx::query_scalar(sql).fetch_one(pool).await;
        found.map_err(|error| explain(path, &error))
    };
    let tables = "SELECT COUNT(*) FROM sqlite_master WHERE name = '_sqlx_migrations'";
    if number(tables).await? == Some(0) {
        return Ok(None);
    }
    let newest = number("SELECT MAX(version) FROM _sqlx_migrations").await?;
    Ok(Some(newest.unwrap_or(0)))
}

/// A connection that makes and changes nothing of its own accord.
async fn look_at(path: &Path) -> Result<SqlitePool, Error> {
    prepare_file(path, Schema::Expect)?;
    let options = SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(BUSY);
    let pool = SqlitePoolOptions::new().max_connections(1);
    let opened = pool.connect_with(options).await;
    opened.map_err(|error| explain(path, &error))
}

/// Copies the database at `from` into the empty file `to`: it sees one moment, and nobody waits for it.
pub(super) async fn copy(from: &Path, to: &Path) -> Result<i64, Error> {
    let pool = look_at(from).await?;
    let target = to.to_str().ok_or_else(|| Error::Refused {
        place: shown(to),
        reason: "SQLite takes no path that is not UTF-8".into(),
    })?;
    let copied = sqlx::query("VACUUM INTO $1").bind(target).execute(&pool);
    let copied = copied.await.map_err(|error| explain(from, &error));
    pool.close().await;
    copied?;
    examine(to).await
}

/// Looks for damage; says the version of its tables.
pub(super) async fn examine(path: &Path) -> Result<i64, Error> {
    let pool = look_at(path).await?;
    check(path, &pool).await?;
    let version = version(path, &pool).await?;
    pool.close().await;
    version.ok_or_else(|| Error::Missing { place: shown(path) })
}

/// SQLITE_CORRUPT is 11 and SQLITE_NOTADB is 26, in the low byte of the extended code.
fn explain(path: &Path, error: &sqlx::Error) -> Error {
    let code = error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code)
        .and_then(|code| code.parse::<u32>().ok());
    let (place, reason) = (shown(path), error.to_string());
    match code.map(|code| code & 0xff) {
        Some(11 | 26) => Error::Corrupt { place, reason },
        _ => Error::Refused { place, reason },
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::store::{Store, query::query};

    async fn open(path: &Path, schema: Schema) -> Result<Store, Error> {
        Ok(Store::new(super::open(path, schema).await?))
    }

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
        let mut tx = store.write().await.unwrap();
        query(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
             VALUES (9999, 'future', TRUE, x'00', 0)",
        )
        .execute(&mut tx)
        .await
        .unwrap();
        tx.commit().await.unwrap();
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
