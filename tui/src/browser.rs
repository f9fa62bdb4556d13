//! Files: two sides, each a directory here or on a machine; what is in the selected file; what a search found; and
//! what is copied, moved and deleted in the background.
//!
//! Pure: what is pressed and what ends answer comes in, what is to be done comes out as values. [`draw`] paints it,
//! [`run`] talks to the ends; neither decides anything. [`Browser::prepare`] is called before each picture. Names and
//! contents of machines are hostile text: they are bytes in here, and stripped where they are made text.

mod act;
mod answer;
pub mod bookmarks;
pub mod command;
pub mod draw;
pub mod end;
pub mod entry;
pub mod found;
pub mod jobs;
mod mouse;
mod path;
pub mod preview;
mod prompt;
pub mod run;
pub mod side;
mod syntax;
pub mod work;

use std::collections::BTreeSet;

use bytes::Bytes;
use cmdop_proto::{MachineId, Refusal};
use ratatui::layout::Size;
use tokio::time::Instant;

pub use bookmarks::Bookmarks;
pub use command::Command;
pub use end::{End, Machine, Spot};
pub use entry::Entry;
pub use found::{Find, Found, Match};
pub use jobs::{JobEvent, JobId, Jobs, Wish};
pub use preview::{Content, Preview};
pub use prompt::{Prompt, Purpose};
pub use side::{Listing, Side};
pub use work::{What, Work};

use crate::app::Now;
use crate::dashboard::draw::Charset;
use crate::view::layout::scrolled;

/// What the user may configure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Which signs the terminal can show.
    pub charset: Charset,
    /// What a transfer may take, in bytes a second.
    pub limit: Option<u64>,
}

/// One of the two sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The left one.
    Left,
    /// The right one.
    Right,
}

impl Place {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::Left, Self::Right];

    /// The other one.
    pub fn other(self) -> Self {
        match self {
            Self::Left => Self::Right,
            Self::Right => Self::Left,
        }
    }
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// List a directory; ends what that side asked before. Answered by [`Event::Listed`].
    List(Place, u64, Spot),
    /// Nobody looks any more: listings and previews end.
    Rest,
    /// Read the beginning of what is there; ends the one before. Answered by [`Event::Previewed`].
    Preview(u64, Spot, entry::Kind),
    /// Nothing is to be read any more.
    NoPreview,
    /// Look for something below a directory; ends the search before. Answered by [`Event::Found`].
    Find(u64, Spot, Find),
    /// Nothing is to be looked for any more.
    NoFind,
    /// Which names there are in a directory. Answered by [`Event::Present`].
    Look(u64, Spot),
    /// Give something another name in its directory. Answered by [`Event::Changed`].
    Rename(Spot, Bytes, Bytes),
    /// Make a directory, and those that lead to it. Answered by [`Event::Changed`].
    Mkdir(Spot, Bytes),
    /// Begin something. Answered by [`Event::Job`].
    Begin(JobId, Work),
    /// The user wants something of what was begun.
    Wish(JobId, Wish),
    /// Keep the bookmarks.
    Keep(String),
    /// Have a machine chosen for this side, or this computer.
    ChooseEnd,
    /// Have a bookmark chosen.
    ChooseBookmark,
    /// Open a shell in a directory.
    Shell(MachineId, String),
    /// Put text into the clipboard.
    Clipboard(String),
    /// Tell the user something good to know.
    Say(String),
    /// Tell the user what failed.
    Complain(Refusal),
    /// Show a text: its title and its lines.
    Show(String, Vec<String>),
    /// Show the keys.
    Help,
    /// The user wants back to where they came from.
    Leave,
}

/// What happened at an end.
#[derive(Debug)]
pub enum Event {
    /// A directory, by the number of the question.
    Listed(Place, u64, Result<Listing, Refusal>),
    /// Something changed in a directory that was listed under this number.
    Stale(Place, u64),
    /// The beginning of what is there.
    Previewed(u64, Content),
    /// Some of what was looked for; `None`: that was all.
    Found(u64, Result<Option<Vec<Match>>, Refusal>),
    /// The names in a directory.
    Present(u64, Result<BTreeSet<Bytes>, Refusal>),
    /// Something in this directory was renamed or made, and is called that now.
    Changed(Spot, Result<Bytes, Refusal>),
    /// Something in the background.
    Job(JobId, JobEvent),
}

/// What has the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// The two sides.
    Sides,
    /// What is copied, moved and deleted.
    Transfers,
    /// What was found.
    Found,
}

/// Whether what is in the selected file is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Looking {
    #[default]
    No,
    Yes,
}

/// See the module.
#[derive(Debug)]
pub struct Browser {
    /// What the user configured.
    pub settings: Settings,
    left: Side,
    right: Side,
    focus: Place,
    view: View,
    prompt: Option<Prompt>,
    looking: Looking,
    preview: Option<Preview>,
    jobs: Jobs,
    found: Option<Found>,
    bookmarks: Bookmarks,
    is_open: bool,
    numbers: u64,
    room: Size,
    now: Instant,
    wall_ms: u64,
    /// The row that was clicked last, and when: a second click opens it.
    clicked: Option<(Place, usize, Instant)>,
}

impl Browser {
    /// Nothing is looked at yet.
    pub fn new(settings: Settings, bookmarks: Bookmarks, now: Now) -> Self {
        Self {
            settings,
            left: Side::new(End::Here),
            right: Side::new(End::Here),
            focus: Place::Left,
            view: View::Sides,
            prompt: None,
            looking: Looking::No,
            preview: None,
            jobs: Jobs::default(),
            found: None,
            bookmarks,
            is_open: false,
            numbers: 0,
            room: Size::new(80, 24),
            now: now.instant,
            wall_ms: now.wall_ms,
            clicked: None,
        }
    }

    /// It is shown: the first time with this computer at the left and `end` at the right, later as it was left, but
    /// with `end` on one of its sides.
    pub fn open(&mut self, end: Option<End>) -> Vec<Effect> {
        let is_first = !std::mem::replace(&mut self.is_open, true);
        let shows = |end: &End| {
            let mut places = [self.focus, self.focus.other()].into_iter();
            places.find(|place| self.side(*place).spot().end == *end)
        };
        let shown = end.as_ref().and_then(shows).filter(|_| !is_first);
        match (shown, end) {
            (Some(place), _) => self.focus = place,
            (None, Some(end)) => {
                self.right = Side::new(end);
                self.focus = Place::Right;
            }
            (None, None) => {}
        }
        Place::BOTH
            .into_iter()
            .map(|place| self.list(place))
            .collect()
    }

    /// It is not shown any more. What was begun goes on.
    pub fn rest(&mut self) -> Vec<Effect> {
        self.preview = None;
        vec![Effect::Rest]
    }

    /// It is so late.
    pub fn at(&mut self, now: Now) {
        (self.now, self.wall_ms) = (now.instant, now.wall_ms);
    }

    /// Brings everything up to date for a picture of this size.
    pub fn prepare(&mut self, room: Size) {
        self.room = room;
        let layout = self.layout();
        for place in Place::BOTH {
            let rows = draw::rows(layout.side(place));
            let side = self.side_mut(place);
            let count = side.rows().len();
            side.top = scrolled(side.top, side.place(), count, rows);
        }
        let rows = draw::rows(Some(layout.whole));
        if let Some(found) = &mut self.found {
            found.top = scrolled(found.top, found.at, found.matches.len(), rows);
        }
        let (count, rows) = (self.jobs.all().len(), draw::transfers_rows(layout.whole));
        self.jobs.top = scrolled(self.jobs.top, self.jobs.at, count, rows);
        if let Some(preview) = &mut self.preview {
            let room = layout.preview.map_or(0, draw::preview_rows);
            preview.top = preview.top.min(preview.len().saturating_sub(room));
        }
    }

    /// A machine is called that now.
    pub fn renamed(&mut self, machine: &Machine) {
        let end = End::Machine(machine.clone());
        self.left.renamed(&end);
        self.right.renamed(&end);
    }

    // ------------------------------------------------------------ what is asked

    /// One of the sides.
    pub fn side(&self, place: Place) -> &Side {
        match place {
            Place::Left => &self.left,
            Place::Right => &self.right,
        }
    }

    fn side_mut(&mut self, place: Place) -> &mut Side {
        match place {
            Place::Left => &mut self.left,
            Place::Right => &mut self.right,
        }
    }

    /// The side that has the keys.
    pub fn focus(&self) -> Place {
        self.focus
    }

    fn here(&self) -> &Side {
        self.side(self.focus)
    }

    fn here_mut(&mut self) -> &mut Side {
        self.side_mut(self.focus)
    }

    /// What has the screen.
    pub fn view(&self) -> View {
        self.view
    }

    /// What is asked; while there is something keys go to [`Self::press`] first.
    pub fn prompt(&self) -> Option<&Prompt> {
        self.prompt.as_ref()
    }

    /// What is in the selected file, where that is shown.
    pub fn preview(&self) -> Option<&Preview> {
        self.preview.as_ref()
    }

    /// What is done in the background.
    pub fn jobs(&self) -> &Jobs {
        &self.jobs
    }

    /// What was found last.
    pub fn found(&self) -> Option<&Found> {
        self.found.as_ref()
    }

    /// The bookmarks.
    pub fn bookmarks(&self) -> &Bookmarks {
        &self.bookmarks
    }

    /// The table of keys that counts now.
    pub fn keys(&self) -> &'static str {
        match (&self.prompt, self.view) {
            (Some(Prompt::Sure { .. }), _) => command::CONFIRM_KEYS,
            (Some(Prompt::Clash { .. } | Prompt::Looking { .. }), _) => command::CLASH_KEYS,
            (_, View::Sides) => command::SIDES_KEYS,
            (_, View::Transfers) => command::TRANSFERS_KEYS,
            (_, View::Found) => command::FOUND_KEYS,
        }
    }

    fn layout(&self) -> draw::Layout {
        draw::layout(self, self.room)
    }

    fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    /// Asks for what a side shows.
    fn list(&mut self, place: Place) -> Effect {
        let number = self.number();
        let side = self.side_mut(place);
        side.ask(number);
        Effect::List(place, number, side.spot().clone())
    }

    /// Turns a side to a directory.
    fn go(&mut self, place: Place, spot: Spot, select: Option<Bytes>) -> Effect {
        self.side_mut(place).go(spot, select);
        self.list(place)
    }
}

#[cfg(test)]
mod tests;
