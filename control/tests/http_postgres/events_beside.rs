//! Two control planes on one database: what one hears, the clients of the other are told, by the same numbers.

use crate::beside::Beside;
use crate::events::Teller;
use crate::socket::Socket;
use crate::world::{World, text};

#[tokio::test]
async fn both_serve_the_same_streams_by_the_same_numbers() {
    let world = World::start().await;
    let owner = world.owner().await;
    let mut teller = Teller::of(&world, &owner).await;
    let other = Beside::start(&world).await;
    let channel = teller.channel();
    let mut here = Socket::of(&world, &owner).await;
    let mut there = Socket::open_at(&other.running.url, &other.running.ca_pem, None)
        .await
        .unwrap();
    there.connect(text(&owner["access_token"])).await;
    let begun = here.subscribe(&channel).await;
    assert_eq!(there.subscribe(&channel).await, begun);
    let ids = teller.sessions(&world, 50).await;
    for id in &ids {
        let told = here.event(&channel).await;
        assert_eq!(there.event(&channel).await, told);
        assert_eq!(told.1["session"]["id"], id.to_string());
    }
    // Who loses one of the two goes on at the other.
    drop(here);
    let begun_at = begun["offset"].as_u64().unwrap();
    let mut again = Socket::open_at(&other.running.url, &other.running.ca_pem, None)
        .await
        .unwrap();
    again.connect(text(&owner["access_token"])).await;
    let back = again.recover(&channel, begun_at, &begun["epoch"]).await;
    assert_eq!(back["recovered"], true);
    assert_eq!(back["publications"].as_array().unwrap().len(), 50);
    other.stop().await;
    world.stop().await;
}
