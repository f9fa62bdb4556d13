//! The full-screen client as its users live in it: panes of many machines on a real terminal.

use cmdop_tests::World;
use cmdop_tests::person::Person;
use cmdop_tests::pty::Shape;

/// tmux's prefix.
const PREFIX: &str = "\x02";

async fn world() -> World {
    World::with().machines(&["web-1", "web-2"]).start().await
}

/// Somebody who starts the client at a large terminal.
fn at_a_terminal(world: &World) -> Person {
    let shape = Shape {
        rows: 40,
        cols: 140,
        ..Shape::default()
    };
    world.owner.at_a_terminal_of(shape, &[])
}

/// Somebody at a large terminal, with the list of machines before them.
async fn at_the_fleet(world: &World) -> Person {
    let person = at_a_terminal(world);
    // Both: until then the first that is known is the first of the list.
    person.sees("machines · 2").await;
    person.sees("FLEET").await;
    person
}

/// Opens a shell on the selected machine.
async fn opens_a_shell(person: &Person) {
    person.type_keys("\r");
    person.sees("PANE").await;
    person.enter("PS1='ready> '; clear");
    person.sees("ready>").await;
}

async fn sees_times(person: &Person, text: &str, times: usize) {
    let what = format!("{text:?} stands {times} times on the screen");
    let shows = |screen: &str| screen.matches(text).count() == times;
    person
        .pty
        .wait_until(&what, 1, |pty| shows(&pty.screen()))
        .await;
}

#[tokio::test]
async fn panes_of_two_machines_share_a_tab_and_survive_a_crash_of_the_relay() {
    let mut world = world().await;
    let person = at_the_fleet(&world).await;
    opens_a_shell(&person).await;
    // A second pane, on the other machine, picked by a part of its name.
    person.type_keys(&format!("{PREFIX}M"));
    person.sees("beside this").await;
    person.type_keys("b-2\r");
    person.sees(" web-2/").await;
    person.enter("echo here-$((40 + 2)) in $HOME");
    person.sees("here-42").await;
    // What is typed goes to both.
    person.type_keys(&format!("{PREFIX}S"));
    person.sees("ALL PANES").await;
    person.enter("echo both-$((6 * 7))");
    sees_times(&person, "both-42", 2).await;
    person.type_keys(&format!("{PREFIX}S"));
    world.expect_errors();
    world.crash_relay().await;
    person
        .pty
        .wait_until("it is connected", 1, |pty| {
            let screen = pty.screen();
            screen.contains("connected") && !screen.contains("reconnecting")
        })
        .await;
    person.enter("echo after-$((40 + 2))");
    person.sees("after-42").await;
    sees_times(&person, "both-42", 2).await;
}

#[tokio::test]
async fn a_new_pane_is_in_the_directory_of_the_one_beside_it() {
    let world = world().await;
    let person = at_the_fleet(&world).await;
    opens_a_shell(&person).await;
    let directory = world.directory().join("deep/er");
    std::fs::create_dir_all(&directory).unwrap();
    person.enter(&format!(
        "cd {} && echo moved-$((1 + 1))",
        directory.display()
    ));
    person.sees("moved-2").await;
    person.type_keys(&format!("{PREFIX}\""));
    sees_times(&person, " web-1/", 2).await;
    person.enter("basename $(pwd)-$((1 + 1))");
    person.sees("er-2").await;
}

#[tokio::test]
async fn the_layout_and_its_sessions_are_there_again_at_the_next_start() {
    let world = world().await;
    let person = at_the_fleet(&world).await;
    opens_a_shell(&person).await;
    person.enter("echo first-$((1 + 1))");
    person.sees("first-2").await;
    person.type_keys(&format!("{PREFIX}%"));
    sees_times(&person, " web-1/", 2).await;
    person.enter("echo second-$((1 + 1))");
    person.sees("second-2").await;
    person.type_keys(&format!("{PREFIX},"));
    person.sees("name of the tab").await;
    person.type_keys("\x15work\r");
    person.sees("0:work*").await;
    person.type_keys(&format!("{PREFIX}d"));
    assert_eq!(person.pty.exit().await, 0);
    let again = at_a_terminal(&world);
    again.sees("first-2").await;
    again.sees("second-2").await;
    again.sees("0:work*").await;
}

#[tokio::test]
async fn the_mouse_turns_to_panes_and_programs_get_it() {
    let world = world().await;
    let person = at_the_fleet(&world).await;
    opens_a_shell(&person).await;
    person.type_keys(&format!("{PREFIX}%"));
    sees_times(&person, " web-1/", 2).await;
    person.enter("echo right-$((1 + 1))");
    person.sees("right-2").await;
    // A click into the left pane; what is typed next appears there.
    person.type_keys("\x1b[<0;5;10M\x1b[<0;5;10m");
    person.enter("printf '\\033[?1000h\\033[?1006h'; echo left-$((1 + 1)); cat -v");
    person
        .pty
        .wait_until("the left pane answers", 1, |pty| {
            pty.screen().lines().any(|line| line.starts_with("left-2"))
        })
        .await;
    // A click at the fifth column of its tenth row, which the terminal calls the eleventh: one is its title.
    person.type_keys("\x1b[<0;5;11M\x1b[<0;5;11m");
    person.sees("^[[<0;5;10M").await;
}

#[tokio::test]
async fn it_is_usable_on_the_smallest_terminal_and_grows() {
    let world = world().await;
    let person = at_the_fleet(&world).await;
    opens_a_shell(&person).await;
    person.type_keys(&format!("{PREFIX}%"));
    sees_times(&person, " web-1/", 2).await;
    person.pty.resize(5, 20);
    person
        .pty
        .wait_until("the small screen has a status bar", 1, |pty| {
            pty.screen()
                .lines()
                .last()
                .is_some_and(|last| last.contains("PANE"))
        })
        .await;
    person.enter("echo $((40 + 2))");
    person.sees("42").await;
    person.pty.resize(40, 140);
    sees_times(&person, " web-1/", 2).await;
}

#[tokio::test]
async fn lines_that_left_the_screen_are_fetched_searched_and_copied() {
    let world = world().await;
    let person = at_the_fleet(&world).await;
    opens_a_shell(&person).await;
    person.enter("seq 1 3000; echo all-$((1 + 1))");
    person.sees("all-2").await;
    // The client has never seen these lines if it starts now.
    person.type_keys(&format!("{PREFIX}d"));
    assert_eq!(person.pty.exit().await, 0);
    let person = at_a_terminal(&world);
    person.sees("all-2").await;
    person.type_keys(&format!("{PREFIX}["));
    person.sees("COPY").await;
    person.type_keys("?^1234$\r");
    person
        .pty
        .wait_until("the line is found", 1, |pty| {
            pty.screen().lines().any(|line| line.starts_with("1234 "))
        })
        .await;
    person.type_keys("0 $y");
    person.sees("copied").await;
    person.sees("PANE").await;
    person.enter("clear; echo ready-$((1 + 1))");
    person.sees("ready-2").await;
    person.type_keys(&format!("echo got-{PREFIX}]"));
    person.sees("got-1234").await;
}

#[tokio::test]
async fn the_dashboard_runs_a_command_on_all_machines_and_folds_what_is_equal() {
    let world = world().await;
    let person = at_the_fleet(&world).await;
    person.type_keys("d");
    person.sees("DASHBOARD").await;
    person.type_keys("ax");
    person.enter("echo ran-$((40 + 2))");
    person.type_keys("y");
    person.sees("2 ok").await;
    person.type_keys("\r");
    person.sees_line("    ran-42").await;
}
