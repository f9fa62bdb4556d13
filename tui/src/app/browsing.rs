//! Files as a page of this client: how it is opened and left, its keys, and what it wants done.

use cmdop_client::follow::Change;
use cmdop_proto::{MachineId, v1};
use crossterm::event::{KeyEvent, MouseEvent};

use super::act;
use super::message::Effect;
use super::model::{Model, Page, Redraw};
use super::open::{self, Place};
use super::overlay::{Overlay, Question};
use super::picker::{Kind, Picker};
use crate::browser::{self, Command, End, Event, Machine, Spot};
use crate::keymap::Chord;

/// Shows the page, with the machine that is looked at now on one of its sides.
pub(super) fn show(model: &mut Model) -> Vec<Effect> {
    if model.page == Page::Files {
        return Vec::new();
    }
    let machine = match model.page {
        Page::Fleet => model.selected_machine().map(|machine| machine.id),
        Page::Dashboard => model.dashboard.current().map(|host| host.machine.id),
        Page::Tabs | Page::Files => model.focused_pane().and_then(|pane| pane.machine),
    };
    model.came_from = model.page;
    model.page = Page::Files;
    model.touched = true;
    let end = machine.and_then(|id| end(model, id));
    let effects = model.browser.open(end);
    wanted(model, effects)
}

/// A machine as one end of files.
pub(super) fn end(model: &Model, id: MachineId) -> Option<End> {
    let name = model.machines.get(id)?.name.clone();
    Some(End::Machine(Machine { id, name }))
}

/// A key on the page: of the line that it asks for, or of its table.
pub(super) fn key(model: &mut Model, key: &KeyEvent, chord: Chord) -> Vec<Effect> {
    model.draw(Redraw::Now);
    if let Some(effects) = model.browser.press(key) {
        return wanted(model, effects);
    }
    let table = model.browser.keys();
    let bound = model.setup.config.keymap.lookup(table, chord).cloned();
    bound.map_or_else(Vec::new, |binding| act::act(model, &binding.action))
}

/// A command of the page, whatever is shown now.
pub(super) fn run(model: &mut Model, command: Command) -> Vec<Effect> {
    let shown = show(model);
    let effects = model.browser.apply(command);
    [shown, wanted(model, effects)].concat()
}

/// Something happened at an end.
pub(super) fn happened(model: &mut Model, event: Event) -> Vec<Effect> {
    let is_shown = model.page == Page::Files;
    // What runs in the background is shown in the status bar of every page.
    if is_shown || matches!(event, Event::Job(..)) {
        model.draw(Redraw::Soon);
    }
    let effects = model.browser.happened(event);
    wanted(model, effects)
}

/// What the mouse did on the page.
pub(super) fn mouse(model: &mut Model, event: MouseEvent) -> Vec<Effect> {
    model.draw(Redraw::Now);
    let effects = model.browser.mouse(event);
    wanted(model, effects)
}

/// A machine was chosen for the side with the keys, or this computer, or a bookmark.
pub(super) fn chosen(model: &mut Model, spot: Spot) -> Vec<Effect> {
    let effects = if spot.path.is_empty() {
        model.browser.choose_end(spot.end)
    } else {
        model.browser.choose_spot(spot)
    };
    wanted(model, effects)
}

/// The list of machines changed: what one is called now is what its side says.
pub(super) fn machines(model: &mut Model, change: &Change<v1::Machine>) {
    let Change::Changed(record) = change else {
        return;
    };
    let id = record.id.parse().ok();
    let Some(machine) = id.and_then(|id| model.machines.get(id)) else {
        return;
    };
    model.browser.renamed(&Machine {
        id: machine.id,
        name: machine.name.clone(),
    });
}

/// Leaves the client; where something is under way that would end with it, asks first.
pub(super) fn quit(model: &mut Model) -> Vec<Effect> {
    if model.browser.unfinished().is_none() {
        return vec![Effect::Quit];
    }
    model.overlay = Some(Overlay::Confirm(Question::Leave));
    model.draw(Redraw::Now);
    Vec::new()
}

fn leave(model: &mut Model) {
    model.page = match model.came_from {
        Page::Tabs if model.tabs.is_empty() => Page::Fleet,
        Page::Files => Page::Fleet,
        page => page,
    };
    model.touched = true;
}

fn wanted(model: &mut Model, effects: Vec<browser::Effect>) -> Vec<Effect> {
    let mut all = Vec::new();
    for effect in effects {
        match effect {
            browser::Effect::ChooseEnd => choose(model, Kind::End),
            browser::Effect::ChooseBookmark => choose(model, Kind::Bookmark),
            browser::Effect::Shell(machine, directory) => {
                let now = model.now();
                let shell = open::open_shell(model, machine, None, Place::Tab, now);
                all.extend(open::in_directory(shell, &directory));
            }
            browser::Effect::Clipboard(text) => {
                model.copied.clone_from(&text);
                all.push(Effect::Copy(text));
            }
            browser::Effect::Say(said) => model.say(said),
            browser::Effect::Complain(why) => model.complain(&why),
            browser::Effect::Show(title, lines) => {
                let top = 0;
                model.overlay = Some(Overlay::Text { title, lines, top });
            }
            browser::Effect::Help => model.help(),
            browser::Effect::Leave => leave(model),
            effect => all.push(Effect::Files(effect)),
        }
    }
    all
}

fn choose(model: &mut Model, kind: Kind) {
    model.overlay = Some(Overlay::Picker(Picker::new(kind)));
}

/// Where the page is not shown any more nothing is looked at for it.
pub(super) fn settle(model: &mut Model, before: Page) -> Vec<Effect> {
    if before == Page::Files && model.page != Page::Files {
        let effects = model.browser.rest();
        return wanted(model, effects);
    }
    Vec::new()
}
