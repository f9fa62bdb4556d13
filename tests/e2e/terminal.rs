//! The person's own terminal is given back as it was, however the client ends.

use cmdop_tests::person::DETACH;
use cmdop_tests::{Person, World};
use rustix::process::Signal;

/// A person in a session, and their terminal's modes from before the client took it over.
async fn attached(world: &World) -> (Person, String) {
    let person = world
        .owner
        .at_a_terminal(&["new", "web-1", "--name", "raw", "--", "/bin/sh"]);
    // A new terminal of the same kind has the modes that this one had.
    let before = cmdop_tests::Pty::spawn(
        std::path::Path::new("/bin/true"),
        &[],
        &[],
        cmdop_tests::Shape::default(),
    );
    let modes = before.modes();
    person.sees_prompt().await;
    assert_ne!(person.pty.modes(), modes, "an attached terminal is raw");
    (person, modes)
}

#[tokio::test]
async fn when_the_session_ends() {
    let world = World::start().await;
    let (person, modes) = attached(&world).await;
    person.enter("exit 0");
    assert_eq!(person.pty.exit().await, 0);
    assert_eq!(person.pty.modes(), modes);
}

#[tokio::test]
async fn when_the_person_detaches() {
    let world = World::start().await;
    let (person, modes) = attached(&world).await;
    person.pty.write(DETACH);
    assert_eq!(person.pty.exit().await, 0);
    assert_eq!(person.pty.modes(), modes);
    assert!(
        world.cmdop(&["sessions"]).await.ok().contains("raw"),
        "the session lives on"
    );
}

#[tokio::test]
async fn when_the_client_is_terminated() {
    let world = World::start().await;
    for (signal, number) in [(Signal::TERM, 15), (Signal::HUP, 1)] {
        let (person, modes) = attached(&world).await;
        cmdop_tests::process::signal(person.pty.pid().unwrap(), signal);
        assert_eq!(person.pty.exit().await, 128 + number);
        assert_eq!(person.pty.modes(), modes);
        world.cmdop(&["sessions", "close", "raw"]).await.ok();
        cmdop_tests::wait::until_true_async("the name is free", || async {
            !world.cmdop(&["sessions"]).await.out().contains("raw")
        })
        .await;
    }
}

#[tokio::test]
async fn when_the_program_left_its_modes_on() {
    let world = World::start().await;
    let (person, _) = attached(&world).await;
    // Alternate screen, hidden cursor, mouse, bracketed paste: as a crashed editor leaves them.
    person.enter(
        "printf '\\033[?1049h\\033[?25l\\033[?1000h\\033[?1006h\\033[?2004h'; echo left-$((1 + 1))",
    );
    person.sees("left-2").await;
    assert_eq!(person.detach().await, 0);
    let raw = String::from_utf8_lossy(&person.pty.raw()).into_owned();
    for (mode, name) in [
        ("1049l", "the alternate screen"),
        ("25h", "the cursor"),
        ("1000l", "the mouse"),
        ("2004l", "bracketed paste"),
    ] {
        let set = mode.replace('l', "\0").replace('h', "l").replace('\0', "h");
        assert!(
            raw.rfind(&format!("?{mode}")) > raw.rfind(&format!("?{set}")),
            "{name} is not given back"
        );
    }
}

#[tokio::test]
async fn the_escape_key_can_be_another() {
    let world = World::start().await;
    let person = world
        .owner
        .at_a_terminal(&["new", "web-1", "--name", "esc", "--", "/bin/sh"]);
    person.sees_prompt().await;
    assert_eq!(person.detach().await, 0);
    let person = world
        .owner
        .at_a_terminal(&["attach", "esc", "--escape", "^A"]);
    person.sees_prompt().await;
    person.pty.write(b"\x01d");
    assert_eq!(person.pty.exit().await, 0);
}

#[tokio::test]
async fn a_program_that_ends_before_its_maker_is_attached_is_shown_with_its_exit_code() {
    let world = World::start().await;
    for round in 0..8 {
        let script = format!("echo round-{round}; exit 7");
        let args = ["exec", "-t", "web-1", "--", "sh", "-c", &script];
        let outcome = world.cmdop(&args).await;
        assert_eq!(outcome.status, 7, "{outcome:?}");
        assert_eq!(outcome.out().trim(), format!("round-{round}"));
        let args = ["new", "web-1", "--", "sh", "-c", &script];
        let person = world.owner.at_a_terminal(&args);
        assert_eq!(person.pty.exit().await, 7, "{}", person.screen());
        let raw = person.pty.raw();
        let shown = String::from_utf8_lossy(&raw);
        assert!(shown.contains(&format!("round-{round}")), "{shown:?}");
    }
}
