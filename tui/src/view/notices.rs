//! Messages in the lower right corner, the newest at the bottom.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, Paragraph};

use super::text;
use crate::app::{Level, Model};
use crate::theme::Role;

/// Wider ones are hard to read at a glance.
const MAX_WIDTH: u16 = 72;

pub(super) fn draw(model: &Model, main: Rect, frame: &mut Frame<'_>) {
    let width = main.width.min(MAX_WIDTH);
    let mut bottom = main.bottom();
    for toast in model.toasts.iter().rev() {
        let theme = &model.setup.theme;
        let (icon, role) = match toast.level {
            Level::Info => ("i ", Role::Toast),
            Level::Error => ("✗ ", Role::ToastError),
        };
        let mut lines = wrapped(&toast.text, width.saturating_sub(4));
        lines.extend(wrapped(&toast.hint, width.saturating_sub(4)));
        let height = lines.len() as u16;
        if height == 0 || height > bottom - main.y || width < 6 {
            return;
        }
        let widest = lines
            .iter()
            .map(|line| text::width(line))
            .max()
            .unwrap_or(0)
            + 4;
        bottom -= height;
        let area = Rect::new(main.right() - widest, bottom, widest, height);
        frame.render_widget(Clear, area);
        let lines = lines.into_iter().enumerate().map(|(at, line)| {
            let start = if at == 0 { icon } else { "  " };
            Line::from(vec![
                Span::raw(" "),
                Span::raw(start),
                Span::raw(line),
                Span::raw(" "),
            ])
        });
        let paragraph = Paragraph::new(lines.collect::<Vec<_>>());
        frame.render_widget(paragraph.style(theme.style(role)), area);
    }
}

/// Breaks at spaces; a word that is too long is cut.
pub(crate) fn wrapped(message: &str, width: u16) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in cmdop_proto::text::shown(message, 1024).split_whitespace() {
        let word = text::cut(word, width);
        match lines.last_mut() {
            Some(line) if text::width(line) + 1 + text::width(&word) <= width => {
                line.push(' ');
                line.push_str(&word);
            }
            _ => lines.push(word),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_broken_at_spaces() {
        assert_eq!(
            wrapped("web-1 is offline now", 9),
            ["web-1 is", "offline", "now"]
        );
        assert_eq!(wrapped("abcdefghij", 5), ["abcd…"]);
        assert!(wrapped("", 5).is_empty());
    }
}
