//! The machines of a workspace: those that are enrolled, with what their agents say of them.

use std::collections::{BTreeSet, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use cmdop_proto::token::Claims;
use cmdop_proto::{MachineId, Refusal, limits, v1};
use futures_util::stream;
use prost::Message as _;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::Request;
use v1::fleet_event::Event;

use super::Events;
use crate::directory::{Change, Enrolled};
use crate::live::LiveStream;
use crate::machines::Linked;
use crate::permission::Action;
use crate::relay::Relay;

/// A page of machines stays below this, so that it fits a frame with the largest machine to spare.
const MAX_PAGE: usize = limits::MAX_FRAME - (256 << 10);

/// Heartbeats are told of this long after they came: nobody reads faster.
const GATHER: Duration = Duration::from_secs(1);

pub(super) fn hello(
    relay: &Relay,
    request: &Request<v1::HelloRequest>,
) -> Result<v1::HelloResponse, Refusal> {
    let draining = relay.draining.is_cancelled();
    if !draining {
        relay.account(request, Action::SayHello, "say hello")?;
    }
    Ok(v1::HelloResponse {
        version: cmdop_service::VERSION.into(),
        now_ms: cmdop_service::now_ms(),
        draining,
    })
}

pub(super) fn list(
    relay: &Relay,
    request: &Request<v1::ListMachinesRequest>,
) -> Result<v1::ListMachinesResponse, Refusal> {
    let account = relay.account(request, Action::SeeMachines, "see machines")?;
    let wanted = request.get_ref();
    let has_labels = |machine: &Enrolled| {
        wanted
            .labels
            .iter()
            .all(|(key, value)| machine.labels.get(key) == Some(value))
    };
    let mut machines = relay.context.directory.machines(&account.claims);
    let is_in_fleet =
        |machine: &Enrolled| wanted.fleet.is_empty() || machine.fleets.contains(&wanted.fleet);
    machines.retain(|machine| {
        machine.name > wanted.after && is_in_fleet(machine) && has_labels(machine)
    });
    machines.sort_by(|a, b| a.name.cmp(&b.name));
    let shown = machines.into_iter().map(|machine| show(relay, machine));
    Ok(page(shown))
}

/// As many as fit a frame, and whether there are more.
fn page(machines: impl Iterator<Item = v1::Machine>) -> v1::ListMachinesResponse {
    let mut machines = machines.peekable();
    v1::ListMachinesResponse {
        machines: take_page(&mut machines),
        has_more: machines.peek().is_some(),
    }
}

/// As many as fit a frame.
fn take_page(machines: &mut impl Iterator<Item = v1::Machine>) -> Vec<v1::Machine> {
    let mut page = Vec::new();
    let mut bytes = 0;
    while bytes <= MAX_PAGE
        && let Some(machine) = machines.next()
    {
        // Its tag and its length stand before it.
        bytes += machine.encoded_len() + 8;
        page.push(machine);
    }
    page
}

fn show(relay: &Relay, machine: Enrolled) -> v1::Machine {
    let (about, is_online) = relay.context.machines.about(machine.id).unwrap_or_default();
    let sessions = relay
        .workspaces
        .of(machine.workspace)
        .of_machine(machine.id);
    let presence = if is_online {
        v1::Presence::Online
    } else {
        v1::Presence::Offline
    };
    let known = |said: String, enrolled: String| if said.is_empty() { enrolled } else { said };
    v1::Machine {
        id: machine.id.to_string(),
        name: machine.name,
        presence: presence.into(),
        os: known(about.os, machine.os),
        arch: known(about.arch, machine.arch),
        agent_version: about.agent_version,
        labels: machine.labels.into_iter().collect(),
        last_heartbeat_ms: about.last_heartbeat_ms,
        connected_at_ms: if is_online { about.connected_at_ms } else { 0 },
        session_count: sessions
            .iter()
            .filter(|session| !session.is_ended())
            .count() as u32,
        metrics: about.metrics,
        fleets: machine.fleets,
    }
}

pub(super) fn watch(
    relay: &Arc<Relay>,
    request: &Request<v1::WatchFleetRequest>,
) -> Result<Events<v1::FleetEvent>, Refusal> {
    let account = relay.account(request, Action::SeeMachines, "see machines")?;
    let revoked = CancellationToken::new();
    let watch = Watch {
        claims: account.claims.clone(),
        told: HashSet::new(),
        heard: Gathered::default(),
        enrolled: relay.context.directory.follow(),
        linked: relay.context.machines.watch(account.workspace()),
        pending: VecDeque::new(),
        wants_all: true,
        _live: relay.enter(&account.claims, revoked.clone())?,
        relay: relay.clone(),
    };
    let events = stream::unfold(watch, |mut watch| async {
        let event = watch.next().await?;
        Some((Ok(v1::FleetEvent { event: Some(event) }), watch))
    });
    Ok(super::until_over(relay, events, revoked))
}

struct Watch {
    relay: Arc<Relay>,
    claims: Arc<Claims>,
    /// The machines that it was told of: it is told when one of them is gone, and of no other.
    told: HashSet<MachineId>,
    enrolled: broadcast::Receiver<Change>,
    linked: broadcast::Receiver<Linked>,
    /// Whose heartbeats came, and were not told yet.
    heard: Gathered,
    pending: VecDeque<Event>,
    wants_all: bool,
    _live: LiveStream,
}

impl Watch {
    async fn next(&mut self) -> Option<Event> {
        loop {
            if std::mem::take(&mut self.wants_all) {
                let machines = self.relay.context.directory.machines(&self.claims);
                self.heard = Gathered::default();
                self.told = machines.iter().map(|machine| machine.id).collect();
                self.pending = self.pages(machines).chain([Event::Synced(true)]).collect();
            }
            if let Some(event) = self.pending.pop_front() {
                return Some(event);
            }
            // All branches are cancel-safe: a change stays in its channel until it is taken.
            let change = tokio::select! {
                change = self.enrolled.recv() => change,
                linked = self.linked.recv() => match linked {
                    Ok(Linked::Heard(machine)) => {
                        self.heard.insert(machine, Instant::now());
                        continue;
                    }
                    Ok(Linked::Changed(machine)) => Ok(Change::Machine(self.claims.wid, machine)),
                    Err(error) => Err(error),
                },
                () = self.heard.due() => {
                    self.tell_heard();
                    continue;
                }
            };
            match change {
                Ok(Change::Removed(workspace, machine) | Change::Machine(workspace, machine))
                    if workspace == self.claims.wid =>
                {
                    if let Some(event) = self.changed(machine) {
                        return Some(event);
                    }
                }
                Ok(_) => {}
                Err(RecvError::Lagged(_)) => self.wants_all = true,
                Err(RecvError::Closed) => return None,
            }
        }
    }
}

impl Watch {
    /// How it is now; that it is gone, if it was told of and is not there or not reached any more.
    fn changed(&mut self, id: MachineId) -> Option<Event> {
        self.heard.machines.remove(&id);
        let directory = &self.relay.context.directory;
        let Some(machine) = directory.reached(&self.claims, id) else {
            let was_told = self.told.remove(&id);
            return was_told.then(|| Event::RemovedId(id.to_string()));
        };
        self.told.insert(id);
        Some(Event::Changed(show(&self.relay, machine)))
    }

    /// What was gathered is on its way.
    fn tell_heard(&mut self) {
        let heard = std::mem::take(&mut self.heard.machines);
        let directory = &self.relay.context.directory;
        let reached = |id| directory.reached(&self.claims, id);
        let machines = heard.into_iter().filter_map(reached);
        let machines: Vec<_> = machines.collect();
        self.pending = self.pages(machines).collect();
    }

    /// Events with all of them, each as large as a frame.
    fn pages(&self, machines: Vec<Enrolled>) -> impl Iterator<Item = Event> {
        let shown = machines
            .into_iter()
            .map(|machine| show(&self.relay, machine));
        let mut shown = shown.peekable();
        std::iter::from_fn(move || {
            let first = shown.peek().is_some();
            first.then(|| {
                Event::Machines(v1::Machines {
                    machines: take_page(&mut shown),
                })
            })
        })
    }
}

/// Machines whose heartbeats came: a fleet of thousands is told of once a second, not thousands of times.
#[derive(Debug, Default)]
struct Gathered {
    machines: BTreeSet<MachineId>,
    /// When the first of them has waited long enough.
    until: Option<Instant>,
}

impl Gathered {
    fn insert(&mut self, machine: MachineId, now: Instant) {
        if self.machines.is_empty() {
            self.until = Some(now + GATHER);
        }
        self.machines.insert(machine);
    }

    /// Returns when it is time to tell of them; never while there are none.
    async fn due(&self) {
        match self.until {
            Some(until) if !self.machines.is_empty() => tokio::time::sleep_until(until).await,
            _ => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn heartbeats_are_gathered_for_a_second_and_each_machine_is_told_of_once() {
        let mut heard = Gathered::default();
        let begun = Instant::now();
        let machine = MachineId::new();
        for _ in 0..1000 {
            heard.insert(machine, Instant::now());
        }
        tokio::time::advance(GATHER / 2).await;
        heard.insert(MachineId::new(), Instant::now());
        heard.due().await;
        assert_eq!(
            begun.elapsed(),
            GATHER,
            "the first one waits no longer for the second"
        );
        assert_eq!(heard.machines.len(), 2);
        heard.machines.clear();
        let none = tokio::time::timeout(GATHER * 10, heard.due()).await;
        assert!(none.is_err(), "nothing is told while nothing came");
    }

    #[test]
    fn every_page_of_a_large_fleet_fits_a_frame_and_none_is_left_out() {
        let all: Vec<_> = (0..20_000)
            .map(|number| v1::Machine {
                id: MachineId::new().to_string(),
                name: format!("machine-{number:05}"),
                metrics: Some(v1::Metrics {
                    memory_total_bytes: u64::MAX,
                    ..v1::Metrics::default()
                }),
                ..v1::Machine::default()
            })
            .collect();
        let mut got = Vec::new();
        loop {
            let page = page(all[got.len()..].iter().cloned());
            assert!(page.encoded_len() <= limits::MAX_FRAME);
            let has_more = page.has_more;
            got.extend(page.machines);
            if !has_more {
                break;
            }
        }
        assert!(got == all);
    }
}
