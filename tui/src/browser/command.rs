//! Everything that a key can have done among files, and the keys that do it by default: those of Midnight
//! Commander and of vi side by side, as file managers have them.

macro_rules! commands {
    ($($name:ident $id:literal $help:literal;)*) => {
        /// What a key can have done.
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
    Down "down" "next row";
    Up "up" "row before";
    PageDown "page-down" "a page down";
    PageUp "page-up" "a page up";
    HalfDown "half-page-down" "half a page down";
    HalfUp "half-page-up" "half a page up";
    First "first" "first row";
    Last "last" "last row";
    Open "open" "into the directory; a file's preview; what went wrong";
    Parent "parent" "to the directory above";
    Other "other-side" "to the other side";
    Home "home" "to the home directory";
    Back "back" "to the directory before";
    GoTo "go-to" "to a path that is typed";
    End "choose-machine" "this side: another machine, or here";
    Same "same-directory" "the other side: to this directory";
    Swap "swap-sides" "swap the sides";
    Refresh "refresh" "look again";
    Mark "mark" "mark, and go on";
    MarkAll "mark-all" "mark all that are shown, or none";
    MarkInvert "mark-invert" "mark the others";
    MarkGlob "mark-glob" "mark by a pattern: *.log";
    MarkClear "mark-clear" "take all marks away";
    Filter "filter" "show only names that hold what is typed";
    Hidden "hidden" "show or hide names that begin with a dot";
    SortNext "sort-next" "order by name, size or time";
    SortReverse "sort-reverse" "the opposite order";
    Copy "copy" "copy to the other side";
    Move "move" "move to the other side";
    Rename "rename" "rename";
    Mkdir "make-directory" "make a directory";
    Delete "delete" "delete (asks first)";
    Preview "preview" "show or hide what is in the selected file";
    PreviewDown "preview-down" "the preview, further down";
    PreviewUp "preview-up" "the preview, further up";
    FindName "find-name" "search names below here: *.conf, or a part";
    FindText "find-text" "search contents below here: a regular expression";
    Found "found" "what was found last";
    Bookmarks "bookmarks" "to a bookmark";
    Bookmark "bookmark" "bookmark this directory, or no more";
    Shell "shell" "a shell in this directory";
    CopyPath "copy-path" "copy the path to the clipboard";
    Transfers "transfers" "what is copied, moved and deleted";
    Pause "pause" "pause, or go on";
    Retry "retry" "try again: what is there already does not travel again";
    Cancel "cancel" "end it";
    Verify "verify" "compare the copies with what they are copies of";
    Forget "forget" "take away what is over";
    Yes "yes" "yes";
    Replace "replace" "replace what is there";
    Skip "skip" "leave what is there";
    Beside "keep-both" "give the new ones other names";
    Resume "resume" "go on with what is there";
    Help "help" "the keys";
    Dismiss "dismiss" "back";
}

impl Command {
    /// The command of that name.
    pub fn of_id(id: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|command| command.id() == id)
    }
}

/// The table of keys of the two sides.
pub const SIDES_KEYS: &str = "files";
/// The table of keys of what is copied, moved and deleted.
pub const TRANSFERS_KEYS: &str = "files-transfers";
/// The table of keys of what was found.
pub const FOUND_KEYS: &str = "files-found";
/// The table of keys before something is deleted.
pub const CONFIRM_KEYS: &str = "files-confirm";
/// The table of keys where something is there already.
pub const CLASH_KEYS: &str = "files-clash";

/// All of them.
pub const TABLES: [&str; 5] = [
    SIDES_KEYS,
    TRANSFERS_KEYS,
    FOUND_KEYS,
    CONFIRM_KEYS,
    CLASH_KEYS,
];

/// The keys that every list has.
const MOVING: &[(&str, Command)] = &[
    ("j", Command::Down),
    ("Down", Command::Down),
    ("k", Command::Up),
    ("Up", Command::Up),
    ("C-f", Command::PageDown),
    ("PageDown", Command::PageDown),
    ("PageUp", Command::PageUp),
    ("C-d", Command::HalfDown),
    ("C-u", Command::HalfUp),
    ("g", Command::First),
    ("Home", Command::First),
    ("G", Command::Last),
    ("End", Command::Last),
    ("?", Command::Help),
    ("q", Command::Dismiss),
    ("Esc", Command::Dismiss),
];

const SIDES: &[(&str, Command)] = &[
    ("Enter", Command::Open),
    ("l", Command::Open),
    ("Right", Command::Open),
    ("h", Command::Parent),
    ("Left", Command::Parent),
    ("Backspace", Command::Parent),
    ("Tab", Command::Other),
    ("~", Command::Home),
    ("-", Command::Back),
    (":", Command::GoTo),
    ("M", Command::End),
    ("=", Command::Same),
    ("x", Command::Swap),
    ("R", Command::Refresh),
    ("C-r", Command::Refresh),
    ("Space", Command::Mark),
    ("Insert", Command::Mark),
    ("a", Command::MarkAll),
    ("v", Command::MarkInvert),
    ("*", Command::MarkInvert),
    ("+", Command::MarkGlob),
    ("u", Command::MarkClear),
    ("/", Command::Filter),
    (".", Command::Hidden),
    ("s", Command::SortNext),
    ("S", Command::SortReverse),
    ("c", Command::Copy),
    ("F5", Command::Copy),
    ("m", Command::Move),
    ("F6", Command::Move),
    ("r", Command::Rename),
    ("F2", Command::Rename),
    ("n", Command::Mkdir),
    ("F7", Command::Mkdir),
    ("d", Command::Delete),
    ("F8", Command::Delete),
    ("Delete", Command::Delete),
    ("i", Command::Preview),
    ("F3", Command::Preview),
    ("J", Command::PreviewDown),
    ("K", Command::PreviewUp),
    ("f", Command::FindName),
    ("F", Command::FindText),
    ("e", Command::Found),
    ("b", Command::Bookmarks),
    ("B", Command::Bookmark),
    ("!", Command::Shell),
    ("y", Command::CopyPath),
    ("t", Command::Transfers),
];

const TRANSFERS: &[(&str, Command)] = &[
    ("Enter", Command::Open),
    ("p", Command::Pause),
    ("Space", Command::Pause),
    ("r", Command::Retry),
    ("x", Command::Cancel),
    ("v", Command::Verify),
    ("c", Command::Forget),
    ("t", Command::Dismiss),
];

const FOUND: &[(&str, Command)] = &[
    ("Enter", Command::Open),
    ("l", Command::Open),
    ("x", Command::Cancel),
    ("C-c", Command::Cancel),
    ("y", Command::CopyPath),
];

const CONFIRM: &[(&str, Command)] = &[
    ("y", Command::Yes),
    ("Y", Command::Yes),
    ("n", Command::Dismiss),
    ("N", Command::Dismiss),
    ("q", Command::Dismiss),
    ("Esc", Command::Dismiss),
];

const CLASH: &[(&str, Command)] = &[
    ("o", Command::Replace),
    ("s", Command::Skip),
    ("k", Command::Beside),
    ("r", Command::Resume),
    ("n", Command::Dismiss),
    ("q", Command::Dismiss),
    ("Esc", Command::Dismiss),
];

/// The default keys: table, key as a configuration writes it, command.
pub fn default_keys() -> impl Iterator<Item = (&'static str, &'static str, Command)> {
    let lists = [SIDES_KEYS, TRANSFERS_KEYS, FOUND_KEYS];
    let moving = lists.into_iter().map(|table| (table, MOVING));
    let own = [
        (SIDES_KEYS, SIDES),
        (TRANSFERS_KEYS, TRANSFERS),
        (FOUND_KEYS, FOUND),
        (CONFIRM_KEYS, CONFIRM),
        (CLASH_KEYS, CLASH),
    ];
    moving.chain(own).flat_map(|(table, keys)| {
        keys.iter()
            .map(move |(key, command)| (table, *key, *command))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_key_leads_to_two_commands_and_each_table_has_a_way_out() {
        let mut seen = BTreeSet::new();
        for (table, key, _) in default_keys() {
            assert!(TABLES.contains(&table));
            assert!(seen.insert((table, key)), "{table} {key}");
        }
        for table in TABLES {
            let out = (table, "Esc", Command::Dismiss);
            assert!(default_keys().any(|key| key == out), "{table}");
        }
    }

    #[test]
    fn a_command_is_found_by_its_name_and_has_a_key() {
        for command in Command::ALL {
            assert_eq!(Command::of_id(command.id()), Some(*command));
            assert!(
                default_keys().any(|(_, _, bound)| bound == *command),
                "{}",
                command.id()
            );
        }
    }
}
