//! How panes share a tab: a tree of splits whose parts tile the tab's area exactly.
//!
//! Pure geometry. It knows panes by number, not what they show, and draws nothing. Where an area is too
//! small for all panes it says so, and whoever draws shows one of them.

mod change;
mod place;
mod preset;

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use place::{Border, Placed, Tile};
pub use preset::Preset;

/// A pane of this client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PaneId(pub u64);

/// How the parts of a split lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Axis {
    /// Side by side.
    Columns,
    /// One below the other.
    Rows,
}

/// A way to go from a pane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// To the left.
    Left,
    /// To the right.
    Right,
    /// Upwards.
    Up,
    /// Downwards.
    Down,
}

impl Direction {
    /// The axis along which it goes.
    pub fn axis(self) -> Axis {
        match self {
            Self::Left | Self::Right => Axis::Columns,
            Self::Up | Self::Down => Axis::Rows,
        }
    }

    /// Towards the end of that axis.
    fn is_forward(self) -> bool {
        matches!(self, Self::Right | Self::Down)
    }
}

/// See the module. There is always a pane in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tiles {
    root: Node,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Node {
    Pane(PaneId),
    Split(Split),
}

/// At least two parts; none of them is a split along the same axis.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Split {
    axis: Axis,
    parts: Vec<Part>,
}

/// A part's share of its split is its weight of the sum of all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Part {
    weight: u32,
    node: Node,
}

/// What each part of an even split weighs: a number that halves well.
const EVEN: u32 = 1 << 16;

impl Tiles {
    /// One pane alone.
    pub fn of(pane: PaneId) -> Self {
        Self {
            root: Node::Pane(pane),
        }
    }

    /// All panes in the order of reading.
    pub fn panes(&self) -> Vec<PaneId> {
        let mut panes = Vec::new();
        self.root.each(&mut |pane| panes.push(pane));
        panes
    }

    /// Whether this pane is in it.
    pub fn contains(&self, pane: PaneId) -> bool {
        self.root.contains(pane)
    }

    /// How many panes there are.
    pub fn count(&self) -> usize {
        let mut count = 0;
        self.root.each(&mut |_| count += 1);
        count
    }

    /// Whether a tree that was read from a file is one: no pane twice, no split of fewer than two parts,
    /// no part without weight.
    pub fn is_sound(&self) -> bool {
        let mut panes = self.panes();
        let count = panes.len();
        panes.sort_unstable();
        panes.dedup();
        panes.len() == count && self.root.is_sound(None)
    }
}

impl Node {
    fn each(&self, visit: &mut impl FnMut(PaneId)) {
        match self {
            Self::Pane(pane) => visit(*pane),
            Self::Split(split) => split.parts.iter().for_each(|part| part.node.each(visit)),
        }
    }

    fn each_mut(&mut self, visit: &mut impl FnMut(&mut PaneId)) {
        match self {
            Self::Pane(pane) => visit(pane),
            Self::Split(split) => split
                .parts
                .iter_mut()
                .for_each(|part| part.node.each_mut(visit)),
        }
    }

    fn contains(&self, wanted: PaneId) -> bool {
        match self {
            Self::Pane(pane) => *pane == wanted,
            Self::Split(split) => split.parts.iter().any(|part| part.node.contains(wanted)),
        }
    }

    fn is_sound(&self, above: Option<Axis>) -> bool {
        match self {
            Self::Pane(_) => true,
            Self::Split(split) => {
                let weights = split
                    .parts
                    .iter()
                    .all(|part| (1..=MAX_WEIGHT).contains(&part.weight));
                let parts = split
                    .parts
                    .iter()
                    .all(|part| part.node.is_sound(Some(split.axis)));
                split.parts.len() >= 2 && above != Some(split.axis) && weights && parts
            }
        }
    }
}

/// Sums of weights never overflow.
const MAX_WEIGHT: u32 = 1 << 24;
