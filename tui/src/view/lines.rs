//! Frames and the lines between panes, in the characters that the user's terminal has.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::symbols::border;
use ratatui::text::Span;
use ratatui::widgets::{Block, Clear};

use super::{layout, text};
use crate::app::Model;
use crate::config::Borders;
use crate::theme::Role;

/// What a terminal without line drawing has.
const ASCII: border::Set<'static> = border::Set {
    top_left: "+",
    top_right: "+",
    bottom_left: "+",
    bottom_right: "+",
    vertical_left: "|",
    vertical_right: "|",
    horizontal_top: "-",
    horizontal_bottom: "-",
};

/// The characters of frames.
pub(super) fn set(model: &Model) -> border::Set<'static> {
    match model.setup.config.borders {
        Borders::Lines => border::PLAIN,
        Borders::Ascii => ASCII,
    }
}

/// A frame with a title, where there is room for it.
pub(super) fn framed(model: &Model, area: Rect, title: &str, role: Role, frame: &mut Frame<'_>) {
    if !layout::has_frame(area) {
        return;
    }
    let theme = &model.setup.theme;
    let title = text::cut(title, area.width - 2);
    let block = Block::bordered()
        .border_set(set(model))
        .border_style(theme.style(role))
        .title(Span::styled(title, theme.style(Role::Title)));
    frame.render_widget(block, area);
}

/// An empty box on top of everything, framed where there is room; its inside.
pub(super) fn boxed(
    model: &Model,
    area: Rect,
    title: &str,
    (border, text): (Role, Role),
    frame: &mut Frame<'_>,
) -> Rect {
    frame.render_widget(Clear, area);
    frame
        .buffer_mut()
        .set_style(area, model.setup.theme.style(text));
    framed(model, area, title, border, frame);
    layout::inner(area)
}
