//! What lies on top: texts that are only read, questions, and lines that are typed.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::{layout, lines, picker, text};
use crate::app::overlay::{Overlay, Question};
use crate::app::reading::{self, Row};
use crate::app::{Level, Model};
use crate::theme::{Role, Theme};

/// The keys of the help's lines.
const KEYS: u16 = 22;

pub(super) fn draw(model: &Model, main: Rect, frame: &mut Frame<'_>) {
    let theme = &model.setup.theme;
    match &model.overlay {
        None => {}
        Some(Overlay::Help { top }) => read(model, "keys", *top, main, frame),
        Some(Overlay::Messages { top }) => {
            read(model, "messages, the newest first", *top, main, frame);
        }
        Some(Overlay::Text { title, top, .. }) => read(model, title, *top, main, frame),
        Some(Overlay::Picker(shown)) => picker::picker(model, shown, main, frame),
        Some(Overlay::Prompt(shown)) => picker::prompt(model, shown, main, frame),
        Some(Overlay::Confirm(question)) => {
            let lines = [
                Line::styled(asked(model, question), theme.style(Role::Text)),
                Line::default(),
                answers(theme),
            ];
            sure(" sure? ", &lines, model, main, frame);
        }
    }
}

/// A text that is only read, as large as it has to be.
fn read(model: &Model, title: &str, top: usize, main: Rect, frame: &mut Frame<'_>) {
    let rows = reading::rows(model);
    let widest = rows
        .iter()
        .map(width)
        .max()
        .unwrap_or(0)
        .max(text::width(title) + 2);
    let area = middle(main, widest + 2, rows.len() as u16 + 2);
    let room = usize::from(layout::inner(area).height);
    let top = top.min(rows.len().saturating_sub(room));
    let more = if top + room < rows.len() {
        " · j, k scroll"
    } else {
        ""
    };
    let title = format!(" {title}{more} ");
    let roles = (Role::BorderFocused, Role::Text);
    let inside = lines::boxed(model, area, &title, roles, frame);
    let shown = rows.iter().skip(top).take(room);
    let shown: Vec<_> = shown
        .map(|row| line(&model.setup.theme, row, inside.width))
        .collect();
    frame.render_widget(Paragraph::new(shown), inside);
}

fn width(row: &Row) -> u16 {
    match row {
        Row::Heading(words) | Row::Text(words) => text::width(words),
        Row::Keys(keys, what) => text::width(keys).max(KEYS) + 1 + text::width(what),
        Row::Message(time, _, words) => text::width(time) + 3 + text::width(words),
    }
}

fn line<'a>(theme: &Theme, row: &Row, width: u16) -> Line<'a> {
    match row {
        Row::Heading(words) => Line::styled(text::cut(words, width), theme.style(Role::Heading)),
        Row::Text(words) => Line::styled(text::cut(words, width), theme.style(Role::Text)),
        Row::Keys(keys, what) => {
            let column = text::width(keys).max(KEYS.min(width / 2)).min(width);
            let left = width.saturating_sub(column + 1);
            Line::from(vec![
                Span::styled(text::left(keys, column), theme.style(Role::Key)),
                Span::styled(
                    format!(" {}", text::cut(what, left)),
                    theme.style(Role::Text),
                ),
            ])
        }
        Row::Message(time, level, words) => {
            let (sign, role) = match level {
                Level::Info => (" ", Role::Text),
                Level::Error => ("✗", Role::Critical),
            };
            let left = width.saturating_sub(text::width(time) + 3);
            Line::from(vec![
                Span::styled(format!("{time} "), theme.style(Role::Muted)),
                Span::styled(
                    format!("{sign} {}", text::cut(words, left)),
                    theme.style(role),
                ),
            ])
        }
    }
}

/// An area of this size in the middle, as far as there is room.
fn middle(main: Rect, width: u16, height: u16) -> Rect {
    let (width, height) = (width.min(main.width), height.min(main.height));
    Rect::new(
        main.x + (main.width - width) / 2,
        main.y + (main.height - height) / 2,
        width,
        height,
    )
}

fn asked(model: &Model, question: &Question) -> String {
    match question {
        Question::Close(id) => {
            let Some(session) = model.sessions.get(*id) else {
                return "This session is over already.".to_owned();
            };
            let others = match session.attached {
                (0, 0) => String::new(),
                (operators, observers) => format!(", {} attached", operators + observers),
            };
            format!(
                "End {} ({}{others})? Its processes are stopped.",
                session.place(),
                session.command
            )
        }
        Question::Leave => {
            let what = model.browser.unfinished().unwrap_or_default();
            format!("Leave? This would end with it: {what}.")
        }
        Question::Paste { text, .. } => {
            let lines = text.lines().count();
            let all = model.tabs.current().filter(|tab| tab.synchronised);
            let place = match (all, model.focused_pane()) {
                (Some(tab), _) => format!("all {} panes of the tab", tab.panes().len()),
                (None, pane) => pane.map(|pane| pane.label.clone()).unwrap_or_default(),
            };
            format!("Paste {lines} lines into {place}? The program may run each at once.")
        }
    }
}

fn answers(theme: &Theme) -> Line<'static> {
    Line::from(vec![
        Span::styled("y", theme.style(Role::Key)),
        Span::styled(" yes   ", theme.style(Role::Text)),
        Span::styled("n", theme.style(Role::Key)),
        Span::styled(" no", theme.style(Role::Text)),
    ])
}

/// A question in the middle, as large as its lines and the screen allow.
fn sure(title: &str, asked: &[Line<'_>], model: &Model, main: Rect, frame: &mut Frame<'_>) {
    let widest = asked.iter().map(Line::width).max().unwrap_or(0);
    let room = main.width.saturating_sub(4).max(1);
    // A long question takes more lines instead of losing its end.
    let broken: Vec<_> = asked.iter().flat_map(|line| fitted(line, room)).collect();
    let area = middle(
        main,
        widest.min(room.into()) as u16 + 4,
        broken.len() as u16 + 2,
    );
    let roles = (Role::Dialog, Role::Text);
    let mut inside = lines::boxed(model, area, title, roles, frame);
    if layout::has_frame(area) {
        inside.x += 1;
        inside.width -= 2;
    }
    // What is asked may lose its beginning, never the answers.
    let skipped = (broken.len() as u16).saturating_sub(inside.height);
    frame.render_widget(Paragraph::new(broken).scroll((skipped, 0)), inside);
}

/// A line of one style is broken at spaces; one of several is left to be cut.
fn fitted<'a>(line: &Line<'a>, room: u16) -> Vec<Line<'a>> {
    if line.width() <= room.into() || line.spans.len() != 1 {
        return vec![line.clone()];
    }
    let style = line.style.patch(line.spans[0].style);
    let lines = super::notices::wrapped(&line.spans[0].content, room);
    lines
        .into_iter()
        .map(|text| Line::styled(text, style))
        .collect()
}
