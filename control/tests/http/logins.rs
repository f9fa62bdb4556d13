//! The token endpoint for people: secrets, refresh tokens, logouts, and what it says to nonsense.

use std::time::Duration;

use cmdop_control::lifetimes;
use cmdop_control::store::Logins;
use cmdop_proto::token::Role;
use http::StatusCode;

use crate::introspection;
use crate::world::{Key, World, text};

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn the_first_secret_logs_the_owner_in_once_and_its_file_goes() {
    let world = World::start().await;
    let secret = std::fs::read_to_string(&world.running.owner_login).unwrap();
    let granted = world.local_secret(&secret).await.unwrap();
    assert_eq!(granted["token_type"], "Bearer");
    assert!(granted["server_time_ms"].as_u64().unwrap() > 0);
    assert!(!world.running.owner_login.exists());
    let again = world.local_secret(&secret).await.unwrap_err();
    assert_eq!(
        (again.error.as_str(), again.reason.as_str()),
        ("invalid_grant", "login-secret-used")
    );
    let me = world.who_am_i(&granted["access_token"]).await.unwrap();
    assert_eq!(
        (me.role.as_str(), me.workspace_name.as_str()),
        ("owner", "default")
    );
    assert_eq!(
        world
            .local_secret("cmdop_login_wrong")
            .await
            .unwrap_err()
            .reason,
        "login-secret-invalid"
    );
    world.stop().await;
}

#[tokio::test]
async fn a_printed_secret_ends_with_its_time() {
    let world = World::start().await;
    let secret = world
        .admin()
        .await
        .login_secret("owner", HOUR)
        .await
        .unwrap();
    world.clock.advance(HOUR);
    let refused = world.local_secret(secret.expose()).await.unwrap_err();
    assert_eq!(refused.reason, "login-secret-expired");
    world.stop().await;
}

#[tokio::test]
async fn refresh_tokens_rotate_and_a_stolen_one_ends_the_login() {
    let world = World::start().await;
    let first = world.owner().await;
    let second = world.refresh(&first["refresh_token"]).await.unwrap();
    assert_ne!(first["refresh_token"], second["refresh_token"]);
    assert!(world.who_am_i(&second["access_token"]).await.is_ok());

    world.clock.advance(lifetimes::REFRESH_GRACE);
    let replay = world.refresh(&first["refresh_token"]).await.unwrap_err();
    assert_eq!(
        (replay.error.as_str(), replay.reason.as_str()),
        ("invalid_grant", "token-revoked")
    );
    assert!(world.refresh(&second["refresh_token"]).await.is_err());
    let refused = world.who_am_i(&second["access_token"]).await.unwrap_err();
    assert_eq!(refused.reason, "token-revoked");
    world.stop().await;
}

#[tokio::test]
async fn a_client_whose_answer_was_lost_may_ask_again_at_once() {
    let world = World::start().await;
    let first = world.owner().await;
    let lost = world.refresh(&first["refresh_token"]).await.unwrap();
    let again = world.refresh(&first["refresh_token"]).await.unwrap();
    assert_ne!(lost["refresh_token"], again["refresh_token"]);
    let next = world.refresh(&again["refresh_token"]).await.unwrap();
    // What it was exchanged for is in use now: whoever brings the old one is somebody else.
    assert!(world.refresh(&first["refresh_token"]).await.is_err());
    assert!(world.refresh(&next["refresh_token"]).await.is_err());
    world.stop().await;
}

#[tokio::test]
async fn a_login_that_nobody_uses_ends_after_thirty_days() {
    let world = World::start().await;
    let first = world.owner().await;
    world.clock.advance(lifetimes::REFRESH_TOKEN);
    let refused = world.refresh(&first["refresh_token"]).await.unwrap_err();
    assert_eq!(refused.reason, "token-expired");
    let refused = world.who_am_i(&first["access_token"]).await.unwrap_err();
    assert_eq!(refused.reason, "token-expired");
    world.stop().await;
}

#[tokio::test]
async fn what_is_revoked_is_void_whatever_kind_of_token_it_is() {
    let world = World::start().await;
    let owner = world.owner().await;
    let by = &owner["access_token"];
    let revoke = async |token: &str| {
        let answer = world.post("/oauth/revoke", &[("token", token)]).await;
        assert_eq!(answer.status(), StatusCode::OK);
    };
    let is_active = async |token: &str| {
        let seen = introspection::ask(&world, by, &token.into()).await;
        seen["active"] == true
    };
    let key = world.key(&owner, &["exec"], HOUR).await;
    let one = world.exchange(&key.secret, None).await.unwrap();
    let other = world.exchange(&key.secret, None).await.unwrap();
    let (one, other) = (text(&one["access_token"]), text(&other["access_token"]));
    revoke(one).await;
    assert!(!is_active(one).await && is_active(other).await);
    assert!(is_active(&key.secret).await, "a token is not its key");
    revoke(&key.secret).await;
    assert!(!is_active(&key.secret).await && !is_active(other).await);
    assert!(world.exchange(&key.secret, None).await.is_err());
    let machine = Key::new();
    let id = world.machine("web-1", &machine).await;
    let token = world.assert(&machine, &id, 0).await.unwrap();
    let token = text(&token["access_token"]);
    assert!(is_active(token).await);
    revoke(token).await;
    assert!(!is_active(token).await);
    assert!(world.assert(&machine, &id, 0).await.is_ok(), "it goes on");
    assert!(is_active(text(by)).await);
    world.stop().await;
}

#[tokio::test]
async fn a_new_password_ends_what_somebody_logged_in_with_before() {
    let world = World::start().await;
    let owner = world.owner().await;
    let admin = world.admin().await;
    for (logins, goes_on) in [(Logins::Keep, true), (Logins::End, false)] {
        let set = admin.set_password("owner", "correct horse battery", logins);
        set.await.unwrap();
        let known = world.who_am_i(&owner["access_token"]).await;
        assert_eq!(known.is_ok(), goes_on, "{logins:?}");
    }
    assert!(world.refresh(&owner["refresh_token"]).await.is_err());
    admin.close().await;
    world.stop().await;
}

#[tokio::test]
async fn a_logout_ends_the_login_and_only_that() {
    let world = World::start().await;
    let owner = world.owner().await;
    let secret = world
        .admin()
        .await
        .login_secret("owner", HOUR)
        .await
        .unwrap();
    let other = world.local_secret(secret.expose()).await.unwrap();
    let answer = world
        .post("/oauth/revoke", &[("token", text(&owner["refresh_token"]))])
        .await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(
        world
            .who_am_i(&owner["access_token"])
            .await
            .unwrap_err()
            .reason,
        "token-revoked"
    );
    assert!(world.who_am_i(&other["access_token"]).await.is_ok());
    let unknown = world.post("/oauth/revoke", &[("token", "nonsense")]).await;
    assert_eq!(unknown.status(), StatusCode::OK);
    let by_access = [("token", text(&other["access_token"]))];
    world.post("/oauth/revoke", &by_access).await;
    assert!(world.refresh(&other["refresh_token"]).await.is_err());
    world.stop().await;
}

#[tokio::test]
async fn a_disabled_account_is_out_and_comes_back_with_a_new_login_only() {
    let world = World::start().await;
    let admin = world.admin().await;
    admin
        .create_account("ada", "default", Role::Member, None)
        .await
        .unwrap();
    let secret = admin.login_secret("ada", HOUR).await.unwrap();
    let before = world.local_secret(secret.expose()).await.unwrap();
    let unused = admin.login_secret("ada", HOUR).await.unwrap();
    admin.disable_account("ada").await.unwrap();
    assert_eq!(
        world
            .who_am_i(&before["access_token"])
            .await
            .unwrap_err()
            .reason,
        "token-revoked"
    );
    assert!(world.refresh(&before["refresh_token"]).await.is_err());
    assert_eq!(
        world
            .local_secret(unused.expose())
            .await
            .unwrap_err()
            .reason,
        "account-disabled"
    );
    admin.enable_account("ada").await.unwrap();
    assert!(world.who_am_i(&before["access_token"]).await.is_err());
    let after = world.local_secret(unused.expose()).await.unwrap();
    assert!(world.who_am_i(&after["access_token"]).await.is_ok());
    world.stop().await;
}

#[tokio::test]
async fn bad_requests_are_named() {
    let world = World::start().await;
    let refused = |form: &'static [(&'static str, &'static str)]| {
        let world = &world;
        async move { world.token(form).await.unwrap_err() }
    };
    assert_eq!(refused(&[]).await.error, "invalid_request");
    assert_eq!(
        refused(&[("grant_type", "password")]).await.error,
        "unsupported_grant_type"
    );
    let lacking = refused(&[("grant_type", "refresh_token")]).await;
    assert!(
        lacking.error_description.contains("refresh_token"),
        "{lacking:?}"
    );
    let twice = refused(&[("grant_type", "a"), ("grant_type", "b")]).await;
    assert_eq!(twice.error, "invalid_request");
    let long = "x".repeat(100 << 10);
    let answer = world
        .post("/oauth/token", &[("grant_type", long.as_str())])
        .await;
    assert!(answer.status().is_client_error());
    let stranger = world
        .post("/oauth/device_authorization", &[("client_id", "evil")])
        .await;
    assert_eq!(stranger.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(world.get("/nothing").await.status(), StatusCode::NOT_FOUND);
    assert_eq!(world.get("/healthz").await.status(), StatusCode::OK);
    world.stop().await;
}

#[tokio::test]
async fn the_metadata_names_endpoints_of_this_issuer() {
    let world = World::start().await;
    let path = "/.well-known/oauth-authorization-server";
    let metadata: serde_json::Value = world.get(path).await.json().await.unwrap();
    assert_eq!(metadata["issuer"], world.running.url);
    assert_eq!(
        metadata["token_endpoint"],
        format!("{}/oauth/token", world.running.url)
    );
    let keys = world
        .get("/.well-known/jwks.json")
        .await
        .text()
        .await
        .unwrap();
    let keys = cmdop_service::tokens::KeySet::from_jwks(&keys).unwrap();
    let owner = world.owner().await;
    let now = (world.clock.now_ms() / 1000) as i64;
    let claims = keys
        .verify(text(&owner["access_token"]), "cmdop-relay", now)
        .unwrap();
    assert_eq!(
        (claims.iss, claims.role),
        (world.running.url.clone(), Some(Role::Owner))
    );
    world.stop().await;
}

#[tokio::test]
async fn an_owner_who_lost_everything_is_let_in_again_while_the_server_runs() {
    let world = World::start().await;
    let admin = world.admin().await;
    // A second owner took the first one's role away, and left.
    let second = world.person("second", "default", Role::Owner).await;
    admin.set_role("owner", Role::Guest).await.unwrap();
    let before = world.owner().await;
    admin.disable_account("owner").await.unwrap();
    let last = admin.set_role("second", Role::Member).await.unwrap_err();
    assert!(last.to_string().contains("last owner"), "{last}");
    // What is done on the control plane's own computer holds at once, for the running server too.
    admin.enable_account("owner").await.unwrap();
    admin.set_role("owner", Role::Owner).await.unwrap();
    assert!(world.who_am_i(&before["access_token"]).await.is_err());
    let again = world.owner().await;
    let me = world.who_am_i(&again["access_token"]).await.unwrap();
    assert_eq!(me.role, "owner");
    admin.disable_account("second").await.unwrap();
    assert!(world.who_am_i(&second["access_token"]).await.is_err());
    let unknown = admin.set_role("ghost", Role::Owner).await.unwrap_err();
    assert!(
        unknown.to_string().contains("no account ghost"),
        "{unknown}"
    );
    world.stop().await;
}
