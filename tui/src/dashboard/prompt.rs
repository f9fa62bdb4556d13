//! What the dashboard asks its user: a filter, a command, and whether to run it.

use cmdop_proto::MachineId;

use super::filter;
use super::results::RunRequest;
use crate::line::Line;

/// What is asked.
#[derive(Clone, Debug, PartialEq)]
pub enum Prompt {
    /// Which machines to show.
    Filter {
        /// What is typed.
        line: Line,
        /// What counts again when the user gives up.
        before: String,
        /// What is wrong with it.
        error: Option<filter::Error>,
    },
    /// Which command to run.
    Command {
        /// What is typed.
        line: Line,
        /// Where.
        wanted: Wanted,
    },
    /// Whether to run it.
    Confirm(Question),
}

/// The machines that a command is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// With their names.
    pub machines: Vec<(MachineId, String)>,
    /// How many of them are marked but not shown by the filter.
    pub hidden: usize,
}

/// A command before it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// What would be run, and where.
    pub request: RunRequest,
    /// How many of the machines the filter hides.
    pub hidden: usize,
}

impl Prompt {
    pub(super) fn filter(line: Line, before: String) -> Self {
        Self::Filter {
            line,
            before,
            error: None,
        }
    }

    pub(super) fn command(wanted: Wanted) -> Self {
        Self::Command {
            line: Line::default(),
            wanted,
        }
    }
}
