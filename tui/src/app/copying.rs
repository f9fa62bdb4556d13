//! Looking back in a pane, and copying: copy mode's keys and mouse, and the history that it asks for.

use cmdop_proto::Refusal;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseEvent};
use ratatui::layout::Position;

use super::message::Effect;
use super::model::{Model, Redraw};
use super::{act, rooms};
use crate::config::CopyKeys;
use crate::copy::{Command, Input, Keys, Mouse, Outcome, Page};
use crate::keymap::Chord;
use crate::tiles::PaneId;

/// Looks back in the focused pane.
pub(super) fn enter(model: &mut Model) -> Vec<Effect> {
    let focused = model.focused();
    focused.map_or_else(Vec::new, |pane| look_back(model, pane))
}

/// Looks back in a pane; what is known of its history is there at once.
fn look_back(model: &mut Model, id: PaneId) -> Vec<Effect> {
    let keys = match model.setup.config.copy_keys {
        CopyKeys::Vi => Keys::Vi,
        CopyKeys::Emacs => Keys::Emacs,
    };
    let room = model.room_of(id);
    if let Some(pane) = model.panes.get_mut(&id).filter(|pane| pane.copy.is_none()) {
        pane.look_back(keys, (room.rows(), room.cols()));
    }
    model.draw(Redraw::Now);
    older(model, id)
}

/// Asks for older lines, where they are wanted.
fn older(model: &mut Model, id: PaneId) -> Vec<Effect> {
    let Some(pane) = model.panes.get_mut(&id) else {
        return Vec::new();
    };
    let session = pane.session;
    let wanted = pane.copy.as_mut().and_then(crate::copy::Mode::wants_older);
    match wanted.zip(session) {
        Some((older, session)) => vec![Effect::History(id, session, older)],
        None => Vec::new(),
    }
}

/// A page of the history came.
pub(super) fn came(model: &mut Model, id: PaneId, page: Result<Page, Refusal>) -> Vec<Effect> {
    let Some(copy) = model.panes.get_mut(&id).and_then(|pane| pane.copy.as_mut()) else {
        return Vec::new();
    };
    match page {
        Ok(page) => drop(copy.prepend(&page)),
        Err(why) => {
            copy.older_failed();
            model.complain(&why);
        }
    }
    model.draw(Redraw::Soon);
    older(model, id)
}

/// A key in copy mode.
pub(super) fn key(model: &mut Model, key: &KeyEvent, chord: Chord) -> Vec<Effect> {
    model.draw(Redraw::Now);
    let Some((id, copy)) = focused(model) else {
        return Vec::new();
    };
    let table = copy.keys().table();
    if copy.asks() {
        let Some(input) = input(key) else {
            return Vec::new();
        };
        let outcome = copy.input(input);
        return done(model, id, outcome);
    }
    if chord.digit().is_some_and(|digit| copy.digit(digit)) {
        return Vec::new();
    }
    let bound = model.setup.config.keymap.lookup(table, chord).cloned();
    bound.map_or_else(Vec::new, |binding| act::act(model, &binding.action))
}

/// A command of copy mode; where nobody looks back it begins to.
pub(super) fn run(model: &mut Model, command: Command) -> Vec<Effect> {
    let mut effects = enter(model);
    if let Some((id, copy)) = focused(model) {
        let outcome = copy.run(command);
        effects.extend(done(model, id, outcome));
    }
    effects
}

fn focused(model: &mut Model) -> Option<(PaneId, &mut crate::copy::Mode)> {
    let id = model.focused()?;
    Some((id, model.panes.get_mut(&id)?.copy.as_mut()?))
}

/// A key as text for a question.
fn input(key: &KeyEvent) -> Option<Input> {
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    Some(match key.code {
        KeyCode::Char('c' | 'g') if control => Input::Cancel,
        KeyCode::Char('u') if control => Input::EraseAll,
        KeyCode::Char('h') if control => Input::Erase,
        KeyCode::Char('j' | 'm') if control => Input::Accept,
        KeyCode::Char(c) if !control => Input::Character(c),
        KeyCode::Backspace => Input::Erase,
        KeyCode::Enter => Input::Accept,
        KeyCode::Esc => Input::Cancel,
        _ => return None,
    })
}

/// What is to be done after something happened in copy mode.
fn done(model: &mut Model, id: PaneId, outcome: Outcome) -> Vec<Effect> {
    model.draw(Redraw::Now);
    let leave = |model: &mut Model| {
        if let Some(pane) = model.panes.get_mut(&id) {
            pane.copy = None;
        }
    };
    match outcome {
        Outcome::Redraw => older(model, id),
        Outcome::Left => {
            leave(model);
            Vec::new()
        }
        Outcome::Copied(text) => copied(model, text),
        Outcome::CopiedAndLeft(text) => {
            leave(model);
            copied(model, text)
        }
    }
}

fn copied(model: &mut Model, text: String) -> Vec<Effect> {
    if text.is_empty() {
        return Vec::new();
    }
    model.say(format!("copied {} characters", text.chars().count()));
    model.copied.clone_from(&text);
    vec![Effect::Copy(text)]
}

/// The place in a pane's inside; rows may be beyond its edges, columns are kept within.
fn place(model: &Model, id: PaneId, at: Position) -> Option<(i32, u16)> {
    let shown = model.arrangement()?;
    let tile = rooms::tiles(&shown).find(|tile| tile.pane == id)?;
    let inside = tile.inside;
    if inside.is_empty() {
        return None;
    }
    let col = at.x.clamp(inside.x, inside.right() - 1) - inside.x;
    Some((i32::from(at.y) - i32::from(inside.y), col))
}

/// The button went down: two or three times at one place it selects a word or a line.
pub(super) fn pressed(model: &mut Model, id: PaneId, at: Position) -> Vec<Effect> {
    let Some((row, col)) = place(model, id, at) else {
        return Vec::new();
    };
    let clicks = model.clicks.press(at.y, at.x, model.now);
    let is_looking_back = model.panes.get(&id).is_some_and(|pane| pane.copy.is_some());
    // One click is only that: whoever drags from here begins to look back.
    if clicks == 1 && !is_looking_back {
        return Vec::new();
    }
    let begun = look_back(model, id);
    [begun, mouse(model, id, Mouse::Press { row, col, clicks })].concat()
}

/// The button is held and the mouse moved: text is selected from where it was pressed.
pub(super) fn dragged(
    model: &mut Model,
    id: PaneId,
    from: Position,
    event: MouseEvent,
) -> Vec<Effect> {
    let mut effects = Vec::new();
    let is_looking_back = model.panes.get(&id).is_some_and(|pane| pane.copy.is_some());
    if !is_looking_back && let Some((row, col)) = place(model, id, from) {
        effects.extend(look_back(model, id));
        effects.extend(mouse(
            model,
            id,
            Mouse::Press {
                row,
                col,
                clicks: 1,
            },
        ));
    }
    if let Some((row, col)) = place(model, id, Position::new(event.column, event.row)) {
        effects.extend(mouse(model, id, Mouse::Drag { row, col }));
    }
    effects
}

/// The button went up.
pub(super) fn released(model: &mut Model, id: PaneId) -> Vec<Effect> {
    mouse(model, id, Mouse::Release)
}

/// The wheel: upwards it begins to look back, at the end it leaves again.
pub(super) fn wheel(model: &mut Model, id: PaneId, rows: i32) -> Vec<Effect> {
    let is_looking_back = model.panes.get(&id).is_some_and(|pane| pane.copy.is_some());
    let begun = look_back(model, id);
    let pane = model.panes.get_mut(&id);
    if let Some(pane) = pane.filter(|_| !is_looking_back)
        && let Some(copy) = pane.copy.take()
    {
        pane.copy = Some(copy.leaving_at_bottom());
    }
    [begun, mouse(model, id, Mouse::Wheel(rows))].concat()
}

fn mouse(model: &mut Model, id: PaneId, event: Mouse) -> Vec<Effect> {
    let copy = model.panes.get_mut(&id).and_then(|pane| pane.copy.as_mut());
    let Some(copy) = copy else {
        return Vec::new();
    };
    let outcome = copy.mouse(event);
    done(model, id, outcome)
}

impl Model {
    /// Whether the mouse is held beyond the edge of a pane in which somebody selects.
    pub(super) fn drags_beyond(&self) -> bool {
        let mut panes = self.panes.values();
        panes.any(|pane| {
            pane.copy
                .as_ref()
                .is_some_and(crate::copy::Mode::drags_beyond)
        })
    }

    /// It is still held there.
    pub(super) fn drag_on(&mut self) {
        for copy in self
            .panes
            .values_mut()
            .filter_map(|pane| pane.copy.as_mut())
        {
            copy.drag_on();
        }
    }
}
