//! The columns of the table and the order that they can bring the machines into.

use std::cmp::Ordering;

use cmdop_proto::MachineId;
use tokio::time::Instant;

use super::host::{Figure, Host};
use crate::app::Presence;

/// A column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Column {
    /// Whether the machine is there.
    State,
    /// Its name.
    Name,
    /// Busy share of the processors.
    Cpu,
    /// Used share of the memory.
    Memory,
    /// Used share of the disk.
    Disk,
    /// The load average of one minute.
    Load,
    /// Charge of the battery.
    Battery,
    /// Sessions.
    Sessions,
    /// Age of the last heartbeat.
    Age,
    /// The busy share of the last half hour, as a curve.
    History,
    /// Operating system and architecture.
    System,
    /// Labels.
    Labels,
}

impl Column {
    /// Those that bring an order, in the order in which a key goes through them.
    pub const SORTABLE: [Self; 11] = [
        Self::Name,
        Self::State,
        Self::Cpu,
        Self::Memory,
        Self::Disk,
        Self::Load,
        Self::Battery,
        Self::Sessions,
        Self::Age,
        Self::System,
        Self::Labels,
    ];

    /// What stands over it.
    pub fn heading(self) -> &'static str {
        match self {
            Self::State => "state",
            Self::Name => "machine",
            Self::Cpu => "cpu",
            Self::Memory => "mem",
            Self::Disk => "disk",
            Self::Load => "load",
            Self::Battery => "bat",
            Self::Sessions => "sess",
            Self::Age => "seen",
            Self::History => "cpu, 30 min",
            Self::System => "system",
            Self::Labels => "labels",
        }
    }

    /// The number in it, if it holds one.
    pub fn figure(self) -> Option<Figure> {
        Some(match self {
            Self::Cpu => Figure::Cpu,
            Self::Memory => Figure::Memory,
            Self::Disk => Figure::Disk,
            Self::Load => Figure::Load,
            Self::Battery => Figure::Battery,
            Self::Sessions => Figure::Sessions,
            Self::Age => Figure::Age,
            Self::State | Self::Name | Self::History | Self::System | Self::Labels => return None,
        })
    }

    /// The direction that one wants first: the busiest, the fullest, but names from A and the emptiest battery.
    pub fn natural(self) -> Direction {
        match self {
            Self::Cpu | Self::Memory | Self::Disk | Self::Load | Self::Sessions | Self::Age => {
                Direction::Down
            }
            _ => Direction::Up,
        }
    }
}

/// Which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The smallest first.
    Up,
    /// The largest first.
    Down,
}

impl Direction {
    /// The other one.
    pub fn reversed(self) -> Self {
        match self {
            Self::Up => Self::Down,
            Self::Down => Self::Up,
        }
    }
}

/// An order of machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// By what.
    pub column: Column,
    /// Which way.
    pub direction: Direction,
}

impl Default for Order {
    fn default() -> Self {
        Self::by(Column::Name)
    }
}

impl Order {
    /// By a column, in its natural direction.
    pub fn by(column: Column) -> Self {
        Self {
            column,
            direction: column.natural(),
        }
    }

    /// By the next column.
    pub fn next(self) -> Self {
        let at = Column::SORTABLE
            .iter()
            .position(|column| *column == self.column);
        let next = at.map_or(0, |at| (at + 1) % Column::SORTABLE.len());
        Self::by(Column::SORTABLE[next])
    }

    /// The other way.
    pub fn reversed(self) -> Self {
        Self {
            direction: self.direction.reversed(),
            ..self
        }
    }
}

/// One machine on its way into its order. What is compared is taken out once.
#[derive(Debug)]
pub(super) struct Entry<'a> {
    group: &'a str,
    key: Key<'a>,
    pub(super) host: &'a Host,
}

#[derive(Debug)]
enum Key<'a> {
    Number(f32),
    Text(&'a str),
    Texts(&'a [String]),
    /// What is not known comes last, whichever way.
    Unknown,
}

impl<'a> Entry<'a> {
    pub(super) fn new(host: &'a Host, group: &'a str, column: Column, now: Instant) -> Self {
        let known = |text: &'a str| {
            if text.is_empty() {
                Key::Unknown
            } else {
                Key::Text(text)
            }
        };
        let key = match (column.figure(), column) {
            (Some(figure), _) => host.figure(figure, now).map_or(Key::Unknown, Key::Number),
            (None, Column::State) => Key::Number(match host.machine.presence(now) {
                Presence::Online => 0.0,
                Presence::Stale => 1.0,
                Presence::Offline => 2.0,
            }),
            (None, Column::System) => known(&host.machine.system),
            (None, Column::Labels) if host.machine.labels.is_empty() => Key::Unknown,
            (None, Column::Labels) => Key::Texts(&host.machine.labels),
            (None, _) => Key::Text(&host.machine.name),
        };
        Self { group, key, host }
    }

    /// Its group first (those of no fleet last), then the order, then the name; ids make it total.
    pub(super) fn compare(&self, other: &Self, direction: Direction) -> Ordering {
        let is_loose = |entry: &Self| entry.group.is_empty();
        is_loose(self)
            .cmp(&is_loose(other))
            .then_with(|| self.group.cmp(other.group))
            .then_with(|| self.key.compare(&other.key, direction))
            .then_with(|| self.host.machine.name.cmp(&other.host.machine.name))
            .then_with(|| self.id().cmp(&other.id()))
    }

    pub(super) fn id(&self) -> MachineId {
        self.host.machine.id
    }

    pub(super) fn group(&self) -> &'a str {
        self.group
    }
}

impl Key<'_> {
    fn compare(&self, other: &Self, direction: Direction) -> Ordering {
        let upwards = match (self, other) {
            (Self::Number(one), Self::Number(other)) => one.total_cmp(other),
            (Self::Text(one), Self::Text(other)) => one.cmp(other),
            (Self::Texts(one), Self::Texts(other)) => one.cmp(other),
            _ => return self.is_unknown().cmp(&other.is_unknown()),
        };
        match direction {
            Direction::Up => upwards,
            Direction::Down => upwards.reverse(),
        }
    }

    fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown)
    }
}
