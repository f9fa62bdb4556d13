//! The session that is shown: its screen, what it is called, and how it stands. Without one, what
//! there is to say about the selected row.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Paragraph};

use super::{layout, text};
use crate::app::{Focus, Machine, Model};
use crate::pane::{Link, Pane};
use crate::theme::Role;

pub(super) fn draw(model: &Model, area: Rect, framed: bool, frame: &mut Frame<'_>) {
    let theme = &model.setup.theme;
    let focused = model.focus == Focus::Pane;
    let mut room = area;
    if framed && layout::has_frame(area) {
        let border = if focused {
            Role::BorderFocused
        } else {
            Role::Border
        };
        let title = text::cut(&title(model), area.width - 2);
        let block = Block::bordered()
            .border_style(theme.style(border))
            .title(Span::styled(title, theme.style(Role::Title)));
        frame.render_widget(block, area);
        room = layout::inner(area);
    }
    match &model.pane {
        Some(pane) => screen(model, pane, room, focused, frame),
        None => frame.render_widget(about(model, room.width), room),
    }
}

fn title(model: &Model) -> String {
    match &model.pane {
        Some(pane) if pane.title().is_empty() => format!(" {} ", pane.label),
        Some(pane) => format!(" {} · {} ", pane.label, pane.title()),
        None => model
            .selected_machine()
            .map(|machine| format!(" {} ", machine.name))
            .unwrap_or_default(),
    }
}

fn screen(model: &Model, pane: &Pane, room: Rect, focused: bool, frame: &mut Frame<'_>) {
    let theme = &model.setup.theme;
    if pane.link == Link::Attaching {
        let line = Line::styled(
            text::cut("attaching…", room.width),
            theme.style(Role::Muted),
        );
        frame.render_widget(line, room);
        return;
    }
    let cursor = pane
        .screen()
        .depth(model.setup.depth)
        .stale(pane.link != Link::Live)
        .around(theme.style(Role::Muted))
        .render(room, frame.buffer_mut());
    // The terminal's own cursor: for input methods, screen readers and magnifiers.
    if let Some(cursor) = cursor
        && focused
        && model.overlay.is_none()
        && !pane.is_over()
    {
        frame.set_cursor_position(cursor);
    }
    if let Some(said) = verdict(&pane.link) {
        let banner = Rect {
            y: room.bottom().saturating_sub(1),
            height: room.height.min(1),
            ..room
        };
        frame.render_widget(Clear, banner);
        let said = text::left(&format!(" {said}"), banner.width);
        frame.render_widget(Line::styled(said, theme.style(Role::Badge)), banner);
    }
}

/// What is said over a screen that is not live.
fn verdict(link: &Link) -> Option<String> {
    match link {
        Link::Attaching | Link::Live => None,
        Link::Reconnecting { reason } => Some(format!("reconnecting… {reason}")),
        Link::Ended(how) => Some(format!("session ended: {how} · Enter: back to the list")),
        Link::Failed(why) => Some(format!(
            "not attached: {} · Enter: back to the list",
            why.message
        )),
    }
}

/// The selected machine, and what one can do.
fn about<'a>(model: &Model, width: u16) -> Paragraph<'a> {
    let theme = &model.setup.theme;
    let mut lines = Vec::new();
    if let Some(machine) = model.selected_machine() {
        for (name, value) in facts(machine) {
            let value = text::cut(&value, width.saturating_sub(10));
            lines.push(Line::from(vec![
                Span::styled(text::left(name, 10.min(width)), theme.style(Role::Muted)),
                Span::styled(value, theme.style(Role::Text)),
            ]));
        }
        lines.push(Line::default());
    }
    for (key, what) in [
        ("Enter", "attach to a session, or open a shell on a machine"),
        ("n", "new session"),
        ("o", "watch a session, read-only"),
        ("?", "all keys"),
        ("q", "quit; sessions live on"),
    ] {
        lines.push(Line::from(vec![
            Span::styled(text::left(key, 10.min(width)), theme.style(Role::Key)),
            Span::styled(
                text::cut(what, width.saturating_sub(10)),
                theme.style(Role::Muted),
            ),
        ]));
    }
    Paragraph::new(lines)
}

fn facts(machine: &Machine) -> Vec<(&'static str, String)> {
    let mut facts = vec![
        ("system", machine.system.clone()),
        ("agent", machine.agent_version.clone()),
    ];
    if let Some(metrics) = &machine.metrics {
        let of = |used, total| format!("{} of {}", text::bytes(used), text::bytes(total));
        let loads =
            [metrics.load_1, metrics.load_5, metrics.load_15].map(|load| format!("{load:.2}"));
        facts.push((
            "load",
            format!("{} on {} cores", loads.join(" "), metrics.cpu_cores),
        ));
        facts.push((
            "memory",
            of(metrics.memory_used_bytes, metrics.memory_total_bytes),
        ));
        facts.push((
            "disk",
            of(metrics.disk_used_bytes, metrics.disk_total_bytes),
        ));
        let up = std::time::Duration::from_millis(metrics.uptime_ms);
        facts.push((
            "up",
            format!("{} · {} processes", text::age(up), metrics.process_count),
        ));
        if let Some(battery) = &metrics.battery {
            let charging = if battery.charging { ", charging" } else { "" };
            facts.push(("battery", format!("{:.0}%{charging}", battery.percent)));
        }
    }
    if !machine.labels.is_empty() {
        facts.push(("labels", machine.labels.join(" ")));
    }
    facts.retain(|(_, value)| !value.is_empty());
    facts
}
