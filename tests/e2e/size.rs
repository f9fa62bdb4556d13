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
    person.enter("trap 'echo now $(stty size)' WINCH; while ! stty size | grep -q '40 120'; do read x; done; stty size");
    person.enter("");
    person.sees_line("40 120").await;
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
    viewer.sees_prompt().await;
    viewer.pty.resize(12, 44);
    operator.enter("echo size-$(stty size)");
    operator.sees_line("size-24 80").await;
}
