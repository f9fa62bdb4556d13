//! What there is to say about the selected machine, and what one can do with it.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::{layout, lines, text};
use crate::app::{Machine, Model};
use crate::keymap::Verb;
use crate::keymap::tables::FLEET;
use crate::theme::Role;

pub(super) fn draw(model: &Model, area: Rect, frame: &mut Frame<'_>) {
    let title = model
        .selected_machine()
        .map(|machine| format!(" {} ", machine.name))
        .unwrap_or_default();
    lines::framed(model, area, &title, Role::Border, frame);
    let room = layout::inner(area);
    frame.render_widget(about(model, room.width), room);
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
    let keymap = &model.setup.config.keymap;
    for verb in [
        Verb::Open,
        Verb::New,
        Verb::Watch,
        Verb::ShowFiles,
        Verb::Palette,
        Verb::Help,
        Verb::Detach,
    ] {
        let Some(key) = keymap.keys_of(FLEET, &verb.into()) else {
            continue;
        };
        lines.push(Line::from(vec![
            Span::styled(text::left(&key, 10.min(width)), theme.style(Role::Key)),
            Span::styled(
                text::cut(verb.help(), width.saturating_sub(10)),
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
