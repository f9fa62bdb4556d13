//! Sessions as scripts use them.

use cmdop_proto::v1;
use uuid::Uuid;

use crate::agent::Agent;
use crate::client::Client;
use crate::world::{World, reason, soon};

fn named(name: &str) -> v1::CreateSessionRequest {
    v1::CreateSessionRequest {
        machine: "web-1".into(),
        name: name.into(),
        ..v1::CreateSessionRequest::default()
    }
}

fn get(session: &str) -> v1::GetSessionRequest {
    v1::GetSessionRequest {
        session: session.into(),
    }
}

#[tokio::test]
async fn the_same_request_again_returns_the_same_session() {
    let world = World::start().await;
    let machine = world.enrol("web-1");
    let agent = Agent::link(&world, machine).await;
    let mut client = Client::member(&world).await;
    let request = v1::CreateSessionRequest {
        request_id: Uuid::new_v4().to_string(),
        ..named("one")
    };
    let first = client
        .sessions
        .create(request.clone())
        .await
        .unwrap()
        .into_inner();
    let again = client.sessions.create(request).await.unwrap().into_inner();
    assert_eq!(first.id, again.id);
    assert_eq!(agent.logs.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_name_belongs_to_one_live_session() {
    let world = World::start().await;
    let machine = world.enrol("web-1");
    let _agent = Agent::link(&world, machine).await;
    let mut client = Client::member(&world).await;
    let first = client
        .sessions
        .create(named("build"))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        reason(client.sessions.create(named("build")).await),
        "session-name-taken"
    );
    assert_eq!(
        reason(client.sessions.create(named("no good")).await),
        "bad-request"
    );
    let other = client
        .sessions
        .create(named("other"))
        .await
        .unwrap()
        .into_inner();
    let rename = |session: &str, name: &str| v1::RenameSessionRequest {
        session: session.into(),
        name: name.into(),
    };
    assert_eq!(
        reason(client.sessions.rename(rename("other", "build")).await),
        "session-name-taken"
    );
    client
        .sessions
        .rename(rename("build", "done"))
        .await
        .unwrap();
    client
        .sessions
        .rename(rename(&other.id, "build"))
        .await
        .unwrap();
    assert_eq!(client.get("done").await.id, first.id);
    assert_eq!(client.get("build").await.id, other.id);
    assert_eq!(client.get(&other.id[..13]).await.id, other.id);
    assert_eq!(
        reason(client.sessions.get(get("other")).await),
        "session-unknown"
    );
    assert_eq!(
        reason(client.sessions.get(get(&first.id[..3])).await),
        "session-unknown"
    );
}

#[tokio::test]
async fn unknown_and_offline_machines_are_told_apart() {
    let world = World::start().await;
    world.enrol("web-1");
    let mut client = Client::member(&world).await;
    assert_eq!(
        reason(client.sessions.create(named("x")).await),
        "machine-offline"
    );
    let unknown = v1::CreateSessionRequest {
        machine: "nowhere".into(),
        ..v1::CreateSessionRequest::default()
    };
    assert_eq!(
        reason(client.sessions.create(unknown).await),
        "machine-unknown"
    );
}

#[tokio::test]
async fn a_session_can_wait_for_its_agent() {
    let world = World::start().await;
    let machine = world.enrol("web-1");
    let mut client = Client::member(&world).await;
    let mut other = client.clone();
    let create = v1::CreateSessionRequest {
        wait_for_agent: true,
        ..named("patient")
    };
    let creating = async { client.sessions.create(create).await.unwrap().into_inner() };
    let linking = async {
        // It is there, and waits.
        soon("the record", async {
            while other.sessions.get(get("patient")).await.is_err() {
                tokio::task::yield_now().await;
            }
        })
        .await;
        assert_eq!(
            other.get("patient").await.status(),
            v1::SessionStatus::Pending
        );
        Agent::link(&world, machine).await
    };
    let both = Box::pin(async { tokio::join!(creating, linking) });
    let (session, _agent) = soon("the session", both).await;
    assert_eq!(session.status(), v1::SessionStatus::Connected);
}

#[tokio::test]
async fn what_the_agent_says_of_a_session_that_cannot_start_reaches_the_caller() {
    let world = World::start().await;
    let machine = world.enrol("web-1");
    let _agent = Agent::link(&world, machine).await;
    let mut client = Client::member(&world).await;
    let create = v1::CreateSessionRequest {
        command: vec!["missing".into()],
        ..named("x")
    };
    let status = client.sessions.create(create).await.unwrap_err();
    assert!(
        status.message().contains("no such thing"),
        "{}",
        status.message()
    );
    assert_eq!(reason::<()>(Err(status)), "not-found");
    // Its name is free again.
    client.sessions.create(named("x")).await.unwrap();
}

#[tokio::test]
async fn scripts_type_read_resize_signal_and_close() {
    let world = World::start().await;
    let machine = world.enrol("web-1");
    let mut agent = Agent::link(&world, machine).await;
    let mut client = Client::member(&world).await;
    let session = client
        .sessions
        .create(named("s"))
        .await
        .unwrap()
        .into_inner();
    let send = v1::SendRequest {
        session: "s".into(),
        data: b"ls\n".to_vec().into(),
        client_id: Uuid::new_v4().to_string(),
        input_seq: 1,
    };
    let first = client
        .sessions
        .send(send.clone())
        .await
        .unwrap()
        .into_inner()
        .command_id;
    let again = client
        .sessions
        .send(send)
        .await
        .unwrap()
        .into_inner()
        .command_id;
    assert_eq!((first, again), (1, 1));
    agent.with_log(&session.id, |log| assert_eq!(log.writes, [b"ls\n"]));
    let capture = v1::CaptureRequest {
        session: "s".into(),
        ..v1::CaptureRequest::default()
    };
    let text = client
        .sessions
        .capture(capture)
        .await
        .unwrap()
        .into_inner()
        .text;
    assert_eq!(text.as_ref(), b"ls\n");
    let history = v1::HistoryRequest {
        session: "s".into(),
        before: Some(9),
        max_lines: u32::MAX,
        max_bytes: 3,
    };
    let page = client.sessions.history(history).await.unwrap().into_inner();
    // The stand-in tells what it was asked for; its text goes through as it is.
    assert_eq!(page.text.as_ref(), b"ls\n");
    assert_eq!((page.from, page.offset), (9, 3));
    assert_eq!(page.mark.map(|mark| mark.next), Some(5000));
    let resize = v1::ResizeRequest {
        session: "s".into(),
        size: Some(v1::Size { rows: 10, cols: 20 }),
        ..v1::ResizeRequest::default()
    };
    client.sessions.resize(resize).await.unwrap();
    let signal = |signal| v1::SignalRequest {
        session: "s".into(),
        signal,
    };
    client.sessions.signal(signal(2)).await.unwrap();
    assert_eq!(
        reason(client.sessions.signal(signal(99)).await),
        "bad-request"
    );
    soon("the signal", async {
        while agent.with_log(&session.id, |log| log.signals.is_empty()) {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let close = v1::CloseSessionRequest {
        session: "s".into(),
    };
    let told = async {
        let told = agent.ended.wait_for(|ended| ended.contains(&session.id));
        soon("the order to end", told).await.unwrap();
        // As a program that ends does.
        let mut other = client.clone();
        let exit = v1::SendRequest {
            session: session.id.clone(),
            data: b"exit\n".to_vec().into(),
            ..v1::SendRequest::default()
        };
        let _ = other.sessions.send(exit).await;
    };
    let mut closer = client.clone();
    let (closed, ()) = tokio::join!(closer.sessions.close(close), told);
    let closed = closed.unwrap().into_inner();
    assert_eq!(closed.status(), v1::SessionStatus::Disconnected);
    assert!(closed.exit.is_some());
    let live = client
        .sessions
        .list(v1::ListSessionsRequest::default())
        .await
        .unwrap();
    assert!(live.into_inner().sessions.is_empty());
    let all = v1::ListSessionsRequest {
        include_ended: true,
        ..v1::ListSessionsRequest::default()
    };
    assert_eq!(
        client
            .sessions
            .list(all)
            .await
            .unwrap()
            .into_inner()
            .sessions
            .len(),
        1
    );
}

#[tokio::test]
async fn records_are_seen_as_they_change() {
    let world = World::start().await;
    let machine = world.enrol("web-1");
    let _agent = Agent::link(&world, machine).await;
    let mut client = Client::member(&world).await;
    client.sessions.create(named("old")).await.unwrap();
    let watch = client.sessions.watch(v1::WatchSessionsRequest {}).await;
    let mut events = watch.unwrap().into_inner();
    let mut names = Vec::new();
    let mut next = async || {
        soon("an event", events.message())
            .await
            .unwrap()
            .unwrap()
            .event
    };
    while let Some(v1::session_event::Event::Changed(record)) = next().await {
        names.push(record.name);
    }
    assert_eq!(names, ["old"]);
    client.sessions.create(named("new")).await.unwrap();
    soon("the new record", async {
        loop {
            let event = events.message().await.unwrap().unwrap().event.unwrap();
            if matches!(event, v1::session_event::Event::Changed(record)
                if record.name == "new" && record.status() == v1::SessionStatus::Connected)
            {
                return;
            }
        }
    })
    .await;
}
