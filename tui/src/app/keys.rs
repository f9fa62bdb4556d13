//! Where a key goes: to what lies on top, to a table of keys, or to the program.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::act;
use super::message::Effect;
use super::model::{Context, Lock, Model, Page, Redraw, Waiting};
use super::overlay::Overlay;
use super::{answer, browsing, copying, typing, watching};
use crate::keymap::tables::{CONFIRM, ENDED, FLEET, HELP, PREFIX, ROOT};
use crate::keymap::{Binding, Chord};

pub(super) fn pressed(model: &mut Model, key: &KeyEvent) -> Vec<Effect> {
    if key.kind == KeyEventKind::Release {
        return Vec::new();
    }
    let chord = Chord::of(key);
    if let Some(effects) = numbered(model, chord) {
        return effects;
    }
    match model.context() {
        Context::Locked => locked(model, key, chord),
        Context::Line => {
            model.draw(Redraw::Now);
            answer::line_key(model, key)
        }
        Context::Confirm => known(model, CONFIRM, chord),
        Context::Copy => prefix_or(model, chord, |model| copying::key(model, key, chord)),
        Context::Reading => known(model, HELP, chord),
        Context::Table(table) => after_prefix(model, &table, key, chord),
        Context::Fleet => prefix_or(model, chord, |model| known(model, FLEET, chord)),
        Context::Dashboard => prefix_or(model, chord, |model| watching::key(model, key, chord)),
        Context::Files => prefix_or(model, chord, |model| browsing::key(model, key, chord)),
        Context::Ended => prefix_or(model, chord, |model| known(model, ENDED, chord)),
        Context::Pane => in_pane(model, key, chord),
    }
}

fn in_pane(model: &mut Model, key: &KeyEvent, chord: Chord) -> Vec<Effect> {
    if let Some(waiting) = model.waiting.take() {
        model.draw(Redraw::Now);
        let in_time = model.now < waiting.since + model.setup.config.repeat;
        let bound = model.setup.config.keymap.lookup(&waiting.table, chord);
        if let Some(binding) = bound.filter(|binding| in_time && binding.repeats).cloned() {
            return run(model, &waiting.table, &binding);
        }
    }
    prefix_or(model, chord, |model| {
        let bound = model.setup.config.keymap.lookup(ROOT, chord).cloned();
        match bound {
            Some(binding) => run(model, ROOT, &binding),
            None => typing::key(model, key),
        }
    })
}

/// The prefix makes the next key ours.
fn prefix_or(
    model: &mut Model,
    chord: Chord,
    otherwise: impl FnOnce(&mut Model) -> Vec<Effect>,
) -> Vec<Effect> {
    if !model.setup.config.keymap.is_prefix(chord) {
        return otherwise(model);
    }
    model.wait_for(PREFIX);
    model.draw(Redraw::Now);
    Vec::new()
}

/// The key after the prefix, or after another key that leads to a table.
fn after_prefix(model: &mut Model, table: &str, key: &KeyEvent, chord: Chord) -> Vec<Effect> {
    model.waiting = None;
    model.draw(Redraw::Now);
    let keymap = &model.setup.config.keymap;
    if let Some(binding) = keymap.lookup(table, chord).cloned() {
        return run(model, table, &binding);
    }
    if table == PREFIX && keymap.is_prefix(chord) {
        return typing::key(model, key);
    }
    if chord != Chord::of(&KeyEvent::new(KeyCode::Esc, KeyModifiers::NONE)) {
        let prefix = keymap.prefix();
        model.say(format!(
            "{chord} does nothing here; {prefix} ? lists the keys"
        ));
    }
    Vec::new()
}

/// A key of a table; others do nothing.
fn known(model: &mut Model, table: &str, chord: Chord) -> Vec<Effect> {
    model.draw(Redraw::Now);
    let binding = model.setup.config.keymap.lookup(table, chord).cloned();
    binding.map_or_else(Vec::new, |binding| run(model, table, &binding))
}

fn run(model: &mut Model, table: &str, binding: &Binding) -> Vec<Effect> {
    let effects = act::act(model, &binding.action);
    if binding.repeats {
        model.waiting = Some(Waiting {
            table: table.to_owned(),
            since: model.now,
            repeats: true,
        });
    }
    effects
}

/// Every key is the program's but the one that unlocks, twice.
fn locked(model: &mut Model, key: &KeyEvent, chord: Chord) -> Vec<Effect> {
    let unlocks = KeyEvent::new(KeyCode::Char('g'), KeyModifiers::CONTROL);
    match (model.lock, chord == Chord::of(&unlocks)) {
        (Lock::Locked, true) => {
            model.lock = Lock::HalfOpen;
            model.draw(Redraw::Now);
            Vec::new()
        }
        (Lock::HalfOpen, true) => {
            model.lock = Lock::Open;
            model.draw(Redraw::Now);
            Vec::new()
        }
        (Lock::HalfOpen, false) => {
            model.lock = Lock::Locked;
            let first = typing::key(model, &unlocks);
            [first, typing::key(model, key)].concat()
        }
        _ => typing::key(model, key),
    }
}

/// While the numbers of the panes are shown a digit chooses one.
fn numbered(model: &mut Model, chord: Chord) -> Option<Vec<Effect>> {
    model.numbers_until.take()?;
    model.draw(Redraw::Now);
    let digit = chord.digit()?;
    let pane = model
        .tabs
        .current()?
        .panes()
        .get(usize::from(digit))
        .copied()?;
    Some(act::focus(model, pane))
}

impl Model {
    /// Types text into the line that is open.
    pub(super) fn type_line(&mut self, text: &str) {
        match &mut self.overlay {
            Some(Overlay::Picker(picker)) => {
                picker.line.insert(text);
                picker.selected = 0;
            }
            Some(Overlay::Prompt(prompt)) => prompt.line.insert(text),
            _ => {}
        }
        self.draw(Redraw::Now);
    }

    /// Shows the page of the tabs, where there are any.
    pub(super) fn show_tabs(&mut self) {
        if !self.tabs.is_empty() {
            self.page = Page::Tabs;
            self.touched = true;
        }
    }

    /// Shows the keys.
    pub(super) fn help(&mut self) {
        self.overlay = Some(Overlay::Help { top: 0 });
    }
}
