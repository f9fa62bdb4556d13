//! What a tree of splits promises, for any sequence of changes.

use proptest::prelude::*;
use ratatui::layout::Rect;

use super::*;

#[derive(Clone, Debug)]
enum Change {
    Split(usize, Axis),
    Remove(usize),
    Swap(usize, usize),
    Rotate(Direction),
    Arrange(Preset),
    Resize(usize, Direction, u16),
    Drag(usize, u16, u16),
}

fn direction() -> impl Strategy<Value = Direction> {
    prop_oneof![
        Just(Direction::Left),
        Just(Direction::Right),
        Just(Direction::Up),
        Just(Direction::Down)
    ]
}

fn change() -> impl Strategy<Value = Change> {
    let axis = prop_oneof![Just(Axis::Columns), Just(Axis::Rows)];
    let pane = 0..32usize;
    prop_oneof![
        4 => (pane.clone(), axis).prop_map(|(at, axis)| Change::Split(at, axis)),
        2 => pane.clone().prop_map(Change::Remove),
        1 => (pane.clone(), pane.clone()).prop_map(|(one, other)| Change::Swap(one, other)),
        1 => direction().prop_map(Change::Rotate),
        1 => (0..5usize).prop_map(|at| Change::Arrange(Preset::ALL[at])),
        3 => (pane.clone(), direction(), 0..40u16).prop_map(|(at, way, cells)| Change::Resize(at, way, cells)),
        2 => (pane, 0..220u16, 0..70u16).prop_map(|(at, x, y)| Change::Drag(at, x, y)),
    ]
}

struct Tab {
    tiles: Tiles,
    next: u64,
    area: Rect,
}

impl Tab {
    fn apply(&mut self, change: &Change) {
        let panes = self.tiles.panes();
        let pane = |at: usize| panes[at % panes.len()];
        match *change {
            Change::Split(at, axis) => {
                self.next += 1;
                self.tiles.split(pane(at), axis, PaneId(self.next));
            }
            Change::Remove(at) => {
                if let Some(tiles) = self.tiles.clone().without(pane(at)) {
                    self.tiles = tiles;
                }
            }
            Change::Swap(one, other) => self.tiles.swap(pane(one), pane(other)),
            Change::Rotate(direction) => self.tiles.rotate(direction),
            Change::Arrange(preset) => self.tiles.arrange(preset),
            Change::Resize(at, direction, cells) => {
                self.tiles.resize(pane(at), direction, cells, self.area);
            }
            Change::Drag(at, x, y) => {
                let placed = self.tiles.place(self.area).unwrap_or_default();
                if let Some(border) = placed.borders.get(at % placed.borders.len().max(1)) {
                    self.tiles.drag(border, x, y, self.area);
                }
            }
        }
    }

    fn check(&self) {
        assert!(self.tiles.is_sound(), "{:?}", self.tiles);
        assert_eq!(self.tiles.count(), self.tiles.panes().len());
        let Some(placed) = self.tiles.place(self.area) else {
            return;
        };
        let lines = placed
            .borders
            .iter()
            .filter(|border| border.axis == Axis::Columns);
        let parts: Vec<_> = placed
            .tiles
            .iter()
            .map(|tile| tile.area)
            .chain(lines.map(|border| border.area))
            .collect();
        let cells: u32 = parts.iter().map(|part| part.area()).sum();
        assert_eq!(
            cells,
            self.area.area(),
            "nothing is left over: {:?}",
            self.tiles
        );
        for (at, part) in parts.iter().enumerate() {
            assert!(
                parts[..at].iter().all(|other| !other.intersects(*part)),
                "{parts:?}"
            );
        }
        assert!(placed.tiles.iter().all(|tile| tile.inside.area() > 0));
    }
}

proptest! {
    #[test]
    fn the_panes_tile_the_area_after_any_changes(
        changes in proptest::collection::vec(change(), 0..60),
        width in 1..220u16,
        height in 1..70u16,
    ) {
        let area = Rect::new(3, 2, width, height);
        let mut tab = Tab { tiles: Tiles::of(PaneId(0)), next: 0, area };
        for change in &changes {
            tab.apply(change);
            tab.check();
        }
        let text = toml::to_string(&Saved { tiles: tab.tiles.clone() }).unwrap();
        prop_assert_eq!(toml::from_str::<Saved>(&text).unwrap().tiles, tab.tiles);
    }

    #[test]
    fn from_each_pane_one_gets_to_every_other(changes in proptest::collection::vec(change(), 0..30)) {
        let area = Rect::new(0, 0, 200, 60);
        let mut tab = Tab { tiles: Tiles::of(PaneId(0)), next: 0, area };
        for change in &changes {
            tab.apply(change);
        }
        if tab.tiles.place(area).is_some() {
            let mut reached = vec![tab.tiles.panes()[0]];
            let mut at = 0;
            while at < reached.len() {
                for way in [Direction::Left, Direction::Right, Direction::Up, Direction::Down] {
                    let next = tab.tiles.neighbour(reached[at], way, area);
                    reached.extend(next.filter(|next| !reached.contains(next)));
                }
                at += 1;
            }
            prop_assert_eq!(reached.len(), tab.tiles.count());
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Saved {
    tiles: Tiles,
}

const A: PaneId = PaneId(1);
const B: PaneId = PaneId(2);
const C: PaneId = PaneId(3);
const AREA: Rect = Rect::new(0, 0, 81, 24);

fn areas(tiles: &Tiles) -> Vec<(u64, Rect)> {
    let placed = tiles.place(AREA).unwrap();
    placed
        .tiles
        .iter()
        .map(|tile| (tile.pane.0, tile.area))
        .collect()
}

/// `A` at the left, `B` above `C` at the right.
fn three() -> Tiles {
    let mut tiles = Tiles::of(A);
    tiles.split(A, Axis::Columns, B);
    tiles.split(B, Axis::Rows, C);
    tiles
}

#[test]
fn a_pane_alone_has_everything_and_no_title() {
    let placed = Tiles::of(A).place(AREA).unwrap();
    assert_eq!(placed.tiles, [Tile::alone(A, AREA)]);
}

#[test]
fn a_split_halves_what_it_splits() {
    assert_eq!(
        areas(&three()),
        [
            (1, Rect::new(0, 0, 40, 24)),
            (2, Rect::new(41, 0, 40, 12)),
            (3, Rect::new(41, 12, 40, 12))
        ]
    );
}

#[test]
fn who_is_taken_out_leaves_its_room_to_its_neighbours() {
    let left = three().without(B).unwrap();
    assert_eq!(
        areas(&left),
        [(1, Rect::new(0, 0, 40, 24)), (3, Rect::new(41, 0, 40, 24))]
    );
    assert_eq!(Tiles::of(A).without(A), None);
}

#[test]
fn a_border_moves_as_far_as_there_is_room() {
    let mut tiles = three();
    tiles.resize(B, Direction::Left, 5, AREA);
    assert_eq!(areas(&tiles)[0], (1, Rect::new(0, 0, 35, 24)));
    tiles.resize(B, Direction::Left, 500, AREA);
    assert_eq!(areas(&tiles)[0].1.width, 4);
    tiles.resize(C, Direction::Up, 3, AREA);
    assert_eq!(areas(&tiles)[1].1.height, 9);
}

#[test]
fn one_looks_for_a_neighbour_on_its_side_and_then_across() {
    let tiles = three();
    let to = |from, way| tiles.neighbour(from, way, AREA);
    assert_eq!(to(B, Direction::Down), Some(C));
    assert_eq!(to(C, Direction::Left), Some(A));
    assert_eq!(to(A, Direction::Left), Some(B), "around the edge");
    assert_eq!(to(B, Direction::Up), Some(C), "around the edge");
}

#[test]
fn the_named_layouts_are_those_of_tmux() {
    let mut tiles = three();
    tiles.arrange(Preset::EvenVertical);
    let heights: Vec<_> = areas(&tiles).iter().map(|(_, area)| area.height).collect();
    assert_eq!(heights, [8, 8, 8]);
    tiles.arrange(Preset::MainVertical);
    assert_eq!(areas(&tiles)[0].1, Rect::new(0, 0, 48, 24));
    tiles.arrange(Preset::Tiled);
    let areas = areas(&tiles);
    assert_eq!(areas[2].1, Rect::new(0, 12, 81, 12), "{areas:?}");
    let names: Vec<_> = Preset::ALL
        .iter()
        .map(|preset| Preset::named(preset.name()))
        .collect();
    assert_eq!(names, Preset::ALL.map(Some));
}

#[test]
fn an_area_without_room_for_all_is_told() {
    assert_eq!(three().place(Rect::new(0, 0, 8, 24)), None);
    assert_eq!(three().place(Rect::new(0, 0, 81, 3)), None);
    assert!(three().place(Rect::new(0, 0, 9, 4)).is_some());
}
