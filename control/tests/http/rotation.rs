//! Keys that sign tokens: published first, signing later, kept until nothing that they signed can be alive.

use std::time::Duration;

use cmdop_control::lifetimes::LONGEST_TOKEN;
use cmdop_proto::v1::control_event::Event;
use cmdop_service::tokens::KeySet;
use serde_json::Value;

use crate::relays::{follow, next, relay, snapshot};
use crate::world::{Key, World, text};

const LEAD: Duration = Duration::from_secs(600);

fn kid(token: &Value) -> String {
    jsonwebtoken::decode_header(text(token))
        .unwrap()
        .kid
        .unwrap()
}

/// The next key set that the relay hears of.
async fn keys(stream: &mut tonic::Streaming<cmdop_proto::v1::ControlEvent>) -> String {
    loop {
        if let Event::JwksJson(jwks) = next(stream).await.unwrap() {
            return jwks;
        }
    }
}

#[tokio::test]
async fn a_new_key_is_told_to_relays_before_it_signs() {
    let world = World::start().await;
    let (token, id) = relay(&world, &Key::new()).await;
    let mut stream = follow(&world, &token, &id).await;
    snapshot(&mut stream).await;
    let before = world.owner().await;
    let admin = world.admin().await;
    let name = admin.rotate_key(LEAD, None).await.unwrap();
    let jwks = keys(&mut stream).await;
    assert!(jwks.contains(&name) && jwks.contains(&kid(&before["access_token"])));
    let published = world.get("/.well-known/jwks.json").await.text().await;
    assert_eq!(published.unwrap(), jwks);
    let meanwhile = world.owner().await;
    assert_ne!(kid(&meanwhile["access_token"]), name);
    world.clock.advance(LEAD);
    let after = world.owner().await;
    assert_eq!(kid(&after["access_token"]), name);
    let (keys, now) = (
        KeySet::from_jwks(&jwks).unwrap(),
        (world.clock.now_ms() / 1000) as i64,
    );
    for token in [&before, &meanwhile, &after] {
        let token = &token["access_token"];
        assert!(keys.verify(text(token), "cmdop-relay", now).is_ok());
        assert!(world.who_am_i(token).await.is_ok());
    }
    world.stop().await;
}

#[tokio::test]
async fn what_a_removed_key_signed_is_void_and_the_last_key_cannot_be_removed() {
    let world = World::start().await;
    let (token, id) = relay(&world, &Key::new()).await;
    let mut stream = follow(&world, &token, &id).await;
    snapshot(&mut stream).await;
    let before = world.owner().await;
    let old = kid(&before["access_token"]);
    let admin = world.admin().await;
    assert!(admin.remove_key(&old).await.is_err(), "it is the only one");
    admin.rotate_key(Duration::ZERO, None).await.unwrap();
    keys(&mut stream).await;
    let after = world.owner().await;
    assert_ne!(kid(&after["access_token"]), old);
    admin.remove_key(&old).await.unwrap();
    assert!(admin.remove_key(&old).await.is_err());
    assert!(!keys(&mut stream).await.contains(&old));
    let refused = world.who_am_i(&before["access_token"]).await.unwrap_err();
    assert_eq!(refused.reason, "token-unknown-key");
    assert!(world.who_am_i(&after["access_token"]).await.is_ok());
    // The login itself goes on: its refresh token was never signed.
    let next = world.refresh(&before["refresh_token"]).await.unwrap();
    assert!(world.who_am_i(&next["access_token"]).await.is_ok());
    world.stop().await;
}

#[tokio::test]
async fn a_key_that_the_servers_could_not_open_is_not_made() {
    let world = World::start().await;
    let admin = world.admin().await;
    let late = admin.rotate_key(LONGEST_TOKEN * 10_000, None).await;
    assert!(late.is_err(), "a lead of a year is a mistake");
    let other = cmdop_control::Secret::given("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
    let refused = admin.rotate_key(LEAD, Some(&other)).await.unwrap_err();
    assert!(refused.to_string().contains("secrets.key"), "{refused}");
    assert_eq!(admin.signing_keys().await.unwrap().len(), 1);
    world.stop().await;
}
