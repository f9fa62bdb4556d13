//! Who is let in, and what those hear who are not.

use std::sync::Arc;

use cmdop_proto::token::{Bearer, Role};
use cmdop_proto::v1::control_event::Event;
use cmdop_proto::{WorkspaceId, v1};
use tokio_stream::wrappers::ReceiverStream;

use crate::agent::{Agent, Exec};
use crate::client::{Attach, Client};
use crate::world::{World, reason, soon};

async fn hello(world: &World, token: String) -> String {
    let mut client = Client::with_token(world, token).await;
    reason(client.fleet.hello(v1::HelloRequest {}).await)
}

#[tokio::test]
async fn each_bad_token_is_refused_for_its_own_reason() {
    let world = World::start().await;
    let good = world.account(Role::Member);
    let signed = |change: fn(&mut cmdop_proto::token::Claims)| {
        let mut claims = good.clone();
        change(&mut claims);
        world.sign(&claims)
    };
    assert_eq!(hello(&world, signed(|_| ())).await, "none: it was done");
    let cases = [
        (signed(|claims| claims.exp = 5), "token-expired"),
        (signed(|claims| claims.nbf += 7200), "token-not-yet-valid"),
        (
            signed(|claims| claims.aud = vec!["elsewhere".into()]),
            "token-wrong-audience",
        ),
        (
            signed(|claims| claims.bearer = Bearer::Machine),
            "wrong-bearer",
        ),
        ("rubbish".into(), "token-malformed"),
        (World::start().await.sign(&good), "token-bad-signature"),
    ];
    for (token, wanted) in cases {
        assert_eq!(hello(&world, token).await, wanted);
    }
    let mut bare = v1::fleet_service_client::FleetServiceClient::new(world.channel().await);
    assert_eq!(
        reason(bare.hello(v1::HelloRequest {}).await),
        "not-logged-in"
    );
}

#[tokio::test]
async fn another_workspace_sees_nothing_and_cannot_tell_that_there_is_something() {
    let world = World::start().await;
    let machine = world.enrol("web-1");
    let _agent = Agent::link(&world, machine).await;
    let mut client = Client::member(&world).await;
    let session = client.create("web-1", &[]).await;
    let mut stranger = world.account(Role::Owner);
    stranger.wid = WorkspaceId::new();
    let mut stranger = Client::with(&world, &stranger).await;
    let attached = stranger
        .attach(&session.id, Attach::default())
        .await
        .map(drop);
    assert_eq!(reason(attached), "session-unknown");
    let close = v1::CloseSessionRequest {
        session: session.id.clone(),
    };
    assert_eq!(
        reason(stranger.sessions.close(close).await),
        "session-unknown"
    );
    for machine in ["web-1".to_owned(), machine.to_string()] {
        let create = v1::CreateSessionRequest {
            machine,
            ..v1::CreateSessionRequest::default()
        };
        assert_eq!(
            reason(stranger.sessions.create(create).await),
            "machine-unknown"
        );
    }
    let all = stranger
        .sessions
        .list(v1::ListSessionsRequest::default())
        .await
        .unwrap();
    assert!(all.into_inner().sessions.is_empty());
    let machines = stranger
        .fleet
        .list(v1::ListMachinesRequest::default())
        .await
        .unwrap();
    assert!(machines.into_inner().machines.is_empty());
}

#[tokio::test]
async fn a_revocation_ends_live_streams_and_only_those_of_its_bearer() {
    let world = World::start().await;
    let machine = world.enrol("web-1");
    let _agent = Agent::link(&world, machine).await;
    let ada = world.account(Role::Member);
    let mut ada_client = Client::with(&world, &ada).await;
    let session = ada_client.create("web-1", &[]).await;
    let mut attached = ada_client.operate(&session.id).await;
    let mut watching = ada_client
        .fleet
        .watch(v1::WatchFleetRequest {})
        .await
        .unwrap()
        .into_inner();
    let mut bob = Client::member(&world).await.operate(&session.id).await;
    world.revoke("sub", &ada.sub);
    assert_eq!(attached.until_end().await, "token-revoked");
    let watched = async {
        loop {
            if let Err(status) = watching.message().await {
                return reason::<()>(Err(status));
            }
        }
    };
    assert_eq!(soon("the end of the watch", watched).await, "token-revoked");
    assert_eq!(hello(&world, world.sign(&ada)).await, "token-revoked");
    bob.typing(b"still here").await;
    bob.until_text("still here").await;
}

#[tokio::test]
async fn a_machine_that_is_removed_loses_its_link_at_once() {
    let world = World::start().await;
    let machine = world.enrol("web-1");
    let mut agent = Agent::link(&world, machine).await;
    let mut client = Client::member(&world).await;
    let session = client.create("web-1", &[]).await;
    let mut ada = client.operate(&session.id).await;
    world
        .directory
        .apply(Event::MachineRemovedId(machine.to_string()))
        .unwrap();
    soon(
        "the end of the link",
        agent.closed.wait_for(Option::is_some),
    )
    .await
    .unwrap();
    assert_eq!(ada.until_end().await, "end");
    let again = Agent::link_with(&world, machine, Arc::default(), Exec::Cat).await;
    assert_eq!(reason(again.map(drop)), "machine-unknown");
}

#[tokio::test]
async fn an_agent_opens_only_the_streams_that_it_was_given_a_token_for() {
    let world = World::start().await;
    let machine = world.enrol("web-1");
    let mut agent = Agent::link(&world, machine).await;
    let mut client = Client::member(&world).await;
    let session = client.create("web-1", &[]).await;
    let wrong = crate::agent::open_session(&world, machine, &session.id, "0000").await;
    assert_eq!(wrong, "stream-token-wrong");
    let other = world.enrol("web-2");
    let foreign = crate::agent::open_session(&world, other, &session.id, "0000").await;
    assert_eq!(foreign, "session-unknown");
    assert_eq!(
        client.get(&session.id).await.status(),
        v1::SessionStatus::Connected
    );
    agent.cut().await;
}

#[tokio::test]
async fn a_session_is_not_stolen_by_another_machine_that_claims_it() {
    let world = World::start().await;
    let machine = world.enrol("web-1");
    let agent = Agent::link(&world, machine).await;
    let mut client = Client::member(&world).await;
    let session = client.create("web-1", &[]).await;
    let thief = world.enrol("web-2");
    let _thief = Agent::link_again(&world, &agent.logs, thief).await;
    let mut ada = client.operate(&session.id).await;
    ada.typing(b"mine").await;
    ada.until_text("mine").await;
    assert_eq!(client.get(&session.id).await.machine_name, "web-1");
}

#[tokio::test]
async fn a_revocation_counts_for_a_stream_that_has_not_said_yet_what_it_is_for() {
    let world = World::start().await;
    let machine = world.enrol("web-1");
    let _agent = Agent::link(&world, machine).await;
    let mut client = Client::member(&world).await;
    let session = client.create("web-1", &[]).await;
    let ada = world.account(Role::Member);
    let mut late = Client::with(&world, &ada).await;
    let mut other = Client::with(&world, &ada).await;
    let (attach, attach_requests) = tokio::sync::mpsc::channel(1);
    let (run, run_requests) = tokio::sync::mpsc::channel(1);
    let attaching = late.sessions.attach(ReceiverStream::new(attach_requests));
    let running = other.execs.run(ReceiverStream::new(run_requests));
    let revoking = async {
        // The relay has seen both, and their token was good.
        for mut client in [late.fleet.clone(), other.fleet.clone()] {
            client.hello(v1::HelloRequest {}).await.unwrap();
        }
        world.revoke("sub", &ada.sub);
        let open = v1::AttachOpen {
            session: session.id.clone(),
            mode: v1::AttachMode::Observer.into(),
            client_id: cmdop_proto::ClientId::new().to_string(),
            ..v1::AttachOpen::default()
        };
        let request = Some(v1::attach_request::Request::Open(open));
        attach.send(v1::AttachRequest { request }).await.unwrap();
        let start = v1::ExecStart {
            machine: "web-1".into(),
            command: vec!["cat".into()],
            ..v1::ExecStart::default()
        };
        let request = Some(v1::exec_request::Request::Start(start));
        run.send(v1::ExecRequest { request }).await.unwrap();
    };
    let all = Box::pin(async { tokio::join!(attaching, running, revoking) });
    let (attached, ran, ()) = soon("the refusals", all).await;
    assert_eq!(reason(attached.map(drop)), "token-revoked");
    assert_eq!(reason(ran.map(drop)), "token-revoked");
}
