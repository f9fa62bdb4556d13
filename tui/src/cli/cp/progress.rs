//! How far a copy is: one line that is drawn again on a terminal, JSON lines for programs. On stderr.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use cmdop_client::transfer::Progress;
use serde::Serialize;

use crate::cli::context::Context;
use crate::cli::location::{path, size};
use crate::cli::output::escaped;

/// How much of the current file's name is shown.
const MAX_SHOWN: usize = 40;

/// Where and how progress goes.
#[derive(Debug)]
pub(in crate::cli) struct Display {
    kind: Kind,
    is_drawn: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Nothing,
    Line,
    Json,
}

/// A line of JSON.
#[derive(Debug, Serialize)]
struct Line {
    #[serde(rename = "type")]
    kind: &'static str,
    files_done: u64,
    files_total: u64,
    bytes_done: u64,
    bytes_total: u64,
    bytes_sent: u64,
    total_known: bool,
    failed: u64,
    bytes_per_second: u64,
    elapsed_ms: u64,
    left_ms: Option<u64>,
    current: String,
}

impl Display {
    pub(in crate::cli) fn new(context: &Context) -> Self {
        let kind = if context.globals.quiet {
            Kind::Nothing
        } else if context.globals.json {
            Kind::Json
        } else if std::io::stderr().is_terminal() {
            Kind::Line
        } else {
            Kind::Nothing
        };
        Self {
            kind,
            is_drawn: false,
        }
    }

    /// How often to show it.
    pub(in crate::cli) fn interval(&self) -> Duration {
        match self.kind {
            Kind::Line => Duration::from_millis(200),
            _ => Duration::from_secs(1),
        }
    }

    pub(in crate::cli) fn show(&mut self, progress: &Progress) {
        let mut stderr = std::io::stderr().lock();
        // Whoever does not want to see it any more does not keep the copy.
        let _ = match self.kind {
            Kind::Nothing => Ok(()),
            Kind::Json => writeln!(stderr, "{}", json(progress)),
            Kind::Line => {
                write!(stderr, "\r\x1b[K{}", line(progress)).and_then(|()| stderr.flush())
            }
        };
        self.is_drawn = self.kind == Kind::Line;
    }

    /// Takes the line away.
    pub(in crate::cli) fn clear(&mut self) {
        if std::mem::take(&mut self.is_drawn) {
            eprint!("\r\x1b[K");
        }
    }
}

fn json(progress: &Progress) -> String {
    let line = Line {
        kind: "progress",
        files_done: progress.files_done,
        files_total: progress.files_total,
        bytes_done: progress.bytes_done,
        bytes_total: progress.bytes_total,
        bytes_sent: progress.bytes_sent,
        total_known: progress.is_total_known,
        failed: progress.failures,
        bytes_per_second: progress.rate,
        elapsed_ms: progress.elapsed.as_millis() as u64,
        left_ms: progress.left().map(|left| left.as_millis() as u64),
        current: path(&progress.current),
    };
    escaped(&serde_json::to_string(&line).expect("text and numbers are JSON"))
}

fn line(progress: &Progress) -> String {
    let share = match progress.bytes_total {
        0 => 0,
        total => progress.bytes_done.min(total) as u128 * 100 / u128::from(total),
    };
    let left = progress.left().map_or_else(String::new, |left| {
        let seconds = left.as_secs();
        format!("  {}:{:02} left", seconds / 60, seconds % 60)
    });
    let more = if progress.is_total_known { "" } else { "+" };
    let name = path(&progress.current);
    let start = name
        .char_indices()
        .rev()
        .nth(MAX_SHOWN)
        .map_or(0, |(at, _)| at);
    format!(
        "{share:>3} %  {}/{}{more}  {}/{}{more} files  {}/s{left}  {}",
        size(progress.bytes_done),
        size(progress.bytes_total),
        progress.files_done,
        progress.files_total,
        size(progress.rate),
        &name[start..],
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress() -> Progress {
        Progress {
            files_done: 1,
            files_total: 3,
            bytes_done: 512 << 10,
            bytes_total: 2 << 20,
            bytes_sent: 512 << 10,
            is_total_known: true,
            current: b"/tmp/a\x1b[31m".as_slice().into(),
            rate: 256 << 10,
            elapsed: Duration::from_secs(2),
            ..Progress::default()
        }
    }

    #[test]
    fn a_person_sees_share_rate_and_time_left_and_no_escapes() {
        assert_eq!(
            line(&progress()),
            " 25 %  512.0 KiB/2.0 MiB  1/3 files  256.0 KiB/s  0:06 left  /tmp/a[31m"
        );
    }

    #[test]
    fn a_program_reads_a_line_of_json() {
        let line: serde_json::Value = serde_json::from_str(&json(&progress())).unwrap();
        assert_eq!(line["type"], "progress");
        assert_eq!(line["left_ms"], 6000);
        assert_eq!(line["current"], "/tmp/a[31m");
    }
}
