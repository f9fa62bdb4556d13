//! The tour's box in the upper right corner.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::Paragraph;

use super::{lines, notices, text};
use crate::app::{Model, Page};
use crate::theme::Role;

/// Its width, where there is room.
const WIDTH: u16 = 44;

pub(super) fn draw(model: &Model, main: Rect, frame: &mut Frame<'_>) {
    let Some(tour) = model
        .tour
        .filter(|_| model.overlay.is_none() && matches!(model.page, Page::Fleet | Page::Tabs))
    else {
        return;
    };
    let (said, place) = tour.said(model);
    let width = WIDTH.min(main.width);
    let mut rows = notices::wrapped(&said, width.saturating_sub(4));
    rows.push(format!(
        "{} Esc ends the tour",
        model.setup.config.keymap.prefix()
    ));
    let height = rows.len() as u16 + 2;
    // On a small screen it would be in the way.
    if main.width < WIDTH + 20 || main.height < height + 6 {
        return;
    }
    let area = Rect::new(main.right() - width, main.y, width, height);
    let title = format!(" tour · {place} ");
    let roles = (Role::BorderFocused, Role::Toast);
    let inside = lines::boxed(model, area, &title, roles, frame);
    let shown = rows
        .iter()
        .map(|row| Line::raw(text::cut(&format!(" {row}"), inside.width)));
    let shown = Paragraph::new(shown.collect::<Vec<_>>());
    frame.render_widget(shown.style(model.setup.theme.style(Role::Toast)), inside);
}
