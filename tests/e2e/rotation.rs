//! Keys that sign tokens come and go, and nobody who follows the rules notices.

use cmdop_tests::wire::Wire;
use cmdop_tests::{World, forge, wait};

/// An access token that the control plane signs now.
async fn fresh(world: &World) -> String {
    let mut stored = world.owner.stored().await;
    stored.access_expires_at_ms = 0;
    world.owner.store(&stored).await;
    world.cmdop(&["whoami"]).await.ok();
    world.owner.access_token().await
}

#[tokio::test]
async fn a_relay_knows_a_new_key_before_its_first_token_and_forgets_a_removed_one() {
    let world = World::start().await;
    let old = world.owner.access_token().await;
    let wire = Wire::dial(&world.relay.url(), &world.control.ca_pem(), &old).await;
    let knock = async |token: &str| wire.with_token(token).knock().await;
    let made = world.control.admin(&["rotate-key", "--lead", "4s"]).await;
    let name = made.ok().trim().to_owned();
    assert_ne!(forge::kid(&old), name);
    let new = wait::until("a token of the new key", async || {
        let token = fresh(&world).await;
        (forge::kid(&token) == name).then_some(token)
    })
    .await;
    // The first one, at its first try.
    knock(&new).await.unwrap();
    knock(&old).await.unwrap();
    let listed = world.control.admin(&["signing-keys"]).await.ok();
    assert_eq!(listed.lines().count(), 2, "{listed}");

    let removed = ["remove-key", &forge::kid(&old)];
    world.control.admin(&removed).await.ok();
    let reason = wait::until("the removed key is refused", async || {
        Some(knock(&old).await.err()?.reason)
    });
    assert_eq!(reason.await, "token-unknown-key");
    knock(&new).await.unwrap();
    world.cmdop(&["machines"]).await.ok();
}
