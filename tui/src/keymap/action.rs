//! Everything that a person can have done: one list that drives the keys, the palette, the hints, the
//! help, and the mouse.

use std::fmt;
use std::str::FromStr;

use crate::browser;
use crate::copy::Command;
use crate::dashboard;
use crate::tiles::{Direction, Preset};

/// Where an action stands in the help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Category {
    /// Panes of a tab.
    Panes,
    /// Tabs.
    Tabs,
    /// The session in a pane.
    Session,
    /// What else there is to see.
    Views,
    /// The list of machines and sessions.
    Fleet,
    /// The dashboard.
    Dashboard,
    /// Files.
    Files,
    /// Looking back and copying.
    Copy,
    /// This client.
    Client,
}

impl Category {
    /// In the order of the help.
    pub const ALL: [Self; 9] = [
        Self::Panes,
        Self::Tabs,
        Self::Session,
        Self::Views,
        Self::Fleet,
        Self::Dashboard,
        Self::Files,
        Self::Copy,
        Self::Client,
    ];

    /// Its heading.
    pub fn title(self) -> &'static str {
        match self {
            Self::Panes => "panes",
            Self::Tabs => "tabs",
            Self::Session => "session",
            Self::Views => "views",
            Self::Fleet => "fleet",
            Self::Dashboard => "dashboard",
            Self::Files => "files",
            Self::Copy => "copy mode",
            Self::Client => "client",
        }
    }
}

macro_rules! verbs {
    ($($name:ident $id:literal $category:ident $help:literal;)*) => {
        /// What needs nothing else to be said.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Verb {
            $(#[doc = $help] $name,)*
        }

        impl Verb {
            /// Every one, in the order of the help.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Its name in the configuration.
            pub fn id(self) -> &'static str {
                match self { $(Self::$name => $id,)* }
            }

            /// Where it belongs.
            pub fn category(self) -> Category {
                match self { $(Self::$name => Category::$category,)* }
            }

            /// What it does, in a few words.
            pub fn help(self) -> &'static str {
                match self { $(Self::$name => $help,)* }
            }
        }
    };
}

verbs! {
    SplitRight "split-right" Panes "split: a new pane at the right";
    SplitDown "split-down" Panes "split: a new pane below";
    FocusLeft "focus-left" Panes "to the pane at the left";
    FocusRight "focus-right" Panes "to the pane at the right";
    FocusUp "focus-up" Panes "to the pane above";
    FocusDown "focus-down" Panes "to the pane below";
    FocusNext "focus-next" Panes "to the next pane";
    FocusLast "focus-last" Panes "to the pane before";
    FocusNumber "focus-number" Panes "to a pane by its number";
    Zoom "zoom" Panes "the pane alone, and back";
    ClosePane "close-pane" Panes "close the pane and end its session (asks first)";
    LeavePane "leave-pane" Panes "close the pane; its session lives on";
    SwapBack "swap-back" Panes "swap with the pane before";
    SwapForward "swap-forward" Panes "swap with the next pane";
    Rotate "rotate" Panes "rotate the panes";
    RotateBack "rotate-back" Panes "rotate the panes the other way";
    NextLayout "next-layout" Panes "the next layout";
    BreakPane "break-pane" Panes "the pane to a tab of its own";
    JoinPane "join-pane" Panes "bring a pane of another tab here";
    NewFloat "new-float" Panes "a new floating pane";
    ToggleFloat "toggle-float" Panes "float the pane, or put it back";
    HideFloats "hide-floats" Panes "hide or show the floating panes";
    Synchronise "synchronise" Panes "type into all panes of the tab at once";
    NewTab "new-tab" Tabs "a new tab with a shell on the same machine";
    NextTab "next-tab" Tabs "next tab";
    PreviousTab "previous-tab" Tabs "tab before";
    LastTab "last-tab" Tabs "the tab that was shown last";
    NextAlert "next-alert" Tabs "to the next tab that rang or printed";
    RenameTab "rename-tab" Tabs "name the tab";
    CloseTab "close-tab" Tabs "close the tab; its sessions live on";
    MoveTabLeft "move-tab-left" Tabs "move the tab to the left";
    MoveTabRight "move-tab-right" Tabs "move the tab to the right";
    RenameSession "rename-session" Session "name the session";
    WatchOnly "watch-only" Session "attach read-only, or to type again";
    RequestKeyboard "request-keyboard" Session "ask for the keyboard";
    GiveKeyboard "give-keyboard" Session "hand the keyboard to who asked for it";
    TakeKeyboard "take-keyboard" Session "take the keyboard";
    WhoIsHere "who-is-here" Session "who is attached, and who types";
    Redraw "redraw" Session "draw everything anew";
    SendPrefix "send-prefix" Session "send the prefix to the program";
    CopyMode "copy-mode" Session "look back, search and copy";
    PasteBuffer "paste-buffer" Session "paste what was copied last";
    ShowFleet "fleet" Views "machines and sessions";
    ShowDashboard "show-dashboard" Views "all machines with their readings";
    ShowFiles "browse-files" Views "files: here, and of the machine";
    PickSession "pick-session" Views "pick a session";
    PickTab "pick-tab" Views "pick a tab";
    PickMachine "pick-machine" Views "a new tab on another machine";
    SplitMachine "split-machine" Views "a new pane on another machine";
    Palette "palette" Views "everything there is to do, by name";
    Help "help" Views "the keys";
    Messages "messages" Views "the messages so far";
    Detach "detach" Client "leave; sessions live on";
    Lock "lock" Client "every key to the program, the prefix too; C-g C-g ends it";
    Reload "reload" Client "read the configuration and the theme again";
    Down "down" Fleet "next row";
    Up "up" Fleet "row before";
    First "first" Fleet "first row";
    Last "last" Fleet "last row";
    Open "open" Fleet "attach, or open a shell on a machine";
    Watch "watch" Fleet "watch a session, read-only";
    New "new" Fleet "new session on this machine";
    EndSession "end-session" Fleet "end this session (asks first)";
    ShowTabs "tabs" Fleet "back to the panes";
    Dismiss "dismiss" Client "take away what lies on top";
    Yes "yes" Client "yes";
}

/// What a key can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// What needs nothing else to be said.
    Do(Verb),
    /// Moves a border of the pane by so many cells.
    Resize(Direction, u16),
    /// Shows a tab by its number.
    SelectTab(u16),
    /// Arranges the panes.
    Layout(Preset),
    /// The next key is looked up in this table.
    Table(String),
    /// Another theme.
    Theme(String),
    /// What copy mode does.
    Copy(Command),
    /// What the dashboard does.
    Dashboard(dashboard::Command),
    /// What is done among files.
    Files(browser::Command),
}

/// What is no action.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum NoAction {
    /// There is none of that name.
    #[error("there is no action `{0}`; did you mean `{1}`?")]
    Unknown(String, &'static str),
    /// It wants something else after its name.
    #[error("the action `{0}` wants {1} after its name")]
    Argument(&'static str, &'static str),
}

/// Actions with an argument: name, what it wants, what it does, where it belongs.
pub const WITH_ARGUMENT: &[(&str, &str, &str, Category)] = &[
    (
        "resize-left",
        "a number of cells",
        "make the pane smaller or larger, to the left",
        Category::Panes,
    ),
    (
        "resize-right",
        "a number of cells",
        "make the pane smaller or larger, to the right",
        Category::Panes,
    ),
    (
        "resize-up",
        "a number of cells",
        "make the pane smaller or larger, upwards",
        Category::Panes,
    ),
    (
        "resize-down",
        "a number of cells",
        "make the pane smaller or larger, downwards",
        Category::Panes,
    ),
    (
        "select-tab",
        "the number of a tab",
        "show a tab",
        Category::Tabs,
    ),
    (
        "layout",
        "the name of a layout",
        "arrange the panes",
        Category::Panes,
    ),
    (
        "table",
        "the name of a table of keys",
        "the next key is looked up in this table",
        Category::Client,
    ),
    (
        "theme",
        "the name of a theme",
        "other colours",
        Category::Client,
    ),
    (
        "dashboard",
        "what the dashboard can do",
        "something on the dashboard",
        Category::Dashboard,
    ),
    (
        "files",
        "what can be done among files",
        "something among files",
        Category::Files,
    ),
];

impl Action {
    /// What it does, in a few words.
    pub fn help(&self) -> String {
        match self {
            Self::Do(verb) => verb.help().to_owned(),
            Self::Resize(direction, 1) => format!("move a border {}", way(*direction)),
            Self::Resize(direction, cells) => {
                format!("move a border {} by {cells}", way(*direction))
            }
            Self::SelectTab(number) => format!("tab {number}"),
            Self::Layout(preset) => format!("layout {}", preset.name()),
            Self::Table(name) => format!("keys of `{name}`"),
            Self::Theme(name) => format!("theme {name}"),
            Self::Copy(command) => command.help().to_owned(),
            Self::Dashboard(command) => command.help().to_owned(),
            Self::Files(command) => command.help().to_owned(),
        }
    }

    /// Its place in the help: before it comes what is done more often.
    pub fn place(&self) -> (Category, usize) {
        let place = match self {
            Self::Do(verb) => Verb::ALL
                .iter()
                .position(|other| other == verb)
                .unwrap_or(0),
            // Beside what is like them.
            Self::Resize(..) => Verb::Zoom as usize,
            Self::Layout(_) => Verb::NextLayout as usize,
            Self::SelectTab(_) => Verb::LastTab as usize,
            Self::Copy(command) => *command as usize,
            Self::Dashboard(command) => {
                let mut all = dashboard::Command::all();
                all.position(|other| other == *command).unwrap_or(0)
            }
            Self::Files(command) => *command as usize,
            Self::Table(_) | Self::Theme(_) => Verb::ALL.len(),
        };
        (self.category(), place)
    }

    /// Where it stands in the help.
    pub fn category(&self) -> Category {
        match self {
            Self::Do(verb) => verb.category(),
            Self::Resize(..) | Self::Layout(_) => Category::Panes,
            Self::SelectTab(_) => Category::Tabs,
            Self::Copy(_) => Category::Copy,
            Self::Dashboard(_) => Category::Dashboard,
            Self::Files(_) => Category::Files,
            Self::Table(_) | Self::Theme(_) => Category::Client,
        }
    }
}

fn way(direction: Direction) -> &'static str {
    match direction {
        Direction::Left => "left",
        Direction::Right => "right",
        Direction::Up => "up",
        Direction::Down => "down",
    }
}

impl From<Verb> for Action {
    fn from(verb: Verb) -> Self {
        Self::Do(verb)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Do(verb) => f.write_str(verb.id()),
            Self::Resize(direction, cells) => write!(f, "resize-{} {cells}", way(*direction)),
            Self::SelectTab(number) => write!(f, "select-tab {number}"),
            Self::Layout(preset) => write!(f, "layout {}", preset.name()),
            Self::Table(name) => write!(f, "table {name}"),
            Self::Theme(name) => write!(f, "theme {name}"),
            Self::Copy(command) => f.write_str(command.id()),
            Self::Dashboard(command) => write!(f, "dashboard {}", command.id()),
            Self::Files(command) => write!(f, "files {}", command.id()),
        }
    }
}

impl FromStr for Action {
    type Err = NoAction;

    fn from_str(text: &str) -> Result<Self, NoAction> {
        let (name, argument) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
        let argument = argument.trim();
        if let Some(verb) = Verb::ALL.iter().find(|verb| verb.id() == name) {
            return if argument.is_empty() {
                Ok(Self::Do(*verb))
            } else {
                Err(NoAction::Argument(verb.id(), "nothing"))
            };
        }
        if argument.is_empty()
            && let Ok(command) = name.parse()
        {
            return Ok(Self::Copy(command));
        }
        let Some((name, wants, ..)) = WITH_ARGUMENT.iter().find(|(known, ..)| *known == name)
        else {
            return Err(NoAction::Unknown(name.to_owned(), nearest(name)));
        };
        with_argument(name, argument).ok_or(NoAction::Argument(name, wants))
    }
}

fn with_argument(name: &str, argument: &str) -> Option<Action> {
    let text = || (!argument.is_empty()).then(|| argument.to_owned());
    Some(match name {
        "select-tab" => Action::SelectTab(argument.parse().ok()?),
        "layout" => Action::Layout(Preset::named(argument)?),
        "table" => Action::Table(text()?),
        "theme" => Action::Theme(text()?),
        "dashboard" => Action::Dashboard(dashboard::Command::of_id(argument)?),
        "files" => Action::Files(browser::Command::of_id(argument)?),
        _ => {
            let direction = match name {
                "resize-left" => Direction::Left,
                "resize-right" => Direction::Right,
                "resize-up" => Direction::Up,
                _ => Direction::Down,
            };
            let cells = if argument.is_empty() {
                1
            } else {
                argument.parse().ok()?
            };
            Action::Resize(direction, cells)
        }
    })
}

/// The known name that is the most like what was written.
fn nearest(name: &str) -> &'static str {
    let verbs = Verb::ALL.iter().map(|verb| verb.id());
    let commands = Command::ALL.iter().map(|command| command.id());
    let names = verbs
        .chain(commands)
        .chain(WITH_ARGUMENT.iter().map(|(name, ..)| *name));
    let likeness = |known: &&str| strsim::normalized_damerau_levenshtein(name, known);
    let best = names.max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    best.unwrap_or("help")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_is_read_as_it_is_written() {
        let with_argument = [
            Action::Resize(Direction::Left, 5),
            Action::SelectTab(3),
            Action::Layout(Preset::Tiled),
            Action::Table("git".into()),
            Action::Theme("light".into()),
        ];
        let verbs = Verb::ALL.iter().map(|verb| Action::Do(*verb));
        let commands = Command::ALL.iter().map(|command| Action::Copy(*command));
        let commands = commands.chain(dashboard::Command::all().map(Action::Dashboard));
        let files = browser::Command::ALL.iter();
        let commands = commands.chain(files.map(|command| Action::Files(*command)));
        for action in verbs.chain(commands).chain(with_argument) {
            assert_eq!(action.to_string().parse(), Ok(action.clone()), "{action}");
            assert!(!action.help().is_empty());
        }
        assert_eq!("resize-up".parse(), Ok(Action::Resize(Direction::Up, 1)));
    }

    #[test]
    fn what_is_wrong_with_an_action_is_said() {
        let said = |text: &str| text.parse::<Action>().unwrap_err().to_string();
        assert!(
            said("split-rigth").contains("`split-right`"),
            "{}",
            said("split-rigth")
        );
        assert!(said("zoom 3").contains("nothing"));
        assert!(said("select-tab x").contains("the number of a tab"));
        assert!(said("layout spiral").contains("the name of a layout"));
    }
}
