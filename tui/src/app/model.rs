//! The whole state of the full-screen client.

use std::time::Duration;

use bytes::Bytes;
use cmdop_proto::{MachineId, SessionId, Size};
use ratatui::layout::Size as Terminal;
use tokio::time::Instant;

use super::Now;
use super::book::{Book, Feed};
use super::records::{Machine, Session};
use super::selection::Selection;
use super::toasts::Toasts;
use crate::keymap::Context;
use crate::pane::{AttachmentId, Link, Pane};
use crate::theme::{Depth, Theme};
use crate::view::layout;

/// What shows a time in seconds is drawn again this often.
const SECOND: Duration = Duration::from_secs(1);

/// What the client starts with.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The profile's name, for the status bar.
    pub profile: String,
    /// Styles.
    pub theme: Theme,
    /// What the terminal can show of a program's colours.
    pub depth: Depth,
    /// The terminal's size.
    pub screen: Terminal,
    /// Where there is one machine and no session yet, open a shell on it.
    pub first_shell: bool,
}

/// Who gets the keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Focus {
    /// The list.
    List,
    /// The pane.
    Pane,
}

/// What lies on top of everything and gets the keys first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Overlay {
    /// The keys and what they do.
    Help,
    /// Something that is not done without a yes.
    Confirm(Question),
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// End this session?
    Close(SessionId),
    /// Type these bytes, so many lines, into this attachment?
    Paste {
        /// Into which.
        attachment: AttachmentId,
        /// What.
        bytes: Bytes,
        /// How many lines.
        lines: usize,
    },
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
    /// Who gets the keys.
    pub focus: Focus,
    /// The prefix was pressed; the next key belongs to it.
    pub prefix: bool,
    /// What lies on top.
    pub overlay: Option<Overlay>,
    /// Messages.
    pub toasts: Toasts,
    /// The session that is shown.
    pub pane: Option<Pane>,
    /// The time of the last message: what is shown is true then.
    pub now: Instant,
    pub(super) redraw: Redraw,
    /// The number of the newest request for a session that nobody has turned away from.
    pub(super) opening: Option<u64>,
    next_number: u64,
    next_second: Instant,
}

impl Model {
    /// Nothing is known yet.
    pub fn new(setup: Setup, now: Now) -> Self {
        Self {
            setup,
            machines: Book::new(),
            sessions: Book::new(),
            selection: Selection::default(),
            focus: Focus::List,
            prefix: false,
            overlay: None,
            toasts: Toasts::default(),
            pane: None,
            now: now.instant,
            redraw: Redraw::Now,
            opening: None,
            next_number: 1,
            next_second: now.instant + SECOND,
        }
    }

    /// How soon to draw; from now on nothing has changed.
    pub fn take_redraw(&mut self) -> Redraw {
        std::mem::take(&mut self.redraw)
    }

    /// When to send a [`super::Msg::Tick`] if nothing happens before; `None`: nothing that is shown
    /// changes by itself.
    pub fn next_wake(&self) -> Option<Instant> {
        let second = self.shows_seconds().then_some(self.next_second);
        let frame = self.pane.as_ref().and_then(Pane::frame_deadline);
        [second, frame, self.toasts.next_end()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Where keys go now.
    pub fn context(&self) -> Context {
        match (&self.overlay, self.focus, &self.pane) {
            _ if self.prefix => Context::Prefix,
            (Some(Overlay::Help), ..) => Context::Help,
            (Some(Overlay::Confirm(_)), ..) => Context::Confirm,
            (None, Focus::Pane, Some(pane)) if pane.is_over() => Context::Ended,
            (None, Focus::Pane, Some(_)) => Context::Pane,
            (None, ..) => Context::List,
        }
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
        let pane = self.pane.as_ref().and_then(|pane| match &pane.link {
            Link::Reconnecting { reason } => Some((format!("reconnecting… {reason}"), None)),
            _ => None,
        });
        let loading = feeds
            .contains(&&Feed::Loading)
            .then(|| ("connecting…".to_owned(), None));
        failed.or(lost).or(pane).or(loading)
    }

    /// The room of a session on this screen.
    pub fn room(&self) -> Size {
        let room = layout::pane_room(self.setup.screen);
        Size::clamped(room.height, room.width)
    }

    /// The session that the pane shows, if its record is known.
    pub fn shown_session(&self) -> Option<&Session> {
        self.pane
            .as_ref()
            .and_then(|pane| self.sessions.get(pane.session))
    }

    /// A number that nothing in this run had before.
    pub(super) fn number(&mut self) -> u64 {
        let number = self.next_number;
        self.next_number += 1;
        number
    }

    pub(super) fn draw(&mut self, soon: Redraw) {
        self.redraw = self.redraw.max(soon);
    }

    pub(super) fn tick(&mut self, now: Now) {
        self.now = now.instant;
        let mut changed = self.toasts.expire(now.instant);
        if self.shows_seconds() && self.next_second <= now.instant {
            changed = true;
        }
        if self.next_second <= now.instant {
            self.next_second = now.instant + SECOND;
        }
        if let Some(pane) = &mut self.pane
            && pane
                .frame_deadline()
                .is_some_and(|deadline| deadline <= now.instant)
        {
            pane.give_up_frame();
            changed = true;
        }
        if changed {
            self.draw(Redraw::Soon);
        }
    }

    /// Whether something is on the screen that counts seconds: ages, an outage, a grace period.
    fn shows_seconds(&self) -> bool {
        let shown = layout::areas(self.setup.screen, self.focus, self.pane.is_some());
        let list = shown.list.is_some();
        let ages = list
            && layout::shows_age(self.setup.screen)
            && self
                .machines
                .iter()
                .any(|machine| machine.age(self.now).is_some());
        let graces = list
            && self
                .sessions
                .iter()
                .any(|session| session.grace_until.is_some());
        let grace = self
            .shown_session()
            .is_some_and(|session| session.grace_until.is_some());
        let outage = matches!(self.trouble(), Some((_, Some(_))));
        ages || graces || grace || outage
    }
}
