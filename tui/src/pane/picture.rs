//! A pane as it was drawn last: of many panes, a key changes one, and to draw all the others from their
//! emulators again takes longer than everything else that a frame needs.
//!
//! It holds what the emulator shows and nothing that lies over it: guesses, marks and the cursor are drawn
//! each time. Whoever feeds the emulator forgets it.

use std::cell::RefCell;

use ratatui::buffer::{Buffer, Cell};
use ratatui::layout::{Rect, Size};
use ratatui::style::Style;

use super::decoration::Decoration;
use crate::theme::Depth;

/// What a picture depends on besides the emulator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Terms {
    pub(super) room: Size,
    pub(super) depth: Depth,
    pub(super) decoration: Decoration,
    pub(super) stale: bool,
    pub(super) around: Style,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Picture(RefCell<Option<(Terms, Vec<Cell>)>>);

impl Picture {
    /// The emulator changed.
    pub(super) fn forget(&mut self) {
        *self.0.get_mut() = None;
    }

    /// Puts it into `area`, if it is there and was drawn on these terms.
    pub(super) fn put(&self, terms: Terms, area: Rect, buffer: &mut Buffer) -> bool {
        let picture = self.0.borrow();
        let Some((_, cells)) = picture.as_ref().filter(|(drawn, _)| *drawn == terms) else {
            return false;
        };
        let rows = cells.chunks(usize::from(area.width).max(1));
        for (y, row) in (area.top()..area.bottom()).zip(rows) {
            let start = buffer.index_of(area.x, y);
            buffer.content[start..start + row.len()].clone_from_slice(row);
        }
        true
    }

    /// Keeps what was drawn into `area`, which lies in the buffer.
    pub(super) fn keep(&self, terms: Terms, area: Rect, buffer: &Buffer) {
        let row = |y| {
            let start = buffer.index_of(area.x, y);
            &buffer.content[start..start + usize::from(area.width)]
        };
        let rows = (area.top()..area.bottom()).flat_map(row);
        *self.0.borrow_mut() = Some((terms, rows.cloned().collect()));
    }
}

#[cfg(test)]
mod tests {
    use cmdop_emulator::{Emulator, Options};

    use super::*;
    use crate::pane::widget::Screen;

    fn drawn(screen: Screen<'_>, x: u16) -> Buffer {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 12, 4));
        screen.render(Rect::new(x, 1, 6, 2), &mut buffer);
        buffer
    }

    #[test]
    fn what_did_not_change_is_drawn_as_it_was_and_what_did_is_not() {
        let mut emulator = Emulator::new(3, 8, Options::default());
        emulator.feed("\x1b[31mab漢\r\ncd".as_bytes());
        let mut picture = Picture::default();
        let fresh = drawn(Screen::new(&emulator), 2);
        for _ in 0..2 {
            let kept = drawn(Screen::new(&emulator).picture(&picture), 2);
            assert_eq!(kept, fresh);
        }
        // Elsewhere on the screen, and on other terms.
        let moved = drawn(Screen::new(&emulator).picture(&picture), 5);
        assert_eq!(moved, drawn(Screen::new(&emulator), 5));
        let stale = Screen::new(&emulator).picture(&picture).stale(true);
        assert_eq!(
            drawn(stale, 2),
            drawn(Screen::new(&emulator).stale(true), 2)
        );
        emulator.feed(b"more");
        picture.forget();
        let after = drawn(Screen::new(&emulator).picture(&picture), 2);
        assert_eq!(after, drawn(Screen::new(&emulator), 2));
        assert_ne!(after, fresh);
    }
}
