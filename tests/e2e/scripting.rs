//! Sessions driven by scripts: made, listed, typed into, read, signalled, named and closed.

use cmdop_tests::{World, wait};

#[tokio::test]
async fn a_script_types_into_a_session_and_reads_its_screen() {
    let world = World::start().await;
    let session = world
        .new_session(&["web-1", "--name", "script", "--", "/bin/sh"])
        .await;
    world
        .cmdop(&["send", "script", "--enter", "echo from-$((6 * 7))"])
        .await
        .ok();
    screen_has(&world, "script", "from-42").await;
    // By id and by an unambiguous beginning of it, too.
    for reference in [session.as_str(), &session[..session.len() - 2]] {
        assert!(
            world
                .cmdop(&["capture", reference])
                .await
                .ok()
                .contains("from-42")
        );
    }
}

#[tokio::test]
async fn a_signal_reaches_the_foreground_program() {
    let world = World::start().await;
    let script = "trap 'echo got-int' INT; echo ready; while :; do read x; done";
    world
        .new_session(&["web-1", "--name", "signals", "--", "/bin/sh", "-c", script])
        .await;
    screen_has(&world, "signals", "ready").await;
    world.cmdop(&["signal", "signals", "INT"]).await.ok();
    screen_has(&world, "signals", "got-int").await;
    world.cmdop(&["signal", "signals", "KILL"]).await.ok();
    wait::until_true_async("the session is gone", || async {
        !world.cmdop(&["sessions"]).await.out().contains("signals")
    })
    .await;
    world
        .cmdop(&["signal", "signals", "NOSUCH"])
        .await
        .refused(2, &["NOSUCH"]);
}

#[tokio::test]
async fn a_name_is_unique_among_the_living_and_free_again_after() {
    let world = World::start().await;
    world
        .new_session(&["web-1", "--name", "one", "--", "/bin/cat"])
        .await;
    let taken = world
        .cmdop(&["new", "-d", "web-1", "--name", "one", "--", "/bin/cat"])
        .await;
    taken.refused(2, &["one"]);
    world
        .cmdop(&["sessions", "rename", "one", "two"])
        .await
        .ok();
    world
        .new_session(&["web-1", "--name", "one", "--", "/bin/cat"])
        .await;
    world.cmdop(&["sessions", "close", "one"]).await.ok();
    wait::until_true_async("the name is free", || async {
        world
            .cmdop(&["new", "-d", "web-1", "--name", "one", "--", "/bin/cat"])
            .await
            .status
            == 0
    })
    .await;
}

#[tokio::test]
async fn a_session_that_ended_is_kept_with_its_end() {
    let world = World::start().await;
    let session = world
        .new_session(&["web-1", "--name", "brief", "--", "/bin/sh", "-c", "exit 42"])
        .await;
    wait::until_true_async("the session has ended", || async {
        !world.cmdop(&["sessions"]).await.out().contains("brief")
    })
    .await;
    let all = world.cmdop(&["sessions", "--all", "--json"]).await.ok();
    assert!(all.contains(&session) && all.contains("42"), "{all}");
    world
        .cmdop(&["attach", &session])
        .await
        .refused(69, &["ended"]);
}

#[tokio::test]
async fn a_listing_on_a_pipe_is_tabs_without_a_header() {
    let world = World::start().await;
    let plain = world.cmdop(&["machines"]).await.ok();
    let line = plain.lines().next().expect("one machine");
    assert!(
        plain.lines().count() == 1 && line.starts_with("web-1\tonline"),
        "{plain:?}"
    );
    let headed = world.cmdop(&["machines", "--header"]).await.ok();
    assert_eq!(headed.lines().count(), 2, "{headed:?}");
    let json = world.cmdop(&["machines", "--json"]).await.ok();
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(cmdop_tests::world::rows(&json)[0]["name"], "web-1");
}

async fn screen_has(world: &World, session: &str, text: &str) {
    let what = format!("the screen of {session} shows {text}");
    wait::until_true_async(&what, || async {
        world
            .cmdop(&["capture", session])
            .await
            .out()
            .contains(text)
    })
    .await;
}
