//! What lies on top: the help, and questions.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Paragraph};

use super::{layout, text};
use crate::app::{Model, Overlay, Question};
use crate::keymap::{BINDINGS, Context};
use crate::theme::{Role, Theme};

pub(super) fn draw(model: &Model, main: Rect, frame: &mut Frame<'_>) {
    let theme = &model.setup.theme;
    match &model.overlay {
        None => {}
        Some(Overlay::Help) => boxed(
            " keys ",
            &help(theme),
            Role::BorderFocused,
            model,
            main,
            frame,
        ),
        Some(Overlay::Confirm(question)) => {
            let lines = [
                Line::styled(asked(model, question), theme.style(Role::Text)),
                Line::default(),
                answers(theme),
            ];
            boxed(" sure? ", &lines, Role::Dialog, model, main, frame);
        }
    }
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
        Question::Paste { lines, .. } => {
            let place = model
                .pane
                .as_ref()
                .map(|pane| pane.label.as_str())
                .unwrap_or_default();
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

fn help(theme: &Theme) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    for (context, title) in [
        (Context::List, "in the list"),
        (Context::Prefix, "in a session"),
    ] {
        if !lines.is_empty() {
            lines.push(Line::default());
        }
        lines.push(Line::styled(title, theme.style(Role::Heading)));
        for binding in BINDINGS
            .iter()
            .filter(|b| b.context == context && !b.keys.is_empty())
        {
            lines.push(Line::from(vec![
                Span::styled(text::left(binding.keys, 9), theme.style(Role::Key)),
                Span::styled(binding.help, theme.style(Role::Text)),
            ]));
        }
    }
    lines.push(Line::styled(
        "every other key goes to the program",
        theme.style(Role::Muted),
    ));
    lines
}

/// A box in the middle, as large as its lines and the screen allow.
fn boxed(
    title: &'static str,
    lines: &[Line<'_>],
    role: Role,
    model: &Model,
    main: Rect,
    frame: &mut Frame<'_>,
) {
    let theme = &model.setup.theme;
    let widest = lines.iter().map(Line::width).max().unwrap_or(0);
    let room = main.width.saturating_sub(4).max(1);
    // A long question takes more lines instead of losing its end.
    let broken: Vec<_> = lines.iter().flat_map(|line| fitted(line, room)).collect();
    let width = (widest.min(room.into()) as u16 + 4).min(main.width);
    let height = (broken.len() as u16 + 2).min(main.height);
    let area = Rect::new(
        main.x + (main.width - width) / 2,
        main.y + (main.height - height) / 2,
        width,
        height,
    );
    frame.render_widget(Clear, area);
    frame.buffer_mut().set_style(area, theme.style(Role::Text));
    let mut inside = area;
    if layout::has_frame(area) {
        let block = Block::bordered()
            .title(title)
            .border_style(theme.style(role));
        frame.render_widget(block, area);
        inside = layout::inner(area);
        inside.x += 1;
        inside.width -= 2;
    }
    // What is asked may lose its beginning, never the answers.
    let skipped = if model.context() == Context::Confirm {
        (broken.len() as u16).saturating_sub(inside.height)
    } else {
        0
    };
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
