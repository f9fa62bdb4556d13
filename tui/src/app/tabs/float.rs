//! A pane that floats: its place in shares of the tab's area, so that it stays in it whatever its size.

use ratatui::layout::Rect;
use serde::{Deserialize, Serialize};

use crate::tiles::{PaneId, Tile};

/// A pane that floats above the others: where, in thousandths of the tab's area, so that it stays in
/// it whatever its size is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Float {
    /// Which.
    pub pane: PaneId,
    /// From the left.
    pub x: u16,
    /// From the top.
    pub y: u16,
    /// How wide.
    pub width: u16,
    /// How high.
    pub height: u16,
}

/// All of an area, in the units of [`Float`].
const WHOLE: u16 = 1000;

/// The smallest floating pane, with its frame.
const MIN_FLOAT: (u16, u16) = (12, 4);

impl Float {
    /// Where it is in `area`.
    pub(super) fn place(&self, area: Rect) -> Tile {
        let of = |share: u16, whole: u16| {
            (u32::from(share.min(WHOLE)) * u32::from(whole) / u32::from(WHOLE)) as u16
        };
        let width = of(self.width, area.width).max(MIN_FLOAT.0).min(area.width);
        let height = of(self.height, area.height)
            .max(MIN_FLOAT.1)
            .min(area.height);
        let x = of(self.x, area.width).min(area.width - width);
        let y = of(self.y, area.height).min(area.height - height);
        let area = Rect::new(area.x + x, area.y + y, width, height);
        Tile {
            pane: self.pane,
            area,
            title: Some(Rect {
                height: area.height.min(1),
                ..area
            }),
            inside: crate::view::layout::inner(area),
        }
    }

    /// So that it comes to stand with its corner at a place of the screen, as far as it stays in `area`.
    pub fn move_to(&mut self, column: u16, row: u16, area: Rect) {
        let share = |at: u16, start: u16, whole: u16| {
            (u32::from(at.saturating_sub(start)) * u32::from(WHOLE) / u32::from(whole.max(1)))
                as u16
        };
        self.x = share(column, area.x, area.width).min(WHOLE - self.width.min(WHOLE));
        self.y = share(row, area.y, area.height).min(WHOLE - self.height.min(WHOLE));
    }

    /// So that its lower right corner comes to stand at a place of the screen.
    pub fn stretch_to(&mut self, column: u16, row: u16, area: Rect) {
        let now = self.place(area).area;
        let columns = i32::from(column) + 1 - i32::from(now.right());
        let rows = i32::from(row) + 1 - i32::from(now.bottom());
        self.grow(columns, rows, area);
    }

    /// Makes it larger or smaller, in cells of `area`.
    pub fn grow(&mut self, columns: i32, rows: i32, area: Rect) {
        let grown = |share: u16, by: i32, whole: u16| {
            let by = by * i32::from(WHOLE) / i32::from(whole.max(1));
            (i32::from(share) + by).clamp(100, i32::from(WHOLE)) as u16
        };
        self.width = grown(self.width, columns, area.width);
        self.height = grown(self.height, rows, area.height);
        self.x = self.x.min(WHOLE - self.width);
        self.y = self.y.min(WHOLE - self.height);
    }
}
