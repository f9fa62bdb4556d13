//! The table: headings, fleets and machines, as many as are visible.

use ratatui::layout::Rect;
use ratatui::style::Style;

use super::super::column::{Column, Direction};
use super::super::health::{Health, Severity};
use super::super::history::Series;
use super::super::{Dashboard, Group, Host, Row};
use super::cells::{Canvas, Pen, columns as width_of};
use super::columns::{MARK, Placed, columns};
use super::{chart, figures, signs};
use crate::app::{Feed, Presence};
use crate::theme::Role;

pub(super) fn headings(dashboard: &Dashboard, area: Rect, canvas: &mut Canvas<'_>) {
    if area.is_empty() {
        return;
    }
    let (style, strong) = (canvas.style(Role::Heading), canvas.style(Role::Title));
    let order = dashboard.order();
    let arrow = match order.direction {
        Direction::Up => canvas.charset.upwards(),
        Direction::Down => canvas.charset.downwards(),
    };
    let mut pen = canvas.row(area, 0);
    pen.skip(MARK);
    for Placed { column, width } in columns(area.width) {
        let is_order = column == order.column;
        let style = if is_order { strong } else { style };
        let arrow = if is_order { arrow } else { "" };
        if column.figure().is_some() {
            // Over the digits; the arrow stands where the readings have their sign.
            let space = u16::from(!is_order);
            pen.right(
                &format!("{}{arrow}", column.heading()),
                width - space,
                style,
            );
            pen.skip(space);
        } else {
            let gap = u16::from(column != Column::State && column != Column::Name);
            pen.skip(gap);
            // A heading that is cut says less than none.
            let heading = if width > 2 { column.heading() } else { "" };
            pen.left(
                &format!("{heading}{arrow}"),
                width.saturating_sub(gap),
                style,
            );
        }
    }
}

pub(super) fn draw(dashboard: &Dashboard, area: Rect, canvas: &mut Canvas<'_>) {
    let rows = dashboard.rows().all();
    if rows.is_empty() {
        return nothing(dashboard, area, canvas);
    }
    let placed = columns(area.width);
    let visible = rows.iter().enumerate().skip(dashboard.top);
    for (y, (place, row)) in (0..area.height).zip(visible) {
        match row {
            Row::Fleet(index) => fleet(&dashboard.rows().groups()[*index], area, y, canvas),
            Row::Machine(id) => {
                if let Some(host) = dashboard.host(*id) {
                    machine(dashboard, host, &placed, (area, y), canvas);
                }
            }
        }
        if place == dashboard.selection.place() {
            canvas.restyle(area, y, Role::Selected);
        }
    }
}

fn fleet(group: &Group, area: Rect, y: u16, canvas: &mut Canvas<'_>) {
    let (title, muted) = (canvas.style(Role::Title), canvas.style(Role::Muted));
    let worst = canvas.style(role(group.worst));
    let sign = canvas.charset.fold(group.is_folded);
    let name = if group.name.is_empty() {
        "no fleet"
    } else {
        &group.name
    };
    let count = format!(" {}", group.machines.len());
    let state = format!("  {}", signs::health(group.worst));
    let mut pen = canvas.row(area, y);
    pen.left(sign, MARK, title);
    // The count and the state keep their room; the name gives way.
    let kept = width_of(&count) + width_of(&state);
    let room = pen.room().saturating_sub(kept).max(4);
    pen.left(name, width_of(name).min(room), title);
    pen.put(&count, muted);
    pen.put(&state, worst);
    for (count, word) in [
        (group.offline, "offline"),
        (group.stale, "stale"),
        (group.online, "online"),
    ] {
        let text = format!("  {count} {word}");
        if count > 0 && width_of(&text) <= pen.room() {
            pen.put(&text, muted);
        }
    }
}

/// The look of a state.
fn role(health: Health) -> Role {
    match health {
        Health::Fine => Role::Online,
        Health::Warn => Role::Warn,
        Health::Stale => Role::Stale,
        Health::Critical => Role::Critical,
        Health::Offline => Role::Offline,
    }
}

fn machine(
    dashboard: &Dashboard,
    host: &Host,
    placed: &[Placed],
    (area, y): (Rect, u16),
    canvas: &mut Canvas<'_>,
) {
    let presence = host.machine.presence(dashboard.now);
    let mark = if dashboard.marks().contains(&host.machine.id) {
        canvas.charset.mark()
    } else {
        ""
    };
    let look = Look {
        key: canvas.style(Role::Key),
        text: canvas.style(if presence == Presence::Online {
            Role::Text
        } else {
            Role::Muted
        }),
        muted: canvas.style(Role::Muted),
        warn: canvas.style(Role::Warn),
        critical: canvas.style(Role::Critical),
        state: canvas.style(match presence {
            Presence::Online => Role::Online,
            Presence::Stale => Role::Stale,
            Presence::Offline => Role::Offline,
        }),
        charset: canvas.charset,
        presence,
    };
    let mut pen = canvas.row(area, y);
    pen.left(mark, MARK, look.key);
    for placed in placed {
        cell(dashboard, host, *placed, &look, &mut pen);
    }
}

/// The looks of a machine's row.
struct Look {
    key: Style,
    text: Style,
    muted: Style,
    warn: Style,
    critical: Style,
    state: Style,
    charset: super::Charset,
    presence: Presence,
}

fn cell(dashboard: &Dashboard, host: &Host, placed: Placed, look: &Look, pen: &mut Pen<'_>) {
    let Placed { column, width } = placed;
    if let Some(figure) = column.figure() {
        // Old readings are kept, and look old; they raise no alarm.
        let severity = match look.presence {
            Presence::Online => dashboard.settings.thresholds.severity(host, figure),
            _ => Severity::Fine,
        };
        let style = match severity {
            Severity::Fine => look.text,
            Severity::Warn => look.warn,
            Severity::Critical => look.critical,
        };
        let sign = match severity {
            Severity::Fine if column == Column::Battery && host.is_charging() => "+",
            severity => signs::severity(severity),
        };
        let text = figures::figure(host, figure, dashboard.now);
        pen.right(&text, width.saturating_sub(1), style);
        return pen.left(sign, 1, style);
    }
    match column {
        Column::State => {
            let (sign, word) = (look.charset.presence(look.presence), word(look.presence));
            pen.left(sign, width.min(2), look.state);
            pen.left(word, width.saturating_sub(2), look.state);
        }
        Column::Name => pen.left(&host.machine.name, width, look.text),
        Column::History => {
            pen.skip(1);
            let slot = dashboard.slot(dashboard.now);
            let values = host
                .history
                .columns(slot, Series::Cpu, usize::from(width - 1));
            chart::line(pen, values, 100.0, look.charset, look.text);
        }
        Column::System => {
            pen.skip(1);
            pen.left(&host.machine.system, width - 1, look.muted);
        }
        Column::Labels => {
            pen.skip(1);
            labels(host, width - 1, look.muted, pen);
        }
        _ => pen.skip(width),
    }
}

fn labels(host: &Host, width: u16, style: Style, pen: &mut Pen<'_>) {
    let mut left = width;
    for label in &host.machine.labels {
        if left < 4 {
            break;
        }
        let taken = width_of(label).min(left);
        pen.left(label, taken, style);
        let gap = 1.min(left - taken);
        pen.skip(gap);
        left -= taken + gap;
    }
    pen.skip(left);
}

pub(super) fn word(presence: Presence) -> &'static str {
    match presence {
        Presence::Online => "online",
        Presence::Stale => "stale",
        Presence::Offline => "offline",
    }
}

/// What to say when there is no row.
fn nothing(dashboard: &Dashboard, area: Rect, canvas: &mut Canvas<'_>) {
    let lines: &[&str] = match dashboard.feed() {
        _ if dashboard.host_count() > 0 => &["no machine passes the filter"],
        Feed::Loading => &["loading"],
        Feed::Failed(_) => &["not connected"],
        Feed::Current | Feed::Lost { .. } => &[
            "no machine is enrolled yet",
            "",
            "cmdop machines enroll-token",
            "makes the token that one needs",
        ],
    };
    let style = canvas.style(Role::Muted);
    for (y, line) in (0..area.height).zip(lines) {
        canvas.row(area, y).left(line, area.width, style);
    }
}
