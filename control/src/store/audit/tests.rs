//! The chain as it is kept: whole, only added to, one for each workspace; and what it shows when somebody
//! with the database in hand changed it.

use cmdop_proto::audit::{Chain, Fault};
use cmdop_proto::v1::AuditRecord;

use super::*;
use crate::store::scratch::{NOW, Scratch};

const EVERYTHING: u32 = PAGE;

async fn records(workspace: &Workspace<'_>) -> Vec<AuditRecord> {
    let all = AuditFilter::default();
    workspace.audit_after(&all, 0, EVERYTHING).await.unwrap()
}

async fn verified(workspace: &Workspace<'_>) -> Result<u64, Fault> {
    let mut chain = Chain::new(workspace.id().to_string());
    for record in records(workspace).await {
        chain.take(&record)?;
    }
    let (seq, hash) = workspace.audit_head().await.unwrap();
    chain.ends_at(seq, &hash)?;
    Ok(chain.seq())
}

async fn with_events(count: u64) -> [Scratch; 2] {
    let each = Scratch::each().await;
    for scratch in &each {
        for n in 0..count {
            let event = Event::new("exec-started", format!("web-{n}")).detail("command", "uptime");
            scratch.here().note(event, NOW + n).await.unwrap();
        }
    }
    each
}

/// A statement of somebody who has the database itself and takes the guards away first.
async fn tamper(scratch: &Scratch, statement: &'static str) {
    let mut tx = scratch.store.write().await.unwrap();
    let guards: &[&'static str] = match &scratch.store.pool {
        crate::store::Pool::Sqlite(_) => &[
            "DROP TRIGGER audit_not_updated",
            "DROP TRIGGER audit_not_deleted",
        ],
        crate::store::Pool::Postgres(_) => &["ALTER TABLE audit NO FORCE ROW LEVEL SECURITY"],
    };
    for guard in guards {
        query(guard).execute(&mut tx).await.unwrap();
    }
    let changed = query(statement).execute(&mut tx).await.unwrap();
    assert!(changed > 0, "{statement}");
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn a_chain_that_nobody_touched_holds_to_its_end() {
    for scratch in with_events(5).await {
        let here = scratch.here();
        // The workspace and its first account are told of too.
        assert_eq!(verified(&here).await, Ok(7));
        let told = records(&here).await;
        assert_eq!(told[0].action, "workspace-created");
        assert_eq!(told[1].action, "member-added");
        assert_eq!(told[6].target, "web-4");
    }
}

#[tokio::test]
async fn the_log_is_added_to_and_by_no_statement_of_ours_changed() {
    for scratch in with_events(3).await {
        for statement in ["UPDATE audit SET target = 'x'", "DELETE FROM audit"] {
            let mut tx = scratch.here().write().await.unwrap();
            let changed = query(statement).execute(&mut tx).await;
            assert!(matches!(changed, Err(_) | Ok(0)), "{statement}");
        }
        assert_eq!(verified(&scratch.here()).await, Ok(5));
    }
}

#[tokio::test]
async fn the_first_altered_missing_or_reordered_record_is_found() {
    for (statement, fault) in [
        (
            "UPDATE audit SET target = 'other' WHERE seq IN (4, 5)",
            Fault::Altered { seq: 4 },
        ),
        (
            "UPDATE audit SET detail = '{}' WHERE seq = 6",
            Fault::Altered { seq: 6 },
        ),
        (
            "UPDATE audit SET at_ms = at_ms - 1 WHERE seq = 3",
            Fault::Altered { seq: 3 },
        ),
        (
            "DELETE FROM audit WHERE seq = 3",
            Fault::Missing { first: 3 },
        ),
        (
            "DELETE FROM audit WHERE seq = 1",
            Fault::Missing { first: 1 },
        ),
        (
            "DELETE FROM audit WHERE seq >= 6",
            Fault::Missing { first: 6 },
        ),
    ] {
        for scratch in with_events(5).await {
            tamper(&scratch, statement).await;
            let found = verified(&scratch.here()).await.unwrap_err();
            assert_eq!(found, fault, "{statement}");
        }
    }
}

#[tokio::test]
async fn two_records_that_changed_places_are_found() {
    for scratch in with_events(5).await {
        // The key allows no two of one number in between.
        tamper(
            &scratch,
            "UPDATE audit SET seq = CASE seq WHEN 4 THEN -5 ELSE -4 END WHERE seq IN (4, 5)",
        )
        .await;
        let mut tx = scratch.store.write().await.unwrap();
        query("UPDATE audit SET seq = -seq WHERE seq < 0")
            .execute(&mut tx)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        // Each has a number now that it was not hashed with.
        let found = verified(&scratch.here()).await.unwrap_err();
        assert_eq!(found, Fault::Altered { seq: 4 });
    }
}

#[tokio::test]
async fn what_is_reported_twice_is_kept_once() {
    for scratch in Scratch::each().await {
        let here = scratch.here();
        let actor = Actor::new("account", "a", "ada");
        let (before, _) = here.audit_head().await.unwrap();
        for _ in 0..3 {
            for key in ["k1", "k2"] {
                let mut tx = here.write().await.unwrap();
                let reported = Reported {
                    source: "relay-1",
                    key,
                };
                let event = Event::new("session-attached", key);
                here.append(&mut tx, &actor, event, NOW, Some(reported))
                    .await
                    .unwrap();
                tx.commit().await.unwrap();
            }
        }
        assert_eq!(verified(&here).await, Ok(before + 2));
    }
}

#[tokio::test]
async fn many_who_append_at_once_make_one_chain() {
    for scratch in Scratch::each().await {
        let here = scratch.here();
        let notes = (0..40).map(|n| here.note(Event::new("denied", n.to_string()), NOW));
        for noted in futures_util::future::join_all(notes).await {
            noted.unwrap();
        }
        assert_eq!(verified(&here).await, Ok(42));
    }
}

#[tokio::test]
async fn a_chain_tells_only_of_its_own_workspace() {
    for scratch in with_events(3).await {
        let elsewhere = scratch.elsewhere().await;
        assert_eq!(verified(&elsewhere).await, Ok(1));
        assert_eq!(records(&elsewhere).await[0].target, "other");
        assert_eq!(verified(&scratch.here()).await, Ok(5));
        assert_eq!(records(&scratch.store.nobody()).await, []);
    }
}

#[tokio::test]
async fn filters_match_exactly_and_together() {
    for scratch in with_events(6).await {
        let here = scratch.here();
        let found = async |filter: AuditFilter| -> Vec<String> {
            let found = here.audit_after(&filter, 0, EVERYTHING).await.unwrap();
            found.into_iter().map(|record| record.target).collect()
        };
        let action = AuditFilter {
            action: "exec-started".into(),
            ..AuditFilter::default()
        };
        assert_eq!(found(action.clone()).await.len(), 6);
        let between = AuditFilter {
            since_ms: NOW + 2,
            until_ms: NOW + 4,
            ..action.clone()
        };
        assert_eq!(found(between).await, ["web-2", "web-3"]);
        let hostile = AuditFilter {
            target: "' OR 1=1 --".into(),
            ..action.clone()
        };
        assert!(found(hostile).await.is_empty());
        let nobody = AuditFilter {
            actor: "eve".into(),
            ..action.clone()
        };
        assert!(found(nobody).await.is_empty());
        let newest = here.newest_audit(&action, 2).await.unwrap();
        let targets: Vec<_> = newest.iter().map(|record| record.target.as_str()).collect();
        assert_eq!(targets, ["web-4", "web-5"]);
    }
}

#[test]
fn what_would_be_too_much_is_cut() {
    let event = Event::new(&"a".repeat(500), "t".repeat(5000))
        .detail("command", "c".repeat(100_000))
        .detail("more", "m");
    assert!(event.action.len() <= 64 && event.target.len() <= MAX_WORD);
    let taken: usize = event.detail.iter().map(|(k, v)| k.len() + v.len()).sum();
    assert!(taken <= MAX_DETAIL, "{taken}");
    let hostile = Event::new("x", "a\x1b[2Jb");
    assert_eq!(hostile.target, "a[2Jb");
}
