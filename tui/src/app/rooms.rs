//! What follows from where things are: each session is told its room, marks go when somebody looks, and
//! the layout is kept.

use bytes::Bytes;
use cmdop_proto::Size;
use ratatui::layout::Rect;

use super::message::Effect;
use super::model::{Model, Page};
use super::saved::Saved;
use super::tabs::{Arrangement, Tab};
use crate::pane::{AttachmentId, Link, Mark};
use crate::tiles::{PaneId, Tile};
use crate::view::layout;

const FOCUS_IN: &[u8] = b"\x1b[I";
const FOCUS_OUT: &[u8] = b"\x1b[O";

impl Model {
    /// Where tabs are.
    pub fn tab_area(&self) -> Rect {
        layout::areas(self.setup.screen).main
    }

    /// What is where in the tab that is shown.
    pub fn arrangement(&self) -> Option<Arrangement> {
        let tab = self.tabs.current()?;
        Some(tab.arrange(self.tab_area()))
    }

    /// What a tab is called: its name, or that of the session that has the keys in it.
    pub fn tab_name(&self, tab: &Tab) -> String {
        if let Some(name) = &tab.name {
            return name.clone();
        }
        let pane = self.panes.get(&tab.focus);
        pane.map_or_else(String::new, |pane| {
            let session = self
                .session_of(tab.focus)
                .map(|session| session.name.clone());
            match session.filter(|name| !name.is_empty()) {
                Some(name) => name,
                None => pane.label.split('/').next().unwrap_or_default().to_owned(),
            }
        })
    }

    /// The most urgent mark of a tab's panes.
    pub fn mark_of(&self, tab: &Tab) -> Mark {
        let panes = tab
            .panes()
            .into_iter()
            .filter_map(|pane| self.panes.get(&pane));
        panes.map(|pane| pane.mark).max().unwrap_or_default()
    }

    /// The room of a pane.
    pub(super) fn room_of(&self, pane: PaneId) -> Size {
        let tile = self.tabs.of(pane).and_then(|tab| {
            let shown = tab.arrange(self.tab_area());
            tiles(&shown).find(|tile| tile.pane == pane)
        });
        let inside = tile.map_or(self.tab_area(), |tile| tile.inside);
        room(inside)
    }

    /// Whether a pane is in the tab that is shown, and nothing hides it there.
    pub(super) fn is_shown(&self, pane: PaneId) -> bool {
        let shows = |tab: &Tab| {
            if tab.zoomed {
                return tab.focus == pane;
            }
            tab.contains(pane) && !(tab.floats_hidden && tab.is_floating(pane))
        };
        self.page == Page::Tabs && self.tabs.current().is_some_and(shows)
    }

    /// The pane that this attachment feeds.
    pub(super) fn pane_of(&self, attachment: AttachmentId) -> Option<PaneId> {
        let mut panes = self.panes.iter();
        panes
            .find(|(_, pane)| pane.attachment == attachment)
            .map(|(id, _)| *id)
    }
}

/// All tiles of an arrangement, the topmost last.
pub(super) fn tiles(shown: &Arrangement) -> impl DoubleEndedIterator<Item = Tile> {
    shown.tiled.tiles.iter().chain(&shown.floats).copied()
}

fn room(inside: Rect) -> Size {
    Size::clamped(inside.height, inside.width)
}

/// After each message.
pub(super) fn settle(model: &mut Model) -> Vec<Effect> {
    let mut effects = Vec::new();
    if std::mem::take(&mut model.touched) {
        effects = sizes(model);
        if model.page == Page::Tabs {
            let shown = model.tabs.current().map(Tab::panes).unwrap_or_default();
            for id in shown {
                if let Some(pane) = model.panes.get_mut(&id) {
                    pane.mark = Mark::None;
                }
            }
        }
        effects.extend(keep(model));
    }
    effects.extend(focus(model));
    effects
}

/// Every session's room, also in tabs that are not shown: who shows one sees it as it is to be.
fn sizes(model: &mut Model) -> Vec<Effect> {
    let area = model.tab_area();
    let mut effects = Vec::new();
    for tab in model.tabs.iter() {
        let shown = tab.arrange(area);
        for tile in tiles(&shown) {
            let Some(pane) = model.panes.get_mut(&tile.pane) else {
                continue;
            };
            let size = room(tile.inside);
            if let Some(copy) = &mut pane.copy {
                copy.resized(size.rows(), size.cols());
            }
            if pane.is_attached() && !pane.is_observer() && pane.told != Some(size) {
                pane.told = Some(size);
                effects.push(Effect::Resize(pane.attachment, size));
            }
        }
    }
    effects
}

fn keep(model: &mut Model) -> Option<Effect> {
    // What is still to be opened again would be lost.
    if model.setup.saved.is_some() || !model.setup.config.restore {
        return None;
    }
    let saved = Saved::of(model);
    if saved == model.kept {
        return None;
    }
    model.kept = saved.clone();
    Some(Effect::Save(saved))
}

/// Programs that asked for it are told which of them has the focus.
fn focus(model: &mut Model) -> Vec<Effect> {
    let can_have = model.is_focused && model.page == Page::Tabs && model.overlay.is_none();
    let has = model
        .focused_pane()
        .filter(|pane| can_have && pane.takes_input())
        .map(|pane| pane.attachment);
    let had = std::mem::replace(&mut model.focus_told, has);
    if had == has {
        return Vec::new();
    }
    let now = model.now;
    let mut tell = |attachment: Option<AttachmentId>, what: &'static [u8]| {
        let id = model.pane_of(attachment?)?;
        let pane = model.panes.get_mut(&id)?;
        let wants = pane.modes().focus_events && pane.takes_input();
        wants.then(|| {
            pane.typed(what, now);
            Effect::Input(pane.attachment, Bytes::from_static(what))
        })
    };
    let favoured = has.map(Effect::Favour);
    [tell(had, FOCUS_OUT), tell(has, FOCUS_IN), favoured]
        .into_iter()
        .flatten()
        .collect()
}

/// The panes that take what is typed now: the focused one, or all of a synchronised tab.
pub(super) fn typed_into(model: &Model) -> Vec<PaneId> {
    let Some(tab) = model.tabs.current() else {
        return Vec::new();
    };
    let reaches = |id: &PaneId| {
        let pane = model.panes.get(id);
        pane.is_some_and(|pane| pane.takes_input() || pane.link == Link::Opening)
    };
    if tab.synchronised
        && model
            .panes
            .get(&tab.focus)
            .is_some_and(|pane| !pane.is_observer())
    {
        tab.panes().into_iter().filter(reaches).collect()
    } else {
        vec![tab.focus]
    }
}
