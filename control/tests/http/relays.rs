//! Relays: joining, and hearing of changes.

use std::time::Duration;

use cmdop_proto::Refusal;
use cmdop_proto::v1::control_event::Event;
use cmdop_proto::v1::enroll_service_client::EnrollServiceClient;
use cmdop_proto::v1::relay_service_client::RelayServiceClient;
use cmdop_proto::v1::{
    ControlEvent, EnrollRelayRequest, EnrollRelayResponse, FollowRequest, ProgressRequest,
    Revocation,
};
use rcgen::{CertificateParams, KeyPair};
use tokio::time::timeout;
use tonic::{Status, Streaming};

use crate::world::{Key, World, bearer, text};

const HOUR: Duration = Duration::from_secs(3600);

/// The promise is a second; a test machine that is busy gets more.
const SOON: Duration = Duration::from_secs(5);

const ADVERTISED: &str = "https://relay.example.org:7444";

fn request(token: &str, key: &Key, names: &[&str]) -> EnrollRelayRequest {
    request_with(token, key, names).0
}

/// A request, and the key of the certificate that it asks for.
fn request_with(token: &str, key: &Key, names: &[&str]) -> (EnrollRelayRequest, KeyPair) {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let tls = KeyPair::generate().unwrap();
    let csr = CertificateParams::new(names)
        .unwrap()
        .serialize_request(&tls)
        .unwrap();
    let request = EnrollRelayRequest {
        token: token.into(),
        csr_pem: csr.pem().unwrap(),
        advertise_url: ADVERTISED.into(),
        public_key_pem: key.public_pem(),
    };
    (request, tls)
}

async fn enroll(
    world: &World,
    request: EnrollRelayRequest,
) -> Result<EnrollRelayResponse, Refusal> {
    let mut client = EnrollServiceClient::new(world.pinned_channel().await);
    Ok(client
        .enroll_relay(request)
        .await
        .map_err(Refusal::from)?
        .into_inner())
}

/// An enrolled relay's token, and its id.
pub async fn relay(world: &World, key: &Key) -> (serde_json::Value, String) {
    let token = world.admin().await.relay_token(HOUR).await.unwrap();
    let joined = enroll(world, request(token.expose(), key, &[]))
        .await
        .unwrap();
    let granted = world.assert(key, &joined.relay_id, 0).await.unwrap();
    (granted["access_token"].clone(), joined.relay_id)
}

/// A relay that is enrolled with its address, on 127.0.0.1: its certificate and the key of that, PEM.
pub async fn relay_at(world: &World, key: &Key, url: &str) -> (String, String) {
    let token = world.admin().await.relay_token(HOUR).await.unwrap();
    let (request, tls) = request_with(token.expose(), key, &["127.0.0.1"]);
    let request = EnrollRelayRequest {
        advertise_url: url.into(),
        ..request
    };
    let joined = enroll(world, request).await.unwrap();
    (joined.certificate_pem, tls.serialize_pem())
}

pub async fn follow(world: &World, token: &serde_json::Value, id: &str) -> Streaming<ControlEvent> {
    let mut client = RelayServiceClient::new(world.channel().await);
    let request = FollowRequest {
        relay_id: id.into(),
    };
    client
        .follow(bearer(request, token))
        .await
        .unwrap()
        .into_inner()
}

pub async fn next(stream: &mut Streaming<ControlEvent>) -> Result<Event, Status> {
    let message = timeout(SOON, stream.message())
        .await
        .expect("an event comes soon")?;
    Ok(message
        .expect("the stream goes on")
        .event
        .expect("an event"))
}

/// The snapshot: everything up to `synced`.
pub async fn snapshot(stream: &mut Streaming<ControlEvent>) -> Vec<Event> {
    let mut events = Vec::new();
    loop {
        match next(stream).await.unwrap() {
            Event::Synced(true) => return events,
            event => events.push(event),
        }
    }
}

#[tokio::test]
async fn a_relay_joins_once_and_only_under_its_own_name() {
    let world = World::start().await;
    let admin = world.admin().await;
    let token = admin.relay_token(HOUR).await.unwrap();
    let key = Key::new();
    let greedy = request(
        token.expose(),
        &key,
        &["relay.example.org", "control.example.org"],
    );
    let refused = enroll(&world, greedy).await.unwrap_err();
    assert!(
        refused.message.contains("control.example.org"),
        "{refused:?}"
    );
    let modest = request(token.expose(), &key, &["relay.example.org", "127.0.0.1"]);
    let joined = enroll(&world, modest.clone()).await.unwrap();
    assert!(joined.certificate_pem.contains("BEGIN CERTIFICATE"));
    assert_eq!(
        enroll(&world, modest).await.unwrap_err().reason,
        "enroll-token-used"
    );
    let machine = admin.enroll_token("default", HOUR, []).await.unwrap();
    let wrong = request(machine.expose(), &key, &[]);
    assert_eq!(
        enroll(&world, wrong).await.unwrap_err().reason,
        "enroll-token-invalid"
    );
    let owner = world.owner().await;
    assert_eq!(owner["relay_urls"][0], ADVERTISED);
    let me = world.who_am_i(&owner["access_token"]).await.unwrap();
    assert_eq!(me.relay_urls, [ADVERTISED]);
    world.stop().await;
}

#[tokio::test]
async fn a_relay_hears_the_state_and_then_each_change() {
    let world = World::start().await;
    let first = world.machine("web-1", &Key::new()).await;
    let (token, id) = relay(&world, &Key::new()).await;
    let mut stream = follow(&world, &token, &id).await;
    let known = snapshot(&mut stream).await;
    assert!(matches!(&known[0], Event::JwksJson(keys) if keys.contains("Ed25519")));
    assert!(matches!(&known[1], Event::Machine(machine) if machine.id == first));
    assert_eq!(known.len(), 2);

    let second = world.machine("web-2", &Key::new()).await;
    assert!(matches!(next(&mut stream).await.unwrap(), Event::Machine(m) if m.id == second));

    let owner = world.owner().await;
    world
        .post("/oauth/revoke", &[("token", text(&owner["refresh_token"]))])
        .await;
    assert!(matches!(next(&mut stream).await.unwrap(), Event::Revoked(r) if r.claim == "sid"));

    // `admin` has a database handle of its own, as in another process.
    let admin = world.admin().await;
    admin.remove_machine("default", "web-1").await.unwrap();
    let Event::Revoked(Revocation { claim, value, .. }) = next(&mut stream).await.unwrap() else {
        panic!("not a revocation");
    };
    assert_eq!((claim.as_str(), &value), ("sub", &first));
    assert!(matches!(next(&mut stream).await.unwrap(), Event::MachineRemovedId(id) if id == first));

    // Whoever comes later gets the same state from the snapshot alone.
    let mut later = follow(&world, &token, "").await;
    let known = snapshot(&mut later).await;
    let machines = known
        .iter()
        .filter(|event| matches!(event, Event::Machine(_)))
        .count();
    let revoked = known
        .iter()
        .filter(|event| matches!(event, Event::Revoked(_)))
        .count();
    assert_eq!((machines, revoked), (1, 2));

    drop((stream, later));
    world.stop().await;
}

#[tokio::test]
async fn a_follower_does_not_hold_up_the_end() {
    let world = World::start().await;
    let (token, id) = relay(&world, &Key::new()).await;
    let mut stream = follow(&world, &token, &id).await;
    snapshot(&mut stream).await;
    let (ended, ()) = tokio::join!(next(&mut stream), world.stop());
    assert_eq!(Refusal::from(ended.unwrap_err()).reason, "draining");
}

#[tokio::test]
async fn a_relay_that_enrols_again_takes_over_its_address() {
    let world = World::start().await;
    let (token, id) = relay(&world, &Key::new()).await;
    let mut stream = follow(&world, &token, &id).await;
    snapshot(&mut stream).await;
    let (_, second) = relay(&world, &Key::new()).await;
    assert_ne!(id, second);
    let ended = next(&mut stream).await.unwrap_err();
    assert_eq!(Refusal::from(ended).reason, "token-revoked");
    let mut client = RelayServiceClient::new(world.channel().await);
    let refused = client
        .follow(bearer(FollowRequest::default(), &token))
        .await
        .unwrap_err();
    assert_eq!(Refusal::from(refused).reason, "token-revoked");
    world.stop().await;
}

#[tokio::test]
async fn only_relays_follow() {
    let world = World::start().await;
    let owner = world.owner().await;
    let mut client = RelayServiceClient::new(world.channel().await);
    let refused = client
        .follow(bearer(FollowRequest::default(), &owner["access_token"]))
        .await;
    assert_eq!(Refusal::from(refused.unwrap_err()).reason, "wrong-bearer");
    // Nor do others say how far transfers are.
    let refused = client
        .progress(bearer(ProgressRequest::default(), &owner["access_token"]))
        .await;
    assert_eq!(Refusal::from(refused.unwrap_err()).reason, "wrong-bearer");
    let (token, _) = relay(&world, &Key::new()).await;
    let other = FollowRequest {
        relay_id: uuid::Uuid::now_v7().to_string(),
    };
    let refused = client.follow(bearer(other, &token)).await.unwrap_err();
    assert_eq!(Refusal::from(refused).reason, "wrong-bearer");
    world.stop().await;
}
