//! `FleetAdminService`: the fleets of the caller's workspace.

use cmdop_proto::limits::MAX_NAME;
use cmdop_proto::v1::fleet_admin_service_server::FleetAdminService;
use cmdop_proto::v1::{
    CreateFleetRequest, FleetMachinesRequest, ListFleetsRequest, ListFleetsResponse,
    RemoveFleetRequest, RemoveFleetResponse, RenameFleetRequest,
};
use cmdop_proto::{Refusal, text, v1};
use tonic::{Request, Response, Status};

use super::machines;
use crate::names;
use crate::permission::Action;
use crate::plane::Shared;
use crate::store::{Fleet, FleetError};

/// Machines in one request: a larger change is several.
const MAX_MACHINES: usize = 256;

/// The service.
#[derive(Debug)]
pub(super) struct Fleets(pub Shared);

#[tonic::async_trait]
impl FleetAdminService for Fleets {
    async fn list(
        &self,
        request: Request<ListFleetsRequest>,
    ) -> Result<Response<ListFleetsResponse>, Status> {
        let caller = self
            .0
            .caller(request.metadata(), Action::SeeMachines)
            .await?;
        let fleets = caller.workspace.fleets().await.map_err(Refusal::from)?;
        Ok(Response::new(ListFleetsResponse {
            fleets: fleets.into_iter().map(on_the_wire).collect(),
        }))
    }

    async fn create(
        &self,
        request: Request<CreateFleetRequest>,
    ) -> Result<Response<v1::Fleet>, Status> {
        let plane = &self.0;
        let caller = plane
            .caller(request.metadata(), Action::ChangeFleets)
            .await?;
        let name = names::fleet(&request.get_ref().name)?;
        let made = caller.workspace.add_fleet(name, plane.clock.now_ms()).await;
        let made = made.map_err(|error| refusal(error, name))?;
        Ok(Response::new(on_the_wire(made)))
    }

    async fn rename(
        &self,
        request: Request<RenameFleetRequest>,
    ) -> Result<Response<v1::Fleet>, Status> {
        let plane = &self.0;
        let caller = plane
            .caller(request.metadata(), Action::ChangeFleets)
            .await?;
        let wanted = request.get_ref();
        let name = names::fleet(&wanted.name)?;
        let now_ms = plane.clock.now_ms();
        let renamed = caller.workspace.rename_fleet(&wanted.fleet, name, now_ms);
        let renamed = renamed.await.map_err(|error| match error {
            FleetError::NameTaken => refusal(error, name),
            error => refusal(error, &wanted.fleet),
        })?;
        Ok(Response::new(on_the_wire(renamed)))
    }

    async fn remove(
        &self,
        request: Request<RemoveFleetRequest>,
    ) -> Result<Response<RemoveFleetResponse>, Status> {
        let plane = &self.0;
        let caller = plane
            .caller(request.metadata(), Action::ChangeFleets)
            .await?;
        let fleet = &request.get_ref().fleet;
        let removed = caller
            .workspace
            .remove_fleet(fleet, plane.clock.now_ms())
            .await;
        removed.map_err(|error| refusal(error, fleet))?;
        Ok(Response::new(RemoveFleetResponse {}))
    }

    async fn add_machines(
        &self,
        request: Request<FleetMachinesRequest>,
    ) -> Result<Response<v1::Fleet>, Status> {
        let plane = &self.0;
        let caller = plane
            .caller(request.metadata(), Action::ChangeFleets)
            .await?;
        let (fleet, machines) = named(request.get_ref())?;
        let now_ms = plane.clock.now_ms();
        let changed = caller.workspace.add_to_fleet(fleet, machines, now_ms).await;
        let changed = changed.map_err(|error| refusal(error, fleet))?;
        Ok(Response::new(on_the_wire(changed)))
    }

    async fn remove_machines(
        &self,
        request: Request<FleetMachinesRequest>,
    ) -> Result<Response<v1::Fleet>, Status> {
        let plane = &self.0;
        let caller = plane
            .caller(request.metadata(), Action::ChangeFleets)
            .await?;
        let (fleet, machines) = named(request.get_ref())?;
        let now_ms = plane.clock.now_ms();
        let changed = caller
            .workspace
            .remove_from_fleet(fleet, machines, now_ms)
            .await;
        let changed = changed.map_err(|error| refusal(error, fleet))?;
        Ok(Response::new(on_the_wire(changed)))
    }
}

fn named(request: &FleetMachinesRequest) -> Result<(&str, &[String]), Refusal> {
    if (1..=MAX_MACHINES).contains(&request.machines.len()) {
        return Ok((&request.fleet, &request.machines));
    }
    let wrong = format!("1 to {MAX_MACHINES} machines go in one request");
    Err(Refusal::invalid("bad-request", wrong))
}

fn on_the_wire(fleet: Fleet) -> v1::Fleet {
    v1::Fleet {
        id: fleet.id,
        name: fleet.name,
        machine_count: fleet.machine_count as u32,
        created_at_ms: fleet.created_at_ms,
    }
}

fn refusal(error: FleetError, fleet: &str) -> Refusal {
    let fleet = text::shown(fleet, MAX_NAME);
    match error {
        FleetError::Unknown => {
            Refusal::not_found("fleet-unknown", format!("there is no fleet {fleet}"))
                .hint("`cmdop fleets` lists them")
        }
        FleetError::NameTaken => Refusal::invalid(
            "fleet-name-taken",
            format!("the workspace has a fleet named {fleet} already"),
        )
        .hint("choose another name"),
        FleetError::TooMany | FleetError::TooManyOfMachine => {
            Refusal::exhausted("too-many-fleets", error.to_string())
        }
        FleetError::Machine { name, error } => machines::refusal(error, &name, ""),
        FleetError::Store(error) => error.into(),
    }
}
