//! What runs in the sessions, and the bytes that it must have printed.
//!
//! Each program prints what can be known in advance, from its first byte on, and says who it is in a
//! file, so that its output holds nothing else.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Numbers of one flood: 2 MB, more than the relay's window and less than the agent's log.
const FLOOD: u64 = 300_000;

/// Bytes of one flood: its numbers and their line ends.
const FLOOD_BYTES: u64 = 9 * 2 + 90 * 3 + 900 * 4 + 9_000 * 5 + 90_000 * 6 + 200_001 * 7;

/// What a program says when it is ready for keys.
const READY: &str = "ready\n";

/// The input that ends every program.
pub(crate) const FAREWELL: &str = "end\n";

/// Lines that are typed ahead of their echo.
const AHEAD: u64 = 4;

/// A program and who types into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// Prints numbered lines in bursts until it is told to stop.
    Count,
    /// Prints 2 MB after each key.
    Flood,
    /// Echoes each typed line once, in brackets.
    Repeat,
}

/// How far a client of a program is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Progress {
    /// Bytes that it has.
    pub(crate) bytes: u64,
    /// Lines that it has.
    pub(crate) lines: u64,
    /// Inputs that it has sent.
    pub(crate) typed: u64,
}

impl Work {
    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::Count, Self::Flood, Self::Repeat];

    /// The session's name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Flood => "flood",
            Self::Repeat => "repeat",
        }
    }

    /// The code that it ends with, after [`FAREWELL`].
    pub(crate) fn exit_code(self) -> u32 {
        match self {
            Self::Count => 3,
            Self::Flood => 4,
            Self::Repeat => 5,
        }
    }

    /// What the shell of the session runs; its files are in `directory`.
    pub(crate) fn script(self, directory: &Path) -> String {
        let body = match self {
            Self::Count => format!(
                "i=0; while [ ! -e '{stop}' ]; do \
                   j=0; while [ $j -lt 25 ]; do i=$((i+1)); j=$((j+1)); printf 'count %d\\r\\n' $i; done; sleep 0.02; \
                 done; echo $i > '{counted}'; printf '<done>\\r\\n'; read x; exit 3",
                stop = stop_file(directory).display(),
                counted = counted_file(directory).display(),
            ),
            Self::Flood => {
                format!("while read x; do [ \"$x\" = end ] && exit 4; seq 1 {FLOOD}; done; exit 1")
            }
            Self::Repeat => {
                "while read line; do [ \"$line\" = end ] && exit 5; echo \"<$line>\"; done; exit 1"
                    .into()
            }
        };
        let pid = self.pid_file(directory);
        format!(
            "stty -echo -opost; echo $$ > '{}'; echo ready; {body}",
            pid.display()
        )
    }

    /// Where the program says its process id.
    pub(crate) fn pid_file(self, directory: &Path) -> PathBuf {
        directory.join(format!("{}.pid", self.name()))
    }

    /// The input of that number, as often as it is sent.
    pub(crate) fn input(self, number: u64) -> String {
        match self {
            Self::Repeat => format!("line-{number:06}\n"),
            Self::Count | Self::Flood => "\n".into(),
        }
    }

    /// Whether it is time for another input.
    pub(crate) fn wants_input(self, at: Progress) -> bool {
        match self {
            Self::Count => false,
            Self::Flood => at.lines > 0 && self.is_complete(at),
            Self::Repeat => at.lines > 0 && at.typed < at.lines - 1 + AHEAD,
        }
    }

    /// Whether all has come that the inputs so far cause.
    pub(crate) fn is_complete(self, at: Progress) -> bool {
        match self {
            Self::Count => false,
            Self::Flood => at.bytes >= READY.len() as u64 + at.typed * FLOOD_BYTES,
            Self::Repeat => at.lines > at.typed,
        }
    }

    /// How many inputs this output proves to have been written.
    pub(crate) fn written(self, at: Progress) -> u64 {
        match self {
            Self::Count => 0,
            Self::Flood => (at.lines - 1) / FLOOD,
            Self::Repeat => at.lines - 1,
        }
    }

    /// All that it must have printed after `typed` inputs.
    pub(crate) fn printed(self, typed: u64, directory: &Path) -> Vec<u8> {
        let mut text = READY.to_owned();
        match self {
            Self::Count => {
                let counted = std::fs::read_to_string(counted_file(directory)).unwrap();
                for number in 1..=counted.trim().parse::<u64>().unwrap() {
                    let _ = write!(text, "count {number}\r\n");
                }
                text.push_str(COUNTED);
            }
            Self::Flood => (0..typed).for_each(|_| text.push_str(&flood())),
            Self::Repeat => (1..=typed).for_each(|number| {
                let _ = writeln!(text, "<line-{number:06}>");
            }),
        }
        text.into_bytes()
    }
}

/// The last that the counter prints.
pub(crate) const COUNTED: &str = "<done>\r\n";

/// The counter stops when this file is there.
pub(crate) fn stop_file(directory: &Path) -> PathBuf {
    directory.join("stop")
}

/// Where the counter says how far it came.
fn counted_file(directory: &Path) -> PathBuf {
    directory.join("counted")
}

fn flood() -> String {
    (1..=FLOOD).map(|number| format!("{number}\n")).collect()
}
