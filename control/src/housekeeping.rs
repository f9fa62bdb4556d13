//! Keeping house: what has expired is dropped, at the start and now and then while the control plane serves.

use std::time::Duration;

use crate::config::Keep;
use crate::lifetimes::AUDIT_TRIM;
use crate::plane::ControlPlane;
use crate::store::{self, Store};

/// How often.
const EVERY: Duration = Duration::from_secs(10 * 60);

/// For ever. Dropped anywhere, its transaction rolls back.
pub(crate) async fn keep_house(plane: &ControlPlane) {
    let mut ticks = tokio::time::interval(EVERY);
    loop {
        ticks.tick().await;
        plane.meters.settle();
        let now_ms = plane.clock.now_ms();
        drop_what_is_over(&plane.store, plane.keep, now_ms).await;
    }
}

/// Each by itself: what cannot be dropped keeps nothing else.
async fn drop_what_is_over(store: &Store, keep: Keep, now_ms: u64) {
    let ago = |age: Duration| now_ms.saturating_sub(age.as_millis() as u64);
    told("tokens, codes and logins", store.forget(now_ms).await);
    told("guesses", store.forget_guesses(now_ms).await);
    told("signing keys", store.forget_signing_keys(now_ms).await);
    told("sessions", store.forget_sessions(ago(keep.sessions)).await);
    let events = store.forget_events(now_ms.saturating_sub(store::KEPT_FOR_MS));
    told("events", events.await);
    if let Some(age) = keep.audit {
        let not_unless = ago(age.saturating_add(AUDIT_TRIM));
        let trimmed = store.trim_audit(ago(age), not_unless, now_ms);
        told("records of the audit log", trimmed.await);
    }
}

fn told(what: &str, dropped: Result<(), store::Error>) {
    if let Err(error) = dropped {
        tracing::error!(%error, what, "what is over could not be dropped");
    }
}

#[cfg(test)]
mod tests {
    use cmdop_proto::v1::{Report, Session, report};
    use cmdop_proto::{MachineId, RelayId, SessionId};

    use super::*;
    use crate::config;
    use crate::store::{AuditFilter, Event, Schema, SessionFilter, Workspace};

    const DAY: Duration = Duration::from_secs(86_400);
    const NOW: u64 = 1_800_000_000_000;

    fn after(days: u32) -> u64 {
        NOW + (DAY * days).as_millis() as u64
    }

    /// How many sessions and records of the audit log there are, and the number of the first.
    async fn left(workspace: &Workspace<'_>) -> (usize, usize, u64) {
        let filter = SessionFilter::default();
        let (sessions, _) = workspace.sessions(&filter, None, 0).await.unwrap();
        let filter = AuditFilter::default();
        let records = workspace.audit_after(&filter, 0, 500).await.unwrap();
        (sessions.len(), records.len(), records[0].seq)
    }

    #[tokio::test]
    async fn records_are_kept_for_as_long_as_the_configuration_says() {
        let dir = tempfile::tempdir().unwrap();
        let database = config::database(dir.path(), None);
        let store = store::open(&database, Schema::Migrate).await.unwrap();
        let id = store.add_workspace("default", NOW).await.unwrap();
        let workspace = store.workspace(id);
        let session = Session {
            id: SessionId::new().to_string(),
            machine_id: MachineId::new().to_string(),
            ended_at_ms: NOW,
            ..Session::default()
        };
        let report = Report {
            key: "one".into(),
            workspace_id: id.to_string(),
            at_ms: NOW,
            what: Some(report::What::Session(session)),
        };
        let kept = workspace.keep_reports(RelayId::new(), vec![report]);
        kept.await.unwrap();
        let event = Event::new("exec-started", "web-1");
        workspace.note(event, after(35)).await.unwrap();
        // For ever, but for sessions.
        let keep = Keep::default();
        drop_what_is_over(&store, keep, after(89)).await;
        assert_eq!(left(&workspace).await, (1, 2, 1));
        drop_what_is_over(&store, keep, after(91)).await;
        assert_eq!(left(&workspace).await, (0, 2, 1));
        // For a time: the first record goes, and the log says so.
        let keep = Keep {
            audit: Some(60 * DAY),
            ..keep
        };
        drop_what_is_over(&store, keep, after(91)).await;
        assert_eq!(left(&workspace).await, (0, 2, 2));
        store.close().await;
    }
}
