//! Which key does what, where: one list that drives the keys, the help and the hints.
//!
//! In a pane every key but the prefix belongs to the remote program ([`encode`]); what follows the
//! prefix is looked up here. In the list single keys act at once.

pub mod encode;
mod paste;

pub use paste::{is_harmless, paste};

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// Where a key is pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Context {
    /// In the list of machines and sessions.
    List,
    /// In a pane: only the prefix is ours.
    Pane,
    /// After the prefix, wherever that was pressed.
    Prefix,
    /// In a pane whose session is over.
    Ended,
    /// Before a question.
    Confirm,
    /// In the help.
    Help,
}

/// What a key can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Waits for the key after the prefix.
    Prefix,
    /// Sends the prefix itself to the program.
    SendPrefix,
    /// Selects the next row.
    Down,
    /// Selects the row before.
    Up,
    /// Selects the first row.
    First,
    /// Selects the last row.
    Last,
    /// Attaches to the selected session, or opens a shell on the selected machine.
    Open,
    /// Attaches to the selected session, read-only.
    Watch,
    /// Opens a new session on the selected machine.
    New,
    /// Ends the selected session, after a question.
    Close,
    /// Gives the keys to the pane.
    FocusPane,
    /// Gives the keys to the list; the pane stays live.
    FocusList,
    /// Shows or hides the help.
    Help,
    /// Takes away what lies on top: a message, a question, the help.
    Dismiss,
    /// Answers a question with yes.
    Yes,
    /// Leaves; sessions live on.
    Quit,
}

/// A key as it is bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chord {
    code: KeyCode,
    modifiers: KeyModifiers,
}

/// Some keys for one action in one context.
#[derive(Debug)]
pub struct Binding {
    /// Where.
    pub context: Context,
    /// Any of these.
    pub chords: &'static [Chord],
    /// What.
    pub action: Action,
    /// The keys as people write them; empty for keys that the help leaves out.
    pub keys: &'static str,
    /// What it does, in a few words.
    pub help: &'static str,
}

const fn plain(code: KeyCode) -> Chord {
    Chord {
        code,
        modifiers: KeyModifiers::NONE,
    }
}

const fn key(c: char) -> Chord {
    plain(KeyCode::Char(c))
}

const fn ctrl(c: char) -> Chord {
    Chord {
        code: KeyCode::Char(c),
        modifiers: KeyModifiers::CONTROL,
    }
}

const fn bind(
    context: Context,
    chords: &'static [Chord],
    action: Action,
    keys: &'static str,
    help: &'static str,
) -> Binding {
    Binding {
        context,
        chords,
        action,
        keys,
        help,
    }
}

/// The prefix, as tmux has it.
const PREFIX: Chord = ctrl('b');
const UP: Chord = plain(KeyCode::Up);
const DOWN: Chord = plain(KeyCode::Down);
const ENTER: Chord = plain(KeyCode::Enter);
const ESC: Chord = plain(KeyCode::Esc);
const TAB: Chord = plain(KeyCode::Tab);

/// Every binding there is, in the order of the help.
pub const BINDINGS: &[Binding] = &[
    bind(
        Context::List,
        &[key('j'), DOWN],
        Action::Down,
        "j ↓",
        "next row",
    ),
    bind(
        Context::List,
        &[key('k'), UP],
        Action::Up,
        "k ↑",
        "row before",
    ),
    bind(
        Context::List,
        &[key('g'), plain(KeyCode::Home)],
        Action::First,
        "g",
        "first row",
    ),
    bind(
        Context::List,
        &[key('G'), plain(KeyCode::End)],
        Action::Last,
        "G",
        "last row",
    ),
    bind(
        Context::List,
        &[ENTER],
        Action::Open,
        "Enter",
        "attach, or open a shell on a machine",
    ),
    bind(
        Context::List,
        &[key('o')],
        Action::Watch,
        "o",
        "watch a session, read-only",
    ),
    bind(
        Context::List,
        &[key('n')],
        Action::New,
        "n",
        "new session on this machine",
    ),
    bind(
        Context::List,
        &[key('x')],
        Action::Close,
        "x",
        "end this session (asks first)",
    ),
    bind(
        Context::List,
        &[TAB, plain(KeyCode::Right)],
        Action::FocusPane,
        "Tab",
        "keys to the pane",
    ),
    bind(Context::List, &[key('?')], Action::Help, "?", "this help"),
    bind(
        Context::List,
        &[ESC],
        Action::Dismiss,
        "Esc",
        "take messages away",
    ),
    bind(
        Context::List,
        &[key('q')],
        Action::Quit,
        "q",
        "quit; sessions live on",
    ),
    bind(Context::List, &[PREFIX], Action::Prefix, "", ""),
    bind(Context::Pane, &[PREFIX], Action::Prefix, "", ""),
    bind(
        Context::Prefix,
        &[key('d'), ctrl('d')],
        Action::FocusList,
        "C-b d",
        "back to the list",
    ),
    bind(
        Context::Prefix,
        &[TAB, key('o')],
        Action::FocusPane,
        "C-b Tab",
        "keys to the pane",
    ),
    bind(
        Context::Prefix,
        &[PREFIX],
        Action::SendPrefix,
        "C-b C-b",
        "send C-b to the program",
    ),
    bind(
        Context::Prefix,
        &[key('?')],
        Action::Help,
        "C-b ?",
        "this help",
    ),
    bind(
        Context::Prefix,
        &[key('q')],
        Action::Quit,
        "C-b q",
        "quit; sessions live on",
    ),
    bind(Context::Prefix, &[ESC], Action::Dismiss, "", ""),
    bind(
        Context::Ended,
        &[ENTER, ESC, key('q')],
        Action::FocusList,
        "Enter",
        "back to the list",
    ),
    bind(Context::Ended, &[PREFIX], Action::Prefix, "", ""),
    bind(
        Context::Confirm,
        &[key('y'), key('Y')],
        Action::Yes,
        "y",
        "yes",
    ),
    bind(
        Context::Confirm,
        &[key('n'), key('N'), ESC, ENTER],
        Action::Dismiss,
        "n",
        "no",
    ),
    bind(
        Context::Help,
        &[key('?'), key('q'), ESC, ENTER],
        Action::Dismiss,
        "Esc",
        "close the help",
    ),
];

/// What a key does in a context.
pub fn lookup(context: Context, event: &KeyEvent) -> Option<Action> {
    let pressed = normal(event);
    BINDINGS
        .iter()
        .find(|binding| binding.context == context && binding.chords.contains(&pressed))
        .map(|binding| binding.action)
}

/// Shift is in the character already, and a terminal may say `ctrl-B` for `ctrl-b`.
fn normal(event: &KeyEvent) -> Chord {
    let mut chord = Chord {
        code: event.code,
        modifiers: event.modifiers,
    };
    if let KeyCode::Char(c) = event.code {
        chord.modifiers.remove(KeyModifiers::SHIFT);
        if chord.modifiers.contains(KeyModifiers::CONTROL) {
            chord.code = KeyCode::Char(c.to_ascii_lowercase());
        }
    }
    chord
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pressed(code: KeyCode, modifiers: KeyModifiers) -> KeyEvent {
        KeyEvent::new(code, modifiers)
    }

    #[test]
    fn every_binding_is_reached_by_each_of_its_keys() {
        for binding in BINDINGS {
            for chord in binding.chords {
                let found = lookup(binding.context, &pressed(chord.code, chord.modifiers));
                assert_eq!(
                    found,
                    Some(binding.action),
                    "{:?} {chord:?}",
                    binding.context
                );
            }
        }
    }

    #[test]
    fn in_a_pane_nothing_is_taken_but_the_prefix() {
        let taken = |code, modifiers| lookup(Context::Pane, &pressed(code, modifiers));
        assert_eq!(
            taken(KeyCode::Char('b'), KeyModifiers::CONTROL),
            Some(Action::Prefix)
        );
        for c in (' '..='~').chain(['ä', '€']) {
            assert_eq!(taken(KeyCode::Char(c), KeyModifiers::NONE), None, "{c}");
            assert_eq!(taken(KeyCode::Char(c), KeyModifiers::ALT), None, "M-{c}");
            if !c.eq_ignore_ascii_case(&'b') {
                assert_eq!(
                    taken(KeyCode::Char(c), KeyModifiers::CONTROL),
                    None,
                    "C-{c}"
                );
            }
        }
        for code in [
            KeyCode::Esc,
            KeyCode::Tab,
            KeyCode::Enter,
            KeyCode::F(1),
            KeyCode::Up,
        ] {
            assert_eq!(taken(code, KeyModifiers::NONE), None, "{code:?}");
        }
    }

    #[test]
    fn shift_is_part_of_the_character() {
        let event = pressed(KeyCode::Char('G'), KeyModifiers::SHIFT);
        assert_eq!(lookup(Context::List, &event), Some(Action::Last));
        let event = pressed(
            KeyCode::Char('B'),
            KeyModifiers::CONTROL | KeyModifiers::SHIFT,
        );
        assert_eq!(lookup(Context::Pane, &event), Some(Action::Prefix));
    }

    #[test]
    fn enter_is_never_a_yes() {
        let event = pressed(KeyCode::Enter, KeyModifiers::NONE);
        assert_eq!(lookup(Context::Confirm, &event), Some(Action::Dismiss));
    }
}
