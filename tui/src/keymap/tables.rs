//! Which key does what, where: the tables of keys, from our defaults and the user's configuration.
//!
//! A table that is not one of ours is the user's: an action `table NAME` makes the next key its.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::action::{Action, NoAction, Verb};
use super::chord::{Chord, NoKey};
use crate::browser;
use crate::copy::Keys;
use crate::dashboard;

/// In a pane: every key that is not here goes to the program. Empty unless the user binds something.
pub const ROOT: &str = "root";
/// After the prefix.
pub const PREFIX: &str = "prefix";
/// In the list of machines and sessions.
pub const FLEET: &str = "fleet";
/// In a pane whose session is over.
pub const ENDED: &str = "ended";
/// Before a question.
pub const CONFIRM: &str = "confirm";
/// In the help, and in other texts that are only read.
pub const HELP: &str = "help";

/// The tables that there are without any configuration.
const OURS: &[&str] = &[ROOT, PREFIX, FLEET, ENDED, CONFIRM, HELP];

const DEFAULT: &str = include_str!("default.toml");

/// tmux's prefix.
const DEFAULT_PREFIX: &str = "C-b";

/// A key for an action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// Which key.
    pub chord: Chord,
    /// What it does.
    pub action: Action,
    /// For a moment after it the same table is asked without its prefix.
    pub repeats: bool,
}

/// The `keys` of a configuration: table, key, action.
pub type Wanted = BTreeMap<String, BTreeMap<String, WantedBinding>>;

/// One binding of a configuration.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(untagged)]
pub enum WantedBinding {
    /// An action; `none` takes a default away.
    Action(String),
    /// An action and more.
    Table {
        /// As above.
        action: String,
        /// The key may be pressed again without the prefix for a moment.
        #[serde(default)]
        repeat: bool,
    },
}

/// Why a binding cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// The key.
    #[error("in the keys of `{table}`: {source}")]
    Key {
        /// Which table.
        table: String,
        /// What is wrong.
        source: NoKey,
    },
    /// The action.
    #[error("`{key}` in the keys of `{table}`: {source}")]
    Action {
        /// Which table.
        table: String,
        /// Which key.
        key: String,
        /// What is wrong.
        source: NoAction,
    },
    /// An action names a table without a key.
    #[error("`{key}` in the keys of `{table}` leads to the keys of `{to}`, and there are none")]
    NoTable {
        /// Which table.
        table: String,
        /// Which key.
        key: String,
        /// What it leads to.
        to: String,
    },
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keymap {
    tables: BTreeMap<String, Vec<Binding>>,
    prefixes: Vec<Chord>,
}

impl Default for Keymap {
    fn default() -> Self {
        let wanted: Wanted = toml::from_str(DEFAULT).expect("a test parses it");
        let mut keymap = Self {
            tables: OURS
                .iter()
                .map(|name| ((*name).to_owned(), Vec::new()))
                .collect(),
            prefixes: vec![DEFAULT_PREFIX.parse().expect("a test parses it")],
        };
        keymap.bind(&wanted).expect("a test binds them");
        for keys in Keys::ALL {
            let bindings = keys.bindings().iter().map(|(key, command)| Binding {
                chord: key.parse().expect("a test parses it"),
                action: Action::Copy(*command),
                repeats: false,
            });
            keymap
                .tables
                .insert(keys.table().to_owned(), bindings.collect());
        }
        for (table, key, id) in dashboard::command::DEFAULT_KEYS {
            let command = dashboard::Command::of_id(id).expect("a test reads it");
            let binding = Binding {
                chord: key.parse().expect("a test parses it"),
                action: Action::Dashboard(command),
                repeats: false,
            };
            let table = keymap.tables.entry((*table).to_owned());
            table.or_default().push(binding);
        }
        for (table, key, command) in browser::command::default_keys() {
            let binding = Binding {
                chord: key.parse().expect("a test parses it"),
                action: Action::Files(command),
                repeats: false,
            };
            let table = keymap.tables.entry(table.to_owned());
            table.or_default().push(binding);
        }
        let shown = Binding {
            chord: "b".parse().expect("a test parses it"),
            action: Action::Do(Verb::ShowFiles),
            repeats: false,
        };
        let table = keymap
            .tables
            .entry(dashboard::command::TABLE_KEYS.to_owned());
        table.or_default().push(shown);
        keymap
    }
}

impl Keymap {
    /// With these in place of the prefix, or of both.
    pub fn with_prefixes(mut self, prefixes: Vec<Chord>) -> Self {
        if !prefixes.is_empty() {
            self.prefixes = prefixes;
        }
        self
    }

    /// Adds bindings, or takes some away. All or none of them.
    pub fn bind(&mut self, wanted: &Wanted) -> Result<(), Error> {
        let mut tables = self.tables.clone();
        for (name, keys) in wanted {
            let table = tables.entry(name.clone()).or_default();
            for (key, binding) in keys {
                put(table, name, key, binding)?;
            }
        }
        for (name, table) in &tables {
            for binding in table {
                let Action::Table(to) = &binding.action else {
                    continue;
                };
                if !tables.contains_key(to) {
                    return Err(Error::NoTable {
                        table: name.clone(),
                        key: binding.chord.to_string(),
                        to: to.clone(),
                    });
                }
            }
        }
        self.tables = tables;
        Ok(())
    }

    /// What a key does in a table.
    pub fn lookup(&self, table: &str, chord: Chord) -> Option<&Binding> {
        self.table(table)
            .iter()
            .find(|binding| binding.chord == chord)
    }

    /// The bindings of a table, in the order in which they were made.
    pub fn table(&self, table: &str) -> &[Binding] {
        self.tables.get(table).map_or(&[], Vec::as_slice)
    }

    /// The names of all tables.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tables.keys().map(String::as_str)
    }

    /// Whether this key is a prefix.
    pub fn is_prefix(&self, chord: Chord) -> bool {
        self.prefixes.contains(&chord)
    }

    /// The prefix that is shown, and sent.
    pub fn prefix(&self) -> Chord {
        self.prefixes[0]
    }

    /// How an action is reached, as people write it: `C-b %`; from a table without a prefix `Enter`.
    pub fn keys_of(&self, table: &str, action: &Action) -> Option<String> {
        let binding = self
            .table(table)
            .iter()
            .find(|binding| binding.action == *action)?;
        Some(match table {
            PREFIX => format!("{} {}", self.prefix(), binding.chord),
            _ => binding.chord.to_string(),
        })
    }
}

fn put(
    table: &mut Vec<Binding>,
    name: &str,
    key: &str,
    binding: &WantedBinding,
) -> Result<(), Error> {
    let chord: Chord = key.parse().map_err(|source| Error::Key {
        table: name.to_owned(),
        source,
    })?;
    let (action, repeats) = match binding {
        WantedBinding::Action(action) => (action, false),
        WantedBinding::Table { action, repeat } => (action, *repeat),
    };
    let at = table.iter().position(|known| known.chord == chord);
    if action == "none" {
        at.map(|at| table.remove(at));
        return Ok(());
    }
    let action = action.parse().map_err(|source| Error::Action {
        table: name.to_owned(),
        key: key.to_owned(),
        source,
    })?;
    let binding = Binding {
        chord,
        action,
        repeats,
    };
    match at {
        Some(at) => table[at] = binding,
        None => table.push(binding),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What every table of ours but the root needs a way out of.
    const WAYS_OUT: &[Verb] = &[Verb::Dismiss, Verb::LeavePane];

    fn chord(text: &str) -> Chord {
        text.parse().unwrap()
    }

    fn wanted(text: &str) -> Wanted {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn the_defaults_are_readable_and_have_a_way_out_of_each_table() {
        let keymap = Keymap::default();
        for name in OURS.iter().filter(|name| **name != ROOT) {
            let out = keymap
                .lookup(name, chord("Esc"))
                .map(|binding| &binding.action);
            assert!(
                matches!(out, Some(Action::Do(verb)) if WAYS_OUT.contains(verb)),
                "{name}: {out:?}"
            );
        }
        // The dashboard has four, files have five.
        let all = OURS.len() + Keys::ALL.len() + 4 + browser::command::TABLES.len();
        assert_eq!(keymap.names().count(), all, "no table is misspelt");
    }

    #[test]
    fn in_a_pane_nothing_is_taken_but_the_prefix() {
        let keymap = Keymap::default();
        assert_eq!(keymap.table(ROOT), []);
        assert!(keymap.is_prefix(chord("C-b")) && !keymap.is_prefix(chord("C-a")));
    }

    #[test]
    fn after_the_prefix_the_keys_are_those_of_tmux() {
        let keymap = Keymap::default();
        for (key, action) in [
            ("%", "split-right"),
            ("\"", "split-down"),
            ("z", "zoom"),
            ("d", "detach"),
            ("c", "new-tab"),
            ("&", "close-tab"),
            ("!", "break-pane"),
            ("Space", "next-layout"),
            ("[", "copy-mode"),
            (":", "palette"),
            ("M-5", "layout tiled"),
        ] {
            let bound = keymap.lookup(PREFIX, chord(key)).unwrap();
            assert_eq!(bound.action.to_string(), action, "{key}");
        }
        assert!(keymap.lookup(PREFIX, chord("C-Left")).unwrap().repeats);
    }

    #[test]
    fn a_configuration_changes_takes_away_and_adds() {
        let mut keymap = Keymap::default();
        keymap
            .bind(&wanted(
                "[prefix]\n'%' = 'none'\n'v' = 'split-right'\n'z' = 'help'\n'T' = 'table mine'\n\
                 [mine]\n'l' = { action = 'theme light', repeat = true }\n[root]\n'M-x' = 'palette'",
            ))
            .unwrap();
        let action = |table: &str, key: &str| {
            keymap
                .lookup(table, chord(key))
                .map(|binding| binding.action.to_string())
        };
        assert_eq!(action(PREFIX, "%"), None);
        assert_eq!(action(PREFIX, "v").unwrap(), "split-right");
        assert_eq!(action(PREFIX, "z").unwrap(), "help");
        assert_eq!(action("mine", "l").unwrap(), "theme light");
        assert_eq!(action(ROOT, "M-x").unwrap(), "palette");
        let split = Action::Do(Verb::SplitRight);
        assert_eq!(keymap.keys_of(PREFIX, &split).unwrap(), "C-b |");
    }

    #[test]
    fn a_wrong_binding_is_named_and_nothing_of_it_is_taken() {
        for (text, part) in [
            ("[prefix]\n'Q' = 'zoom'\n'X-q' = 'zoom'", "`X-q` is no key"),
            ("[prefix]\n'Q' = 'zom'", "did you mean `zoom`"),
            ("[prefix]\n'Q' = 'table nowhere'", "`nowhere`"),
        ] {
            let mut keymap = Keymap::default();
            let said = keymap.bind(&wanted(text)).unwrap_err().to_string();
            assert!(said.contains(part), "{said}");
            assert_eq!(keymap, Keymap::default());
        }
    }

    #[test]
    fn another_prefix_takes_the_place_of_ours() {
        let keymap = Keymap::default().with_prefixes(vec![chord("C-a"), chord("M-b")]);
        assert!(keymap.is_prefix(chord("C-a")) && keymap.is_prefix(chord("M-b")));
        assert!(!keymap.is_prefix(chord("C-b")));
        let zoom = Action::Do(Verb::Zoom);
        assert_eq!(keymap.keys_of(PREFIX, &zoom).unwrap(), "C-a z");
    }
}
