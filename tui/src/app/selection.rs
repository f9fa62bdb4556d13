//! The rows of the list and which of them is selected: by what it is, never by its place, so that a
//! list that changes under the user's hand never turns a key on another row.

use cmdop_proto::{MachineId, SessionId};

use super::book::Feed;
use super::model::Model;
use super::records::{Machine, Session};

/// A row of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Row {
    /// A machine.
    Machine(MachineId),
    /// A session, below its machine.
    Session(SessionId),
}

/// The selected row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    row: Option<Row>,
    /// Where it was last: when it is gone, what stands there now is selected.
    place: usize,
    /// The lists were complete once, or somebody moved it: until then it is the first row, not the
    /// one that happened to arrive first.
    is_settled: bool,
}

/// Which way to move.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    Down,
    Up,
    First,
    Last,
}

impl Selection {
    /// The selected row; it exists.
    pub fn row(&self) -> Option<Row> {
        self.row
    }
}

impl Model {
    /// The rows of the list: machines by name, below each its sessions by age, at the end sessions of
    /// machines that are not known.
    pub fn rows(&self) -> Vec<Row> {
        let mut machines: Vec<_> = self.machines.iter().collect();
        machines.sort_by(|a, b| (&a.name, a.id).cmp(&(&b.name, b.id)));
        let mut rows = Vec::new();
        for machine in machines {
            rows.push(Row::Machine(machine.id));
            self.push_sessions(&mut rows, |session| session.machine == Some(machine.id));
        }
        self.push_sessions(&mut rows, |session| {
            session
                .machine
                .is_none_or(|machine| self.machines.get(machine).is_none())
        });
        rows
    }

    fn push_sessions(&self, rows: &mut Vec<Row>, wanted: impl Fn(&Session) -> bool) {
        let mut sessions: Vec<_> = self.sessions.iter().filter(|s| wanted(s)).collect();
        sessions.sort_by_key(|session| (session.created_at_ms, session.id));
        rows.extend(sessions.into_iter().map(|session| Row::Session(session.id)));
    }

    /// The selected session.
    pub fn selected_session(&self) -> Option<&Session> {
        match self.selection.row? {
            Row::Session(id) => self.sessions.get(id),
            Row::Machine(_) => None,
        }
    }

    /// The selected machine, or that of the selected session.
    pub fn selected_machine(&self) -> Option<&Machine> {
        let id = match self.selection.row? {
            Row::Machine(id) => id,
            Row::Session(id) => self.sessions.get(id)?.machine?,
        };
        self.machines.get(id)
    }

    /// Selects a row, if it is there.
    #[cfg(test)]
    pub(super) fn select(&mut self, row: Row) {
        if let Some(place) = self.rows().iter().position(|other| *other == row) {
            self.selection = Selection {
                row: Some(row),
                place,
                is_settled: true,
            };
        }
    }

    pub(super) fn step(&mut self, step: Step) {
        let rows = self.rows();
        let last = rows.len().saturating_sub(1);
        let place = match step {
            Step::Down => (self.selection.place + 1).min(last),
            Step::Up => self.selection.place.saturating_sub(1),
            Step::First => 0,
            Step::Last => last,
        };
        self.selection = Selection {
            row: rows.get(place).copied(),
            place,
            is_settled: true,
        };
    }

    /// After the rows changed: the selected one keeps its selection wherever it is now.
    pub(super) fn reselect(&mut self) {
        let rows = self.rows();
        if !self.selection.is_settled {
            let is_settled = [self.machines.feed(), self.sessions.feed()] == [&Feed::Current; 2];
            self.selection = Selection {
                row: rows.first().copied(),
                place: 0,
                is_settled,
            };
            return;
        }
        let found = rows.iter().position(|row| Some(*row) == self.selection.row);
        let place = found.unwrap_or(self.selection.place.min(rows.len().saturating_sub(1)));
        self.selection = Selection {
            row: rows.get(place).copied(),
            place,
            is_settled: true,
        };
    }
}
