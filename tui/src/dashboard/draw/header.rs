//! The first row: how many machines, what is wrong with them, and what the user has asked for.

use ratatui::layout::Rect;

use super::super::column::Direction;
use super::super::{Dashboard, View};
use super::cells::{Canvas, Pen, columns};
use crate::app::Feed;
use crate::theme::Role;
use crate::view::text::age;

pub(super) fn draw(dashboard: &Dashboard, area: Rect, canvas: &mut Canvas<'_>) {
    let badge = canvas.style(Role::Badge);
    let words = match dashboard.view() {
        View::Table => table(dashboard, canvas),
        View::Detail(id) => {
            let name = dashboard.host(*id).map(|host| host.machine.name.clone());
            name.map(|name| (name, Role::Title)).into_iter().collect()
        }
        View::Results => results(dashboard),
    };
    let styled: Vec<_> = words
        .into_iter()
        .map(|(word, role)| (word, canvas.style(role)))
        .collect();
    let (muted, dot) = (canvas.style(Role::Muted), canvas.charset.dot());
    let mut pen = canvas.row(area, 0);
    if let Some(why) = old(dashboard) {
        pen.put(&format!(" {why} "), badge);
        pen.skip(1);
    }
    for (place, (word, style)) in styled.iter().enumerate() {
        // A word that does not fit is left out, unless it is the first.
        if place > 0 {
            if columns(dot) + columns(word) > pen.room() {
                continue;
            }
            pen.put(dot, muted);
        }
        put(&mut pen, word, *style);
    }
}

fn put(pen: &mut Pen<'_>, word: &str, style: ratatui::style::Style) {
    let width = columns(word).min(pen.room());
    pen.left(word, width, style);
}

/// Why what is shown may be old.
fn old(dashboard: &Dashboard) -> Option<String> {
    match dashboard.feed() {
        Feed::Lost { since, .. } => {
            let ago = dashboard.now.saturating_duration_since(*since);
            Some(format!("not current for {}", age(ago)))
        }
        Feed::Failed(why) => Some(format!("not followed: {}", why.message)),
        Feed::Loading | Feed::Current => None,
    }
}

fn table(dashboard: &Dashboard, canvas: &Canvas<'_>) -> Vec<(String, Role)> {
    let (passed, all) = (dashboard.rows().passed(), dashboard.host_count());
    let mut words = vec![if passed == all {
        (format!("{all} machines"), Role::Title)
    } else {
        (format!("{passed} of {all} machines"), Role::Title)
    }];
    if !dashboard.marks().is_empty() {
        words.push((format!("{} marked", dashboard.marks().len()), Role::Key));
    }
    if !dashboard.filter_text().is_empty() {
        words.push((format!("/{}", dashboard.filter_text()), Role::Key));
    }
    let sum = |count: fn(&super::super::Group) -> usize| {
        dashboard.rows().groups().iter().map(count).sum::<usize>()
    };
    for (count, word, role) in [
        (sum(|group| group.offline), "offline", Role::Offline),
        (sum(|group| group.stale), "stale", Role::Stale),
        (sum(|group| group.online), "online", Role::Online),
    ] {
        if count > 0 {
            words.push((format!("{count} {word}"), role));
        }
    }
    let order = dashboard.order();
    let arrow = match order.direction {
        Direction::Up => canvas.charset.upwards(),
        Direction::Down => canvas.charset.downwards(),
    };
    words.push((
        format!("by {} {arrow}", order.column.heading()),
        Role::Muted,
    ));
    words
}

fn results(dashboard: &Dashboard) -> Vec<(String, Role)> {
    let Some(results) = dashboard.results() else {
        return Vec::new();
    };
    let counts = results.counts();
    let mut words = Vec::new();
    for (count, word, role) in [
        (counts.failed, "failed", Role::Critical),
        (counts.unreachable, "unreachable", Role::Offline),
        (counts.running, "running", Role::Stale),
        (counts.waiting, "waiting", Role::Muted),
        (counts.cancelled, "called off", Role::Muted),
        (counts.ok, "ok", Role::Online),
    ] {
        if count > 0 {
            words.push((format!("{count} {word}"), role));
        }
    }
    if !results.is_over() {
        let age = age(results.age(dashboard.now));
        words.push((format!("for {age}"), Role::Muted));
    }
    words.push((format!("$ {}", results.command()), Role::Title));
    words
}
