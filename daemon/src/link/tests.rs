//! The link to the relay, against a relay that the test plays.

use std::time::Duration;

use cmdop_proto::v1::agent_message::Message as Up;
use cmdop_proto::v1::control_message::Message as Order;
use cmdop_proto::{Refusal, v1};

use crate::fake_relay::{World, start_session, within};
use crate::state::LinkState;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_says_who_it_is_and_how_it_does() {
    let mut world = World::without_link().await;
    let mut state = world.config.link.subscribe();
    let link = world.linked_every(Duration::from_millis(150)).await;
    let register = link.register.clone();
    assert_eq!(
        (&register.hostname[..], &register.os[..]),
        ("web-1", "linux")
    );
    assert_eq!(register.agent_version, cmdop_service::VERSION);
    assert!(register.metrics.unwrap().memory_total_bytes > 0);
    assert!(register.sessions.is_empty() && !register.instance_id.is_empty());
    for _ in 0..2 {
        let Up::Heartbeat(heartbeat) = link.message().await else {
            panic!("no heartbeat");
        };
        assert!(heartbeat.metrics.unwrap().process_count > 0);
        assert!(heartbeat.now_ms.abs_diff(cmdop_service::now_ms()) < 60_000);
    }
    let is_linked = |state: &LinkState| matches!(state, LinkState::Linked { .. });
    within("the link state", state.wait_for(is_linked))
        .await
        .unwrap();
    let status = crate::local::status(world.dir.path()).await.unwrap();
    assert!(is_linked(&status.link));
    assert_eq!((&status.hostname[..], status.sessions), ("web-1", 0));
    world.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_link_comes_back_with_the_same_agent() {
    let mut world = World::new().await;
    let first = world.link().register.instance_id.clone();
    for _ in 0..3 {
        world.cut();
        assert_eq!(world.linked().await.register.instance_id, first);
    }
    world.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_that_leaves_is_left_at_once() {
    let mut world = World::new().await;
    let begun = tokio::time::Instant::now();
    world.link().order(Order::GoingAway(true)).await;
    world.linked().await;
    assert!(begun.elapsed() < Duration::from_secs(5));
    world.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_link_says_why_and_goes_on_trying() {
    let world = World::without_link().await;
    let refusal = Refusal::denied("token-revoked", "this machine was removed");
    world.refuse(Some(refusal.into()));
    let mut world = world;
    let mut state = world.config.link.subscribe();
    world.cut();
    let is_told = |state: &LinkState| match state {
        LinkState::Waiting { reason } => reason.contains("this machine was removed"),
        _ => false,
    };
    within("the reason", state.wait_for(is_told)).await.unwrap();
    world.refuse(None);
    world.linked().await;
    world.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_agent_ends_its_sessions_and_the_relay_hears_it() {
    let mut world = World::new().await;
    let mut session = world
        .start_session(start_session(&["sleep", "1000"]))
        .await
        .flowing()
        .await;
    world.stop.cancel();
    let exited = session.exit().await;
    let hung_up = v1::exit::Outcome::Signal(1);
    assert_eq!(exited.exit.unwrap().outcome, Some(hung_up));
    drop(session);
    world.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_asked_for_twice_is_started_once() {
    let mut world = World::new().await;
    let start = start_session(&["sh", "-c", "echo once; exec cat"]);
    let mut first = world.start_session(start.clone()).await.flowing().await;
    first.until("once").await;
    let mut second = world.start_session(start).await;
    assert_eq!(second.hello.end_offset, first.output.len() as u64);
    drop(first);
    second = second.flowing().await;
    second.until("once").await;
    assert_eq!(world.link().register.sessions.len(), 0);
    drop(second);
    world.stopped().await;
}
