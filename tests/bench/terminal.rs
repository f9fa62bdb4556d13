//! A terminal for measuring: it is read on the thread that takes the time, byte by byte as they come.

use std::io::{Read, Write};
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use cmdop_tests::process;
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use tokio::time::Instant;

/// A candidate that answers nothing for so long is killed, and the run with it.
const PATIENCE: Duration = Duration::from_secs(120);

/// A program on a pseudo-terminal. Its methods block.
pub(crate) struct Terminal {
    _master: Box<dyn MasterPty + Send>,
    reader: Box<dyn Read + Send>,
    writer: Box<dyn Write + Send>,
    child: Box<dyn Child + Send + Sync>,
    alive: mpsc::Sender<()>,
    recent: Vec<u8>,
    buffer: Vec<u8>,
}

impl Terminal {
    /// Starts `command` on a terminal of 80 × 24.
    pub(crate) fn start(command: &[String], env: &[(String, String)]) -> Self {
        let size = PtySize {
            rows: 24,
            cols: 80,
            pixel_width: 0,
            pixel_height: 0,
        };
        let pair = native_pty_system()
            .openpty(size)
            .expect("a pseudo-terminal");
        let mut builder = CommandBuilder::new(Path::new(&command[0]));
        builder.args(&command[1..]);
        builder.env("TERM", "xterm-256color");
        for (key, value) in env {
            builder.env(key, value);
        }
        let child = pair
            .slave
            .spawn_command(builder)
            .expect("the candidate starts");
        drop(pair.slave);
        let alive = watch_over(child.process_id().expect("a process has an id"));
        Self {
            reader: pair
                .master
                .try_clone_reader()
                .expect("a terminal can be read"),
            writer: pair
                .master
                .take_writer()
                .expect("a terminal can be written"),
            _master: pair.master,
            child,
            alive,
            recent: Vec::new(),
            buffer: vec![0; 256 << 10],
        }
    }

    /// Types.
    pub(crate) fn write(&mut self, keys: &[u8]) {
        self.writer
            .write_all(keys)
            .and_then(|()| self.writer.flush())
            .expect("the candidate takes keys");
    }

    /// Reads what comes for so long, of an output that does not stand still.
    pub(crate) fn read_for(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end {
            let count = self.reader.read(&mut self.buffer).unwrap_or(0);
            assert!(count > 0, "the candidate ended");
            let _ = self.alive.send(());
        }
    }

    /// Reads until the newest output holds `text`; returns how many bytes came.
    pub(crate) fn read_until(&mut self, text: &[u8]) -> usize {
        self.recent.clear();
        let mut total = 0;
        loop {
            let count = self.reader.read(&mut self.buffer).unwrap_or(0);
            assert!(
                count > 0,
                "the candidate ended; it said last: {}",
                self.recent.escape_ascii()
            );
            total += count;
            // Only the end of a long output is searched: that is where the text comes.
            let keep = self.recent.len().min(text.len() + 256);
            self.recent.drain(..self.recent.len() - keep);
            let piece = &self.buffer[count.saturating_sub(4096)..count];
            self.recent.extend_from_slice(piece);
            let _ = self.alive.send(());
            if self.recent.windows(text.len()).any(|window| window == text) {
                return total;
            }
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if let Some(pid) = self.child.process_id() {
            process::kill(pid);
        }
        let _ = self.child.wait();
    }
}

/// Kills the process when nothing comes from it any more, so that a blocking read returns.
fn watch_over(pid: u32) -> mpsc::Sender<()> {
    let (alive, signs) = mpsc::channel();
    std::thread::spawn(move || {
        loop {
            match signs.recv_timeout(PATIENCE) {
                Ok(()) => {}
                // Idle terminals are waited for, too: only one that is being read matters, and a
                // whole measurement takes less than this.
                Err(mpsc::RecvTimeoutError::Timeout) => return process::kill(pid),
                Err(mpsc::RecvTimeoutError::Disconnected) => return,
            }
        }
    });
    alive
}
