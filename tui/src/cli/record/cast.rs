//! The lines of an asciicast, versions 2 and 3. Pure: events and the time in, lines out.
//!
//! Each line is whole JSON with its line end, so that a file that is cut after any of them is valid.
//! Version 2 has the time since the start in each event, version 3 the time since the event before.

use cmdop_proto::Size;
use serde_json::json;
use tokio::time::Instant;

use crate::cli::output::escaped;

/// The terminal that agents give to their programs.
const TERM: &str = "xterm-256color";

/// Which asciicast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    /// What every player reads.
    Two,
    /// What asciinema 3 writes.
    Three,
}

/// Writes the lines.
#[derive(Debug)]
pub(super) struct Cast {
    version: Version,
    start: Instant,
    /// When the newest event was, in microseconds since the start.
    last: u64,
}

impl Cast {
    /// Begins now, with the header.
    pub(super) fn begin(
        version: Version,
        size: Size,
        title: &str,
        (now, unix_seconds): (Instant, u64),
        out: &mut Vec<u8>,
    ) -> Self {
        let (rows, cols) = (size.rows(), size.cols());
        let header = match version {
            Version::Two => json!({
                "version": 2, "width": cols, "height": rows, "timestamp": unix_seconds,
                "title": title, "env": {"TERM": TERM},
            }),
            Version::Three => json!({
                "version": 3, "term": {"cols": cols, "rows": rows, "type": TERM},
                "timestamp": unix_seconds, "title": title,
            }),
        };
        line(&header, out);
        Self {
            version,
            start: now,
            last: 0,
        }
    }

    /// Text for the terminal; none is no event.
    pub(super) fn output(&mut self, now: Instant, text: &str, out: &mut Vec<u8>) {
        if !text.is_empty() {
            self.event(now, "o", text, out);
        }
    }

    /// The terminal has another size from here on.
    pub(super) fn resize(&mut self, now: Instant, size: Size, out: &mut Vec<u8>) {
        self.event(now, "r", &size.to_string(), out);
    }

    /// A place to find again.
    pub(super) fn marker(&mut self, now: Instant, label: &str, out: &mut Vec<u8>) {
        self.event(now, "m", label, out);
    }

    /// The program ended so; version 2 cannot say it.
    pub(super) fn exit(&mut self, now: Instant, code: u8, out: &mut Vec<u8>) {
        if self.version == Version::Three {
            self.event(now, "x", &code.to_string(), out);
        }
    }

    /// A clock that goes back counts as one that stands.
    fn event(&mut self, now: Instant, code: &str, data: &str, out: &mut Vec<u8>) {
        let elapsed = now.saturating_duration_since(self.start).as_micros() as u64;
        let before = self.last;
        self.last = elapsed.max(before);
        let time = match self.version {
            Version::Two => self.last,
            Version::Three => self.last - before,
        };
        // Whole microseconds, so that the intervals of version 3 add up to the times of version 2.
        let time = format!("{}.{:06}", time / 1_000_000, time % 1_000_000);
        out.extend_from_slice(format!("[{time}, {}, ", json!(code)).as_bytes());
        out.extend_from_slice(escaped(&json!(data).to_string()).as_bytes());
        out.extend_from_slice(b"]\n");
    }
}

fn line(value: &serde_json::Value, out: &mut Vec<u8>) {
    out.extend_from_slice(escaped(&value.to_string()).as_bytes());
    out.push(b'\n');
}
