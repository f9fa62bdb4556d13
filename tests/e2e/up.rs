//! `cmdop up`: everything with one command, and nothing left after `cmdop down`.

use cmdop_tests::cli::Cli;
use cmdop_tests::world::Ground;
use cmdop_tests::{Person, Shape, wait};

#[tokio::test]
async fn up_gives_a_shell_and_down_leaves_no_process() {
    let ground = Ground::new();
    let cli = ground.cli("me");
    cli.run(&["up", "--no-tui"]).await.ok();
    assert!(
        ground.processes().len() >= 3,
        "control plane, relay and agent run: {:?}",
        ground.processes()
    );
    let status = cli.run(&["status"]).await.ok();
    for part in ["control", "relay"] {
        assert!(status.to_lowercase().contains(part), "{status}");
    }
    let session = cli
        .run(&["new", "-d", "--name", "here", "--", "/bin/sh"])
        .await
        .ok();
    cli.run(&["send", "here", "--enter", "echo up-$((20 + 22))"])
        .await
        .ok();
    wait::until_true_async("the screen", || async {
        cli.run(&["capture", session.trim()])
            .await
            .out()
            .contains("up-42")
    })
    .await;
    cli.run(&["down"]).await.ok();
    wait::until_true("no process is left", || ground.processes().is_empty()).await;
}

#[tokio::test]
async fn up_twice_is_up_once() {
    let ground = Ground::new();
    let cli = ground.cli("me");
    cli.run(&["up", "--no-tui"]).await.ok();
    let mut before = ground.processes();
    cli.run(&["up", "--no-tui"]).await.ok();
    let mut after = ground.processes();
    before.sort_unstable();
    after.sort_unstable();
    assert_eq!(before, after);
    cli.run(&["down"]).await.ok();
    wait::until_true("no process is left", || ground.processes().is_empty()).await;
    // Down and up again: the same account, the same machine.
    cli.run(&["up", "--no-tui"]).await.ok();
    cli.run(&["new", "-d", "--", "/bin/cat"]).await.ok();
    cli.run(&["down"]).await.ok();
}

#[tokio::test]
async fn down_with_nothing_up_is_no_error() {
    let ground = Ground::new();
    ground.cli("me").run(&["down"]).await.ok();
}

#[tokio::test]
async fn what_dies_is_started_again() {
    let ground = Ground::new();
    let cli = ground.cli("me");
    cli.run(&["up", "--no-tui"]).await.ok();
    let relay = named(&ground, "cmdop-relay").expect("a relay runs");
    cmdop_tests::process::signal(relay, rustix::process::Signal::KILL);
    wait::until_true("another relay runs", || {
        named(&ground, "cmdop-relay").is_some_and(|pid| pid != relay)
    })
    .await;
    wait::until_true_async("it works again", || async {
        cli.run(&["new", "-d", "--", "/bin/cat"]).await.status == 0
    })
    .await;
    cli.run(&["down"]).await.ok();
}

#[tokio::test]
async fn on_a_terminal_it_opens_a_live_shell() {
    let ground = Ground::new();
    let cli = ground.cli("me");
    let person = Person::running(&cli, &["up"], Shape::default());
    // A first start has a live shell in its pane.
    person.sees("PANE").await;
    person.enter("echo it-$((40 + 2))");
    person.sees("it-42").await;
    person.type_keys("\x02D");
    let hostname = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let shown: String = hostname.trim().chars().take(12).collect();
    person.sees(&shown).await;
    person.sees("FLEET").await;
    person.type_keys("q");
    leaves(&person).await;
    down(&cli).await;
}

async fn leaves(person: &Person) {
    assert_eq!(person.pty.exit().await, 0);
}

async fn down(cli: &Cli) {
    cli.run(&["down"]).await.ok();
}

/// The process of the world whose program is called `name`.
fn named(ground: &Ground, name: &str) -> Option<u32> {
    ground.processes().into_iter().find(|pid| {
        std::fs::read_link(format!("/proc/{pid}/exe"))
            .is_ok_and(|path| path.file_name().is_some_and(|file| file == name))
    })
}
