//! The screen as a function of the model: pure, and without effect on it.
//!
//! Every remote string is stripped once more here (`text`); a remote screen is drawn by
//! [`crate::pane::Screen`] alone.

mod about;
pub mod layout;
mod lines;
mod list;
mod notices;
mod overlay;
mod panes;
mod picker;
mod status;
pub(crate) mod text;
mod tour;
mod whichkey;

pub(crate) use notices::wrapped;
use ratatui::Frame;

use crate::app::{Model, Page};
use crate::browser;
use crate::dashboard;
use crate::theme::Role;

/// Draws everything.
pub fn view(model: &Model, frame: &mut Frame<'_>) {
    let shown = layout::areas(model.setup.screen);
    let base = model.setup.theme.style(Role::Text);
    let whole = frame.area();
    frame.buffer_mut().set_style(whole, base);
    match model.page {
        Page::Fleet => {
            let parts = layout::fleet(shown.main);
            list::draw(model, parts.list, frame);
            if let Some(area) = parts.about {
                about::draw(model, area, frame);
            }
        }
        Page::Dashboard => {
            let theme = &model.setup.theme;
            let cursor =
                dashboard::draw::draw(&model.dashboard, theme, shown.main, frame.buffer_mut());
            if let Some(cursor) = cursor.filter(|_| model.overlay.is_none()) {
                frame.set_cursor_position(cursor);
            }
        }
        Page::Files => {
            let theme = &model.setup.theme;
            let cursor = browser::draw::draw(&model.browser, theme, shown.main, frame.buffer_mut());
            if let Some(cursor) = cursor.filter(|_| model.overlay.is_none()) {
                frame.set_cursor_position(cursor);
            }
        }
        Page::Tabs => panes::draw(model, shown.main, frame),
    }
    if let Some(area) = shown.status {
        status::draw(model, area, frame);
    }
    notices::draw(model, shown.main, frame);
    tour::draw(model, shown.main, frame);
    whichkey::draw(model, shown.main, frame);
    overlay::draw(model, shown.main, frame);
}

#[cfg(test)]
mod tests;
