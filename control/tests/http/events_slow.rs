//! Clients of events that do not read: they hold up nobody, cost no more than a bound, and come back.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use crate::events::Teller;
use crate::socket::Socket;
use crate::world::World;

/// What the server waits for a client, and for its farewell; and what a test machine that is busy needs besides.
const PATIENCE: Duration = Duration::from_secs(10);
const FAREWELL: Duration = Duration::from_secs(1);
const BUSY: Duration = Duration::from_secs(10);

/// More than the server keeps for all, and than the system takes in for one connection.
const MANY: usize = 4000;

#[tokio::test]
async fn who_stops_reading_holds_up_nobody_is_ended_and_recovers_what_is_kept() {
    let world = World::start().await;
    let owner = world.owner().await;
    let mut teller = Teller::of(&world, &owner).await;
    let channel = teller.channel();
    let mut late = Socket::narrow(&world, &owner).await;
    let mut never = Socket::narrow(&world, &owner).await;
    let mut quick = Socket::of(&world, &owner).await;
    let begun = late.subscribe(&channel).await;
    for socket in [&mut never, &mut quick] {
        socket.subscribe(&channel).await;
    }
    let first = begun["offset"].as_u64().unwrap();
    // The account has so many places: one of them is the one's that will never read.
    let mut others = Vec::new();
    for _ in 0..29 {
        others.push(Socket::of(&world, &owner).await);
    }
    let since = Instant::now();
    let mut next = first;
    while next < first + MANY as u64 {
        teller.changes(&world, 200).await;
        // Who reads has each of them, in order, at once.
        for _ in 0..200 {
            next += 1;
            let (number, told) = quick.event(&channel).await;
            assert_eq!((number, &told["type"]), (next, &json!("file")));
        }
    }
    // Who reads again in time learns why it is ended, and that before it has all.
    let in_time = since.elapsed() < PATIENCE;
    let (code, reason) = late.end().await;
    if in_time {
        assert_eq!((code, reason.as_str()), (3008, "slow"));
    }
    let heard = late.waiting(&channel);
    assert!(heard < MANY - 2048, "{heard} of {MANY} were kept for it");
    // Its place is taken by another; the one that never reads has its own for so long and no longer.
    others.push(Socket::of(&world, &owner).await);
    let freed = async {
        loop {
            let mut socket = Socket::open(&world).await;
            let hello = json!({"id": 1, "connect": {"token": owner["access_token"]}});
            socket.send(hello.to_string()).await;
            if socket.is_answered().await {
                return socket;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    let mut back = tokio::time::timeout(PATIENCE + FAREWELL + BUSY, freed)
        .await
        .expect("its place is free");
    // What it was sent is what the system had taken in; then there is nothing more.
    never.end().await;
    let heard = never.waiting(&channel);
    assert!(heard < MANY - 2048, "{heard} of {MANY} were sent");
    // From where it was left more is missing than is kept: it is to begin anew. A moment ago is told again.
    let recovered = back.recover(&channel, first, &begun["epoch"]).await;
    assert_eq!(recovered["recovered"], false, "{recovered}");
    assert_eq!(recovered["offset"], next);
    back.call("unsubscribe", json!({"channel": channel})).await;
    let recovered = back.recover(&channel, next - 300, &begun["epoch"]).await;
    assert_eq!(recovered["recovered"], true);
    let publications = recovered["publications"].as_array().unwrap();
    let numbers: Vec<_> = publications
        .iter()
        .map(|one| one["offset"].as_u64().unwrap())
        .collect();
    assert_eq!(numbers, (next - 299..=next).collect::<Vec<_>>());
    world.stop().await;
}

#[tokio::test]
async fn who_reads_the_history_again_and_again_is_slowed_down() {
    let world = World::start().await;
    let owner = world.owner().await;
    let mut teller = Teller::of(&world, &owner).await;
    let channel = teller.channel();
    for _ in 0..4 {
        teller.sessions(&world, 250).await;
    }
    let mut socket = Socket::of(&world, &owner).await;
    let ask = |id: u32| {
        let asked = json!({"channel": channel, "limit": 1000});
        json!({"id": id, "history": asked}).to_string()
    };
    let all: Vec<_> = (2..102).map(ask).collect();
    socket.send(all.join("\n")).await;
    let (code, reason) = socket.end().await;
    assert_eq!((code, reason.as_str()), (3013, "too many requests"));
    let answered = socket.unasked_replies();
    assert!((10..60).contains(&answered), "{answered}");
    world.stop().await;
}
