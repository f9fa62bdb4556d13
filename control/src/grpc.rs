//! The gRPC services of `control.proto`, and what every gRPC server answers besides: health, reflection.

mod account;
mod audit;
mod bearer;
mod catalogue;
mod enroll;
mod fleets;
mod follow;
mod keys;
mod machines;
mod members;
mod schedules;

pub(crate) use machines::refusal;
pub(crate) use members::refusal as member_refusal;

use axum::Router;
use cmdop_proto::limits::MAX_FRAME;
use cmdop_proto::v1::account_service_server::AccountServiceServer;
use cmdop_proto::v1::audit_service_server::AuditServiceServer;
use cmdop_proto::v1::catalogue_service_server::CatalogueServiceServer;
use cmdop_proto::v1::enroll_service_server::EnrollServiceServer;
use cmdop_proto::v1::fleet_admin_service_server::FleetAdminServiceServer;
use cmdop_proto::v1::key_service_server::KeyServiceServer;
use cmdop_proto::v1::machine_service_server::MachineServiceServer;
use cmdop_proto::v1::member_service_server::MemberServiceServer;
use cmdop_proto::v1::relay_service_server::RelayServiceServer;
use cmdop_proto::v1::schedules_service_server::SchedulesServiceServer;
use tonic::service::Routes;

use crate::plane::Shared;

/// All services, beside the routes of `pages`.
pub(crate) async fn routes(
    plane: &Shared,
    pages: Router,
) -> Result<Routes, tonic_reflection::server::Error> {
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter
        .set_serving::<EnrollServiceServer<enroll::Enroll>>()
        .await;
    reporter
        .set_serving::<MachineServiceServer<machines::Machines>>()
        .await;
    reporter
        .set_serving::<AccountServiceServer<account::Accounts>>()
        .await;
    reporter
        .set_serving::<RelayServiceServer<follow::Relays>>()
        .await;
    reporter
        .set_serving::<MemberServiceServer<members::Members>>()
        .await;
    reporter
        .set_serving::<FleetAdminServiceServer<fleets::Fleets>>()
        .await;
    reporter.set_serving::<KeyServiceServer<keys::Keys>>().await;
    reporter
        .set_serving::<AuditServiceServer<audit::Audit>>()
        .await;
    reporter
        .set_serving::<CatalogueServiceServer<catalogue::Catalogue>>()
        .await;
    reporter
        .set_serving::<SchedulesServiceServer<schedules::Schedules>>()
        .await;
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(cmdop_proto::FILE_DESCRIPTOR_SET)
        .build_v1()?;
    let enroll = EnrollServiceServer::new(enroll::Enroll(plane.clone()));
    let machines = MachineServiceServer::new(machines::Machines(plane.clone()));
    let accounts = AccountServiceServer::new(account::Accounts(plane.clone()));
    let members = MemberServiceServer::new(members::Members(plane.clone()));
    let fleets = FleetAdminServiceServer::new(fleets::Fleets(plane.clone()));
    let keys = KeyServiceServer::new(keys::Keys(plane.clone()));
    let audit = AuditServiceServer::new(audit::Audit(plane.clone()));
    let catalogue = CatalogueServiceServer::new(catalogue::Catalogue(plane.clone()));
    let schedules = SchedulesServiceServer::new(schedules::Schedules(plane.clone()));
    let relays = RelayServiceServer::new(follow::Relays(plane.clone()));
    Ok(Routes::from(pages)
        .add_service(health)
        .add_service(reflection)
        .add_service(enroll.max_decoding_message_size(MAX_FRAME))
        .add_service(machines.max_decoding_message_size(MAX_FRAME))
        .add_service(accounts.max_decoding_message_size(MAX_FRAME))
        .add_service(members.max_decoding_message_size(MAX_FRAME))
        .add_service(fleets.max_decoding_message_size(MAX_FRAME))
        .add_service(keys.max_decoding_message_size(MAX_FRAME))
        .add_service(audit.max_decoding_message_size(MAX_FRAME))
        .add_service(catalogue.max_decoding_message_size(MAX_FRAME))
        .add_service(schedules.max_decoding_message_size(MAX_FRAME))
        .add_service(relays.max_decoding_message_size(MAX_FRAME)))
}
