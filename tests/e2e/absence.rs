//! Who is not there is named, at once, with the right exit code.

use cmdop_tests::World;

#[tokio::test]
async fn an_agent_that_is_offline_is_named() {
    let mut world = World::start().await;
    world.machine("web-1").stop().await;
    world.machine_is("web-1", "offline").await;
    for args in [
        &["exec", "web-1", "--", "true"][..],
        &["new", "-d", "web-1"],
    ] {
        world.cmdop(args).await.refused(69, &["web-1", "offline"]);
    }
}

#[tokio::test]
async fn an_agent_that_comes_back_is_online_again() {
    let mut world = World::start().await;
    world.machine("web-1").kill().await;
    world.machine_is("web-1", "offline").await;
    world.machine("web-1").run().await;
    world.machine_is("web-1", "online").await;
    assert_eq!(
        world
            .cmdop(&["exec", "web-1", "--", "echo", "back"])
            .await
            .ok(),
        "back\n"
    );
}

#[tokio::test]
async fn a_machine_that_nobody_enrolled_is_unknown() {
    let world = World::start().await;
    for args in [
        &["exec", "nowhere", "--", "true"][..],
        &["new", "-d", "nowhere"],
    ] {
        world.cmdop(args).await.refused(69, &["nowhere"]);
    }
}

#[tokio::test]
async fn a_session_that_does_not_exist_is_unknown() {
    let world = World::start().await;
    for verb in [
        &["attach", "ghost"][..],
        &["send", "ghost", "x"],
        &["capture", "ghost"],
        &["signal", "ghost", "INT"],
    ] {
        world.cmdop(verb).await.refused(69, &["ghost"]);
    }
}

#[tokio::test]
async fn a_relay_that_is_down_is_named_with_its_address() {
    let mut world = World::start().await;
    world.relay.kill().await;
    let address = world.relay.address().to_string();
    for args in [
        &["exec", "web-1", "--", "true"][..],
        &["machines"],
        &["sessions"],
    ] {
        world.cmdop(args).await.refused(69, &[&address]);
    }
}

#[tokio::test]
async fn nobody_logged_in_is_told_how() {
    let world = World::start().await;
    world
        .stranger("nobody")
        .run(&["machines"])
        .await
        .refused(77, &["cmdop login", "cmdop up"]);
}

#[tokio::test]
async fn without_the_control_plane_everything_live_goes_on() {
    let mut world = World::start().await;
    let person = world
        .owner
        .at_a_terminal(&["new", "web-1", "--name", "on", "--", "/bin/sh"]);
    person.sees_prompt().await;
    world.control.program.kill().await;
    person.enter("echo still-$((40 + 2))");
    person.sees_line("still-42").await;
    assert_eq!(
        world
            .cmdop(&["exec", "web-1", "--", "echo", "too"])
            .await
            .ok(),
        "too\n"
    );
    let second = world.owner.at_a_terminal(&["attach", "on"]);
    second.sees_line("still-42").await;
    // Even a relay that starts anew lives by what it knew.
    world.crash_relay().await;
    world.machine_is("web-1", "online").await;
    assert_eq!(
        world
            .cmdop(&["exec", "web-1", "--", "echo", "again"])
            .await
            .ok(),
        "again\n"
    );
}

#[tokio::test]
async fn a_usage_error_is_2_and_shows_the_way() {
    let world = World::start().await;
    world
        .cmdop(&["frobnicate"])
        .await
        .refused(2, &["frobnicate"]);
    world.cmdop(&["exec", "web-1"]).await.refused(2, &[]);
    world
        .cmdop(&["exec", "web-1", "--no-such-flag", "--", "true"])
        .await
        .refused(2, &["no-such-flag"]);
}
