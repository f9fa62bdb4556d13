//! The terminal client inside tmux: keys as tmux sends them, the screen as tmux has it.

use std::path::PathBuf;
use std::process::Command;

use cmdop_tests::{World, binaries, wait};

/// A tmux server of its own, with one window; it ends with this.
struct Tmux {
    socket: PathBuf,
}

impl Tmux {
    /// Starts the client of the world's owner in a window of this size.
    fn running(world: &World, cols: u16, rows: u16) -> Self {
        let tmux = Self {
            socket: world.directory().join("tmux"),
        };
        let mut window = vec!["/usr/bin/env".to_owned()];
        let client = &world.owner.cli;
        window.extend(
            client
                .env()
                .iter()
                .map(|(key, value)| format!("{key}={value}")),
        );
        window.push(binaries::path("cmdop").display().to_string());
        let (cols, rows) = (cols.to_string(), rows.to_string());
        let mut start = vec!["new-session", "-d", "-x", &cols, "-y", &rows];
        start.extend(window.iter().map(String::as_str));
        tmux.call(&start);
        // The client's prefix is tmux's own.
        for option in [["status", "off"], ["prefix", "None"]] {
            tmux.call(&["set", "-g", option[0], option[1]]);
        }
        tmux
    }

    fn call(&self, args: &[&str]) -> String {
        let done = Command::new("tmux")
            .arg("-S")
            .arg(&self.socket)
            .args(["-f", "/dev/null"])
            .args(args)
            .env_remove("TMUX")
            .env("LC_ALL", "C.UTF-8")
            .output()
            .expect("tmux is there: tests/run --setup installs it");
        assert!(done.status.success(), "tmux {args:?}: {done:?}");
        String::from_utf8_lossy(&done.stdout).into_owned()
    }

    fn keys(&self, keys: &[&str]) {
        self.call(&[&["send-keys"], keys].concat());
    }

    async fn sees(&self, text: &str) {
        let what = format!("tmux's screen shows {text:?}");
        wait::until_true(&what, || self.call(&["capture-pane", "-p"]).contains(text)).await;
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        let _ = Command::new("tmux")
            .arg("-S")
            .arg(&self.socket)
            .arg("kill-server")
            .output();
    }
}

#[tokio::test]
async fn inside_tmux_panes_split_look_back_and_survive_the_relay() {
    let mut world = World::with().machines(&["web-1", "web-2"]).start().await;
    let tmux = Tmux::running(&world, 120, 36);
    tmux.sees("machines · 2").await;
    tmux.keys(&["Enter"]);
    tmux.sees("PANE").await;
    tmux.keys(&["echo one-$((40 + 2))", "Enter"]);
    tmux.sees("one-42").await;
    tmux.keys(&["C-b", "%"]);
    tmux.sees("│").await;
    tmux.keys(&["seq 1 500; echo all-$((40 + 2))", "Enter"]);
    tmux.sees("all-42").await;
    tmux.keys(&["C-b", "["]);
    tmux.sees("COPY").await;
    tmux.keys(&["?", "^123$", "Enter"]);
    tmux.sees("\u{2502}123 ").await;
    tmux.keys(&["q"]);
    tmux.sees("PANE").await;
    world.expect_errors();
    world.crash_relay().await;
    tmux.keys(&["", ""]);
    let connected = || {
        let screen = tmux.call(&["capture-pane", "-p"]);
        screen.contains("connected") && !screen.contains("reconnecting")
    };
    wait::until_true("it is connected again", connected).await;
    tmux.keys(&["echo after-$((40 + 2))", "Enter"]);
    tmux.sees("after-42").await;
    tmux.call(&["resize-window", "-x", "60", "-y", "12"]);
    tmux.sees("PANE").await;
    tmux.keys(&["C-b", "C-Left"]);
    tmux.keys(&["C-b", "?"]);
    tmux.sees("keys").await;
    tmux.keys(&["q"]);
    tmux.keys(&["C-b", "D"]);
    tmux.sees("FLEET").await;
}
