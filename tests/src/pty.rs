//! A pseudo-terminal that the test owns, with a program on it: what a person's terminal would be.
//!
//! A thread reads all that the program prints, so that it never waits for the test. The newest
//! bytes are kept raw; a screen is kept by the emulator when one is asked for.

use std::io::{Read, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cmdop_emulator::{Cell, Emulator, Link, Options};
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use tokio::sync::watch;

use crate::wait;

/// Raw output that is kept; older bytes are forgotten. More than any test compares.
const KEPT: usize = 16 << 20;

/// How the terminal begins.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Height in cells.
    pub rows: u16,
    /// Width in cells.
    pub cols: u16,
    /// Whether an emulator follows the output. Without one gigabytes pass quickly.
    pub screen: bool,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            rows: 24,
            cols: 80,
            screen: true,
        }
    }
}

/// A program on its own terminal.
pub struct Pty {
    master: Box<dyn MasterPty + Send>,
    writer: Mutex<Box<dyn Write + Send>>,
    child: Mutex<Box<dyn Child + Send + Sync>>,
    seen: Arc<Mutex<Seen>>,
    changes: watch::Receiver<u64>,
}

impl std::fmt::Debug for Pty {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pty")
            .field("pid", &self.pid())
            .finish_non_exhaustive()
    }
}

/// What the program printed.
struct Seen {
    raw: Vec<u8>,
    total: u64,
    screen: Option<Emulator>,
    ended: bool,
}

impl Pty {
    /// Starts `program` with `args` on a new terminal, in a process group of its own.
    pub fn spawn(program: &Path, args: &[&str], env: &[(String, String)], shape: Shape) -> Self {
        let size = PtySize {
            rows: shape.rows,
            cols: shape.cols,
            pixel_width: 0,
            pixel_height: 0,
        };
        let pair = native_pty_system()
            .openpty(size)
            .expect("a pseudo-terminal");
        let mut command = CommandBuilder::new(program);
        command.args(args);
        command.env("TERM", "xterm-256color");
        for (key, value) in env {
            command.env(key, value);
        }
        let child = pair
            .slave
            .spawn_command(command)
            .expect("the program starts");
        drop(pair.slave);
        let reader = pair
            .master
            .try_clone_reader()
            .expect("a terminal can be read");
        let writer = pair
            .master
            .take_writer()
            .expect("a terminal can be written");
        let screen = shape
            .screen
            .then(|| Emulator::new(shape.rows, shape.cols, Options::default()));
        let seen = Arc::new(Mutex::new(Seen {
            raw: Vec::new(),
            total: 0,
            screen,
            ended: false,
        }));
        let (changed, changes) = watch::channel(0);
        let shared = seen.clone();
        std::thread::spawn(move || read_all(reader, &shared, &changed));
        Self {
            master: pair.master,
            writer: Mutex::new(writer),
            child: Mutex::new(child),
            seen,
            changes,
        }
    }

    /// Types `keys`.
    pub fn write(&self, keys: &[u8]) {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        writer.write_all(keys).expect("the terminal takes keys");
        writer.flush().expect("the terminal takes keys");
    }

    /// The window gets another size; the program gets SIGWINCH.
    pub fn resize(&self, rows: u16, cols: u16) {
        let size = PtySize {
            rows,
            cols,
            pixel_width: 0,
            pixel_height: 0,
        };
        self.master.resize(size).expect("a terminal can be resized");
        if let Some(screen) = &mut self.lock().screen {
            screen.resize(rows, cols);
        }
    }

    /// The process id of the program.
    pub fn pid(&self) -> Option<u32> {
        self.child
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .process_id()
    }

    /// Every mode of the terminal (termios), as text to compare.
    pub fn modes(&self) -> String {
        format!(
            "{:?}",
            self.master.get_termios().expect("a terminal has modes")
        )
    }

    /// The screen's text, a line per row.
    ///
    /// # Panics
    /// When the shape asked for no screen.
    pub fn screen(&self) -> String {
        self.with_screen(text_of)
    }

    /// The screen cell by cell, each with all that there is to see of it, a list per row. The right halves
    /// of wide characters are not in it.
    ///
    /// # Panics
    /// When the shape asked for no screen.
    pub fn looks(&self) -> Vec<Vec<String>> {
        self.with_screen(|screen| {
            let (rows, cols) = screen.size();
            let row = |row| {
                let cells = (0..cols).filter_map(move |col| screen.cell(row, col));
                cells.filter(|cell| cell.width > 0).map(look_of).collect()
            };
            (0..rows).map(row).collect()
        })
    }

    /// The screen as its emulator has it.
    ///
    /// # Panics
    /// When the shape asked for no screen.
    pub fn with_screen<T>(&self, look: impl FnOnce(&Emulator) -> T) -> T {
        let seen = self.lock();
        let screen = seen.screen.as_ref();
        look(screen.expect("this terminal was made with a screen"))
    }

    /// Where the cursor is: row and column, from 0; none if it is hidden.
    ///
    /// # Panics
    /// When the shape asked for no screen.
    pub fn cursor(&self) -> Option<(u16, u16)> {
        let cursor = self.with_screen(Emulator::cursor);
        cursor.visible.then_some((cursor.row, cursor.col))
    }

    /// The newest raw output, at most 16 MiB of it.
    pub fn raw(&self) -> Vec<u8> {
        self.lock().raw.clone()
    }

    /// How many bytes came in all.
    pub fn total(&self) -> u64 {
        self.lock().total
    }

    /// Waits until `done` says yes about the terminal, looking after each piece of output.
    pub async fn wait_until(&self, what: &str, times: u32, mut done: impl FnMut(&Self) -> bool) {
        let mut changes = self.changes.clone();
        let come_true = async {
            loop {
                changes.borrow_and_update();
                if done(self) {
                    return true;
                }
                if changes.changed().await.is_err() {
                    return done(self);
                }
            }
        };
        let result = tokio::time::timeout(wait::patience_for(times), come_true).await;
        match result {
            Ok(true) => {}
            Ok(false) => panic!("the program ended before: {what}\n{}", self.describe()),
            Err(_) => panic!("waited in vain for: {what}\n{}", self.describe()),
        }
    }

    /// Waits for the program's end: its exit code, or 128 + n for signal n.
    pub async fn exit(&self) -> i32 {
        let status = wait::until("the program on the terminal ends", || {
            let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
            let status = child.try_wait().expect("a child can be waited for");
            std::future::ready(status.map(|status| status.exit_code() as i32))
        })
        .await;
        // Its last words are still on their way to the reader.
        wait::until_true("the terminal is read to its end", || self.lock().ended).await;
        status
    }

    /// Whether the program still runs.
    pub fn is_running(&self) -> bool {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        matches!(child.try_wait(), Ok(None))
    }

    fn describe(&self) -> String {
        let seen = self.lock();
        let tail = &seen.raw[seen.raw.len().saturating_sub(2000)..];
        let screen = seen.screen.as_ref().map_or_else(String::new, text_of);
        format!(
            "--- screen ({} bytes came, {}) ---\n{screen}\n--- raw ---\n{}",
            seen.total,
            if seen.ended { "ended" } else { "open" },
            tail.escape_ascii()
        )
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Ok(None), Some(pid)) = (child.try_wait(), child.process_id()) {
            crate::process::kill(pid);
            let _ = child.wait();
        }
    }
}

fn read_all(mut reader: Box<dyn Read + Send>, seen: &Mutex<Seen>, changed: &watch::Sender<u64>) {
    let mut buffer = vec![0; 64 << 10];
    loop {
        // EIO is how Linux says that no program has the terminal open any more.
        let count = reader.read(&mut buffer).unwrap_or(0);
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        if count == 0 {
            seen.ended = true;
            return;
        }
        seen.take(&buffer[..count]);
        changed.send_replace(seen.total);
    }
}

impl Seen {
    fn take(&mut self, bytes: &[u8]) {
        self.total += bytes.len() as u64;
        self.raw.extend_from_slice(bytes);
        if self.raw.len() > 2 * KEPT {
            self.raw.drain(..self.raw.len() - KEPT);
        }
        if let Some(screen) = &mut self.screen {
            screen.feed(bytes);
        }
    }
}

fn look_of(cell: Cell<'_>) -> String {
    let text = if cell.text.is_empty() { " " } else { cell.text };
    let link = cell.link.map(Link::uri).unwrap_or_default();
    let is_bare = !(cell.underline || cell.strike || cell.inverse);
    if text == " " && is_bare {
        return format!("blank on {:?} {link}", cell.bg);
    }
    let underline = cell
        .underline
        .then_some((cell.underline_style, cell.underline_color));
    let flags = [cell.bold, cell.dim, cell.italic, cell.inverse, cell.strike];
    format!(
        "{text:?} {:?} on {:?} {flags:?} {underline:?} {link}",
        cell.fg, cell.bg
    )
}

/// What an emulator shows, a line per row, without trailing blanks.
pub fn text_of(screen: &Emulator) -> String {
    let (rows, cols) = screen.size();
    let mut text = String::new();
    for row in 0..rows {
        let line: String = (0..cols)
            .filter_map(|col| screen.cell(row, col))
            .filter(|cell| cell.width > 0)
            .map(|cell| if cell.text.is_empty() { " " } else { cell.text })
            .collect();
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_program_is_seen_as_a_person_would_see_it() {
        let args = ["-c", "printf 'a\\033[3Cb'; read x; echo got $x; exit 7"];
        let pty = Pty::spawn(Path::new("/bin/sh"), &args, &[], Shape::default());
        pty.wait_until("the gap", 1, |pty| pty.screen().starts_with("a   b"))
            .await;
        pty.write(b"it\r");
        pty.wait_until("the answer", 1, |pty| pty.screen().contains("got it"))
            .await;
        assert_eq!(pty.exit().await, 7);
    }
}
