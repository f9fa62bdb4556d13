//! A person at a terminal: types, looks at the screen, waits for what they expect to see.

use crate::binaries;
use crate::cli::Cli;
use crate::pty::{Pty, Shape};

/// What a person presses to detach: `ctrl-]` `d`.
pub const DETACH: &[u8] = b"\x1dd";

/// Somebody who runs `cmdop` on a real pseudo-terminal.
#[derive(Debug)]
pub struct Person {
    /// The terminal.
    pub pty: Pty,
}

impl Person {
    /// Starts `cmdop` with `args` on a new terminal.
    pub fn running(cli: &Cli, args: &[&str], shape: Shape) -> Self {
        Self {
            pty: Pty::spawn(&binaries::path("cmdop"), args, cli.env(), shape),
        }
    }

    /// Presses `keys`; a return key is `\r`.
    pub fn type_keys(&self, keys: &str) {
        self.pty.write(keys.as_bytes());
    }

    /// Types `line` and presses return.
    pub fn enter(&self, line: &str) {
        self.type_keys(&format!("{line}\r"));
    }

    /// Waits until the screen shows `text`.
    pub async fn sees(&self, text: &str) {
        let what = format!("the screen shows {text:?}");
        self.pty
            .wait_until(&what, 1, |pty| pty.screen().contains(text))
            .await;
    }

    /// Waits until a shell asks for a command, root's or another user's.
    pub async fn sees_prompt(&self) {
        self.pty
            .wait_until("the screen shows a prompt", 1, |pty| {
                pty.screen()
                    .lines()
                    .any(|line| line.trim_end().ends_with(['$', '#']))
            })
            .await;
    }

    /// Waits until a line of the screen is `text`.
    pub async fn sees_line(&self, text: &str) {
        let what = format!("a line of the screen is {text:?}");
        self.pty
            .wait_until(&what, 1, |pty| {
                pty.screen().lines().any(|line| line == text)
            })
            .await;
    }

    /// Ends the tour that a first start shows in a corner of the first pane.
    pub async fn ends_the_tour(&self) {
        self.sees("tour ·").await;
        self.type_keys("\x02\x1b");
        self.pty
            .wait_until("the tour is over", 1, |pty| {
                !pty.screen().contains("tour ·")
            })
            .await;
    }

    /// Detaches with the keys and waits until the client has ended; returns its exit code.
    pub async fn detach(&self) -> i32 {
        self.pty.write(DETACH);
        self.pty.exit().await
    }

    /// What the screen shows now.
    pub fn screen(&self) -> String {
        self.pty.screen()
    }
}
