//! What a transaction reaches, whatever the statement in it forgot.

use std::time::Duration;

use sqlx::AssertSqlSafe;

use crate::store::query::query;
use crate::store::scratch::{NOW, Scratch};
use crate::store::transaction::{Pool, Purpose, Reach, postgres_begin};
use crate::store::{Database, DatabaseUrl, OpenError, Schema, open};

/// Long before the server would end a transaction by itself.
const SOON: Duration = Duration::from_secs(8);

const ALL_ACCOUNTS: &str = "SELECT name FROM accounts ORDER BY name";

async fn with_a_neighbour() -> Scratch {
    let scratch = Scratch::postgres().await;
    let elsewhere = scratch.elsewhere().await;
    let role = cmdop_proto::token::Role::Owner;
    elsewhere.add_account("eve", role, NOW).await.unwrap();
    scratch
}

#[tokio::test]
async fn a_statement_without_a_condition_finds_the_rows_of_one_workspace() {
    let scratch = with_a_neighbour().await;
    let mut tx = scratch.here().read().await.unwrap();
    let found: Vec<String> = query(ALL_ACCOUNTS).fetch_all(&mut tx).await.unwrap();
    assert_eq!(found, ["ada"]);
    let workspaces: Vec<String> = query("SELECT name FROM workspaces")
        .fetch_all(&mut tx)
        .await
        .unwrap();
    assert_eq!(workspaces, ["default"]);
    let mut tx = scratch.store.read().await.unwrap();
    let found: Vec<String> = query(ALL_ACCOUNTS).fetch_all(&mut tx).await.unwrap();
    assert_eq!(found, ["ada", "eve"]);
}

#[tokio::test]
async fn a_statement_without_a_condition_changes_the_rows_of_one_workspace() {
    let scratch = with_a_neighbour().await;
    let mut tx = scratch.here().write().await.unwrap();
    let changed = query("UPDATE accounts SET role = 'guest'")
        .execute(&mut tx)
        .await;
    assert_eq!(changed.unwrap(), 1);
    let removed = query("DELETE FROM accounts").execute(&mut tx).await;
    assert_eq!(removed.unwrap(), 1);
    let elsewhere = cmdop_proto::WorkspaceId::new().to_string();
    let moved = query(
        "INSERT INTO accounts (id, workspace_id, name, name_key, role, created_at_ms) \
         VALUES ('x', $1, 'x', 'x', 'owner', 0)",
    )
    .bind(elsewhere)
    .execute(&mut tx)
    .await
    .unwrap_err();
    assert!(moved.to_string().contains("row-level security"), "{moved}");
}

#[tokio::test]
async fn a_connection_that_named_no_workspace_finds_nothing() {
    let scratch = with_a_neighbour().await;
    let Pool::Postgres(pool) = &scratch.store.pool else {
        panic!("not a PostgreSQL database");
    };
    let found: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM accounts")
        .fetch_one(pool)
        .await
        .unwrap();
    assert_eq!(found, 0);
}

#[tokio::test]
async fn every_table_with_a_workspace_is_guarded_and_the_workspaces_too() {
    let scratch = Scratch::postgres().await;
    let mut tx = scratch.store.read().await.unwrap();
    let tenants: Vec<String> = query(
        "SELECT DISTINCT table_name::text FROM information_schema.columns \
         WHERE column_name = 'workspace_id' AND table_schema = current_schema()",
    )
    .fetch_all(&mut tx)
    .await
    .unwrap();
    let guarded: Vec<String> = query(
        "SELECT p.tablename::text FROM pg_policies p JOIN pg_class c ON c.relname = p.tablename \
         WHERE c.relrowsecurity AND c.relforcerowsecurity",
    )
    .fetch_all(&mut tx)
    .await
    .unwrap();
    assert!(tenants.len() >= 7, "{tenants:?}");
    for table in tenants.iter().chain([&"workspaces".to_owned()]) {
        assert!(guarded.contains(table), "{table} is not guarded");
    }
    // And by what: a policy that lets everything through is one, too.
    let policies: Vec<(String, String, String, String)> = query(
        "SELECT tablename::text, cmd, COALESCE(qual, ''), COALESCE(with_check, '') FROM pg_policies \
         WHERE schemaname = current_schema()",
    )
    .fetch_all(&mut tx)
    .await
    .unwrap();
    for (table, command, seen, written) in policies {
        let own = if table == "workspaces" {
            "id"
        } else {
            "workspace_id"
        };
        let holds =
            |text: &str| text.contains("current_setting('cmdop.workspace'") && text.contains(own);
        let (reads, writes) = match command.as_str() {
            "ALL" | "UPDATE" => (true, true),
            "SELECT" | "DELETE" => (true, false),
            "INSERT" => (false, true),
            other => panic!("a policy for {other}"),
        };
        assert!(!reads || holds(&seen), "{table} for {command}: {seen}");
        assert!(
            !writes || holds(&written),
            "{table} for {command}: {written}"
        );
        assert!(table != "audit" || !matches!(&*command, "ALL" | "UPDATE"));
    }
}

#[tokio::test]
async fn one_writer_at_a_time_changes_a_workspace_and_others_do_not_wait_for_it() {
    let scratch = with_a_neighbour().await;
    let elsewhere = scratch.store.workspace(cmdop_proto::WorkspaceId::new());
    let first = scratch.here().write().await.unwrap();
    let order = std::cell::RefCell::new(Vec::new());
    let second = async {
        let second = scratch.here().write().await.unwrap();
        order.borrow_mut().push("second");
        second.commit().await.unwrap();
    };
    let others = async {
        for _ in 0..20 {
            elsewhere.write().await.unwrap();
            scratch.here().read().await.unwrap();
        }
        order.borrow_mut().push("first");
        first.commit().await.unwrap();
    };
    tokio::join!(second, others);
    assert_eq!(*order.borrow(), ["first", "second"]);
}

#[tokio::test]
async fn a_writer_that_is_given_up_while_it_waits_holds_up_nobody() {
    let scratch = with_a_neighbour().await;
    // More often than there are connections: none is left with a lock.
    for _ in 0..20 {
        let here = scratch.here();
        let first = here.write().await.unwrap();
        let waits = tokio::time::timeout(Duration::from_millis(20), here.write());
        assert!(waits.await.is_err(), "there is one writer at a time");
        first.commit().await.unwrap();
        let next = tokio::time::timeout(SOON, here.write()).await;
        next.expect("its turn comes")
            .unwrap()
            .commit()
            .await
            .unwrap();
    }
    let closed = tokio::time::timeout(SOON, scratch.store.close()).await;
    closed.expect("every connection was let go of");
}

#[tokio::test]
async fn a_writer_whose_turn_does_not_come_leaves_no_broken_connection() {
    let scratch = with_a_neighbour().await;
    let Pool::Postgres(pool) = &scratch.store.pool else {
        panic!("not a PostgreSQL database");
    };
    let held = scratch.here().write().await.unwrap();
    let begin = postgres_begin(Reach::One(scratch.workspace), Purpose::Write);
    let (begin, lock) = begin.split_once(';').unwrap();
    let impatient = format!("{begin}; SET LOCAL lock_timeout = '10ms';{lock}");
    for _ in 0..20 {
        let failed = pool.begin_with(AssertSqlSafe(impatient.clone())).await;
        assert!(failed.is_err(), "it does not wait");
    }
    held.commit().await.unwrap();
    for _ in 0..20 {
        let next = tokio::time::timeout(SOON, scratch.here().write()).await;
        next.expect("its turn comes")
            .unwrap()
            .commit()
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_role_that_row_level_security_does_not_bind_is_refused() {
    let database = crate::store::scratch::server::Database::new();
    let url = DatabaseUrl::parse(&database.url_as("postgres")).unwrap();
    for schema in [Schema::Migrate, Schema::Expect] {
        let error = open(&Database::Postgres(url.clone()), schema).await;
        let error = error.unwrap_err();
        assert!(matches!(error, OpenError::Privileged { .. }), "{error}");
    }
}

#[tokio::test]
async fn servers_that_migrate_at_once_do_it_one_after_the_other() {
    let database = crate::store::scratch::server::Database::new();
    let url = Database::Postgres(DatabaseUrl::parse(&database.url()).unwrap());
    let starts = std::iter::repeat_with(|| open(&url, Schema::Migrate)).take(4);
    for opened in futures_util::future::join_all(starts).await {
        opened.unwrap().close().await;
    }
}

#[test]
fn what_a_transaction_begins_with_holds_nothing_but_an_id() {
    let workspace = cmdop_proto::WorkspaceId::new();
    let begin = postgres_begin(Reach::One(workspace), Purpose::Read);
    assert!(
        begin.ends_with(&format!("cmdop.workspace = '{workspace}'")),
        "{begin}"
    );
}
