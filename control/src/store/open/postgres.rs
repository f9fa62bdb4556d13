//! A PostgreSQL server, whose row-level security keeps workspaces apart a second time.
//!
//! Nothing of that security is optional: a role that it does not bind is refused, and every table with
//! a column `workspace_id` is put under it before anything is served. A new table needs no line here.

use std::time::Duration;

use sqlx::migrate::Migrate as _;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::{AssertSqlSafe, Connection as _, Row as _};

use super::{DatabaseUrl, Error, Schema, check_version, not_migrated};
use crate::store::migrations::MIGRATIONS;
use crate::store::transaction::Pool;

/// Requests that are inside the database at once; the others wait for a connection.
const CONNECTIONS: u32 = 16;

/// How long to wait for one of them.
const PATIENCE: Duration = Duration::from_secs(10);

/// What no statement of ours takes, and no lock: whoever waits longer is told so.
const STATEMENT: &str = "15s";

/// A row is there for a transaction that reaches its workspace. A code that nobody approved yet belongs
/// to none. Without the setting nothing is there at all.
const POLICY: &str = "(workspace_id IS NULL OR \
    current_setting('cmdop.workspace', true) IN (workspace_id, '*'))";

/// The same for the table of the workspaces themselves.
const OWN_POLICY: &str = "(current_setting('cmdop.workspace', true) IN (id, '*'))";

/// Connects, and leaves no table of a tenant unguarded.
pub(super) async fn open(url: &DatabaseUrl, schema: Schema) -> Result<Pool, Error> {
    let options = (*url.options)
        .clone()
        .application_name("cmdop-control")
        .options([
            ("statement_timeout", STATEMENT),
            ("lock_timeout", STATEMENT),
            ("idle_in_transaction_session_timeout", STATEMENT),
        ]);
    if schema == Schema::Migrate {
        migrate(url, options.clone()).await?;
    }
    let pool = pool(url, options, CONNECTIONS).await?;
    must_be_bound(url, &pool).await?;
    check_version(&url.to_string(), version(url, &pool).await?)?;
    Ok(Pool::Postgres(pool))
}

async fn pool(url: &DatabaseUrl, options: PgConnectOptions, size: u32) -> Result<PgPool, Error> {
    PgPoolOptions::new()
        .max_connections(size)
        .acquire_timeout(PATIENCE)
        .after_release(|connection, _| Box::pin(is_outside(connection)))
        .connect_with(options)
        .await
        .map_err(|error| explain(url, &error))
}

/// Whether a connection that is let go of is in no transaction; one that is, ends, and its transaction with it.
///
/// sqlx 0.9 rolls back what has begun. What was given up while it began, by a caller who left or a server that stops, or
/// failed there because of a lock, it takes for nothing (launchbadge/sqlx#4393, #4409): the next who got the connection would
/// be inside, and until then everybody would wait for the lock that it holds. `ROLLBACK` to be sure would be a
/// warning in the server's log each time.
async fn is_outside(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    // Outside, the statement is the whole transaction. Not prepared, or it would begin before it is executed.
    let statement = sqlx::raw_sql("SELECT transaction_timestamp() = statement_timestamp()");
    statement.fetch_one(connection).await?.try_get(0)
}

/// Superusers, and roles that may, pass row-level security by.
async fn must_be_bound(url: &DatabaseUrl, pool: &PgPool) -> Result<(), Error> {
    let (role, is_free): (String, bool) = sqlx::query_as(
        "SELECT rolname::text, rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user",
    )
    .fetch_one(pool)
    .await
    .map_err(|error| explain(url, &error))?;
    if is_free {
        return Err(Error::Privileged {
            place: url.to_string(),
            role,
        });
    }
    Ok(())
}

/// Two servers that start at once do it one after the other: sqlx's lock holds for the tables, and is
/// taken again for the guard. What migrations do to rows, they do to those of all workspaces.
async fn migrate(url: &DatabaseUrl, options: PgConnectOptions) -> Result<(), Error> {
    let options = options.options([("cmdop.workspace", "*")]);
    let pool = pool(url, options, 1).await?;
    must_be_bound(url, &pool).await?;
    let place = url.to_string();
    let explain = |error: &sqlx::Error| explain(url, error);
    let not_done = |error| not_migrated(&place, error, explain);
    MIGRATIONS.run(&pool).await.map_err(not_done)?;
    let mut connection = pool.acquire().await.map_err(|error| explain(&error))?;
    connection.lock().await.map_err(not_done)?;
    let guarded = guard(&mut connection).await;
    connection.unlock().await.map_err(not_done)?;
    drop(connection);
    pool.close().await;
    guarded.map_err(|error| explain(&error))
}

/// Puts every tenant's table under row-level security, its owner included.
async fn guard(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let unguarded: Vec<String> = sqlx::query_scalar(
        "SELECT c.relname::text FROM pg_class c \
         WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r' \
         AND NOT c.relforcerowsecurity AND (c.relname = 'workspaces' OR EXISTS \
         (SELECT 1 FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'workspace_id'))",
    )
    .fetch_all(&mut *connection)
    .await?;
    let mut tx = connection.begin().await?;
    for table in unguarded {
        let policies = policies(&table);
        // The names are those of our own migrations.
        let statements = format!(
            "ALTER TABLE {table} ENABLE ROW LEVEL SECURITY; \
             ALTER TABLE {table} FORCE ROW LEVEL SECURITY; \
             {policies}"
        );
        sqlx::raw_sql(AssertSqlSafe(statements))
            .execute(&mut *tx)
            .await?;
    }
    let may_drop: bool = sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM pg_policies WHERE schemaname = current_schema() \
         AND tablename = 'audit' AND policyname = 'only_before_anchor')",
    )
    .fetch_one(&mut *tx)
    .await?;
    if !may_drop {
        let policy = format!(
            "CREATE POLICY only_before_anchor ON audit FOR DELETE USING ({POLICY} AND EXISTS \
             (SELECT 1 FROM audit_anchors AS anchor \
             WHERE anchor.workspace_id = audit.workspace_id AND audit.seq <= anchor.seq))"
        );
        sqlx::raw_sql(AssertSqlSafe(policy))
            .execute(&mut *tx)
            .await?;
    }
    tx.commit().await
}

/// What the rows of a table are held to. The audit log can be read and added to, by nobody changed; that what
/// is before an anchor can be dropped is added later.
fn policies(table: &str) -> String {
    match table {
        "audit" => format!(
            "CREATE POLICY one_workspace ON {table} FOR SELECT USING {POLICY}; \
             CREATE POLICY only_added_to ON {table} FOR INSERT WITH CHECK {POLICY}"
        ),
        "workspaces" => {
            format!(
                "CREATE POLICY one_workspace ON {table} USING {OWN_POLICY} WITH CHECK {OWN_POLICY}"
            )
        }
        _ => format!("CREATE POLICY one_workspace ON {table} USING {POLICY} WITH CHECK {POLICY}"),
    }
}

/// The version of its tables; nothing where there are none.
async fn version(url: &DatabaseUrl, pool: &PgPool) -> Result<Option<i64>, Error> {
    let there: bool = sqlx::query_scalar("SELECT to_regclass('_sqlx_migrations') IS NOT NULL")
        .fetch_one(pool)
        .await
        .map_err(|error| explain(url, &error))?;
    if !there {
        return Ok(None);
    }
    let version: Option<i64> = sqlx::query_scalar("SELECT MAX(version) FROM _sqlx_migrations")
        .fetch_one(pool)
        .await
        .map_err(|error| explain(url, &error))?;
    Ok(Some(version.unwrap_or(0)))
}

/// The same, over a connection for this alone.
pub(super) async fn version_at(url: &DatabaseUrl) -> Result<Option<i64>, Error> {
    let pool = pool(url, (*url.options).clone(), 1).await?;
    let version = version(url, &pool).await;
    pool.close().await;
    version
}

fn explain(url: &DatabaseUrl, error: &sqlx::Error) -> Error {
    Error::Refused {
        place: url.to_string(),
        reason: error.to_string(),
    }
}
