//! Access tokens are short-lived and nobody notices.

use cmdop_tests::World;
use cmdop_tests::forge::{self, Forge};

#[tokio::test]
async fn a_token_near_its_end_is_replaced_before_it_is_used() {
    let world = World::start().await;
    let mut stored = world.owner.stored().await;
    let before = stored.clone();
    stored.access_expires_at_ms = cmdop_client::clock::now_ms() + 30_000;
    world.owner.store(&stored).await;
    world.cmdop(&["machines"]).await.ok();
    let after = world.owner.stored().await;
    assert_ne!(after.access_token, before.access_token);
    assert_ne!(
        after.refresh_token, before.refresh_token,
        "a refresh token is used once"
    );
    world.cmdop(&["machines"]).await.ok();
    assert_eq!(
        world.owner.stored().await,
        after,
        "a fresh token is not refreshed"
    );
}

#[tokio::test]
async fn a_token_that_the_relay_calls_expired_is_replaced_and_the_call_repeated() {
    let world = World::start().await;
    let genuine = world.owner.access_token().await;
    let forge = Forge::of_control(world.control.data(), &genuine);
    let mut claims = forge::claims(&genuine);
    claims.exp = forge::now() - 70;
    world.owner.use_access_token(&forge.sign(&claims)).await;
    world.cmdop(&["machines"]).await.ok();
    world.owner.use_access_token(&forge.sign(&claims)).await;
    assert_eq!(
        world
            .cmdop(&["exec", "web-1", "--", "echo", "ran"])
            .await
            .ok(),
        "ran\n"
    );
}

#[tokio::test]
async fn many_commands_at_once_refresh_once() {
    let world = World::start().await;
    let mut stored = world.owner.stored().await;
    stored.access_expires_at_ms = 0;
    world.owner.store(&stored).await;
    let commands = (0..8).map(|_| world.cmdop(&["machines"]));
    for outcome in futures_util::future::join_all(commands).await {
        outcome.ok();
    }
}

#[tokio::test]
async fn a_replayed_refresh_token_ends_the_login() {
    let world = World::start().await;
    let stolen = world.owner.stored().await;
    let mut expired = stolen.clone();
    expired.access_expires_at_ms = 0;
    world.owner.store(&expired).await;
    world.cmdop(&["machines"]).await.ok();
    // The rightful owner has moved on; a thief now comes with the old one, long after.
    let mut moved_on = world.owner.stored().await;
    moved_on.access_expires_at_ms = 0;
    world.owner.store(&moved_on).await;
    world.cmdop(&["machines"]).await.ok();
    world.owner.store(&expired).await;
    world
        .cmdop(&["machines"])
        .await
        .refused(77, &["cmdop login"]);
    // And so ends what was derived from it: nobody can tell which of the two is the thief.
    let mut rightful = moved_on;
    rightful.access_expires_at_ms = 0;
    world.owner.store(&rightful).await;
    world
        .cmdop(&["machines"])
        .await
        .refused(77, &["cmdop login"]);
}
