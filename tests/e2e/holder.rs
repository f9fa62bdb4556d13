//! The agent's worker is killed, again and again; its sessions do not notice.

use cmdop_proto::v1::{AttachMode, attach_response};
use cmdop_tests::wire::Wire;
use cmdop_tests::workload::{COUNT, Typing, counted};
use cmdop_tests::{World, process, wait};

/// Sessions that live through the death of their worker.
const SESSIONS: usize = 50;

async fn wire(world: &World) -> Wire {
    let token = world.owner.access_token().await;
    Wire::dial(&world.relay.url(), &world.control.ca_pem(), &token).await
}

#[tokio::test]
async fn fifty_sessions_outlive_their_worker_and_their_exit_codes_are_told() {
    let mut world = World::start().await;
    let mut sessions = Vec::new();
    for _ in 0..SESSIONS {
        let args = ["web-1", "--", "/bin/sh", "-c", "read x; exit $x"];
        sessions.push(world.new_session(&args).await);
    }
    // This one ends while no worker is there to see it.
    let args = [
        "web-1",
        "--",
        "/bin/sh",
        "-c",
        "echo $$; trap 'exit 99' USR1; while :; do sleep 0.01; done",
    ];
    let dying = world.new_session(&args).await;
    let mut shell = 0;
    wait::until_true_async("the program says who it is", || async {
        world
            .cmdop(&["capture", &dying])
            .await
            .out()
            .trim()
            .parse::<u32>()
            .is_ok()
    })
    .await;
    if let Ok(pid) = world.cmdop(&["capture", &dying]).await.out().trim().parse() {
        shell = pid;
    }
    let worker = world.machine("web-1").worker().await;
    process::signal(worker, rustix::process::Signal::KILL);
    process::signal(shell, rustix::process::Signal::USR1);
    wait::until_true_async("another worker is linked", || async {
        world
            .cmdop(&["machines", "--json"])
            .await
            .out()
            .contains("\"online\"")
            && world.session(&dying).await["exit_code"] == 99
    })
    .await;
    world.machine("web-1").kill_worker().await;
    for (number, session) in sessions.iter().enumerate() {
        let code = number.to_string();
        world.cmdop(&["send", session, "--enter", &code]).await.ok();
    }
    for (number, session) in sessions.iter().enumerate() {
        wait::until_true_async("the exit code is told", || async {
            world.session(session).await["exit_code"] == number
        })
        .await;
    }
}

#[tokio::test]
async fn every_byte_of_a_flood_arrives_once_while_workers_die() {
    let mut world = World::start().await;
    let session = world
        .new_session(&["web-1", "--", "/bin/sh", "-c", COUNT])
        .await;
    let mut raw = wire(&world)
        .await
        .attach(&session, AttachMode::Operator)
        .await
        .unwrap();
    raw.until_output(b"ready").await;
    raw.type_keys(b"\n").await;
    let expected = counted();
    let start = raw.end().unwrap();
    let (mut next, mut kills) = (200_000, 0);
    while raw.end().unwrap_or(start) - start < expected.len() as u64 {
        let response = raw.next().await.expect("the stream outlives the worker");
        let response = response.expect("the stream outlives the worker");
        assert!(
            !matches!(response, attach_response::Response::Keyframe(_)),
            "the only operator never has to skip"
        );
        if raw.end().unwrap_or(start) - start > next {
            let worker = world.machine("web-1").worker().await;
            process::signal(worker, rustix::process::Signal::KILL);
            kills += 1;
            next += 600_000;
        }
    }
    assert!(kills >= 4, "{kills} kills");
    let came = &raw.output()[raw.output().len() - expected.len()..];
    assert!(came == expected, "the bytes differ from what was printed");
}

#[tokio::test]
async fn what_is_typed_while_workers_die_is_written_once() {
    let mut world = World::start().await;
    let mut typing = Typing::start(&world).await;
    for number in 0..60 {
        let worker = match number % 12 {
            6 => Some(world.machine("web-1").worker().await),
            _ => None,
        };
        typing.type_line();
        if let Some(worker) = worker {
            process::signal(worker, rustix::process::Signal::KILL);
        }
        if number % 12 == 11 {
            typing.caught_up().await;
        }
    }
    typing.each_line_was_written_once(&world).await;
}

#[tokio::test]
async fn the_next_worker_knows_the_screen() {
    let mut world = World::start().await;
    let script = "printf '\\033[?1049h\\033[2J\\033[5;10H\\033[1;38;2;9;99;199mhere \\344\\275\\240\\033[0m\\033[?2004h\\033[3;7r'; read x";
    let session = world
        .new_session(&["web-1", "--", "/bin/sh", "-c", script])
        .await;
    world.cmdop(&["resize", &session, "90x31"]).await.ok();
    let picture = || async {
        world
            .cmdop(&["capture", &session, "--ansi", "--json"])
            .await
            .ok()
    };
    wait::until_true_async("the screen", || async { picture().await.contains("here") }).await;
    let before = picture().await;
    let worker = world.machine("web-1").worker().await;
    world.machine("web-1").kill_worker().await;
    assert_ne!(world.machine("web-1").worker().await, worker);
    let after = world
        .cmdop(&["capture", &session, "--ansi", "--json"])
        .await
        .ok();
    assert_eq!(after, before);
}

#[tokio::test]
async fn an_upgrade_replaces_the_worker_under_its_sessions() {
    let mut world = World::start().await;
    let session = world.new_session(&["web-1", "--", "/bin/cat"]).await;
    let before = world.machine("web-1").worker().await;
    let data = world.machine("web-1").data().display().to_string();
    let upgraded = world
        .owner
        .cli
        .run_program("cmdopd", &["upgrade", "--data-dir", &data])
        .await
        .ok();
    assert!(upgraded.contains("1 sessions go on"), "{upgraded}");
    assert_ne!(world.machine("web-1").worker().await, before);
    world.cmdop(&["send", &session, "--enter", "on"]).await.ok();
    wait::until_true_async("the echo", || async {
        world
            .cmdop(&["capture", &session])
            .await
            .out()
            .contains("on")
    })
    .await;
}
