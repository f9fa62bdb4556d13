//! Databases for tests: one of each kind, with a workspace and an account in it.

use cmdop_proto::token::Role;
use cmdop_proto::{AccountId, WorkspaceId};
use tempfile::TempDir;

use super::{Database, DatabaseUrl, Schema, Store, Workspace, open};

#[path = "../../tests/postgres/server.rs"]
pub(super) mod server;

pub(super) const NOW: u64 = 1_800_000_000_000;

/// A database of its own.
pub(super) struct Scratch {
    pub(super) store: Store,
    pub(super) workspace: WorkspaceId,
    pub(super) account: AccountId,
    /// What goes with it.
    _place: Place,
}

enum Place {
    File { _dir: TempDir },
    Postgres { _database: server::Database },
}

impl Scratch {
    /// A file and a database on a server: every promise of the store holds on both.
    pub(super) async fn each() -> [Self; 2] {
        [Self::sqlite().await, Self::postgres().await]
    }

    pub(super) async fn sqlite() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let database = Database::File(dir.path().join("control.db"));
        Self::in_place(&database, Place::File { _dir: dir }).await
    }

    pub(super) async fn postgres() -> Self {
        let database = server::Database::new();
        let url = DatabaseUrl::parse(&database.url()).unwrap();
        let place = Place::Postgres {
            _database: database,
        };
        Self::in_place(&Database::Postgres(url), place).await
    }

    async fn in_place(database: &Database, place: Place) -> Self {
        let store = open(database, Schema::Migrate).await.unwrap();
        let workspace = store.add_workspace("default", NOW).await.unwrap();
        let handle = store.workspace(workspace);
        let account = handle.add_account("ada", Role::Member, NOW).await.unwrap();
        Self {
            store,
            workspace,
            account,
            _place: place,
        }
    }

    pub(super) fn here(&self) -> Workspace<'_> {
        self.store.workspace(self.workspace)
    }

    /// A handle for another tenant.
    pub(super) async fn elsewhere(&self) -> Workspace<'_> {
        let other = self.store.add_workspace("other", NOW).await.unwrap();
        self.store.workspace(other)
    }
}
