//! Several people at one session: operators share it, observers cannot disturb it.

use cmdop_proto::Size;
use cmdop_proto::v1::{AttachMode, ResizeRequest, SendRequest, SignalRequest, attach_request};
use cmdop_tests::World;
use cmdop_tests::wire::{self, Wire};

#[tokio::test]
async fn two_operators_type_and_an_observer_sees_both() {
    let world = World::start().await;
    let guest = world.add_account("gast", "guest").await;
    let anna = world
        .owner
        .at_a_terminal(&["new", "web-1", "--name", "shared", "--", "/bin/sh"]);
    anna.sees_prompt().await;
    let bert = world.owner.at_a_terminal(&["attach", "shared"]);
    let viewer = guest.at_a_terminal(&["attach", "shared", "--observe"]);
    bert.sees_prompt().await;
    viewer.sees_prompt().await;
    anna.enter("echo from-anna-$((1 + 0))");
    for person in [&anna, &bert, &viewer] {
        person.sees_line("from-anna-1").await;
    }
    bert.enter("echo from-bert-$((1 + 1))");
    for person in [&anna, &bert, &viewer] {
        person.sees_line("from-bert-2").await;
    }
}

#[tokio::test]
async fn what_an_observer_types_goes_nowhere() {
    let world = World::start().await;
    let guest = world.add_account("gast", "guest").await;
    let operator = world
        .owner
        .at_a_terminal(&["new", "web-1", "--name", "shared", "--", "/bin/sh"]);
    operator.sees_prompt().await;
    let viewer = guest.at_a_terminal(&["attach", "shared", "--observe"]);
    viewer.sees_prompt().await;
    viewer.enter("echo intruder");
    operator.enter("echo seen-$((5 + 5))");
    viewer.sees_line("seen-10").await;
    assert!(
        !operator.screen().contains("intruder"),
        "{}",
        operator.screen()
    );
    assert_eq!(viewer.detach().await, 0);
}

#[tokio::test]
async fn a_patched_observer_is_refused_by_the_relay() {
    let world = World::start().await;
    let guest = world.add_account("gast", "guest").await;
    let session = quiet_session(&world).await;
    for (who, token) in [
        ("guest", guest.access_token().await),
        ("owner", world.owner.access_token().await),
    ] {
        let wire = dial(&world, &token).await;
        let mut attached = wire.attach(&session, AttachMode::Observer).await.unwrap();
        attached.until("the record", wire::opened).await;
        let seq = attached.type_keys(b"evil\n").await;
        let refusal = attached.until("the refusal", wire::refusal).await;
        assert_eq!(
            refusal.reason, "observer-read-only",
            "{who}: {refusal:?} for {seq}"
        );
        attached
            .send(attach_request::Request::Resize(Size::MIN.into()))
            .await;
        let refusal = attached.until("the refusal", wire::refusal).await;
        assert_eq!(refusal.reason, "observer-read-only", "{who}: {refusal:?}");
    }
    assert_untouched(&world, &session).await;
}

#[tokio::test]
async fn a_guest_cannot_pass_for_an_operator_by_any_call() {
    let world = World::start().await;
    let guest = world.add_account("gast", "guest").await;
    let session = quiet_session(&world).await;
    let wire = dial(&world, &guest.access_token().await).await;
    let reason = match wire.attach(&session, AttachMode::Operator).await {
        Err(refusal) => refusal.reason,
        Ok(mut attached) => attached.next().await.unwrap_err().reason,
    };
    assert_eq!(reason, "role-too-low");
    let mut sessions = wire.sessions();
    let send = SendRequest {
        session: session.clone(),
        data: b"evil\n".as_slice().into(),
        client_id: uuid::Uuid::new_v4().to_string(),
        input_seq: 1,
    };
    assert_eq!(reason_of(sessions.send(send).await), "role-too-low");
    let signal = SignalRequest {
        session: session.clone(),
        signal: 9,
    };
    assert_eq!(reason_of(sessions.signal(signal).await), "role-too-low");
    let resize = ResizeRequest {
        session: session.clone(),
        size: Some(Size::MIN.into()),
        ..ResizeRequest::default()
    };
    assert_eq!(reason_of(sessions.resize(resize).await), "role-too-low");
    let close = cmdop_proto::v1::CloseSessionRequest {
        session: session.clone(),
    };
    assert_eq!(reason_of(sessions.close(close).await), "role-too-low");
    let rename = cmdop_proto::v1::RenameSessionRequest {
        session: session.clone(),
        name: "mine".into(),
    };
    assert_eq!(reason_of(sessions.rename(rename).await), "role-too-low");
    let create = cmdop_proto::v1::CreateSessionRequest {
        request_id: uuid::Uuid::new_v4().to_string(),
        machine: "web-1".into(),
        ..Default::default()
    };
    assert_eq!(reason_of(sessions.create(create).await), "role-too-low");
    let exec = guest.cli.run(&["exec", "web-1", "--", "true"]).await;
    exec.refused(77, &["guest"]);
    assert_untouched(&world, &session).await;
}

#[tokio::test]
async fn a_repeated_input_is_written_once() {
    let world = World::start().await;
    let session = quiet_session(&world).await;
    let mut sessions = dial(&world, &world.owner.access_token().await)
        .await
        .sessions();
    let client_id = uuid::Uuid::new_v4().to_string();
    for input_seq in [1, 1, 2, 1, 2] {
        let send = SendRequest {
            session: session.clone(),
            data: format!("line-{input_seq}\n").into_bytes().into(),
            client_id: client_id.clone(),
            input_seq,
        };
        sessions.send(send).await.unwrap();
    }
    cmdop_tests::wait::until_true_async("both lines", || async {
        world
            .cmdop(&["capture", &session])
            .await
            .out()
            .contains("<line-2>")
    })
    .await;
    let screen = world.cmdop(&["capture", &session]).await.ok();
    assert_eq!(screen.matches("<line-").count(), 2, "{screen}");
}

/// A session that shows each line it reads in brackets and echoes nothing itself.
async fn quiet_session(world: &World) -> String {
    let script = "stty -echo; echo ready; while read line; do echo \"<$line>\"; done";
    let session = world
        .new_session(&["web-1", "--", "/bin/sh", "-c", script])
        .await;
    cmdop_tests::wait::until_true_async("the session is ready", || async {
        world
            .cmdop(&["capture", &session])
            .await
            .out()
            .contains("ready")
    })
    .await;
    session
}

/// What an operator sends after the attempts is all that the program ever read.
async fn assert_untouched(world: &World, session: &str) {
    world
        .cmdop(&["send", session, "--enter", "good"])
        .await
        .ok();
    cmdop_tests::wait::until_true_async("the operator's line", || async {
        world
            .cmdop(&["capture", session])
            .await
            .out()
            .contains("<good>")
    })
    .await;
    let screen = world.cmdop(&["capture", session]).await.ok();
    assert!(!screen.contains("evil"), "{screen}");
}

async fn dial(world: &World, token: &str) -> Wire {
    Wire::dial(&world.relay.url(), &world.control.ca_pem(), token).await
}

fn reason_of<T>(result: Result<T, tonic::Status>) -> String {
    match result {
        Ok(_) => "allowed".into(),
        Err(status) => cmdop_proto::Refusal::from(status).reason,
    }
}
