//! Choosing one of many by typing a part of it.
//!
//! What there is to choose from is asked of the model anew each time: it may change under the user's
//! hand, so what is chosen is told by what it is, never by its place.

use cmdop_proto::{MachineId, SessionId};
use nucleo_matcher::pattern::{AtomKind, CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher, Utf32Str};

use super::model::Model;
use super::records::Presence;
use super::tabs::TabId;
use crate::browser::command::SIDES_KEYS;
use crate::browser::{self, End, Spot};
use crate::dashboard;
use crate::dashboard::command::TABLE_KEYS;
use crate::keymap::tables::{FLEET, PREFIX};
use crate::keymap::{Action, Verb};
use crate::line::Line;
use crate::theme::Theme;
use crate::tiles::{PaneId, Preset};

/// What is chosen, and what for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Everything there is to do.
    Palette,
    /// A session to be shown.
    Session,
    /// A tab to be shown.
    Tab,
    /// A machine for a shell in a new tab.
    Machine,
    /// A machine for a shell, or a session, in a new pane beside this one.
    Beside,
    /// A pane of another tab to be brought here.
    Join,
    /// A machine whose files are looked at, or this computer.
    End,
    /// A directory to come back to.
    Bookmark,
}

/// What can be chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// An action.
    Do(Action),
    /// A session.
    Session(SessionId),
    /// A machine.
    Machine(MachineId),
    /// A tab.
    Tab(TabId),
    /// A pane.
    Pane(PaneId),
    /// A directory, or the home of an end.
    Spot(Spot),
}

/// Something that can be chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// What is matched.
    pub label: String,
    /// What else there is to say; matched with less weight by coming later.
    pub detail: String,
    /// The keys that do the same; may be empty.
    pub keys: String,
    /// What it is.
    pub choice: Choice,
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picker {
    /// What is chosen.
    pub kind: Kind,
    /// What was typed.
    pub line: Line,
    /// The place of the selected one among those that match.
    pub selected: usize,
}

impl Picker {
    /// Nothing is typed yet.
    pub fn new(kind: Kind) -> Self {
        Self {
            kind,
            line: Line::default(),
            selected: 0,
        }
    }

    /// What is asked, in a word or two.
    pub fn title(&self) -> &'static str {
        match self.kind {
            Kind::Palette => "do",
            Kind::Session => "session",
            Kind::Tab => "tab",
            Kind::Machine => "shell on",
            Kind::Beside => "beside this: shell on, or session",
            Kind::Join => "bring here",
            Kind::End => "files of",
            Kind::Bookmark => "bookmark",
        }
    }

    /// What matches what was typed, the best first.
    pub fn items(&self, model: &Model) -> Vec<Item> {
        matching(all(self.kind, model), self.line.text())
    }

    /// Selects another one, around the end.
    pub(super) fn step(&mut self, by: isize, model: &Model) {
        let count = self.items(model).len() as isize;
        if count > 0 {
            self.selected = (self.selected as isize + by).rem_euclid(count) as usize;
        }
    }

    /// What is selected; `None`: nothing matches.
    pub(super) fn choice(&self, model: &Model) -> Option<Choice> {
        let mut items = self.items(model);
        let last = items.len().checked_sub(1)?;
        Some(items.swap_remove(self.selected.min(last)).choice)
    }
}

fn matching(items: Vec<Item>, typed: &str) -> Vec<Item> {
    if typed.trim().is_empty() {
        return items;
    }
    let pattern = Pattern::new(
        typed,
        CaseMatching::Smart,
        Normalization::Smart,
        AtomKind::Fuzzy,
    );
    let mut matcher = Matcher::new(Config::DEFAULT);
    let mut buffer = Vec::new();
    let mut scored: Vec<(u32, Item)> = items
        .into_iter()
        .filter_map(|item| {
            let text = format!("{} {}", item.label, item.detail);
            let score = pattern.score(Utf32Str::new(&text, &mut buffer), &mut matcher)?;
            Some((score, item))
        })
        .collect();
    // Stable: among equals the order is that of the list.
    scored.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
    scored.into_iter().map(|(_, item)| item).collect()
}

fn all(kind: Kind, model: &Model) -> Vec<Item> {
    match kind {
        Kind::Palette => {
            let mut items = actions(model);
            items.extend(sessions(model));
            items.extend(machines(model));
            items
        }
        Kind::Session => sessions(model),
        Kind::Tab => tabs(model),
        Kind::Machine => machines(model),
        Kind::Beside => [machines(model), sessions(model)].concat(),
        Kind::Join => elsewhere(model),
        Kind::End => ends(model),
        Kind::Bookmark => bookmarks(model),
    }
}

/// What can be chosen by name: all but what only means something where it is.
fn actions(model: &Model) -> Vec<Item> {
    let only_there = [
        Verb::Down,
        Verb::Up,
        Verb::First,
        Verb::Last,
        Verb::Open,
        Verb::Yes,
        Verb::Dismiss,
        Verb::Palette,
    ];
    let verbs = Verb::ALL.iter().filter(|verb| !only_there.contains(verb));
    let layouts = Preset::ALL.iter().map(|preset| Action::Layout(*preset));
    let themes = Theme::names().map(|name| Action::Theme(name.to_owned()));
    let actions = verbs.map(|verb| Action::Do(*verb));
    let files = browser::Command::ALL.iter().copied().map(Action::Files);
    let dashboard = dashboard::Command::all().map(Action::Dashboard);
    let keymap = &model.setup.config.keymap;
    let keys = |action: &Action| {
        let tables = [PREFIX, FLEET, SIDES_KEYS, TABLE_KEYS];
        tables
            .iter()
            .find_map(|table| keymap.keys_of(table, action))
    };
    actions
        .chain(layouts)
        .chain(themes)
        .chain(files.filter(is_for_pages))
        .chain(dashboard.filter(is_for_pages))
        .map(|action| Item {
            label: action.to_string(),
            detail: action.help(),
            keys: keys(&action).unwrap_or_default(),
            choice: Choice::Do(action),
        })
        .collect()
}

/// Whether it means something before its page is there: moving there, answering and going back do not.
fn is_for_pages(action: &Action) -> bool {
    use browser::Command as Files;
    use dashboard::Command as Fleet;
    match action {
        Action::Files(command) => !matches!(
            command,
            Files::Down
                | Files::Up
                | Files::PageDown
                | Files::PageUp
                | Files::HalfDown
                | Files::HalfUp
                | Files::First
                | Files::Last
                | Files::PreviewDown
                | Files::PreviewUp
                | Files::Open
                | Files::Yes
                | Files::Replace
                | Files::Skip
                | Files::Beside
                | Files::Resume
                | Files::Help
                | Files::Dismiss
        ),
        Action::Dashboard(command) => !matches!(
            command,
            Fleet::Down
                | Fleet::Up
                | Fleet::PageDown
                | Fleet::PageUp
                | Fleet::HalfDown
                | Fleet::HalfUp
                | Fleet::First
                | Fleet::Last
                | Fleet::Open
                | Fleet::Yes
                | Fleet::Help
                | Fleet::Dismiss
        ),
        _ => true,
    }
}

fn sessions(model: &Model) -> Vec<Item> {
    let mut sessions: Vec<_> = model.sessions.iter().collect();
    sessions.sort_by_key(|session| (session.place(), session.id));
    let shown = |id| model.panes.values().any(|pane| pane.session == Some(id));
    sessions
        .into_iter()
        .map(|session| Item {
            label: session.place(),
            detail: session.command.clone(),
            keys: if shown(session.id) {
                "open".into()
            } else {
                String::new()
            },
            choice: Choice::Session(session.id),
        })
        .collect()
}

fn machines(model: &Model) -> Vec<Item> {
    let mut machines: Vec<_> = model.machines.iter().collect();
    let is_away = |presence| presence == Presence::Offline;
    machines.sort_by_key(|machine| (is_away(machine.presence(model.now)), machine.name.clone()));
    machines
        .into_iter()
        .map(|machine| Item {
            label: machine.name.clone(),
            detail: [&machine.labels.join(" "), machine.system.as_str()]
                .join(" ")
                .trim()
                .to_owned(),
            keys: if is_away(machine.presence(model.now)) {
                "offline".into()
            } else {
                String::new()
            },
            choice: Choice::Machine(machine.id),
        })
        .collect()
}

fn ends(model: &Model) -> Vec<Item> {
    let here = Item {
        label: "here".to_owned(),
        detail: "this computer".to_owned(),
        keys: String::new(),
        choice: Choice::Spot(Spot {
            end: End::Here,
            path: bytes::Bytes::new(),
        }),
    };
    [vec![here], machines(model)].concat()
}

fn bookmarks(model: &Model) -> Vec<Item> {
    let bookmarks = model.browser.bookmarks().all().iter();
    bookmarks
        .map(|spot| Item {
            label: spot.shown(),
            detail: String::new(),
            keys: String::new(),
            choice: Choice::Spot(spot.clone()),
        })
        .collect()
}

fn tabs(model: &Model) -> Vec<Item> {
    let tabs = model.tabs.iter().enumerate();
    tabs.map(|(place, tab)| {
        let panes: Vec<_> = tab
            .panes()
            .into_iter()
            .filter_map(|pane| model.panes.get(&pane))
            .collect();
        let labels: Vec<_> = panes.iter().map(|pane| pane.label.as_str()).collect();
        Item {
            label: format!("{place} {}", model.tab_name(tab)),
            detail: labels.join(" "),
            keys: if place == model.tabs.current_place() {
                "shown".into()
            } else {
                String::new()
            },
            choice: Choice::Tab(tab.id),
        }
    })
    .collect()
}

fn elsewhere(model: &Model) -> Vec<Item> {
    let here = model.tabs.current().map(|tab| tab.id);
    let others = model
        .tabs
        .iter()
        .enumerate()
        .filter(|(_, tab)| Some(tab.id) != here);
    others
        .flat_map(|(place, tab)| tab.panes().into_iter().map(move |pane| (place, pane)))
        .filter_map(|(place, id)| {
            let pane = model.panes.get(&id)?;
            Some(Item {
                label: pane.label.clone(),
                detail: pane.title().to_owned(),
                keys: format!("tab {place}"),
                choice: Choice::Pane(id),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(label: &str) -> Item {
        Item {
            label: label.into(),
            detail: String::new(),
            keys: String::new(),
            choice: Choice::Do(Action::Do(Verb::Zoom)),
        }
    }

    fn found(labels: &[&str], typed: &str) -> Vec<String> {
        let items = labels.iter().map(|label| item(label)).collect();
        matching(items, typed)
            .into_iter()
            .map(|item| item.label)
            .collect()
    }

    #[test]
    fn what_is_typed_matches_in_pieces_and_the_best_comes_first() {
        let labels = ["split-down", "rename-session", "split-right", "web-1/srv"];
        assert_eq!(found(&labels, "spri"), ["split-right"]);
        assert_eq!(found(&labels, "split")[..2], ["split-down", "split-right"]);
        assert_eq!(found(&labels, "sess ren"), ["rename-session"]);
        assert_eq!(found(&labels, "zzz"), [""; 0]);
        assert_eq!(found(&labels, " ").len(), 4);
    }
}
