//! Putting panes into a tree of splits, and taking them out.

use ratatui::layout::Rect;

use super::place::lengths;
use super::{Axis, Border, Direction, EVEN, MAX_WEIGHT, Node, PaneId, Part, Split, Tiles};

impl Tiles {
    /// Splits `target`: `new` takes the right or lower half. Nothing happens if `target` is not here.
    pub fn split(&mut self, target: PaneId, axis: Axis, new: PaneId) {
        self.root.split(target, axis, new);
    }

    /// Takes a pane out; its neighbours take its room. `None`: it was the only one.
    pub fn without(self, pane: PaneId) -> Option<Self> {
        self.root.without(pane).map(|root| Self { root })
    }

    /// Two panes change their places.
    pub fn swap(&mut self, one: PaneId, other: PaneId) {
        self.root.each_mut(&mut |pane| {
            if *pane == one {
                *pane = other;
            } else if *pane == other {
                *pane = one;
            }
        });
    }

    /// Every pane takes the place of the one before it, the first that of the last; or the other way.
    pub fn rotate(&mut self, direction: Direction) {
        let mut panes = self.panes();
        if direction.is_forward() {
            panes.rotate_right(1);
        } else {
            panes.rotate_left(1);
        }
        let mut panes = panes.into_iter();
        self.root.each_mut(&mut |pane| {
            if let Some(next) = panes.next() {
                *pane = next;
            }
        });
    }

    /// Moves a border of `pane` by `cells` in a direction, as far as its neighbours can shrink: the
    /// border on its far side, or for the last part of a split the one on its near side.
    pub fn resize(&mut self, pane: PaneId, direction: Direction, cells: u16, area: Rect) {
        let Some(path) = self.root.path(pane) else {
            return;
        };
        // The innermost split along the axis is the one whose border is at the pane.
        let split = (0..path.len()).rev().find(|depth| {
            self.root.at(&path[..*depth]).is_some_and(
                |node| matches!(node, Node::Split(split) if split.axis == direction.axis()),
            )
        });
        if let Some(depth) = split {
            let index = path[depth];
            let parts = self.root.at(&path[..depth]).map_or(0, Node::parts);
            let border = if index + 1 < parts { index } else { index - 1 };
            self.shift(&path[..depth], border, direction, cells, area);
        }
    }

    /// Moves a border so that it comes to stand at this column or row of the screen.
    pub fn drag(&mut self, border: &Border, column: u16, row: u16, area: Rect) {
        let (now, wanted) = match border.axis {
            Axis::Columns => (border.area.x, column),
            Axis::Rows => (border.area.y, row),
        };
        let direction = match (border.axis, wanted > now) {
            (Axis::Columns, true) => Direction::Right,
            (Axis::Columns, false) => Direction::Left,
            (Axis::Rows, true) => Direction::Down,
            (Axis::Rows, false) => Direction::Up,
        };
        let path = border.split.clone();
        self.shift(&path, border.index, direction, wanted.abs_diff(now), area);
    }

    fn shift(
        &mut self,
        split: &[usize],
        border: usize,
        direction: Direction,
        cells: u16,
        area: Rect,
    ) {
        let Some(area) = self.root.area_of(split, area) else {
            return;
        };
        let Some(Node::Split(split)) = self.root.at_mut(split) else {
            return;
        };
        let Some(now) = lengths(split, area) else {
            return;
        };
        let minima: Vec<_> = split.minima();
        let (grows, shrinks) = if direction.is_forward() {
            (border, border + 1)
        } else {
            (border + 1, border)
        };
        if grows.max(shrinks) >= now.len() {
            return;
        }
        let cells = cells.min(now[shrinks].saturating_sub(minima[shrinks]));
        for (part, length) in split.parts.iter_mut().zip(&now) {
            part.weight = u32::from(*length).max(1);
        }
        split.parts[grows].weight += u32::from(cells);
        split.parts[shrinks].weight -= u32::from(cells);
    }
}

impl Node {
    fn split(&mut self, target: PaneId, axis: Axis, new: PaneId) {
        match self {
            Self::Pane(pane) if *pane == target => {
                let parts = [target, new].map(|pane| Part {
                    weight: EVEN,
                    node: Self::Pane(pane),
                });
                *self = Self::Split(Split {
                    axis,
                    parts: parts.into(),
                });
            }
            Self::Pane(_) => {}
            Self::Split(split) => {
                let is_target =
                    |part: &Part| matches!(part.node, Self::Pane(pane) if pane == target);
                match split.parts.iter().position(is_target) {
                    Some(at) if split.axis == axis => split.halve(at, Self::Pane(new)),
                    Some(at) => split.parts[at].node.split(target, axis, new),
                    None => {
                        for part in &mut split.parts {
                            part.node.split(target, axis, new);
                        }
                    }
                }
            }
        }
    }

    fn without(self, pane: PaneId) -> Option<Self> {
        match self {
            Self::Pane(this) => (this != pane).then_some(Self::Pane(this)),
            Self::Split(mut split) => {
                let parts = std::mem::take(&mut split.parts);
                for part in parts {
                    if let Some(node) = part.node.without(pane) {
                        split.put(Part { node, ..part });
                    }
                }
                match split.parts.len() {
                    0 => None,
                    1 => split.parts.pop().map(|part| part.node),
                    _ => Some(Self::Split(split)),
                }
            }
        }
    }

    /// The way to a pane: which part to take at each split.
    fn path(&self, wanted: PaneId) -> Option<Vec<usize>> {
        match self {
            Self::Pane(pane) => (*pane == wanted).then(Vec::new),
            Self::Split(split) => split.parts.iter().enumerate().find_map(|(index, part)| {
                let rest = part.node.path(wanted)?;
                Some([vec![index], rest].concat())
            }),
        }
    }

    fn at(&self, path: &[usize]) -> Option<&Self> {
        match (path, self) {
            ([], node) => Some(node),
            ([index, rest @ ..], Self::Split(split)) => split.parts.get(*index)?.node.at(rest),
            _ => None,
        }
    }

    fn at_mut(&mut self, path: &[usize]) -> Option<&mut Self> {
        match (path, self) {
            ([], node) => Some(node),
            ([index, rest @ ..], Self::Split(split)) => {
                split.parts.get_mut(*index)?.node.at_mut(rest)
            }
            _ => None,
        }
    }

    fn parts(&self) -> usize {
        match self {
            Self::Pane(_) => 0,
            Self::Split(split) => split.parts.len(),
        }
    }
}

impl Split {
    /// The part at `at` gives half of its room to a new one behind it.
    fn halve(&mut self, at: usize, node: Node) {
        // So that a half is never nothing.
        if self.parts[at].weight < 2 {
            for part in &mut self.parts {
                part.weight = (part.weight * EVEN).clamp(1, MAX_WEIGHT);
            }
        }
        let weight = self.parts[at].weight;
        self.parts[at].weight = weight - weight / 2;
        let weight = (weight / 2).max(1);
        self.parts.insert(at + 1, Part { weight, node });
    }

    /// Adds a part at the end. One that is a split along the same axis gives its parts in its place.
    fn put(&mut self, part: Part) {
        match part.node {
            Node::Split(inner) if inner.axis == self.axis => {
                let sum: u64 = inner.parts.iter().map(|part| u64::from(part.weight)).sum();
                for inner in inner.parts {
                    let share = u64::from(part.weight) * u64::from(inner.weight) / sum.max(1);
                    self.parts.push(Part {
                        weight: (share as u32).max(1),
                        node: inner.node,
                    });
                }
            }
            node => self.parts.push(Part { node, ..part }),
        }
    }
}
