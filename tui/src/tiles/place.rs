//! Where each pane is on the screen.
//!
//! Panes side by side have one column between them for a line. Panes one below the other need none: as
//! soon as there are two panes each has a title in its first row.

use ratatui::layout::Rect;

use super::{Axis, Direction, Node, PaneId, Split, Tiles};

/// A pane narrower than this shows nothing.
const MIN_COLUMNS: u16 = 4;

/// A title, and a row of the program.
const MIN_ROWS: u16 = 2;

/// Where a pane is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tile {
    /// Which.
    pub pane: PaneId,
    /// All of it.
    pub area: Rect,
    /// Its first row, for its title; not where it is alone.
    pub title: Option<Rect>,
    /// What is left for the program.
    pub inside: Rect,
}

/// What can be dragged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Border {
    /// Between what lies side by side it is a column of its own; between what lies one below the other
    /// the title row of what is below.
    pub axis: Axis,
    /// Where.
    pub area: Rect,
    pub(super) split: Vec<usize>,
    pub(super) index: usize,
}

/// Where everything is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Placed {
    /// The panes, in the order of reading.
    pub tiles: Vec<Tile>,
    /// What is between them.
    pub borders: Vec<Border>,
}

impl Border {
    /// Whether it is the same one, wherever it was moved to.
    pub fn is_same(&self, other: &Self) -> bool {
        self.axis == other.axis && self.split == other.split && self.index == other.index
    }
}

impl Tile {
    /// A pane that has an area to itself.
    pub fn alone(pane: PaneId, area: Rect) -> Self {
        Self {
            pane,
            area,
            title: None,
            inside: area,
        }
    }

    /// A pane with a title above it.
    pub fn titled(pane: PaneId, area: Rect) -> Self {
        let title = Rect {
            height: area.height.min(1),
            ..area
        };
        Self {
            pane,
            area,
            title: Some(title),
            inside: Rect {
                y: area.y + title.height,
                height: area.height - title.height,
                ..area
            },
        }
    }
}

impl Tiles {
    /// Where the panes are in `area`; `None` where it has no room for all.
    pub fn place(&self, area: Rect) -> Option<Placed> {
        let mut placed = Placed::default();
        if let Node::Pane(pane) = self.root {
            placed.tiles.push(Tile::alone(pane, area));
            return Some(placed);
        }
        self.root.place(area, &mut Vec::new(), &mut placed)?;
        Some(placed)
    }

    /// The pane that one gets to from another: of those that touch that side, the one that is beside
    /// the most of it. At the edge of the tab it is the one at the other edge.
    pub fn neighbour(&self, from: PaneId, direction: Direction, area: Rect) -> Option<PaneId> {
        let placed = self.place(area)?;
        let start = placed.tiles.iter().find(|tile| tile.pane == from)?.area;
        let others = || placed.tiles.iter().filter(|tile| tile.pane != from);
        let shared = |tile: &Tile| match direction.axis() {
            Axis::Columns => overlap((start.y, start.bottom()), (tile.area.y, tile.area.bottom())),
            Axis::Rows => overlap((start.x, start.right()), (tile.area.x, tile.area.right())),
        };
        let beside = others().filter(|tile| shared(tile) > 0);
        let touching = beside
            .clone()
            .filter(|tile| touches(start, tile.area, direction));
        let best = touching.max_by_key(|tile| (shared(tile), std::cmp::Reverse(tile.pane)));
        let across = || {
            let far = |tile: &&Tile| match direction {
                Direction::Left => i32::from(tile.area.right()),
                Direction::Right => -i32::from(tile.area.x),
                Direction::Up => i32::from(tile.area.bottom()),
                Direction::Down => -i32::from(tile.area.y),
            };
            beside
                .clone()
                .max_by_key(|tile| (far(tile), shared(tile), std::cmp::Reverse(tile.pane)))
        };
        best.or_else(across).map(|tile| tile.pane)
    }
}

fn overlap(one: (u16, u16), other: (u16, u16)) -> u16 {
    one.1.min(other.1).saturating_sub(one.0.max(other.0))
}

/// Whether `other` begins where `start` ends, with the line between.
fn touches(start: Rect, other: Rect, direction: Direction) -> bool {
    match direction {
        Direction::Left => other.right() + 1 == start.x,
        Direction::Right => start.right() + 1 == other.x,
        Direction::Up => other.bottom() == start.y,
        Direction::Down => start.bottom() == other.y,
    }
}

impl Node {
    fn place(&self, area: Rect, path: &mut Vec<usize>, placed: &mut Placed) -> Option<()> {
        let split = match self {
            Self::Pane(pane) => {
                let fits = area.width >= MIN_COLUMNS && area.height >= MIN_ROWS;
                placed.tiles.push(Tile::titled(*pane, area));
                return fits.then_some(());
            }
            Self::Split(split) => split,
        };
        let areas = areas(split, area)?;
        for (index, (part, area)) in split.parts.iter().zip(&areas).enumerate() {
            if index > 0 {
                placed.borders.push(Border {
                    axis: split.axis,
                    area: border(split.axis, *area),
                    split: path.clone(),
                    index: index - 1,
                });
            }
            path.push(index);
            part.node.place(*area, path, placed)?;
            path.pop();
        }
        Some(())
    }

    /// The area of the node at a path.
    pub(super) fn area_of(&self, path: &[usize], area: Rect) -> Option<Rect> {
        match (path, self) {
            ([], _) => Some(area),
            ([index, rest @ ..], Self::Split(split)) => {
                let area = *areas(split, area)?.get(*index)?;
                split.parts.get(*index)?.node.area_of(rest, area)
            }
            _ => None,
        }
    }

    /// The fewest columns and rows in which all its panes have room.
    fn minimum(&self) -> (u16, u16) {
        let split = match self {
            Self::Pane(_) => return (MIN_COLUMNS, MIN_ROWS),
            Self::Split(split) => split,
        };
        let minima = || split.parts.iter().map(|part| part.node.minimum());
        let lines = split.parts.len() as u16 - 1;
        match split.axis {
            Axis::Columns => (
                minima()
                    .map(|(columns, _)| columns)
                    .sum::<u16>()
                    .saturating_add(lines),
                minima().map(|(_, rows)| rows).max().unwrap_or(MIN_ROWS),
            ),
            Axis::Rows => (
                minima()
                    .map(|(columns, _)| columns)
                    .max()
                    .unwrap_or(MIN_COLUMNS),
                minima().map(|(_, rows)| rows).sum(),
            ),
        }
    }
}

/// The line before a part, or its first row.
fn border(axis: Axis, part: Rect) -> Rect {
    match axis {
        Axis::Columns => Rect {
            x: part.x - 1,
            width: 1,
            ..part
        },
        Axis::Rows => Rect { height: 1, ..part },
    }
}

fn areas(split: &Split, area: Rect) -> Option<Vec<Rect>> {
    let mut at = match split.axis {
        Axis::Columns => area.x,
        Axis::Rows => area.y,
    };
    let area_at = |length: u16| {
        let part = match split.axis {
            Axis::Columns => Rect {
                x: at,
                width: length,
                ..area
            },
            Axis::Rows => Rect {
                y: at,
                height: length,
                ..area
            },
        };
        at += length + u16::from(split.axis == Axis::Columns);
        part
    };
    Some(lengths(split, area)?.into_iter().map(area_at).collect())
}

/// How long each part is along its split's axis; `None` where there is no room for all.
pub(super) fn lengths(split: &Split, area: Rect) -> Option<Vec<u16>> {
    let lines = split.parts.len() as u16 - 1;
    let room = match split.axis {
        Axis::Columns => area.width.checked_sub(lines)?,
        Axis::Rows => area.height,
    };
    let weights: Vec<_> = split.parts.iter().map(|part| part.weight).collect();
    share(room, &weights, &split.minima())
}

impl Split {
    /// The least that each part needs along the axis.
    pub(super) fn minima(&self) -> Vec<u16> {
        let along = |(columns, rows): (u16, u16)| match self.axis {
            Axis::Columns => columns,
            Axis::Rows => rows,
        };
        self.parts
            .iter()
            .map(|part| along(part.node.minimum()))
            .collect()
    }
}

/// Shares `room` by weight, so that it is used up and nobody has less than its minimum.
fn share(room: u16, weights: &[u32], minima: &[u16]) -> Option<Vec<u16>> {
    if minima
        .iter()
        .map(|minimum| u32::from(*minimum))
        .sum::<u32>()
        > u32::from(room)
    {
        return None;
    }
    let sum: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
    // The ends of the shares, rounded: what one part loses the next one gains.
    let mut passed = 0;
    let mut before = 0;
    let mut lengths: Vec<u16> = Vec::with_capacity(weights.len());
    for weight in weights {
        passed += u64::from(*weight);
        let end = ((u64::from(room) * passed + sum / 2) / sum.max(1)) as u16;
        lengths.push(end - before);
        before = end;
    }
    while let Some(short) = (0..lengths.len()).find(|at| lengths[*at] < minima[*at]) {
        let longest =
            (0..lengths.len()).max_by_key(|at| lengths[*at].saturating_sub(minima[*at]))?;
        lengths[short] += 1;
        lengths[longest] -= 1;
    }
    Some(lengths)
}
