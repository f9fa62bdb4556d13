//! Everything that a key can do in copy mode, under tmux's own names where tmux has one.

use std::str::FromStr;

macro_rules! commands {
    ($($name:ident $id:literal $help:literal;)*) => {
        /// What a key does in copy mode.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Command {
            $(#[doc = $help] $name,)*
        }

        impl Command {
            /// Every one, in the order of the help.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Its name in the configuration.
            pub fn id(self) -> &'static str {
                match self { $(Self::$name => $id,)* }
            }

            /// What it does, in a few words.
            pub fn help(self) -> &'static str {
                match self { $(Self::$name => $help,)* }
            }
        }
    };
}

commands! {
    CursorLeft "cursor-left" "left";
    CursorRight "cursor-right" "right";
    CursorUp "cursor-up" "up";
    CursorDown "cursor-down" "down";
    NextWord "next-word" "to the next word";
    NextWordEnd "next-word-end" "to the end of the word";
    PreviousWord "previous-word" "to the word before";
    NextSpace "next-space" "to the next word between blanks";
    NextSpaceEnd "next-space-end" "to the end of the word between blanks";
    PreviousSpace "previous-space" "to the word between blanks before";
    StartOfLine "start-of-line" "to the start of the line";
    EndOfLine "end-of-line" "to the end of the line";
    BackToIndentation "back-to-indentation" "to the first character of the line";
    NextParagraph "next-paragraph" "to the next blank line";
    PreviousParagraph "previous-paragraph" "to the blank line before";
    NextMatchingBracket "next-matching-bracket" "to the matching bracket";
    PreviousMatchingBracket "previous-matching-bracket" "to the matching bracket, looking back";
    JumpForward "jump-forward" "to a character in the line";
    JumpBackward "jump-backward" "back to a character in the line";
    JumpToForward "jump-to-forward" "to before a character in the line";
    JumpToBackward "jump-to-backward" "back to after a character in the line";
    JumpAgain "jump-again" "to that character again";
    JumpReverse "jump-reverse" "to that character the other way";
    ScrollUp "scroll-up" "show a row above";
    ScrollDown "scroll-down" "show a row below";
    HalfPageUp "halfpage-up" "half a page up";
    HalfPageDown "halfpage-down" "half a page down";
    PageUp "page-up" "a page up";
    PageDown "page-down" "a page down";
    TopLine "top-line" "to the first row that is shown";
    MiddleLine "middle-line" "to the row in the middle";
    BottomLine "bottom-line" "to the last row that is shown";
    ScrollMiddle "scroll-middle" "the row of the cursor to the middle";
    HistoryTop "history-top" "to the oldest row";
    HistoryBottom "history-bottom" "to the newest row";
    GotoLine "goto-line" "to a row by its number";
    SetMark "set-mark" "mark this place";
    JumpToMark "jump-to-mark" "to the mark, and mark this place";
    BeginSelection "begin-selection" "begin to select";
    SelectLine "select-line" "select lines";
    SelectWord "select-word" "select the word";
    RectangleToggle "rectangle-toggle" "select a rectangle, or not";
    OtherEnd "other-end" "to the other end of the selection";
    ClearSelection "clear-selection" "select nothing";
    CopySelection "copy-selection" "copy what is selected";
    CopySelectionAndCancel "copy-selection-and-cancel" "copy what is selected, and leave";
    CopyLineAndCancel "copy-line-and-cancel" "copy the line, and leave";
    CopyEndOfLineAndCancel "copy-end-of-line-and-cancel" "copy to the end of the line, and leave";
    SearchForward "search-forward" "search down";
    SearchBackward "search-backward" "search up";
    SearchWordForward "search-word-forward" "search the word down";
    SearchWordBackward "search-word-backward" "search the word up";
    SearchAgain "search-again" "search on";
    SearchReverse "search-reverse" "search on the other way";
    TogglePosition "toggle-position" "show where this is, or not";
    Cancel "cancel" "leave";
}

/// What is no command of copy mode.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("copy mode has no command `{0}`")]
pub struct NoCommand(String);

impl FromStr for Command {
    type Err = NoCommand;

    fn from_str(id: &str) -> Result<Self, NoCommand> {
        let known = Self::ALL.iter().find(|command| command.id() == id);
        known.copied().ok_or_else(|| NoCommand(id.to_owned()))
    }
}

impl std::fmt::Display for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_read_as_it_is_written() {
        for command in Command::ALL {
            assert_eq!(command.to_string().parse(), Ok(*command));
            assert!(!command.help().is_empty());
        }
        assert!("fly".parse::<Command>().is_err());
    }
}
