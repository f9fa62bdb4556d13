//! The signs beside the colours, in Unicode and in what every terminal can show.

use serde::Deserialize;

use super::super::health::{Health, Severity};
use crate::app::Presence;

/// Which signs the terminal can show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Charset {
    /// Blocks, braille and geometric shapes.
    #[default]
    Unicode,
    /// Nothing beyond ASCII.
    Ascii,
}

/// Levels of a curve that is one row high.
const BLOCKS: [&str; 8] = ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];
const ASCII_LEVELS: [&str; 8] = ["_", ".", ",", "-", "=", "+", "*", "#"];

impl Charset {
    fn pick(self, unicode: &'static str, ascii: &'static str) -> &'static str {
        match self {
            Self::Unicode => unicode,
            Self::Ascii => ascii,
        }
    }

    pub(super) fn presence(self, presence: Presence) -> &'static str {
        match presence {
            Presence::Online => self.pick("●", "*"),
            Presence::Stale => self.pick("◐", "?"),
            Presence::Offline => self.pick("○", "x"),
        }
    }

    pub(crate) fn fold(self, is_folded: bool) -> &'static str {
        if is_folded {
            self.pick("▸", ">")
        } else {
            self.pick("▾", "v")
        }
    }

    pub(crate) fn mark(self) -> &'static str {
        self.pick("✓", "+")
    }

    pub(crate) fn ellipsis(self) -> &'static str {
        self.pick("…", "~")
    }

    /// A line between what stands side by side.
    pub(crate) fn rule(self) -> &'static str {
        self.pick("│", "|")
    }

    /// What is done of something.
    pub(crate) fn done(self) -> &'static str {
        self.pick("█", "#")
    }

    /// What is not done yet.
    pub(crate) fn rest(self) -> &'static str {
        self.pick("░", ".")
    }

    pub(crate) fn dot(self) -> &'static str {
        self.pick(" · ", " | ")
    }

    pub(crate) fn downwards(self) -> &'static str {
        self.pick("↓", "v")
    }

    pub(crate) fn upwards(self) -> &'static str {
        self.pick("↑", "^")
    }

    pub(crate) fn success(self) -> &'static str {
        self.pick("✓", "+")
    }

    pub(crate) fn failure(self) -> &'static str {
        self.pick("✗", "!")
    }

    /// A level of a curve, of 0 to 1; what is there at all is seen.
    pub(super) fn level(self, share: f32) -> &'static str {
        let step = (share.clamp(0.0, 1.0) * 8.0).ceil().max(1.0) as usize - 1;
        match self {
            Self::Unicode => BLOCKS[step.min(7)],
            Self::Ascii => ASCII_LEVELS[step.min(7)],
        }
    }
}

/// Beside a reading: its colour says the same.
pub(super) fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Fine => " ",
        Severity::Warn => "^",
        Severity::Critical => "!",
    }
}

pub(super) fn health(health: Health) -> &'static str {
    match health {
        Health::Fine => "fine",
        Health::Warn => "^ warn",
        Health::Stale => "? stale",
        Health::Critical => "! critical",
        Health::Offline => "x offline",
    }
}
