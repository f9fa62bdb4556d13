//! What is asked of the user in the last row: a line, or a question.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::work::Work;
use crate::line::Line;

/// What a line is typed for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// What names must hold to be shown; what counted before counts again when the user gives up.
    Filter(String),
    /// A pattern of names to be marked.
    Mark,
    /// Another name for this one.
    Rename(Bytes),
    /// The name of a new directory.
    Mkdir,
    /// A path to go to.
    GoTo,
    /// Names to look for.
    FindName,
    /// Contents to look for.
    FindText,
}

impl Purpose {
    /// What stands before the line.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Filter(_) => "/",
            Self::Mark => "mark: ",
            Self::Rename(_) => "rename to: ",
            Self::Mkdir => "new directory: ",
            Self::GoTo => "go to: ",
            Self::FindName => "find names: ",
            Self::FindText => "find text: ",
        }
    }
}

/// See the module.
#[derive(Clone, Debug, PartialEq)]
pub enum Prompt {
    /// A line is typed.
    Line {
        /// For what.
        purpose: Purpose,
        /// What stands in it.
        line: Line,
    },
    /// Whether to delete.
    Sure {
        /// What would be done.
        work: Work,
        /// How many of them are marked but not shown.
        hidden: usize,
        /// How many of them are directories.
        directories: usize,
    },
    /// It is being asked what is there already, under this number. Keys wait for the answer.
    Looking {
        /// What would be done.
        work: Work,
        /// The number of the question.
        asked: u64,
    },
    /// What to do about what is there already.
    Clash {
        /// What would be done.
        work: Work,
        /// All names that are there.
        present: BTreeSet<Bytes>,
    },
}
