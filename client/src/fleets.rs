//! The fleets of the workspace: named sets of machines, kept by the control plane.

use cmdop_proto::v1;

use crate::connection::{Connection, Repeat, Target};
use crate::error::Error;

/// All fleets, by name.
pub async fn list(connection: &Connection) -> Result<Vec<v1::Fleet>, Error> {
    let response = connection
        .call(
            Target::Control,
            "listing fleets",
            Repeat::Harmless,
            v1::ListFleetsRequest {},
            |control, request| async move { control.fleet_admin().list(request).await },
        )
        .await?;
    Ok(response.fleets)
}

/// Makes an empty fleet. Needs an admin.
pub async fn create(connection: &Connection, name: &str) -> Result<v1::Fleet, Error> {
    let request = v1::CreateFleetRequest {
        name: name.to_owned(),
    };
    connection
        .call(
            Target::Control,
            "making the fleet",
            Repeat::Never,
            request,
            |control, request| async move { control.fleet_admin().create(request).await },
        )
        .await
}

/// Gives a fleet another name. Needs an admin.
pub async fn rename(connection: &Connection, fleet: &str, name: &str) -> Result<v1::Fleet, Error> {
    let request = v1::RenameFleetRequest {
        fleet: fleet.to_owned(),
        name: name.to_owned(),
    };
    connection
        .call(
            Target::Control,
            "renaming the fleet",
            Repeat::Never,
            request,
            |control, request| async move { control.fleet_admin().rename(request).await },
        )
        .await
}

/// Forgets a fleet; its machines stay. Needs an admin.
pub async fn remove(connection: &Connection, fleet: &str) -> Result<(), Error> {
    let request = v1::RemoveFleetRequest {
        fleet: fleet.to_owned(),
    };
    connection
        .call(
            Target::Control,
            "removing the fleet",
            Repeat::Never,
            request,
            |control, request| async move { control.fleet_admin().remove(request).await },
        )
        .await
        .map(drop)
}

/// Puts machines in, all of them or none. Needs an admin.
pub async fn add_machines(
    connection: &Connection,
    fleet: &str,
    machines: &[String],
) -> Result<v1::Fleet, Error> {
    connection
        .call(
            Target::Control,
            "adding to the fleet",
            Repeat::Harmless,
            chosen(fleet, machines),
            |control, request| async move { control.fleet_admin().add_machines(request).await },
        )
        .await
}

/// Takes machines out, all of them or none. Needs an admin.
pub async fn remove_machines(
    connection: &Connection,
    fleet: &str,
    machines: &[String],
) -> Result<v1::Fleet, Error> {
    connection
        .call(
            Target::Control,
            "removing from the fleet",
            Repeat::Harmless,
            chosen(fleet, machines),
            |control, request| async move { control.fleet_admin().remove_machines(request).await },
        )
        .await
}

/// Adds members, all of them or none: from then on they reach the machines of their fleets only. Needs an admin.
pub async fn add_members(
    connection: &Connection,
    fleet: &str,
    members: &[String],
) -> Result<v1::Fleet, Error> {
    connection
        .call(
            Target::Control,
            "adding members to the fleet",
            Repeat::Harmless,
            people(fleet, members),
            |control, request| async move { control.fleet_admin().add_members(request).await },
        )
        .await
}

/// Removes members, all of them or none; they stay kept to their other fleets. Needs an admin.
pub async fn remove_members(
    connection: &Connection,
    fleet: &str,
    members: &[String],
) -> Result<v1::Fleet, Error> {
    connection
        .call(
            Target::Control,
            "removing members from the fleet",
            Repeat::Harmless,
            people(fleet, members),
            |control, request| async move { control.fleet_admin().remove_members(request).await },
        )
        .await
}

fn people(fleet: &str, members: &[String]) -> v1::FleetMembersRequest {
    v1::FleetMembersRequest {
        fleet: fleet.to_owned(),
        members: members.to_vec(),
    }
}

fn chosen(fleet: &str, machines: &[String]) -> v1::FleetMachinesRequest {
    v1::FleetMachinesRequest {
        fleet: fleet.to_owned(),
        machines: machines.to_vec(),
    }
}
