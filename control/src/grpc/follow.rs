//! `RelayService`: what a relay must know to decide offline, a snapshot, then each change; and what it saw.
//!
//! Changes of this process wake the stream at once. Those that `admin` makes in another process are
//! found by looking at one number in the database, only while a relay follows.

use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use cmdop_proto::v1::control_event::Event;
use cmdop_proto::v1::relay_service_server::RelayService;
use cmdop_proto::v1::{
    ControlEvent, FollowRequest, ProgressRequest, ProgressResponse, ReportRequest, ReportResponse,
    Revocation,
};
use cmdop_proto::{Refusal, RelayId, WorkspaceId, v1};
use futures_util::Stream;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};
use tonic::{Request, Response, Status};

use super::machines::on_the_wire;
use crate::plane::{ControlPlane, Shared};
use crate::signer::Keys;
use crate::store::{self, Change, Claim};

/// How often the number is looked at: half of the second in which a relay is to hear.
const LOOK: Duration = Duration::from_millis(500);

/// A relay hears something at least this often.
const KEEPALIVE: Duration = Duration::from_secs(20);

/// The service.
#[derive(Debug)]
pub(super) struct Relays(pub Shared);

type Events = Pin<Box<dyn Stream<Item = Result<ControlEvent, Status>> + Send>>;

#[tonic::async_trait]
impl RelayService for Relays {
    type FollowStream = Events;

    async fn report(
        &self,
        request: Request<ReportRequest>,
    ) -> Result<Response<ReportResponse>, Status> {
        let relay = self.0.calling_relay(request.metadata()).await?;
        keep(&self.0, relay, request.into_inner().reports).await?;
        Ok(Response::new(ReportResponse {}))
    }

    async fn progress(
        &self,
        request: Request<ProgressRequest>,
    ) -> Result<Response<ProgressResponse>, Status> {
        let relay = self.0.calling_relay(request.metadata()).await?;
        let reports = request.into_inner().reports;
        let now_ms = self.0.clock.now_ms();
        for (workspace, reports) in by_workspace(relay, reports, MAX_PROGRESS)? {
            let workspace = self.0.store.workspace(workspace);
            workspace
                .keep_progress(relay, reports, now_ms)
                .await
                .map_err(Refusal::from)?;
        }
        Ok(Response::new(ProgressResponse {}))
    }

    async fn follow(&self, request: Request<FollowRequest>) -> Result<Response<Events>, Status> {
        let relay = self.0.calling_relay(request.metadata()).await?;
        let named = &request.get_ref().relay_id;
        if !named.is_empty() && *named != relay.to_string() {
            let other = "the token belongs to another relay than the request names";
            return Err(Refusal::denied("wrong-bearer", other).into());
        }
        let follower = Follower::start(self.0.clone(), relay)
            .await
            .map_err(Refusal::from)?;
        tracing::info!(%relay, "a relay follows");
        // Pulled by HTTP/2 flow control: a slow relay holds up only itself, and nothing is queued
        // for it beyond one batch of changes.
        Ok(Response::new(Box::pin(futures_util::stream::unfold(
            Some(follower),
            |follower| async move {
                let mut follower = follower?;
                match follower.next().await {
                    Ok(event) => Some((Ok(ControlEvent { event: Some(event) }), Some(follower))),
                    Err(refusal) => Some((Err(refusal.into()), None)),
                }
            },
        ))))
    }
}

/// Reports in one request.
const MAX_REPORTS: usize = 500;

/// Transfers in one request.
const MAX_PROGRESS: usize = 256;

/// Keeps each report in the workspace that it names, in the order in which they are told.
async fn keep(
    plane: &ControlPlane,
    relay: RelayId,
    reports: Vec<v1::Report>,
) -> Result<(), Refusal> {
    for (workspace, reports) in by_workspace(relay, reports, MAX_REPORTS)? {
        let workspace = plane.store.workspace(workspace);
        workspace.keep_reports(relay, reports).await?;
    }
    Ok(())
}

/// The reports by the workspace that they name; refused if there are more than `most`.
fn by_workspace(
    relay: RelayId,
    reports: Vec<v1::Report>,
    most: usize,
) -> Result<BTreeMap<WorkspaceId, Vec<v1::Report>>, Refusal> {
    if reports.len() > most {
        let many = format!("more than {most} reports in one request");
        return Err(Refusal::invalid("bad-request", many));
    }
    let mut by_workspace: BTreeMap<WorkspaceId, Vec<v1::Report>> = BTreeMap::new();
    for report in reports {
        match report.workspace_id.parse() {
            Ok(workspace) => by_workspace.entry(workspace).or_default().push(report),
            Err(_) => tracing::warn!(%relay, "a report of no workspace"),
        }
    }
    Ok(by_workspace)
}

struct Follower {
    plane: Shared,
    relay: RelayId,
    committed: watch::Receiver<u64>,
    keys: watch::Receiver<Arc<Keys>>,
    /// The number of the newest change that is sent or in `ready`.
    seen: u64,
    ready: VecDeque<Event>,
    quiet_until: Instant,
}

impl Follower {
    async fn start(plane: Shared, relay: RelayId) -> Result<Self, store::Error> {
        // Before the snapshot, so that no commit falls between the two.
        let committed = plane.store.committed();
        let mut keys = plane.signer.changes();
        let jwks = keys.borrow_and_update().jwks().to_owned();
        let snapshot = plane.store.snapshot(plane.clock.now_ms()).await?;
        let machines = snapshot.machines.into_iter();
        let revocations = snapshot.revocations.into_iter();
        let ready = std::iter::once(Event::JwksJson(jwks))
            .chain(machines.map(|machine| Event::Machine(on_the_wire(machine))))
            .chain(revocations.map(|entry| Event::Revoked(revocation(entry))))
            .chain(std::iter::once(Event::Synced(true)))
            .collect();
        Ok(Self {
            plane,
            relay,
            committed,
            keys,
            seen: snapshot.seq,
            ready,
            quiet_until: Instant::now() + KEEPALIVE,
        })
    }

    async fn next(&mut self) -> Result<Event, Refusal> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                self.quiet_until = Instant::now() + KEEPALIVE;
                return Ok(event);
            }
            if self.plane.stop.is_cancelled() {
                return Err(draining());
            }
            if Instant::now() >= self.quiet_until {
                self.ready.push_back(Event::Keepalive(true));
                continue;
            }
            if self.keys.has_changed().unwrap_or(false) {
                let jwks = self.keys.borrow_and_update().jwks().to_owned();
                self.ready.push_back(Event::JwksJson(jwks));
                continue;
            }
            if !self.look().await? {
                self.wait().await?;
            }
        }
    }

    /// Takes over the next changes, if there are any.
    async fn look(&mut self) -> Result<bool, Refusal> {
        self.committed.borrow_and_update();
        let store = &self.plane.store;
        if store.last_change().await? == self.seen {
            return Ok(false);
        }
        for (seq, change) in store.changes_after(self.seen).await? {
            if seq != self.seen + 1 {
                return Err(Refusal::unavailable(
                    "fell-behind",
                    "the relay was silent for so long that changes were forgotten",
                )
                .hint("follow again: a new snapshot comes"));
            }
            self.seen = seq;
            if let Some(change) = change {
                self.ready.push_back(self.event(change)?);
            }
        }
        Ok(true)
    }

    fn event(&self, change: Change) -> Result<Event, Refusal> {
        Ok(match change {
            Change::Machine(machine) => Event::Machine(on_the_wire(machine)),
            Change::MachineRemoved(id) => Event::MachineRemovedId(id.to_string()),
            Change::Revoked(entry) => {
                let is_mine = entry.claim == Claim::Subject.as_str();
                if is_mine && entry.value == self.relay.to_string() {
                    return Err(Refusal::denied(
                        "token-revoked",
                        "another relay enrolled with this relay's address",
                    )
                    .hint("stop one of the two, or give it another --advertise address"));
                }
                Event::Revoked(revocation(entry))
            }
        })
    }

    /// Until something was committed here, or it is time to look again, or to say that we live.
    async fn wait(&mut self) -> Result<(), Refusal> {
        let until = self.quiet_until.min(Instant::now() + LOOK);
        // Cancel-safe: all only wait.
        tokio::select! {
            () = self.plane.stop.cancelled() => Err(draining()),
            () = arrived(&self.keys) => Ok(()),
            _ = timeout_at(until, self.committed.changed()) => Ok(()),
        }
    }
}

/// Until there are other keys; they are taken up afterwards.
async fn arrived(keys: &watch::Receiver<Arc<Keys>>) {
    let mut waiting = keys.clone();
    // The signer lives as long as the plane: there is always somebody to wait for.
    if waiting.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

fn draining() -> Refusal {
    Refusal::unavailable("draining", "the control plane is stopping")
}

fn revocation(entry: store::Revocation) -> Revocation {
    Revocation {
        claim: entry.claim,
        value: entry.value,
        issued_until_ms: entry.issued_until_ms,
        forget_at_ms: entry.forget_at_ms,
    }
}

impl std::fmt::Debug for Follower {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Follower({})", self.relay)
    }
}
