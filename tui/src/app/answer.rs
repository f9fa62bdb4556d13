//! What is typed into a line that lies on top, and what becomes of its answer.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::act;
use super::message::Effect;
use super::model::Model;
use super::open::{self, Place};
use super::overlay::{Overlay, Purpose, Question};
use super::picker::{Choice, Kind};
use super::{browsing, typing};
use crate::browser::Spot;
use crate::tiles::Axis;
use bytes::Bytes;
use cmdop_proto::v1::AttachMode;

/// Rows that one key moves by where a page is meant.
const PAGE: isize = 10;

/// A key for the line on top.
pub(super) fn line_key(model: &mut Model, key: &KeyEvent) -> Vec<Effect> {
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    match key.code {
        KeyCode::Esc => model.overlay = None,
        KeyCode::Char('c' | 'g') if control => model.overlay = None,
        KeyCode::Enter => return entered(model),
        KeyCode::Down => step(model, 1),
        KeyCode::Char('n' | 'j') if control => step(model, 1),
        KeyCode::Up => step(model, -1),
        KeyCode::Char('p') if control => step(model, -1),
        KeyCode::PageDown => step(model, PAGE),
        KeyCode::PageUp => step(model, -PAGE),
        _ => match &mut model.overlay {
            Some(Overlay::Picker(picker)) => {
                let before = picker.line.text().to_owned();
                picker.line.press(key);
                if picker.line.text() != before {
                    picker.selected = 0;
                }
            }
            Some(Overlay::Prompt(prompt)) => {
                prompt.line.press(key);
            }
            _ => {}
        },
    }
    Vec::new()
}

/// Moves the selection of a picker.
pub(super) fn step(model: &mut Model, by: isize) {
    let Some(Overlay::Picker(mut picker)) = model.overlay.take() else {
        return;
    };
    picker.step(by, model);
    model.overlay = Some(Overlay::Picker(picker));
}

/// What was typed or selected is meant.
pub(super) fn entered(model: &mut Model) -> Vec<Effect> {
    match model.overlay.take() {
        Some(Overlay::Picker(picker)) => match picker.choice(model) {
            Some(choice) => chosen(model, picker.kind, &choice),
            None => {
                // Nothing matches: what was typed can still be changed.
                model.overlay = Some(Overlay::Picker(picker));
                Vec::new()
            }
        },
        Some(Overlay::Prompt(prompt)) => named(model, prompt.purpose, prompt.line.text().trim()),
        _ => Vec::new(),
    }
}

fn chosen(model: &mut Model, kind: Kind, choice: &Choice) -> Vec<Effect> {
    let place = match kind {
        Kind::Beside => Place::Split(Axis::Columns),
        _ => Place::Tab,
    };
    let now = model.now();
    match choice {
        Choice::Do(action) => act::act(model, action),
        Choice::Session(session) => open::show(model, *session, AttachMode::Operator, place),
        Choice::Machine(machine) if kind == Kind::End => {
            let end = browsing::end(model, *machine);
            let path = Bytes::new();
            end.map_or_else(Vec::new, |end| browsing::chosen(model, Spot { end, path }))
        }
        Choice::Spot(spot) => browsing::chosen(model, spot.clone()),
        Choice::Machine(machine) => open::open_shell(model, *machine, None, place, now),
        Choice::Tab(tab) => {
            model.tabs.show(*tab);
            model.show_tabs();
            Vec::new()
        }
        Choice::Pane(pane) => {
            model.tabs.bring(*pane);
            model.touched = true;
            Vec::new()
        }
    }
}

fn named(model: &mut Model, purpose: Purpose, name: &str) -> Vec<Effect> {
    match purpose {
        Purpose::RenameTab(id) => {
            if let Some(tab) = model.tabs.get_mut(id) {
                tab.name = (!name.is_empty()).then(|| cmdop_proto::text::shown(name, 64));
            }
            model.touched = true;
            Vec::new()
        }
        Purpose::RenameSession(session) => vec![Effect::Rename(session, name.to_owned())],
    }
}

/// Yes to what was asked.
pub(super) fn confirmed(model: &mut Model) -> Vec<Effect> {
    match model.overlay.take() {
        Some(Overlay::Confirm(Question::Leave)) => vec![Effect::Quit],
        Some(Overlay::Confirm(Question::Close(session))) => vec![Effect::Close(session)],
        Some(Overlay::Confirm(Question::Paste { attachment, text })) => {
            match model.focused_pane() {
                Some(pane) if pane.attachment == attachment => typing::send_paste(model, &text),
                // The pane that it was meant for is gone.
                _ => Vec::new(),
            }
        }
        other => {
            model.overlay = other;
            Vec::new()
        }
    }
}
