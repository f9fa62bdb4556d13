//! The panes of the tab that is shown: their screens, what they are called, and how they stand.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::Clear;

use super::{lines, text};
use crate::app::Model;
use crate::app::tabs::Arrangement;
use crate::pane::{Link, Pane};
use crate::theme::Role;
use crate::tiles::{Axis, PaneId, Tile};

pub(super) fn draw(model: &Model, area: Rect, frame: &mut Frame<'_>) {
    let Some(shown) = model.tabs.current().map(|tab| tab.arrange(area)) else {
        return;
    };
    for tile in &shown.tiled.tiles {
        if let Some(title) = tile.title {
            self::title(model, tile, title, frame);
        }
        screen(model, tile, frame);
    }
    between(model, &shown, frame);
    for tile in &shown.floats {
        frame.render_widget(Clear, tile.area);
        frame
            .buffer_mut()
            .set_style(tile.area, model.setup.theme.style(Role::Text));
        let role = border(model, tile.pane);
        let title = words(model, tile.pane);
        lines::framed(model, tile.area, &title, role, frame);
        screen(model, tile, frame);
    }
    numbers(model, &shown, frame);
}

fn border(model: &Model, pane: PaneId) -> Role {
    if model.focused() == Some(pane) {
        Role::BorderFocused
    } else {
        Role::Border
    }
}

/// What a pane is called, and what its program calls it.
fn words(model: &Model, id: PaneId) -> String {
    let Some(pane) = model.panes.get(&id) else {
        return String::new();
    };
    let mut words = format!(" {} ", pane.label);
    if pane.is_observer() {
        words.push_str("[watched] ");
    }
    if !pane.title().is_empty() {
        words.push_str("· ");
        words.push_str(pane.title());
        words.push(' ');
    }
    words
}

/// A line with the pane's name in it.
fn title(model: &Model, tile: &Tile, area: Rect, frame: &mut Frame<'_>) {
    let theme = &model.setup.theme;
    let role = border(model, tile.pane);
    let line = lines::set(model).horizontal_top;
    let words = text::cut(&words(model, tile.pane), area.width.saturating_sub(2));
    let before = line.repeat(usize::from(area.width.min(1)));
    let after = area.width.saturating_sub(1 + text::width(&words));
    let style = theme.style(role);
    let name = if role == Role::BorderFocused {
        theme.style(Role::Title)
    } else {
        style
    };
    frame.buffer_mut().set_string(area.x, area.y, before, style);
    frame
        .buffer_mut()
        .set_string(area.x + 1, area.y, &words, name);
    let start = area.x + 1 + text::width(&words);
    frame
        .buffer_mut()
        .set_string(start, area.y, line.repeat(after.into()), style);
}

/// The lines between panes that stand side by side; those of the focused one stand out.
fn between(model: &Model, shown: &Arrangement, frame: &mut Frame<'_>) {
    let theme = &model.setup.theme;
    let line = lines::set(model).vertical_left;
    let focused = shown
        .tiled
        .tiles
        .iter()
        .find(|tile| Some(tile.pane) == model.focused());
    for border in shown
        .tiled
        .borders
        .iter()
        .filter(|border| border.axis == Axis::Columns)
    {
        for y in border.area.top()..border.area.bottom() {
            let beside = focused.is_some_and(|tile| {
                let rows = tile.area.top()..tile.area.bottom();
                let x = border.area.x;
                rows.contains(&y) && (tile.area.right() == x || tile.area.x == x + 1)
            });
            let role = if beside {
                Role::BorderFocused
            } else {
                Role::Border
            };
            frame
                .buffer_mut()
                .set_string(border.area.x, y, line, theme.style(role));
        }
    }
}

fn screen(model: &Model, tile: &Tile, frame: &mut Frame<'_>) {
    let room = tile.inside;
    let Some(pane) = model.panes.get(&tile.pane) else {
        return;
    };
    let theme = &model.setup.theme;
    if let Link::Opening | Link::Attaching = pane.link {
        let said = match pane.link {
            Link::Opening => format!("opening a shell on {}…", pane.label),
            _ => format!("attaching to {}…", pane.label),
        };
        let line = Line::styled(text::cut(&said, room.width), theme.style(Role::Muted));
        frame.render_widget(line, room);
        return;
    }
    if let Some(copy) = &pane.copy {
        let cursor = copy.draw(room, frame.buffer_mut(), theme, model.setup.depth);
        let has_keys = model.focused() == Some(tile.pane) && model.overlay.is_none();
        if let Some(cursor) = cursor.filter(|_| has_keys) {
            frame.set_cursor_position(cursor);
        }
        return;
    }
    let cursor = pane
        .screen()
        .depth(model.setup.depth)
        .decoration(model.setup.decoration)
        .stale(pane.link != Link::Live)
        .predicted(pane.predictor(), model.now)
        .around(theme.style(Role::Muted))
        .render(room, frame.buffer_mut());
    // The terminal's own cursor: for input methods, screen readers and magnifiers.
    let has_keys = model.focused() == Some(tile.pane) && model.overlay.is_none();
    if let Some(cursor) = cursor.filter(|_| has_keys && !pane.is_over()) {
        frame.set_cursor_position(cursor);
    }
    banner(model, pane, room, frame);
}

/// What is said over a screen that is not live.
fn banner(model: &Model, pane: &Pane, room: Rect, frame: &mut Frame<'_>) {
    let said = match &pane.link {
        Link::Opening | Link::Attaching | Link::Live => return,
        Link::Reconnecting { reason } => format!("reconnecting… {reason}"),
        Link::Ended(how) => format!("session ended: {how} · Enter closes the pane"),
        Link::Failed(why) => format!("{} · Enter closes the pane", why.message),
    };
    let banner = Rect {
        y: room.bottom().saturating_sub(1),
        height: room.height.min(1),
        ..room
    };
    frame.render_widget(Clear, banner);
    let said = text::left(&format!(" {said}"), banner.width);
    let style = model.setup.theme.style(Role::Badge);
    frame.render_widget(Line::styled(said, style), banner);
}

/// The number of each pane in its middle, for a moment.
fn numbers(model: &Model, shown: &Arrangement, frame: &mut Frame<'_>) {
    let Some(tab) = model
        .tabs
        .current()
        .filter(|_| model.numbers_until.is_some())
    else {
        return;
    };
    for (number, pane) in tab.panes().into_iter().enumerate().take(10) {
        let mut tiles = shown.tiled.tiles.iter().chain(&shown.floats);
        let Some(tile) = tiles.find(|tile| tile.pane == pane) else {
            continue;
        };
        let area = tile.inside;
        let middle = Rect {
            x: area.x + area.width.saturating_sub(3) / 2,
            y: area.y + area.height / 2,
            width: area.width.min(3),
            height: area.height.min(1),
        };
        let number = text::cut(&format!(" {number} "), middle.width);
        frame.render_widget(
            Line::styled(number, model.setup.theme.style(Role::Badge)),
            middle,
        );
    }
}
