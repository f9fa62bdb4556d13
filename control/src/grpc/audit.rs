//! `AuditService`: the chain of the caller's workspace, a page at a time or as it grows.

use std::collections::VecDeque;
use std::pin::Pin;
use std::time::Duration;

use cmdop_proto::v1::audit_service_server::AuditService;
use cmdop_proto::v1::{
    AuditFilter as Asked, AuditRecord, FollowAuditRequest, ListAuditRequest, ListAuditResponse,
};
use cmdop_proto::{Refusal, WorkspaceId};
use futures_util::Stream;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status};

use crate::permission::Action;
use crate::plane::Shared;
use crate::store::{AUDIT_PAGE, AuditFilter};

/// How often the chain is looked at for what another process wrote.
const LOOK: Duration = Duration::from_millis(500);

/// How often a follower's right to follow is checked again.
const CHECK: Duration = Duration::from_secs(10);

/// The service.
#[derive(Debug)]
pub(super) struct Audit(pub Shared);

type Records = Pin<Box<dyn Stream<Item = Result<AuditRecord, Status>> + Send>>;

#[tonic::async_trait]
impl AuditService for Audit {
    type FollowStream = Records;

    async fn list(
        &self,
        request: Request<ListAuditRequest>,
    ) -> Result<Response<ListAuditResponse>, Status> {
        let caller = self.0.caller(request.metadata(), Action::ReadAudit).await?;
        let asked = request.get_ref();
        let filter = filter(asked.filter.clone());
        let limit = match asked.limit {
            0 => AUDIT_PAGE,
            limit => limit.min(AUDIT_PAGE),
        };
        let workspace = &caller.workspace;
        // Before the records: what is added meanwhile is beyond the head, never missing.
        let (head_seq, head_hash) = workspace.audit_head().await.map_err(Refusal::from)?;
        let records = if asked.newest {
            workspace.newest_audit(&filter, limit).await
        } else {
            workspace.audit_after(&filter, asked.after_seq, limit).await
        };
        let records = records.map_err(Refusal::from)?;
        Ok(Response::new(ListAuditResponse {
            has_more: !asked.newest && records.len() == limit as usize,
            records,
            head_seq,
            head_hash,
            workspace_id: workspace.id().to_string(),
        }))
    }

    async fn follow(
        &self,
        request: Request<FollowAuditRequest>,
    ) -> Result<Response<Records>, Status> {
        let caller = self.0.caller(request.metadata(), Action::ReadAudit).await?;
        let follower = Follower {
            workspace: caller.workspace.id(),
            filter: filter(request.get_ref().filter.clone()),
            seen: request.get_ref().after_seq,
            ready: VecDeque::new(),
            committed: self.0.store.committed(),
            check_at: Instant::now() + CHECK,
            metadata: request.metadata().clone(),
            plane: self.0.clone(),
        };
        Ok(Response::new(Box::pin(futures_util::stream::unfold(
            Some(follower),
            |follower| async move {
                let mut follower = follower?;
                match follower.next().await {
                    Ok(record) => Some((Ok(record), Some(follower))),
                    Err(refusal) => Some((Err(refusal.into()), None)),
                }
            },
        ))))
    }
}

fn filter(asked: Option<Asked>) -> AuditFilter {
    let asked = asked.unwrap_or_default();
    AuditFilter {
        action: asked.action,
        actor: asked.actor,
        target: asked.target,
        outcome: asked.outcome,
        since_ms: asked.since_ms,
        until_ms: asked.until_ms,
    }
}

/// Somebody who reads along. Pulled by HTTP/2 flow control: nothing is queued beyond one page.
struct Follower {
    plane: Shared,
    workspace: WorkspaceId,
    filter: AuditFilter,
    /// The number of the newest record that is sent, in `ready`, or did not match.
    seen: u64,
    ready: VecDeque<AuditRecord>,
    committed: watch::Receiver<u64>,
    check_at: Instant,
    metadata: MetadataMap,
}

impl Follower {
    async fn next(&mut self) -> Result<AuditRecord, Refusal> {
        loop {
            if let Some(record) = self.ready.pop_front() {
                return Ok(record);
            }
            if Instant::now() >= self.check_at {
                self.plane.caller(&self.metadata, Action::ReadAudit).await?;
                self.check_at = Instant::now() + CHECK;
            }
            if !self.look().await? {
                self.wait().await?;
            }
        }
    }

    /// Takes over the next records, if there are any.
    async fn look(&mut self) -> Result<bool, Refusal> {
        self.committed.borrow_and_update();
        let workspace = self.plane.store.workspace(self.workspace);
        let (head, _) = workspace.audit_head().await?;
        if head <= self.seen {
            return Ok(false);
        }
        let records = workspace
            .audit_after(&self.filter, self.seen, AUDIT_PAGE)
            .await?;
        // A page that is not full has all that match up to the head, and perhaps beyond.
        self.seen = match records.last() {
            Some(last) if records.len() == AUDIT_PAGE as usize => last.seq,
            Some(last) => last.seq.max(head),
            None => head,
        };
        self.ready.extend(records);
        Ok(!self.ready.is_empty())
    }

    /// Until something was committed here, or it is time to look again.
    async fn wait(&mut self) -> Result<(), Refusal> {
        let until = Instant::now() + LOOK;
        // Cancel-safe: both only wait.
        tokio::select! {
            () = self.plane.stop.cancelled() => {
                Err(Refusal::unavailable("draining", "the control plane is stopping"))
            }
            _ = timeout_at(until, self.committed.changed()) => Ok(()),
        }
    }
}
