//! One size, set by operators, seen by the program.

use cmdop_tests::{Shape, World};

#[tokio::test]
async fn the_program_sees_the_size_of_its_operators_terminal() {
    let world = World::start().await;
    let shape = Shape {
        rows: 31,
        cols: 97,
        screen: true,
    };
    let person = world
        .owner
        .at_a_terminal_of(shape, &["new", "web-1", "--", "/bin/sh"]);
    person.sees_prompt().await;
    person.enter("stty size");
    person.sees_line("31 97").await;
    person.pty.resize(40, 120);
    // The new size is on its way: keys until the program has it.
    person.enter("while ! stty size | grep -q '40 120'; do read x; done; stty size");
    let has_it = |pty: &cmdop_tests::Pty| {
        let has_it = pty.screen().lines().any(|line| line == "40 120");
        if !has_it {
            pty.write(b"\r");
        }
        has_it
    };
    person
        .pty
        .wait_until("the program has the size", 1, has_it)
        .await;
}

#[tokio::test]
async fn a_resize_signals_the_program() {
    let world = World::start().await;
    let script = "trap 'echo now-$(stty size)' WINCH; echo ready; while :; do read x; done";
    let person = world
        .owner
        .at_a_terminal(&["new", "web-1", "--", "/bin/bash", "-c", script]);
    person.sees_line("ready").await;
    // A shell runs its trap between two reads: keys until it has.
    person.pty.resize(33, 101);
    cmdop_tests::wait::until_true("the program hears of the size", || {
        person.enter("");
        person.screen().contains("now-33 101")
    })
    .await;
}

#[tokio::test]
async fn a_script_can_set_the_size() {
    let world = World::start().await;
    let session = world
        .new_session(&["web-1", "--name", "sized", "--", "/bin/sh"])
        .await;
    world.cmdop(&["resize", &session, "132x43"]).await.ok();
    world
        .cmdop(&["send", &session, "--enter", "stty size"])
        .await
        .ok();
    cmdop_tests::wait::until_true_async("the size", || async {
        world
            .cmdop(&["capture", &session])
            .await
            .out()
            .contains("43 132")
    })
    .await;
    world
        .cmdop(&["resize", &session, "0x0"])
        .await
        .refused(2, &["0x0"]);
}

#[tokio::test]
async fn an_observers_terminal_changes_nothing() {
    let world = World::start().await;
    let operator = world
        .owner
        .at_a_terminal(&["new", "web-1", "--name", "still", "--", "/bin/sh"]);
    operator.sees_prompt().await;
    let shape = Shape {
        rows: 10,
        cols: 40,
        screen: true,
    };
    let viewer = world
        .owner
        .at_a_terminal_of(shape, &["attach", "still", "--observe"]);
    operator.enter("echo here-$((1 + 1))");
    viewer.sees("here-2").await;
    viewer.pty.resize(12, 44);
    operator.enter("echo size-$(stty size)");
    operator.sees_line("size-24 80").await;
}

#[tokio::test]
async fn a_policy_says_whose_terminal_decides() {
    let world = World::start().await;
    let of = |rows, cols| Shape {
        rows,
        cols,
        screen: true,
    };
    let args = [
        "new",
        "web-1",
        "--name",
        "shared",
        "--size-policy",
        "smallest",
        "--",
        "/bin/sh",
    ];
    let anna = world.owner.at_a_terminal_of(of(30, 100), &args);
    anna.sees_prompt().await;
    let bert = world
        .owner
        .at_a_terminal_of(of(40, 80), &["attach", "shared"]);
    bert.sees_prompt().await;
    bert.enter("echo size-$(stty size)");
    bert.sees_line("size-30 80").await;
    world.cmdop(&["resize", "shared", "90x20"]).await.refused(
        2,
        &["terminals of the attached operators", "--policy manual"],
    );
    world
        .cmdop(&["resize", "shared", "--policy", "largest"])
        .await
        .ok();
    size_is(&world, "shared", (40, 100)).await;
    world
        .cmdop(&["resize", "shared", "90x20", "--policy", "manual"])
        .await
        .ok();
    size_is(&world, "shared", (20, 90)).await;
    anna.pty.resize(33, 111);
    world
        .cmdop(&["resize", "shared", "--policy", "latest"])
        .await
        .ok();
    anna.pty.resize(34, 112);
    size_is(&world, "shared", (34, 112)).await;
    assert_eq!(world.session("shared").await["size_policy"], "latest");
}

#[tokio::test]
async fn a_terminal_that_changed_while_its_client_was_away_is_told_when_it_is_back() {
    let world = World::with().relay_behind_proxy().start().await;
    let person = world
        .owner
        .at_a_terminal(&["new", "web-1", "--name", "away", "--", "/bin/sh"]);
    person.sees_prompt().await;
    world.relay.proxy().close();
    person.pty.resize(33, 101);
    world.relay.proxy().open();
    size_is(&world, "away", (33, 101)).await;
    person.enter("stty size");
    person.sees_line("33 101").await;
}

async fn size_is(world: &World, session: &str, (rows, cols): (u16, u16)) {
    cmdop_tests::wait::until_true_async("the size", || async {
        let record = world.session(session).await;
        record["rows"] == rows && record["cols"] == cols
    })
    .await;
}

#[tokio::test]
async fn a_terminal_smaller_than_the_session_shows_the_part_around_the_cursor() {
    let world = World::start().await;
    let operator = world
        .owner
        .at_a_terminal(&["new", "web-1", "--name", "wide", "--", "/bin/sh"]);
    operator.sees_prompt().await;
    operator.enter("PS1='$ '; clear; seq 1 18; echo tail-$((1 + 1))");
    operator.sees_line("tail-2").await;
    let small = Shape {
        rows: 6,
        cols: 30,
        screen: true,
    };
    let viewer = world
        .owner
        .at_a_terminal_of(small, &["attach", "wide", "--observe"]);
    viewer.sees("tail-2").await;
    viewer.sees("18").await;
    assert!(!viewer.screen().lines().any(|line| line == "5"));
    // What is typed far to the right is followed.
    operator.type_keys("echo aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-here");
    viewer.sees("aaa-here").await;
    operator.type_keys("\x15");
    // A terminal that grows beyond the session gets its bytes as they are.
    viewer.pty.resize(30, 100);
    viewer.sees_line("1").await;
    viewer.sees_line("tail-2").await;
    operator.enter("echo raw-$((1 + 2))");
    viewer.sees_line("raw-3").await;
    viewer.pty.resize(6, 30);
    operator.enter("echo again-$((2 + 2))");
    viewer.sees("again-4").await;
    assert_eq!(viewer.detach().await, 0);
}
