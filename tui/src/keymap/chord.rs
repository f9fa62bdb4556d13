//! One key with its modifiers, and how people write it: `C-b`, `M-Left`, `S-Tab`, `%`, `F5`, `Space`.

use std::fmt;
use std::str::FromStr;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// A key as it is bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Chord {
    code: KeyCode,
    modifiers: KeyModifiers,
}

/// What is no key.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "`{0}` is no key: write `a`, `C-a`, `M-a`, `C-M-Left`, `S-Tab`, `Space`, `Enter`, `Esc`, `F1`, `PageUp`, …"
)]
pub struct NoKey(String);

/// Keys with a name; the first name of a key is the one that is shown.
const NAMES: &[(&str, KeyCode)] = &[
    ("Space", KeyCode::Char(' ')),
    ("Enter", KeyCode::Enter),
    ("Tab", KeyCode::Tab),
    ("Esc", KeyCode::Esc),
    ("Escape", KeyCode::Esc),
    ("Backspace", KeyCode::Backspace),
    ("BSpace", KeyCode::Backspace),
    ("Delete", KeyCode::Delete),
    ("DC", KeyCode::Delete),
    ("Insert", KeyCode::Insert),
    ("Up", KeyCode::Up),
    ("Down", KeyCode::Down),
    ("Left", KeyCode::Left),
    ("Right", KeyCode::Right),
    ("Home", KeyCode::Home),
    ("End", KeyCode::End),
    ("PageUp", KeyCode::PageUp),
    ("PgUp", KeyCode::PageUp),
    ("PPage", KeyCode::PageUp),
    ("PageDown", KeyCode::PageDown),
    ("PgDn", KeyCode::PageDown),
    ("NPage", KeyCode::PageDown),
];

impl Chord {
    /// The key that was pressed. Shift is in a character already, a terminal may say `ctrl-B` for
    /// `ctrl-b`, and has a key of its own for shift and tab.
    pub fn of(event: &KeyEvent) -> Self {
        Self::new(event.code, event.modifiers)
    }

    fn new(code: KeyCode, modifiers: KeyModifiers) -> Self {
        let known = KeyModifiers::CONTROL | KeyModifiers::ALT | KeyModifiers::SHIFT;
        let mut chord = Self {
            code,
            modifiers: modifiers & known,
        };
        match chord.code {
            KeyCode::Char(c) => {
                chord.modifiers.remove(KeyModifiers::SHIFT);
                if chord.modifiers.contains(KeyModifiers::CONTROL) {
                    chord.code = KeyCode::Char(c.to_ascii_lowercase());
                }
            }
            KeyCode::BackTab => {
                chord.code = KeyCode::Tab;
                chord.modifiers.insert(KeyModifiers::SHIFT);
            }
            KeyCode::Null => {
                chord.code = KeyCode::Char(' ');
                chord.modifiers.insert(KeyModifiers::CONTROL);
            }
            _ => {}
        }
        chord
    }

    /// The key itself, to be sent on to a program.
    pub fn event(self) -> KeyEvent {
        KeyEvent::new(self.code, self.modifiers)
    }

    /// The digit, if it is one without modifiers.
    pub fn digit(self) -> Option<u8> {
        match (self.code, self.modifiers) {
            (KeyCode::Char(c @ '0'..='9'), KeyModifiers::NONE) => Some(c as u8 - b'0'),
            _ => None,
        }
    }
}

impl FromStr for Chord {
    type Err = NoKey;

    fn from_str(text: &str) -> Result<Self, NoKey> {
        let mut modifiers = KeyModifiers::NONE;
        let mut rest = text;
        // A lone `-`, and what follows `C-`, is a key.
        while let Some((head, tail)) = rest.split_once('-').filter(|(_, tail)| !tail.is_empty()) {
            modifiers |= match head {
                "C" => KeyModifiers::CONTROL,
                "M" | "A" => KeyModifiers::ALT,
                "S" => KeyModifiers::SHIFT,
                _ => return Err(NoKey(text.to_owned())),
            };
            rest = tail;
        }
        let code = code(rest).ok_or_else(|| NoKey(text.to_owned()))?;
        Ok(Self::new(code, modifiers))
    }
}

fn code(name: &str) -> Option<KeyCode> {
    let mut characters = name.chars();
    if let (Some(only), None) = (characters.next(), characters.next()) {
        return (!only.is_control()).then_some(KeyCode::Char(only));
    }
    let function = || {
        let number: u8 = name.strip_prefix(['F', 'f'])?.parse().ok()?;
        (1..=20).contains(&number).then_some(KeyCode::F(number))
    };
    let named = NAMES
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(name));
    named.map(|(_, code)| *code).or_else(function)
}

impl fmt::Display for Chord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (modifier, mark) in [
            (KeyModifiers::CONTROL, "C-"),
            (KeyModifiers::ALT, "M-"),
            (KeyModifiers::SHIFT, "S-"),
        ] {
            if self.modifiers.contains(modifier) {
                f.write_str(mark)?;
            }
        }
        if let Some((name, _)) = NAMES.iter().find(|(_, code)| *code == self.code) {
            return f.write_str(name);
        }
        match self.code {
            KeyCode::Char(c) => write!(f, "{c}"),
            KeyCode::F(number) => write!(f, "F{number}"),
            other => write!(f, "{other}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_written_as_it_is_read() {
        for text in [
            "a", "%", "C-b", "M-Left", "C-M-Up", "S-Tab", "Space", "C-Space", "F12", "-", "C--",
            "é",
        ] {
            let chord: Chord = text.parse().unwrap();
            assert_eq!(chord.to_string(), text);
        }
        assert_eq!("PPage".parse::<Chord>().unwrap().to_string(), "PageUp");
    }

    #[test]
    fn what_is_no_key_is_refused_by_name() {
        for text in ["", "C-", "X-a", "F0", "F21", "Bogus", "ab", "\u{1b}"] {
            let refused = text.parse::<Chord>();
            assert!(refused.is_err(), "{text:?} {refused:?}");
        }
    }

    #[test]
    fn a_key_is_the_same_however_the_terminal_tells_it() {
        let same = |code, modifiers, text: &str| {
            let pressed = Chord::of(&KeyEvent::new(code, modifiers));
            assert_eq!(pressed, text.parse().unwrap(), "{text}");
        };
        same(KeyCode::Char('G'), KeyModifiers::SHIFT, "G");
        same(
            KeyCode::Char('B'),
            KeyModifiers::CONTROL | KeyModifiers::SHIFT,
            "C-b",
        );
        same(KeyCode::BackTab, KeyModifiers::SHIFT, "S-Tab");
        same(KeyCode::BackTab, KeyModifiers::NONE, "S-Tab");
        same(KeyCode::Null, KeyModifiers::NONE, "C-Space");
    }
}
