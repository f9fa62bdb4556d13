//! The dashboard as cells: only what is visible is looked at, whatever the size of the fleet.
//!
//! It decides nothing and changes nothing; every text of a machine was stripped when it came in.

pub(crate) mod cells;
mod chart;
mod columns;
mod detail;
mod figures;
pub(crate) mod footer;
mod header;
mod outcome;
mod signs;
mod table;

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect, Size};

use super::{Dashboard, View};
use crate::theme::{Role, Theme};

pub use signs::Charset;

pub(super) use detail::{charts_height, room as detail_room};

/// From this height on the columns have headings: below it a machine more is worth more.
const HEADINGS_FROM: u16 = 7;

/// Where things are, from top to bottom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Parts {
    header: Rect,
    headings: Rect,
    body: Rect,
    footer: Rect,
}

fn parts(area: Rect, has_prompt: bool) -> Parts {
    let header = u16::from(area.height > 2);
    let footer = u16::from(has_prompt && area.height > 0);
    let headings = u16::from(area.height >= HEADINGS_FROM);
    let body = area.height - header - headings - footer;
    let part = |y, height| Rect { y, height, ..area };
    Parts {
        header: part(area.y, header),
        headings: part(area.y + header, headings),
        body: part(area.y + header + headings, body),
        footer: part(area.y + header + headings + body, footer),
    }
}

/// How many rows of the table are visible on a screen of this size.
pub(super) fn body_height(room: Size, has_prompt: bool) -> usize {
    parts(Rect::from((Position::ORIGIN, room)), has_prompt)
        .body
        .height
        .into()
}

/// Paints the dashboard as it was prepared for this area; the buffer is blank there. Returns where the
/// cursor stands while a line is typed.
pub fn draw(
    dashboard: &Dashboard,
    theme: &Theme,
    area: Rect,
    buffer: &mut Buffer,
) -> Option<Position> {
    let area = area.intersection(buffer.area);
    if area.is_empty() {
        return None;
    }
    buffer.set_style(area, theme.style(Role::Text));
    let parts = parts(area, dashboard.prompt.is_some());
    let mut canvas = cells::Canvas {
        buffer,
        theme,
        charset: dashboard.settings.charset,
    };
    header::draw(dashboard, parts.header, &mut canvas);
    match dashboard.view() {
        View::Table => {
            table::headings(dashboard, parts.headings, &mut canvas);
            table::draw(dashboard, parts.body, &mut canvas);
        }
        View::Detail(id) => {
            let area = Rect {
                y: parts.headings.y,
                height: parts.headings.height + parts.body.height,
                ..area
            };
            detail::draw(dashboard, *id, area, &mut canvas);
        }
        View::Results => outcome::draw(dashboard, parts.body, &mut canvas),
    }
    footer::draw(dashboard, parts.footer, &mut canvas)
}
