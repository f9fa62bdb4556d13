//! What a key is guessed to do to the row of the cursor.

use cmdop_emulator::Emulator;
use ratatui::style::Style;
use tokio::time::Instant;

use super::Predictor;
use super::keys::Key;
use crate::pane::style_of;
use crate::theme::Depth;

/// A cell of the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) row: u16,
    pub(super) col: u16,
}

/// What a cell is guessed to become.
#[derive(Clone, Debug)]
pub(super) struct Guess {
    pub(super) shows: char,
    pub(super) style: Style,
    /// What may be seen there before it comes true: what was there, and what was guessed earlier.
    pub(super) before: Vec<char>,
    pub(super) epoch: u64,
    pub(super) seq: u64,
    pub(super) at: Instant,
}

/// Where the cursor is guessed to be.
#[derive(Clone, Copy, Debug)]
pub(super) struct CursorGuess {
    pub(super) place: Place,
    pub(super) epoch: u64,
    pub(super) seq: u64,
    pub(super) at: Instant,
}

/// How many earlier guesses of a cell are remembered: a held key changes its cell once.
const MAX_BEFORE: usize = 64;

/// A key and when it was typed.
#[derive(Clone, Copy)]
struct Typed {
    seq: u64,
    now: Instant,
}

impl Predictor {
    /// Guesses what a key does. False: it cannot be guessed.
    pub(super) fn guess(&mut self, key: Key, seq: u64, screen: &Emulator, now: Instant) -> bool {
        let Some(at) = self.place(screen) else {
            return false;
        };
        let typed = Typed { seq, now };
        if self.cursor.is_none() && self.start.is_some_and(|start| start.row != at.row) {
            self.start = None;
        }
        let start = *self.start.get_or_insert(at);
        if at.row != start.row {
            return false;
        }
        match key {
            Key::Character(c) => self.insert(c, at, screen, typed),
            Key::Backspace | Key::Left if at.col == 0 => false,
            Key::Backspace | Key::Left => {
                let to = Place {
                    col: at.col - 1,
                    ..at
                };
                self.enter_unknown(to < start);
                if key == Key::Backspace && !self.remove(to, screen, typed) {
                    return false;
                }
                self.go(to, typed);
                true
            }
            Key::Right if at.col + 1 >= self.size.1 => false,
            Key::Right => {
                self.enter_unknown(self.run(at, screen).is_none_or(|run| run == 0));
                self.go(
                    Place {
                        col: at.col + 1,
                        ..at
                    },
                    typed,
                );
                true
            }
            Key::Other => false,
        }
    }

    /// Beyond what was typed here, a guess has to come true before one is shown.
    fn enter_unknown(&mut self, is_unknown: bool) {
        if is_unknown && self.epoch <= self.confirmed {
            self.epoch += 1;
        }
    }

    /// Where the next key is going to act.
    fn place(&self, screen: &Emulator) -> Option<Place> {
        if let Some(cursor) = self.cursor {
            return Some(cursor.place);
        }
        let cursor = screen.cursor();
        let place = Place {
            row: cursor.row,
            col: cursor.col,
        };
        (!cursor.pending_wrap).then_some(place)
    }

    /// A character at the cursor; what is behind it moves to the right.
    fn insert(&mut self, c: char, at: Place, screen: &Emulator, typed: Typed) -> bool {
        let last = self.size.1.saturating_sub(1);
        let Some(run) = self.run(at, screen) else {
            return false;
        };
        // What is pushed beyond the edge, and what is written on it, goes to where nobody knows.
        if at.col >= last || at.col + run >= last {
            return false;
        }
        let mut carried = (c, self.style_for(at, screen));
        for col in at.col..=at.col + run {
            let place = Place { col, ..at };
            let Some(here) = self.shown(place, screen) else {
                return false;
            };
            self.put(place, carried, screen, typed);
            carried = here;
        }
        self.go(
            Place {
                col: at.col + 1,
                ..at
            },
            typed,
        );
        true
    }

    /// The character at a place goes away; what is behind it moves to the left.
    fn remove(&mut self, at: Place, screen: &Emulator, typed: Typed) -> bool {
        let after = Place {
            col: at.col + 1,
            ..at
        };
        let Some(run) = self.run(after, screen) else {
            return false;
        };
        for col in at.col..=at.col + run {
            let place = Place { col, ..at };
            let next = Place { col: col + 1, ..at };
            let cell = if col == at.col + run {
                None
            } else {
                self.shown(next, screen)
            };
            self.put(place, cell.unwrap_or((' ', Style::new())), screen, typed);
        }
        true
    }

    /// How many cells from `at` on move with what is typed: up to two blanks in a row, behind which there is
    /// something else, like a prompt at the right. None if there is a wide character.
    fn run(&self, at: Place, screen: &Emulator) -> Option<u16> {
        let mut run = 0;
        let mut blanks = 0;
        for col in at.col..self.size.1 {
            let (c, _) = self.shown(Place { col, ..at }, screen)?;
            blanks = if c == ' ' { blanks + 1 } else { 0 };
            if blanks == 2 {
                break;
            }
            if c != ' ' {
                run = col + 1 - at.col;
            }
        }
        Some(run)
    }

    /// What is at a place once all guesses have come true; none for what is no single character.
    fn shown(&self, place: Place, screen: &Emulator) -> Option<(char, Style)> {
        if let Some(guess) = self.guesses.get(&place) {
            return Some((guess.shows, guess.style));
        }
        let cell = screen.cell(place.row, place.col)?;
        Some((character(screen, place)?, style_of(cell, Depth::True)))
    }

    /// New text looks like what is left of it, if that was typed here too; else like what it replaces.
    fn style_for(&self, at: Place, screen: &Emulator) -> Style {
        let left = at.col.checked_sub(1).map(|col| Place { col, ..at });
        let left = left.filter(|left| self.start.is_some_and(|start| *left >= start));
        let style = left.and_then(|left| self.shown(left, screen));
        let style = style.or_else(|| self.shown(at, screen));
        style.map_or(Style::new(), |(_, style)| style)
    }

    fn put(&mut self, place: Place, (c, style): (char, Style), screen: &Emulator, typed: Typed) {
        let mut before = match self.guesses.remove(&place) {
            Some(guess) => {
                let mut before = guess.before;
                before.push(guess.shows);
                before
            }
            None => vec![character(screen, place).unwrap_or('\0')],
        };
        if before.len() > MAX_BEFORE {
            before.remove(0);
        }
        self.guesses.insert(
            place,
            Guess {
                shows: c,
                style,
                before,
                epoch: self.epoch,
                seq: typed.seq,
                at: typed.now,
            },
        );
    }

    fn go(&mut self, place: Place, typed: Typed) {
        self.cursor = Some(CursorGuess {
            place,
            epoch: self.epoch,
            seq: typed.seq,
            at: typed.now,
        });
    }
}

/// The character of a cell; a blank is a space. None for a wide one, one with marks, or none at all.
pub(super) fn character(screen: &Emulator, place: Place) -> Option<char> {
    let cell = screen.cell(place.row, place.col)?;
    let mut characters = cell.text.chars();
    match (cell.width, characters.next(), characters.next()) {
        (1, None, _) => Some(' '),
        (1, Some(c), None) => Some(c),
        _ => None,
    }
}
