//! What is looked for, and where it is.
//!
//! A pattern is a regular expression or, if it cannot be read as one, the text itself. It is matched against
//! whole lines: one that is wrapped over rows is found where it is cut. Matching takes linear time.

use regex::{Regex, RegexBuilder};

use super::document::{Document, Position};
use super::motion::Way;

/// How long a pattern may be, in bytes.
pub(super) const MAX_PATTERN: usize = 1024;

/// How much memory a compiled pattern may take: `(a{1000}){1000}` must not take a gigabyte.
const MAX_COMPILED: usize = 1 << 20;

/// How many hits of one line are looked at.
const MAX_HITS: usize = 10_000;

/// A pattern to look for.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    text: String,
    regex: Regex,
}

/// Where a pattern was found: up to before `end`, which may be in another row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hit {
    /// Its first column.
    pub(super) start: Position,
    /// The column behind it.
    pub(super) end: Position,
}

impl Hit {
    /// The columns of a row that are in it, in a row of `width` columns.
    pub(super) fn columns(&self, row: i64, width: u16) -> std::ops::Range<u16> {
        if row < self.start.row || row > self.end.row {
            return 0..0;
        }
        let start = if row == self.start.row {
            self.start.col
        } else {
            0
        };
        let end = if row == self.end.row {
            self.end.col
        } else {
            width
        };
        start..end
    }
}

impl Pattern {
    /// A pattern; none if it is empty or too long. Upper case letters in it make it tell the cases apart.
    pub(super) fn new(text: &str) -> Option<Self> {
        if text.is_empty() || text.len() > MAX_PATTERN {
            return None;
        }
        let compile = |pattern: &str| {
            RegexBuilder::new(pattern)
                .case_insensitive(!has_upper_case(text))
                .size_limit(MAX_COMPILED)
                .dfa_size_limit(MAX_COMPILED)
                .build()
        };
        let regex = compile(text)
            .or_else(|_| compile(&regex::escape(text)))
            .ok()?;
        Some(Self {
            text: text.to_owned(),
            regex,
        })
    }

    /// The text itself, whatever it means as an expression.
    pub(super) fn literal(text: &str) -> Option<Self> {
        Self::new(&regex::escape(text))
    }

    /// As it was written.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Where it is in the line that a row belongs to, from left to right.
    pub(super) fn hits(&self, document: &Document, row: i64) -> Vec<Hit> {
        let (first, last) = document.line(row);
        if first == last {
            let Some(only) = document.row(first) else {
                return Vec::new();
            };
            let place = |byte| Position::new(first, only.column(byte));
            return self.found(only.text(), place, place);
        }
        let mut text = String::new();
        // Where each row starts in the text.
        let mut starts = Vec::new();
        for row in (first..=last).filter_map(|row| document.row(row)) {
            starts.push(text.len());
            text.push_str(row.text());
        }
        let place = |byte: usize, at: usize| {
            let row = first + at as i64;
            let column = document
                .row(row)
                .map_or(0, |row| row.column(byte - starts[at]));
            Position::new(row, column)
        };
        let start = |byte| place(byte, starts.partition_point(|start| *start <= byte) - 1);
        // The end belongs to the row before, if it is between two.
        let end = |byte| {
            place(
                byte,
                starts.partition_point(|start| *start < byte).max(1) - 1,
            )
        };
        self.found(&text, start, end)
    }

    fn found(
        &self,
        text: &str,
        start: impl Fn(usize) -> Position,
        end: impl Fn(usize) -> Position,
    ) -> Vec<Hit> {
        let matches = self.regex.find_iter(text).filter(|found| !found.is_empty());
        let hit = |found: regex::Match<'_>| Hit {
            start: start(found.start()),
            end: end(found.end()),
        };
        matches.take(MAX_HITS).map(hit).collect()
    }

    /// The next hit that starts after (or, looking up, before) a place.
    pub(super) fn next(&self, document: &Document, from: Position, way: Way) -> Option<Hit> {
        let is_beyond = |hit: &Hit| match way {
            Way::Down => hit.start > from,
            Way::Up => hit.start < from,
        };
        let mut row = from.row;
        while (document.first()..=document.last()).contains(&row) {
            let hits = self.hits(document, row);
            let found = match way {
                Way::Down => hits.into_iter().find(is_beyond),
                Way::Up => hits.into_iter().rev().find(is_beyond),
            };
            if found.is_some() {
                return found;
            }
            let (first, last) = document.line(row);
            row = match way {
                Way::Down => last + 1,
                Way::Up => first - 1,
            };
        }
        None
    }
}

/// Whether a pattern has an upper case letter that stands for itself: `\S` and `\W` do not.
fn has_upper_case(pattern: &str) -> bool {
    let mut characters = pattern.chars();
    while let Some(c) = characters.next() {
        if c == '\\' {
            characters.next();
        } else if c.is_uppercase() {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::copy::row::Row;

    fn document() -> Document {
        let mut rows = vec![Row::plain("Error: 你好 error"), Row::plain("none")];
        rows.extend(Row::of_line("0123456789abc error x", 12, false));
        Document::of_rows(rows, 12).without_history()
    }

    fn found(pattern: &str, from: (i64, u16), way: Way) -> Option<(i64, u16)> {
        let pattern = Pattern::new(pattern).unwrap();
        let hit = pattern.next(&document(), Position::new(from.0, from.1), way);
        hit.map(|hit| (hit.start.row, hit.start.col))
    }

    #[test]
    fn hits_are_found_both_ways() {
        assert_eq!(found("error", (0, 0), Way::Down), Some((0, 12)));
        assert_eq!(found("error", (0, 12), Way::Down), Some((3, 2)));
        assert_eq!(found("error", (3, 2), Way::Down), None);
        assert_eq!(found("error", (3, 2), Way::Up), Some((0, 12)));
        assert_eq!(found("error", (0, 12), Way::Up), Some((0, 0)));
        assert_eq!(found("error", (0, 0), Way::Up), None);
    }

    #[test]
    fn upper_case_letters_matter_where_there_are_any() {
        assert_eq!(found("Error", (3, 9), Way::Up), Some((0, 0)));
        assert_eq!(found(r"\S你", (0, 0), Way::Down), None);
        assert_eq!(found(r"ERR\w", (0, 0), Way::Down), None);
    }

    #[test]
    fn a_hit_may_lie_over_two_rows() {
        let document = document();
        let hits = Pattern::new("[0-9]abc").unwrap().hits(&document, 3);
        assert_eq!(
            hits,
            [Hit {
                start: Position::new(2, 9),
                end: Position::new(3, 1)
            }]
        );
        assert_eq!(hits[0].columns(2, 12), 9..12);
        assert_eq!(hits[0].columns(3, 12), 0..1);
        let hits = Pattern::new("ab").unwrap().hits(&document, 2);
        assert_eq!(
            hits,
            [Hit {
                start: Position::new(2, 10),
                end: Position::new(2, 12)
            }]
        );
    }

    #[test]
    fn what_is_no_expression_is_looked_for_as_it_is() {
        let document = Document::of_rows(vec![Row::plain("f(x")], 9);
        let hits = Pattern::new("f(").unwrap().hits(&document, 0);
        assert_eq!(hits.len(), 1);
        assert_eq!(Pattern::literal("(x").unwrap().hits(&document, 0).len(), 1);
    }

    #[test]
    fn a_pattern_is_bounded() {
        assert!(Pattern::new("").is_none());
        assert!(Pattern::new(&"x".repeat(MAX_PATTERN + 1)).is_none());
        // Too much to compile: taken as text.
        let bomb = Pattern::new("(a{1000}){1000}").unwrap();
        assert_eq!(bomb.hits(&document(), 0), []);
        // Nothing is no hit.
        assert_eq!(Pattern::new("z*").unwrap().hits(&document(), 0), []);
    }
}
