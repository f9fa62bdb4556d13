//! The layout as it is kept for the next start.
//!
//! Sessions are named, not their contents: what they printed is theirs. A layout that was read is
//! checked before it is believed; a pane whose session is over is left out.

use std::collections::{BTreeMap, BTreeSet};

use cmdop_proto::SessionId;
use cmdop_proto::v1::AttachMode;
use serde::{Deserialize, Serialize};

use super::message::Effect;
use super::model::{Model, Page};
use super::open;
use super::tabs::{Float, Tab, TabId};
use crate::pane::{Link, Pane};
use crate::tiles::{PaneId, Tiles};

/// Nobody has more panes than these.
const MAX_PANES: usize = 256;

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Saved {
    tabs: Vec<SavedTab>,
    panes: BTreeMap<PaneId, SavedPane>,
    shown: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct SavedTab {
    name: Option<String>,
    tiles: Option<Tiles>,
    floats: Vec<Float>,
    floats_hidden: bool,
    focus: PaneId,
    zoomed: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct SavedPane {
    session: String,
    observer: bool,
}

impl Saved {
    /// The layout as it is. Panes without a live session are not in it.
    pub(super) fn of(model: &Model) -> Self {
        let tabs = model.tabs.iter().map(|tab| SavedTab {
            name: tab.name.clone(),
            tiles: tab.tiles.clone(),
            floats: tab.floats.clone(),
            floats_hidden: tab.floats_hidden,
            focus: tab.focus,
            zoomed: tab.zoomed,
        });
        let lives = |pane: &Pane| !matches!(pane.link, Link::Ended(_) | Link::Opening);
        let panes = model.panes.iter().filter(|(_, pane)| lives(pane));
        let panes = panes.filter_map(|(id, pane)| {
            let session = pane.session?.to_string();
            let observer = pane.is_observer();
            Some((*id, SavedPane { session, observer }))
        });
        Self {
            tabs: tabs.collect(),
            panes: panes.collect(),
            shown: model.tabs.current_place(),
        }
    }

    /// Reads what was kept; `None` if it is none of ours: then there is nothing to open again.
    pub fn read(text: &str) -> Option<Self> {
        let saved: Self = serde_json::from_str(text).ok()?;
        saved.is_sound().then_some(saved)
    }

    /// As it is written.
    pub fn write(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    fn is_sound(&self) -> bool {
        let mut seen = BTreeSet::new();
        let is_sound = self.tabs.iter().all(|tab| {
            let panes = tab.panes();
            let is_new = panes.iter().all(|pane| seen.insert(*pane));
            is_new && panes.contains(&tab.focus) && tab.tiles.as_ref().is_none_or(Tiles::is_sound)
        });
        is_sound && seen.len() <= MAX_PANES && seen.iter().all(|pane| pane.0 < u64::MAX / 2)
    }
}

impl SavedTab {
    fn panes(&self) -> Vec<PaneId> {
        let mut panes = self.tiles.as_ref().map(Tiles::panes).unwrap_or_default();
        panes.extend(self.floats.iter().map(|float| float.pane));
        panes
    }

    fn open(self, id: TabId) -> Tab {
        let mut tab = Tab::new(id, self.focus);
        tab.name = self.name.map(|name| cmdop_proto::text::shown(&name, 64));
        tab.tiles = self.tiles;
        tab.floats = self.floats;
        tab.floats_hidden = self.floats_hidden;
        tab.zoomed = self.zoomed;
        tab
    }
}

/// Opens the panes of the last time again, as soon as it is known which sessions live, and once.
pub(super) fn restore(model: &mut Model) -> Vec<Effect> {
    if !model.sessions.is_current() {
        return Vec::new();
    }
    let Some(saved) = model.setup.saved.take() else {
        return Vec::new();
    };
    // Somebody was faster.
    if !model.tabs.is_empty() {
        return Vec::new();
    }
    let mut attached = Vec::new();
    for (id, pane) in saved.panes {
        let session: Option<SessionId> = pane.session.parse().ok();
        let Some(session) = session.filter(|id| model.sessions.get(*id).is_some()) else {
            continue;
        };
        let mode = if pane.observer {
            AttachMode::Observer
        } else {
            AttachMode::Operator
        };
        attached.push((id, session, mode));
    }
    for tab in saved.tabs {
        let panes = tab.panes();
        model.reserve_numbers(panes.iter().map(|pane| pane.0).max().unwrap_or(0));
        let id = model.new_tab_id();
        model.tabs.push(tab.open(id));
        let is_alive = |pane: &PaneId| attached.iter().any(|(id, ..)| id == pane);
        for pane in panes.iter().filter(|pane| !is_alive(pane)) {
            model.tabs.remove(*pane);
        }
    }
    model.tabs.select(saved.shown);
    if model.tabs.is_empty() {
        return Vec::new();
    }
    model.page = Page::Tabs;
    model.touched = true;
    let open = attached.into_iter().flat_map(|(id, session, mode)| {
        if model.tabs.of(id).is_none() {
            return Vec::new();
        }
        let machine = model
            .sessions
            .get(session)
            .and_then(|session| session.machine);
        model
            .panes
            .insert(id, Pane::opening(machine, mode, model.room_of(id)));
        open::attach(model, id, session)
    });
    open.collect()
}

impl Model {
    /// Numbers up to this one are taken.
    fn reserve_numbers(&mut self, last: u64) {
        self.next_number = self.next_number.max(last + 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_layout_of_ours_is_not_believed() {
        let one = r#"{"pane":1}"#;
        let tab = |tiles: &str, focus: u64| {
            format!(
                r#"{{"tabs":[{{"name":null,"tiles":{tiles},"floats":[],"floats-hidden":false,"focus":{focus},"zoomed":false}}],"panes":{{}},"shown":0}}"#
            )
        };
        assert!(Saved::read(&tab(one, 1)).is_some());
        assert!(
            Saved::read(&tab(one, 2)).is_none(),
            "the focus is no pane of it"
        );
        let twice = r#"{"split":{"axis":"rows","parts":[{"weight":1,"node":{"pane":1}},{"weight":1,"node":{"pane":1}}]}}"#;
        assert!(
            Saved::read(&tab(twice, 1)).is_none(),
            "a pane is twice in it"
        );
        let empty = r#"{"split":{"axis":"rows","parts":[]}}"#;
        assert!(Saved::read(&tab(empty, 1)).is_none());
        assert!(Saved::read("garbage").is_none());
        assert_eq!(
            Saved::read(&Saved::default().write()),
            Some(Saved::default())
        );
    }
}
