//! The status bar: who gets the keys, how the connection stands, what is shown.

use cmdop_proto::v1::SessionStatus;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::text;
use crate::app::{Focus, Model, Session};
use crate::keymap::{BINDINGS, Context};
use crate::theme::Role;

pub(super) fn draw(model: &Model, area: Rect, frame: &mut Frame<'_>) {
    let theme = &model.setup.theme;
    let style = theme.style(Role::Status);
    let mut bar = Bar {
        spans: Vec::new(),
        left: area.width,
    };
    for (word, role) in words(model) {
        bar.put(&format!(" {word} "), theme.style(role));
    }
    if model.prefix {
        bar.put(&format!(" {}", what_can_follow()), style);
    } else {
        for part in parts(model) {
            bar.put(&format!(" {part} "), style);
        }
    }
    // A hint stands where the rest leaves room for all of it.
    let hint = hints(model)
        .iter()
        .find(|hint| text::width(hint) < bar.left)
        .unwrap_or(&"");
    bar.put(&text::right(hint, bar.left), style);
    frame.render_widget(Line::from(bar.spans), area);
}

/// A line that is filled from the left.
struct Bar {
    spans: Vec<Span<'static>>,
    left: u16,
}

impl Bar {
    fn put(&mut self, text: &str, style: Style) {
        let text = text::cut(text, self.left);
        self.left -= text::width(&text);
        self.spans.push(Span::styled(text, style));
    }
}

/// The modes that are in force, in words.
fn words(model: &Model) -> Vec<(&'static str, Role)> {
    let mode = match model.context() {
        Context::List => "LIST",
        Context::Pane => "PANE",
        Context::Ended => "ENDED",
        Context::Prefix => "PREFIX",
        Context::Confirm => "CONFIRM",
        Context::Help => "HELP",
    };
    let mut words = vec![(
        mode,
        if model.prefix {
            Role::Badge
        } else {
            Role::Mode
        },
    )];
    if model
        .pane
        .as_ref()
        .is_some_and(crate::pane::Pane::is_observer)
    {
        words.push(("OBSERVER", Role::Badge));
    }
    words
}

/// What matters most first: it is cut at its end.
fn parts(model: &Model) -> Vec<String> {
    let mut parts = Vec::new();
    if let Some((what, since)) = model.trouble() {
        let since = since.map(|since| text::age(model.now.saturating_duration_since(since)));
        parts.push(since.map_or(what.clone(), |since| format!("{what} ({since})")));
    }
    if let Some(pane) = &model.pane {
        let status = model
            .shown_session()
            .map(|session| status(model, session))
            .unwrap_or_default();
        parts.push(format!("{} {status}", pane.label).trim().to_owned());
        let (rows, cols) = pane.size();
        parts.push(format!("{cols}x{rows}"));
        let holder = model.shown_session().and_then(|s| s.keyboard.as_deref());
        parts.extend(holder.map(|holder| format!("keyboard: {holder}")));
    }
    if model.trouble().is_none() {
        parts.push(format!("{} · connected", model.setup.profile));
    } else {
        parts.push(model.setup.profile.clone());
    }
    parts
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

/// The keys after the prefix.
fn what_can_follow() -> String {
    let follows = |keys: &'static str| keys.strip_prefix("C-b ").unwrap_or(keys);
    let bindings = BINDINGS
        .iter()
        .filter(|b| b.context == Context::Prefix && !b.keys.is_empty());
    let hints: Vec<_> = bindings
        .map(|b| format!("{}: {}", follows(b.keys), b.help))
        .collect();
    hints.join(" · ")
}

/// What to remember, the longer form first.
fn hints(model: &Model) -> &'static [&'static str] {
    match (model.prefix, model.focus) {
        (true, _) => &[],
        (_, Focus::Pane) => &["C-b ? help · C-b d list ", "C-b ? help "],
        (_, Focus::List) => &["? help · q quit ", "? help "],
    }
}
