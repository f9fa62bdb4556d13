//! Panes and tabs: making, moving, closing.

use super::super::message::Effect;
use super::super::model::Model;
use super::super::open::{self, Place};
use super::super::overlay::{Overlay, Prompt, Purpose, Question};
use super::super::picker::{Kind, Picker};
use super::super::tabs::Tab;
use crate::line::Line;
use crate::pane::Mark;
use crate::tiles::{Direction, PaneId, Preset};

/// A new shell on the machine of the focused pane, in its directory. Where there is no pane yet, a
/// machine is asked for.
pub(super) fn split(model: &mut Model, place: Place) -> Vec<Effect> {
    let focused = model.focused_pane();
    let beside = focused
        .filter(|pane| !pane.is_over())
        .and_then(|pane| pane.session);
    let machine = focused.and_then(|pane| pane.machine);
    let Some(machine) = machine.or_else(|| model.selected_machine().map(|machine| machine.id))
    else {
        model.overlay = Some(Overlay::Picker(Picker::new(Kind::Machine)));
        return Vec::new();
    };
    let now = model.now();
    open::open_shell(model, machine, beside, place, now)
}

/// Asks to end the focused pane's session; a pane whose session is over is only taken away.
pub(super) fn close(model: &mut Model) -> Vec<Effect> {
    let Some((id, pane)) = model.focused().zip(model.focused_pane()) else {
        return Vec::new();
    };
    match pane
        .session
        .filter(|_| !pane.is_over() && !pane.is_observer())
    {
        Some(session) => {
            model.overlay = Some(Overlay::Confirm(Question::Close(session)));
            Vec::new()
        }
        None => open::leave(model, id),
    }
}

/// Takes the focused pane away.
pub(super) fn leave(model: &mut Model) -> Vec<Effect> {
    let focused = model.focused();
    focused.map_or_else(Vec::new, |pane| open::leave(model, pane))
}

/// Takes all panes of the tab away; their sessions live on.
pub(super) fn close_tab(model: &mut Model) -> Vec<Effect> {
    let panes = model.tabs.current().map(Tab::panes).unwrap_or_default();
    let count = panes.len();
    let effects = panes
        .into_iter()
        .flat_map(|pane| open::leave(model, pane))
        .collect();
    if count > 0 {
        model.say("closed a tab; its sessions live on");
    }
    effects
}

/// To the pane on this side.
pub(super) fn go(model: &mut Model, direction: Direction) {
    let area = model.tab_area();
    if let Some(tab) = model.tabs.current_mut()
        && let Some(tiles) = &tab.tiles
    {
        let from = if tiles.contains(tab.focus) {
            tab.focus
        } else {
            tiles.panes()[0]
        };
        // Where there is no room for all, they are gone through in their order.
        let next = tiles.neighbour(from, direction, area).or_else(|| {
            tiles
                .place(area)
                .is_none()
                .then(|| beside(&tiles.panes(), from, 1))
                .flatten()
        });
        if let Some(next) = next {
            tab.focus(next);
        }
    }
}

/// The pane so many places further, around the end.
fn beside(panes: &[PaneId], from: PaneId, by: isize) -> Option<PaneId> {
    let at = panes.iter().position(|pane| *pane == from)?;
    let place = (at as isize + by).rem_euclid(panes.len() as isize);
    panes
        .get(place as usize)
        .copied()
        .filter(|pane| *pane != from)
}

/// To the next pane of the tab.
pub(super) fn next(model: &mut Model) {
    if let Some(tab) = model.tabs.current_mut()
        && let Some(next) = beside(&tab.panes(), tab.focus, 1)
    {
        tab.focus(next);
    }
}

/// To the pane that had the keys before.
pub(super) fn last(model: &mut Model) {
    if let Some(tab) = model.tabs.current_mut()
        && let Some(before) = tab.before
    {
        tab.focus(before);
    }
}

/// The focused pane alone, and back.
pub(super) fn zoom(model: &mut Model) {
    if let Some(tab) = model.tabs.current_mut() {
        tab.zoomed = !tab.zoomed && tab.panes().len() > 1;
    }
}

/// The focused pane and the one so many places further change places.
pub(super) fn swap(model: &mut Model, by: isize) {
    if let Some(tab) = model.tabs.current_mut()
        && let Some(tiles) = &mut tab.tiles
        && let Some(other) = beside(&tiles.panes(), tab.focus, by)
    {
        tiles.swap(tab.focus, other);
    }
}

/// All panes move on by one place.
pub(super) fn rotate(model: &mut Model, direction: Direction) {
    if let Some(tab) = model.tabs.current_mut()
        && let Some(tiles) = &mut tab.tiles
    {
        tiles.rotate(direction);
    }
}

/// Moves a border of the focused pane; a floating one is made larger or smaller.
pub(super) fn resize(model: &mut Model, direction: Direction, cells: u16) {
    let area = model.tab_area();
    let Some(tab) = model.tabs.current_mut() else {
        return;
    };
    let focus = tab.focus;
    if let Some(float) = tab.floats.iter_mut().find(|float| float.pane == focus) {
        let by = i32::from(cells);
        let (columns, rows) = match direction {
            Direction::Left => (-by, 0),
            Direction::Right => (by, 0),
            Direction::Up => (0, -by),
            Direction::Down => (0, by),
        };
        float.grow(columns, rows, area);
    } else if let Some(tiles) = &mut tab.tiles {
        tiles.resize(focus, direction, cells, area);
    }
}

/// Arranges the panes of the tab.
pub(super) fn arrange(model: &mut Model, preset: Preset) {
    if let Some(tab) = model.tabs.current_mut()
        && let Some(tiles) = &mut tab.tiles
    {
        tiles.arrange(preset);
        tab.preset = Some(preset);
        tab.zoomed = false;
    }
}

/// The layout after the one that was chosen last.
pub(super) fn next_layout(model: &mut Model) {
    let chosen = model.tabs.current().and_then(|tab| tab.preset);
    arrange(model, chosen.map_or(Preset::ALL[0], Preset::next));
}

/// The focused pane gets a tab of its own.
pub(super) fn break_out(model: &mut Model) {
    let alone = model.tabs.current().is_none_or(|tab| tab.panes().len() < 2);
    if let Some(pane) = model.focused().filter(|_| !alone) {
        let id = model.new_tab_id();
        model.tabs.remove(pane);
        model.tabs.add(Tab::new(id, pane));
    }
}

/// The focused pane floats, or no more.
pub(super) fn toggle_float(model: &mut Model) {
    if let Some(tab) = model.tabs.current_mut() {
        tab.toggle_float(tab.focus);
    }
}

/// Hides the floating panes, or shows them.
pub(super) fn hide_floats(model: &mut Model) {
    let Some(tab) = model.tabs.current_mut() else {
        return;
    };
    if tab.floats.is_empty() {
        model.say("no pane floats in this tab");
        return;
    }
    tab.floats_hidden = !tab.floats_hidden;
    let focus_is_hidden = tab.floats_hidden && tab.is_floating(tab.focus);
    let below = tab.tiles.as_ref().map(|tiles| tiles.panes()[0]);
    match below.filter(|_| focus_is_hidden) {
        Some(below) => tab.focus(below),
        // All of them float: what has the keys is to be seen.
        None if focus_is_hidden => tab.floats_hidden = false,
        None => {}
    }
}

/// What is typed goes to all panes of the tab, or no more.
pub(super) fn synchronise(model: &mut Model) {
    let Some(tab) = model.tabs.current_mut() else {
        return;
    };
    if tab.panes().len() < 2 {
        model.say("there is no other pane in this tab");
        return;
    }
    tab.synchronised = !tab.synchronised;
    let count = tab.panes().len();
    let said = if tab.synchronised {
        format!("what is typed goes to all {count} panes")
    } else {
        "what is typed goes to one pane".to_owned()
    };
    model.say(said);
}

/// To the next tab with something new in it, those that rang first.
pub(super) fn next_alert(model: &mut Model) {
    let start = model.tabs.current_place();
    let count = model.tabs.count();
    let order = (1..count).map(|by| (start + by) % count);
    let places: Vec<(usize, Mark)> = order
        .filter_map(|place| {
            let tab = model.tabs.iter().nth(place)?;
            Some((place, model.mark_of(tab)))
        })
        .collect();
    let rang = places.iter().find(|(_, mark)| *mark == Mark::Bell);
    let found = rang.or_else(|| places.iter().find(|(_, mark)| *mark == Mark::Activity));
    match found {
        Some((place, _)) => model.tabs.select(*place),
        None => model.say("nothing happened in the other tabs"),
    }
}

/// Asks for a name for the tab.
pub(super) fn rename(model: &mut Model) {
    if let Some(tab) = model.tabs.current() {
        let (id, name) = (tab.id, model.tab_name(tab));
        model.overlay = Some(Overlay::Prompt(Prompt {
            purpose: Purpose::RenameTab(id),
            line: Line::new(&name),
        }));
    }
}
