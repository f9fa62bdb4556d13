//! What people who are attached to one session do to each other, and cannot do.

use cmdop_proto::token::Role;
use cmdop_proto::v1;
use cmdop_proto::v1::attach_request::Request;
use cmdop_proto::v1::attach_response::Response;

use crate::agent::Agent;
use crate::client::{Attach, Client};
use crate::world::{World, reason, soon};

#[tokio::test]
async fn what_is_typed_comes_back_with_its_ack_and_its_command_id() {
    let world = World::start().await;
    let machine = world.enrol("web-1");
    let _agent = Agent::link(&world, machine).await;
    let mut client = Client::member(&world).await;
    let session = client.create("web-1", &[]).await;
    assert_eq!(session.status(), v1::SessionStatus::Connected);
    assert_eq!(session.machine_name, "web-1");
    let mut attached = client.operate(&session.id).await;
    let first = attached.next().await;
    assert!(matches!(first, Response::Opened(opened) if opened.acked_input_seq == 0));
    attached.typing(b"hello").await;
    let (mut acked, mut command) = (None, None);
    while acked.is_none() || command.is_none() {
        match attached.next().await {
            Response::InputAck(ack) => acked = Some((ack.input_seq, ack.command_id)),
            Response::Output(output) => command = Some(output.command_id),
            _ => {}
        }
    }
    assert_eq!(acked, Some((1, 1)));
    assert_eq!(command, Some(1));
    assert_eq!(attached.text, b"hello");
}

#[tokio::test]
async fn two_operators_and_an_observer_see_the_same_and_the_order_of_arrival() {
    let world = World::start().await;
    let machine = world.enrol("web-1");
    let agent = Agent::link(&world, machine).await;
    let mut client = Client::member(&world).await;
    let session = client.create("web-1", &[]).await;
    let mut ada = client.operate(&session.id).await;
    let mut bob = client.operate(&session.id).await;
    let mut eve = client.observe(&session.id).await;
    for turn in 0..20 {
        let who = if turn % 2 == 0 { &mut ada } else { &mut bob };
        who.typing(format!("<{turn}>").as_bytes()).await;
        who.until_text(&format!("<{turn}>")).await;
    }
    for who in [&mut ada, &mut bob, &mut eve] {
        who.until_text("<19>").await;
    }
    assert_eq!(ada.text, bob.text);
    assert_eq!(ada.text, eve.text);
    let writes = agent.with_log(&session.id, |log| log.writes.len());
    assert_eq!(writes, 20);
    let record = client.get(&session.id).await;
    assert_eq!((record.operator_count, record.observer_count), (2, 1));
}

#[tokio::test]
async fn nothing_that_an_observer_sends_reaches_the_session() {
    let world = World::start().await;
    let machine = world.enrol("web-1");
    let agent = Agent::link(&world, machine).await;
    let mut client = Client::member(&world).await;
    let session = client.create("web-1", &[]).await;
    let mut eve = client.observe(&session.id).await;
    let size = v1::Size { rows: 5, cols: 5 };
    for request in [
        Request::Input(v1::Input {
            input_seq: 7,
            data: b"rm -rf".to_vec().into(),
        }),
        Request::Resize(size),
        Request::Background(true),
    ] {
        let seq = if matches!(request, Request::Input(_)) {
            7
        } else {
            0
        };
        eve.ask(request).await;
        let refusal = eve.until_refusal().await;
        assert_eq!(refusal.detail.unwrap().reason, "observer-read-only");
        assert_eq!(refusal.input_seq, seq);
    }
    let mut ada = client.operate(&session.id).await;
    ada.typing(b"mine").await;
    eve.until_text("mine").await;
    assert_eq!(eve.text, b"mine");
    agent.with_log(&session.id, |log| assert!(log.sizes.is_empty()));
    assert_eq!(
        client.get(&session.id).await.status(),
        v1::SessionStatus::Connected
    );
}

#[tokio::test]
async fn a_guest_only_watches() {
    let world = World::start().await;
    let machine = world.enrol("web-1");
    let _agent = Agent::link(&world, machine).await;
    let mut member = Client::member(&world).await;
    let session = member.create("web-1", &[]).await;
    let id = session.id.clone();
    let mut guest = Client::with(&world, &world.account(Role::Guest)).await;
    let attached = guest.attach(&id, Attach::default()).await.map(drop);
    assert_eq!(reason(attached), "role-too-low");
    let create = guest
        .sessions
        .create(v1::CreateSessionRequest::default())
        .await;
    assert_eq!(reason(create), "role-too-low");
    let send = v1::SendRequest {
        session: id.clone(),
        ..v1::SendRequest::default()
    };
    assert_eq!(reason(guest.sessions.send(send).await), "role-too-low");
    let close = v1::CloseSessionRequest {
        session: id.clone(),
    };
    assert_eq!(reason(guest.sessions.close(close).await), "role-too-low");
    let mut eve = guest.observe(&id).await;
    assert!(matches!(eve.next().await, Response::Opened(_)));
}

#[tokio::test]
async fn a_resize_reaches_the_terminal_and_brings_everybody_a_new_picture() {
    let world = World::start().await;
    let machine = world.enrol("web-1");
    let agent = Agent::link(&world, machine).await;
    let mut client = Client::member(&world).await;
    let session = client.create("web-1", &[]).await;
    let mut ada = client.operate(&session.id).await;
    let mut eve = client.observe(&session.id).await;
    ada.typing(b"text").await;
    ada.until_text("text").await;
    let size = v1::Size {
        rows: 50,
        cols: 132,
    };
    ada.ask(Request::Resize(size)).await;
    for who in [&mut ada, &mut eve] {
        let keyframe = who
            .until("a keyframe", |response| match response {
                Response::Keyframe(keyframe) => Some(keyframe.clone()),
                _ => None,
            })
            .await;
        assert_eq!(keyframe.size, Some(size));
        assert_eq!(keyframe.offset, 4);
    }
    agent.with_log(&session.id, |log| {
        assert_eq!((log.sizes.len(), log.keyframes), (1, 1));
    });
    assert_eq!(client.get(&session.id).await.size, Some(size));
}

#[tokio::test]
async fn a_client_that_comes_back_gets_what_it_missed_and_nothing_twice() {
    let world = World::start().await;
    let machine = world.enrol("web-1");
    let agent = Agent::link(&world, machine).await;
    let mut client = Client::member(&world).await;
    let session = client.create("web-1", &[]).await;
    let mut ada = client.operate(&session.id).await;
    ada.typing(b"before ").await;
    ada.until_text("before ").await;
    let (id, have, typed) = (ada.id, ada.have, ada.typed);
    drop(ada);
    agent.print(&session.id, b"meanwhile ");
    let again = Attach {
        id,
        resume_from: Some(have),
        typed,
        ..Attach::default()
    };
    let mut ada = client.attach(&session.id, again).await.unwrap();
    let opened = ada.next().await;
    assert!(matches!(opened, Response::Opened(opened) if opened.acked_input_seq == 1));
    ada.typing(b"after").await;
    ada.until_text("after").await;
    assert_eq!(ada.text, b"meanwhile after");
    assert_eq!(ada.keyframes, 0);
}

#[tokio::test]
async fn the_same_client_attached_again_ends_its_older_stream() {
    let world = World::start().await;
    let machine = world.enrol("web-1");
    let _agent = Agent::link(&world, machine).await;
    let mut client = Client::member(&world).await;
    let session = client.create("web-1", &[]).await;
    let mut first = client.operate(&session.id).await;
    let again = Attach {
        id: first.id,
        ..Attach::default()
    };
    let _second = client.attach(&session.id, again).await.unwrap();
    assert_eq!(first.until_end().await, "replaced");
    assert_eq!(client.get(&session.id).await.operator_count, 1);
}

#[tokio::test]
async fn the_end_of_the_program_reaches_all_after_its_last_output() {
    let world = World::start().await;
    let machine = world.enrol("web-1");
    let _agent = Agent::link(&world, machine).await;
    let mut client = Client::member(&world).await;
    let session = client.create("web-1", &[]).await;
    let mut ada = client.operate(&session.id).await;
    let mut eve = client.observe(&session.id).await;
    ada.typing(b"exit\n").await;
    for who in [&mut ada, &mut eve] {
        let ended = who
            .until("the end", |response| match response {
                Response::Ended(record) => Some(record.clone()),
                _ => None,
            })
            .await;
        assert_eq!(ended.status(), v1::SessionStatus::Disconnected);
        assert_eq!(
            ended.exit.unwrap().outcome,
            Some(v1::exit::Outcome::Code(42))
        );
        assert_eq!(who.text, b"exit\n");
        assert_eq!(who.until_end().await, "end");
    }
    let again = client
        .attach(&session.id, Attach::default())
        .await
        .map(drop);
    assert_eq!(reason(again), "session-ended");
}

#[tokio::test]
async fn a_ping_is_answered_and_silence_ends_the_stream_but_not_the_session() {
    let limits = cmdop_relay::Limits {
        client_silence: std::time::Duration::from_millis(300),
        ..cmdop_relay::Limits::default()
    };
    let world = World::with(limits).await;
    let machine = world.enrol("web-1");
    let _agent = Agent::link(&world, machine).await;
    let mut client = Client::member(&world).await;
    let session = client.create("web-1", &[]).await;
    let mut ada = client.operate(&session.id).await;
    ada.ask(Request::Ping(v1::Ping { nonce: 9 })).await;
    let nonce = ada
        .until("a pong", |response| match response {
            Response::Pong(pong) => Some(pong.nonce),
            _ => None,
        })
        .await;
    assert_eq!(nonce, 9);
    assert_eq!(ada.until_end().await, "timeout");
    assert_eq!(
        client.get(&session.id).await.status(),
        v1::SessionStatus::Connected
    );
}

#[tokio::test]
async fn a_message_larger_than_a_frame_is_refused_by_name() {
    let world = World::start().await;
    let machine = world.enrol("web-1");
    let _agent = Agent::link(&world, machine).await;
    let mut client = Client::member(&world).await;
    let session = client.create("web-1", &[]).await;
    let send = v1::SendRequest {
        session: session.id.clone(),
        data: vec![0; 2 << 20].into(),
        ..v1::SendRequest::default()
    };
    assert_eq!(reason(client.sessions.send(send).await), "frame-too-large");
    let mut ada = client.operate(&session.id).await;
    ada.typing(&vec![0; 100 << 10]).await;
    let refusal = ada.until_refusal().await;
    assert_eq!(refusal.detail.unwrap().reason, "frame-too-large");
    ada.typing(&vec![0; 2 << 20]).await;
    assert_eq!(ada.until_end().await, "frame-too-large");
    // The others go on.
    let mut bob = client.operate(&session.id).await;
    bob.typing(b"still here").await;
    soon("the echo", bob.until_text("still here")).await;
}

#[tokio::test]
async fn a_session_with_all_its_clients_away_is_in_the_background() {
    let world = World::start().await;
    let machine = world.enrol("web-1");
    let _agent = Agent::link(&world, machine).await;
    let mut client = Client::member(&world).await;
    let session = client.create("web-1", &[]).await;
    let mut ada = client.operate(&session.id).await;
    ada.ask(Request::Background(true)).await;
    ada.until_status(v1::SessionStatus::Background).await;
    ada.ask(Request::Background(false)).await;
    ada.until_status(v1::SessionStatus::Connected).await;
}

#[tokio::test]
async fn a_revoked_client_whose_input_waits_for_room_is_cut_all_the_same() {
    let world = World::start().await;
    let machine = world.enrol("web-1");
    let mut agent = Agent::link(&world, machine).await;
    let ada = world.account(Role::Member);
    let mut client = Client::with(&world, &ada).await;
    let session = client.create("web-1", &[]).await;
    let mut attached = client.operate(&session.id).await;
    // Nobody writes what is typed: the queue is full when the ping is answered, and more waits.
    agent.cut().await;
    attached.until_status(v1::SessionStatus::GracePeriod).await;
    for _ in 0..1024 {
        attached.typing(b"x").await;
    }
    attached.ask(Request::Ping(v1::Ping { nonce: 9 })).await;
    attached
        .until("a pong", |response| {
            matches!(response, Response::Pong(_)).then_some(())
        })
        .await;
    attached.typing(b"more").await;
    // On the same connection: the relay has heard what was sent before.
    for _ in 0..10 {
        client.get(&session.id).await;
    }
    world.revoke("sub", &ada.sub);
    assert_eq!(attached.until_end().await, "token-revoked");
    let agent = Agent::link_again(&world, &agent.logs, machine).await;
    let mut bob = Client::member(&world).await.operate(&session.id).await;
    bob.typing(b"bob").await;
    bob.until_text("bob").await;
    // What stood in the queue was hers to type; what waited for room was not let in.
    agent.with_log(&session.id, |log| assert_eq!(log.writes.len(), 1025));
}
