//! The left part of the status bar: where keys go, and the tabs. It is data, so that a click finds
//! what is drawn.

use unicode_width::UnicodeWidthStr as _;

use super::model::{Context, Model, Page};
use super::tabs::Tab;
use crate::keymap::tables::PREFIX;
use crate::pane::Mark;
use crate::theme::Role;

/// Longest name of a tab that is shown.
const MAX_NAME: u16 = 20;

/// What the rest of the bar keeps, where it is wide.
const REST: u16 = 24;

/// A bar narrower than this has no rest.
const WIDE: u16 = 64;

/// A piece of the bar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Its first column.
    pub start: u16,
    /// What it says, with the room around it.
    pub text: String,
    /// How it looks.
    pub role: Role,
    /// The place of the tab that it is.
    pub tab: Option<usize>,
}

impl Piece {
    /// The column after its last one.
    pub fn end(&self) -> u16 {
        self.start + self.text.width() as u16
    }
}

/// The pieces of a bar that is so wide, from the left.
pub fn pieces(model: &Model, width: u16) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    let mut put = |text: String, role, tab| {
        let start = pieces.last().map_or(0, Piece::end);
        // Of the first, which says where keys go, some is better than nothing.
        let text = if start == 0 {
            crate::view::text::cut(&text, width)
        } else {
            text
        };
        let piece = Piece {
            start,
            text,
            role,
            tab,
        };
        let fits = piece.end() <= width;
        if fits {
            pieces.push(piece);
        }
        fits
    };
    for (word, role) in badges(model) {
        put(format!(" {word} "), role, None);
    }
    let rest = if width >= WIDE { REST } else { 0 };
    let used = badges(model)
        .iter()
        .map(|(word, _)| word.width() as u16 + 2)
        .sum::<u16>();
    let tabs = fitting(model, width.saturating_sub(used + rest));
    for (place, text) in tabs {
        let is_current = model.page == Page::Tabs && place == model.tabs.current_place();
        let mark = model
            .tabs
            .iter()
            .nth(place)
            .map(|tab| model.mark_of(tab))
            .unwrap_or_default();
        let role = match (is_current, mark) {
            (true, _) => Role::SelectedUnfocused,
            (_, Mark::Bell) => Role::Critical,
            (_, Mark::Activity) => Role::Warn,
            _ => Role::Status,
        };
        if !put(text, role, Some(place)) {
            break;
        }
    }
    pieces
}

/// The labels of the tabs that have room, the shown one among them.
fn fitting(model: &Model, room: u16) -> Vec<(usize, String)> {
    let labels: Vec<(usize, String)> = model
        .tabs
        .iter()
        .enumerate()
        .map(|(place, tab)| (place, label(model, place, tab)))
        .collect();
    let current = model.tabs.current_place();
    let width = |label: &(usize, String)| label.1.width() as u16;
    let before = labels.iter().take(current + 1).map(width);
    // From the left as many as needed are left out, so that the shown one has room.
    let mut needed: u16 = before.sum();
    let mut first = 0;
    while needed > room && first < current {
        needed -= width(&labels[first]);
        first += 1;
    }
    let mut left = room;
    let fits = labels.into_iter().skip(first).take_while(|label| {
        let fits = width(label) <= left;
        left = left.saturating_sub(width(label));
        fits
    });
    fits.collect()
}

/// Number, name, and tmux's flags: `*` shown, `-` shown before, `!` rang, `#` printed, `Z` zoomed.
fn label(model: &Model, place: usize, tab: &Tab) -> String {
    let name = crate::view::text::cut(&model.tab_name(tab), MAX_NAME);
    let mut flags = String::new();
    if place == model.tabs.current_place() {
        flags.push('*');
    } else if model.tabs.before() == Some(tab.id) {
        flags.push('-');
    }
    match model.mark_of(tab) {
        Mark::Bell => flags.push('!'),
        Mark::Activity => flags.push('#'),
        Mark::None => {}
    }
    if tab.zoomed {
        flags.push('Z');
    }
    if tab.synchronised {
        flags.push('S');
    }
    format!(" {place}:{name}{flags} ")
}

/// The modes that are in force, in words.
fn badges(model: &Model) -> Vec<(String, Role)> {
    let mode = match model.context() {
        Context::Fleet => ("FLEET".to_owned(), Role::Mode),
        Context::Dashboard => ("DASHBOARD".to_owned(), Role::Mode),
        Context::Files => ("FILES".to_owned(), Role::Mode),
        Context::Pane => ("PANE".to_owned(), Role::Mode),
        Context::Ended => ("ENDED".to_owned(), Role::Mode),
        Context::Table(table) if table == PREFIX => ("PREFIX".to_owned(), Role::Badge),
        Context::Table(table) => (table.to_uppercase(), Role::Badge),
        Context::Copy => ("COPY".to_owned(), Role::Badge),
        Context::Confirm => ("SURE?".to_owned(), Role::Badge),
        Context::Reading => ("READ".to_owned(), Role::Mode),
        Context::Line => ("TYPE".to_owned(), Role::Mode),
        Context::Locked => ("LOCKED".to_owned(), Role::Badge),
    };
    let mut badges = vec![mode];
    if model.page == Page::Tabs {
        if model
            .focused_pane()
            .is_some_and(crate::pane::Pane::is_observer)
        {
            badges.push(("OBSERVER".to_owned(), Role::Badge));
        }
        if model.tabs.current().is_some_and(|tab| tab.synchronised) {
            badges.push(("ALL PANES".to_owned(), Role::Badge));
        }
    }
    badges
}
