//! Clocks are wrong by a little everywhere and by a lot somewhere: the first is no trouble, the
//! second is named.

use cmdop_tests::World;
use cmdop_tests::forge::{self, Forge};

#[tokio::test]
async fn a_clock_that_is_a_minute_off_is_named_and_a_few_seconds_are_not() {
    let world = World::start().await;
    let genuine = world.owner.access_token().await;
    let forge = Forge::of_control(world.control.data(), &genuine);
    let issued_in = |seconds: i64| {
        let mut claims = forge::claims(&genuine);
        claims.iat = forge::now() + seconds;
        // As the control plane does: back-dated by the leeway of one minute.
        claims.nbf = claims.iat;
        claims.exp = claims.iat + 3600;
        forge.sign(&claims)
    };
    world.owner.use_access_token(&issued_in(30)).await;
    world.cmdop(&["machines"]).await.ok();
    world.owner.use_access_token(&issued_in(90)).await;
    let refused = world.cmdop(&["machines"]).await;
    refused.refused(77, &["clock"]);
    assert!(
        refused.err().contains("90 s") || refused.err().contains("89 s"),
        "it says by how much: {refused:?}"
    );
}
