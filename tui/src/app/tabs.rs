//! The tabs and how panes are spread over them. It knows panes by number only.
//!
//! Invariants: every pane is in one tab; a tab has at least one pane; the focus of a tab is one of its
//! panes. A tab without panes is gone.

mod float;

use ratatui::layout::Rect;

pub use float::Float;

use crate::tiles::{Axis, PaneId, Placed, Preset, Tile, Tiles};

/// A tab of this client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TabId(pub u64);

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
mod tests;
