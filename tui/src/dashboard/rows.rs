//! Which rows the table has: the machines that the filter lets pass, in their order, in foldable fleets.
//!
//! Pure: what is known goes in, rows come out.

use std::collections::BTreeSet;

use cmdop_proto::MachineId;
use tokio::time::Instant;

use super::column::{Entry, Order};
use super::filter::{Filter, Marked};
use super::health::{Health, Thresholds};
use super::host::Host;
use crate::app::Presence;

/// A row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Row {
    /// The heading of a fleet, by its place in [`Rows::groups`].
    Fleet(usize),
    /// A machine.
    Machine(MachineId),
}

/// A fleet, as far as the filter lets its machines pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its name; empty for the machines of no fleet.
    pub name: String,
    /// Its machines, in their order; those of a folded fleet are no rows.
    pub machines: Vec<MachineId>,
    /// How many are there, silent, and not there.
    pub online: usize,
    /// See `online`.
    pub stale: usize,
    /// See `online`.
    pub offline: usize,
    /// The state of the worst.
    pub worst: Health,
    /// Whether its machines are hidden.
    pub is_folded: bool,
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    rows: Vec<Row>,
    groups: Vec<Group>,
    passed: usize,
}

/// Whether machines stand in their fleets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Grouping {
    /// They do, where there are fleets.
    #[default]
    Fleets,
    /// All in one list.
    Flat,
}

/// What decides about the rows.
#[derive(Debug)]
pub(super) struct Question<'a> {
    pub(super) filter: &'a Filter,
    pub(super) order: Order,
    pub(super) grouping: Grouping,
    pub(super) folded: &'a BTreeSet<String>,
    pub(super) marks: &'a BTreeSet<MachineId>,
    pub(super) thresholds: &'a Thresholds,
    pub(super) now: Instant,
}

impl Rows {
    /// The rows of these machines.
    pub(super) fn of<'a>(hosts: impl Iterator<Item = &'a Host>, question: &Question<'_>) -> Self {
        let passes = |host: &&Host| {
            let is_marked = question.marks.contains(&host.machine.id);
            let marked = if is_marked { Marked::Yes } else { Marked::No };
            question.filter.lets_pass(host, marked, question.now)
        };
        let mut entries: Vec<_> = hosts
            .filter(passes)
            .map(|host| {
                let group = match question.grouping {
                    Grouping::Fleets => host.fleet(),
                    Grouping::Flat => "",
                };
                Entry::new(host, group, question.order.column, question.now)
            })
            .collect();
        entries.sort_unstable_by(|one, other| one.compare(other, question.order.direction));
        let mut rows = Self {
            passed: entries.len(),
            ..Self::default()
        };
        for entry in &entries {
            rows.put(entry, question);
        }
        rows.lay_out();
        rows
    }

    fn put(&mut self, entry: &Entry<'_>, question: &Question<'_>) {
        let name = entry.group();
        if self.groups.last().is_none_or(|group| group.name != name) {
            self.groups.push(Group::new(name, question.folded));
        }
        let group = self.groups.last_mut().expect("one was just put there");
        group.machines.push(entry.id());
        match entry.host.machine.presence(question.now) {
            Presence::Online => group.online += 1,
            Presence::Stale => group.stale += 1,
            Presence::Offline => group.offline += 1,
        }
        let health = question.thresholds.health(entry.host, question.now);
        group.worst = group.worst.max(health);
    }

    /// Headings only where there is a fleet.
    fn lay_out(&mut self) {
        let has_fleets = self.groups.iter().any(|group| !group.name.is_empty());
        for (index, group) in self.groups.iter_mut().enumerate() {
            if has_fleets {
                self.rows.push(Row::Fleet(index));
            } else {
                group.is_folded = false;
            }
            if !group.is_folded {
                self.rows
                    .extend(group.machines.iter().copied().map(Row::Machine));
            }
        }
    }

    /// The rows, from the first.
    pub fn all(&self) -> &[Row] {
        &self.rows
    }

    /// The fleets, in the order of their headings.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// How many machines the filter lets pass, in folded fleets too.
    pub fn passed(&self) -> usize {
        self.passed
    }

    /// Those machines.
    pub fn machines(&self) -> impl Iterator<Item = MachineId> {
        self.groups
            .iter()
            .flat_map(|group| group.machines.iter().copied())
    }
}

impl Group {
    fn new(name: &str, folded: &BTreeSet<String>) -> Self {
        Self {
            name: name.to_owned(),
            machines: Vec::new(),
            online: 0,
            stale: 0,
            offline: 0,
            worst: Health::Fine,
            is_folded: folded.contains(name),
        }
    }
}
