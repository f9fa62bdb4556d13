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

/// One program with its keys, in both places.
struct Comparison<'a> {
    /// It gets the name of a file with [`text`] besides.
    program: &'a [&'a str],
    /// Keys, each of which leads to its sign on the screen.
    keys: &'a [(&'a str, &'a str)],
    /// The rows from here on are compared: above them is what changes with time.
    from: usize,
    /// What the plain terminal answers when the program asks what it is, as the agent's does.
    answers: &'a str,
}

/// Runs a program on a file in both places; it begins with the first sign. Then types keys, and waits each
/// time until both screens are the same, in text, colours and attributes, and the cursors with them.
async fn looks_the_same(program: &[&str], begins: &str, keys: &[(&str, &str)]) {
    let keys = &[&[("", begins)], keys].concat();
    let comparison = Comparison {
        program,
        keys,
        from: 0,
        answers: "",
    };
    comparison.run().await;
}

impl Comparison<'_> {
    async fn run(&self) {
        let world = World::start().await;
        let command = self.command(&world);
        let command: Vec<&str> = command.iter().map(String::as_str).collect();
        let session = [&["web-1", "--name", "program", "--"], &command[..]].concat();
        world.new_session(&session).await;
        let person = viewer(&world).await;
        let plain = Pty::spawn(command[0].as_ref(), &command[1..], &[], shape(ROWS));
        if !self.answers.is_empty() {
            let asks = |pty: &Pty| pty.raw().ends_with(b"c");
            plain.wait_until("the program asks", 1, asks).await;
            plain.write(self.answers.as_bytes());
        }
        for (pressed, sign) in self.keys {
            plain.write(pressed.as_bytes());
            person.type_keys(pressed);
            let what = format!("{:?} shows {sign:?}", self.program);
            plain
                .wait_until(&what, 1, |pty| pty.screen().contains(sign))
                .await;
            self.same(&person, &plain, &what).await;
        }
    }

    /// The program with an environment that is the same in both places.
    fn command(&self, world: &World) -> Vec<String> {
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
        let command = [&environment[..], self.program, &[file.to_str().unwrap()]].concat();
        command.into_iter().map(str::to_owned).collect()
    }

    async fn same(&self, person: &Person, plain: &Pty, what: &str) {
        let what = format!(
            "{what} in the pane as in a plain terminal:\n{}",
            plain.screen()
        );
        let mut last = None;
        let is_same = |pty: &Pty| {
            let difference = self.difference(pty, plain);
            // Seen only if the test fails.
            if difference != last {
                eprintln!("{difference:?}");
            }
            last.clone_from(&difference);
            difference.is_none()
        };
        person.pty.wait_until(&what, 1, is_same).await;
    }

    /// The first cell that is another in the pane than in the plain terminal, or the cursors.
    fn difference(&self, pane: &Pty, plain: &Pty) -> Option<String> {
        let ((pane, pane_cursor), (plain, plain_cursor)) = (self.of(pane), self.of(plain));
        for (row, (pane, plain)) in pane.iter().zip(&plain).enumerate() {
            let place = |(a, b): (&String, &String)| a != b;
            if let Some(col) = pane.iter().zip(plain).position(place) {
                let row = row + self.from;
                let (pane, plain) = (&pane[col], &plain[col]);
                return Some(format!("{row}, {col}: {pane} in the pane, not {plain}"));
            }
        }
        let cursors = format!("the cursor is at {pane_cursor:?}, not {plain_cursor:?}");
        (pane_cursor != plain_cursor).then_some(cursors)
    }

    /// The rows of the program, without the client's status bar, and its cursor.
    fn of(&self, pty: &Pty) -> (Vec<Vec<String>>, Option<(u16, u16)>) {
        let rows = pty.looks().into_iter().take(ROWS.into());
        (rows.skip(self.from).collect(), pty.cursor())
    }
}

fn shape(rows: u16) -> Shape {
    Shape {
        rows,
        cols: COLS,
        ..Shape::default()
    }
}

/// The owner's client on a terminal that can show all there is, with the session `program` in its pane.
async fn viewer(world: &World) -> Person {
    let terminal = world.owner.cli.with_env("NO_COLOR", "");
    let terminal = terminal.with_env("COLORTERM", "truecolor");
    let terminal = terminal.with_env("TERM_PROGRAM", "WezTerm");
    let person = Person::running(&terminal, &[], shape(ROWS + 1));
    person.sees("program").await;
    person.type_keys("\x02sprogram\r");
    person.sees("PANE").await;
    person.ends_the_tour().await;
    person
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
        printf '\n\033[38;2;9;99;199mtrue\033[m \033[4:3;58;2;200;0;0mcurly\033[m \033[9;3mstruck\033[m \033[21mdouble\033[m \033[7mreverse\033[m 漢字🙂e\314\201 \033]8;;https://example.com/\033\\link\033]8;;\033\\\n'
        printf '\033(0lqqk\033(B \033[20;70Hcorner\033[5;10r\033[10;1Hregion\n\n\033[r\033[22;1Hshown-%d' 42; sleep 1000";
    looks_the_same(&["sh", "-c", test, "sh"], "shown-42", &[]).await;
}

/// No user's programs, so that no row below the meters changes by itself.
#[tokio::test]
async fn htop_looks_in_a_pane_as_it_does_in_a_terminal() {
    let comparison = Comparison {
        program: &["sh", "-c", "exec htop -d 600 -u nobody", "sh"],
        keys: &[
            ("", "F10"),
            ("\x1bOP", "hide/show kernel threads"),
            ("q", "F10"),
            ("\x1bOR", "Search:"),
            ("\x1b", "F10"),
            ("\x1bOQ", "Display options"),
        ],
        from: 5,
        answers: "",
    };
    comparison.run().await;
}

/// Each screen has a sign of its own: a key that comes before vttest waits for it is lost.
async fn vttest_looks_the_same(keys: &[(&str, &str)]) {
    let comparison = Comparison {
        program: &["sh", "-c", "exec vttest 24x80.132", "sh"],
        keys: &[&[("", "Choose test type")], keys].concat(),
        from: 0,
        answers: "\x1b[?62;22;52c",
    };
    comparison.run().await;
}

#[tokio::test]
async fn vttests_cursor_movements_look_in_a_pane_as_they_do_in_a_terminal() {
    vttest_looks_the_same(&[("1\r", "unbroken bor"), ("\r", "hader of")]).await;
}

#[tokio::test]
async fn vttests_screen_features_look_in_a_pane_as_they_do_in_a_terminal() {
    let keys = [
        ("2\r", "three identical lines"),
        ("\r", "TAB setting"),
        ("\r", "132 column mode, light"),
        ("\r", "80 column mode, light"),
    ];
    vttest_looks_the_same(&keys).await;
}

#[tokio::test]
async fn vttests_character_sets_look_in_a_pane_as_they_do_in_a_terminal() {
    vttest_looks_the_same(&[("3\r", "US ASCII")]).await;
}

#[tokio::test]
async fn vttests_insertions_look_in_a_pane_as_they_do_in_a_terminal() {
    let keys = [
        ("8\r", "Screen accordion test"),
        ("\r", "Top line: A's"),
        ("\r", "Test of 'Insert Mode'"),
        ("\r", "Delete Character"),
    ];
    vttest_looks_the_same(&keys).await;
}
