//! Texts that are only read: the help, made from the keys as they are bound, the messages so far, and
//! what was asked for.

use super::model::{Model, Page};
use super::overlay::Overlay;
use super::toasts::Level;
use crate::browser::command::{CLASH_KEYS, FOUND_KEYS, SIDES_KEYS, TRANSFERS_KEYS};
use crate::config::CopyKeys;
use crate::copy::Keys;
use crate::dashboard::command::{DETAIL_KEYS, RESULT_KEYS, TABLE_KEYS};
use crate::keymap::tables::{FLEET, PREFIX, ROOT};
use crate::keymap::{Action, Category};

/// A line of such a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Row {
    /// A heading.
    Heading(String),
    /// Keys and what they do.
    Keys(String, String),
    /// Words.
    Text(String),
    /// A message: its time as `hh:mm:ss` UTC, how bad it is, its words.
    Message(String, Level, String),
}

/// The lines of what is read; empty if nothing is.
pub fn rows(model: &Model) -> Vec<Row> {
    match &model.overlay {
        Some(Overlay::Help { .. }) => help(model),
        Some(Overlay::Messages { .. }) => messages(model),
        Some(Overlay::Text { lines, .. }) => lines.iter().cloned().map(Row::Text).collect(),
        _ => Vec::new(),
    }
}

impl Model {
    /// Scrolls what is read; its last line stays in sight.
    pub(super) fn scroll(&mut self, by: isize) {
        let last = rows(self).len().saturating_sub(1);
        if let Some(Overlay::Help { top } | Overlay::Messages { top } | Overlay::Text { top, .. }) =
            &mut self.overlay
        {
            *top = top.saturating_add_signed(by).min(last);
        }
    }
}

fn help(model: &Model) -> Vec<Row> {
    let keymap = &model.setup.config.keymap;
    let prefix = keymap.prefix();
    let mut rows = vec![
        Row::Text(format!(
            "{prefix} and a key, as in tmux; {prefix} {prefix} sends {prefix} to the program."
        )),
        Row::Text("In a pane every other key is its program's.".to_owned()),
    ];
    for category in categories(model.page) {
        let mut actions: Vec<(Action, Vec<String>)> = Vec::new();
        let copy = match model.setup.config.copy_keys {
            CopyKeys::Vi => Keys::Vi.table(),
            CopyKeys::Emacs => Keys::Emacs.table(),
        };
        for table in [
            ROOT,
            PREFIX,
            FLEET,
            TABLE_KEYS,
            DETAIL_KEYS,
            RESULT_KEYS,
            SIDES_KEYS,
            TRANSFERS_KEYS,
            FOUND_KEYS,
            CLASH_KEYS,
            copy,
        ] {
            let prefix = match table {
                PREFIX => format!("{} ", keymap.prefix()),
                _ => String::new(),
            };
            let bound = keymap.table(table).iter();
            for binding in bound.filter(|binding| binding.action.category() == category) {
                let keys = format!("{prefix}{}", binding.chord);
                match actions
                    .iter_mut()
                    .find(|(action, _)| *action == binding.action)
                {
                    Some((_, known)) => known.push(keys),
                    None => actions.push((binding.action.clone(), vec![keys])),
                }
            }
        }
        actions.sort_by_key(|(action, _)| action.place());
        if actions.is_empty() {
            continue;
        }
        rows.push(Row::Text(String::new()));
        rows.push(Row::Heading(category.title().to_owned()));
        let row = |(action, keys): (Action, Vec<String>)| Row::Keys(keys.join(", "), action.help());
        rows.extend(actions.into_iter().map(row));
    }
    rows
}

/// The keys of what somebody looks at come first.
fn categories(page: Page) -> impl Iterator<Item = Category> {
    let first = match page {
        Page::Fleet => Category::Fleet,
        Page::Dashboard => Category::Dashboard,
        Page::Files => Category::Files,
        Page::Tabs => Category::Panes,
    };
    let others = Category::ALL.into_iter();
    std::iter::once(first).chain(others.filter(move |other| *other != first))
}

fn messages(model: &Model) -> Vec<Row> {
    let mut rows: Vec<_> = model
        .log
        .iter()
        .map(|entry| {
            let seconds = entry.at_ms / 1000 % 86_400;
            let time = format!(
                "{:02}:{:02}:{:02}",
                seconds / 3600,
                seconds / 60 % 60,
                seconds % 60
            );
            let times = match entry.times {
                1 => String::new(),
                times => format!(" (×{times})"),
            };
            Row::Message(time, entry.level, format!("{}{times}", entry.text))
        })
        .collect();
    if rows.is_empty() {
        rows.push(Row::Text("no messages so far".to_owned()));
    }
    rows
}
