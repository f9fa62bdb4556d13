//! The last row while something is asked: a line that is typed, or a question.

use ratatui::layout::{Position, Rect};

use super::super::{Dashboard, Prompt};
use super::cells::{Canvas, columns};
use crate::line::Line;
use crate::theme::Role;

/// Columns that are left for what is typed, whatever stands before it.
const LINE_MIN: u16 = 10;

pub(super) fn draw(dashboard: &Dashboard, area: Rect, canvas: &mut Canvas<'_>) -> Option<Position> {
    if area.is_empty() {
        return None;
    }
    match dashboard.prompt()? {
        Prompt::Filter { line, error, .. } => {
            let wrong = error.as_ref().map(ToString::to_string);
            Some(typed("/", line, wrong.as_deref(), area, canvas))
        }
        Prompt::Command { line, wanted } => {
            let label = format!(
                "run on {}: ",
                machines(wanted.machines.len(), wanted.hidden)
            );
            Some(typed(&label, line, None, area, canvas))
        }
        Prompt::Confirm(question) => {
            let where_to = machines(question.request.machines.len(), question.hidden);
            let (dialog, text) = (canvas.style(Role::Dialog), canvas.style(Role::Text));
            let mut pen = canvas.row(area, 0);
            pen.put(&format!("y/n: run on {where_to}? "), dialog);
            let room = pen.room();
            pen.left(&format!("$ {}", question.request.command), room, text);
            None
        }
    }
}

fn machines(count: usize, hidden: usize) -> String {
    let plural = if count == 1 { "" } else { "s" };
    match hidden {
        0 => format!("{count} machine{plural}"),
        _ => format!("{count} machine{plural} ({hidden} not shown)"),
    }
}

/// What is typed behind its label, and behind it what is wrong with it. Returns where the cursor stands.
pub(crate) fn typed(
    label: &str,
    line: &Line,
    wrong: Option<&str>,
    area: Rect,
    canvas: &mut Canvas<'_>,
) -> Position {
    let (key, text, bad) = (
        canvas.style(Role::Key),
        canvas.style(Role::Text),
        canvas.style(Role::ToastError),
    );
    let mut pen = canvas.row(area, 0);
    let label_room = pen.room().saturating_sub(LINE_MIN).max(1);
    pen.left(label, columns(label).min(label_room), key);
    let start = pen.column();
    // The cursor stays in sight: what is before it moves out at the left.
    let room = usize::from(pen.room().saturating_sub(1));
    let hidden = line.column().saturating_sub(room);
    let shown = skip(line.text(), hidden);
    let width = columns(shown);
    pen.left(shown, width, text);
    if let Some(wrong) = wrong {
        pen.skip(2);
        let room = pen.room();
        pen.left(wrong, room, bad);
    }
    let column = start.saturating_add(line.column().saturating_sub(hidden) as u16);
    Position::new(column.min(area.right() - 1), area.y)
}

/// The text without at least its first `hidden` columns.
fn skip(text: &str, hidden: usize) -> &str {
    let mut passed = 0;
    for (at, c) in text.char_indices() {
        if passed >= hidden {
            return &text[at..];
        }
        passed += usize::from(columns(c.encode_utf8(&mut [0; 4])));
    }
    if hidden == 0 { text } else { "" }
}
