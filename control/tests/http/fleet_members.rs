//! Who is kept to fleets: what the control plane shows them, and what their tokens say.

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use cmdop_proto::token::{Claims, Role};
use cmdop_proto::v1::catalogue_service_client::CatalogueServiceClient;
use cmdop_proto::v1::fleet_admin_service_client::FleetAdminServiceClient;
use cmdop_proto::v1::machine_service_client::MachineServiceClient;
use cmdop_proto::v1::member_service_client::MemberServiceClient;
use cmdop_proto::v1::report::What;
use cmdop_proto::v1::schedules_service_client::SchedulesServiceClient;
use cmdop_proto::v1::{
    CreateFleetRequest, CreateScheduleRequest, Fleet, FleetMachinesRequest, FleetMembersRequest,
    GetCatalogueRequest, GetScheduleRequest, InviteRequest, ListCatalogueRequest,
    ListEnrolledRequest, ListFleetsRequest, ListMembersRequest, ListRunsRequest,
    ListSchedulesRequest, RemoveFleetRequest, Report, Session, SessionStatus,
};
use cmdop_proto::{Reach, Refusal, SessionId};
use serde_json::{Value, json};

use crate::relays::relay;
use crate::reports::report;
use crate::socket::Socket;
use crate::world::{Key, World, bearer, text};
use crate::{calls, introspection};

/// A workspace with the fleet `eu` and its machine `eu-1`, the machine `us-1`, and ada, who is kept to `eu`.
struct Kept {
    world: World,
    owner: Value,
    ada: Value,
    fleet: Fleet,
    here: String,
    there: String,
}

impl Kept {
    async fn start() -> Self {
        let world = World::start().await;
        let owner = world.owner().await;
        let ada = world.person("ada", "default", Role::Member).await;
        let mut ids = Vec::new();
        for name in ["eu-1", "us-1"] {
            ids.push(world.machine(name, &Key::new()).await);
        }
        let [here, there] = ids.try_into().unwrap();
        let token = &owner["access_token"];
        let mut fleets = FleetAdminServiceClient::new(world.channel().await);
        for name in ["eu", "us"] {
            let made = CreateFleetRequest { name: name.into() };
            fleets.create(bearer(made, token)).await.unwrap();
            let machines = FleetMachinesRequest {
                fleet: name.into(),
                machines: vec![format!("{name}-1")],
            };
            fleets.add_machines(bearer(machines, token)).await.unwrap();
        }
        let members = FleetMembersRequest {
            fleet: "eu".into(),
            members: vec!["ada".into()],
        };
        let fleet = fleets.add_members(bearer(members, token)).await.unwrap();
        let ada = world.refresh(&ada["refresh_token"]).await.unwrap();
        Self {
            world,
            owner,
            ada,
            fleet: fleet.into_inner(),
            here,
            there,
        }
    }

    /// What a token says.
    fn reach(token: &Value) -> Reach {
        let part = text(&token["access_token"]).split('.').nth(1).unwrap();
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(part).unwrap();
        serde_json::from_slice::<Claims>(&bytes).unwrap().reach
    }

    /// The names of machines and of fleets that somebody sees.
    async fn seen_by(&self, who: &Value) -> (String, String) {
        let (channel, token) = (self.world.channel().await, &who["access_token"]);
        let mut machines = MachineServiceClient::new(channel.clone());
        let machines = machines.list(bearer(ListEnrolledRequest {}, token)).await;
        let machines = machines.unwrap().into_inner().machines;
        let machines: Vec<_> = machines.into_iter().map(|machine| machine.name).collect();
        let mut fleets = FleetAdminServiceClient::new(channel);
        let fleets = fleets.list(bearer(ListFleetsRequest {}, token)).await;
        let fleets = fleets.unwrap().into_inner().fleets;
        let fleets: Vec<_> = fleets.into_iter().map(|fleet| fleet.name).collect();
        (machines.join(" "), fleets.join(" "))
    }

    /// A session on each machine, reported; their ids.
    async fn sessions(&self) -> [SessionId; 2] {
        let me = self
            .world
            .who_am_i(&self.ada["access_token"])
            .await
            .unwrap();
        let (token, _) = relay(&self.world, &Key::new()).await;
        let ids = [SessionId::new(), SessionId::new()];
        let reports = ids
            .iter()
            .zip([&self.here, &self.there])
            .map(|(id, machine)| {
                let session = Session {
                    id: id.to_string(),
                    machine_id: machine.clone(),
                    machine_name: "m".into(),
                    status: SessionStatus::Connected.into(),
                    created_at_ms: 1_800_000_000_000,
                    ..Session::default()
                };
                Report {
                    key: id.to_string(),
                    workspace_id: me.workspace_id.clone(),
                    at_ms: 1_800_000_000_000,
                    what: Some(What::Session(session)),
                }
            });
        report(&self.world, &token, reports.collect())
            .await
            .unwrap();
        ids
    }
}

#[tokio::test]
async fn a_token_names_the_fleets_and_the_lists_hold_nothing_else() {
    let kept = Kept::start().await;
    let fleet = kept.fleet.id.parse().unwrap();
    assert_eq!(Kept::reach(&kept.ada), Reach::Fleets(vec![fleet]));
    assert_eq!(Kept::reach(&kept.owner), Reach::All);
    let own = ("eu-1".to_owned(), "eu".to_owned());
    assert_eq!(kept.seen_by(&kept.ada).await, own);
    let all = ("eu-1 us-1".to_owned(), "eu us".to_owned());
    assert_eq!(kept.seen_by(&kept.owner).await, all);
    // A key is no way around.
    let key = kept.world.key_token(&kept.ada, &["machines:read"]).await;
    let key = json!({"access_token": key});
    assert_eq!(Kept::reach(&key), Reach::Fleets(vec![fleet]));
    assert_eq!(kept.seen_by(&key).await, own);
    kept.world.stop().await;
}

#[tokio::test]
async fn whoever_asks_what_a_token_is_learns_which_fleets_it_is_kept_to() {
    let kept = Kept::start().await;
    let (world, by) = (&kept.world, &kept.owner["access_token"]);
    let day = Duration::from_secs(86400);
    let key = world.key(&kept.ada, &["machines:read"], day).await;
    for token in [
        text(&kept.ada["access_token"]),
        text(&kept.ada["refresh_token"]),
        &key.secret,
    ] {
        let seen = introspection::ask(world, by, &token.into()).await;
        assert_eq!(seen["fleets"], json!([kept.fleet.id]), "{seen}");
    }
    let seen = introspection::ask(world, by, by).await;
    assert_eq!(seen.get("fleets"), None, "all: {seen}");
    kept.world.stop().await;
}

#[tokio::test]
async fn the_catalogue_has_the_sessions_of_the_machines_that_are_reached() {
    let kept = Kept::start().await;
    let [here, there] = kept.sessions().await;
    let channel = kept.world.channel().await;
    let mut catalogue = CatalogueServiceClient::new(channel);
    for (who, seen) in [(&kept.ada, vec![here]), (&kept.owner, vec![here, there])] {
        let token = &who["access_token"];
        let listed = catalogue
            .list(bearer(ListCatalogueRequest::default(), token))
            .await;
        let listed = listed.unwrap().into_inner().sessions;
        let mut listed: Vec<SessionId> = listed.iter().map(|s| s.id.parse().unwrap()).collect();
        listed.sort();
        assert_eq!(listed, seen);
        for session in [here, there] {
            let get = GetCatalogueRequest {
                session_id: session.to_string(),
            };
            let got = catalogue.get(bearer(get, token)).await;
            assert_eq!(got.is_ok(), seen.contains(&session));
        }
    }
    kept.world.stop().await;
}

#[tokio::test]
async fn events_of_a_session_that_is_not_reached_are_refused_and_those_of_the_workspace() {
    let kept = Kept::start().await;
    let [here, there] = kept.sessions().await;
    let me = kept
        .world
        .who_am_i(&kept.ada["access_token"])
        .await
        .unwrap();
    let mut socket = Socket::of(&kept.world, &kept.ada).await;
    for (channel, may) in [
        (format!("session:{here}"), true),
        (format!("session:{there}"), false),
        (format!("workspace:{}", me.workspace_id), false),
    ] {
        let answer = socket.subscribe(&channel).await;
        assert_eq!(answer["code"].is_null(), may, "{channel}: {answer}");
    }
    kept.world.stop().await;
}

#[tokio::test]
async fn a_connection_does_not_outlive_what_it_was_opened_with_by_showing_another_token() {
    let kept = Kept::start().await;
    let me = kept.world.who_am_i(&kept.owner["access_token"]).await;
    let workspace = me.unwrap().workspace_id;
    let heidi = kept.world.person("heidi", "default", Role::Member).await;
    let scopes = ["machines:read", "sessions:read"];
    let key = kept.world.key(&heidi, &scopes, Duration::ZERO).await.secret;
    let mut socket = Socket::open(&kept.world).await;
    socket.connect(&key).await;
    let heard = socket.subscribe(&format!("workspace:{workspace}")).await;
    assert!(heard["code"].is_null(), "{heard}");
    let mut fleets = FleetAdminServiceClient::new(kept.world.channel().await);
    let members = FleetMembersRequest {
        fleet: "eu".into(),
        members: vec!["heidi".into()],
    };
    let confine = bearer(members, &kept.owner["access_token"]);
    fleets.add_members(confine).await.unwrap();
    // Perhaps before the connection was told.
    let refresh = json!({"id": 9, "refresh": {"token": key}});
    socket.send(refresh.to_string()).await;
    assert_eq!(socket.end().await.0, 3005);
    kept.world.stop().await;
}

#[tokio::test]
async fn what_a_member_is_kept_to_is_not_told_to_who_is_kept_elsewhere() {
    let kept = Kept::start().await;
    kept.world.person("heidi", "default", Role::Guest).await;
    let mut fleets = FleetAdminServiceClient::new(kept.world.channel().await);
    let members = FleetMembersRequest {
        fleet: "us".into(),
        members: vec!["heidi".into()],
    };
    let confine = bearer(members, &kept.owner["access_token"]);
    fleets.add_members(confine).await.unwrap();
    let mut members = MemberServiceClient::new(kept.world.channel().await);
    for (who, heidis) in [(&kept.ada, &[][..]), (&kept.owner, &["us"])] {
        let list = bearer(ListMembersRequest::default(), &who["access_token"]);
        let listed = members.list(list).await.unwrap().into_inner().members;
        let heidi = listed.iter().find(|member| member.name == "heidi");
        assert_eq!(heidi.unwrap().fleets, heidis);
    }
    kept.world.stop().await;
}

#[tokio::test]
async fn schedules_of_others_are_not_there_and_those_of_ones_own_find_no_other_machine() {
    let kept = Kept::start().await;
    let mut schedules = SchedulesServiceClient::new(kept.world.channel().await);
    let mut make = async |who: &Value, name: &str| {
        let create = CreateScheduleRequest {
            request_id: uuid::Uuid::new_v4().to_string(),
            name: name.into(),
            spec: Some(calls::spec()),
        };
        let made = schedules.create(bearer(create, &who["access_token"])).await;
        made.unwrap().into_inner().id
    };
    let other = make(&kept.owner, "theirs").await;
    make(&kept.ada, "mine").await;
    let token = &kept.ada["access_token"];
    let listed = schedules
        .list(bearer(ListSchedulesRequest::default(), token))
        .await;
    let listed = listed.unwrap().into_inner().schedules;
    let names: Vec<_> = listed.iter().map(|schedule| &schedule.name).collect();
    assert_eq!(names, ["mine"]);
    for schedule in [&other, "theirs"] {
        let get = GetScheduleRequest {
            schedule: schedule.to_owned(),
        };
        let got = schedules.get(bearer(get, token)).await.unwrap_err();
        assert_eq!(Refusal::from(got).reason, "schedule-unknown");
        let runs = ListRunsRequest {
            schedule: schedule.to_owned(),
            ..ListRunsRequest::default()
        };
        let got = schedules.runs(bearer(runs, token)).await.unwrap_err();
        assert_eq!(Refusal::from(got).reason, "schedule-unknown");
    }
    kept.world.stop().await;
}

#[tokio::test]
async fn a_fleet_that_goes_leaves_its_members_with_nothing_until_somebody_says_otherwise() {
    let kept = Kept::start().await;
    let token = &kept.owner["access_token"];
    let mut fleets = FleetAdminServiceClient::new(kept.world.channel().await);
    let remove = RemoveFleetRequest { fleet: "eu".into() };
    fleets.remove(bearer(remove, token)).await.unwrap();
    let refused = kept.world.who_am_i(&kept.ada["access_token"]).await;
    assert_eq!(refused.unwrap_err().reason, "token-revoked");
    let ada = kept
        .world
        .refresh(&kept.ada["refresh_token"])
        .await
        .unwrap();
    assert_eq!(Kept::reach(&ada), Reach::Fleets(Vec::new()));
    assert_eq!(kept.seen_by(&ada).await, (String::new(), String::new()));
    let mut members = MemberServiceClient::new(kept.world.channel().await);
    let listed = members
        .list(bearer(ListMembersRequest::default(), token))
        .await;
    let listed = listed.unwrap().into_inner().members;
    let reach: Vec<_> = listed.iter().map(|m| (&m.name[..], &m.reach[..])).collect();
    assert_eq!(reach, [("ada", "fleets"), ("owner", "all")]);
    // Somebody who governs is not invited into a fleet.
    let invite = InviteRequest {
        role: "admin".into(),
        fleets: vec!["us".into()],
        ..InviteRequest::default()
    };
    let refused = members.invite(bearer(invite, token)).await.unwrap_err();
    assert_eq!(Refusal::from(refused).reason, "bad-request");
    kept.world.stop().await;
}
