//! The machines of a workspace: those that are enrolled, with what their agents say of them.

use std::collections::VecDeque;
use std::sync::Arc;

use cmdop_proto::{MachineId, Refusal, WorkspaceId, limits, v1};
use futures_util::stream;
use prost::Message as _;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;
use tonic::Request;
use v1::fleet_event::Event;

use super::Events;
use crate::directory::{Change, Enrolled};
use crate::live::LiveStream;
use crate::relay::Relay;

/// A page of machines stays below this, so that it fits a frame with the largest machine to spare.
const MAX_PAGE: usize = limits::MAX_FRAME - (256 << 10);

pub(super) fn hello(
    relay: &Relay,
    request: &Request<v1::HelloRequest>,
) -> Result<v1::HelloResponse, Refusal> {
    let draining = relay.draining.is_cancelled();
    if !draining {
        relay.account(request)?;
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
    let account = relay.account(request)?;
    let wanted = request.get_ref();
    let has_labels = |machine: &Enrolled| {
        wanted
            .labels
            .iter()
            .all(|(key, value)| machine.labels.get(key) == Some(value))
    };
    let mut machines = relay.context.directory.machines(account.workspace());
    // Fleets are not known to relays yet: no machine is in one.
    machines.retain(|machine| {
        wanted.fleet.is_empty() && machine.name > wanted.after && has_labels(machine)
    });
    machines.sort_by(|a, b| a.name.cmp(&b.name));
    let shown = machines.into_iter().map(|machine| show(relay, machine));
    Ok(page(shown))
}

/// As many as fit a frame, and whether there are more.
fn page(machines: impl Iterator<Item = v1::Machine>) -> v1::ListMachinesResponse {
    let mut page = v1::ListMachinesResponse::default();
    let mut bytes = 0;
    for machine in machines {
        if bytes > MAX_PAGE {
            page.has_more = true;
            break;
        }
        // Its tag and its length stand before it.
        bytes += machine.encoded_len() + 8;
        page.machines.push(machine);
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
        fleets: Vec::new(),
    }
}

pub(super) fn watch(
    relay: &Arc<Relay>,
    request: &Request<v1::WatchFleetRequest>,
) -> Result<Events<v1::FleetEvent>, Refusal> {
    let account = relay.account(request)?;
    let revoked = CancellationToken::new();
    let watch = Watch {
        workspace: account.workspace(),
        enrolled: relay.context.directory.follow(),
        linked: relay.context.machines.watch(account.workspace()),
        pending: VecDeque::new(),
        wants_all: true,
        _live: relay.live.enter(&account.claims, revoked.clone()),
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
    workspace: WorkspaceId,
    enrolled: broadcast::Receiver<Change>,
    linked: broadcast::Receiver<MachineId>,
    pending: VecDeque<Event>,
    wants_all: bool,
    _live: LiveStream,
}

impl Watch {
    async fn next(&mut self) -> Option<Event> {
        loop {
            if std::mem::take(&mut self.wants_all) {
                let machines = self.relay.context.directory.machines(self.workspace);
                let shown = machines
                    .into_iter()
                    .map(|m| Event::Changed(show(&self.relay, m)));
                self.pending = shown.collect();
                self.pending.push_back(Event::Synced(true));
            }
            if let Some(event) = self.pending.pop_front() {
                return Some(event);
            }
            // Both branches are cancel-safe: a change stays in its channel until it is taken.
            let change = tokio::select! {
                change = self.enrolled.recv() => change,
                linked = self.linked.recv() => linked.map(|machine| Change::Machine(self.workspace, machine)),
            };
            match change {
                Ok(Change::Removed(workspace, machine)) if workspace == self.workspace => {
                    return Some(Event::RemovedId(machine.to_string()));
                }
                Ok(Change::Machine(workspace, machine)) if workspace == self.workspace => {
                    if let Some(machine) = self.relay.context.directory.machine(machine) {
                        return Some(Event::Changed(show(&self.relay, machine)));
                    }
                }
                Ok(_) => {}
                Err(RecvError::Lagged(_)) => self.wants_all = true,
                Err(RecvError::Closed) => return None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
