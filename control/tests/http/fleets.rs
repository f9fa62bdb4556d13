//! Fleets: what is in them, and that relays hear of it.

use cmdop_proto::Refusal;
use cmdop_proto::v1::control_event::Event;
use cmdop_proto::v1::fleet_admin_service_client::FleetAdminServiceClient;
use cmdop_proto::v1::{
    CreateFleetRequest, Fleet, FleetMachinesRequest, ListFleetsRequest, RemoveFleetRequest,
    RenameFleetRequest,
};
use serde_json::Value;
use tonic::transport::Channel;

use crate::relays::{follow, next, relay, snapshot};
use crate::world::{Key, World, bearer};

async fn client(world: &World) -> FleetAdminServiceClient<Channel> {
    FleetAdminServiceClient::new(world.channel().await)
}

async fn create(world: &World, by: &Value, name: &str) -> Result<Fleet, Refusal> {
    let request = CreateFleetRequest { name: name.into() };
    let mut client = client(world).await;
    let made = client.create(bearer(request, &by["access_token"]));
    Ok(made.await.map_err(Refusal::from)?.into_inner())
}

async fn add(world: &World, by: &Value, fleet: &str, machines: &[&str]) -> Result<Fleet, Refusal> {
    let request = FleetMachinesRequest {
        fleet: fleet.into(),
        machines: machines.iter().map(ToString::to_string).collect(),
    };
    let mut client = client(world).await;
    let changed = client.add_machines(bearer(request, &by["access_token"]));
    Ok(changed.await.map_err(Refusal::from)?.into_inner())
}

#[tokio::test]
async fn a_relay_hears_of_a_machines_fleets_at_each_change() {
    let world = World::start().await;
    let owner = world.owner().await;
    let machine = world.machine("web-1", &Key::new()).await;
    let (token, id) = relay(&world, &Key::new()).await;
    let mut stream = follow(&world, &token, &id).await;
    snapshot(&mut stream).await;
    let mut heard = async || match next(&mut stream).await.unwrap() {
        Event::Machine(told) if told.id == machine => told.fleets,
        other => panic!("{other:?}"),
    };
    create(&world, &owner, "eu").await.unwrap();
    create(&world, &owner, "blue").await.unwrap();
    let fleet = add(&world, &owner, "EU", &["web-1"]).await.unwrap();
    assert_eq!(fleet.machine_count, 1);
    assert_eq!(heard().await, ["eu"]);
    add(&world, &owner, "blue", &["web-1"]).await.unwrap();
    assert_eq!(heard().await, ["blue", "eu"]);
    // What is in already stays in, and nobody is told.
    add(&world, &owner, "blue", &["web-1"]).await.unwrap();
    let token = &owner["access_token"];
    let rename = RenameFleetRequest {
        fleet: "eu".into(),
        name: "europe".into(),
    };
    let mut fleets = client(&world).await;
    fleets.rename(bearer(rename, token)).await.unwrap();
    assert_eq!(heard().await, ["blue", "europe"]);
    let out = FleetMachinesRequest {
        fleet: "blue".into(),
        machines: vec!["web-1".into()],
    };
    fleets.remove_machines(bearer(out, token)).await.unwrap();
    assert_eq!(heard().await, ["europe"]);
    let gone = RemoveFleetRequest {
        fleet: "europe".into(),
    };
    fleets.remove(bearer(gone, token)).await.unwrap();
    assert!(heard().await.is_empty());
    let left = fleets
        .list(bearer(ListFleetsRequest {}, token))
        .await
        .unwrap();
    let names: Vec<_> = left
        .into_inner()
        .fleets
        .into_iter()
        .map(|f| f.name)
        .collect();
    assert_eq!(names, ["blue"]);
    world.stop().await;
}

#[tokio::test]
async fn a_change_that_cannot_be_whole_is_not_made() {
    let world = World::start().await;
    let owner = world.owner().await;
    world.machine("web-1", &Key::new()).await;
    create(&world, &owner, "eu").await.unwrap();
    let refused = add(&world, &owner, "eu", &["web-1", "web-2"])
        .await
        .unwrap_err();
    assert_eq!(refused.reason, "machine-unknown");
    assert!(refused.message.contains("web-2"), "{refused}");
    let refused = create(&world, &owner, "EU").await.unwrap_err();
    assert_eq!(refused.reason, "fleet-name-taken");
    let refused = create(&world, &owner, "a,b").await.unwrap_err();
    assert_eq!(refused.reason, "bad-request");
    let refused = add(&world, &owner, "us", &["web-1"]).await.unwrap_err();
    assert_eq!(refused.reason, "fleet-unknown");
    for n in 0..16 {
        let name = format!("f{n}");
        create(&world, &owner, &name).await.unwrap();
        add(&world, &owner, &name, &["web-1"]).await.unwrap();
    }
    let refused = add(&world, &owner, "eu", &["web-1"]).await.unwrap_err();
    assert_eq!(refused.reason, "too-many-fleets");
    let token = &owner["access_token"];
    let mut fleets = client(&world).await;
    let listed = fleets
        .list(bearer(ListFleetsRequest {}, token))
        .await
        .unwrap();
    let eu = listed
        .into_inner()
        .fleets
        .into_iter()
        .find(|f| f.name == "eu");
    assert_eq!(eu.unwrap().machine_count, 0);
    world.stop().await;
}
