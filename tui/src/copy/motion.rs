//! Where the cursor goes: pure functions from a place in a document to another one.

use super::document::{Document, Gap, Position};
use super::row::Row;

/// What is no part of a word, besides blanks (tmux's `word-separators`).
const SEPARATORS: &str = "!\"#$%&'()*+,-./:;<=>?@[\\]^`{|}~";

/// How far a bracket's partner is looked for, in glyphs.
const MAX_BRACKET: usize = 200_000;

/// What counts as a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Words {
    /// Letters and digits; runs of other characters are words too.
    Separated,
    /// Whatever is between blanks.
    Blanks,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Blank,
    Word,
    Separator,
}

/// A jump to a character in its line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Jump {
    /// The character.
    pub(super) to: char,
    /// Which way.
    pub(super) way: Way,
    /// Where to stop.
    pub(super) stop: Stop,
}

/// A direction through the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Towards the newest row.
    Down,
    /// Towards the oldest row.
    Up,
}

impl Way {
    /// The other one.
    pub(super) fn reversed(self) -> Self {
        match self {
            Self::Down => Self::Up,
            Self::Up => Self::Down,
        }
    }
}

/// Where a jump stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// On the character.
    On,
    /// One before it.
    Short,
}

impl Words {
    fn class(self, document: &Document, at: Position) -> Class {
        let glyph = document.row(at.row).and_then(|row| row.glyph(at.col));
        match glyph.and_then(|glyph| glyph.text.chars().next()) {
            None => Class::Blank,
            Some(c) if c.is_whitespace() => Class::Blank,
            Some(c) if self == Self::Separated && SEPARATORS.contains(c) => Class::Separator,
            Some(_) => Class::Word,
        }
    }

    /// The start of the next word; the last place if there is none.
    pub(super) fn next(self, document: &Document, mut at: Position) -> Position {
        let class = self.class(document, at);
        let mut has_left = class == Class::Blank;
        while let Some((next, gap)) = document.after(at) {
            at = next;
            let here = self.class(document, at);
            has_left |= gap == Gap::Line || here != class;
            if has_left && here != Class::Blank {
                break;
            }
        }
        at
    }

    /// The last glyph of this word or, from there, of the next one.
    pub(super) fn end(self, document: &Document, mut at: Position) -> Position {
        let mut inside = None;
        while let Some((next, gap)) = document.after(at) {
            let here = self.class(document, next);
            if inside.is_some_and(|class| gap == Gap::Line || here != class) {
                break;
            }
            at = next;
            if here != Class::Blank {
                inside = Some(here);
            }
        }
        at
    }

    /// The start of this word or, from there, of the word before.
    pub(super) fn previous(self, document: &Document, mut at: Position) -> Position {
        let mut inside = None;
        while let Some((before, gap)) = document.before(at) {
            let here = self.class(document, before);
            if inside.is_some_and(|class| gap == Gap::Line || here != class) {
                break;
            }
            at = before;
            if here != Class::Blank {
                inside = Some(here);
            }
        }
        at
    }

    /// The first and the last glyph of what is at a place: a word, or a run of blanks.
    pub(super) fn around(self, document: &Document, at: Position) -> (Position, Position) {
        let class = self.class(document, at);
        let (mut first, mut last) = (at, at);
        while let Some((before, gap)) = document.before(first) {
            if gap == Gap::Line || self.class(document, before) != class {
                break;
            }
            first = before;
        }
        while let Some((next, gap)) = document.after(last) {
            if gap == Gap::Line || self.class(document, next) != class {
                break;
            }
            last = next;
        }
        (first, last)
    }
}

/// The next row without text, after at least one that has some; the end of the document else.
pub(super) fn paragraph(document: &Document, at: Position, way: Way) -> Position {
    let is_blank = |row| {
        document
            .row(row)
            .is_none_or(|row| row.text().trim().is_empty())
    };
    let mut row = at.row;
    let mut has_text = !is_blank(row);
    loop {
        let next = match way {
            Way::Down if row < document.last() => row + 1,
            Way::Up if row > document.first() => row - 1,
            _ => break,
        };
        row = next;
        has_text |= !is_blank(row);
        if has_text && is_blank(row) {
            return Position::new(row, 0);
        }
    }
    let col = match way {
        Way::Down => document
            .row(row)
            .and_then(Row::last)
            .map_or(0, |last| last.col),
        Way::Up => 0,
    };
    Position::new(row, col)
}

/// The first glyph of the line that is not blank.
pub(super) fn indentation(document: &Document, at: Position) -> Position {
    let (first, last) = document.line(at.row);
    for row in first..=last {
        let glyphs = document.row(row).into_iter().flat_map(Row::glyphs);
        for glyph in glyphs {
            if glyph.text != " " {
                return Position::new(row, glyph.col);
            }
        }
    }
    Position::new(first, 0)
}

/// Where a jump ends; none if the line has no such character there.
pub(super) fn jump(document: &Document, from: Position, jump: Jump) -> Option<Position> {
    let is_there = |at: Position| {
        let glyph = document.row(at.row).and_then(|row| row.glyph(at.col));
        glyph.is_some_and(|glyph| glyph.text.starts_with(jump.to))
    };
    let step = |at| {
        let (next, gap) = match jump.way {
            Way::Down => document.after(at),
            Way::Up => document.before(at),
        }?;
        (gap == Gap::None).then_some(next)
    };
    let mut before = from;
    let mut at = step(from)?;
    // One that stops short must not find the character it stands next to, again and again.
    if jump.stop == Stop::Short && is_there(at) {
        (before, at) = (at, step(at)?);
    }
    while !is_there(at) {
        (before, at) = (at, step(at)?);
    }
    Some(match jump.stop {
        Stop::On => at,
        Stop::Short => before,
    })
}

/// The partner of the bracket here or, looking `way`, of the first one in the line.
pub(super) fn bracket(document: &Document, from: Position, way: Way) -> Option<Position> {
    let here = |at: Position| {
        let glyph = document.row(at.row)?.glyph(at.col)?;
        let first = glyph.text.chars().next()?;
        "()[]{}".contains(first).then_some(first)
    };
    let step = |at, way| match way {
        Way::Down => document.after(at),
        Way::Up => document.before(at),
    };
    let mut at = from;
    let open = loop {
        if let Some(bracket) = here(at) {
            break bracket;
        }
        let (next, gap) = step(at, way)?;
        if gap == Gap::Line {
            return None;
        }
        at = next;
    };
    let (partner, towards) = match open {
        '(' => (')', Way::Down),
        '[' => (']', Way::Down),
        '{' => ('}', Way::Down),
        ')' => ('(', Way::Up),
        ']' => ('[', Way::Up),
        _ => ('{', Way::Up),
    };
    let mut depth = 1;
    for _ in 0..MAX_BRACKET {
        at = step(at, towards)?.0;
        match here(at) {
            Some(bracket) if bracket == open => depth += 1,
            Some(bracket) if bracket == partner => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(rows: &[&str]) -> Document {
        let rows = rows.iter().map(|row| Row::plain(row)).collect();
        Document::of_rows(rows, 40).without_history()
    }

    fn stops(
        rows: &[&str],
        from: (i64, u16),
        step: impl Fn(&Document, Position) -> Position,
    ) -> Vec<(i64, u16)> {
        let document = document(rows);
        let mut at = Position::new(from.0, from.1);
        let mut stops = Vec::new();
        loop {
            let next = step(&document, at);
            if next == at {
                return stops;
            }
            at = next;
            stops.push((at.row, at.col));
        }
    }

    const TEXT: [&str; 3] = ["let x-y = 你好;", "", "  end"];

    #[test]
    fn words_stop_where_vi_stops() {
        let next = |d: &Document, at| Words::Separated.next(d, at);
        assert_eq!(
            stops(&TEXT, (0, 0), next),
            [
                (0, 4),
                (0, 5),
                (0, 6),
                (0, 8),
                (0, 10),
                (0, 14),
                (2, 2),
                (2, 4)
            ]
        );
        let end = |d: &Document, at| Words::Separated.end(d, at);
        assert_eq!(
            stops(&TEXT, (0, 0), end),
            [
                (0, 2),
                (0, 4),
                (0, 5),
                (0, 6),
                (0, 8),
                (0, 12),
                (0, 14),
                (2, 4)
            ]
        );
        let back = |d: &Document, at| Words::Separated.previous(d, at);
        assert_eq!(
            stops(&TEXT, (2, 4), back),
            [
                (2, 2),
                (0, 14),
                (0, 10),
                (0, 8),
                (0, 6),
                (0, 5),
                (0, 4),
                (0, 0)
            ]
        );
    }

    #[test]
    fn words_between_blanks_stop_only_there() {
        let next = |d: &Document, at| Words::Blanks.next(d, at);
        assert_eq!(
            stops(&TEXT, (0, 0), next),
            [(0, 4), (0, 8), (0, 10), (2, 2), (2, 4)]
        );
        let back = |d: &Document, at| Words::Blanks.previous(d, at);
        assert_eq!(
            stops(&TEXT, (2, 4), back),
            [(2, 2), (0, 10), (0, 8), (0, 4), (0, 0)]
        );
    }

    #[test]
    fn a_word_goes_on_in_a_wrapped_row() {
        let rows = Row::of_line("one twothree", 7, false);
        let document = Document::of_rows(rows, 7).without_history();
        let (first, last) = Words::Separated.around(&document, Position::new(1, 1));
        assert_eq!((first, last), (Position::new(0, 4), Position::new(1, 4)));
    }

    #[test]
    fn paragraphs_end_at_blank_rows() {
        let down = |d: &Document, at| paragraph(d, at, Way::Down);
        let rows = ["a", "b", "", "", "c", " ", "last"];
        assert_eq!(stops(&rows, (0, 0), down), [(2, 0), (5, 0), (6, 3)]);
        let up = |d: &Document, at| paragraph(d, at, Way::Up);
        assert_eq!(stops(&rows, (6, 3), up), [(5, 0), (3, 0), (0, 0)]);
    }

    #[test]
    fn jumps_stay_in_the_line() {
        let document = document(&["a.b.c", "..."]);
        let go = |from, way, stop| {
            let to = Jump { to: '.', way, stop };
            jump(&document, Position::new(0, from), to).map(|at| at.col)
        };
        assert_eq!(go(0, Way::Down, Stop::On), Some(1));
        assert_eq!(go(1, Way::Down, Stop::On), Some(3));
        assert_eq!(go(3, Way::Down, Stop::On), None);
        assert_eq!(go(0, Way::Down, Stop::Short), Some(2));
        assert_eq!(go(4, Way::Up, Stop::On), Some(3));
        assert_eq!(go(4, Way::Up, Stop::Short), Some(2));
    }

    #[test]
    fn brackets_find_their_partners_over_rows() {
        let document = document(&["f(a, [b", "]) x", "}"]);
        let partner = |row, col, way| bracket(&document, Position::new(row, col), way);
        assert_eq!(partner(0, 0, Way::Down), Some(Position::new(1, 1)));
        assert_eq!(partner(0, 5, Way::Down), Some(Position::new(1, 0)));
        assert_eq!(partner(1, 1, Way::Down), Some(Position::new(0, 1)));
        assert_eq!(partner(1, 3, Way::Up), Some(Position::new(0, 1)));
        assert_eq!(partner(2, 0, Way::Down), None);
        assert_eq!(partner(1, 3, Way::Down), None);
    }

    #[test]
    fn the_first_character_of_a_line_is_found() {
        let document = document(&TEXT);
        assert_eq!(
            indentation(&document, Position::new(2, 4)),
            Position::new(2, 2)
        );
        assert_eq!(
            indentation(&document, Position::new(1, 0)),
            Position::new(1, 0)
        );
    }
}
