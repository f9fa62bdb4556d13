//! The mouse in copy mode: it selects, and its wheel looks back.

use std::time::Duration;

use tokio::time::Instant;

use super::document::Position;
use super::keys::Keys;
use super::selection::{Shape, Unit};
use super::{Mode, Outcome};

/// Clicks at one place within this count together.
const AGAIN: Duration = Duration::from_millis(400);

/// What the mouse did; rows and columns count from the view's first, and may be beyond its edges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mouse {
    /// The left button went down, for the first, second or third time at one place.
    Press {
        /// The row.
        row: i32,
        /// The column.
        col: u16,
        /// How often, see [`Clicks`].
        clicks: u8,
    },
    /// It moved with the button down.
    Drag {
        /// The row.
        row: i32,
        /// The column.
        col: u16,
    },
    /// The button went up.
    Release,
    /// The wheel turned by so many rows: negative to look back.
    Wheel(i32),
}

/// Counts clicks at one place.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clicks {
    last: Option<(Instant, u16, u16)>,
    count: u8,
}

impl Clicks {
    /// The button went down there: for the first, second or third time.
    pub fn press(&mut self, row: u16, col: u16, now: Instant) -> u8 {
        let is_same = self.last.is_some_and(|(at, last_row, last_col)| {
            (last_row, last_col) == (row, col) && now.duration_since(at) <= AGAIN
        });
        self.count = if is_same { self.count % 3 + 1 } else { 1 };
        self.last = Some((now, row, col));
        self.count
    }
}

impl Mode {
    /// The mouse did something.
    pub fn mouse(&mut self, event: Mouse) -> Outcome {
        match event {
            Mouse::Press { row, col, clicks } => self.press(row, col, clicks),
            Mouse::Drag { row, col } => self.drag(row, col),
            Mouse::Release => return self.release(),
            Mouse::Wheel(rows) => return self.wheel(rows),
        }
        Outcome::Redraw
    }

    /// Whether the mouse is held beyond an edge: then [`Mode::drag_on`] wants to be called, some twenty
    /// times a second, until it is not.
    pub fn drags_beyond(&self) -> bool {
        self.held
            .is_some_and(|(row, _)| row < 0 || row >= i32::from(self.view.0))
    }

    /// The mouse is still held beyond an edge.
    pub fn drag_on(&mut self) -> Outcome {
        if let Some((row, col)) = self.held.filter(|_| self.drags_beyond()) {
            self.drag(row, col);
        }
        Outcome::Redraw
    }

    fn press(&mut self, row: i32, col: u16, clicks: u8) {
        self.finding.stop();
        self.seeks_top = false;
        self.shape = Shape::Text;
        self.unselect();
        self.held = Some((row, col));
        self.point(row, col);
        match clicks {
            2 => self.select(Unit::Word),
            3.. => self.select(Unit::Line),
            _ => {}
        }
    }

    fn drag(&mut self, row: i32, col: u16) {
        if self.held.is_none() {
            return;
        }
        if self.selection.is_none() {
            self.select(Unit::Character);
        }
        self.held = Some((row, col));
        self.point(row, col);
    }

    fn release(&mut self) -> Outcome {
        let unit = self.selection.map(|selection| selection.unit);
        match (self.held.take(), unit, self.selected()) {
            (Some(_), Some(Unit::Character), Some(text)) => Outcome::CopiedAndLeft(text),
            (Some(_), Some(_), Some(text)) => Outcome::Copied(text),
            _ => Outcome::Redraw,
        }
    }

    fn wheel(&mut self, rows: i32) -> Outcome {
        let lowest = self.lowest_top();
        let was_lowest = self.top >= lowest;
        self.scroll(i64::from(rows));
        let ends = self.leaves_at_bottom && rows > 0 && self.selection.is_none();
        if ends && !was_lowest && self.top >= lowest {
            return Outcome::Left;
        }
        Outcome::Redraw
    }

    /// Puts the cursor under the mouse; beyond an edge, the view moves by a row.
    fn point(&mut self, row: i32, col: u16) {
        let left = self.left();
        let col = col.saturating_add(left);
        let row = self.top.saturating_add(i64::from(row));
        let row = row.clamp(self.top - 1, self.top + i64::from(self.view.0));
        // Emacs' cursor is before the glyph: what is under the mouse is to be selected too.
        let is_after = self.keys == Keys::Emacs
            && self
                .selection
                .is_some_and(|selection| Position::new(row, col) >= selection.anchor);
        let glyph = self.document.row(row).and_then(|row| row.glyph(col));
        let col = match glyph {
            Some(glyph) if is_after => glyph.col + glyph.width,
            _ => col,
        };
        self.go(Position::new(row, col));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clicks_count_at_one_place_and_in_time() {
        let mut clicks = Clicks::default();
        let now = Instant::now();
        let soon = |n| now + AGAIN * n;
        assert_eq!(clicks.press(1, 1, now), 1);
        assert_eq!(clicks.press(1, 1, soon(1)), 2);
        assert_eq!(clicks.press(1, 1, soon(2)), 3);
        assert_eq!(clicks.press(1, 1, soon(3)), 1);
        assert_eq!(clicks.press(1, 2, soon(3)), 1);
        assert_eq!(clicks.press(1, 2, soon(5)), 1);
    }
}
