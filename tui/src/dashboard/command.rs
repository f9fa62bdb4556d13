//! Everything that a key can have done on the dashboard, and the keys that do it by default.

use super::column::Column;

macro_rules! commands {
    ($($name:ident $id:literal $help:literal;)*) => {
        /// What a key can have done.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Command {
            $(#[doc = $help] $name,)*
            /// Brings the machines into the order of a column; once more, into the opposite one.
            Sort(Column),
        }

        impl Command {
            /// Every one but those of the columns, in the order of the help.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Its name in the configuration.
            pub fn id(self) -> &'static str {
                match self {
                    $(Self::$name => $id,)*
                    Self::Sort(column) => sort_id(column),
                }
            }

            /// What it does, in a few words.
            pub fn help(self) -> &'static str {
                match self {
                    $(Self::$name => $help,)*
                    Self::Sort(_) => "in the order of this column; once more, the other way",
                }
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
    Open "open" "open a shell on the machine; fold or unfold the fleet";
    Run "run-command" "run a command on the marked machines, or on the selected one";
    Results "results" "the results of the last command";
    Detail "detail" "one machine in detail";
    Filter "filter" "show only some machines: web label:env=prod cpu>80 !state:offline";
    ClearFilter "clear-filter" "show all machines";
    SortNext "sort-next" "order by the next column";
    SortReverse "sort-reverse" "the opposite order";
    Fold "fold" "fold or unfold the fleet";
    FoldAll "fold-all" "fold or unfold all fleets";
    Group "group" "in fleets, or in one list";
    Mark "mark" "mark the machine, or all of the fleet, and go on";
    MarkAll "mark-all" "mark all machines that are shown, or none";
    MarkInvert "mark-invert" "mark the others";
    MarkClear "mark-clear" "take all marks away";
    Expand "expand" "show or hide the output";
    ExpandAll "expand-all" "show or hide all output";
    RunFailed "run-failed" "run it once more where it did not succeed";
    CancelRun "cancel-run" "end what still runs";
    Yes "yes" "yes";
    Help "help" "the keys";
    Dismiss "dismiss" "back";
}

fn sort_id(column: Column) -> &'static str {
    match column {
        Column::State => "sort-state",
        Column::Name => "sort-name",
        Column::Cpu => "sort-cpu",
        Column::Memory => "sort-memory",
        Column::Disk => "sort-disk",
        Column::Load => "sort-load",
        Column::Battery => "sort-battery",
        Column::Sessions => "sort-sessions",
        Column::Age => "sort-age",
        // A curve has no order of its own.
        Column::History => "sort-history",
        Column::System => "sort-system",
        Column::Labels => "sort-labels",
    }
}

impl Command {
    /// All commands, those of the columns at the end.
    pub fn all() -> impl Iterator<Item = Self> {
        let sorts = Column::SORTABLE.into_iter().map(Self::Sort);
        Self::ALL.iter().copied().chain(sorts)
    }

    /// The command of that name.
    pub fn of_id(id: &str) -> Option<Self> {
        Self::all().find(|command| command.id() == id)
    }
}

/// The table of keys in the list of machines.
pub const TABLE_KEYS: &str = "dashboard";
/// The table of keys in the detail view.
pub const DETAIL_KEYS: &str = "dashboard-detail";
/// The table of keys before a command runs on machines.
pub const CONFIRM_KEYS: &str = "dashboard-confirm";
/// The table of keys in the results of a command.
pub const RESULT_KEYS: &str = "dashboard-results";

/// The default keys: table, key as a configuration writes it, command.
pub const DEFAULT_KEYS: &[(&str, &str, &str)] = &[
    (TABLE_KEYS, "j", "down"),
    (TABLE_KEYS, "Down", "down"),
    (TABLE_KEYS, "k", "up"),
    (TABLE_KEYS, "Up", "up"),
    (TABLE_KEYS, "C-f", "page-down"),
    (TABLE_KEYS, "PageDown", "page-down"),
    (TABLE_KEYS, "PageUp", "page-up"),
    (TABLE_KEYS, "C-d", "half-page-down"),
    (TABLE_KEYS, "C-u", "half-page-up"),
    (TABLE_KEYS, "g", "first"),
    (TABLE_KEYS, "Home", "first"),
    (TABLE_KEYS, "G", "last"),
    (TABLE_KEYS, "End", "last"),
    (TABLE_KEYS, "Enter", "open"),
    (TABLE_KEYS, "x", "run-command"),
    (TABLE_KEYS, "X", "results"),
    (TABLE_KEYS, "i", "detail"),
    (TABLE_KEYS, "/", "filter"),
    (TABLE_KEYS, "\\", "clear-filter"),
    (TABLE_KEYS, "s", "sort-next"),
    (TABLE_KEYS, "S", "sort-reverse"),
    (TABLE_KEYS, "f", "fold"),
    (TABLE_KEYS, "F", "fold-all"),
    (TABLE_KEYS, "t", "group"),
    (TABLE_KEYS, "Space", "mark"),
    (TABLE_KEYS, "a", "mark-all"),
    (TABLE_KEYS, "v", "mark-invert"),
    (TABLE_KEYS, "u", "mark-clear"),
    (TABLE_KEYS, "?", "help"),
    (TABLE_KEYS, "q", "dismiss"),
    (TABLE_KEYS, "Esc", "dismiss"),
    (DETAIL_KEYS, "j", "down"),
    (DETAIL_KEYS, "Down", "down"),
    (DETAIL_KEYS, "k", "up"),
    (DETAIL_KEYS, "Up", "up"),
    (DETAIL_KEYS, "C-f", "page-down"),
    (DETAIL_KEYS, "PageDown", "page-down"),
    (DETAIL_KEYS, "PageUp", "page-up"),
    (DETAIL_KEYS, "g", "first"),
    (DETAIL_KEYS, "Home", "first"),
    (DETAIL_KEYS, "G", "last"),
    (DETAIL_KEYS, "End", "last"),
    (DETAIL_KEYS, "Enter", "open"),
    (DETAIL_KEYS, "x", "run-command"),
    (DETAIL_KEYS, "?", "help"),
    (DETAIL_KEYS, "i", "dismiss"),
    (DETAIL_KEYS, "q", "dismiss"),
    (DETAIL_KEYS, "Esc", "dismiss"),
    (CONFIRM_KEYS, "y", "yes"),
    (CONFIRM_KEYS, "Y", "yes"),
    (CONFIRM_KEYS, "n", "dismiss"),
    (CONFIRM_KEYS, "N", "dismiss"),
    (CONFIRM_KEYS, "q", "dismiss"),
    (CONFIRM_KEYS, "Esc", "dismiss"),
    (RESULT_KEYS, "j", "down"),
    (RESULT_KEYS, "Down", "down"),
    (RESULT_KEYS, "k", "up"),
    (RESULT_KEYS, "Up", "up"),
    (RESULT_KEYS, "C-f", "page-down"),
    (RESULT_KEYS, "PageDown", "page-down"),
    (RESULT_KEYS, "PageUp", "page-up"),
    (RESULT_KEYS, "C-d", "half-page-down"),
    (RESULT_KEYS, "C-u", "half-page-up"),
    (RESULT_KEYS, "g", "first"),
    (RESULT_KEYS, "Home", "first"),
    (RESULT_KEYS, "G", "last"),
    (RESULT_KEYS, "End", "last"),
    (RESULT_KEYS, "Enter", "expand"),
    (RESULT_KEYS, "Space", "expand"),
    (RESULT_KEYS, "e", "expand-all"),
    (RESULT_KEYS, "r", "run-failed"),
    (RESULT_KEYS, "C-c", "cancel-run"),
    (RESULT_KEYS, "?", "help"),
    (RESULT_KEYS, "q", "dismiss"),
    (RESULT_KEYS, "Esc", "dismiss"),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_default_key_leads_to_a_command_and_none_leads_to_two() {
        let mut seen = BTreeSet::new();
        for (table, key, id) in DEFAULT_KEYS {
            assert!(Command::of_id(id).is_some(), "{id}");
            assert!(seen.insert((table, key)), "{table} {key}");
        }
        for table in [TABLE_KEYS, DETAIL_KEYS, CONFIRM_KEYS, RESULT_KEYS] {
            assert!(
                DEFAULT_KEYS.contains(&(table, "Esc", "dismiss")),
                "{table} has a way out"
            );
        }
    }

    #[test]
    fn a_command_is_found_by_its_name_and_no_two_share_one() {
        let ids: BTreeSet<_> = Command::all().map(Command::id).collect();
        assert_eq!(ids.len(), Command::all().count());
        for command in Command::all() {
            assert_eq!(Command::of_id(command.id()), Some(command));
            assert!(!command.help().is_empty());
        }
    }
}
