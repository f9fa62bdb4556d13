//! Whom events are not for, and what is too much.

use std::time::Duration;

use cmdop_proto::token::Role;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite;

use crate::events::Teller;
use crate::socket::Socket;
use crate::world::{World, text};

const MINUTE: Duration = Duration::from_secs(60);

async fn workspace_of(world: &World, who: &Value) -> String {
    let me = world.who_am_i(&who["access_token"]).await.unwrap();
    me.workspace_id
}

#[tokio::test]
async fn another_workspace_and_what_a_role_does_not_allow_are_refused() {
    let world = World::start().await;
    let owner = world.owner().await;
    world.admin().await.create_workspace("other").await.unwrap();
    let stranger = world.person("eve", "other", Role::Owner).await;
    let member = world.person("ada", "default", Role::Member).await;
    let mut teller = Teller::of(&world, &owner).await;
    let ids = teller.sessions(&world, 1).await;
    let (workspace, session) = (teller.channel(), format!("session:{}", ids[0]));
    let audit = format!("audit:{}", teller.workspace);
    let own = workspace_of(&world, &stranger).await;
    let mut socket = Socket::of(&world, &stranger).await;
    for channel in [&workspace, &session, &audit] {
        let refused = socket.subscribe(channel).await;
        assert_eq!(
            (&refused["code"], &refused["message"]),
            (&json!(103), &json!("permission denied"))
        );
        let refused = socket
            .call("history", json!({"channel": channel, "limit": 9}))
            .await;
        assert_eq!(refused["code"], 103);
    }
    let mine = socket.subscribe(&format!("workspace:{own}")).await;
    assert_eq!(mine["offset"], 0);
    let mut socket = Socket::of(&world, &member).await;
    assert_eq!(socket.subscribe(&audit).await["code"], 103);
    assert_eq!(socket.subscribe(&session).await["offset"], 1);
    assert_eq!(socket.subscribe(&session).await["code"], 105);
    assert_eq!(socket.subscribe("news").await["code"], 102);
    let published = json!({"channel": workspace, "data": {}});
    assert_eq!(socket.call("publish", published).await["code"], 103);
    assert_eq!(
        socket.call("presence", json!({"channel": workspace})).await["code"],
        108
    );
    assert_eq!(
        socket.call("rpc", json!({"method": "x"})).await["code"],
        104
    );
    // Somebody tried: that is in the audit log.
    let mut socket = Socket::of(&world, &owner).await;
    let asked = json!({"channel": audit, "limit": 1, "reverse": true});
    let log = socket.call("history", asked).await;
    assert_eq!(log["publications"][0]["data"]["action"], "denied");
    assert_eq!(log["publications"][0]["data"]["actor_name"], "ada");
    world.stop().await;
}

#[tokio::test]
async fn a_key_hears_what_its_scopes_allow_and_nothing_when_it_is_revoked() {
    let world = World::start().await;
    let owner = world.owner().await;
    let mut teller = Teller::of(&world, &owner).await;
    let ids = teller.sessions(&world, 1).await;
    let session = format!("session:{}", ids[0]);
    let key = world.key(&owner, &["sessions:read"], Duration::ZERO).await;
    let exchanged = world.exchange(&key.secret, None).await.unwrap();
    for token in [&key.secret[..], text(&exchanged["access_token"])] {
        let mut socket = Socket::open(&world).await;
        let connected = socket.connect(token).await;
        assert_eq!(
            connected["expires"] == true,
            token != key.secret,
            "{connected}"
        );
        assert_eq!(socket.subscribe(&teller.channel()).await["code"], 103);
        assert_eq!(socket.subscribe(&session).await["offset"], 1);
    }
    let mut socket = Socket::open(&world).await;
    socket.connect(&key.secret).await;
    let revoke = [("token", key.secret.as_str())];
    world.post("/oauth/revoke", &revoke).await;
    let admin = world.admin().await;
    admin.disable_account("owner").await.unwrap();
    assert_eq!(socket.end().await.0, 3005);
    let mut socket = Socket::open(&world).await;
    let refused = json!({"id": 1, "connect": {"token": key.secret}});
    socket.send(refused.to_string()).await;
    assert_eq!(socket.end().await, (3500, "invalid token".to_owned()));
    world.stop().await;
}

#[tokio::test]
async fn a_login_that_ends_ends_its_connections_within_a_second() {
    let world = World::start().await;
    let (owner, ada) = (
        world.owner().await,
        world.person("ada", "default", Role::Member).await,
    );
    let mut stays = Socket::of(&world, &owner).await;
    let mut goes = Socket::of(&world, &ada).await;
    let channel = format!("workspace:{}", workspace_of(&world, &ada).await);
    goes.subscribe(&channel).await;
    let revoked = [("token", text(&ada["refresh_token"]))];
    world.post("/oauth/revoke", &revoked).await;
    let end = tokio::time::timeout(Duration::from_secs(1), goes.end()).await;
    assert_eq!(
        end.expect("within a second"),
        (3005, "connection expired".to_owned())
    );
    // Whoever comes with it again is to come with another.
    let mut again = Socket::open(&world).await;
    assert_eq!(again.connect(text(&ada["access_token"])).await["code"], 109);
    assert_eq!(stays.call("ping", json!({})).await, json!({}));
    world.stop().await;
}

#[tokio::test]
async fn a_token_that_expires_is_replaced_in_time_or_ends_the_connection() {
    let world = World::start().await;
    let owner = world.owner().await;
    let mut renewed = Socket::of(&world, &owner).await;
    let mut expires = Socket::of(&world, &owner).await;
    world.clock.advance(40 * MINUTE);
    let next = world.refresh(&owner["refresh_token"]).await.unwrap();
    let token = text(&next["access_token"]);
    let answer = renewed.call("refresh", json!({"token": token})).await;
    assert_eq!(answer["expires"], true);
    assert!(answer["ttl"].as_u64().unwrap() > 3500, "{answer}");
    world.clock.advance(22 * MINUTE);
    assert_eq!(expires.end().await, (3005, "connection expired".to_owned()));
    assert_eq!(renewed.call("ping", json!({})).await, json!({}));
    // The old one is refused by the number that makes clients fetch another.
    let old = text(&owner["access_token"]);
    let mut socket = Socket::open(&world).await;
    let refused = socket.connect(old).await;
    assert_eq!(
        (&refused["code"], &refused["message"]),
        (&json!(109), &json!("token expired"))
    );
    assert_eq!(
        renewed.call("refresh", json!({"token": old})).await["code"],
        110
    );
    // Nobody becomes somebody else in the middle.
    let ada = world.person("ada", "default", Role::Owner).await;
    let other = json!({"id": 9, "refresh": {"token": ada["access_token"]}});
    renewed.send(other.to_string()).await;
    assert_eq!(renewed.end().await.0, 3500);
    world.stop().await;
}

#[tokio::test]
async fn what_does_not_speak_the_protocol_is_let_go_with_the_reason() {
    let world = World::start().await;
    let owner = world.owner().await;
    let connect = |token: &str| json!({"id": 1, "connect": {"token": token}}).to_string();
    for (frame, code) in [
        (
            "{\"id\":1,\"subscribe\":{\"channel\":\"x\"}}".to_owned(),
            3501,
        ),
        ("hello".to_owned(), 3501),
        (connect("x.y.z"), 3500),
        (connect(""), 3500),
        (connect(&"x".repeat(70 << 10)), 1009),
    ] {
        let mut socket = Socket::open(&world).await;
        socket.send(frame).await;
        assert_eq!(socket.end().await.0, code);
    }
    let mut socket = Socket::of(&world, &owner).await;
    socket.send(connect(text(&owner["access_token"]))).await;
    assert_eq!(socket.end().await.0, 3501);
    let mut socket = Socket::of(&world, &owner).await;
    socket.send_binary(b"\x01\x02").await;
    assert_eq!(socket.end().await.0, 3506);
    world.stop().await;
}

#[tokio::test]
async fn a_flood_too_many_channels_and_too_many_connections_are_refused() {
    let world = World::start().await;
    let owner = world.owner().await;
    let mut teller = Teller::of(&world, &owner).await;
    let ids = teller.sessions(&world, 129).await;
    let mut socket = Socket::of(&world, &owner).await;
    let subscribe = |(n, id): (usize, _)| {
        json!({"id": n + 2, "subscribe": {"channel": format!("session:{id}")}}).to_string()
    };
    let all: Vec<_> = ids.iter().enumerate().map(subscribe).collect();
    // As many as there may be, and one more, in one frame.
    socket.send(all.join("\n")).await;
    let replies = socket.replies(129).await;
    assert!(
        replies[..128]
            .iter()
            .all(|reply| reply["subscribe"]["offset"] == 1)
    );
    assert_eq!(replies[128]["error"]["code"], 106);
    let flood = "{\"id\":7,\"ping\":{}}\n".repeat(1000);
    socket.send(flood).await;
    assert_eq!(socket.end().await, (3013, "too many requests".to_owned()));
    let mut sockets = Vec::new();
    for _ in 0..32 {
        sockets.push(Socket::of(&world, &owner).await);
    }
    let one_more = json!({"id": 1, "connect": {"token": owner["access_token"]}});
    let mut socket = Socket::open(&world).await;
    socket.send(one_more.to_string()).await;
    assert_eq!(socket.end().await, (3504, "connection limit".to_owned()));
    drop(sockets);
    world.stop().await;
}

#[tokio::test]
async fn only_pages_of_known_origins_connect() {
    let world = World::start().await;
    let own = world.running.url.clone();
    assert!(Socket::open_from(&world, Some(&own)).await.is_ok());
    for origin in ["https://evil.example", "null", "http://localhost"] {
        let refused = Socket::open_from(&world, Some(origin)).await;
        let Err(tungstenite::Error::Http(response)) = refused else {
            panic!("{origin} was let in");
        };
        assert_eq!(response.status(), 403);
    }
    let plain = world.get("/connection/websocket").await;
    assert!(plain.status().is_client_error());
    world.stop().await;
}
