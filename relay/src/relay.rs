//! One relay: what its services share, and the rules that all of them keep.

use std::sync::Arc;
use std::time::Duration;

use cmdop_proto::token::Claims;
use cmdop_proto::{Refusal, WorkspaceId};
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::Status;

use crate::caller::{Account, Agent};
use crate::context::Context;
use crate::detached::DetachedRuns;
use crate::directory::{Change, Enrolled};
use crate::feed::Feeds;
use crate::file_streams::FileStreams;
use crate::live::{LiveStream, LiveStreams};
use crate::permission::Action;
use crate::reached::Reached;
use crate::runs::Runs;
use crate::workspace::Workspaces;

/// A machine that enrolled a moment ago is not in the directory yet: changes reach it within 1 s.
const DIRECTORY_DELAY: Duration = Duration::from_secs(3);

/// The relay.
#[derive(Debug)]
pub(crate) struct Relay {
    pub(crate) context: Arc<Context>,
    pub(crate) workspaces: Workspaces,
    pub(crate) runs: Runs,
    pub(crate) detached: DetachedRuns,
    pub(crate) file_streams: FileStreams,
    pub(crate) feeds: Feeds,
    pub(crate) live: LiveStreams,
    /// Owns every task that a call needs.
    pub(crate) tasks: TaskTracker,
    /// Cancelled when it begins to leave.
    pub(crate) draining: CancellationToken,
    /// Cancelled when the time for that is over.
    pub(crate) ended: CancellationToken,
}

impl Relay {
    pub(crate) fn new(context: Context) -> Arc<Self> {
        Arc::new(Self {
            context: Arc::new(context),
            workspaces: Workspaces::default(),
            runs: Runs::default(),
            detached: DetachedRuns::default(),
            file_streams: FileStreams::default(),
            feeds: Feeds::default(),
            live: LiveStreams::default(),
            tasks: TaskTracker::new(),
            draining: CancellationToken::new(),
            ended: CancellationToken::new(),
        })
    }

    /// The account that calls, if it may, unless the relay is leaving. `what` is how a refusal says it.
    pub(crate) fn account<T>(
        &self,
        request: &tonic::Request<T>,
        action: Action,
        what: &str,
    ) -> Result<Account, Refusal> {
        self.require_serving()?;
        let account = Account::of(&self.context.directory, request.metadata())?;
        self.permit(&account, action, what)?;
        Ok(account)
    }

    /// Refuses what the table of permissions does not allow this account, and puts it on record.
    pub(crate) fn permit(
        &self,
        account: &Account,
        action: Action,
        what: &str,
    ) -> Result<(), Refusal> {
        account
            .must_be_allowed(action, what)
            .inspect_err(|refusal| self.context.reporter.denied(account, what, refusal))
    }

    /// The agent that calls, unless the relay is leaving, with its entry in the directory.
    pub(crate) async fn agent<T>(
        &self,
        request: &tonic::Request<T>,
    ) -> Result<(Agent, Enrolled), Refusal> {
        self.require_serving()?;
        let agent = Agent::of(&self.context.directory, request.metadata())?;
        let enrolled = self.enrolled(&agent).await?;
        Ok((agent, enrolled))
    }

    async fn enrolled(&self, agent: &Agent) -> Result<Enrolled, Refusal> {
        let directory = &self.context.directory;
        let mut changes = directory.follow();
        let wait = async {
            loop {
                let machine = directory.machine(agent.machine);
                if let Some(machine) = machine.filter(|m| m.workspace == agent.workspace()) {
                    return machine;
                }
                if let Err(RecvError::Closed) = changes.recv().await {
                    std::future::pending::<()>().await;
                }
            }
        };
        tokio::time::timeout(DIRECTORY_DELAY, wait)
            .await
            .map_err(|_| unenrolled())
    }

    fn require_serving(&self) -> Result<(), Refusal> {
        if self.draining.is_cancelled() {
            return Err(draining());
        }
        Ok(())
    }

    /// Enters a live stream of this bearer, which a revocation ends by `over`. Its token was checked
    /// before the stream said what it is for, which may be a while ago: it is checked again now that
    /// a revocation would find it.
    pub(crate) fn enter(
        &self,
        claims: &Arc<Claims>,
        over: CancellationToken,
    ) -> Result<LiveStream, Refusal> {
        let live = self.live.enter(claims, over);
        if self.context.directory.is_revoked(claims) {
            return Err(crate::directory::revoked());
        }
        if self.ended.is_cancelled() {
            return Err(draining());
        }
        Ok(live)
    }

    /// The same for an agent's stream, which its machine's removal ends too.
    pub(crate) fn enter_agent(
        &self,
        agent: &Agent,
        over: CancellationToken,
    ) -> Result<LiveStream, Refusal> {
        let live = self.enter(&agent.claims, over)?;
        if self.context.directory.machine(agent.machine).is_none() {
            return Err(unenrolled());
        }
        Ok(live)
    }

    /// The sessions that `account` may know of.
    pub(crate) fn sessions_of(&self, account: &Account) -> Reached {
        let workspace = self.workspaces.of(account.workspace());
        let directory = self.context.directory.clone();
        Reached::new(workspace, directory, account.claims.clone())
    }

    /// A machine that is no longer there: its links and streams end, its sessions wait in vain.
    pub(crate) fn machine_removed(&self, workspace: WorkspaceId, machine: cmdop_proto::MachineId) {
        tracing::info!(%workspace, %machine, "a machine left its workspace");
        self.context.machines.forget(machine);
        self.detached.forget(workspace, machine);
        self.live.end_of(&machine.to_string());
        for session in self.workspaces.of(workspace).of_machine(machine) {
            session.gone_on_agent(None, "its machine was removed from the workspace");
        }
    }

    /// Carries out what the control plane decides, for ever.
    pub(crate) async fn obey(&self) {
        let mut changes = self.context.directory.follow();
        loop {
            match changes.recv().await {
                Ok(Change::Removed(workspace, machine)) => self.machine_removed(workspace, machine),
                Ok(Change::Revoked) => self.live.end_revoked(&self.context.directory),
                Ok(Change::Machine(..)) => {}
                Err(RecvError::Lagged(_)) => {
                    self.live.end_revoked(&self.context.directory);
                    self.end_unknown_machines();
                }
                Err(RecvError::Closed) => return,
            }
        }
    }

    /// After missed changes: whatever is linked but not enrolled.
    fn end_unknown_machines(&self) {
        for (workspace, machine) in self.context.machines.linked() {
            if self.context.directory.machine(machine).is_none() {
                self.machine_removed(workspace, machine);
            }
        }
    }

    /// The refusal as it goes out, counted.
    pub(crate) fn refuse(&self, refusal: Refusal) -> Status {
        self.context.meters.refusals.increment(1);
        tracing::debug!(reason = %refusal.reason, message = %refusal.message, "refused");
        refusal.into()
    }
}

fn unenrolled() -> Refusal {
    Refusal::not_found("machine-unknown", "this machine is not enrolled any more")
        .hint("enrol it again with `cmdopd enroll`")
}

/// The relay is leaving.
pub(crate) fn draining() -> Refusal {
    Refusal::unavailable("draining", "the relay is shutting down")
        .hint("connect again in a moment, perhaps to another relay")
}
