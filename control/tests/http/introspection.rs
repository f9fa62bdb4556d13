//! What a token is, told to who may know (RFC 7662).

use std::time::Duration;

use cmdop_proto::token::Role;
use http::StatusCode;
use serde_json::{Value, json};

use crate::relays::relay;
use crate::world::{Key, World, text};

const HOUR: Duration = Duration::from_secs(3600);

pub async fn ask(world: &World, by: &Value, token: &Value) -> Value {
    let request = world
        .http
        .post(world.url("/oauth/introspect"))
        .bearer_auth(text(by))
        .form(&[("token", text(token))]);
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["cache-control"], "no-store");
    answer.json().await.unwrap()
}

fn inactive() -> Value {
    json!({"active": false})
}

#[tokio::test]
async fn a_member_learns_what_a_token_of_the_workspace_is() {
    let world = World::start().await;
    let owner = world.owner().await;
    let ada = world.person("ada", "default", Role::Member).await;
    let by = &ada["access_token"];
    let seen = ask(&world, by, &owner["access_token"]).await;
    assert_eq!(seen["active"], true);
    assert_eq!(
        (&seen["username"], &seen["role"]),
        (&json!("owner"), &json!("owner"))
    );
    assert_eq!(
        (&seen["scope"], &seen["client_id"]),
        (&json!("cmdop"), &json!("cmdop-cli"))
    );
    assert_eq!(seen["iss"], json!(world.running.url));
    assert!(seen["exp"].as_i64() > seen["iat"].as_i64());
    let refresh = ask(&world, by, &owner["refresh_token"]).await;
    assert_eq!(
        (&refresh["active"], &refresh["sid"]),
        (&json!(true), &seen["sid"])
    );
    let key = world.key(&owner, &["exec", "files:read"], HOUR).await;
    let key = ask(&world, by, &key.secret.into()).await;
    assert_eq!(
        (&key["active"], &key["scope"]),
        (&json!(true), &json!("exec files:read"))
    );
    let exchanged = world.key_token(&owner, &["exec"]).await;
    assert_eq!(ask(&world, by, &exchanged).await["scope"], "exec");
    // By a key, whatever its scopes.
    assert_eq!(ask(&world, &exchanged, by).await["username"], "ada");
    world.stop().await;
}

#[tokio::test]
async fn what_is_over_revoked_unknown_or_elsewhere_is_all_the_same() {
    let world = World::start().await;
    let owner = world.owner().await;
    let by = &owner["access_token"];
    world.admin().await.create_workspace("other").await.unwrap();
    let eve = world.person("eve", "other", Role::Owner).await;
    let key = world.key(&owner, &["exec"], HOUR).await;
    for token in [
        &eve["access_token"],
        &eve["refresh_token"],
        &json!("nonsense"),
        &json!(""),
    ] {
        assert_eq!(ask(&world, by, token).await, inactive(), "{token}");
    }
    for token in [by, &owner["refresh_token"], &json!(key.secret)] {
        assert_eq!(
            ask(&world, &eve["access_token"], token).await,
            inactive(),
            "{token}"
        );
    }
    let ada = world.person("ada", "default", Role::Member).await;
    world.refresh(&ada["refresh_token"]).await.unwrap();
    assert_eq!(
        ask(&world, by, &ada["refresh_token"]).await,
        inactive(),
        "it was used"
    );
    assert_eq!(ask(&world, by, &ada["access_token"]).await["active"], true);
    world.admin().await.disable_account("ada").await.unwrap();
    assert_eq!(ask(&world, by, &ada["access_token"]).await, inactive());
    world.clock.advance(HOUR + Duration::from_secs(60));
    let fresh = world.refresh(&owner["refresh_token"]).await.unwrap();
    let by = &fresh["access_token"];
    assert_eq!(ask(&world, by, &owner["access_token"]).await, inactive());
    assert_eq!(ask(&world, by, &json!(key.secret)).await, inactive());
    world.stop().await;
}

#[tokio::test]
async fn a_relay_learns_of_every_workspace_and_a_machine_or_nobody_of_none() {
    let world = World::start().await;
    let owner = world.owner().await;
    let (machine, (relay, _)) = (Key::new(), relay(&world, &Key::new()).await);
    let seen = ask(&world, &relay, &owner["access_token"]).await;
    assert_eq!(seen["username"], "owner");
    let id = world.machine("web-1", &machine).await;
    let machine = world.assert(&machine, &id, 0).await.unwrap();
    let seen = ask(&world, &relay, &machine["access_token"]).await;
    assert_eq!(
        (&seen["active"], &seen["bearer"]),
        (&json!(true), &json!("machine"))
    );
    assert_eq!(
        ask(&world, &owner["access_token"], &relay).await,
        inactive()
    );
    let refused = async |by: Option<&Value>| {
        let request = world.http.post(world.url("/oauth/introspect"));
        let request = match by {
            Some(by) => request.bearer_auth(text(by)),
            None => request,
        };
        let answer = request.form(&[("token", "x")]).send().await.unwrap();
        assert!(answer.headers().contains_key("www-authenticate"));
        answer.status()
    };
    for by in [
        None,
        Some(&json!("nonsense")),
        Some(&machine["access_token"]),
    ] {
        assert_eq!(refused(by).await, StatusCode::UNAUTHORIZED, "{by:?}");
    }
    world.stop().await;
}
