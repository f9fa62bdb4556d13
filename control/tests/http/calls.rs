//! Every call that takes an account's token, as a table: its name, the lowest role that may, and how it is
//! made about the things of one workspace.

#![allow(
    clippy::wildcard_imports,
    unused_braces,
    reason = "the formatter puts them around what does not fit a line"
)]

use cmdop_proto::Refusal;
use cmdop_proto::token::Role;
use cmdop_proto::v1::*;
use futures_util::future::BoxFuture;
use serde_json::Value;
use tonic::transport::Channel;

use crate::world::bearer;

/// Things of one workspace that a call can be about.
#[derive(Clone, Debug, Default)]
pub struct Things {
    pub machine: String,
    pub member: String,
    pub invitation: String,
    pub fleet: String,
    pub key: String,
    pub session: String,
    pub schedule: String,
    pub run: String,
}

/// What a call's answer says, or why there is none.
pub type Answer = Result<String, Refusal>;

pub struct Call {
    /// `Service/Method`.
    pub name: &'static str,
    pub least: Role,
    /// Whether it names something of a workspace: about another one's, that is not found.
    pub about: bool,
    pub make: fn(Channel, Value, Things) -> BoxFuture<'static, Answer>,
}

macro_rules! call {
    ($name:literal, $least:ident, $about:literal, $client:ident :: $method:ident, |$things:ident| $request:expr) => {
        Call {
            name: $name,
            least: Role::$least,
            about: $about,
            make: |channel, token, $things| {
                Box::pin(async move {
                    let _ = &$things;
                    let mut client = $client::new(channel);
                    let answer = client.$method(bearer($request, &token)).await;
                    Ok(format!("{:?}", answer.map_err(Refusal::from)?.into_inner()))
                })
            },
        }
    };
}

use account_service_client::AccountServiceClient as Accounts;
use audit_service_client::AuditServiceClient as Audit;
use catalogue_service_client::CatalogueServiceClient as Catalogue;
use fleet_admin_service_client::FleetAdminServiceClient as Fleets;
use key_service_client::KeyServiceClient as Keys;
use machine_service_client::MachineServiceClient as Machines;
use member_service_client::MemberServiceClient as Members;
use schedules_service_client::SchedulesServiceClient as Schedules;

/// Something that is not due for a hundred years.
pub fn spec() -> ScheduleSpec {
    ScheduleSpec {
        when: Some(schedule_spec::When::AtMs(4_900_000_000_000)),
        command: vec!["true".into()],
        machines: vec!["nowhere".into()],
        ..ScheduleSpec::default()
    }
}

fn new_id() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// All of them. Those that remove something come after those that need it.
pub fn all() -> Vec<Call> {
    vec![
        call!(
            "AccountService/WhoAmI",
            Guest,
            false,
            Accounts::who_am_i,
            |_t| WhoAmIRequest {}
        ),
        call!("MachineService/List", Guest, false, Machines::list, |_t| {
            ListEnrolledRequest {}
        }),
        call!(
            "MachineService/Rename",
            Admin,
            true,
            Machines::rename,
            |t| {
                RenameMachineRequest {
                    machine: t.machine.clone(),
                    name: format!("m-{}", uuid::Uuid::new_v4().simple()),
                }
            }
        ),
        call!("MachineService/Label", Admin, true, Machines::label, |t| {
            LabelMachineRequest {
                machine: t.machine.clone(),
                ..LabelMachineRequest::default()
            }
        }),
        call!(
            "MachineService/CreateEnrollToken",
            Admin,
            false,
            Machines::create_enroll_token,
            |_t| { CreateEnrollTokenRequest::default() }
        ),
        call!("FleetAdminService/List", Guest, false, Fleets::list, |_t| {
            ListFleetsRequest {}
        }),
        call!(
            "FleetAdminService/Create",
            Admin,
            false,
            Fleets::create,
            |_t| CreateFleetRequest {
                name: format!("f-{}", uuid::Uuid::new_v4()),
            }
        ),
        call!(
            "FleetAdminService/AddMachines",
            Admin,
            true,
            Fleets::add_machines,
            |t| {
                FleetMachinesRequest {
                    fleet: t.fleet.clone(),
                    machines: vec![t.machine.clone()],
                }
            }
        ),
        call!(
            "FleetAdminService/RemoveMachines",
            Admin,
            true,
            Fleets::remove_machines,
            |t| {
                FleetMachinesRequest {
                    fleet: t.fleet.clone(),
                    machines: vec![t.machine.clone()],
                }
            }
        ),
        call!(
            "FleetAdminService/AddMembers",
            Admin,
            true,
            Fleets::add_members,
            |t| {
                FleetMembersRequest {
                    fleet: t.fleet.clone(),
                    members: vec![t.member.clone()],
                }
            }
        ),
        call!(
            "FleetAdminService/RemoveMembers",
            Admin,
            true,
            Fleets::remove_members,
            |t| {
                FleetMembersRequest {
                    fleet: t.fleet.clone(),
                    members: vec![t.member.clone()],
                }
            }
        ),
        call!(
            "FleetAdminService/Rename",
            Admin,
            true,
            Fleets::rename,
            |t| RenameFleetRequest {
                fleet: t.fleet.clone(),
                name: format!("f-{}", uuid::Uuid::new_v4()),
            }
        ),
        call!(
            "FleetAdminService/Remove",
            Admin,
            true,
            Fleets::remove,
            |t| RemoveFleetRequest {
                fleet: t.fleet.clone(),
            }
        ),
        call!(
            "MachineService/Remove",
            Admin,
            true,
            Machines::remove,
            |t| RemoveMachineRequest {
                machine: t.machine.clone(),
            }
        ),
        call!("MemberService/List", Guest, false, Members::list, |_t| {
            ListMembersRequest::default()
        }),
        call!(
            "MemberService/SetRole",
            Admin,
            true,
            Members::set_role,
            |t| SetRoleRequest {
                member: t.member.clone(),
                role: "guest".into(),
            }
        ),
        call!(
            "MemberService/SetReach",
            Admin,
            true,
            Members::set_reach,
            |t| SetReachRequest {
                member: t.member.clone(),
                reach: "fleets".into(),
            }
        ),
        call!(
            "MemberService/Invite",
            Admin,
            false,
            Members::invite,
            |_t| InviteRequest {
                role: "guest".into(),
                ..InviteRequest::default()
            }
        ),
        call!(
            "MemberService/ListInvitations",
            Admin,
            false,
            Members::list_invitations,
            |_t| { ListInvitationsRequest {} }
        ),
        call!(
            "MemberService/RevokeInvitation",
            Admin,
            true,
            Members::revoke_invitation,
            |t| {
                RevokeInvitationRequest {
                    id: t.invitation.clone(),
                }
            }
        ),
        call!("KeyService/Issue", Member, false, Keys::issue, |_t| {
            IssueKeyRequest {
                name: "k".into(),
                scopes: vec!["exec".into()],
                lifetime_ms: 0,
            }
        }),
        call!("KeyService/List", Member, false, Keys::list, |_t| {
            ListKeysRequest::default()
        }),
        call!("KeyService/Revoke", Member, true, Keys::revoke, |t| {
            RevokeKeyRequest { key: t.key.clone() }
        }),
        call!("MemberService/Remove", Admin, true, Members::remove, |t| {
            RemoveMemberRequest {
                member: t.member.clone(),
            }
        }),
        call!("AuditService/List", Admin, false, Audit::list, |_t| {
            ListAuditRequest::default()
        }),
        call!(
            "CatalogueService/List",
            Guest,
            false,
            Catalogue::list,
            |_t| ListCatalogueRequest::default()
        ),
        call!("CatalogueService/Get", Guest, true, Catalogue::get, |t| {
            GetCatalogueRequest {
                session_id: t.session.clone(),
            }
        }),
        call!(
            "SchedulesService/Create",
            Member,
            false,
            Schedules::create,
            |_t| CreateScheduleRequest {
                request_id: new_id(),
                name: format!("s-{}", new_id()),
                spec: Some(spec()),
            }
        ),
        call!(
            "SchedulesService/List",
            Member,
            false,
            Schedules::list,
            |_t| ListSchedulesRequest::default()
        ),
        call!("SchedulesService/Get", Member, true, Schedules::get, |t| {
            GetScheduleRequest {
                schedule: t.schedule.clone(),
            }
        }),
        call!(
            "SchedulesService/Update",
            Member,
            true,
            Schedules::update,
            |t| UpdateScheduleRequest {
                schedule: t.schedule.clone(),
                paused: true,
            }
        ),
        call!(
            "SchedulesService/RunNow",
            Member,
            true,
            Schedules::run_now,
            |t| RunScheduleRequest {
                schedule: t.schedule.clone(),
                request_id: new_id(),
            }
        ),
        call!(
            "SchedulesService/Runs",
            Member,
            true,
            Schedules::runs,
            |t| ListRunsRequest {
                schedule: t.schedule.clone(),
                ..ListRunsRequest::default()
            }
        ),
        call!(
            "SchedulesService/Output",
            Member,
            true,
            Schedules::output,
            |t| RunOutputRequest {
                schedule: t.schedule.clone(),
                run_id: t.run.clone(),
                ..RunOutputRequest::default()
            }
        ),
        call!(
            "SchedulesService/Remove",
            Member,
            true,
            Schedules::remove,
            |t| RemoveScheduleRequest {
                schedule: t.schedule.clone(),
            }
        ),
        Call {
            name: "AuditService/Follow",
            least: Role::Admin,
            about: false,
            make: |channel, token, _| {
                Box::pin(async move {
                    let mut client = Audit::new(channel);
                    let request = bearer(FollowAuditRequest::default(), &token);
                    let stream = client.follow(request).await.map_err(Refusal::from)?;
                    let first = stream.into_inner().message().await;
                    Ok(format!("{:?}", first.map_err(Refusal::from)?))
                })
            },
        },
    ]
}
