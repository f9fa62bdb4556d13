//! Agents that come and go, and relays that do.

use std::time::Duration;

use cmdop_proto::v1;
use cmdop_relay::Limits;

use crate::agent::Agent;
use crate::client::{Attach, Client};
use crate::world::{World, reason, soon};

#[tokio::test]
async fn a_session_outlives_its_agents_connection_and_goes_on_where_it_was() {
    let world = World::start().await;
    let machine = world.enrol("web-1");
    let mut agent = Agent::link(&world, machine).await;
    let mut client = Client::member(&world).await;
    let session = client.create("web-1", &[]).await;
    let mut ada = client.operate(&session.id).await;
    ada.typing(b"before ").await;
    ada.until_text("before ").await;
    agent.cut().await;
    ada.until_status(v1::SessionStatus::GracePeriod).await;
    agent.print(&session.id, b"meanwhile ");
    // Typed while nobody is there to write it.
    ada.typing(b"typed ").await;
    let agent = Agent::link_again(&world, &agent.logs, machine).await;
    ada.until_status(v1::SessionStatus::Connected).await;
    ada.until_text("typed ").await;
    assert_eq!(ada.text, b"before meanwhile typed ");
    assert_eq!(ada.keyframes, 0);
    agent.with_log(&session.id, |log| {
        assert_eq!(log.writes, [b"before ".to_vec(), b"typed ".to_vec()]);
    });
}

#[tokio::test]
async fn a_session_whose_agent_stays_away_ends_when_its_grace_is_over() {
    let limits = Limits {
        grace: Duration::from_millis(200),
        ..Limits::default()
    };
    let world = World::with(limits).await;
    let machine = world.enrol("web-1");
    let mut agent = Agent::link(&world, machine).await;
    let mut client = Client::member(&world).await;
    let session = client.create("web-1", &[]).await;
    let mut ada = client.operate(&session.id).await;
    agent.cut().await;
    assert_eq!(ada.until_end().await, "end");
    let record = client.get(&session.id).await;
    assert_eq!(record.status(), v1::SessionStatus::Disconnected);
    assert!(record.reason.contains("grace"), "{}", record.reason);
    // Its agent hears of it when it is back.
    let mut agent = Agent::link_again(&world, &agent.logs, machine).await;
    let told = agent.ended.wait_for(|ended| ended.contains(&session.id));
    soon("the order to end it", told).await.unwrap();
}

#[tokio::test]
async fn after_the_relay_restarts_everybody_goes_on_without_a_gap() {
    let mut world = World::start().await;
    let machine = world.enrol("web-1");
    let agent = Agent::link(&world, machine).await;
    let mut client = Client::member(&world).await;
    let session = client.create("web-1", &[]).await;
    let mut ada = client.operate(&session.id).await;
    ada.typing(b"before ").await;
    ada.until_text("before ").await;
    let (id, have, typed) = (ada.id, ada.have, ada.typed);
    drop(client);
    drop(ada);
    world.restart_relay().await;
    agent.print(&session.id, b"meanwhile ");
    let agent = Agent::link_again(&world, &agent.logs, machine).await;
    let mut client = Client::member(&world).await;
    // The input is sent again: the agent knows it and writes it once.
    let again = Attach {
        id,
        resume_from: Some(have),
        typed: typed - 1,
        ..Attach::default()
    };
    let mut ada = client.attach(&session.id, again).await.unwrap();
    ada.typing(b"before ").await;
    ada.typing(b"after").await;
    ada.until_text("after").await;
    assert_eq!(ada.text, b"meanwhile after");
    assert_eq!(ada.keyframes, 0);
    assert_eq!(agent.with_log(&session.id, |log| log.writes.len()), 2);
    let record = client.get(&session.id).await;
    assert_eq!(record.machine_name, "web-1");
    assert_eq!(record.status(), v1::SessionStatus::Connected);
}

#[tokio::test]
async fn a_newer_link_takes_over_and_the_ghost_harms_nobody() {
    let world = World::start().await;
    let machine = world.enrol("web-1");
    let mut ghost = Agent::link(&world, machine).await;
    let mut client = Client::member(&world).await;
    let session = client.create("web-1", &[]).await;
    let mut ada = client.operate(&session.id).await;
    let agent = Agent::link_again(&world, &ghost.logs, machine).await;
    assert!(agent.epoch > ghost.epoch);
    let closed = soon("the ghost's end", ghost.closed.wait_for(Option::is_some))
        .await
        .unwrap()
        .clone();
    assert_eq!(closed.as_deref(), Some("link-replaced"));
    ghost.cut().await;
    ada.typing(b"still").await;
    ada.until_text("still").await;
    assert_eq!(
        client.get(&session.id).await.status(),
        v1::SessionStatus::Connected
    );
}

#[tokio::test]
async fn an_agent_without_a_heartbeat_is_lost() {
    let limits = Limits {
        heartbeat_timeout: Duration::from_millis(300),
        ..Limits::default()
    };
    let world = World::with(limits).await;
    let machine = world.enrol("web-1");
    let agent = Agent::link(&world, machine).await;
    let mut client = Client::member(&world).await;
    let session = client.create("web-1", &[]).await;
    let mut ada = client.operate(&session.id).await;
    ada.until_status(v1::SessionStatus::GracePeriod).await;
    drop(agent);
    let create = v1::CreateSessionRequest {
        machine: "web-1".into(),
        ..v1::CreateSessionRequest::default()
    };
    assert_eq!(
        reason(client.sessions.create(create).await),
        "machine-offline"
    );
}

#[tokio::test]
async fn a_session_that_a_restarted_agent_no_longer_has_is_over() {
    let world = World::start().await;
    let machine = world.enrol("web-1");
    let mut agent = Agent::link(&world, machine).await;
    let mut client = Client::member(&world).await;
    let session = client.create("web-1", &[]).await;
    let mut ada = client.operate(&session.id).await;
    agent.cut().await;
    let _agent = Agent::link(&world, machine).await;
    assert_eq!(ada.until_end().await, "end");
    let record = client.get(&session.id).await;
    assert!(record.reason.contains("restarted"), "{}", record.reason);
}

#[tokio::test]
async fn the_fleet_is_seen_as_it_changes() {
    let world = World::start().await;
    let machine = world.enrol("web-1");
    world.enrol("web-2");
    let mut client = Client::member(&world).await;
    let mut events = client
        .fleet
        .watch(v1::WatchFleetRequest {})
        .await
        .unwrap()
        .into_inner();
    let mut next = async || {
        soon("a fleet event", events.message())
            .await
            .unwrap()
            .unwrap()
            .event
    };
    let mut names = Vec::new();
    loop {
        match next().await.unwrap() {
            v1::fleet_event::Event::Machines(all) => {
                for machine in all.machines {
                    assert_eq!(machine.presence(), v1::Presence::Offline);
                    names.push(machine.name);
                }
            }
            v1::fleet_event::Event::Synced(_) => break,
            other => unreachable!("{other:?}"),
        }
    }
    names.sort();
    assert_eq!(names, ["web-1", "web-2"]);
    let agent = Agent::link(&world, machine).await;
    let Some(v1::fleet_event::Event::Changed(online)) = next().await else {
        panic!("not a change")
    };
    assert_eq!(
        (online.name.as_str(), online.presence()),
        ("web-1", v1::Presence::Online)
    );
    agent.heartbeat(12.5).await;
    // Heartbeats are gathered; this one is alone.
    let Some(v1::fleet_event::Event::Machines(beats)) = next().await else {
        panic!("not the heartbeats")
    };
    let [beat] = &beats.machines[..] else {
        panic!("{beats:?}")
    };
    assert!((beat.metrics.as_ref().unwrap().cpu_percent - 12.5).abs() < 0.01);
    let labels = [("role".to_owned(), "web-2".to_owned())].into();
    let list = v1::ListMachinesRequest {
        labels,
        ..v1::ListMachinesRequest::default()
    };
    let machines = client.fleet.list(list).await.unwrap().into_inner().machines;
    assert_eq!(machines.len(), 1);
    assert_eq!(machines[0].name, "web-2");
}

#[tokio::test]
async fn a_session_that_was_closed_while_its_agent_was_away_stays_closed() {
    let limits = Limits {
        keep_ended: Duration::from_millis(100),
        ..Limits::default()
    };
    let world = World::with(limits).await;
    let machine = world.enrol("web-1");
    let mut agent = Agent::link(&world, machine).await;
    let mut client = Client::member(&world).await;
    let create = v1::CreateSessionRequest {
        machine: "web-1".into(),
        grace: Some(v1::Grace {
            limit: Some(v1::grace::Limit::Forever(true)),
        }),
        ..v1::CreateSessionRequest::default()
    };
    let session = client
        .sessions
        .create(create)
        .await
        .unwrap()
        .into_inner()
        .id;
    let mut ada = client.operate(&session).await;
    agent.cut().await;
    ada.until_status(v1::SessionStatus::GracePeriod).await;
    let close = v1::CloseSessionRequest {
        session: session.clone(),
    };
    client.sessions.close(close).await.unwrap();
    let get = v1::GetSessionRequest {
        session: session.clone(),
    };
    soon("the end of the record", async {
        while reason(client.sessions.get(get.clone()).await) != "session-unknown" {
            tokio::task::yield_now().await;
        }
    })
    .await;
    // It is told as often as it comes back with it.
    for _ in 0..2 {
        agent = Agent::link_again(&world, &agent.logs, machine).await;
        let told = agent.ended.wait_for(|ended| ended.contains(&session));
        soon("the order to end it", told).await.unwrap();
        assert_eq!(
            reason(client.sessions.get(get.clone()).await),
            "session-unknown"
        );
    }
}
