//! Programs whose every output byte is known beforehand, and what a person types into them.
//!
//! Both switch the terminal's echo and its output processing off, say `ready`, and live on afterwards,
//! so that their output can be compared while they do.

use std::fmt::Write as _;

use crate::{Person, Pty, Shape, World, wire};

/// For `/bin/sh -c`: prints numbers after a key.
pub const COUNT: &str =
    "stty -echo -opost; echo ready; read x; seq 1 400000; printf '<done>'; read x";

/// For `/bin/sh -c`: prints each line that it reads, in brackets.
pub const REPEAT: &str =
    "stty -echo -opost; echo ready; while read line; do echo \"<$line>\"; done";

/// What [`COUNT`] prints after the key.
pub fn counted() -> Vec<u8> {
    let mut text = String::new();
    for number in 1..=400_000 {
        let _ = writeln!(text, "{number}");
    }
    text.push_str("<done>");
    text.into_bytes()
}

/// Waits until the program is there.
pub async fn is_ready(pty: &Pty) {
    pty.wait_until("the program is ready", 1, |pty| {
        wire::contains(&pty.raw(), b"ready")
    })
    .await;
}

/// A session that repeats, and a person at a terminal who types numbered lines into it.
#[derive(Debug)]
pub struct Typing {
    session: String,
    person: Person,
    typed: Vec<String>,
}

impl Typing {
    /// Starts it on `web-1`.
    pub async fn start(world: &World) -> Self {
        let args = ["web-1", "--name", "repeat", "--", "/bin/sh", "-c", REPEAT];
        let session = world.new_session(&args).await;
        let shape = Shape {
            screen: false,
            ..Shape::default()
        };
        // Quiet: no notice of ours in the terminal's title.
        let person = world
            .owner
            .at_a_terminal_of(shape, &["-q", "attach", "repeat"]);
        is_ready(&person.pty).await;
        Self {
            session,
            person,
            typed: Vec::new(),
        }
    }

    /// Types one more line, and waits for nothing.
    pub fn type_line(&mut self) {
        let line = format!("line-{:03}", self.typed.len() + 1);
        self.person.type_keys(&format!("{line}\n"));
        self.typed.push(line);
    }

    /// Waits until the newest line was repeated.
    pub async fn caught_up(&self) {
        let newest = self.typed.last().map_or("", String::as_str);
        let line = format!("<{newest}>");
        self.person
            .pty
            .wait_until(&line, 2, |pty| wire::contains(&pty.raw(), line.as_bytes()))
            .await;
    }

    /// The program read every line that was typed, once and in order.
    pub async fn each_line_was_written_once(&self, world: &World) {
        let args = ["capture", &self.session, "--scrollback", "1000"];
        let captured = world.cmdop(&args).await.ok();
        let came: Vec<_> = captured
            .lines()
            // Without output processing each line begins below the end of the last one.
            .map(str::trim_start)
            .filter_map(|line| line.strip_prefix('<')?.strip_suffix('>'))
            .collect();
        assert_eq!(came, self.typed);
    }
}
