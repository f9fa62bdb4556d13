//! The cursor and the view move.

use super::document::Position;
use super::keys::Keys;
use super::motion::{self, Jump, Way, Words};
use super::row::Row;
use super::selection::Shape;
use super::{Command, Mode};

impl Mode {
    /// One move; commands that are none do nothing.
    pub(super) fn moving(&mut self, command: Command) {
        let (page, half) = self.page();
        match command {
            Command::CursorUp => self.vertically(-1),
            Command::CursorDown => self.vertically(1),
            Command::ScrollUp => self.scroll(-1),
            Command::ScrollDown => self.scroll(1),
            Command::HalfPageUp => self.turn(-half),
            Command::HalfPageDown => self.turn(half),
            Command::PageUp => self.turn(-page),
            Command::PageDown => self.turn(page),
            Command::TopLine => self.enter_row(self.top),
            Command::MiddleLine => self.enter_row(self.top + i64::from(self.view.0 - 1) / 2),
            Command::BottomLine => self.enter_row(self.bottom()),
            Command::ScrollMiddle => {
                self.top = self.cursor.row - i64::from(self.view.0) / 2;
                self.keep_top();
            }
            Command::HistoryTop => {
                self.go(Position::new(self.document.first(), 0));
                self.seeks_top = !self.document.is_complete();
            }
            Command::HistoryBottom => {
                let row = self.document.last();
                self.go(Position::new(row, self.last_col(row)));
            }
            Command::JumpAgain | Command::JumpReverse => {
                if let Some(mut jump) = self.jump {
                    if command == Command::JumpReverse {
                        jump.way = jump.way.reversed();
                    }
                    self.jump(jump);
                }
            }
            _ => {
                let to = self.along(command);
                self.go(to);
                if command == Command::EndOfLine {
                    self.wanted = u16::MAX;
                }
            }
        }
    }

    /// Where a move along the text leads.
    fn along(&self, command: Command) -> Position {
        let (document, at) = (&self.document, self.cursor);
        match command {
            Command::CursorLeft => self.left_of(at),
            Command::CursorRight => self.right_of(at),
            Command::StartOfLine => Position::new(document.line(at.row).0, 0),
            Command::EndOfLine => {
                let row = document.line(at.row).1;
                Position::new(row, self.last_col(row))
            }
            Command::BackToIndentation => motion::indentation(document, at),
            Command::NextWord => Words::Separated.next(document, at),
            Command::NextSpace => Words::Blanks.next(document, at),
            Command::PreviousWord => Words::Separated.previous(document, at),
            Command::PreviousSpace => Words::Blanks.previous(document, at),
            Command::NextWordEnd => self.word_end(Words::Separated),
            Command::NextSpaceEnd => self.word_end(Words::Blanks),
            Command::NextParagraph => motion::paragraph(document, at, Way::Down),
            Command::PreviousParagraph => motion::paragraph(document, at, Way::Up),
            Command::NextMatchingBracket => motion::bracket(document, at, Way::Down).unwrap_or(at),
            Command::PreviousMatchingBracket => {
                motion::bracket(document, at, Way::Up).unwrap_or(at)
            }
            _ => at,
        }
    }

    /// Left and right stay in the row for a rectangle, and go over lines else.
    fn left_of(&self, at: Position) -> Position {
        if self.is_rectangle() {
            return Position::new(at.row, at.col.saturating_sub(1));
        }
        if at.col > self.document.width(at.row) {
            return Position::new(at.row, at.col - 1);
        }
        if self.keys == Keys::Emacs && at.col == 0 && at.row > self.document.first() {
            return Position::new(at.row - 1, self.last_col(at.row - 1));
        }
        self.document.before(at).map_or(at, |(before, _)| before)
    }

    fn right_of(&self, at: Position) -> Position {
        if self.is_rectangle() {
            return Position::new(at.row, at.col.saturating_add(1));
        }
        let row = self.document.row(at.row);
        if let Some(glyph) = row.and_then(|row| row.glyph(at.col)) {
            let next = glyph.col + glyph.width;
            if next <= self.last_col(at.row) {
                return Position::new(at.row, next);
            }
        }
        if at.row < self.document.last() {
            return Position::new(at.row + 1, 0);
        }
        at
    }

    /// Emacs' cursor goes behind the word.
    fn word_end(&self, words: Words) -> Position {
        let document = &self.document;
        if self.keys == Keys::Vi {
            return words.end(document, self.cursor);
        }
        let here = document
            .row(self.cursor.row)
            .and_then(|row| row.glyph(self.cursor.col));
        let end = if here.is_none_or(|glyph| glyph.text == " ") {
            words.end(document, self.cursor)
        } else {
            words.around(document, self.cursor).1
        };
        let glyph = document.row(end.row).and_then(|row| row.glyph(end.col));
        Position::new(
            end.row,
            glyph.map_or(end.col, |glyph| glyph.col + glyph.width),
        )
    }

    pub(super) fn jump(&mut self, jump: Jump) {
        if let Some(to) = motion::jump(&self.document, self.cursor, jump) {
            self.go(to);
        }
    }

    /// tmux's numbers: how many rows below the row that is to be shown first there are, without a screen.
    pub(super) fn show_line(&mut self, text: &str) {
        if let Ok(number) = text.trim().parse::<u32>() {
            self.top = -i64::from(number);
            self.keep_top();
            self.enter_row(self.cursor.row.clamp(self.top, self.bottom()));
        }
    }

    /// Puts the cursor somewhere, on the glyph that is there, and shows it.
    pub(super) fn go(&mut self, to: Position) {
        self.cursor = self.place(to);
        self.wanted = self.cursor.col;
        self.reveal();
    }

    /// Up or down to a row, in the wanted column.
    pub(super) fn enter_row(&mut self, row: i64) {
        self.cursor = self.place(Position::new(row, self.wanted));
        self.reveal();
    }

    fn vertically(&mut self, rows: i64) {
        self.enter_row(self.cursor.row.saturating_add(rows));
    }

    /// The view moves, the cursor only as far as it must.
    pub(super) fn scroll(&mut self, rows: i64) {
        self.top = self.top.saturating_add(rows);
        self.keep_top();
        let row = self.cursor.row.clamp(self.top, self.bottom());
        if row != self.cursor.row {
            self.enter_row(row);
        }
    }

    /// The view and the cursor move; at the ends, the cursor alone.
    fn turn(&mut self, rows: i64) {
        self.top = self.top.saturating_add(rows);
        self.keep_top();
        self.vertically(rows);
    }

    /// The rows of a page, which keeps two of the one before, and of half a page.
    fn page(&self) -> (i64, i64) {
        let rows = i64::from(self.view.0);
        ((rows - 2).max(1), (rows / 2).max(1))
    }

    /// The nearest place that the cursor can have.
    pub(super) fn place(&self, at: Position) -> Position {
        let row = at.row.clamp(self.document.first(), self.document.last());
        let col = at.col.min(self.last_col(row));
        let glyph = self.document.row(row).and_then(|row| row.glyph(col));
        Position::new(row, glyph.map_or(col, |glyph| glyph.col))
    }

    /// The last column of a row that the cursor can be in.
    pub(super) fn last_col(&self, row: i64) -> u16 {
        let last = self.document.row(row).and_then(Row::last);
        let edge = self.document.cols() - 1;
        match self.keys {
            _ if self.is_rectangle() => edge,
            Keys::Vi => last.map_or(0, |glyph| glyph.col),
            Keys::Emacs => last.map_or(0, |glyph| {
                (glyph.col + glyph.width).min(edge.max(glyph.col))
            }),
        }
    }

    fn is_rectangle(&self) -> bool {
        self.shape == Shape::Rectangle && self.selection.is_some()
    }

    /// The last row that is shown.
    pub(super) fn bottom(&self) -> i64 {
        (self.top + i64::from(self.view.0) - 1).min(self.document.last())
    }

    /// The first row that is shown when the view is scrolled down as far as it goes.
    pub(super) fn lowest_top(&self) -> i64 {
        let lowest = self.document.last() - i64::from(self.view.0) + 1;
        lowest.max(self.document.first())
    }

    pub(super) fn keep_top(&mut self) {
        self.top = self.top.min(self.lowest_top()).max(self.document.first());
    }

    /// Scrolls as little as shows the cursor.
    pub(super) fn reveal(&mut self) {
        let row = self.cursor.row;
        let lowest = row - i64::from(self.view.0) + 1;
        self.top = self.top.clamp(lowest, row);
        self.keep_top();
    }
}
