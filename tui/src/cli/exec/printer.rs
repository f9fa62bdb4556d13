//! Where the lines and results of many targets go: one queue to our reader, in the order in which they
//! came, over stdout and stderr.
//!
//! Nothing here waits but [`Printer::write`] and [`Printer::finish`], so that whoever prints can still
//! hear a signal while our reader stands still.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use cmdop_proto::text::shown;

use super::result::Report;
use crate::cli::stdout::Stdout;

/// What may wait for our reader; beyond it nothing more is taken from the targets.
const MAX_PENDING: usize = 256 << 10;

/// How long an interrupted command waits for a reader that stands still.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Whole lines of one stream.
#[derive(Debug)]
pub(super) enum Lines {
    Out(Vec<u8>),
    Err(Vec<u8>),
}

/// See the module.
#[derive(Debug)]
pub(super) struct Printer {
    json: bool,
    stdout: Stdout,
    stderr: Stdout,
    pending: VecDeque<Lines>,
    bytes: usize,
    /// How much of the first of `pending` is written.
    written: usize,
}

impl Printer {
    /// Over this process's stdout and stderr. Must be called on the runtime.
    pub(super) fn open(json: bool) -> io::Result<Self> {
        Ok(Self {
            json,
            stdout: Stdout::open()?,
            stderr: Stdout::open_stderr()?,
            pending: VecDeque::new(),
            bytes: 0,
            written: 0,
        })
    }

    /// Whether something waits for our reader.
    pub(super) fn has_work(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Whether more should be taken from the targets.
    pub(super) fn has_room(&self) -> bool {
        self.bytes < MAX_PENDING
    }

    pub(super) fn print(&mut self, lines: Lines) {
        let (Lines::Out(text) | Lines::Err(text)) = &lines;
        if !text.is_empty() {
            self.bytes += text.len();
            self.pending.push_back(lines);
        }
    }

    /// A line of ours.
    pub(super) fn say(&mut self, line: String) {
        self.print(Lines::Err(line.into_bytes()));
    }

    /// A result as JSON, or what is worth a line about one that is not plain success.
    pub(super) fn report(&mut self, report: &Report) {
        if self.json {
            self.print(Lines::Out(report.json().into_bytes()));
        } else if let Some(fault) = report.fault() {
            self.say(format!("{}: cmdop: {fault}\n", shown(&report.target, 64)));
        }
    }

    /// Writes something of what waits. Cancel-safe: what was written is counted at once.
    pub(super) async fn write(&mut self) -> io::Result<()> {
        let (stream, text) = match self.pending.front() {
            None => return Ok(()),
            Some(Lines::Out(text)) => (&self.stdout, text),
            Some(Lines::Err(text)) => (&self.stderr, text),
        };
        let rest = &text[self.written..];
        let (length, left) = match stream.try_write(rest)? {
            0 => (stream.write(rest).await?, rest.len()),
            length => (length, rest.len()),
        };
        self.written += length;
        self.bytes -= length;
        if length == left {
            self.pending.pop_front();
            self.written = 0;
        }
        Ok(())
    }

    /// Writes all that waits; after an interrupt only for a moment.
    pub(super) async fn finish(mut self, interrupted: bool) -> io::Result<()> {
        let all = async {
            while self.has_work() {
                self.write().await?;
            }
            Ok(())
        };
        if !interrupted {
            return all.await;
        }
        tokio::time::timeout(LAST_WORDS, all)
            .await
            .unwrap_or(Ok(()))
    }
}
