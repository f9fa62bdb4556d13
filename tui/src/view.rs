//! The screen as a function of the model: pure, and without effect on it.
//!
//! Every remote string is stripped once more here (`text`); a remote screen is drawn by
//! [`crate::pane::Screen`] alone.

pub mod layout;
mod list;
mod notices;
mod overlay;
mod session;
mod status;
mod text;

use ratatui::Frame;

use crate::app::Model;
use crate::theme::Role;

/// Draws everything.
pub fn view(model: &Model, frame: &mut Frame<'_>) {
    let shown = layout::areas(model.setup.screen, model.focus, model.pane.is_some());
    let base = model.setup.theme.style(Role::Text);
    let whole = frame.area();
    frame.buffer_mut().set_style(whole, base);
    if let Some(area) = shown.list {
        list::draw(model, area, frame);
    }
    if let Some(area) = shown.session {
        session::draw(model, area, shown.framed, frame);
    }
    if let Some(area) = shown.status {
        status::draw(model, area, frame);
    }
    notices::draw(model, shown.main, frame);
    overlay::draw(model, shown.main, frame);
}

#[cfg(test)]
mod tests;
