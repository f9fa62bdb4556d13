//! `cmdop events`: what happens on a whole system, as the people of its workspace see it.

use cmdop_tests::{World, wait};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};

/// What was told so far, as `cmdop events --json` prints it.
async fn told(cli: &cmdop_tests::cli::Cli) -> Vec<Value> {
    let out = cli.run(&["events", "--json", "-n", "500"]).await.ok();
    let told: Value = serde_json::from_str(&out).unwrap();
    told.as_array().unwrap().clone()
}

fn is(told: &Value, kind: &str, key: &str, value: &str) -> bool {
    told["type"] == kind && told[key] == value
}

#[tokio::test]
async fn a_machine_a_session_and_who_did_it_are_told_to_those_who_may_hear_it() {
    let mut world = World::start().await;
    let guest = world.add_account("grace", "guest").await;
    let id = world.new_session(&["--name", "build"]).await;
    world.cmdop(&["sessions", "close", &id]).await.ok();
    world.machine("web-1").kill().await;
    let all = wait::until("the events", || async {
        let all = told(&world.owner.cli).await;
        let is_whole = all
            .iter()
            .any(|one| is(one, "presence", "presence", "offline"));
        is_whole.then_some(all)
    })
    .await;
    let at = |kind: &str, key: &str, value: &str| {
        let found = all.iter().position(|one| is(one, kind, key, value));
        found.unwrap_or_else(|| panic!("no {kind} {value}: {all:#?}"))
    };
    assert!(at("machine", "change", "enrolled") < at("presence", "presence", "online"));
    assert!(at("presence", "presence", "online") < at("session", "change", "created"));
    assert!(at("session", "change", "created") < at("session", "change", "ended"));
    assert_eq!(
        all[at("session", "change", "created")]["session"]["name"],
        "build"
    );
    at("audit", "action", "session-created");
    // A guest sees the same, but for the audit log.
    let seen = told(&guest.cli).await;
    assert!(seen.iter().any(|one| is(one, "session", "change", "ended")));
    assert!(seen.iter().all(|one| one["type"] != "audit"));
    let lines = guest.cli.run(&["events", "-n", "3"]).await.ok();
    assert_eq!(lines.lines().count(), 3, "{lines}");
}

#[tokio::test]
async fn a_follower_misses_nothing_while_the_control_plane_restarts() {
    let mut world = World::start().await;
    // With what was told already: it does not matter when it is there.
    let follow = ["events", "--follow", "--json", "-n", "500"];
    let mut following = world.owner.cli.start(&follow);
    let mut lines = BufReader::new(following.stdout.take().unwrap()).lines();
    let mut next_end = async || loop {
        let line = wait::within("an event", lines.next_line()).await;
        let told: Value = serde_json::from_str(&line.unwrap().unwrap()).unwrap();
        if is(&told, "session", "change", "ended") {
            return told["session"]["name"].as_str().unwrap().to_owned();
        }
    };
    let mut expected = Vec::new();
    let mut ends = Vec::new();
    for n in 0..3 {
        let name = format!("build-{n}");
        if n == 1 {
            world.control.program.kill().await;
        }
        let id = world.new_session(&["--name", &name]).await;
        world.cmdop(&["sessions", "close", &id]).await.ok();
        if n == 1 {
            world.crash_control().await;
        }
        ends.push(next_end().await);
        expected.push(name);
    }
    assert_eq!(ends, expected);
    drop(following);
}
