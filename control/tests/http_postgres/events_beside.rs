//! Two control planes on one database: what one hears, the clients of the other are told, by the same numbers.

use std::time::Duration;

use cmdop_control::Config;
use cmdop_control::store::DatabaseUrl;
use tokio_util::sync::CancellationToken;

use crate::events::Teller;
use crate::socket::Socket;
use crate::world::{World, text};

#[tokio::test]
async fn both_serve_the_same_streams_by_the_same_numbers() {
    let world = World::start().await;
    let owner = world.owner().await;
    let mut teller = Teller::of(&world, &owner).await;
    // The same keys and the same CA: one control plane, twice.
    let keys = world.data.path().join("control");
    let beside = world.data.path().join("beside");
    std::fs::create_dir(&beside).unwrap();
    for entry in std::fs::read_dir(&keys).unwrap().flatten() {
        if entry.file_type().unwrap().is_file()
            && !entry.file_name().to_string_lossy().contains("lock")
        {
            std::fs::copy(entry.path(), beside.join(entry.file_name())).unwrap();
        }
    }
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(&beside, mode).unwrap();
    let stop = CancellationToken::new();
    let url = world.database.url().unwrap();
    let config = Config {
        listen: ([127, 0, 0, 1], 0).into(),
        database: Some(DatabaseUrl::parse(&url).unwrap()),
        ..Config::new(&beside)
    };
    let other = cmdop_control::serve(config, stop.clone()).await.unwrap();
    let channel = teller.channel();
    let mut here = Socket::of(&world, &owner).await;
    let mut there = Socket::open_at(&other.url, &other.ca_pem, None)
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
    let mut again = Socket::open_at(&other.url, &other.ca_pem, None)
        .await
        .unwrap();
    again.connect(text(&owner["access_token"])).await;
    let back = again.recover(&channel, begun_at, &begun["epoch"]).await;
    assert_eq!(back["recovered"], true);
    assert_eq!(back["publications"].as_array().unwrap().len(), 50);
    stop.cancel();
    let ended = tokio::time::timeout(Duration::from_secs(10), other.ended());
    ended.await.expect("it stops within 10 s").unwrap();
    world.stop().await;
}
