//! What is in the selected file, as much as fits a screen or two.

use bytes::Bytes;

use super::Spot;
use super::entry::Entry;

/// A piece of text and what it is in its language.
pub type Piece = (Token, String);

/// What a piece of a program or a configuration is. Each theme has a look for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token {
    /// Nothing in particular.
    Plain,
    /// For people only.
    Comment,
    /// Text in it.
    String,
    /// A number, or another constant.
    Constant,
    /// A word of the language.
    Keyword,
    /// The name of something: a function, a type, a key, a heading.
    Name,
}

/// What there is to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// It was asked for.
    Loading,
    /// Text in lines, without controls; and whether there is more of it.
    Text(Vec<Vec<Piece>>, bool),
    /// The first bytes of something else.
    Bytes(Bytes),
    /// An image: what it is, its width and height.
    Image(&'static str, u32, u32),
    /// A directory.
    Directory(Vec<Entry>),
    /// Words.
    Words(String),
}

/// See the module.
#[derive(Debug)]
pub struct Preview {
    /// Of what.
    pub spot: Spot,
    /// The number of the question.
    pub(super) asked: u64,
    /// Size and time of what was looked at: another one is looked at again.
    pub(super) version: (u64, i64),
    /// What there is.
    pub content: Content,
    /// The first line that is shown.
    pub(super) top: usize,
}

impl Preview {
    /// How many lines there are.
    pub fn len(&self) -> usize {
        match &self.content {
            Content::Text(lines, _) => lines.len(),
            Content::Bytes(bytes) => bytes.len().div_ceil(8),
            Content::Directory(entries) => entries.len(),
            Content::Loading | Content::Image(..) | Content::Words(_) => 1,
        }
    }

    /// Whether there is nothing to see.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
