//! The machines' links: which agent is connected, under which epoch, and what it last said of itself.
//!
//! One link a machine. A newer one takes over with a higher epoch, also after a restart of the relay;
//! the older is told to end and changes nothing from then on. Who watches a workspace hears of its own
//! machines only, and of each no more often than a person could read: no agent can keep others busy.

mod pace;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use cmdop_proto::{LinkEpoch, MachineId, Refusal, SessionId, WorkspaceId, v1};
use tokio::sync::{broadcast, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use v1::control_message::Message as Control;

use pace::Pace;

/// Control messages that may wait for an agent: a burst of execs. An agent that lets more gather
/// does not read, and is treated as gone.
pub(crate) const MAX_CONTROL: usize = 1024;

/// Changes that a slow watcher may miss before it has to look at everything again.
const CHANGES: usize = 256;

/// Commands whose failure may still be reported; older ones have long succeeded.
const MAX_AWAITED: usize = 4096;

/// What an agent says of its machine.
#[derive(Clone, Debug, Default)]
pub(crate) struct About {
    pub(crate) os: String,
    pub(crate) arch: String,
    pub(crate) agent_version: String,
    pub(crate) metrics: Option<v1::Metrics>,
    pub(crate) last_heartbeat_ms: u64,
    pub(crate) connected_at_ms: u64,
}

/// What a command was for, should it fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// It starts or resumes a session.
    Session(SessionId),
    /// It starts a run.
    Run(cmdop_proto::RunId),
    /// It opens a stream to the machine's files.
    Files(cmdop_proto::RunId),
}

/// What became different about a machine's link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Linked {
    /// It came or went.
    Changed(MachineId),
    /// A heartbeat came, perhaps with new readings.
    Heard(MachineId),
}

/// An agent's control stream.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) machine: MachineId,
    pub(crate) epoch: LinkEpoch,
    down: mpsc::Sender<v1::ControlMessage>,
    commands: Mutex<Commands>,
    /// Cancelled when another link took over, or the relay wants it to end.
    pub(crate) over: CancellationToken,
    reason: OnceLock<Refusal>,
}

#[derive(Debug, Default)]
struct Commands {
    count: u64,
    awaited: HashMap<u64, Purpose>,
}

impl Link {
    /// Sends a control message; `Err`: the agent does not read.
    pub(crate) fn tell(&self, message: Control) -> Result<(), Refusal> {
        self.tell_for(message, None)
    }

    /// The same, and remembers what it was for.
    pub(crate) fn tell_for(
        &self,
        message: Control,
        purpose: Option<Purpose>,
    ) -> Result<(), Refusal> {
        let mut commands = self.commands.lock().unwrap_or_else(PoisonError::into_inner);
        commands.count += 1;
        let command_id = commands.count;
        if let Some(purpose) = purpose {
            if commands.awaited.len() >= MAX_AWAITED {
                let recent = command_id.saturating_sub(MAX_AWAITED as u64 / 2);
                commands.awaited.retain(|id, _| *id > recent);
            }
            commands.awaited.insert(command_id, purpose);
        }
        let message = v1::ControlMessage {
            command_id,
            message: Some(message),
        };
        // Under the lock, so that the messages are in the order of their ids.
        self.down.try_send(message).map_err(|_| {
            Refusal::unavailable(
                "machine-offline",
                "the machine's agent does not take commands",
            )
        })
    }

    /// Ends the stream. The first reason counts.
    pub(crate) fn end(&self, refusal: Refusal) {
        let _ = self.reason.set(refusal);
        self.over.cancel();
    }

    /// Why it ended.
    pub(crate) fn reason(&self) -> Refusal {
        self.reason.get().cloned().unwrap_or_else(|| {
            Refusal::unavailable("unreachable", "the agent ended its control stream")
        })
    }

    /// What the command that failed was for, once.
    pub(crate) fn take_purpose(&self, command_id: u64) -> Option<Purpose> {
        let mut commands = self.commands.lock().unwrap_or_else(PoisonError::into_inner);
        commands.awaited.remove(&command_id)
    }
}

/// All links, and what is remembered of machines that had one.
#[derive(Debug)]
pub(crate) struct Machines {
    epochs: AtomicU64,
    machines: Mutex<HashMap<MachineId, Known>>,
    /// Of the workspaces that somebody watches.
    changes: Mutex<HashMap<WorkspaceId, broadcast::Sender<Linked>>>,
}

#[derive(Debug)]
struct Known {
    workspace: WorkspaceId,
    about: About,
    link: Option<Arc<Link>>,
    heartbeats: Pace,
}

impl Machines {
    pub(crate) fn new() -> Self {
        Self {
            // Above every epoch of an earlier process of this relay, which counted from its own start.
            epochs: AtomicU64::new(cmdop_service::now_ms()),
            machines: Mutex::default(),
            changes: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<MachineId, Known>> {
        self.machines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_changes(&self) -> MutexGuard<'_, HashMap<WorkspaceId, broadcast::Sender<Linked>>> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changed(&self, workspace: WorkspaceId, change: Linked) {
        let mut changes = self.lock_changes();
        let watched = changes.get(&workspace);
        if watched.is_some_and(|watched| watched.send(change).is_err()) {
            // The last watcher left.
            changes.remove(&workspace);
        }
    }

    /// The machines of a workspace, each when something about it changes.
    pub(crate) fn watch(&self, workspace: WorkspaceId) -> broadcast::Receiver<Linked> {
        let mut changes = self.lock_changes();
        let watched = changes.entry(workspace);
        watched
            .or_insert_with(|| broadcast::Sender::new(CHANGES))
            .subscribe()
    }

    /// A new link, which ends with `over`. The one that it takes over from, if any, is returned and
    /// has been told to end.
    pub(crate) fn link(
        &self,
        (workspace, machine): (WorkspaceId, MachineId),
        about: About,
        down: mpsc::Sender<v1::ControlMessage>,
        over: CancellationToken,
        registered: impl FnOnce(LinkEpoch) -> Control,
    ) -> (Arc<Link>, Option<Arc<Link>>) {
        let mut machines = self.lock();
        let epoch = self.epochs.fetch_add(1, Ordering::Relaxed) + 1;
        let link = Arc::new(Link {
            machine,
            epoch: LinkEpoch(epoch),
            down,
            commands: Mutex::default(),
            over,
            reason: OnceLock::new(),
        });
        // Before anybody can find the link: its first message. The channel is new, so it has room.
        let _ = link.tell(registered(link.epoch));
        let known = Known {
            workspace,
            about,
            link: Some(link.clone()),
            heartbeats: Pace::default(),
        };
        let old = machines.insert(machine, known).and_then(|known| known.link);
        drop(machines);
        if let Some(old) = &old {
            old.end(Refusal::unavailable(
                "link-replaced",
                "a newer link of this machine took over",
            ));
        }
        self.changed(workspace, Linked::Changed(machine));
        (link, old)
    }

    /// That link is lost. `false`: a newer one had taken over; nothing changed.
    pub(crate) fn lost(&self, link: &Link) -> bool {
        let mut machines = self.lock();
        let Some(known) = machines.get_mut(&link.machine) else {
            return false;
        };
        let is_present = known
            .link
            .as_ref()
            .is_some_and(|present| present.epoch == link.epoch);
        if !is_present {
            return false;
        }
        known.link = None;
        let workspace = known.workspace;
        drop(machines);
        self.changed(workspace, Linked::Changed(link.machine));
        true
    }

    /// A heartbeat came on that link. `false`: it came too soon, or too late, and counts for nothing.
    pub(crate) fn heartbeat(
        &self,
        link: &Link,
        metrics: Option<v1::Metrics>,
        now: Instant,
    ) -> bool {
        let mut machines = self.lock();
        let Some(known) = machines.get_mut(&link.machine) else {
            return false;
        };
        if known
            .link
            .as_ref()
            .is_none_or(|present| present.epoch != link.epoch)
            || !known.heartbeats.allows(now)
        {
            return false;
        }
        known.about.last_heartbeat_ms = cmdop_service::now_ms();
        if metrics.is_some() {
            known.about.metrics = metrics;
        }
        let workspace = known.workspace;
        drop(machines);
        self.changed(workspace, Linked::Heard(link.machine));
        true
    }

    /// The machine left its workspace.
    pub(crate) fn forget(&self, machine: MachineId) {
        let known = self.lock().remove(&machine);
        if let Some(link) = known.and_then(|known| known.link) {
            link.end(crate::directory::revoked());
        }
    }

    /// The machines that have a link.
    pub(crate) fn linked(&self) -> Vec<(WorkspaceId, MachineId)> {
        let machines = self.lock();
        let linked = machines.iter().filter(|(_, known)| known.link.is_some());
        linked
            .map(|(machine, known)| (known.workspace, *machine))
            .collect()
    }

    /// The present link of a machine.
    pub(crate) fn present(&self, machine: MachineId) -> Option<Arc<Link>> {
        self.lock().get(&machine)?.link.clone()
    }

    /// The same, or the refusal that names the machine.
    pub(crate) fn online(&self, machine: MachineId, name: &str) -> Result<Arc<Link>, Refusal> {
        self.present(machine).ok_or_else(|| {
            Refusal::unavailable("machine-offline", format!("the machine {name} is offline"))
                .hint("its agent is not connected to this relay: check that cmdopd runs there")
        })
    }

    /// Tells a machine's agent, if it is there.
    pub(crate) fn tell(&self, machine: MachineId, message: Control) {
        if let Some(link) = self.present(machine)
            && link.tell(message).is_err()
        {
            tracing::warn!(%machine, "an agent does not read its control stream; closing it");
            link.end(Refusal::exhausted(
                "agent-busy",
                "the agent does not read its control stream",
            ));
        }
    }

    /// Tells all agents.
    pub(crate) fn tell_all(&self, message: &Control) {
        let links: Vec<_> = self
            .lock()
            .values()
            .filter_map(|known| known.link.clone())
            .collect();
        for link in links {
            // One that does not read will notice the end of its stream.
            let _ = link.tell(message.clone());
        }
    }

    /// Ends all links.
    pub(crate) fn end_all(&self, refusal: &Refusal) {
        let links: Vec<_> = self
            .lock()
            .values()
            .filter_map(|known| known.link.clone())
            .collect();
        for link in links {
            link.end(refusal.clone());
        }
    }

    pub(crate) fn last_heartbeat_ms(&self, machine: MachineId) -> u64 {
        self.lock()
            .get(&machine)
            .map_or(0, |known| known.about.last_heartbeat_ms)
    }

    /// What is known of it, and whether it is online.
    pub(crate) fn about(&self, machine: MachineId) -> Option<(About, bool)> {
        let machines = self.lock();
        let known = machines.get(&machine)?;
        Some((known.about.clone(), known.link.is_some()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(machines: &Machines, machine: MachineId) -> (Arc<Link>, Option<Arc<Link>>) {
        link_in(machines, WorkspaceId::new(), machine)
    }

    fn link_in(
        machines: &Machines,
        workspace: WorkspaceId,
        machine: MachineId,
    ) -> (Arc<Link>, Option<Arc<Link>>) {
        let (down, _) = mpsc::channel(1);
        let over = CancellationToken::new();
        let ids = (workspace, machine);
        machines.link(ids, About::default(), down, over, |_| {
            Control::GoingAway(true)
        })
    }

    #[tokio::test(start_paused = true)]
    async fn an_agent_that_floods_heartbeats_keeps_no_other_workspace_busy_and_its_own_not_long() {
        let machines = Machines::new();
        let (rogue, victim) = (WorkspaceId::new(), WorkspaceId::new());
        let (link, _) = link_in(&machines, rogue, MachineId::new());
        let mut own = machines.watch(rogue);
        let mut other = machines.watch(victim);
        let taken = (0..1000)
            .filter(|_| machines.heartbeat(&link, None, Instant::now()))
            .count();
        assert!((1..10).contains(&taken), "{taken}");
        for _ in 0..taken {
            assert_eq!(own.try_recv().unwrap(), Linked::Heard(link.machine));
        }
        assert!(own.try_recv().is_err() && other.try_recv().is_err());
        // One that comes when it should is heard again.
        tokio::time::advance(std::time::Duration::from_secs(1)).await;
        assert!(machines.heartbeat(&link, None, Instant::now()));
    }

    #[test]
    fn a_newer_link_takes_over_and_the_older_harms_nobody_when_it_ends() {
        let machines = Machines::new();
        let machine = MachineId::new();
        let (first, none) = link(&machines, machine);
        assert!(none.is_none());
        let (second, old) = link(&machines, machine);
        assert!(old.is_some() && first.over.is_cancelled());
        assert!(second.epoch > first.epoch);
        assert!(!machines.lost(&first));
        assert_eq!(machines.present(machine).unwrap().epoch, second.epoch);
        assert!(machines.lost(&second));
        assert!(machines.present(machine).is_none());
    }
}
