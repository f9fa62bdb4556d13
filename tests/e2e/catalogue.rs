//! `cmdop sessions history`: the sessions that there were, found again, and what became of them.

use cmdop_tests::{World, wait};
use serde_json::Value;

async fn listed(world: &World, options: &[&str]) -> Vec<Value> {
    let args = [&["sessions", "history", "--json"], options].concat();
    let out = world.cmdop(&args).await.ok();
    let all: Value = serde_json::from_str(&out).unwrap();
    all.as_array().unwrap().clone()
}

fn names(sessions: &[Value]) -> Vec<&str> {
    sessions
        .iter()
        .map(|s| s["name"].as_str().unwrap())
        .collect()
}

/// Relays report a moment later: waits until so many have ended.
async fn ended(world: &World, count: usize) {
    wait::until("the catalogue knows of the ends", || async {
        let sessions = listed(world, &["--status", "ended"]).await;
        (sessions.len() >= count).then_some(())
    })
    .await;
}

#[tokio::test]
async fn sessions_that_ended_are_found_by_machine_state_maker_and_age() {
    let world = World::with().machines(&["web-1", "db-1"]).start().await;
    let ada = world.add_account("ada", "member").await;
    for (machine, name) in [("web-1", "one"), ("db-1", "two"), ("web-1", "three")] {
        world
            .new_session(&[machine, "--name", name, "--", "cat"])
            .await;
    }
    let own = ["new", "-d", "web-1", "--name", "four", "--", "cat"];
    ada.cli.run(&own).await.ok();
    for name in ["one", "two", "four"] {
        world.cmdop(&["sessions", "close", name]).await.ok();
    }
    ended(&world, 3).await;
    let newest_first = listed(&world, &[]).await;
    assert_eq!(names(&newest_first), ["four", "three", "two", "one"]);
    for (options, expected) in [
        (&["--machine", "web-1"][..], &["four", "three", "one"][..]),
        (&["--machine", "db-1"], &["two"]),
        (&["--status", "ended"], &["four", "two", "one"]),
        (&["--status", "connected"], &["three"]),
        (&["--created-by", "ada"], &["four"]),
        (
            &["--machine", "web-1", "--status", "disconnected"],
            &["four", "one"],
        ),
        (&["--limit", "2"], &["four", "three"]),
        (&["--since", "1h"], &["four", "three", "two", "one"]),
        (&["--until", "1h"], &[]),
    ] {
        let found = listed(&world, options).await;
        assert_eq!(names(&found), expected, "{options:?}");
    }
    // On a pipe a table is lines of cells; that there is more goes to stderr.
    let some = world.cmdop(&["sessions", "history", "-n", "1"]).await;
    assert_eq!(some.out().lines().count(), 1, "{some:?}");
    assert!(some.err().contains("there are more"), "{some:?}");
}

#[tokio::test]
async fn the_steps_of_a_life_are_told_long_after_the_relay_forgot_it() {
    let mut world = World::start().await;
    let args = ["web-1", "--name", "build", "--", "sh", "-c", "exit 3"];
    let id = world.new_session(&args).await;
    ended(&world, 1).await;
    // A new relay knows nothing of a session that is over.
    world.crash_relay().await;
    for word in [&id[..], &id[..13], "build"] {
        let args = ["sessions", "history", word, "--json"];
        let told: Value = serde_json::from_str(&world.cmdop(&args).await.ok()).unwrap();
        assert_eq!(told["session"]["exit_code"], 3, "{told}");
        let steps = told["steps"].as_array().unwrap();
        assert_eq!(steps[0]["status"], "connected", "{told}");
        assert_eq!(steps.last().unwrap()["status"], "disconnected", "{told}");
    }
    let shown = world.cmdop(&["sessions", "history", "build"]).await.ok();
    assert!(shown.contains("exit 3"), "{shown}");
    let unknown = world.cmdop(&["sessions", "history", "ghost"]).await;
    unknown.refused(69, &["ghost", "whole id"]);
}
