//! What can follow the prefix, or another key that waits for the next: shown when nothing follows for a
//! moment.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::{lines, text};
use crate::app::Model;
use crate::keymap::{Action, Verb};
use crate::theme::Role;

/// The width of one entry: a key and what it does.
const COLUMN: u16 = 37;
/// What the key takes of it.
const KEY: u16 = 9;

pub(super) fn draw(model: &Model, main: Rect, frame: &mut Frame<'_>) {
    let Some(table) = model.hints() else {
        return;
    };
    let entries = entries(model, table);
    // All of them are to be seen: where they are many the columns are narrower.
    let room = main.height.saturating_sub(2).max(1);
    let needed = (entries.len() as u16).div_ceil(room);
    let columns = (main.width.saturating_sub(2) / COLUMN).max(needed).max(1);
    let rows = (entries.len() as u16).div_ceil(columns);
    let height = (rows + 2).min(main.height);
    let area = Rect {
        y: main.bottom() - height,
        height,
        ..main
    };
    let title = format!(" {table} … ");
    let roles = (Role::BorderFocused, Role::Text);
    let inside = lines::boxed(model, area, &title, roles, frame);
    let width = inside.width / columns;
    // Downwards first, as a list is read.
    for (column, part) in entries.chunks(usize::from(rows.max(1))).enumerate() {
        let x = inside.x + column as u16 * width;
        let shown: Vec<_> = part.iter().map(|entry| line(model, entry, width)).collect();
        let place = Rect { x, width, ..inside };
        frame.render_widget(Paragraph::new(shown), place.intersection(inside));
    }
}

fn line<'a>(model: &Model, (keys, what): &(String, String), width: u16) -> Line<'a> {
    let theme = &model.setup.theme;
    let key = KEY.min(width);
    let what_width = (width - key).saturating_sub(1);
    Line::from(vec![
        Span::styled(text::left(keys, key), theme.style(Role::Key)),
        Span::styled(text::left(what, what_width), theme.style(Role::Text)),
    ])
}

/// The keys of the table in the order of the help; those that do the same, or the same another way
/// round, share a line.
fn entries(model: &Model, table: &str) -> Vec<(String, String)> {
    let mut bindings: Vec<_> = model.setup.config.keymap.table(table).iter().collect();
    bindings.sort_by_key(|binding| binding.action.place());
    let mut entries: Vec<(Vec<String>, String)> = Vec::new();
    for binding in bindings {
        let (key, what) = (binding.chord.to_string(), kind(&binding.action));
        match entries.iter_mut().find(|(_, known)| *known == what) {
            Some((keys, _)) => keys.push(key),
            None => entries.push((vec![key], what)),
        }
    }
    let entry = |(keys, what): (Vec<String>, String)| (short(&keys), what);
    entries.into_iter().map(entry).collect()
}

/// What an action does, with those in one that only differ in their direction or number.
fn kind(action: &Action) -> String {
    match action {
        Action::SelectTab(_) => "a tab by its number".to_owned(),
        Action::Layout(_) => "a layout by its number".to_owned(),
        Action::Resize(_, 1) => "move a border".to_owned(),
        Action::Resize(..) => "move a border further".to_owned(),
        Action::Do(Verb::FocusLeft | Verb::FocusRight | Verb::FocusUp | Verb::FocusDown) => {
            "to the pane on that side".to_owned()
        }
        action => action.help(),
    }
}

/// Keys as they are remembered: `C-arrows`, `0…9`, `Tab l`.
fn short(keys: &[String]) -> String {
    let arrows = keys.first().and_then(|first| {
        let modifiers = ["Left", "Right", "Up", "Down"]
            .iter()
            .find_map(|name| first.strip_suffix(name))?;
        let all = ["Left", "Right", "Up", "Down"].iter();
        let are_all = keys.len() == 4
            && all
                .clone()
                .all(|name| keys.contains(&format!("{modifiers}{name}")));
        are_all.then(|| format!("{modifiers}arrows"))
    });
    match (arrows, keys) {
        (Some(arrows), _) => arrows,
        (None, [first, _, .., last]) => {
            let last = last.strip_prefix(
                &first[..first.len() - first.chars().next_back().map_or(0, char::len_utf8)],
            );
            format!("{first}…{}", last.unwrap_or(keys[keys.len() - 1].as_str()))
        }
        _ => keys.join(" "),
    }
}
