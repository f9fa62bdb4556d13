//! The fleet on one screen: all machines live, in an order and through a filter, one of them in detail, and a
//! command on many of them with its results.
//!
//! Pure: what is known and what is pressed come in with the time, what is to be done comes out as values.
//! [`draw`] paints it, [`run`] runs its commands; neither decides anything. [`Dashboard::prepare`] is called
//! before each picture: it brings the rows up to date, once however much has happened since the last.

pub mod column;
pub mod command;
mod detail;
pub mod draw;
pub mod filter;
pub mod health;
pub mod history;
mod host;
mod prompt;
pub mod results;
mod rows;
pub mod run;
mod selection;

use std::collections::BTreeSet;
use std::time::Duration;

use cmdop_client::follow::Change;
use cmdop_proto::{MachineId, SessionId, v1};
use ratatui::layout::Size;
use tokio::time::Instant;

pub use column::{Column, Direction, Order};
pub use command::Command;
pub use filter::Filter;
pub use health::{Health, Severity, Thresholds};
pub use host::{Figure, Host};
pub use prompt::Prompt;
pub use results::{Results, RunEvent, RunRequest};
pub use rows::{Group, Grouping, Row, Rows};
pub use selection::Target;

use crate::app::{Book, Feed, Now, Session};
use crate::view::layout::scrolled;
use draw::Charset;
use selection::{Marks, Selection, Step};

/// Ages are shown in seconds: so often the picture changes by itself.
const TICK: Duration = Duration::from_secs(1);

/// What the user may configure.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Settings {
    /// When a reading is worth a look.
    pub thresholds: Thresholds,
    /// Which signs the terminal can show.
    pub charset: Charset,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Open a shell on this machine.
    Open(MachineId),
    /// Run a command: [`run::start`]. It ends any run before it.
    Run(RunRequest),
    /// End the run with this number.
    Cancel(u64),
    /// Show the keys of this table.
    Help(&'static str),
    /// The user wants back to where they came from.
    Leave,
}

/// What has the screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum View {
    /// All machines.
    Table,
    /// One machine.
    Detail(MachineId),
    /// The results of a command.
    Results,
}

/// See the module.
#[derive(Debug)]
pub struct Dashboard {
    /// Thresholds and signs.
    pub settings: Settings,
    hosts: Book<MachineId, Host>,
    sessions: Book<SessionId, Session>,
    view: View,
    prompt: Option<Prompt>,
    filter: Filter,
    filter_text: String,
    order: Order,
    grouping: Grouping,
    folded: BTreeSet<String>,
    marks: Marks,
    selection: Selection,
    rows: Rows,
    /// Something changed that decides about the rows.
    is_dirty: bool,
    /// The first row that is shown, of the table and of the results; and of the detail view.
    top: usize,
    results_top: usize,
    detail_top: usize,
    results: Option<Results>,
    runs: u64,
    start: Instant,
    now: Instant,
    sorted_at: Instant,
    room: Size,
}

impl Dashboard {
    /// Nothing is known yet.
    pub fn new(settings: Settings, now: Now) -> Self {
        Self {
            settings,
            hosts: Book::new(),
            sessions: Book::new(),
            view: View::Table,
            prompt: None,
            filter: Filter::default(),
            filter_text: String::new(),
            order: Order::default(),
            grouping: Grouping::Fleets,
            folded: BTreeSet::new(),
            marks: Marks::new(),
            selection: Selection::default(),
            rows: Rows::default(),
            is_dirty: true,
            top: 0,
            results_top: 0,
            detail_top: 0,
            results: None,
            runs: 0,
            start: now.instant,
            now: now.instant,
            sorted_at: now.instant,
            room: Size::new(80, 24),
        }
    }

    // ------------------------------------------------------------ what is known

    /// The list of machines changed.
    pub fn machines(&mut self, change: &Change<v1::Machine>, now: Now) {
        self.is_dirty = true;
        match change {
            Change::Changed(record) => {
                let before = record.id.parse().ok().and_then(|id| self.hosts.get(id));
                if let Some(host) = Host::read(record, before, now, self.slot(now.instant)) {
                    self.hosts.insert(host.machine.id, host);
                }
            }
            Change::Removed(id) => {
                if let Ok(id) = id.parse() {
                    self.hosts.remove(id);
                }
            }
            Change::Synced => {
                self.hosts.synced();
                self.refresh(now.instant);
                self.selection.settle();
            }
            Change::Lost(error) => self.hosts.lost(error.refusal(), now.instant),
            Change::Failed(error) => self.hosts.failed(error.refusal()),
        }
    }

    /// The list of sessions changed.
    pub fn sessions(&mut self, change: &Change<v1::Session>, now: Now) {
        match change {
            Change::Changed(record) => {
                if let Some(session) = Session::read(record, now) {
                    if session.is_ended() {
                        self.sessions.remove(session.id);
                    } else {
                        self.sessions.insert(session.id, session);
                    }
                }
            }
            Change::Removed(id) => {
                if let Ok(id) = id.parse() {
                    self.sessions.remove(id);
                }
            }
            Change::Synced => self.sessions.synced(),
            Change::Lost(error) => self.sessions.lost(error.refusal(), now.instant),
            Change::Failed(error) => self.sessions.failed(error.refusal()),
        }
    }

    /// A run told something.
    pub fn run_event(&mut self, event: RunEvent) {
        if let Some(results) = &mut self.results {
            results.happened(event);
        }
    }

    /// Brings everything up to date for a picture of this size.
    pub fn prepare(&mut self, room: Size, now: Instant) {
        self.room = room;
        self.refresh(now);
        let body = self.body_height();
        self.top = scrolled(
            self.top,
            self.selection.place(),
            self.rows.all().len(),
            body,
        );
        if let Some(results) = &mut self.results {
            results.refresh();
            let count = results.row_count();
            self.results_top = scrolled(self.results_top, results.cursor(), count, body);
        }
        if let View::Detail(id) = self.view {
            let lines = self.detail_lines(id).len();
            let room = draw::detail_room(self.room);
            self.detail_top = self.detail_top.min(lines.saturating_sub(room));
        }
    }

    /// Rows, selection, marks and view stand on what there is. Times alone reorder once a second.
    fn refresh(&mut self, now: Instant) {
        self.now = self.now.max(now);
        let is_old = self.now.saturating_duration_since(self.sorted_at) >= TICK;
        if !self.is_dirty && !is_old {
            return;
        }
        (self.is_dirty, self.sorted_at) = (false, self.now);
        if self.hosts.is_current() {
            self.marks.retain(|id| self.hosts.get(*id).is_some());
        }
        let question = rows::Question {
            filter: &self.filter,
            order: self.order,
            grouping: self.grouping,
            folded: &self.folded,
            marks: &self.marks,
            thresholds: &self.settings.thresholds,
            now: self.now,
        };
        self.rows = Rows::of(self.hosts.iter(), &question);
        self.selection.follow(&self.rows);
        if let View::Detail(id) = self.view
            && self.hosts.get(id).is_none()
        {
            self.view = View::Table;
        }
    }

    // ------------------------------------------------------------ what is asked

    /// What has the screen.
    pub fn view(&self) -> &View {
        &self.view
    }

    /// The line that is being asked for, or the question; while there is one keys go to [`Self::press`].
    pub fn prompt(&self) -> Option<&Prompt> {
        self.prompt.as_ref()
    }

    /// The table of keys that counts now.
    pub fn keys(&self) -> &'static str {
        match (&self.prompt, &self.view) {
            (Some(Prompt::Confirm(_)), _) => command::CONFIRM_KEYS,
            (_, View::Table) => command::TABLE_KEYS,
            (_, View::Detail(_)) => command::DETAIL_KEYS,
            (_, View::Results) => command::RESULT_KEYS,
        }
    }

    /// When the picture changes although nothing happens.
    pub fn next_wake(&self) -> Option<Instant> {
        let has_ages = self.hosts.iter().next().is_some();
        has_ages.then(|| self.now + TICK)
    }

    /// The rows, as of the last [`Self::prepare`].
    pub fn rows(&self) -> &Rows {
        &self.rows
    }

    /// What is selected; a row, as long as there is one.
    pub fn selected(&self) -> Option<&Target> {
        self.selection.target()
    }

    /// One machine.
    pub fn host(&self, id: MachineId) -> Option<&Host> {
        self.hosts.get(id)
    }

    /// How many machines there are.
    pub fn host_count(&self) -> usize {
        self.hosts.iter().count()
    }

    /// How the list of machines stands.
    pub fn feed(&self) -> &Feed {
        self.hosts.feed()
    }

    /// The marked machines.
    pub fn marks(&self) -> &BTreeSet<MachineId> {
        &self.marks
    }

    /// The order of the machines.
    pub fn order(&self) -> Order {
        self.order
    }

    /// The filter as it was typed; empty if there is none.
    pub fn filter_text(&self) -> &str {
        &self.filter_text
    }

    /// The last command's results.
    pub fn results(&self) -> Option<&Results> {
        self.results.as_ref()
    }

    /// The machine that commands are about: in detail, or selected.
    pub fn current(&self) -> Option<&Host> {
        match (&self.view, self.selection.target()) {
            (View::Detail(id), _) | (_, Some(Target::Machine(id))) => self.hosts.get(*id),
            _ => None,
        }
    }

    fn slot(&self, now: Instant) -> u64 {
        // The half hour before the start has numbers too.
        let since = now.saturating_duration_since(self.start).as_secs() / history::SLOT.as_secs();
        since + history::SLOTS as u64
    }

    fn body_height(&self) -> usize {
        draw::body_height(self.room, self.prompt.is_some())
    }
}

mod act;

#[cfg(test)]
mod tests;
