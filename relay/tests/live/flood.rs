//! Programs that print faster than people read.

use cmdop_proto::limits::RELAY_WINDOW;
use cmdop_proto::v1;
use cmdop_proto::v1::attach_response::Response;

use crate::agent::Agent;
use crate::client::Client;
use crate::world::{World, soon};

const FLOOD: u64 = 24 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn one_operator_at_a_flood_sees_every_byte() {
    let world = World::start().await;
    let machine = world.enrol("web-1");
    let agent = Agent::link(&world, machine).await;
    let mut client = Client::member(&world).await;
    let session = client.create("web-1", &[]).await;
    let mut ada = client.operate(&session.id).await;
    ada.checks_flood = true;
    ada.next().await;
    start_flood(&agent, &session.id);
    ada.until_offset(FLOOD).await;
    assert_eq!(ada.keyframes, 0);
}

/// As `cat bigfile` at a shell: it begins when somebody is there.
fn start_flood(agent: &Agent, session: &str) {
    agent.flood(session, FLOOD);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_observer_skips_to_a_picture_and_slows_nobody() {
    let world = World::start().await;
    let machine = world.enrol("web-1");
    let agent = Agent::link(&world, machine).await;
    let mut client = Client::member(&world).await;
    let session = client.create("web-1", &[]).await;
    let mut ada = client.operate(&session.id).await;
    // A connection of her own: what she does not read stands in nobody's way.
    let mut eve = Client::member(&world).await.observe(&session.id).await;
    ada.checks_flood = true;
    eve.checks_flood = true;
    ada.next().await;
    eve.next().await;
    start_flood(&agent, &session.id);
    ada.until_offset(FLOOD).await;
    assert_eq!(ada.keyframes, 0);
    eve.until_offset(FLOOD).await;
    assert!(eve.keyframes >= 1);
    eve.checks_flood = false;
    ada.checks_flood = false;
    ada.typing(b"live").await;
    eve.until_text("live").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_nobody_watches_runs_free_and_later_shows_a_picture() {
    let world = World::start().await;
    let machine = world.enrol("web-1");
    let agent = Agent::link(&world, machine).await;
    let mut client = Client::member(&world).await;
    let session = client.create("web-1", &["flood", &FLOOD.to_string()]).await;
    until_printed(&agent, &session.id, FLOOD).await;
    until_relayed(&mut client, &session.id, FLOOD).await;
    let mut ada = client.operate(&session.id).await;
    ada.until_offset(FLOOD).await;
    assert_eq!(ada.keyframes, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_who_stands_still_holds_a_flood_for_a_second_only() {
    let world = World::start().await;
    let machine = world.enrol("web-1");
    let agent = Agent::link(&world, machine).await;
    let mut client = Client::member(&world).await;
    let session = client.create("web-1", &[]).await;
    let mut ada = client.operate(&session.id).await;
    ada.next().await;
    start_flood(&agent, &session.id);
    // She reads nothing. What the transport holds is all that she was given.
    until_printed(&agent, &session.id, RELAY_WINDOW as u64).await;
    until_printed(&agent, &session.id, FLOOD).await;
    ada.checks_flood = true;
    ada.until_offset(FLOOD).await;
    assert!(ada.keyframes >= 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_does_not_wait_for_the_rest_of_a_flood() {
    let world = World::start().await;
    let machine = world.enrol("web-1");
    let agent = Agent::link(&world, machine).await;
    let mut client = Client::member(&world).await;
    let session = client.create("web-1", &[]).await;
    let mut ada = client.operate(&session.id).await;
    ada.next().await;
    start_flood(&agent, &session.id);
    // More waits for her than the transport holds.
    until_relayed(&mut client, &session.id, RELAY_WINDOW as u64).await;
    ada.typing(b"\x03").await;
    ada.until("a picture", |response| {
        matches!(response, Response::Keyframe(_)).then_some(())
    })
    .await;
    assert_eq!(ada.keyframes, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_in_one_session_does_not_hold_the_echo_of_another() {
    let world = World::start().await;
    let machine = world.enrol("web-1");
    let agent = Agent::link(&world, machine).await;
    let mut client = Client::member(&world).await;
    let noisy = client.create("web-1", &[]).await;
    let quiet = client.create("web-1", &[]).await;
    let mut noise = client.operate(&noisy.id).await;
    noise.checks_flood = true;
    noise.next().await;
    start_flood(&agent, &noisy.id);
    let mut ada = client.operate(&quiet.id).await;
    let reading = async {
        noise.until_offset(FLOOD).await;
    };
    let typing = async {
        for turn in 0..20 {
            ada.typing(format!("<{turn}>").as_bytes()).await;
            ada.until_text(&format!("<{turn}>")).await;
        }
    };
    tokio::join!(reading, typing);
}

async fn until_printed(agent: &Agent, session: &str, bytes: u64) {
    soon("the flood", async {
        while agent.with_log(session, |log| (log.bytes.len() as u64) < bytes) {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    })
    .await;
}

async fn until_relayed(client: &mut Client, session: &str, bytes: u64) {
    soon("the relay's end", async {
        loop {
            let record: v1::Session = client.get(session).await;
            if record.end_offset >= bytes {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    })
    .await;
}
