//! A flood drowns nobody, and whoever watches it loses nothing.

use cmdop_tests::{Shape, World, wait};
use tokio::time::Instant;

/// One line of the flood, as `yes` prints it and as a terminal shows it.
const LINE: &str = "0123456789abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const GIBIBYTE: u64 = 1 << 30;

#[tokio::test]
async fn while_one_session_prints_a_gibibyte_another_still_echoes() {
    let world = World::start().await;
    let script = format!("stty -opost; yes {LINE} | head -c {GIBIBYTE}; printf '<done>'; read x");
    let shape = Shape {
        screen: false,
        ..Shape::default()
    };
    let flood = world.owner.at_a_terminal_of(
        shape,
        &[
            "new", "web-1", "--name", "flood", "--", "/bin/sh", "-c", &script,
        ],
    );
    let calm = world
        .owner
        .at_a_terminal(&["new", "web-1", "--name", "calm", "--", "/bin/sh"]);
    calm.sees_prompt().await;
    flood
        .pty
        .wait_until("the flood has begun", 1, |pty| pty.total() > 10 << 20)
        .await;
    let mut waits = Vec::new();
    let mut number = 0;
    while flood.pty.total() < GIBIBYTE * 9 / 10 {
        number += 1;
        let before = Instant::now();
        calm.enter(&format!("echo calm-$(({number} + 0))"));
        calm.sees_line(&format!("calm-{number}")).await;
        waits.push(before.elapsed());
        let total = flood.pty.total();
        flood
            .pty
            .wait_until("the flood goes on", 1, |pty| {
                pty.total() > total + (8 << 20)
            })
            .await;
    }
    flood
        .pty
        .wait_until("the end of the flood", 3, |pty| {
            pty.raw().ends_with(b"<done>")
        })
        .await;
    waits.sort();
    println!(
        "echo beside the flood: median {:?}, worst {:?} of {}",
        waits[waits.len() / 2],
        waits[waits.len() - 1],
        waits.len()
    );
    assert!(
        waits.len() >= 10,
        "only {} echoes while the flood ran",
        waits.len()
    );
    assert!(
        waits[waits.len() / 2] < wait::patience() / 40,
        "median {:?}",
        waits[waits.len() / 2]
    );
    // The only operator of a session is its fastest: nothing was skipped.
    let raw = flood.pty.raw();
    assert!(
        flood.pty.total() >= GIBIBYTE,
        "{} bytes came",
        flood.pty.total()
    );
    let tail = &raw[raw.len() - (4 << 20)..raw.len() - "<done>".len() - (LINE.len() + 1)];
    let lines = tail.split(|byte| *byte == b'\n').skip(1);
    assert!(lines.clone().count() > 50_000);
    assert!(
        lines
            .clone()
            .take(lines.count() - 1)
            .all(|line| line == LINE.as_bytes()),
        "a line was cut or doubled"
    );
}

#[tokio::test]
async fn an_interrupt_beats_a_flood() {
    let world = World::start().await;
    let shape = Shape {
        screen: false,
        ..Shape::default()
    };
    let person = world
        .owner
        .at_a_terminal_of(shape, &["new", "web-1", "--", "/bin/sh"]);
    person
        .pty
        .wait_until("the prompt", 1, |pty| {
            pty.raw().ends_with(b"$ ") || pty.raw().ends_with(b"# ")
        })
        .await;
    person.enter("yes; echo over-$((4 + 4))");
    person
        .pty
        .wait_until("the flood", 1, |pty| pty.total() > 4 << 20)
        .await;
    person.type_keys("\x03");
    person.enter("echo out-$((5 + 5))");
    person
        .pty
        .wait_until("the prompt after it", 1, |pty| {
            let raw = pty.raw();
            cmdop_tests::wire::contains(&raw[raw.len().saturating_sub(4000)..], b"out-10")
        })
        .await;
}

#[tokio::test]
async fn a_viewer_that_never_reads_slows_nobody() {
    let world = World::start().await;
    let session = world
        .new_session(&["web-1", "--name", "slow", "--", "/bin/sh"])
        .await;
    let wire = cmdop_tests::Wire::dial(
        &world.relay.url(),
        &world.control.ca_pem(),
        &world.owner.access_token().await,
    )
    .await;
    let stuck = wire
        .attach(&session, cmdop_proto::v1::AttachMode::Operator)
        .await
        .unwrap();
    let person = world.owner.at_a_terminal(&["attach", "slow"]);
    person.sees_prompt().await;
    person.enter(&format!(
        "yes {LINE} | head -c 50000000; echo; echo over-$((4 + 4))"
    ));
    person.sees_line("over-8").await;
    drop(stuck);
}
