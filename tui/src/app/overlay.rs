//! What lies on top of everything and gets the keys first.

use cmdop_proto::SessionId;

use super::picker::Picker;
use super::tabs::TabId;
use crate::line::Line;
use crate::pane::AttachmentId;

/// See the module.
#[derive(Clone, Debug, PartialEq)]
pub enum Overlay {
    /// The keys and what they do.
    Help {
        /// The first line that is shown.
        top: usize,
    },
    /// The messages so far.
    Messages {
        /// The first line that is shown.
        top: usize,
    },
    /// A text that is only read.
    Text {
        /// What it is about.
        title: String,
        /// Its lines.
        lines: Vec<String>,
        /// The first line that is shown.
        top: usize,
    },
    /// Something that is not done without a yes.
    Confirm(Question),
    /// One of many is chosen by typing a part of it.
    Picker(Picker),
    /// A line is typed.
    Prompt(Prompt),
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// End this session?
    Close(SessionId),
    /// Leave, and end what is copied and moved?
    Leave,
    /// Paste this into this attachment and where the tab is synchronised into
    /// the others of it?
    Paste {
        /// Into which.
        attachment: AttachmentId,
        /// What.
        text: String,
    },
}

/// What a line is typed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The name of a tab.
    RenameTab(TabId),
    /// The name of a session.
    RenameSession(SessionId),
}

/// A line is typed for something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    /// For what.
    pub purpose: Purpose,
    /// What stands in it.
    pub line: Line,
}
