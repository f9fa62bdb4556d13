//! One machine: its curves where there is room for them, and below them what is known of it.

use cmdop_proto::MachineId;
use ratatui::layout::{Constraint, Layout, Rect, Size};

use super::super::detail::Fact;
use super::super::health::Severity;
use super::super::history::Series;
use super::super::{Dashboard, Host};
use super::cells::Canvas;
use super::{chart, figures, signs};
use crate::theme::Role;

/// The smallest screen with curves that are areas; smaller ones have a row each.
const CHARTS_FROM: Size = Size {
    width: 50,
    height: 14,
};

/// The widest word for a fact, and a space.
const LABEL: u16 = 13;

/// The curves with their titles.
const CURVES: [(Series, &str); 3] = [
    (Series::Cpu, "cpu"),
    (Series::Memory, "memory"),
    (Series::Load, "load"),
];

/// How high the areas are on a screen of this size; 0: they are rows.
pub(in crate::dashboard) fn charts_height(room: Size) -> u16 {
    if room.width < CHARTS_FROM.width || room.height < CHARTS_FROM.height {
        return 0;
    }
    (room.height / 3).clamp(5, 14)
}

/// How many facts are visible on a screen of this size.
pub(in crate::dashboard) fn room(room: Size) -> usize {
    let header = u16::from(room.height > 2);
    usize::from(room.height - header - charts_height(room))
}

pub(super) fn draw(dashboard: &Dashboard, id: MachineId, area: Rect, canvas: &mut Canvas<'_>) {
    let Some(host) = dashboard.host(id) else {
        return;
    };
    let height = charts_height(dashboard.room).min(area.height);
    let [charts, rest] =
        Layout::vertical([Constraint::Length(height), Constraint::Fill(1)]).areas(area);
    if height > 0 {
        let thirds = Layout::horizontal([Constraint::Fill(1); 3]).spacing(2);
        for (area, (series, title)) in thirds.areas::<3>(charts).into_iter().zip(CURVES) {
            curve(dashboard, host, (series, title), area, canvas);
        }
    }
    let facts = dashboard.detail_lines(id);
    for (y, fact) in (0..rest.height).zip(facts.iter().skip(dashboard.detail_top)) {
        line(dashboard, host, fact, (rest, y), canvas);
    }
}

/// The value at the top of a curve: all of it, or of a load at least one for each core.
fn top(host: &Host, series: Series, values: &[Option<f32>]) -> f32 {
    match series {
        Series::Cpu | Series::Memory => 100.0,
        Series::Load => {
            let highest = values.iter().flatten().copied().fold(0.0, f32::max);
            highest.max(host.cores().max(1) as f32)
        }
    }
}

fn shown(series: Series, value: f32) -> String {
    match series {
        Series::Cpu | Series::Memory => figures::percent(value),
        Series::Load => figures::load(value),
    }
}

fn curve(
    dashboard: &Dashboard,
    host: &Host,
    (series, title): (Series, &str),
    area: Rect,
    canvas: &mut Canvas<'_>,
) {
    let slot = dashboard.slot(dashboard.now);
    let points = chart::points(area.width, canvas.charset);
    let values: Vec<_> = host.history.columns(slot, series, points).collect();
    let top = top(host, series, &values);
    let last = values.last().copied().flatten();
    let last = last.map_or_else(|| "-".to_owned(), |value| shown(series, value));
    let (title_style, muted, text) = (
        canvas.style(Role::Title),
        canvas.style(Role::Muted),
        canvas.style(Role::BorderFocused),
    );
    let mut pen = canvas.row(area, 0);
    pen.put(&format!("{title} {last}"), title_style);
    pen.put("  30 min, top ", muted);
    pen.put(&shown(series, top), muted);
    let below = Rect {
        y: area.y + 1,
        height: area.height.saturating_sub(1),
        ..area
    };
    chart::area(canvas, below, &values, top, text);
}

fn line(
    dashboard: &Dashboard,
    host: &Host,
    fact: &Fact,
    (area, y): (Rect, u16),
    canvas: &mut Canvas<'_>,
) {
    let (title, muted) = (canvas.style(Role::Title), canvas.style(Role::Muted));
    let charset = canvas.charset;
    let style = canvas.style(match fact {
        Fact::Pair(_, _, Severity::Warn) => Role::Warn,
        Fact::Pair(_, _, Severity::Critical) => Role::Critical,
        _ => Role::Text,
    });
    let mut pen = canvas.row(area, y);
    match fact {
        Fact::Pair(label, value, severity) => {
            pen.left(label, LABEL.min(area.width / 2), muted);
            pen.put(value, style);
            pen.put(signs::severity(*severity), style);
        }
        Fact::Curve(label, series) => {
            pen.left(label, LABEL.min(area.width / 3), muted);
            let slot = dashboard.slot(dashboard.now);
            let room = usize::from(pen.room());
            let values: Vec<_> = host.history.columns(slot, *series, room).collect();
            let top = top(host, *series, &values);
            chart::line(&mut pen, values.into_iter(), top, charset, style);
        }
        Fact::Heading(text) => pen.put(text, title),
        Fact::Text(text) => pen.put(text, style),
    }
}
