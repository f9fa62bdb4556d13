//! `MachineService`: the machines of the caller's workspace. All may look, admins may change.

use std::time::Duration;

use cmdop_proto::limits::MAX_NAME;
use cmdop_proto::v1::machine_service_server::MachineService;
use cmdop_proto::v1::{
    CreateEnrollTokenRequest, CreateEnrollTokenResponse, EnrolledMachine, LabelMachineRequest,
    ListEnrolledRequest, ListEnrolledResponse, RemoveMachineRequest, RemoveMachineResponse,
    RenameMachineRequest,
};
use cmdop_proto::{Refusal, text};
use tonic::{Request, Response, Status};

use crate::enrollment::{self, Guest};
use crate::lifetimes::ENROLL_TOKEN;
use crate::names;
use crate::permission::Action;
use crate::plane::Shared;
use crate::store::{Machine, MachineError};

/// The service.
#[derive(Debug)]
pub(super) struct Machines(pub Shared);

#[tonic::async_trait]
impl MachineService for Machines {
    async fn list(
        &self,
        request: Request<ListEnrolledRequest>,
    ) -> Result<Response<ListEnrolledResponse>, Status> {
        let caller = self
            .0
            .caller(request.metadata(), Action::SeeMachines)
            .await?;
        let reach = caller.reach().await?;
        let machines = caller.workspace.machines(&reach).await;
        let machines = machines.map_err(Refusal::from)?;
        Ok(Response::new(ListEnrolledResponse {
            machines: machines.into_iter().map(on_the_wire).collect(),
        }))
    }

    async fn rename(
        &self,
        request: Request<RenameMachineRequest>,
    ) -> Result<Response<EnrolledMachine>, Status> {
        let caller = self
            .0
            .caller(request.metadata(), Action::ChangeMachines)
            .await?;
        let wanted = request.get_ref();
        let name = names::machine(&wanted.name)?;
        let renamed = caller
            .workspace
            .rename_machine(&wanted.machine, name, self.0.clock.now_ms())
            .await
            .map_err(|error| refusal(error, &wanted.machine, name))?;
        Ok(Response::new(on_the_wire(renamed)))
    }

    async fn label(
        &self,
        request: Request<LabelMachineRequest>,
    ) -> Result<Response<EnrolledMachine>, Status> {
        let caller = self
            .0
            .caller(request.metadata(), Action::ChangeMachines)
            .await?;
        let wanted = request.get_ref();
        let set = names::labels(wanted.set.clone())?;
        let labelled = caller
            .workspace
            .label_machine(&wanted.machine, set, &wanted.remove, self.0.clock.now_ms())
            .await
            .map_err(|error| refusal(error, &wanted.machine, ""))?;
        Ok(Response::new(on_the_wire(labelled)))
    }

    async fn remove(
        &self,
        request: Request<RemoveMachineRequest>,
    ) -> Result<Response<RemoveMachineResponse>, Status> {
        let caller = self
            .0
            .caller(request.metadata(), Action::RemoveMachines)
            .await?;
        let machine = &request.get_ref().machine;
        let removed = caller
            .workspace
            .remove_machine(machine, self.0.clock.now_ms())
            .await
            .map_err(|error| refusal(error, machine, ""))?;
        tracing::info!(machine = %removed.name, by = %caller.account.name, "removed a machine");
        Ok(Response::new(RemoveMachineResponse {}))
    }

    async fn create_enroll_token(
        &self,
        request: Request<CreateEnrollTokenRequest>,
    ) -> Result<Response<CreateEnrollTokenResponse>, Status> {
        let plane = &self.0;
        let caller = plane
            .caller(request.metadata(), Action::EnrolMachines)
            .await?;
        let wanted = request.into_inner();
        let lifetime = lifetime(wanted.lifetime_ms)?;
        let labels = names::labels(wanted.labels)?;
        let (token, hash) = enrollment::new_token(Guest::Machine, &plane.ca.fingerprint());
        let now_ms = plane.clock.now_ms();
        let expires_at_ms = now_ms + lifetime.as_millis() as u64;
        caller
            .workspace
            .add_machine_token(&hash, &labels, expires_at_ms, now_ms)
            .await
            .map_err(Refusal::from)?;
        Ok(Response::new(CreateEnrollTokenResponse {
            token: token.expose().to_owned(),
            expires_at_ms,
        }))
    }
}

fn lifetime(asked_ms: u64) -> Result<Duration, Refusal> {
    match Duration::from_millis(asked_ms) {
        Duration::ZERO => Ok(ENROLL_TOKEN),
        asked => enrollment::checked_lifetime(asked),
    }
}

/// A machine as the wire has it.
pub(super) fn on_the_wire(machine: Machine) -> EnrolledMachine {
    EnrolledMachine {
        fleets: machine.fleets,
        fleet_ids: machine.fleet_ids.iter().map(ToString::to_string).collect(),
        id: machine.id.to_string(),
        workspace_id: machine.workspace.to_string(),
        name: machine.name,
        labels: machine.labels.into_iter().collect(),
        os: machine.os,
        arch: machine.arch,
        enrolled_at_ms: machine.enrolled_at_ms,
    }
}

/// What went wrong with `machine`, which was perhaps to be called `name`.
pub(crate) fn refusal(error: MachineError, machine: &str, name: &str) -> Refusal {
    let machine = text::shown(machine, MAX_NAME);
    match error {
        MachineError::Unknown => {
            Refusal::not_found("machine-unknown", format!("there is no machine {machine}"))
                .hint("`cmdop machines` lists them")
        }
        MachineError::NameTaken => Refusal::invalid(
            "machine-name-taken",
            format!("the workspace has a machine named {name} already"),
        )
        .hint("choose another name, or remove that machine first"),
        MachineError::TooManyLabels => Refusal::invalid("bad-request", error.to_string()),
        MachineError::Store(error) => error.into(),
    }
}
