//! The whole state of the full-screen client.

use std::collections::BTreeMap;
use std::time::Duration;

use cmdop_proto::{MachineId, SessionId};
use ratatui::layout::Size as Terminal;
use tokio::time::Instant;

use super::Now;
use super::book::{Book, Feed};
use super::log::Log;
use super::mouse::Drag;
use super::overlay::Overlay;
use super::records::{Machine, Session};
use super::saved::Saved;
use super::selection::Selection;
use super::tabs::{TabId, Tabs};
use super::toasts::Toasts;
use super::tour::Tour;
use crate::browser::{self, Bookmarks, Browser};
use crate::config::{Borders, Config};
use crate::copy::Clicks;
use crate::dashboard::draw::Charset;
use crate::dashboard::{Dashboard, Settings};
use crate::keymap::tables;
use crate::pane::{AttachmentId, Decoration, Link, Pane};
use crate::theme::{Depth, Theme};
use crate::tiles::PaneId;
use crate::view::layout;

/// What shows a time in seconds is drawn again this often.
const SECOND: Duration = Duration::from_secs(1);

/// How often a selection goes on while the mouse is held beyond the pane's edge.
const DRAG_ON: Duration = Duration::from_millis(50);

/// How long the numbers of panes are shown.
const NUMBERS: Duration = Duration::from_millis(1500);

/// What the client starts with.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The profile's name, for the status bar.
    pub profile: String,
    /// What the user configured.
    pub config: Config,
    /// Styles.
    pub theme: Theme,
    /// What the terminal can show of a program's colours.
    pub depth: Depth,
    /// What it has beyond plain underlines.
    pub decoration: Decoration,
    /// The terminal's size.
    pub screen: Terminal,
    /// Where there is one machine and no session yet, open a shell on it.
    pub first_shell: bool,
    /// The panes of the last time, to be opened again.
    pub saved: Option<Saved>,
    /// Directories that are worth coming back to.
    pub bookmarks: Bookmarks,
}

/// What the screen shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// Machines and sessions.
    Fleet,
    /// Machines with their readings.
    Dashboard,
    /// Files, on two sides.
    Files,
    /// The panes of a tab.
    Tabs,
}

/// Where keys go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Context {
    /// To the list of machines and sessions.
    Fleet,
    /// To the dashboard: a key of this table, or to the line that it asks for.
    Dashboard,
    /// To the files: a key of their table, or to the line that they ask for.
    Files,
    /// To the program in the focused pane.
    Pane,
    /// To a pane whose session is over.
    Ended,
    /// The next key is looked up in this table.
    Table(String),
    /// To what is asked.
    Confirm,
    /// To copy mode in the focused pane.
    Copy,
    /// To a text that is only read.
    Reading,
    /// To a line that is being typed, with or without a list below.
    Line,
    /// Everything to the program.
    Locked,
}

/// A key that makes the next one belong to a table was pressed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Which table.
    pub table: String,
    /// When.
    pub since: Instant,
    /// Only keys that repeat are taken, and only for a moment.
    pub repeats: bool,
}

/// Whether keys of ours are keys of ours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lock {
    /// They are.
    #[default]
    Open,
    /// None is.
    Locked,
    /// None is, but the first of the two that unlock was pressed.
    HalfOpen,
}

/// How soon the screen has to be drawn anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Redraw {
    /// Nothing changed that is visible.
    #[default]
    No,
    /// With the next frame.
    Soon,
    /// At once: somebody pressed a key, or waits for its echo.
    Now,
}

/// See the module.
#[derive(Debug)]
pub struct Model {
    /// What it started with; the screen's size follows the terminal.
    pub setup: Setup,
    /// The machines of the workspace.
    pub machines: Book<MachineId, Machine>,
    /// Its live sessions.
    pub sessions: Book<SessionId, Session>,
    /// The selected row of the list.
    pub selection: Selection,
    /// The machines with their readings.
    pub dashboard: Dashboard,
    /// Files, and what is done with them.
    pub browser: Browser,
    /// What the screen shows.
    pub page: Page,
    /// What it showed before the files.
    pub(super) came_from: Page,
    /// The tabs.
    pub tabs: Tabs,
    /// What the panes in them show.
    pub panes: BTreeMap<PaneId, Pane>,
    /// The next key belongs to a table.
    pub waiting: Option<Waiting>,
    /// Whether keys of ours are ours.
    pub lock: Lock,
    /// What a newcomer is shown.
    pub tour: Option<Tour>,
    /// What lies on top.
    pub overlay: Option<Overlay>,
    /// Messages.
    pub toasts: Toasts,
    /// The messages so far.
    pub log: Log,
    /// What was copied last.
    pub copied: String,
    /// How long a small call takes there and back.
    pub round_trip: Option<Duration>,
    /// The numbers of panes are shown until then, and a digit chooses one.
    pub numbers_until: Option<Instant>,
    /// The time of the last message: what is shown is true then.
    pub now: Instant,
    /// By the wall, for the log.
    pub wall_ms: u64,
    pub(super) redraw: Redraw,
    /// Requests for sessions, and the panes that wait for them.
    pub(super) opening: BTreeMap<u64, PaneId>,
    /// What the mouse drags.
    pub(super) drag: Option<Drag>,
    /// Counts clicks at one place.
    pub(super) clicks: Clicks,
    /// Whether the user's terminal has the focus; one that does not tell has it.
    pub(super) is_focused: bool,
    /// The attachment whose program believes that it has the focus.
    pub(super) focus_told: Option<AttachmentId>,
    /// Something may have moved: rooms, marks and the saved layout are looked at.
    pub(super) touched: bool,
    /// The layout as it was kept last.
    pub(super) kept: Saved,
    pub(super) next_number: u64,
    next_second: Instant,
}

impl Model {
    /// Nothing is known yet.
    pub fn new(mut setup: Setup, now: Now) -> Self {
        let settings = Settings {
            charset: charset(&setup.config),
            ..Settings::default()
        };
        let files = Self::files_settings(&setup.config);
        let bookmarks = std::mem::take(&mut setup.bookmarks);
        Self {
            setup,
            browser: Browser::new(files, bookmarks, now),
            came_from: Page::Fleet,
            machines: Book::new(),
            sessions: Book::new(),
            selection: Selection::default(),
            dashboard: Dashboard::new(settings, now),
            page: Page::Fleet,
            tabs: Tabs::default(),
            panes: BTreeMap::new(),
            waiting: None,
            lock: Lock::Open,
            tour: None,
            overlay: None,
            toasts: Toasts::default(),
            log: Log::default(),
            copied: String::new(),
            round_trip: None,
            numbers_until: None,
            now: now.instant,
            wall_ms: now.wall_ms,
            redraw: Redraw::Now,
            opening: BTreeMap::new(),
            drag: None,
            clicks: Clicks::default(),
            is_focused: true,
            focus_told: None,
            touched: false,
            kept: Saved::default(),
            next_number: 1,
            next_second: now.instant + SECOND,
        }
    }

    /// What the user configured of the page of files.
    pub(super) fn files_settings(config: &Config) -> browser::Settings {
        browser::Settings {
            charset: charset(config),
            limit: config.transfer_limit,
        }
    }

    /// How soon to draw; from now on nothing has changed.
    pub fn take_redraw(&mut self) -> Redraw {
        std::mem::take(&mut self.redraw)
    }

    /// The pane that has the keys, or would have them if the list had not.
    pub fn focused(&self) -> Option<PaneId> {
        self.tabs.current().map(|tab| tab.focus)
    }

    /// That pane.
    pub fn focused_pane(&self) -> Option<&Pane> {
        self.panes.get(&self.focused()?)
    }

    /// When to send a [`super::Msg::Tick`] if nothing happens before; `None`: nothing that is shown
    /// changes by itself.
    pub fn next_wake(&self) -> Option<Instant> {
        let second = self.shows_seconds().then_some(self.next_second);
        let frame = self.panes.values().filter_map(Pane::frame_deadline).min();
        let guess = self.panes.values().filter_map(Pane::guess_deadline).min();
        let waiting = self.waiting.as_ref().and_then(|waiting| {
            let after = if waiting.repeats {
                self.setup.config.repeat
            } else {
                self.setup.config.which_key
            };
            Some(waiting.since + after).filter(|due| waiting.repeats || *due > self.now)
        });
        let dashboard = (self.page == Page::Dashboard).then(|| self.dashboard.next_wake());
        [
            dashboard.flatten(),
            second,
            frame,
            guess,
            waiting,
            self.drags_beyond().then_some(self.now + DRAG_ON),
            self.numbers_until,
            self.toasts.next_end(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Where keys go now.
    pub fn context(&self) -> Context {
        if self.lock != Lock::Open && self.page == Page::Tabs {
            return Context::Locked;
        }
        match &self.overlay {
            Some(Overlay::Confirm(_)) => return Context::Confirm,
            Some(Overlay::Help { .. } | Overlay::Messages { .. } | Overlay::Text { .. }) => {
                return Context::Reading;
            }
            Some(Overlay::Picker(_) | Overlay::Prompt(_)) => return Context::Line,
            None => {}
        }
        match &self.waiting {
            Some(waiting) if !waiting.repeats => return Context::Table(waiting.table.clone()),
            _ => {}
        }
        match (self.page, self.focused_pane()) {
            (Page::Tabs, Some(pane)) if pane.copy.is_some() => Context::Copy,
            (Page::Tabs, Some(pane)) if pane.is_over() => Context::Ended,
            (Page::Tabs, Some(_)) => Context::Pane,
            (Page::Dashboard, _) => Context::Dashboard,
            (Page::Files, _) => Context::Files,
            _ => Context::Fleet,
        }
    }

    /// The table whose keys are to be shown: its prefix was pressed a moment ago and nothing followed.
    pub fn hints(&self) -> Option<&str> {
        let waiting = self.waiting.as_ref().filter(|waiting| !waiting.repeats)?;
        let is_due = self.now >= waiting.since + self.setup.config.which_key;
        is_due.then_some(&waiting.table)
    }

    /// What is not as it should be with the connection: half a sentence, and since when.
    pub fn trouble(&self) -> Option<(String, Option<Instant>)> {
        let feeds = [self.machines.feed(), self.sessions.feed()];
        let failed = feeds.iter().find_map(|feed| match feed {
            Feed::Failed(why) => Some((format!("not connected: {}", why.message), None)),
            _ => None,
        });
        let lost = feeds.iter().find_map(|feed| match feed {
            Feed::Lost { since, why } => {
                Some((format!("reconnecting… {}", why.message), Some(*since)))
            }
            _ => None,
        });
        let pane = self.focused_pane().and_then(|pane| match &pane.link {
            Link::Reconnecting { reason } => Some((format!("reconnecting… {reason}"), None)),
            _ => None,
        });
        let loading = feeds
            .contains(&&Feed::Loading)
            .then(|| ("connecting…".to_owned(), None));
        failed.or(lost).or(pane).or(loading)
    }

    /// The record of a pane's session, if it is known.
    pub fn session_of(&self, pane: PaneId) -> Option<&Session> {
        self.sessions.get(self.panes.get(&pane)?.session?)
    }

    /// The record of the focused pane's session.
    pub fn shown_session(&self) -> Option<&Session> {
        self.session_of(self.focused()?)
    }

    /// The time of the message that is being taken in.
    pub(super) fn now(&self) -> Now {
        Now {
            instant: self.now,
            wall_ms: self.wall_ms,
        }
    }

    /// A number that nothing in this run had before.
    pub(super) fn number(&mut self) -> u64 {
        let number = self.next_number;
        self.next_number += 1;
        number
    }

    pub(super) fn new_pane_id(&mut self) -> PaneId {
        PaneId(self.number())
    }

    pub(super) fn new_tab_id(&mut self) -> TabId {
        TabId(self.number())
    }

    pub(super) fn draw(&mut self, soon: Redraw) {
        self.redraw = self.redraw.max(soon);
    }

    /// Makes the next keys belong to a table.
    pub(super) fn wait_for(&mut self, table: &str) {
        self.waiting = Some(Waiting {
            table: table.to_owned(),
            since: self.now,
            repeats: false,
        });
    }

    /// Whether the next key of ours comes after the prefix.
    pub fn is_prefixed(&self) -> bool {
        matches!(&self.waiting, Some(waiting) if !waiting.repeats && waiting.table == tables::PREFIX)
    }

    pub(super) fn show_numbers(&mut self) {
        self.numbers_until = Some(self.now + NUMBERS);
    }

    pub(super) fn tick(&mut self) {
        let now = self.now;
        let mut changed = self.toasts.expire(now);
        if self.page == Page::Dashboard && self.dashboard.next_wake().is_some_and(|due| due <= now)
        {
            changed = true;
        }
        if self.next_second <= now {
            changed |= self.shows_seconds();
            self.next_second = now + SECOND;
        }
        for pane in self.panes.values_mut() {
            if pane.frame_deadline().is_some_and(|due| due <= now) {
                pane.give_up_frame();
                changed = true;
            }
        }
        for pane in self.panes.values_mut() {
            if pane.guess_deadline().is_some_and(|due| due <= now) {
                pane.look_at_guesses(now);
                changed = true;
            }
        }
        if self.numbers_until.is_some_and(|until| until <= now) {
            self.numbers_until = None;
            changed = true;
        }
        if self.drags_beyond() {
            self.drag_on();
            changed = true;
        }
        if let Some(waiting) = &self.waiting {
            changed = true;
            if waiting.repeats && waiting.since + self.setup.config.repeat <= now {
                self.waiting = None;
            }
        }
        if changed {
            self.draw(Redraw::Soon);
        }
    }

    /// Whether something is on the screen that counts seconds: ages, an outage, a grace period.
    fn shows_seconds(&self) -> bool {
        let list = self.page == Page::Fleet;
        let mut machines = self.machines.iter();
        let ages = list
            && layout::shows_age(self.setup.screen)
            && machines.any(|machine| machine.age(self.now).is_some());
        let is_in_grace = |session: &Session| session.grace_until.is_some();
        let graces = list && self.sessions.iter().any(is_in_grace);
        let grace = self.shown_session().is_some_and(is_in_grace);
        let outage = matches!(self.trouble(), Some((_, Some(_))));
        ages || graces || grace || outage
    }
}

fn charset(config: &Config) -> Charset {
    match config.borders {
        Borders::Lines => Charset::default(),
        Borders::Ascii => Charset::Ascii,
    }
}
