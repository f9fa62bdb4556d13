//! Full-screen programs inside a pane look as they do in a terminal of that size: the same program with
//! the same keys, once in the terminal client and once in a plain emulator, row by row.

use cmdop_tests::World;
use cmdop_tests::person::Person;
use cmdop_tests::pty::{Pty, Shape};

/// A pane that has the whole screen; the client's terminal has a row more, for its status bar.
const ROWS: u16 = 24;
const COLS: u16 = 80;

/// What programs read: long lines, wide characters, tabs.
fn text() -> String {
    let line = |number: u32| match number % 4 {
        0 => format!("{number}\ttabs\tand\tmore\n"),
        1 => format!("{number} 漢字 and é and 🙂 in a line\n"),
        2 => format!("{number} {}\n", "long ".repeat(30)),
        _ => format!("{number} plain\n"),
    };
    (0..200).map(line).collect()
}

/// Runs a program on a file in both places; it begins with the first sign. Then types keys, each of which
/// leads to its sign, and waits each time until both screens are the same.
async fn looks_the_same(program: &[&str], begins: &str, keys: &[(&str, &str)]) {
    let world = World::start().await;
    let file = world.directory().join("text");
    std::fs::write(&file, text()).unwrap();
    let home = format!("HOME={}", world.directory().display());
    let environment = [
        "/usr/bin/env",
        "-i",
        &home,
        "LC_ALL=C.UTF-8",
        "PATH=/usr/bin:/bin",
        "TERM=xterm-256color",
    ];
    let command = [&environment[..], program, &[file.to_str().unwrap()]].concat();
    let shape = |rows| Shape {
        rows,
        cols: COLS,
        ..Shape::default()
    };
    let session = [&["web-1", "--name", "program", "--"], &command[..]].concat();
    world.new_session(&session).await;
    let person = world.owner.at_a_terminal_of(shape(ROWS + 1), &[]);
    person.sees("program").await;
    person.type_keys("\x02sprogram\r");
    person.sees("PANE").await;
    // The tour of a first start stands in a corner.
    person.type_keys("\x02\x1b");
    person
        .pty
        .wait_until("the tour is over", 1, |pty| !pty.screen().contains("tour"))
        .await;
    let plain = Pty::spawn(command[0].as_ref(), &command[1..], &[], shape(ROWS));
    for (pressed, sign) in [&[("", begins)], keys].concat() {
        plain.write(pressed.as_bytes());
        person.type_keys(pressed);
        let what = format!("{program:?} shows {sign:?}");
        plain
            .wait_until(&what, 1, |pty| pty.screen().contains(sign))
            .await;
        same(&person, &plain, &what).await;
    }
}

async fn same(person: &Person, plain: &Pty, what: &str) {
    let expected = |pty: &Pty| rows(&pty.screen());
    let what = format!(
        "{what} in the pane as in a plain terminal:\n{}",
        plain.screen()
    );
    person
        .pty
        .wait_until(&what, 1, |pty| rows(&pty.screen()) == expected(plain))
        .await;
}

/// The rows of the program, without the client's status bar and blanks at their ends.
fn rows(screen: &str) -> Vec<String> {
    let rows = screen.lines().map(|row| row.trim_end().to_owned());
    let mut rows: Vec<_> = rows.take(ROWS.into()).collect();
    rows.resize(ROWS.into(), String::new());
    rows
}

#[tokio::test]
async fn less_looks_in_a_pane_as_it_does_in_a_terminal() {
    let keys = [
        (" ", "long long"),
        ("/99 plain\r", "99 plain"),
        ("G", "199 plain"),
        ("-S\r", "199 plain"),
    ];
    looks_the_same(&["less", "-M"], "0       tabs", &keys).await;
}

#[tokio::test]
async fn vim_looks_in_a_pane_as_it_does_in_a_terminal() {
    let keys = [
        (":set number nowrap\r", "  2 1 漢字"),
        ("G", "200 199 plain"),
        (":vsplit\r", "199 plain"),
        ("gg", "  1 0"),
        ("ihello 漢 \x1b", "hello 漢"),
        (":syntax on\r:set hlsearch\r/plain\r", "/plain"),
    ];
    looks_the_same(
        &["vim", "-u", "NONE", "-i", "NONE", "-n"],
        "0       tabs",
        &keys,
    )
    .await;
}

#[tokio::test]
async fn nano_looks_in_a_pane_as_it_does_in_a_terminal() {
    let keys = [("new ", "new 0"), ("\x16", "漢字"), ("\x17", "Search")];
    looks_the_same(&["nano", "--ignorercfiles"], "GNU nano", &keys).await;
}

#[tokio::test]
async fn fzf_looks_in_a_pane_as_it_does_in_a_terminal() {
    let finder = ["sh", "-c", "fzf --no-mouse < \"$1\"", "sh"];
    let keys = [("99pl", "> 99pl"), ("\x15", "200/200"), ("tabs", "> tabs")];
    looks_the_same(&finder, "200/200", &keys).await;
}

#[tokio::test]
async fn colours_and_wide_characters_look_in_a_pane_as_they_do_in_a_terminal() {
    let test = r"clear; i=0; while [ $i -lt 256 ]; do printf '\033[48;5;%dm%3d \033[m' $i $i; i=$((i+1)); done
        printf '\n\033[38;2;9;99;199mtrue\033[m \033[4:3mcurly\033[m \033[7mreverse\033[m 漢字🙂e\314\201\n'
        printf '\033(0lqqk\033(B \033[20;70Hcorner\033[5;10r\033[10;1Hregion\n\n\033[r\033[22;1Hshown-%d' 42; sleep 1000";
    looks_the_same(&["sh", "-c", test, "sh"], "shown-42", &[]).await;
}
