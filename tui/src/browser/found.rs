//! What a search found: names, or lines in files, as they come.

use bytes::Bytes;
use cmdop_proto::Refusal;

use super::Spot;

/// Matches that are kept; whoever wants more looks for something that is rarer.
pub const MAX_MATCHES: usize = 5_000;

/// What is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Find {
    /// Names: a glob, or a part of them.
    Name(String),
    /// Lines in files: a regular expression.
    Text(String),
}

impl Find {
    /// As half a sentence.
    pub fn title(&self) -> String {
        match self {
            Self::Name(text) => format!("names like {text}"),
            Self::Text(text) => format!("lines with {text}"),
        }
    }
}

/// Something that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    /// Its path from where the search began.
    pub path: Bytes,
    /// As it is shown.
    pub shown: String,
    /// Of contents: the number of the line, from 1; of a name 0.
    pub line: u64,
    /// Of contents: the line, as it is shown.
    pub text: String,
}

/// How a search stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It goes on.
    Searching,
    /// That was all, or its user had enough.
    Done,
    /// There are more than we keep.
    Full,
    /// It could not be done.
    Failed(Refusal),
}

/// See the module.
#[derive(Debug)]
pub struct Found {
    /// Below which directory.
    pub spot: Spot,
    /// What.
    pub find: Find,
    pub(super) asked: u64,
    /// How it stands.
    pub state: State,
    /// So far, in the order in which they came.
    pub matches: Vec<Match>,
    pub(super) at: usize,
    pub(super) top: usize,
}

impl Found {
    pub(super) fn new(spot: Spot, find: Find, asked: u64) -> Self {
        Self {
            spot,
            find,
            asked,
            state: State::Searching,
            matches: Vec::new(),
            at: 0,
            top: 0,
        }
    }

    pub(super) fn more(&mut self, matches: Vec<Match>) {
        let room = MAX_MATCHES - self.matches.len().min(MAX_MATCHES);
        self.matches.extend(matches.into_iter().take(room));
    }

    /// The selected one.
    pub fn selected(&self) -> Option<&Match> {
        self.matches.get(self.at)
    }

    pub(super) fn step(&mut self, by: isize) {
        let last = self.matches.len().saturating_sub(1);
        self.at = self.at.saturating_add_signed(by).min(last);
    }
}
