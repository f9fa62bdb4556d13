//! What is typed is shown at once where it is certain to be echoed, however slow the way is. Here the relay
//! stands still: nothing can be answered until it goes on.

use cmdop_tests::person::Person;
use cmdop_tests::{World, process};
use rustix::process::Signal;

/// Somebody who wants predictions, in a program of `command` that has said `ready`.
async fn in_a_program(world: &World, command: &str) -> Person {
    let config = world.owner.client_directory().join("tui.toml");
    std::fs::write(config, "prediction = \"on\"\n").unwrap();
    let script = format!("printf ready; {command}");
    let session = ["web-1", "--name", "typed", "--", "/bin/sh", "-c", &script];
    world.new_session(&session).await;
    let person = world.owner.at_a_terminal(&[]);
    person.sees("typed").await;
    person.type_keys("\x02styped\r");
    person.sees("ready").await;
    person.ends_the_tour().await;
    person
}

/// The characters of the first row that are underlined.
fn underlined(person: &Person) -> String {
    let looks = person.pty.looks().into_iter().take(1).flatten();
    let shown = looks.filter(|look| look.contains("Some((Single"));
    shown.filter_map(|look| look.chars().nth(1)).collect()
}

#[tokio::test]
async fn a_guess_is_underlined_until_it_is_answered() {
    let world = World::start().await;
    let person = in_a_program(&world, "exec cat").await;
    // The second echo tells that the first was one: from now on it is certain enough.
    person.type_keys("a");
    person.sees("readya").await;
    person.type_keys("b");
    person.sees("readyab").await;
    let relay = world.relay.program.pid();
    process::freeze(relay).await;
    person.type_keys("cd");
    person
        .pty
        .wait_until("what was typed is guessed", 1, |_| {
            underlined(&person) == "cd"
        })
        .await;
    process::signal(relay, Signal::CONT);
    person
        .pty
        .wait_until("what was guessed is there", 1, |pty| {
            pty.screen().contains("readyabcd") && underlined(&person).is_empty()
        })
        .await;
}

#[tokio::test]
async fn a_password_is_never_guessed() {
    let world = World::start().await;
    let person = in_a_program(&world, "stty -echo; printf set; exec cat >/dev/null").await;
    person.sees("readyset").await;
    process::freeze(world.relay.program.pid()).await;
    person.type_keys("hunter2");
    // The client has taken all of it, and has drawn since.
    person.type_keys("\x02?");
    person.sees("keys · ").await;
    person.type_keys("\x1b");
    person
        .pty
        .wait_until("the help is gone", 1, |pty| {
            pty.screen().starts_with("ready")
        })
        .await;
    assert_eq!(person.screen().lines().next(), Some("readyset"));
    process::signal(world.relay.program.pid(), Signal::CONT);
}
