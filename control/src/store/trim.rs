//! The audit log grows old: the beginning of a chain is dropped when its time is over, and the chain says so.
//!
//! First the anchor is set, together with a record in the chain that names its number and hash; from then on nobody
//! is shown what is before it. What is before it is deleted after that, a piece at a time, so that no
//! writer waits. The database itself refuses to delete anything else.

use cmdop_proto::WorkspaceId;
use cmdop_proto::audit::TRIMMED;

use super::audit::Event;
use super::query::query;
use super::{Error, Store, Workspace, id};

/// Records that are deleted in one transaction.
const PIECE: i64 = 5_000;

impl Store {
    /// Drops the records of all chains that are older than `before_ms`; those of a chain only when its first is older
    /// than `not_unless_ms`, so that a log which grows all the time is not trimmed all the time.
    pub async fn trim_audit(
        &self,
        before_ms: u64,
        not_unless_ms: u64,
        now_ms: u64,
    ) -> Result<(), Error> {
        let chains: Vec<String> =
            query("SELECT workspace_id FROM audit_heads ORDER BY workspace_id")
                .fetch_all(&mut self.read().await?)
                .await?;
        for chain in chains {
            let workspace = self.workspace(id::<WorkspaceId>(&chain)?);
            let ages = (before_ms.min(not_unless_ms), before_ms);
            workspace.set_anchor(ages, now_ms).await?;
            workspace.delete_before_anchor().await?;
        }
        Ok(())
    }
}

impl Workspace<'_> {
    /// Moves the anchor up to the last record before the first that is young enough.
    async fn set_anchor(
        &self,
        (not_unless_ms, before_ms): (u64, u64),
        now_ms: u64,
    ) -> Result<(), Error> {
        let mut tx = self.write().await?;
        let workspace = self.id().to_string();
        let anchor: Option<i64> = query("SELECT seq FROM audit_anchors WHERE workspace_id = $1")
            .bind(&workspace)
            .fetch_optional(&mut tx)
            .await?;
        let anchor = anchor.unwrap_or(0);
        // Relays tell of things a moment late, with the time at which they were: what is younger than
        // its neighbours keeps all that follow.
        let last: Option<(i64, String)> = query(
            "SELECT seq, hash FROM audit WHERE workspace_id = $1 AND seq < COALESCE((SELECT MIN(seq) \
             FROM audit WHERE workspace_id = $1 AND seq > $2 AND at_ms >= $3), $4) \
             ORDER BY seq DESC LIMIT 1",
        )
        .bind(&workspace)
        .bind(anchor)
        .bind(before_ms.min(i64::MAX as u64) as i64)
        .bind(i64::MAX)
        .fetch_optional(&mut tx)
        .await?;
        let Some((seq, hash)) = last.filter(|(seq, _)| *seq > anchor) else {
            return Ok(());
        };
        // A chain of which nothing is old but that it was trimmed is left alone.
        let due: i64 = query(
            "SELECT COUNT(*) FROM audit WHERE workspace_id = $1 AND seq > $2 AND seq <= $3 \
             AND at_ms < $4 AND action <> $5",
        )
        .bind(&workspace)
        .bind(anchor)
        .bind(seq)
        .bind(not_unless_ms.min(i64::MAX as u64) as i64)
        .bind(TRIMMED)
        .fetch_one(&mut tx)
        .await?;
        if due == 0 {
            return Ok(());
        }
        query(
            "INSERT INTO audit_anchors (workspace_id, seq, hash) VALUES ($1, $2, $3) \
             ON CONFLICT (workspace_id) DO UPDATE SET seq = excluded.seq, hash = excluded.hash",
        )
        .bind(&workspace)
        .bind(seq)
        .bind(&hash)
        .execute(&mut tx)
        .await?;
        let event = Event::new(TRIMMED, "")
            .detail("through", seq.to_string())
            .detail("hash", &hash)
            .detail("records", (seq - anchor).to_string());
        self.record(&mut tx, event, now_ms).await?;
        self.store.commit(tx).await
    }

    async fn delete_before_anchor(&self) -> Result<(), Error> {
        loop {
            let mut tx = self.write().await?;
            let deleted = query(
                "DELETE FROM audit WHERE workspace_id = $1 AND seq <= (SELECT seq FROM audit_anchors \
                 WHERE workspace_id = $1) AND seq < $2 + (SELECT MIN(seq) FROM audit \
                 WHERE workspace_id = $1)",
            )
            .bind(self.id().to_string())
            .bind(PIECE)
            .execute(&mut tx)
            .await?;
            tx.commit().await?;
            if deleted == 0 {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use cmdop_proto::audit::{Chain, Fault};
    use cmdop_proto::v1::AuditRecord;

    use super::*;
    use crate::store::AuditFilter;
    use crate::store::scratch::{NOW, Scratch};

    const DAY: u64 = 24 * 3_600_000;

    async fn shown(workspace: &Workspace<'_>) -> Vec<AuditRecord> {
        let all = AuditFilter::default();
        workspace.audit_after(&all, 0, 500).await.unwrap()
    }

    async fn verified(workspace: &Workspace<'_>) -> Result<u64, Fault> {
        let mut chain = Chain::new(workspace.id().to_string());
        for record in shown(workspace).await {
            chain.take(&record)?;
        }
        let (seq, hash) = workspace.audit_head().await.unwrap();
        chain.ends_at(seq, &hash)?;
        Ok(chain.held())
    }

    async fn rows(workspace: &Workspace<'_>) -> i64 {
        query("SELECT COUNT(*) FROM audit WHERE workspace_id = $1")
            .bind(workspace.id().to_string())
            .fetch_one(&mut workspace.read().await.unwrap())
            .await
            .unwrap()
    }

    /// A record on each of ten days, after the two with which the workspace began.
    async fn ten_days() -> [Scratch; 2] {
        let each = Scratch::each().await;
        for scratch in &each {
            for day in 1..=10 {
                let event = Event::new("exec-started", format!("day-{day}"));
                scratch.here().note(event, NOW + day * DAY).await.unwrap();
            }
        }
        each
    }

    #[tokio::test]
    async fn what_is_too_old_goes_and_the_rest_of_the_chain_still_holds() {
        for scratch in ten_days().await {
            let now = NOW + 10 * DAY + 1;
            let before = now - 4 * DAY;
            scratch
                .store
                .trim_audit(before, before - DAY, now)
                .await
                .unwrap();
            let here = scratch.here();
            let left = shown(&here).await;
            assert_eq!(left[0].target, "day-7");
            assert_eq!(left.last().unwrap().action, TRIMMED);
            assert_eq!(left.last().unwrap().detail["records"], "8");
            assert_eq!(verified(&here).await, Ok(5));
            assert_eq!(rows(&here).await, 5);
            // It goes on, and nothing more is dropped before another day is over.
            here.note(Event::new("exec-started", "later"), now)
                .await
                .unwrap();
            scratch
                .store
                .trim_audit(before + 1, before + 1 - DAY, now)
                .await
                .unwrap();
            assert_eq!(verified(&here).await, Ok(6));
            let later = now + 2 * DAY;
            let before = later - 4 * DAY;
            scratch
                .store
                .trim_audit(before, before - DAY, later)
                .await
                .unwrap();
            assert_eq!(shown(&here).await[0].target, "day-9");
            assert_eq!(verified(&here).await, Ok(5));
        }
    }

    #[tokio::test]
    async fn a_chain_of_which_all_is_old_keeps_that_it_was_trimmed_and_is_left_alone() {
        for scratch in ten_days().await {
            let here = scratch.here();
            let mut now = NOW + 100 * DAY;
            for _ in 0..3 {
                scratch
                    .store
                    .trim_audit(now - DAY, now - 2 * DAY, now)
                    .await
                    .unwrap();
                let left = shown(&here).await;
                assert_eq!((left.len(), left[0].action.as_str()), (1, TRIMMED));
                assert_eq!(left[0].seq, 13);
                assert_eq!(verified(&here).await, Ok(1));
                now += 100 * DAY;
            }
        }
    }

    #[tokio::test]
    async fn a_beginning_that_was_dropped_by_hand_is_found_out() {
        for scratch in ten_days().await {
            // The anchor is moved, so that the database lets it happen; the chain has no record of it.
            let here = scratch.here();
            let forged = "INSERT INTO audit_anchors (workspace_id, seq, hash) \
                          SELECT workspace_id, seq, hash FROM audit WHERE workspace_id = $1 AND seq = 6";
            let mut tx = here.write().await.unwrap();
            let id = here.id().to_string();
            query(forged).bind(&id).execute(&mut tx).await.unwrap();
            let after = query("DELETE FROM audit WHERE workspace_id = $1 AND seq = 7").bind(&id);
            let refused = after.execute(&mut tx).await;
            assert!(matches!(refused, Err(_) | Ok(0)), "{refused:?}");
            drop(tx);
            let mut tx = here.write().await.unwrap();
            query(forged).bind(&id).execute(&mut tx).await.unwrap();
            tx.commit().await.unwrap();
            here.delete_before_anchor().await.unwrap();
            assert_eq!(verified(&here).await, Err(Fault::Missing { first: 1 }));
        }
    }
}
