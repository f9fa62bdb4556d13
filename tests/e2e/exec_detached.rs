//! `cmdop exec --detach` and `--attach`: programs that need nobody, and whoever comes to see them.

use cmdop_tests::world::Account;
use cmdop_tests::{World, process, wait};
use rustix::process::Signal;
use tokio::io::AsyncReadExt as _;

/// Prints on both streams, waits for a file, prints more, and exits with 7.
fn script(go: &std::path::Path) -> String {
    format!(
        "echo out; echo err >&2; while [ ! -e {} ]; do sleep 0.05; done; echo more; exit 7",
        go.display()
    )
}

async fn detach(account: &Account, script: &str) -> String {
    let args = ["exec", "--detach", "web-1", "--", "sh", "-c", script];
    let id = account.cli.run(&args).await.ok();
    assert_eq!(id.lines().count(), 1, "{id}");
    id.trim().to_owned()
}

#[tokio::test]
async fn a_detached_run_is_read_from_its_beginning_while_it_runs_and_after() {
    let world = World::start().await;
    let go = world.directory().join("go");
    let id = detach(&world.owner, &script(&go)).await;
    // Somebody looks, and has enough of it.
    let mut child = world.owner.cli.start(&["exec", "--attach", &id]);
    let mut first = [0; 4];
    let mut stdout = child.stdout.take().unwrap();
    wait::within("the first line", stdout.read_exact(&mut first))
        .await
        .unwrap();
    assert_eq!(&first, b"out\n");
    process::signal(child.id().unwrap(), Signal::INT);
    let status = wait::within("the client's end", child.wait())
        .await
        .unwrap();
    assert_eq!(process::exit_code(status), 130);
    // Somebody else, or the same, sees all of it, by the start of its id too.
    let child = world.owner.cli.start(&["exec", "--attach", &id[..30]]);
    std::fs::write(&go, "").unwrap();
    let whole = cmdop_tests::cli::finish(child, b"").await;
    let after = world.cmdop(&["exec", "--attach", &id]).await;
    for outcome in [whole, after] {
        assert_eq!(outcome.status, 7, "{outcome:?}");
        assert_eq!(outcome.out(), "out\nmore\n");
        assert_eq!(outcome.err(), "err\n");
    }
    let json = world.cmdop(&["exec", "--json", "--attach", &id]).await;
    assert_eq!(json.status, 7, "{json:?}");
    let json: serde_json::Value = serde_json::from_str(&json.out()).unwrap();
    assert_eq!(json["exit_code"], 7);
    assert_eq!(json["stdout"], "out\nmore\n");
    assert_eq!(json["stderr"], "err\n");
}

#[tokio::test]
async fn a_detached_run_outlives_the_relay_and_its_reader_goes_on() {
    let mut world = World::start().await;
    let go = world.directory().join("go");
    let id = detach(&world.owner, &script(&go)).await;
    let mut child = world.owner.cli.start(&["exec", "--attach", &id]);
    let mut first = [0; 4];
    let mut stdout = child.stdout.take().unwrap();
    wait::within("the first line", stdout.read_exact(&mut first))
        .await
        .unwrap();
    world.crash_relay().await;
    std::fs::write(&go, "").unwrap();
    let mut rest = String::new();
    wait::within_times("the rest", 3, stdout.read_to_string(&mut rest))
        .await
        .unwrap();
    assert_eq!(rest, "more\n");
    let status = wait::within("the client's end", child.wait())
        .await
        .unwrap();
    assert_eq!(process::exit_code(status), 7);
    // The new relay has heard of it from its agent.
    let again = world.cmdop(&["exec", "--attach", &id]).await;
    assert_eq!((again.status, again.out().as_str()), (7, "out\nmore\n"));
}

#[tokio::test]
async fn a_run_that_is_not_there_is_named_and_another_workspaces_is_not_there() {
    let world = World::start().await;
    let id = detach(&world.owner, "echo secret").await;
    let unknown = uuid::Uuid::new_v4().to_string();
    for reference in [unknown.as_str(), "nonsense"] {
        let outcome = world.cmdop(&["exec", "--attach", reference]).await;
        outcome.refused(69, &["no detached run", reference]);
    }
    world.add_workspace("theirs").await;
    let stranger = world.add_account_in("theirs", "eve", "owner").await;
    let foreign = stranger.cli.run(&["exec", "--attach", &id]).await;
    foreign.refused(69, &["no detached run", &id]);
    assert_eq!(foreign.out(), "");
    let foreign = stranger.cli.run(&["exec", "--stop", &id]).await;
    foreign.refused(69, &["no detached run"]);
    // Who may not run programs may not see what they print either.
    let guest = world.add_account("guest", "guest").await;
    let denied = guest.cli.run(&["exec", "--attach", &id]).await;
    denied.refused(77, &["may not"]);
    assert_eq!(
        world.cmdop(&["exec", "--attach", &id]).await.ok(),
        "secret\n"
    );
}

#[tokio::test]
async fn a_detached_run_ends_when_it_is_told_to_or_its_time_is_over() {
    let world = World::start().await;
    let id = detach(&world.owner, "echo begun; exec sleep 600").await;
    world.cmdop(&["exec", "--stop", &id]).await.ok();
    let outcome = world.cmdop(&["exec", "--attach", &id]).await;
    assert_eq!((outcome.status, outcome.out().as_str()), (143, "begun\n"));
    let args = [
        "exec",
        "--detach",
        "--json",
        "--timeout",
        "700ms",
        "web-1",
        "--",
        "sleep",
        "600",
    ];
    let started = world.cmdop(&args).await.ok();
    let started: serde_json::Value = serde_json::from_str(&started).unwrap();
    assert_eq!(started["target"], "web-1");
    let id = started["run_id"].as_str().unwrap();
    let outcome = world.cmdop(&["exec", "--attach", id]).await;
    outcome.refused(75, &["--timeout"]);
}

#[tokio::test]
async fn a_detached_program_that_is_none_says_so_at_once() {
    let world = World::start().await;
    let outcome = world
        .cmdop(&["exec", "--detach", "web-1", "--", "no-such-program"])
        .await;
    outcome.refused(127, &["no-such-program"]);
    let outcome = world
        .cmdop(&[
            "exec",
            "--detach",
            "--cwd",
            "/no/such/place",
            "web-1",
            "--",
            "true",
        ])
        .await;
    outcome.refused(2, &["/no/such/place"]);
}

#[tokio::test]
async fn what_a_detached_run_prints_beyond_its_limit_is_counted_and_told() {
    let world = World::start().await;
    let id = detach(&world.owner, "head -c 70000000 /dev/zero; exit 3").await;
    let outcome = world.cmdop(&["exec", "--attach", &id]).await;
    assert_eq!(outcome.status, 3, "{outcome:?}");
    assert_eq!(outcome.stdout.len(), 64 << 20);
    let missing = (70_000_000 - (64 << 20)).to_string();
    assert!(outcome.err().contains(&missing), "{}", outcome.err());
}

#[tokio::test]
async fn programs_of_a_worker_that_dies_are_ended_and_their_callers_told() {
    let mut world = World::start().await;
    let ended = detach(&world.owner, "echo done; exit 5").await;
    let whole = world.cmdop(&["exec", "--attach", &ended]).await;
    assert_eq!(whole.status, 5, "{whole:?}");
    let running = detach(&world.owner, "echo $$; exec sleep 600").await;
    let mut child = world.owner.cli.start(&[
        "exec",
        "-n",
        "web-1",
        "--",
        "sh",
        "-c",
        "echo $$; exec sleep 600",
    ]);
    let mut stdout = child.stdout.take().unwrap();
    let mut line = [0; 64];
    let count = wait::within("the program's id", stdout.read(&mut line))
        .await
        .unwrap();
    let pid: u32 = std::str::from_utf8(&line[..count])
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    world.machine("web-1").kill_worker().await;
    let proc_entry = format!("/proc/{pid}");
    wait::until_true("the program is gone", || {
        !std::path::Path::new(&proc_entry).exists()
    })
    .await;
    let outcome = cmdop_tests::cli::finish(child, b"").await;
    outcome.refused(69, &["web-1", "restarted"]);
    // What was kept is still there, and what was lost is not silent.
    let whole = world.cmdop(&["exec", "--attach", &ended]).await;
    assert_eq!((whole.status, whole.out().as_str()), (5, "done\n"));
    let lost = world.cmdop(&["exec", "--attach", &running]).await;
    lost.refused(69, &["restarted"]);
    let pid = lost.out().trim().to_owned();
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
}
