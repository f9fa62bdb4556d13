//! API keys: what they are exchanged for, how they end, and how fast everybody hears of it.

use std::time::Duration;

use cmdop_proto::Refusal;
use cmdop_proto::token::{Claims, Role};
use cmdop_proto::v1::account_service_client::AccountServiceClient;
use cmdop_proto::v1::control_event::Event;
use cmdop_proto::v1::key_service_client::KeyServiceClient;
use cmdop_proto::v1::{ApiKey, ListKeysRequest, RevokeKeyRequest, WhoAmIRequest};
use serde_json::Value;
use tokio::time::Instant;

use crate::relays::{follow, next, relay, snapshot};
use crate::world::{Key, World, bearer, text};

const HOUR: Duration = Duration::from_secs(3600);

async fn revoke(world: &World, by: &Value, key: &str) -> Result<(), Refusal> {
    let mut keys = KeyServiceClient::new(world.channel().await);
    let request = RevokeKeyRequest { key: key.into() };
    let answer = keys.revoke(bearer(request, &by["access_token"])).await;
    answer.map(drop).map_err(Refusal::from)
}

async fn list(world: &World, by: &Value, of_everybody: bool) -> Result<Vec<ApiKey>, Refusal> {
    let mut keys = KeyServiceClient::new(world.channel().await);
    let request = ListKeysRequest { of_everybody };
    let answer = keys.list(bearer(request, &by["access_token"])).await;
    Ok(answer.map_err(Refusal::from)?.into_inner().keys)
}

/// What stands in a token, unchecked.
fn claims(token: &Value) -> Claims {
    use base64::Engine as _;
    let part = text(token).split('.').nth(1).unwrap();
    let json = base64::prelude::BASE64_URL_SAFE_NO_PAD
        .decode(part)
        .unwrap();
    serde_json::from_slice(&json).unwrap()
}

#[tokio::test]
async fn a_key_becomes_a_short_token_with_its_scopes_and_its_owners_role() {
    let world = World::start().await;
    let ada = world.person("ada", "default", Role::Member).await;
    let issued = world.key(&ada, &["exec", "files:read"], HOUR).await;
    let key = issued.key.unwrap();
    assert!(issued.secret.starts_with(&key.prefix) && key.prefix.len() == 19);
    assert_eq!(key.scopes, ["exec", "files:read"]);
    let granted = world.exchange(&issued.secret, None).await.unwrap();
    assert_eq!(granted["scope"], "exec files:read");
    assert_eq!(granted["expires_in"], 900);
    assert!(granted.get("refresh_token").is_none());
    let said = claims(&granted["access_token"]);
    assert_eq!(said.scope.unwrap().to_string(), "exec files:read");
    assert_eq!(said.role, Some(Role::Member));
    assert_eq!(said.sid.unwrap().to_string(), key.id);
    let me = world.who_am_i(&granted["access_token"]).await.unwrap();
    assert_eq!(me.account_name, "ada");
    // A login's token names no scope: all that the role allows.
    assert_eq!(claims(&ada["access_token"]).scope, None);
    world.stop().await;
}

#[tokio::test]
async fn an_exchange_can_ask_for_less_and_never_for_more() {
    let world = World::start().await;
    let owner = world.owner().await;
    let issued = world.key(&owner, &["exec", "files:read"], HOUR).await;
    let less = world.exchange(&issued.secret, Some("exec")).await.unwrap();
    assert_eq!(less["scope"], "exec");
    for beyond in ["admin", "exec admin", "", "nonsense"] {
        let refused = world.exchange(&issued.secret, Some(beyond)).await;
        assert_eq!(refused.unwrap_err().error, "invalid_scope", "{beyond}");
    }
    let narrow = world.key_token(&owner, &["admin"]).await;
    let mut keys = KeyServiceClient::new(world.channel().await);
    let wide = cmdop_proto::v1::IssueKeyRequest {
        name: "wide".into(),
        scopes: vec!["admin".into(), "exec".into()],
        lifetime_ms: 0,
    };
    let refused = keys.issue(bearer(wide, &narrow)).await.unwrap_err();
    assert_eq!(Refusal::from(refused).reason, "scope-missing");
    world.stop().await;
}

#[tokio::test]
async fn a_revocation_reaches_a_relay_within_a_second_and_holds_at_once_here() {
    let world = World::start().await;
    let owner = world.owner().await;
    let issued = world.key(&owner, &["exec"], HOUR).await;
    let id = issued.key.clone().unwrap().id;
    let granted = world.exchange(&issued.secret, None).await.unwrap();
    let (token, relay_id) = relay(&world, &Key::new()).await;
    let mut stream = follow(&world, &token, &relay_id).await;
    snapshot(&mut stream).await;
    let begun = Instant::now();
    revoke(&world, &owner, &id).await.unwrap();
    let Event::Revoked(told) = next(&mut stream).await.unwrap() else {
        panic!("not a revocation");
    };
    assert!(begun.elapsed() < Duration::from_secs(1));
    assert_eq!((told.claim.as_str(), &told.value), ("sid", &id));
    let refused = world.who_am_i(&granted["access_token"]).await.unwrap_err();
    assert_eq!(refused.reason, "token-revoked");
    let refused = world.exchange(&issued.secret, None).await.unwrap_err();
    assert_eq!(
        (refused.error.as_str(), refused.reason.as_str()),
        ("invalid_grant", "key-revoked")
    );
    // A relay that was away hears of it from the next snapshot.
    let mut later = follow(&world, &token, &relay_id).await;
    let known = snapshot(&mut later).await;
    let is_told = |event: &Event| matches!(event, Event::Revoked(r) if r.value == id);
    assert!(known.iter().any(is_told));
    drop((stream, later));
    world.stop().await;
}

#[tokio::test]
async fn a_key_ends_with_its_time_and_so_does_its_last_token() {
    let world = World::start().await;
    let owner = world.owner().await;
    let issued = world.key(&owner, &["exec"], Duration::from_secs(600)).await;
    let granted = world.exchange(&issued.secret, None).await.unwrap();
    assert!(granted["expires_in"].as_u64().unwrap() <= 600);
    world.clock.advance(Duration::from_secs(600));
    let refused = world.exchange(&issued.secret, None).await.unwrap_err();
    assert_eq!(refused.reason, "key-expired");
    world.stop().await;
}

#[tokio::test]
async fn a_key_that_a_key_issued_ends_with_it() {
    let world = World::start().await;
    let owner = world.owner().await;
    let first = world.key(&owner, &["admin"], HOUR).await;
    let end = first.key.unwrap().expires_at_ms;
    assert!(end > 0);
    let itself = serde_json::json!({"access_token": first.secret});
    let exchanged = world.exchange(&first.secret, None).await.unwrap();
    for by in [&itself, &exchanged] {
        for lifetime in [Duration::ZERO, 2 * HOUR] {
            let issued = world.key(by, &["admin"], lifetime).await;
            assert_eq!(issued.key.unwrap().expires_at_ms, end);
        }
        let brief = world.key(by, &["admin"], HOUR / 2).await.key.unwrap();
        assert!(brief.expires_at_ms > 0 && brief.expires_at_ms < end);
    }
    let by_login = world.key(&owner, &["admin"], Duration::ZERO).await;
    assert_eq!(by_login.key.unwrap().expires_at_ms, 0);
    world.stop().await;
}

#[tokio::test]
async fn a_key_cannot_hide_behind_one_that_has_its_id_as_a_name() {
    let world = World::start().await;
    let owner = world.owner().await;
    let ada = world.person("ada", "default", Role::Member).await;
    let leaked = world.key(&ada, &["exec"], HOUR).await;
    let id = leaked.key.unwrap().id;
    let mut keys = KeyServiceClient::new(world.channel().await);
    let namesake = cmdop_proto::v1::IssueKeyRequest {
        name: id.clone(),
        scopes: vec!["exec".into()],
        lifetime_ms: 0,
    };
    let namesake = keys.issue(bearer(namesake, &ada["access_token"])).await;
    let namesake = namesake.unwrap().into_inner();
    revoke(&world, &owner, &id).await.unwrap();
    let refused = world.exchange(&leaked.secret, None).await.unwrap_err();
    assert_eq!(refused.reason, "key-revoked");
    assert!(world.exchange(&namesake.secret, None).await.is_ok());
    world.stop().await;
}

#[tokio::test]
async fn a_key_is_no_more_than_its_account() {
    let world = World::start().await;
    let admin = world.admin().await;
    let ada = world.person("ada", "default", Role::Admin).await;
    let issued = world.key(&ada, &["admin"], HOUR).await;
    admin.disable_account("ada").await.unwrap();
    let refused = world.exchange(&issued.secret, None).await.unwrap_err();
    assert_eq!(refused.reason, "account-disabled");
    admin.enable_account("ada").await.unwrap();
    let granted = world.exchange(&issued.secret, None).await.unwrap();
    assert!(world.who_am_i(&granted["access_token"]).await.is_ok());
    world.stop().await;
}

#[tokio::test]
async fn the_control_plane_takes_the_key_itself() {
    let world = World::start().await;
    let owner = world.owner().await;
    let issued = world.key(&owner, &["machines:read"], HOUR).await;
    let key = Value::from(issued.secret.clone());
    let mut accounts = AccountServiceClient::new(world.channel().await);
    let me = accounts.who_am_i(bearer(WhoAmIRequest {}, &key)).await;
    assert_eq!(me.unwrap().into_inner().account_name, "owner");
    let by_key = serde_json::json!({"access_token": key});
    let refused = list(&world, &by_key, false).await.unwrap_err();
    assert_eq!(refused.reason, "scope-missing");
    world.stop().await;
}

#[tokio::test]
async fn the_last_use_is_known_to_the_minute_and_keys_are_listed_to_who_may() {
    let world = World::start().await;
    let owner = world.owner().await;
    let ada = world.person("ada", "default", Role::Member).await;
    let issued = world.key(&ada, &["exec"], HOUR).await;
    let mine = list(&world, &ada, false).await.unwrap();
    assert_eq!((mine.len(), mine[0].last_used_at_ms), (1, 0));
    world.exchange(&issued.secret, None).await.unwrap();
    let first = list(&world, &ada, false).await.unwrap()[0].last_used_at_ms;
    assert!(first > 0);
    world.exchange(&issued.secret, None).await.unwrap();
    assert_eq!(
        list(&world, &ada, false).await.unwrap()[0].last_used_at_ms,
        first
    );
    world.clock.advance(Duration::from_secs(61));
    world.exchange(&issued.secret, None).await.unwrap();
    assert!(list(&world, &ada, false).await.unwrap()[0].last_used_at_ms > first);
    assert!(list(&world, &owner, false).await.unwrap().is_empty());
    assert_eq!(
        list(&world, &owner, true).await.unwrap()[0].account_name,
        "ada"
    );
    assert_eq!(
        list(&world, &ada, true).await.unwrap_err().reason,
        "role-too-low"
    );
    revoke(&world, &owner, "key").await.unwrap();
    assert_eq!(
        revoke(&world, &ada, "key").await.unwrap_err().reason,
        "key-unknown"
    );
    world.stop().await;
}

#[tokio::test]
async fn who_guesses_at_keys_is_slowed_down() {
    let world = World::start().await;
    let owner = world.owner().await;
    let key = world.key(&owner, &["exec"], HOUR).await;
    let mut slowed = None;
    for n in 0..200 {
        let guess = format!("cmdop_live_{n:064x}");
        let refused = world.exchange(&guess, None).await.unwrap_err();
        if refused.reason != "key-unknown" {
            slowed = Some(refused);
            break;
        }
    }
    let slowed = slowed.expect("nobody guesses for ever");
    assert_eq!(slowed.reason, "busy");
    assert!(slowed.error_description.contains("too many wrong tries"));
    let right = world.exchange(&key.secret, None).await;
    assert!(right.is_err(), "what is right is not told either");
    world.stop().await;
}
