//! Searching: from the cursor, on from the last hit, and further up than what is here.

use super::document::Position;
use super::motion::{Way, Words};
use super::search::{Hit, Pattern};
use super::selection::Part;
use super::{Asks, Command, Mode};

/// What was looked for last.
#[derive(Clone, Debug, Default)]
pub(super) struct Finding {
    pattern: Option<Pattern>,
    /// The way of the search itself: what "again" means.
    way: Option<Way>,
    /// The hit under the cursor.
    current: Option<Hit>,
    /// Nothing was found in what is here, and there is more above.
    seeking: bool,
    /// Nothing was found at all.
    failed: bool,
}

impl Finding {
    /// Whether older rows are needed to go on.
    pub(super) fn seeks(&self) -> bool {
        self.seeking
    }

    /// Whether nothing was found.
    pub(super) fn has_failed(&self) -> bool {
        self.failed
    }

    pub(super) fn stop(&mut self) {
        self.seeking = false;
        self.failed = false;
    }

    pub(super) fn current(&self) -> Option<Hit> {
        self.current
    }

    pub(super) fn pattern(&self) -> Option<&Pattern> {
        self.pattern.as_ref()
    }
}

impl Mode {
    /// Whether the command was about searching, and is done.
    pub(super) fn finding(&mut self, command: Command, count: u32) -> bool {
        match command {
            Command::SearchForward => self.ask(Asks::Pattern(Way::Down)),
            Command::SearchBackward => self.ask(Asks::Pattern(Way::Up)),
            Command::SearchWordForward => self.search_word(Way::Down),
            Command::SearchWordBackward => self.search_word(Way::Up),
            Command::SearchAgain | Command::SearchReverse => {
                let Some(way) = self.finding.way else {
                    return true;
                };
                let is_reverse = command == Command::SearchReverse;
                let way = if is_reverse { way.reversed() } else { way };
                for _ in 0..count {
                    let before = self.cursor;
                    self.find(way);
                    if self.cursor == before {
                        break;
                    }
                }
            }
            _ => return false,
        }
        true
    }

    /// While a question is open, the keys of a search take its answer and search on.
    pub(super) fn answer_with(&mut self, command: Command) {
        let way = match command {
            Command::SearchForward => Way::Down,
            Command::SearchBackward => Way::Up,
            _ => return,
        };
        let Some(prompt) = self.prompt.take() else {
            return;
        };
        if !matches!(prompt.asks, Asks::Pattern(_)) {
            self.prompt = Some(prompt);
            return;
        }
        let is_same = self
            .finding
            .pattern()
            .is_some_and(|known| known.text() == prompt.text);
        if is_same {
            self.find(way);
        }
        let (cursor, top) = (self.cursor, self.top);
        self.prompt = Some(super::Prompt {
            asks: Asks::Pattern(way),
            cursor,
            top,
            ..prompt
        });
    }

    /// The first hit of what was typed so far, without leaving where the search begins for good.
    pub(super) fn preview(&mut self, text: &str, way: Way) {
        self.finding.stop();
        self.finding.current = None;
        self.finding.pattern = Pattern::new(text);
        if self.finding.pattern.is_some() {
            self.find(way);
        }
    }

    /// Looks for `text`; for what was looked for last, if there is none.
    pub(super) fn search(&mut self, text: &str, way: Way) {
        self.finding.way = Some(way);
        let is_shown = !text.is_empty() && self.finding.current.is_some();
        if is_shown || self.finding.seeking {
            // The preview has gone there already, or is on its way.
            return;
        }
        if let Some(pattern) = Pattern::new(text) {
            self.finding.pattern = Some(pattern);
        }
        self.find(way);
    }

    fn search_word(&mut self, way: Way) {
        let (first, last) = Words::Separated.around(&self.document, self.cursor);
        let row = self.document.row(last.row);
        let end = row.and_then(|row| row.glyph(last.col));
        let end = Position::new(
            last.row,
            end.map_or(last.col, |glyph| glyph.col + glyph.width),
        );
        let word = Part::text_between(first, end).text(&self.document);
        if let Some(pattern) = Pattern::literal(word.trim()) {
            self.finding.pattern = Some(pattern);
            self.finding.way = Some(way);
            self.find(way);
        }
    }

    /// To the next hit. Where there is none, it begins again at the other end; looking up, only when all
    /// that is above is here.
    fn find(&mut self, way: Way) {
        self.finding.stop();
        let Some(pattern) = &self.finding.pattern else {
            return;
        };
        let document = &self.document;
        let mut hit = pattern.next(document, self.cursor, way);
        if hit.is_none() && way == Way::Up && !document.is_complete() {
            self.finding.seeking = true;
            return;
        }
        if hit.is_none() {
            let end = match way {
                Way::Down => Position::new(document.first(), 0),
                Way::Up => Position::new(document.last(), u16::MAX),
            };
            let at_end = pattern.hits(document, end.row).into_iter();
            hit = match way {
                Way::Down => at_end.into_iter().next(),
                Way::Up => None,
            };
            hit = hit.or_else(|| pattern.next(document, end, way));
        }
        self.show(hit);
    }

    fn show(&mut self, hit: Option<Hit>) {
        self.finding.current = hit;
        self.finding.failed = hit.is_none();
        if let Some(hit) = hit {
            self.go(hit.start);
        }
    }

    /// Rows came above `first`, or none will.
    pub(super) fn seek_on(&mut self, first: i64) {
        if !std::mem::take(&mut self.finding.seeking) {
            return;
        }
        let Some(pattern) = &self.finding.pattern else {
            return;
        };
        // A line that goes on here may have got its beginning only now.
        let from = Position::new(first.min(self.cursor.row), 0);
        let from = Position::new(self.document.line(from.row).1, u16::MAX).min(self.cursor);
        let hit = pattern.next(&self.document, from, Way::Up);
        if hit.is_some() {
            self.show(hit);
        } else if self.document.is_complete() {
            self.find(Way::Up);
        } else {
            self.finding.seeking = true;
        }
    }
}
