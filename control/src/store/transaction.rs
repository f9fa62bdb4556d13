//! Transactions, each with the reach that it was opened with. There is no other way to a table.
//!
//! On PostgreSQL the reach is told to the server in the same breath as the beginning, and row-level
//! security holds every statement to it: one that forgot its `WHERE` still finds the rows of one
//! workspace only. A transaction that writes holds a lock from its first statement on, as SQLite's
//! `BEGIN IMMEDIATE` does: one writer at a time for each workspace, and one for what belongs to none.

use cmdop_proto::WorkspaceId;
use sqlx::{AssertSqlSafe, PgPool, Postgres, Sqlite, SqlitePool};

use super::Error;
use crate::meters::Timer;

/// Which rows a transaction may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// Those of one workspace.
    One(WorkspaceId),
    /// All: for what belongs to no workspace, and for the few questions whose answer is the workspace.
    All,
}

impl Reach {
    /// The value of the setting that row-level security compares with: a UUID, or `*`. Nothing that a
    /// caller said is in it.
    fn setting(self) -> String {
        match self {
            Self::One(workspace) => workspace.to_string(),
            Self::All => "*".to_owned(),
        }
    }

    /// The key of the advisory lock that writers of this reach take.
    fn lock(self) -> i64 {
        match self {
            // UUIDs of version 7 end in random bits: two workspaces that share a key only wait for
            // each other.
            Self::One(workspace) => {
                let (_, low) = workspace.as_uuid().as_u64_pair();
                low as i64
            }
            Self::All => 0,
        }
    }
}

/// What a transaction is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// It sees one moment.
    Read,
    /// It is alone among the writers of its reach.
    Write,
}

/// The connections to the one database.
#[derive(Clone, Debug)]
pub(super) enum Pool {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

/// A transaction; dropped, it never was.
#[derive(Debug)]
pub(super) struct Transaction {
    pub(super) open: Open,
    /// Tells how long it took, when it is over.
    _timer: Timer,
}

/// The transaction of either database.
#[derive(Debug)]
pub(super) enum Open {
    Sqlite(sqlx::Transaction<'static, Sqlite>),
    Postgres(sqlx::Transaction<'static, Postgres>),
}

impl Pool {
    pub(super) async fn begin(
        &self,
        reach: Reach,
        purpose: Purpose,
        timer: Timer,
    ) -> Result<Transaction, Error> {
        let open = match self {
            Self::Sqlite(pool) => Open::Sqlite(match purpose {
                Purpose::Read => pool.begin().await?,
                Purpose::Write => pool.begin_with("BEGIN IMMEDIATE").await?,
            }),
            Self::Postgres(pool) => {
                let begin = postgres_begin(reach, purpose);
                Open::Postgres(pool.begin_with(AssertSqlSafe(begin)).await?)
            }
        };
        Ok(Transaction {
            open,
            _timer: timer,
        })
    }

    pub(super) async fn close(&self) {
        match self {
            Self::Sqlite(pool) => pool.close().await,
            Self::Postgres(pool) => pool.close().await,
        }
    }
}

/// All in one message: a round trip each would be felt.
fn postgres_begin(reach: Reach, purpose: Purpose) -> String {
    let setting = reach.setting();
    let reach_is_set = format!("SET LOCAL cmdop.workspace = '{setting}'");
    match purpose {
        Purpose::Read => {
            format!("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {reach_is_set}")
        }
        Purpose::Write => format!(
            "BEGIN ISOLATION LEVEL READ COMMITTED; {reach_is_set}; \
             SELECT pg_advisory_xact_lock({})",
            reach.lock()
        ),
    }
}

impl Transaction {
    /// When it is committed it is on the disk, however fast the server may forget by its settings. SQLite always syncs here.
    pub(super) async fn must_last(&mut self) -> Result<(), Error> {
        if let Open::Postgres(tx) = &mut self.open {
            sqlx::query("SET LOCAL synchronous_commit = on")
                .execute(&mut **tx)
                .await?;
        }
        Ok(())
    }

    pub(super) async fn commit(self) -> Result<(), Error> {
        match self.open {
            Open::Sqlite(tx) => tx.commit().await?,
            Open::Postgres(tx) => tx.commit().await?,
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
