//! Layouts with a name, as tmux has them.

use super::{Axis, EVEN, Node, PaneId, Part, Split, Tiles};

/// What the main pane has of its layout, of [`EVEN`] for all the others together.
const MAIN: u32 = EVEN * 3 / 2;

/// A layout with a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    /// All side by side.
    EvenHorizontal,
    /// All one below the other.
    EvenVertical,
    /// The first one above, the others side by side below it.
    MainHorizontal,
    /// The first one at the left, the others one below the other at its right.
    MainVertical,
    /// Rows of panes, as square as it goes.
    Tiled,
}

impl Preset {
    /// In the order in which one key goes through them.
    pub const ALL: [Self; 5] = [
        Self::EvenHorizontal,
        Self::EvenVertical,
        Self::MainHorizontal,
        Self::MainVertical,
        Self::Tiled,
    ];

    /// Its name, as tmux has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::EvenHorizontal => "even-horizontal",
            Self::EvenVertical => "even-vertical",
            Self::MainHorizontal => "main-horizontal",
            Self::MainVertical => "main-vertical",
            Self::Tiled => "tiled",
        }
    }

    /// The layout of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|preset| preset.name() == name)
    }

    /// The one after it.
    pub fn next(self) -> Self {
        let at = Self::ALL
            .iter()
            .position(|preset| *preset == self)
            .unwrap_or(0);
        Self::ALL[(at + 1) % Self::ALL.len()]
    }
}

impl Tiles {
    /// The same panes, in the same order, in this layout.
    pub fn arrange(&mut self, preset: Preset) {
        let panes = self.panes();
        let arranged = match preset {
            Preset::EvenHorizontal => row_of(&panes, Axis::Columns),
            Preset::EvenVertical => row_of(&panes, Axis::Rows),
            Preset::MainHorizontal => main_and_others(&panes, Axis::Rows),
            Preset::MainVertical => main_and_others(&panes, Axis::Columns),
            Preset::Tiled => tiled(&panes),
        };
        if let Some(root) = arranged {
            self.root = root;
        }
    }
}

fn row_of(panes: &[PaneId], axis: Axis) -> Option<Node> {
    split_of(panes.iter().map(|pane| (EVEN, Node::Pane(*pane))), axis)
}

fn split_of(nodes: impl Iterator<Item = (u32, Node)>, axis: Axis) -> Option<Node> {
    let mut parts: Vec<_> = nodes.map(|(weight, node)| Part { weight, node }).collect();
    match parts.len() {
        0 | 1 => parts.pop().map(|part| part.node),
        _ => Some(Node::Split(Split { axis, parts })),
    }
}

fn main_and_others(panes: &[PaneId], axis: Axis) -> Option<Node> {
    let (main, others) = panes.split_first()?;
    let across = match axis {
        Axis::Columns => Axis::Rows,
        Axis::Rows => Axis::Columns,
    };
    let others = row_of(others, across).map(|node| (EVEN, node));
    split_of([(MAIN, Node::Pane(*main))].into_iter().chain(others), axis)
}

fn tiled(panes: &[PaneId]) -> Option<Node> {
    let columns = (1..=panes.len()).find(|columns| columns * columns >= panes.len())?;
    let rows = panes
        .chunks(columns)
        .filter_map(|row| row_of(row, Axis::Columns));
    split_of(rows.map(|row| (EVEN, row)), Axis::Rows)
}
