//! One of many, chosen by typing; and a line that is typed for something.

use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::{lines, text};
use crate::app::Model;
use crate::app::overlay::{Prompt, Purpose};
use crate::app::picker::{Item, Picker};
use crate::line;
use crate::theme::Role;

/// Wider ones are hard to read at a glance.
const MAX_WIDTH: u16 = 90;
/// Higher ones hide what one came from.
const MAX_HEIGHT: u16 = 22;

pub(super) fn picker(model: &Model, picker: &Picker, main: Rect, frame: &mut Frame<'_>) {
    let items = picker.items(model);
    let width = main.width.min(MAX_WIDTH);
    let height = main.height.min(MAX_HEIGHT);
    let area = Rect {
        x: main.x + (main.width - width) / 2,
        y: main.y + (main.height - height) / 4,
        width,
        height,
    };
    let inside = opened(model, area, picker.title(), frame);
    let [input, list] = split(inside);
    input_line(model, &picker.line, input, frame);
    let room = usize::from(list.height);
    let selected = picker.selected.min(items.len().saturating_sub(1));
    let first = selected.saturating_sub(room.saturating_sub(1));
    let rows = items.iter().enumerate().skip(first).take(room);
    let rows: Vec<_> = rows
        .map(|(at, item)| row(model, item, at == selected, list.width))
        .collect();
    if rows.is_empty() {
        let style = model.setup.theme.style(Role::Muted);
        frame.render_widget(
            Line::styled(text::cut("nothing matches", list.width), style),
            list,
        );
    }
    frame.render_widget(Paragraph::new(rows), list);
}

pub(super) fn prompt(model: &Model, prompt: &Prompt, main: Rect, frame: &mut Frame<'_>) {
    let title = match prompt.purpose {
        Purpose::RenameTab(_) => "name of the tab",
        Purpose::RenameSession(_) => "name of the session",
    };
    let width = main.width.min(MAX_WIDTH);
    let height = main.height.min(4);
    let area = Rect {
        x: main.x + (main.width - width) / 2,
        y: main.y + (main.height - height) / 3,
        width,
        height,
    };
    let inside = opened(model, area, title, frame);
    let [input, hint] = split(inside);
    input_line(model, &prompt.line, input, frame);
    let keys = text::cut("Enter: done · Esc: leave it as it is", hint.width);
    frame.render_widget(
        Line::styled(keys, model.setup.theme.style(Role::Muted)),
        hint,
    );
}

/// An empty box with a title; its inside.
fn opened(model: &Model, area: Rect, title: &str, frame: &mut Frame<'_>) -> Rect {
    let roles = (Role::BorderFocused, Role::Text);
    lines::boxed(model, area, &format!(" {title} "), roles, frame)
}

fn split(inside: Rect) -> [Rect; 2] {
    let input = Rect {
        height: inside.height.min(1),
        ..inside
    };
    let list = Rect {
        y: inside.y + input.height,
        height: inside.height - input.height,
        ..inside
    };
    [input, list]
}

/// What was typed, with the cursor in it.
fn input_line(model: &Model, typed: &line::Line, area: Rect, frame: &mut Frame<'_>) {
    let theme = &model.setup.theme;
    let area = Rect {
        height: area.height.min(1),
        ..area
    };
    let room = area.width.saturating_sub(3);
    // The part around the cursor, where it is longer than its room.
    let column = typed.column().min(usize::from(u16::MAX)) as u16;
    let skipped = column.saturating_sub(room);
    let shown: String = skip_columns(typed.text(), skipped);
    let spans = vec![
        Span::styled("> ", theme.style(Role::Key)),
        Span::styled(
            text::left(&shown, area.width.saturating_sub(2)),
            theme.style(Role::Text),
        ),
    ];
    frame.render_widget(Line::from(spans), area);
    let x = (area.x + 2 + column - skipped).min(area.right().saturating_sub(1));
    frame.set_cursor_position(Position::new(x, area.y));
}

fn skip_columns(shown: &str, columns: u16) -> String {
    let mut left = columns;
    shown
        .chars()
        .skip_while(|c| {
            let skip = left > 0;
            left = left.saturating_sub(text::width(c.encode_utf8(&mut [0; 4])).max(1));
            skip
        })
        .collect()
}

fn row<'a>(model: &Model, item: &Item, selected: bool, width: u16) -> Line<'a> {
    let theme = &model.setup.theme;
    let keys = text::width(&item.keys).min(width / 3);
    let left = width.saturating_sub(keys + 1);
    let label = text::width(&item.label).min(left).max(26.min(left / 2));
    let label_text = text::left(&item.label, label);
    let detail = text::left(&format!(" {}", item.detail), left - label);
    let keys = text::right(&item.keys, width - left);
    if selected {
        return Line::styled(
            format!("{label_text}{detail}{keys}"),
            theme.style(Role::Selected),
        );
    }
    Line::from(vec![
        Span::styled(label_text, theme.style(Role::Text)),
        Span::styled(detail, theme.style(Role::Muted)),
        Span::styled(keys, theme.style(Role::Key)),
    ])
}
