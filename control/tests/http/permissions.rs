//! Who may call what: roles, scopes, and workspaces, each call with each.

#![allow(
    clippy::wildcard_imports,
    reason = "it names most messages that there are"
)]

use std::collections::BTreeSet;

use cmdop_proto::ErrorKind;
use cmdop_proto::scope::Scope;
use cmdop_proto::token::Role;
use cmdop_proto::v1::*;
use prost::Message as _;
use prost_types::FileDescriptorSet;
use serde_json::Value;
use tonic::transport::Channel;

use crate::calls::{self, Things};
use crate::relays::relay;
use crate::world::{Key, World, bearer};

const ROLES: [Role; 4] = [Role::Guest, Role::Member, Role::Admin, Role::Owner];

/// Calls that no account's token opens: what does is in the request, or is a relay's.
const OTHERS: [&str; 5] = [
    "EnrollService/EnrollMachine",
    "EnrollService/EnrollRelay",
    "RelayService/Follow",
    "RelayService/Progress",
    "RelayService/Report",
];

/// What the relay serves; its own table has these.
const OF_RELAYS: [&str; 5] = [
    "AgentService",
    "SessionService",
    "ExecService",
    "FileService",
    "FleetService",
];

impl World {
    /// Something of each kind in the workspace `default`, with names that stand nowhere else.
    pub async fn things(&self, owner: &Value, relay: &Value, mark: &str) -> Things {
        let machine = self
            .machine(&format!("marked-machine-{mark}"), &Key::new())
            .await;
        let member = self
            .admin()
            .await
            .create_account(
                &format!("marked-member-{mark}"),
                "default",
                Role::Guest,
                None,
            )
            .await
            .unwrap();
        let channel = self.channel().await;
        let token = &owner["access_token"];
        let name = format!("marked-fleet-{mark}");
        let fleet = fleet_admin_service_client::FleetAdminServiceClient::new(channel.clone())
            .create(bearer(CreateFleetRequest { name }, token))
            .await
            .unwrap();
        let invite = InviteRequest {
            role: "guest".into(),
            note: format!("marked-note-{mark}"),
            ..InviteRequest::default()
        };
        let invited = member_service_client::MemberServiceClient::new(channel.clone())
            .invite(bearer(invite, token))
            .await
            .unwrap();
        let key = IssueKeyRequest {
            name: format!("marked-key-{mark}"),
            scopes: vec!["exec".into()],
            lifetime_ms: 0,
        };
        let key = key_service_client::KeyServiceClient::new(channel.clone())
            .issue(bearer(key, token))
            .await
            .unwrap();
        let (schedule, run) = schedule(channel, token, mark).await;
        Things {
            schedule,
            run,
            machine,
            member: member.to_string(),
            invitation: invited.into_inner().invitation.unwrap().id,
            fleet: fleet.into_inner().id,
            key: key.into_inner().key.unwrap().id,
            session: self.session(&owner["access_token"], relay, mark).await,
        }
    }
}

/// A schedule of the bearer's, and a run of it.
async fn schedule(channel: Channel, token: &Value, mark: &str) -> (String, String) {
    let mut schedules = schedules_service_client::SchedulesServiceClient::new(channel);
    let create = CreateScheduleRequest {
        request_id: uuid::Uuid::new_v4().to_string(),
        name: format!("marked-schedule-{mark}"),
        spec: Some(calls::spec()),
    };
    let made = schedules.create(bearer(create, token)).await.unwrap();
    let made = made.into_inner().id;
    let run = RunScheduleRequest {
        schedule: made.clone(),
        request_id: uuid::Uuid::new_v4().to_string(),
    };
    let run = schedules.run_now(bearer(run, token)).await.unwrap();
    (made, run.into_inner().run_id)
}

/// A member changes schedules of their own only.
const OF_OTHERS: [&str; 3] = [
    "SchedulesService/Update",
    "SchedulesService/RunNow",
    "SchedulesService/Remove",
];

impl World {
    /// A session of the bearer's workspace in the catalogue, as a relay reported it.
    async fn session(&self, token: &Value, relay: &Value, mark: &str) -> String {
        let me = self.who_am_i(token).await.unwrap();
        let id = cmdop_proto::SessionId::new().to_string();
        let session = Session {
            id: id.clone(),
            machine_id: cmdop_proto::MachineId::new().to_string(),
            name: format!("marked-session-{mark}"),
            status: SessionStatus::Connected.into(),
            ..Session::default()
        };
        let report = Report {
            key: id.clone(),
            workspace_id: me.workspace_id,
            at_ms: 1,
            what: Some(report::What::Session(session)),
        };
        let request = ReportRequest {
            reports: vec![report],
        };
        relay_service_client::RelayServiceClient::new(self.channel().await)
            .report(bearer(request, relay))
            .await
            .unwrap();
        id
    }
}

#[test]
fn no_call_is_missing_from_the_tables() {
    let set = FileDescriptorSet::decode(cmdop_proto::FILE_DESCRIPTOR_SET).unwrap();
    let services = set.file.iter().flat_map(|file| &file.service);
    let ours = services.filter(|service| !OF_RELAYS.contains(&service.name()));
    let declared: BTreeSet<String> = ours
        .flat_map(|service| {
            let methods = service.method.iter();
            methods.map(|method| format!("{}/{}", service.name(), method.name()))
        })
        .collect();
    let tried: BTreeSet<String> = calls::all()
        .iter()
        .map(|call| call.name.to_owned())
        .chain(OTHERS.map(str::to_owned))
        .collect();
    assert_eq!(declared, tried);
}

#[tokio::test]
async fn each_role_may_call_exactly_what_the_table_says() {
    let world = World::start().await;
    let owner = world.owner().await;
    let (relay, _) = relay(&world, &Key::new()).await;
    for role in ROLES {
        let person = world
            .person(&format!("as-{}", role.as_str()), "default", role)
            .await;
        for call in calls::all() {
            let mark = format!("{}-{}", role.as_str(), call.name.replace('/', "-"));
            // Who may not is refused before anybody looks what it is about.
            let things = if call.about && role >= call.least {
                world.things(&owner, &relay, &mark.to_lowercase()).await
            } else {
                Things::default()
            };
            let token = person["access_token"].clone();
            let answer = (call.make)(world.channel().await, token, things).await;
            let name = call.name;
            match answer {
                Ok(_) if OF_OTHERS.contains(&name) => {
                    assert!(role >= Role::Admin, "{role:?} may not {name}");
                }
                Ok(_) => assert!(role >= call.least, "{role:?} may not {name}"),
                // A member revokes keys of their own only: those of others are not there.
                Err(refusal) if name == "KeyService/Revoke" && role == Role::Member => {
                    assert_eq!(refusal.reason, "key-unknown");
                }
                Err(refusal) if OF_OTHERS.contains(&name) && role == Role::Member => {
                    assert_eq!(refusal.reason, "role-too-low", "{name}");
                }
                Err(refusal) => {
                    assert!(role < call.least, "{role:?} {name}: {refusal:?}");
                    assert_eq!(refusal.reason, "role-too-low", "{role:?} {name}");
                }
            }
        }
    }
    world.stop().await;
}

#[tokio::test]
async fn the_owner_of_another_workspace_finds_nothing_of_this_one() {
    let world = World::start().await;
    let owner = world.owner().await;
    let (relay, _) = relay(&world, &Key::new()).await;
    let things = world.things(&owner, &relay, "here").await;
    world.admin().await.create_workspace("other").await.unwrap();
    let stranger = world.person("eve", "other", Role::Owner).await;
    for call in calls::all() {
        let token = stranger["access_token"].clone();
        let answer = (call.make)(world.channel().await, token, things.clone()).await;
        match answer {
            Ok(told) => {
                assert!(!call.about, "{} reached another workspace", call.name);
                assert!(!told.contains("marked-"), "{}: {told}", call.name);
            }
            Err(refusal) => {
                assert!(call.about, "{}: {refusal:?}", call.name);
                assert_eq!(
                    refusal.kind,
                    ErrorKind::NotFound,
                    "{}: {refusal:?}",
                    call.name
                );
            }
        }
    }
    // And all of it is still there, as it was.
    for call in calls::all()
        .iter()
        .filter(|call| call.name.ends_with("/List"))
    {
        let token = owner["access_token"].clone();
        let told = (call.make)(world.channel().await, token, Things::default()).await;
        let told = told.unwrap();
        if call.name != "AuditService/List" {
            assert!(told.contains("marked-"), "{}: {told}", call.name);
        }
        assert!(!told.contains("eve"), "{}: {told}", call.name);
    }
    world.stop().await;
}

#[tokio::test]
async fn nothing_is_answered_without_a_token_or_with_one_of_another_kind() {
    let world = World::start().await;
    let key = Key::new();
    let id = world.machine("web-1", &key).await;
    let machine = world.assert(&key, &id, 0).await.unwrap();
    for call in calls::all() {
        for (token, reasons) in [
            (Value::from(""), &["not-logged-in", "token-malformed"][..]),
            (Value::from("cmdop_live_nonsense"), &["key-unknown"][..]),
            (machine["access_token"].clone(), &["wrong-bearer"][..]),
        ] {
            let answer = (call.make)(world.channel().await, token, Things::default()).await;
            let refusal = answer.unwrap_err();
            assert!(
                reasons.contains(&refusal.reason.as_str()),
                "{}: {refusal:?}",
                call.name
            );
        }
    }
    world.stop().await;
}

#[tokio::test]
async fn a_token_with_one_scope_opens_what_needs_that_scope_and_nothing_else() {
    let world = World::start().await;
    let owner = world.owner().await;
    for scope in Scope::ALL {
        let token = world.key_token(&owner, &[scope.as_str()]).await;
        for call in calls::all() {
            // What would be done is not the question here: nothing has these names.
            let nothing = Things {
                machine: "none".into(),
                member: "none".into(),
                invitation: "none".into(),
                fleet: "none".into(),
                key: "none".into(),
                session: "none".into(),
                schedule: "none".into(),
                run: "none".into(),
            };
            let answer = (call.make)(world.channel().await, token.clone(), nothing).await;
            let service = call.name.split('/').next().unwrap();
            let reads = call.name.ends_with("/List");
            let needed = match service {
                "AccountService" => None,
                "FleetAdminService" if call.name.ends_with("Members") => Some(Scope::Admin),
                "MachineService" | "FleetAdminService" if reads => Some(Scope::MachinesRead),
                "MachineService" | "FleetAdminService" => Some(Scope::MachinesWrite),
                "CatalogueService" => Some(Scope::SessionsRead),
                "SchedulesService" => Some(Scope::Schedules),
                _ => Some(Scope::Admin),
            };
            let is_denied = answer
                .as_ref()
                .is_err_and(|refusal| refusal.reason == "scope-missing");
            let expected = needed.is_some_and(|needed| needed != scope)
                // A key cannot make a key that may more than itself.
                || call.name == "KeyService/Issue"
                // What makes programs run takes `exec` too.
                || ["SchedulesService/Create", "SchedulesService/RunNow"].contains(&call.name);
            assert_eq!(is_denied, expected, "{scope:?} {}: {answer:?}", call.name);
        }
    }
    world.stop().await;
}
