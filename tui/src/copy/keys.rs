//! tmux's own keys in copy mode, as data: they are loaded into tables that people can change.
//!
//! Digits are not here: they count (see [`super::Mode::digit`]), and while something is asked, every key
//! is text (see [`super::Mode::input`]).

#[allow(clippy::enum_glob_use, reason = "the tables below name nearly all")]
use super::command::Command::{self, *};

/// Whose habits copy mode follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keys {
    /// The cursor is on a character, and a selection has it in it.
    #[default]
    Vi,
    /// The cursor is before a character, and a selection ends there.
    Emacs,
}

impl Keys {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Vi, Self::Emacs];

    /// The name of its table of keys.
    pub fn table(self) -> &'static str {
        match self {
            Self::Vi => "copy-vi",
            Self::Emacs => "copy-emacs",
        }
    }

    /// Its keys unless somebody changes them.
    pub fn bindings(self) -> &'static [(&'static str, Command)] {
        match self {
            Self::Vi => VI,
            Self::Emacs => EMACS,
        }
    }
}

/// The table `copy-vi`.
pub const VI: &[(&str, Command)] = &[
    ("h", CursorLeft),
    ("Left", CursorLeft),
    ("Backspace", CursorLeft),
    ("C-h", CursorLeft),
    ("l", CursorRight),
    ("Right", CursorRight),
    ("k", CursorUp),
    ("Up", CursorUp),
    ("j", CursorDown),
    ("Down", CursorDown),
    ("w", NextWord),
    ("e", NextWordEnd),
    ("b", PreviousWord),
    ("W", NextSpace),
    ("E", NextSpaceEnd),
    ("B", PreviousSpace),
    ("0", StartOfLine),
    ("Home", StartOfLine),
    ("$", EndOfLine),
    ("End", EndOfLine),
    ("^", BackToIndentation),
    ("}", NextParagraph),
    ("{", PreviousParagraph),
    ("%", NextMatchingBracket),
    ("f", JumpForward),
    ("F", JumpBackward),
    ("t", JumpToForward),
    ("T", JumpToBackward),
    (";", JumpAgain),
    (",", JumpReverse),
    ("K", ScrollUp),
    ("C-y", ScrollUp),
    ("C-Up", ScrollUp),
    ("J", ScrollDown),
    ("C-e", ScrollDown),
    ("C-Down", ScrollDown),
    ("C-u", HalfPageUp),
    ("C-d", HalfPageDown),
    ("C-b", PageUp),
    ("PageUp", PageUp),
    ("C-f", PageDown),
    ("PageDown", PageDown),
    ("H", TopLine),
    ("M", MiddleLine),
    ("L", BottomLine),
    ("z", ScrollMiddle),
    ("g", HistoryTop),
    ("G", HistoryBottom),
    (":", GotoLine),
    ("X", SetMark),
    ("M-x", JumpToMark),
    ("Space", BeginSelection),
    ("V", SelectLine),
    ("v", RectangleToggle),
    ("C-v", RectangleToggle),
    ("o", OtherEnd),
    ("Esc", ClearSelection),
    ("Enter", CopySelectionAndCancel),
    ("C-j", CopySelectionAndCancel),
    // Not of tmux, but of everybody's configuration of it.
    ("y", CopySelectionAndCancel),
    ("D", CopyEndOfLineAndCancel),
    ("/", SearchForward),
    ("?", SearchBackward),
    ("*", SearchWordForward),
    ("#", SearchWordBackward),
    ("n", SearchAgain),
    ("N", SearchReverse),
    ("P", TogglePosition),
    ("q", Cancel),
    ("C-c", Cancel),
];

/// The table `copy-emacs`.
pub const EMACS: &[(&str, Command)] = &[
    ("C-b", CursorLeft),
    ("Left", CursorLeft),
    ("C-f", CursorRight),
    ("Right", CursorRight),
    ("C-p", CursorUp),
    ("Up", CursorUp),
    ("C-n", CursorDown),
    ("Down", CursorDown),
    ("M-f", NextWordEnd),
    ("M-b", PreviousWord),
    ("C-a", StartOfLine),
    ("Home", StartOfLine),
    ("C-e", EndOfLine),
    ("End", EndOfLine),
    ("M-m", BackToIndentation),
    ("M-}", NextParagraph),
    ("M-{", PreviousParagraph),
    ("C-M-f", NextMatchingBracket),
    ("C-M-b", PreviousMatchingBracket),
    ("f", JumpForward),
    ("F", JumpBackward),
    ("t", JumpToForward),
    ("T", JumpToBackward),
    (";", JumpAgain),
    (",", JumpReverse),
    ("C-Up", ScrollUp),
    ("C-Down", ScrollDown),
    ("M-Up", HalfPageUp),
    ("M-Down", HalfPageDown),
    ("M-v", PageUp),
    ("PageUp", PageUp),
    ("C-v", PageDown),
    ("PageDown", PageDown),
    ("Space", PageDown),
    ("M-R", TopLine),
    ("M-r", MiddleLine),
    ("M-<", HistoryTop),
    ("M->", HistoryBottom),
    ("g", GotoLine),
    ("X", SetMark),
    ("M-x", JumpToMark),
    ("C-Space", BeginSelection),
    ("R", RectangleToggle),
    ("C-g", ClearSelection),
    ("C-w", CopySelectionAndCancel),
    ("M-w", CopySelectionAndCancel),
    ("C-k", CopyEndOfLineAndCancel),
    ("C-s", SearchForward),
    ("C-r", SearchBackward),
    ("n", SearchAgain),
    ("N", SearchReverse),
    ("P", TogglePosition),
    ("q", Cancel),
    ("Esc", Cancel),
    ("C-c", Cancel),
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_key_means_two_things() {
        for keys in Keys::ALL {
            let mut seen = HashSet::new();
            for (chord, _) in keys.bindings() {
                assert!(seen.insert(chord), "{} {chord}", keys.table());
            }
        }
    }

    #[test]
    fn every_table_can_leave_select_copy_and_search() {
        for keys in Keys::ALL {
            for command in [
                Cancel,
                BeginSelection,
                RectangleToggle,
                CopySelectionAndCancel,
                SearchForward,
                SearchBackward,
                SearchAgain,
                SearchReverse,
                HistoryTop,
                HistoryBottom,
            ] {
                let has = keys.bindings().iter().any(|(_, bound)| *bound == command);
                assert!(has, "{} {command}", keys.table());
            }
        }
    }
}
