//! The status bar: where keys go, the tabs, how the session and the connection stand.

use std::time::Duration;

use cmdop_proto::v1::SessionStatus;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::text;
use crate::app::{Model, Page, Session, strip};
use crate::browser;
use crate::dashboard;
use crate::dashboard::command::TABLE_KEYS;
use crate::keymap::tables::{FLEET, PREFIX};
use crate::keymap::{Action, Verb};
use crate::theme::Role;

pub(super) fn draw(model: &Model, area: Rect, frame: &mut Frame<'_>) {
    let theme = &model.setup.theme;
    let pieces = strip::pieces(model, area.width);
    let used = pieces.last().map_or(0, strip::Piece::end);
    let mut spans: Vec<_> = pieces
        .into_iter()
        .map(|piece| Span::styled(piece.text, theme.style(piece.role)))
        .collect();
    let room = area.width.saturating_sub(used);
    let rest = text::right(&fitting(&parts(model), room), room);
    spans.push(Span::styled(rest, theme.style(Role::Status)));
    frame.render_widget(Line::from(spans), area);
}

/// As many of the parts as have room, the most important at the right; that one is cut rather than
/// left out.
fn fitting(parts: &[String], room: u16) -> String {
    let mut shown = String::new();
    for part in parts {
        let longer = if shown.is_empty() {
            format!(" {part} ")
        } else {
            format!(" {part} ·{shown}")
        };
        if !shown.is_empty() && text::width(&longer) > room {
            break;
        }
        shown = longer;
    }
    shown
}

/// What there is to say, what matters most first.
fn parts(model: &Model) -> Vec<String> {
    let trouble = model.trouble().map(|(what, since)| {
        let since = since.map(|since| text::age(model.now.saturating_duration_since(since)));
        since.map_or(what.clone(), |since| format!("{what} ({since})"))
    });
    let is_connected = trouble.is_none();
    let mut parts: Vec<String> = trouble.into_iter().collect();
    parts.extend(model.browser.jobs().summary());
    if model.page == Page::Tabs
        && let Some(session) = model.shown_session()
    {
        parts.push(status(model, session));
        parts.extend(
            session
                .keyboard
                .as_ref()
                .map(|holder| format!("keyboard: {holder}")),
        );
        let others = session.attached.0 + session.attached.1;
        if others > 1 {
            parts.push(format!("{others} here"));
        }
    }
    if is_connected {
        let round_trip = model
            .round_trip
            .map(|time| format!(" {}", milliseconds(time)));
        let profile = &model.setup.profile;
        parts.push(format!(
            "{profile} connected{}",
            round_trip.unwrap_or_default()
        ));
    } else {
        parts.push(model.setup.profile.clone());
    }
    parts.extend(hint(model));
    parts
}

fn milliseconds(time: Duration) -> String {
    match time.as_micros() {
        micros @ 0..10_000 => format!("{:.1} ms", micros as f64 / 1000.0),
        micros => format!("{} ms", micros / 1000),
    }
}

/// The status as the protocol names it; a grace period counts down.
fn status(model: &Model, session: &Session) -> String {
    let name = session
        .status
        .as_str_name()
        .trim_start_matches("SESSION_STATUS_");
    match (session.status, session.grace_until) {
        (SessionStatus::GracePeriod, Some(until)) => {
            let left = until.saturating_duration_since(model.now).as_secs();
            format!("{name} {left} s")
        }
        _ => name.to_owned(),
    }
}

/// What to remember.
fn hint(model: &Model) -> Option<String> {
    let keymap = &model.setup.config.keymap;
    let table = match model.page {
        Page::Fleet => FLEET,
        Page::Dashboard => TABLE_KEYS,
        Page::Files => model.browser.keys(),
        Page::Tabs => PREFIX,
    };
    let help = match model.page {
        Page::Dashboard => Action::Dashboard(dashboard::Command::Help),
        Page::Files => Action::Files(browser::Command::Help),
        _ => Verb::Help.into(),
    };
    let help = keymap.keys_of(table, &help)?;
    Some(format!("{help} help"))
}
