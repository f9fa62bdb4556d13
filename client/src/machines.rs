//! Machines: presence and readings from the relay, names and labels from the control plane.

use std::collections::HashMap;
use std::time::Duration;

use cmdop_proto::v1;

use crate::connection::{Connection, Repeat, Target};
use crate::dial::Lane;
use crate::error::Error;
use crate::follow::{Change, Feed, Follow};

/// Which machines to list: all of what is named must match.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Labels with their values.
    pub labels: HashMap<String, String>,
    /// Empty, or a fleet's name.
    pub fleet: String,
}

/// The machines of the workspace as the relay sees them.
pub async fn list(connection: &Connection, filter: &Filter) -> Result<Vec<v1::Machine>, Error> {
    let mut machines: Vec<v1::Machine> = Vec::new();
    loop {
        let request = v1::ListMachinesRequest {
            labels: filter.labels.clone(),
            fleet: filter.fleet.clone(),
            after: machines.last().map(|m| m.name.clone()).unwrap_or_default(),
        };
        let page = connection
            .call(
                Target::Relay(Lane::Interactive),
                "listing machines",
                Repeat::Harmless,
                request,
                |relay, request| async move { relay.fleet().list(request).await },
            )
            .await?;
        // A relay that says so without a machine would be asked the same for ever.
        let has_more = page.has_more && !page.machines.is_empty();
        machines.extend(page.machines);
        if !has_more {
            return Ok(machines);
        }
    }
}

/// All machines, then each change as it happens; reconnects by itself.
pub fn watch(connection: &Connection) -> Follow<v1::Machine> {
    Follow::start::<MachineFeed>(connection.clone())
}

/// Gives a machine another name. Needs an admin.
pub async fn rename(
    connection: &Connection,
    machine: &str,
    name: &str,
) -> Result<v1::EnrolledMachine, Error> {
    let request = v1::RenameMachineRequest {
        machine: machine.to_owned(),
        name: name.to_owned(),
    };
    connection
        .call(
            Target::Control,
            "renaming the machine",
            Repeat::Harmless,
            request,
            |control, request| async move { control.machines().rename(request).await },
        )
        .await
}

/// Sets and removes labels. Needs an admin.
pub async fn label(
    connection: &Connection,
    request: v1::LabelMachineRequest,
) -> Result<v1::EnrolledMachine, Error> {
    connection
        .call(
            Target::Control,
            "labelling the machine",
            Repeat::Harmless,
            request,
            |control, request| async move { control.machines().label(request).await },
        )
        .await
}

/// Removes a machine: its tokens are refused from now on, its name is free again. Needs an admin.
pub async fn remove(connection: &Connection, machine: &str) -> Result<(), Error> {
    let request = v1::RemoveMachineRequest {
        machine: machine.to_owned(),
    };
    connection
        .call(
            Target::Control,
            "removing the machine",
            Repeat::Never,
            request,
            |control, request| async move { control.machines().remove(request).await },
        )
        .await
        .map(drop)
}

#[allow(
    clippy::implicit_hasher,
    reason = "the generated messages hold this one"
)]
/// Makes a token with which one machine can enrol. Needs an admin.
pub async fn create_enroll_token(
    connection: &Connection,
    lifetime: Duration,
    labels: HashMap<String, String>,
) -> Result<v1::CreateEnrollTokenResponse, Error> {
    let request = v1::CreateEnrollTokenRequest {
        lifetime_ms: lifetime.as_millis() as u64,
        labels,
    };
    connection
        .call(
            Target::Control,
            "making an enrolment token",
            Repeat::Never,
            request,
            |control, request| async move { control.machines().create_enroll_token(request).await },
        )
        .await
}

struct MachineFeed;

impl Feed for MachineFeed {
    type Item = v1::Machine;
    type Event = v1::FleetEvent;

    async fn open(
        connection: &Connection,
    ) -> Result<(crate::Relay, tonic::Streaming<v1::FleetEvent>), Error> {
        connection
            .stream(Lane::Interactive, "watching machines", |relay| async move {
                relay.fleet().watch(v1::WatchFleetRequest {}).await
            })
            .await
    }

    fn read(event: v1::FleetEvent) -> Vec<Change<v1::Machine>> {
        use v1::fleet_event::Event;
        match event.event {
            Some(Event::Changed(machine)) => vec![Change::Changed(machine)],
            Some(Event::RemovedId(id)) => vec![Change::Removed(id)],
            Some(Event::Synced(_)) => vec![Change::Synced],
            Some(Event::Machines(all)) => all.machines.into_iter().map(Change::Changed).collect(),
            None => Vec::new(),
        }
    }
}
