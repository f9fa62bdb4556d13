//! The dashboard as a page of this client: its keys, and what it wants done.

use crossterm::event::{KeyEvent, MouseEventKind};

use super::act;
use super::message::Effect;
use super::model::{Model, Page, Redraw};
use super::open::{self, Place};
use crate::dashboard::{self, Command};
use crate::keymap::Chord;

/// A key on the dashboard: of the line that it asks for, or of its table.
pub(super) fn key(model: &mut Model, key: &KeyEvent, chord: Chord) -> Vec<Effect> {
    model.draw(Redraw::Now);
    let now = model.now();
    if let Some(effects) = model.dashboard.press(key, now) {
        return wanted(model, effects);
    }
    let table = model.dashboard.keys();
    let bound = model.setup.config.keymap.lookup(table, chord).cloned();
    bound.map_or_else(Vec::new, |binding| act::act(model, &binding.action))
}

/// A command of the dashboard, whatever is shown now.
pub(super) fn run(model: &mut Model, command: Command) -> Vec<Effect> {
    model.page = Page::Dashboard;
    let now = model.now();
    let effects = model.dashboard.apply(command, now);
    wanted(model, effects)
}

/// The wheel moves the selection.
pub(super) fn wheel(model: &mut Model, kind: MouseEventKind) -> Vec<Effect> {
    match kind {
        MouseEventKind::ScrollDown => run(model, Command::Down),
        MouseEventKind::ScrollUp => run(model, Command::Up),
        _ => Vec::new(),
    }
}

fn wanted(model: &mut Model, effects: Vec<dashboard::Effect>) -> Vec<Effect> {
    let mut all = Vec::new();
    for effect in effects {
        match effect {
            dashboard::Effect::Open(machine) => {
                let now = model.now();
                all.extend(open::open_shell(model, machine, None, Place::Tab, now));
            }
            dashboard::Effect::Run(request) => all.push(Effect::Run(request)),
            dashboard::Effect::Cancel(run) => all.push(Effect::CancelRun(run)),
            dashboard::Effect::Help(_) => model.help(),
            dashboard::Effect::Leave => {
                model.page = Page::Fleet;
                model.touched = true;
            }
        }
    }
    model.draw(Redraw::Now);
    all
}
