//! What the mouse does: it turns to panes and tabs, moves borders and floating panes, and is the
//! program's where the program asks for it. With shift it is never the program's.

use bytes::Bytes;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use ratatui::layout::{Position, Rect};

use super::message::Effect;
use super::model::{Model, Page, Redraw};
use super::overlay::Overlay;
use super::{act, answer, browsing, copying, rooms, strip, watching};
use crate::keymap::{encode, mouse};
use crate::tiles::{Border, PaneId, Tile};
use crate::view::layout;

/// Lines that a step of the wheel moves by.
const WHEEL: isize = 3;

/// What is dragged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Drag {
    /// A border between panes.
    Border(Border),
    /// A floating pane; by how much the mouse is beside its corner.
    Float(PaneId, u16),
    /// The lower right corner of a floating pane.
    Corner(PaneId),
    /// Something in a program.
    Program(PaneId),
    /// Text, from a place that was pressed.
    Text(PaneId, Position),
}

/// What is at a place of the screen.
enum Hit {
    Tab(usize),
    Border(Border),
    Title(Tile),
    Corner(PaneId),
    Inside(Tile),
    Nothing,
}

pub(super) fn happened(model: &mut Model, event: MouseEvent) -> Vec<Effect> {
    if model.overlay.is_some() {
        return over(model, event);
    }
    match event.kind {
        MouseEventKind::Drag(MouseButton::Left) if model.drag.is_some() => {
            return dragged(model, event);
        }
        MouseEventKind::Up(MouseButton::Left) => match model.drag.take() {
            Some(Drag::Program(pane)) => return program(model, pane, event),
            Some(Drag::Text(pane, _)) => return copying::released(model, pane),
            _ => {}
        },
        _ => {}
    }
    match (hit(model, event), event.kind) {
        (Hit::Tab(place), MouseEventKind::Down(MouseButton::Left)) => {
            model.tabs.select(place);
            model.show_tabs();
            model.draw(Redraw::Now);
            Vec::new()
        }
        (Hit::Border(border), MouseEventKind::Down(MouseButton::Left)) => {
            model.drag = Some(Drag::Border(border));
            Vec::new()
        }
        (Hit::Corner(pane), MouseEventKind::Down(MouseButton::Left)) => {
            model.drag = Some(Drag::Corner(pane));
            act::focus(model, pane)
        }
        (Hit::Title(tile), MouseEventKind::Down(MouseButton::Left)) => {
            let beside = event.column - tile.area.x;
            model.drag = Some(Drag::Float(tile.pane, beside));
            act::focus(model, tile.pane)
        }
        (Hit::Inside(tile), _) => inside(model, &tile, event),
        _ => on_the_list(model, event),
    }
}

/// What lies on top has the mouse.
fn over(model: &mut Model, event: MouseEvent) -> Vec<Effect> {
    let by = match event.kind {
        MouseEventKind::ScrollDown => WHEEL,
        MouseEventKind::ScrollUp => -WHEEL,
        MouseEventKind::Down(_) if !matches!(model.overlay, Some(Overlay::Confirm(_))) => {
            model.overlay = None;
            0
        }
        _ => return Vec::new(),
    };
    model.scroll(by);
    answer::step(model, by.signum());
    model.draw(Redraw::Now);
    Vec::new()
}

fn hit(model: &Model, event: MouseEvent) -> Hit {
    let at = Position::new(event.column, event.row);
    let areas = layout::areas(model.setup.screen);
    if let Some(bar) = areas.status.filter(|bar| bar.contains(at)) {
        let pieces = strip::pieces(model, bar.width);
        let mut hit = pieces
            .iter()
            .filter(|piece| (piece.start..piece.end()).contains(&at.x));
        return hit
            .find_map(|piece| piece.tab)
            .map_or(Hit::Nothing, Hit::Tab);
    }
    let Some(shown) = model.arrangement().filter(|_| model.page == Page::Tabs) else {
        return Hit::Nothing;
    };
    let mut floats = shown.floats.iter().rev();
    if let Some(float) = floats.find(|tile| tile.area.contains(at)) {
        return in_float(float, at);
    }
    if let Some(border) = shown
        .tiled
        .borders
        .iter()
        .find(|border| border.area.contains(at))
    {
        return Hit::Border(border.clone());
    }
    let mut tiles = rooms::tiles(&shown);
    match tiles.find(|tile| tile.area.contains(at)) {
        Some(tile) if tile.title.is_some_and(|title| title.contains(at)) => Hit::Title(tile),
        Some(tile) => Hit::Inside(tile),
        None => Hit::Nothing,
    }
}

fn in_float(float: &Tile, at: Position) -> Hit {
    let corner = Rect::new(float.area.right() - 1, float.area.bottom() - 1, 1, 1);
    if float.inside.contains(at) {
        Hit::Inside(*float)
    } else if corner.contains(at) {
        Hit::Corner(float.pane)
    } else {
        Hit::Title(*float)
    }
}

fn dragged(model: &mut Model, event: MouseEvent) -> Vec<Effect> {
    let area = model.tab_area();
    let (column, row) = (event.column, event.row);
    match model.drag.clone() {
        Some(Drag::Program(pane)) => return program(model, pane, event),
        Some(Drag::Text(pane, from)) => return copying::dragged(model, pane, from, event),
        Some(Drag::Border(border)) => {
            if let Some(tiles) = model.tabs.current_mut().and_then(|tab| tab.tiles.as_mut()) {
                tiles.drag(&border, column, row, area);
                // It is somewhere else now, under the same place in the tree.
                let placed = tiles.place(area).unwrap_or_default();
                let moved = placed
                    .borders
                    .into_iter()
                    .find(|other| other.is_same(&border));
                model.drag = moved.map(Drag::Border);
            }
        }
        Some(Drag::Float(pane, beside)) => {
            let tab = model.tabs.current_mut();
            let mut floats = tab.into_iter().flat_map(|tab| &mut tab.floats);
            if let Some(float) = floats.find(|float| float.pane == pane) {
                float.move_to(column.saturating_sub(beside), row, area);
            }
        }
        Some(Drag::Corner(pane)) => {
            let tab = model.tabs.current_mut();
            let mut floats = tab.into_iter().flat_map(|tab| &mut tab.floats);
            if let Some(float) = floats.find(|float| float.pane == pane) {
                float.stretch_to(column, row, area);
            }
        }
        None => {}
    }
    model.touched = true;
    model.draw(Redraw::Soon);
    Vec::new()
}

/// In a pane: a click turns to it; the rest is the program's, or ours.
fn inside(model: &mut Model, tile: &Tile, event: MouseEvent) -> Vec<Effect> {
    if let MouseEventKind::Down(_) = event.kind {
        act::focus(model, tile.pane);
    }
    let Some(pane) = model.panes.get(&tile.pane) else {
        return Vec::new();
    };
    let modes = pane.modes();
    let is_ours = event.modifiers.contains(KeyModifiers::SHIFT) || !pane.takes_input();
    if !is_ours && pane.copy.is_none() && modes.mouse != cmdop_emulator::MouseMode::None {
        if let MouseEventKind::Down(MouseButton::Left) = event.kind {
            model.drag = Some(Drag::Program(tile.pane));
        }
        return program(model, tile.pane, event);
    }
    let is_looking_back = pane.copy.is_some();
    let arrows = modes.alternate_screen && !is_ours && !is_looking_back;
    match event.kind {
        MouseEventKind::ScrollUp if arrows => wheel(model, tile.pane, KeyCode::Up),
        MouseEventKind::ScrollDown if arrows => wheel(model, tile.pane, KeyCode::Down),
        MouseEventKind::ScrollUp => copying::wheel(model, tile.pane, -WHEEL as i32),
        MouseEventKind::ScrollDown if is_looking_back => {
            copying::wheel(model, tile.pane, WHEEL as i32)
        }
        MouseEventKind::Down(MouseButton::Left) => {
            let at = Position::new(event.column, event.row);
            model.drag = Some(Drag::Text(tile.pane, at));
            copying::pressed(model, tile.pane, at)
        }
        _ => Vec::new(),
    }
}

/// The wheel as arrow keys, for programs with a screen of their own and no use for a mouse.
fn wheel(model: &mut Model, id: PaneId, key: KeyCode) -> Vec<Effect> {
    let Some(pane) = model.panes.get_mut(&id) else {
        return Vec::new();
    };
    let arrow = encode::encode(&KeyEvent::new(key, KeyModifiers::NONE), &pane.modes());
    let arrows = Bytes::from(arrow.repeat(WHEEL as usize));
    pane.typed(&arrows, model.now);
    vec![Effect::Input(pane.attachment, arrows)]
}

/// Tells the program, in the place that its own screen has there.
fn program(model: &mut Model, id: PaneId, event: MouseEvent) -> Vec<Effect> {
    let shown = model.arrangement();
    let tile = shown
        .as_ref()
        .and_then(|shown| rooms::tiles(shown).find(|tile| tile.pane == id));
    let Some((tile, pane)) = tile.zip(model.panes.get_mut(&id)) else {
        return Vec::new();
    };
    if !pane.takes_input() || tile.inside.is_empty() {
        return Vec::new();
    }
    // A drag that leaves the pane stays at its edge.
    let column = event.column.clamp(tile.inside.x, tile.inside.right() - 1);
    let row = event.row.clamp(tile.inside.y, tile.inside.bottom() - 1);
    let Some((row, col)) = pane.screen().at(tile.inside, Position::new(column, row)) else {
        return Vec::new();
    };
    let Some(bytes) = mouse::encode(event, row, col, &pane.modes()) else {
        return Vec::new();
    };
    pane.typed(&bytes, model.now);
    vec![Effect::Input(pane.attachment, Bytes::from(bytes))]
}

/// On the page of machines and sessions the wheel moves the selection.
fn on_the_list(model: &mut Model, event: MouseEvent) -> Vec<Effect> {
    if model.page == Page::Dashboard {
        return watching::wheel(model, event.kind);
    }
    if model.page == Page::Files {
        return browsing::mouse(model, event);
    }
    if model.page != Page::Fleet {
        return Vec::new();
    }
    match event.kind {
        MouseEventKind::ScrollDown => model.step(super::selection::Step::Down),
        MouseEventKind::ScrollUp => model.step(super::selection::Step::Up),
        _ => return Vec::new(),
    }
    model.draw(Redraw::Soon);
    Vec::new()
}
