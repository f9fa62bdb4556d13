//! Which row is selected and which machines are marked: by what they are, never by their place, so that a
//! table that changes under the user's hand never turns a key on another machine.

use std::collections::BTreeSet;

use cmdop_proto::MachineId;

use super::rows::{Row, Rows};

/// What is selected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A fleet by its name; the empty one is that of the machines in none.
    Fleet(String),
    /// A machine.
    Machine(MachineId),
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Selection {
    target: Option<Target>,
    /// Where it was last: when it is gone, what stands there now is selected.
    place: usize,
    /// Somebody moved it, or all machines have been named once: until then it is the first row, not the one
    /// that happened to arrive first.
    is_settled: bool,
}

/// Which way to move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Rows(isize),
    First,
    Last,
}

impl Selection {
    pub(super) fn target(&self) -> Option<&Target> {
        self.target.as_ref()
    }

    /// Its place among the rows, as of the last look.
    pub(super) fn place(&self) -> usize {
        self.place
    }

    /// It stays from now on with what it is on.
    pub(super) fn settle(&mut self) {
        self.is_settled = true;
    }

    pub(super) fn step(&mut self, rows: &Rows, step: Step) {
        let last = rows.all().len().saturating_sub(1);
        let place = match step {
            Step::Rows(by) => self.place.saturating_add_signed(by).min(last),
            Step::First => 0,
            Step::Last => last,
        };
        self.go(rows, place);
    }

    /// To a place, if there is a row.
    pub(super) fn go(&mut self, rows: &Rows, place: usize) {
        if let Some(row) = rows.all().get(place) {
            self.target = Some(target(rows, *row));
            self.place = place;
            self.is_settled = true;
        }
    }

    /// Follows what it is on to its new place; stays at its place if that is gone.
    pub(super) fn follow(&mut self, rows: &Rows) {
        let kept = self.target.take().filter(|_| self.is_settled);
        self.place = kept
            .and_then(|kept| find(rows, &kept))
            .unwrap_or(if self.is_settled { self.place } else { 0 })
            .min(rows.all().len().saturating_sub(1));
        self.target = rows.all().get(self.place).map(|row| target(rows, *row));
    }
}

fn target(rows: &Rows, row: Row) -> Target {
    match row {
        Row::Fleet(index) => Target::Fleet(rows.groups()[index].name.clone()),
        Row::Machine(id) => Target::Machine(id),
    }
}

/// Where it stands; a machine of a folded fleet stands at the fleet's heading.
fn find(rows: &Rows, wanted: &Target) -> Option<usize> {
    let is_it = |row: &Row| match (row, wanted) {
        (Row::Fleet(index), Target::Fleet(name)) => rows.groups()[*index].name == *name,
        (Row::Machine(id), Target::Machine(wanted)) => id == wanted,
        _ => false,
    };
    rows.all().iter().position(is_it).or_else(|| {
        let Target::Machine(id) = wanted else {
            return None;
        };
        let home = rows
            .groups()
            .iter()
            .position(|group| group.machines.contains(id))?;
        rows.all().iter().position(|row| *row == Row::Fleet(home))
    })
}

/// The marked machines.
pub(super) type Marks = BTreeSet<MachineId>;

/// Marks those that are not, or if all are, none of them.
pub(super) fn toggle(marks: &mut Marks, machines: &[MachineId]) {
    if machines.iter().all(|id| marks.contains(id)) {
        for id in machines {
            marks.remove(id);
        }
    } else {
        marks.extend(machines);
    }
}

/// Of these machines exactly the others are marked; what the filter hides stays as it is.
pub(super) fn invert(marks: &mut Marks, machines: impl Iterator<Item = MachineId>) {
    for id in machines {
        if !marks.remove(&id) {
            marks.insert(id);
        }
    }
}
