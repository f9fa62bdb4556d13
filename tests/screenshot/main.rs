//! Draws the terminal client as it is: starts servers, agents and the client on a terminal, lives in it for a
//! moment, and prints its screen as SVG.
//!
//! `cargo run --release -p cmdop-tests --example screenshot > docs/screenshot.svg`

mod svg;

use cmdop_tests::World;
use cmdop_tests::person::Person;
use cmdop_tests::pty::Shape;

const ROWS: u16 = 32;
const COLS: u16 = 120;

#[tokio::main]
async fn main() {
    let world = World::with()
        .machines(&["web-1", "web-2", "db-1"])
        .start()
        .await;
    let person = at_the_client(&world).await;
    person.type_keys("j\r");
    person.ends_the_tour().await;
    let home = world.directory().display().to_string();
    prepares(&person, &home).await;
    person.enter("cd src && vim -u NONE -i NONE -n -c 'syntax on' -c 'set number' main.rs");
    person.sees("fn main").await;
    opens_beside(&person, "b-2", &home).await;
    person.enter("htop -d 100 -u nobody");
    person.sees("F5Tree").await;
    opens_beside(&person, "db-1", &home).await;
    // One at the left, the others at the right.
    person.type_keys("\x02\x1b4");
    person.enter("ls --color=always -C /usr && free -h && uptime");
    person.sees("load average").await;
    person
        .pty
        .with_screen(|screen| print!("{}", svg::draw(screen)));
}

/// The client in full colours, past its tour, with a program to look at.
async fn at_the_client(world: &World) -> Person {
    let directory = world.directory().join("src");
    std::fs::create_dir_all(&directory).expect("a directory for the program");
    let program = include_str!("../../relay/src/main.rs");
    std::fs::write(directory.join("main.rs"), program).expect("a program to look at");
    let terminal = world.owner.cli.with_env("NO_COLOR", "");
    let terminal = terminal.with_env("COLORTERM", "truecolor");
    let terminal = terminal.with_env("CMDOP_THEME", "dark");
    let shape = Shape {
        rows: ROWS,
        cols: COLS,
        ..Shape::default()
    };
    let person = Person::running(&terminal, &[], shape);
    person.sees("machines · 3").await;
    person.sees("db-1").await;
    person
}

/// A prompt that says nothing about the machine that this runs on.
async fn prepares(person: &Person, home: &str) {
    person.sees("PANE").await;
    person.enter(&format!("export HOME={home}; cd"));
    person.enter("PS1='\\[\\e[32m\\]ready\\[\\e[m\\] $ '; export LC_ALL=C.UTF-8; clear; printf 'clean-%d\\n' 42; clear");
    person
        .pty
        .wait_until("the pane is clean", 1, |pty| {
            let screen = pty.screen();
            screen.contains("ready $") && !screen.contains("clean-")
        })
        .await;
}

/// A shell of another machine in a new pane.
async fn opens_beside(person: &Person, machine: &str, home: &str) {
    person.type_keys("\x02M");
    person.sees("beside this").await;
    person.type_keys(&format!("{machine}\r"));
    prepares(person, home).await;
}
