//! The list of machines and, below each, its sessions.

use cmdop_proto::v1::SessionStatus;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::layout::{self, Columns};
use super::{lines, text};
use crate::app::{Feed, Machine, Model, Presence, Row, Session};
use crate::theme::Role;

/// From this share on a reading is worth a look, and from the other it needs somebody.
const WARN: f32 = 80.0;
const CRITICAL: f32 = 95.0;

/// The part of a session's row that its status takes.
const STATUS: u16 = 11;

pub(super) fn draw(model: &Model, area: Rect, frame: &mut Frame<'_>) {
    let theme = &model.setup.theme;
    let count = model.machines.iter().count();
    let title = format!(" machines · {count} ");
    lines::framed(model, area, &title, Role::BorderFocused, frame);
    let mut area = layout::inner(area);
    let rows = model.rows();
    if rows.is_empty() {
        frame.render_widget(nothing(model, area.width), area);
        return;
    }
    let columns = layout::columns(area.width);
    if area.height > 3 {
        let heading = Rect { height: 1, ..area };
        frame.render_widget(headings(columns, theme.style(Role::Heading)), heading);
        area = Rect {
            y: area.y + 1,
            height: area.height - 1,
            ..area
        };
    }
    let selected = rows
        .iter()
        .position(|row| Some(*row) == model.selection.row());
    let first = first_visible(selected.unwrap_or(0), rows.len(), area.height.into());
    let lines = rows.iter().skip(first).take(area.height.into()).map(|row| {
        let line = match row {
            Row::Machine(id) => model.machines.get(*id).map(|m| machine(model, m, columns)),
            Row::Session(id) => model
                .sessions
                .get(*id)
                .map(|s| session(model, s, area.width)),
        };
        let line = line.unwrap_or_default();
        if Some(*row) == model.selection.row() {
            selected_line(&line, theme.style(Role::Selected))
        } else {
            line
        }
    });
    let lines: Vec<_> = lines.collect();
    frame.render_widget(Paragraph::new(lines), area);
}

/// Keeps the selected row in the middle, as far as there are rows on both sides.
fn first_visible(selected: usize, rows: usize, room: usize) -> usize {
    selected
        .saturating_sub(room / 2)
        .min(rows.saturating_sub(room))
}

/// One style for the whole line: colours of its parts would be hard to read on it.
fn selected_line(line: &Line<'_>, style: Style) -> Line<'static> {
    let text: String = line
        .spans
        .iter()
        .map(|span| span.content.as_ref())
        .collect();
    Line::styled(text, style)
}

fn headings(columns: Columns, style: Style) -> Line<'static> {
    let mut heading = text::left("", layout::GLYPH.min(columns.state));
    heading += &text::left("state", columns.state.saturating_sub(layout::GLYPH));
    heading += &text::left("machine", columns.name);
    heading += &text::right("CPU", columns.cpu);
    heading += &text::right("MEM", columns.memory);
    heading += &text::right("#", columns.sessions);
    heading += &text::right("seen", columns.age);
    Line::styled(heading, style)
}

fn machine<'a>(model: &Model, machine: &Machine, columns: Columns) -> Line<'a> {
    let theme = &model.setup.theme;
    let presence = machine.presence(model.now);
    let (state, role) = match presence {
        Presence::Online => ("● online", Role::Online),
        Presence::Stale => ("◐ stale", Role::Stale),
        Presence::Offline => ("○ offline", Role::Offline),
    };
    // Old readings are kept, and marked as old, rather than shown as nothing.
    let old = presence != Presence::Online;
    let share = |percent: Option<f32>, width| {
        let role = match percent {
            Some(CRITICAL..) if !old => Role::Critical,
            Some(WARN..) if !old => Role::Warn,
            _ if old => Role::Muted,
            _ => Role::Text,
        };
        let shown = percent.map_or_else(|| "–".to_owned(), |percent| format!("{percent:.0}%"));
        Span::styled(text::right(&shown, width), theme.style(role))
    };
    let cpu = machine.metrics.as_ref().map(|metrics| metrics.cpu_percent);
    let age = machine
        .age(model.now)
        .map_or_else(|| "–".to_owned(), text::age);
    let name = if old { Role::Muted } else { Role::Text };
    // A glyph alone where the word has no room.
    let state: String = match columns.state {
        layout::STATE.. => text::left(state, columns.state),
        width => text::left(&state.chars().take(1).collect::<String>(), width),
    };
    Line::from(vec![
        Span::styled(state, theme.style(role)),
        Span::styled(text::left(&machine.name, columns.name), theme.style(name)),
        share(cpu, columns.cpu),
        share(machine.memory_percent(), columns.memory),
        Span::styled(
            text::right(&machine.sessions.to_string(), columns.sessions),
            theme.style(name),
        ),
        Span::styled(text::right(&age, columns.age), theme.style(Role::Muted)),
    ])
}

fn session<'a>(model: &Model, session: &Session, width: u16) -> Line<'a> {
    let theme = &model.setup.theme;
    let is_shown = model
        .panes
        .values()
        .any(|pane| pane.session == Some(session.id));
    let mark = if is_shown { "  ▸ " } else { "  · " };
    let mark = text::left(mark, 4.min(width));
    let left = width - 4.min(width);
    let status_width = if left >= STATUS + 14 { STATUS } else { 0 };
    let label = session.label();
    let name_width = (left - status_width).min(text::width(&text::cut(&label, left)) + 1);
    let command_width = left - status_width - name_width;
    let (status, role) = status(model, session);
    Line::from(vec![
        Span::styled(mark, theme.style(Role::Key)),
        Span::styled(text::left(&label, name_width), theme.style(Role::Text)),
        Span::styled(
            text::left(&session.command, command_width),
            theme.style(Role::Muted),
        ),
        Span::styled(text::right(&status, status_width), theme.style(role)),
    ])
}

/// The status in a word.
fn status(model: &Model, session: &Session) -> (String, Role) {
    match session.status {
        SessionStatus::Connected => ("connected".into(), Role::Online),
        SessionStatus::Background => ("background".into(), Role::Online),
        SessionStatus::Pending => ("pending".into(), Role::Stale),
        SessionStatus::GracePeriod => match session.grace_until {
            Some(until) => {
                let left = until.saturating_duration_since(model.now);
                (format!("grace {}", text::age(left)), Role::Stale)
            }
            None => ("grace".into(), Role::Stale),
        },
        SessionStatus::Disconnected => ("ended".into(), Role::Offline),
        SessionStatus::Unspecified => ("unknown".into(), Role::Offline),
    }
}

/// What to say when there is no row.
fn nothing<'a>(model: &Model, width: u16) -> Paragraph<'a> {
    let theme = &model.setup.theme;
    let lines: &[&str] = match model.machines.feed() {
        Feed::Loading => &["loading…"],
        Feed::Failed(_) => &["not connected"],
        Feed::Current | Feed::Lost { .. } => &[
            "no machine is enrolled yet",
            "",
            "cmdop machines enroll-token",
            "makes the token that one needs",
        ],
    };
    let line = |line: &&str| Line::styled(text::cut(line, width), theme.style(Role::Muted));
    Paragraph::new(lines.iter().map(line).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_selected_row_is_always_visible() {
        for rows in 1..50 {
            for room in 1..20 {
                for selected in 0..rows {
                    let first = first_visible(selected, rows, room);
                    assert!(
                        (first..first + room).contains(&selected),
                        "{selected} {rows} {room}"
                    );
                    assert!(
                        first + room <= rows.max(room),
                        "no room is wasted at the end"
                    );
                }
            }
        }
    }
}
