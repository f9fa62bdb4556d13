//! `FleetAdminService`: the fleets of the caller's workspace.

use cmdop_proto::limits::MAX_NAME;
use cmdop_proto::v1::fleet_admin_service_server::FleetAdminService;
use cmdop_proto::v1::{
    CreateFleetRequest, FleetMachinesRequest, FleetMembersRequest, ListFleetsRequest,
    ListFleetsResponse, RemoveFleetRequest, RemoveFleetResponse, RenameFleetRequest,
};
use cmdop_proto::{Refusal, text, v1};
use tonic::{Request, Response, Status};

use super::{machines, members};
use crate::names;
use crate::permission::{Action, may_give};
use crate::plane::Shared;
use crate::store::{Fleet, FleetError, Membership};

/// Machines or members in one request: a larger change is several.
const MAX_NAMES: usize = 256;

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
        let reach = caller.reach().await?;
        let fleets = caller.workspace.fleets(&reach).await;
        let fleets = fleets.map_err(Refusal::from)?;
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

    async fn add_members(
        &self,
        request: Request<FleetMembersRequest>,
    ) -> Result<Response<v1::Fleet>, Status> {
        let changed = self.change_members(&request, Membership::Added).await?;
        Ok(Response::new(changed))
    }

    async fn remove_members(
        &self,
        request: Request<FleetMembersRequest>,
    ) -> Result<Response<v1::Fleet>, Status> {
        let changed = self.change_members(&request, Membership::Removed).await?;
        Ok(Response::new(changed))
    }
}

impl Fleets {
    async fn change_members(
        &self,
        request: &Request<FleetMembersRequest>,
        membership: Membership,
    ) -> Result<v1::Fleet, Refusal> {
        let plane = &self.0;
        let caller = plane
            .caller(request.metadata(), Action::ManageMembers)
            .await?;
        let FleetMembersRequest { fleet, members } = request.get_ref();
        must_be_some("members", members)?;
        let by = caller.role();
        let may = |role| may_give(by, Some(role), Some(role));
        let now_ms = plane.clock.now_ms();
        let changed = caller
            .workspace
            .change_fleet_members(fleet, members, membership, may, now_ms);
        let changed = changed.await.map_err(|error| refusal(error, fleet))?;
        Ok(on_the_wire(changed))
    }
}

fn named(request: &FleetMachinesRequest) -> Result<(&str, &[String]), Refusal> {
    must_be_some("machines", &request.machines)?;
    Ok((&request.fleet, &request.machines))
}

fn must_be_some(what: &str, names: &[String]) -> Result<(), Refusal> {
    if (1..=MAX_NAMES).contains(&names.len()) {
        return Ok(());
    }
    let wrong = format!("1 to {MAX_NAMES} {what} go in one request");
    Err(Refusal::invalid("bad-request", wrong))
}

fn on_the_wire(fleet: Fleet) -> v1::Fleet {
    v1::Fleet {
        id: fleet.id,
        name: fleet.name,
        machine_count: fleet.machine_count as u32,
        member_count: fleet.member_count as u32,
        created_at_ms: fleet.created_at_ms,
    }
}

/// Why a fleet was not changed, in words.
pub(super) fn refusal(error: FleetError, fleet: &str) -> Refusal {
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
        FleetError::TooMany | FleetError::TooManyOfMachine | FleetError::TooManyOfMember => {
            Refusal::exhausted("too-many-fleets", error.to_string())
        }
        FleetError::TooManyMembers => Refusal::exhausted("too-many-members", error.to_string()),
        FleetError::Member { name, error } => members::refusal(error, &name),
        FleetError::Machine { name, error } => machines::refusal(error, &name, ""),
        FleetError::Store(error) => error.into(),
    }
}
