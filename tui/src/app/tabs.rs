//! The tabs and how panes are spread over them. It knows panes by number only.
//!
//! Invariants: every pane is in one tab; a tab has at least one pane; the focus of a tab is one of its
//! panes. A tab without panes is gone.

use ratatui::layout::Rect;
use serde::{Deserialize, Serialize};

use crate::tiles::{Axis, PaneId, Placed, Preset, Tile, Tiles};

/// A tab of this client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TabId(pub u64);

/// A pane that floats above the others: where, in thousandths of the tab's area, so that it stays in
/// it whatever its size is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Float {
    /// Which.
    pub pane: PaneId,
    /// From the left.
    pub x: u16,
    /// From the top.
    pub y: u16,
    /// How wide.
    pub width: u16,
    /// How high.
    pub height: u16,
}

/// All of an area, in the units of [`Float`].
const WHOLE: u16 = 1000;

/// The smallest floating pane, with its frame.
const MIN_FLOAT: (u16, u16) = (12, 4);

/// What is where in a tab.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Arrangement {
    /// The panes that share the area, and what is between them.
    pub tiled: Placed,
    /// The panes above them, the topmost last.
    pub floats: Vec<Tile>,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Tab {
    /// Which.
    pub id: TabId,
    /// Its name, if somebody gave it one.
    pub name: Option<String>,
    /// The panes that share its area; none where all of them float.
    pub tiles: Option<Tiles>,
    /// The panes above them, the topmost last.
    pub floats: Vec<Float>,
    /// Whether the floating panes are not shown now.
    pub floats_hidden: bool,
    /// The pane that has the keys.
    pub focus: PaneId,
    /// The pane that had them before.
    pub before: Option<PaneId>,
    /// Only the focused pane is shown.
    pub zoomed: bool,
    /// What is typed goes to all panes.
    pub synchronised: bool,
    /// The layout that was chosen last.
    pub preset: Option<Preset>,
}

impl Tab {
    /// A tab with one pane.
    pub fn new(id: TabId, pane: PaneId) -> Self {
        Self {
            id,
            name: None,
            tiles: Some(Tiles::of(pane)),
            floats: Vec::new(),
            floats_hidden: false,
            focus: pane,
            before: None,
            zoomed: false,
            synchronised: false,
            preset: None,
        }
    }

    /// All its panes, those that float last.
    pub fn panes(&self) -> Vec<PaneId> {
        let mut panes = self.tiles.as_ref().map(Tiles::panes).unwrap_or_default();
        panes.extend(self.floats.iter().map(|float| float.pane));
        panes
    }

    /// Whether a pane is in it.
    pub fn contains(&self, pane: PaneId) -> bool {
        self.is_floating(pane)
            || self
                .tiles
                .as_ref()
                .is_some_and(|tiles| tiles.contains(pane))
    }

    /// Whether a pane floats.
    pub fn is_floating(&self, pane: PaneId) -> bool {
        self.floats.iter().any(|float| float.pane == pane)
    }

    /// Gives a pane the keys.
    pub fn focus(&mut self, pane: PaneId) {
        if pane == self.focus || !self.contains(pane) {
            return;
        }
        self.before = Some(self.focus);
        self.focus = pane;
        self.zoomed = false;
        if let Some(at) = self.floats.iter().position(|float| float.pane == pane) {
            let float = self.floats.remove(at);
            self.floats.push(float);
            self.floats_hidden = false;
        }
    }

    /// Splits the focused pane, or where that floats the first one below.
    pub fn split(&mut self, axis: Axis, new: PaneId) {
        match &mut self.tiles {
            None => self.tiles = Some(Tiles::of(new)),
            Some(tiles) => {
                let target = if tiles.contains(self.focus) {
                    self.focus
                } else {
                    tiles.panes()[0]
                };
                tiles.split(target, axis, new);
            }
        }
        self.preset = None;
        self.focus(new);
    }

    /// Puts a pane above the others, in the middle, each a little beside the one before.
    pub fn float(&mut self, pane: PaneId) {
        let step = 30 * (self.floats.len() as u16 % 6);
        let (x, y) = (150 + step, 120 + step);
        let (width, height) = (600, 600);
        self.floats.push(Float {
            pane,
            x,
            y,
            width,
            height,
        });
        self.floats_hidden = false;
        self.focus(pane);
    }

    /// A floating pane among the others, or one of the others above them.
    pub fn toggle_float(&mut self, pane: PaneId) {
        self.zoomed = false;
        if let Some(at) = self.floats.iter().position(|float| float.pane == pane) {
            self.floats.remove(at);
            match &mut self.tiles {
                Some(tiles) => {
                    let last = *tiles.panes().last().unwrap_or(&pane);
                    tiles.split(last, Axis::Columns, pane);
                }
                None => self.tiles = Some(Tiles::of(pane)),
            }
        } else if let Some(tiles) = self.tiles.take() {
            self.tiles = tiles.without(pane);
            let focus = self.focus;
            self.float(pane);
            self.focus = focus;
        }
    }

    /// The same tab without a pane; `None`: it was the last one.
    fn without(mut self, pane: PaneId) -> Option<Self> {
        let order = self.panes();
        self.floats.retain(|float| float.pane != pane);
        self.tiles = self.tiles.and_then(|tiles| tiles.without(pane));
        self.before = self.before.filter(|before| *before != pane);
        let left = self.panes();
        if left.is_empty() {
            return None;
        }
        if self.focus == pane {
            let at = order.iter().position(|other| *other == pane).unwrap_or(0);
            let next = self
                .before
                .take()
                .or_else(|| left.get(at.saturating_sub(1)).copied());
            self.focus = next.unwrap_or(left[0]);
            self.zoomed = false;
        }
        if left.len() == 1 {
            self.synchronised = false;
        }
        Some(self)
    }

    /// What is where in `area`. Where there is no room for all, the focused pane has all of it.
    pub fn arrange(&self, area: Rect) -> Arrangement {
        let alone = |pane| Placed {
            tiles: vec![Tile::alone(pane, area)],
            borders: Vec::new(),
        };
        if self.zoomed {
            return Arrangement {
                tiled: alone(self.focus),
                floats: Vec::new(),
            };
        }
        let tiled = match &self.tiles {
            None => Placed::default(),
            Some(tiles) => tiles.place(area).unwrap_or_else(|| {
                let shown = if tiles.contains(self.focus) {
                    self.focus
                } else {
                    tiles.panes()[0]
                };
                alone(shown)
            }),
        };
        let floats = if self.floats_hidden {
            Vec::new()
        } else {
            self.floats.iter().map(|float| float.place(area)).collect()
        };
        Arrangement { tiled, floats }
    }
}

impl Float {
    fn place(&self, area: Rect) -> Tile {
        let of = |share: u16, whole: u16| {
            (u32::from(share.min(WHOLE)) * u32::from(whole) / u32::from(WHOLE)) as u16
        };
        let width = of(self.width, area.width).max(MIN_FLOAT.0).min(area.width);
        let height = of(self.height, area.height)
            .max(MIN_FLOAT.1)
            .min(area.height);
        let x = of(self.x, area.width).min(area.width - width);
        let y = of(self.y, area.height).min(area.height - height);
        let area = Rect::new(area.x + x, area.y + y, width, height);
        Tile {
            pane: self.pane,
            area,
            title: Some(Rect {
                height: area.height.min(1),
                ..area
            }),
            inside: crate::view::layout::inner(area),
        }
    }

    /// So that it comes to stand with its corner at a place of the screen, as far as it stays in `area`.
    pub fn move_to(&mut self, column: u16, row: u16, area: Rect) {
        let share = |at: u16, start: u16, whole: u16| {
            (u32::from(at.saturating_sub(start)) * u32::from(WHOLE) / u32::from(whole.max(1)))
                as u16
        };
        self.x = share(column, area.x, area.width).min(WHOLE - self.width.min(WHOLE));
        self.y = share(row, area.y, area.height).min(WHOLE - self.height.min(WHOLE));
    }

    /// So that its lower right corner comes to stand at a place of the screen.
    pub fn stretch_to(&mut self, column: u16, row: u16, area: Rect) {
        let now = self.place(area).area;
        let columns = i32::from(column) + 1 - i32::from(now.right());
        let rows = i32::from(row) + 1 - i32::from(now.bottom());
        self.grow(columns, rows, area);
    }

    /// Makes it larger or smaller, in cells of `area`.
    pub fn grow(&mut self, columns: i32, rows: i32, area: Rect) {
        let grown = |share: u16, by: i32, whole: u16| {
            let by = by * i32::from(WHOLE) / i32::from(whole.max(1));
            (i32::from(share) + by).clamp(100, i32::from(WHOLE)) as u16
        };
        self.width = grown(self.width, columns, area.width);
        self.height = grown(self.height, rows, area.height);
        self.x = self.x.min(WHOLE - self.width);
        self.y = self.y.min(WHOLE - self.height);
    }
}

/// All tabs. There may be none.
#[derive(Clone, Debug, Default)]
pub struct Tabs {
    tabs: Vec<Tab>,
    current: usize,
    /// The tab that was shown before.
    before: Option<TabId>,
}

impl Tabs {
    /// In their order.
    pub fn iter(&self) -> impl Iterator<Item = &Tab> {
        self.tabs.iter()
    }

    /// How many.
    pub fn count(&self) -> usize {
        self.tabs.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.tabs.is_empty()
    }

    /// The tab that is shown.
    pub fn current(&self) -> Option<&Tab> {
        self.tabs.get(self.current)
    }

    /// The tab that is shown.
    pub fn current_mut(&mut self) -> Option<&mut Tab> {
        self.tabs.get_mut(self.current)
    }

    /// The place of the tab that is shown.
    pub fn current_place(&self) -> usize {
        self.current
    }

    /// The tab that was shown before.
    pub fn before(&self) -> Option<TabId> {
        self.before
            .filter(|id| self.tabs.iter().any(|tab| tab.id == *id))
    }

    /// One of them.
    pub fn get(&self, id: TabId) -> Option<&Tab> {
        self.tabs.iter().find(|tab| tab.id == id)
    }

    /// One of them.
    pub fn get_mut(&mut self, id: TabId) -> Option<&mut Tab> {
        self.tabs.iter_mut().find(|tab| tab.id == id)
    }

    /// The tab of a pane.
    pub fn of(&self, pane: PaneId) -> Option<&Tab> {
        self.tabs.iter().find(|tab| tab.contains(pane))
    }

    /// Adds a tab behind the one that is shown, and shows it.
    pub fn add(&mut self, tab: Tab) {
        let at = (self.current + 1).min(self.tabs.len());
        self.before = self.current().map(|tab| tab.id);
        self.tabs.insert(at, tab);
        self.current = at;
    }

    /// Adds a tab at the end.
    pub fn push(&mut self, tab: Tab) {
        self.tabs.push(tab);
    }

    /// Shows a tab by its place.
    pub fn select(&mut self, place: usize) {
        if place < self.tabs.len() && place != self.current {
            self.before = self.current().map(|tab| tab.id);
            self.current = place;
        }
    }

    /// Shows a tab.
    pub fn show(&mut self, id: TabId) {
        if let Some(place) = self.tabs.iter().position(|tab| tab.id == id) {
            self.select(place);
        }
    }

    /// Shows the tab that is so many places further, around the end.
    pub fn step(&mut self, by: isize) {
        if !self.tabs.is_empty() {
            let count = self.tabs.len() as isize;
            self.select((self.current as isize + by).rem_euclid(count) as usize);
        }
    }

    /// Moves the tab that is shown by one place, around the end.
    pub fn shift(&mut self, by: isize) {
        if self.tabs.len() > 1 {
            let count = self.tabs.len() as isize;
            let to = (self.current as isize + by).rem_euclid(count) as usize;
            let tab = self.tabs.remove(self.current);
            self.tabs.insert(to, tab);
            self.current = to;
        }
    }

    /// Brings a pane of another tab to the one that is shown, beside the one that has the keys.
    pub fn bring(&mut self, pane: PaneId) {
        let Some(here) = self
            .current()
            .filter(|tab| !tab.contains(pane))
            .map(|tab| tab.id)
        else {
            return;
        };
        self.remove(pane);
        self.show(here);
        if let Some(tab) = self.current_mut() {
            tab.zoomed = false;
            tab.split(Axis::Columns, pane);
        }
    }

    /// Takes a pane out of its tab; the tab goes with its last pane.
    pub fn remove(&mut self, pane: PaneId) {
        let Some(at) = self.tabs.iter().position(|tab| tab.contains(pane)) else {
            return;
        };
        let tab = self.tabs.remove(at);
        let shown = self.current;
        match tab.without(pane) {
            Some(tab) => self.tabs.insert(at, tab),
            // The tab that was shown before comes back, else the one at the left.
            None if at == shown => {
                let before = self.before.take();
                let place = before.and_then(|id| self.tabs.iter().position(|tab| tab.id == id));
                let last = self.tabs.len().saturating_sub(1);
                self.current = place.unwrap_or(at.saturating_sub(1)).min(last);
            }
            None if at < shown => self.current -= 1,
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AREA: Rect = Rect::new(0, 0, 100, 30);

    fn pane(number: u64) -> PaneId {
        PaneId(number)
    }

    fn tab(number: u64) -> Tab {
        Tab::new(TabId(number), pane(number))
    }

    fn tabs(count: u64) -> Tabs {
        let mut tabs = Tabs::default();
        (1..=count).for_each(|number| tabs.add(tab(number)));
        tabs
    }

    fn order(tabs: &Tabs) -> Vec<u64> {
        tabs.iter().map(|tab| tab.id.0).collect()
    }

    #[test]
    fn the_tab_before_comes_back_when_one_is_gone() {
        let mut tabs = tabs(3);
        tabs.select(0);
        tabs.select(2);
        tabs.remove(pane(3));
        assert_eq!(tabs.current().unwrap().id, TabId(1));
        tabs.remove(pane(1));
        assert_eq!(tabs.current().unwrap().id, TabId(2));
        tabs.remove(pane(2));
        assert!(tabs.is_empty() && tabs.current().is_none());
    }

    #[test]
    fn a_tab_at_the_left_of_the_shown_one_goes_without_a_change() {
        let mut tabs = tabs(3);
        tabs.remove(pane(1));
        assert_eq!(tabs.current().unwrap().id, TabId(3));
    }

    #[test]
    fn tabs_move_and_wrap_around() {
        let mut tabs = tabs(3);
        tabs.shift(1);
        assert_eq!(order(&tabs), [3, 1, 2]);
        assert_eq!(tabs.current().unwrap().id, TabId(3));
        tabs.step(-1);
        assert_eq!(tabs.current().unwrap().id, TabId(2));
    }

    #[test]
    fn who_had_the_keys_before_gets_them_back() {
        let mut tab = tab(1);
        tab.split(Axis::Columns, pane(2));
        tab.split(Axis::Rows, pane(3));
        tab.focus(pane(1));
        let tab = tab.without(pane(1)).unwrap();
        assert_eq!(tab.focus, pane(3));
    }

    #[test]
    fn a_floating_pane_stays_in_its_tab_whatever_its_size() {
        let mut tab = tab(1);
        tab.float(pane(2));
        for (width, height) in [(1, 1), (12, 4), (20, 5), (100, 30), (220, 60)] {
            let area = Rect::new(0, 0, width, height);
            let float = tab.arrange(area).floats[0];
            assert_eq!(
                float.area.intersection(area),
                float.area,
                "{width}x{height}"
            );
        }
        tab.floats[0].grow(1000, -1000, AREA);
        tab.floats[0].move_to(500, 500, AREA);
        let float = tab.arrange(AREA).floats[0];
        assert_eq!(float.area.intersection(AREA), float.area);
    }

    #[test]
    fn a_pane_floats_and_comes_back() {
        let mut tab = tab(1);
        tab.split(Axis::Columns, pane(2));
        tab.toggle_float(pane(2));
        assert!(tab.is_floating(pane(2)) && tab.focus == pane(2));
        tab.toggle_float(pane(2));
        assert_eq!(tab.panes(), [pane(1), pane(2)]);
        tab.toggle_float(pane(1));
        tab.toggle_float(pane(2));
        assert_eq!(tab.tiles, None, "all of them may float");
        tab.split(Axis::Rows, pane(3));
        assert_eq!(tab.panes().len(), 3);
    }

    #[test]
    fn a_zoomed_pane_is_alone_until_another_has_the_keys() {
        let mut tab = tab(1);
        tab.split(Axis::Columns, pane(2));
        tab.zoomed = true;
        assert_eq!(tab.arrange(AREA).tiled.tiles, [Tile::alone(pane(2), AREA)]);
        tab.focus(pane(1));
        assert_eq!(tab.arrange(AREA).tiled.tiles.len(), 2);
    }
}
