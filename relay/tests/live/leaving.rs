//! A relay that is told to stop.

use cmdop_proto::v1;
use cmdop_proto::v1::attach_response::Response;

use crate::agent::Agent;
use crate::client::Client;
use crate::world::{World, soon};

#[tokio::test]
async fn everybody_is_told_and_the_relay_ends_in_time() {
    let mut world = World::start().await;
    let machine = world.enrol("web-1");
    let mut agent = Agent::link(&world, machine).await;
    let mut client = Client::member(&world).await;
    let session = client.create("web-1", &[]).await;
    let mut ada = client.operate(&session.id).await;
    ada.next().await;
    let began = tokio::time::Instant::now();
    world.stop.cancel();
    ada.until("the announcement", |response| {
        matches!(response, Response::GoingAway(true)).then_some(())
    })
    .await;
    let hello = client.fleet.hello(v1::HelloRequest {}).await;
    if let Ok(hello) = hello {
        assert!(hello.into_inner().draining);
    }
    // What is typed while it leaves still arrives.
    ada.typing(b"last words").await;
    ada.until_text("last words").await;
    assert_eq!(ada.until_end().await, "draining");
    let closed = soon("the agent's end", agent.closed.wait_for(Option::is_some)).await;
    assert_eq!(closed.unwrap().as_deref(), Some("draining"));
    soon("the end", world.running.take().unwrap().wait())
        .await
        .unwrap();
    assert!(
        began.elapsed() < std::time::Duration::from_secs(6),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test]
async fn an_idle_relay_ends_at_once() {
    let mut world = World::start().await;
    let began = tokio::time::Instant::now();
    world.stop.cancel();
    soon("the end", world.running.take().unwrap().wait())
        .await
        .unwrap();
    assert!(
        began.elapsed() < std::time::Duration::from_secs(1),
        "{:?}",
        began.elapsed()
    );
}
