//! What an action does, whichever way it was called for: by a key, by its name, with the mouse.

mod panes;
mod session;

use cmdop_proto::Refusal;
use cmdop_proto::v1::{self, AttachMode};

use super::message::Effect;
use super::model::{Lock, Model, Page, Redraw};
use super::open::{self, Place};
use super::overlay::{Overlay, Question};
use super::picker::{Kind, Picker};
use super::records::Session;
use super::selection::{Row, Step};
use super::{answer, browsing, copying, typing, watching};
use crate::keymap::{Action, Verb};
use crate::theme::Theme;
use crate::tiles::{Axis, Direction, PaneId};

/// Does it.
pub(super) fn act(model: &mut Model, action: &Action) -> Vec<Effect> {
    model.touched = true;
    model.draw(Redraw::Now);
    model.tour = model.tour.and_then(|tour| tour.after(action));
    match action {
        Action::Do(verb) => verb_of_panes(model, *verb),
        Action::Resize(direction, cells) => {
            panes::resize(model, *direction, *cells);
            Vec::new()
        }
        Action::SelectTab(number) => {
            model.tabs.select(usize::from(*number));
            model.show_tabs();
            Vec::new()
        }
        Action::Layout(preset) => {
            panes::arrange(model, *preset);
            Vec::new()
        }
        Action::Table(name) => {
            model.wait_for(name);
            Vec::new()
        }
        Action::Copy(command) => copying::run(model, *command),
        Action::Dashboard(command) => watching::run(model, *command),
        Action::Files(command) => browsing::run(model, *command),
        Action::Theme(name) => {
            match Theme::named(name, model.setup.depth) {
                Some(theme) => model.setup.theme = theme,
                None => model.say(format!("there is no theme `{name}`")),
            }
            Vec::new()
        }
    }
}

/// Gives a pane of the shown tab the keys.
pub(super) fn focus(model: &mut Model, pane: PaneId) -> Vec<Effect> {
    if let Some(tab) = model.tabs.current_mut() {
        tab.focus(pane);
    }
    model.touched = true;
    model.draw(Redraw::Now);
    Vec::new()
}

/// Who is attached, as it was asked for.
pub(super) fn clients(model: &mut Model, answer: Result<v1::KeyboardResponse, Refusal>) {
    match answer {
        Ok(answer) => {
            let of = answer
                .session
                .as_ref()
                .and_then(|record| Session::read(record, model.now()));
            let place = of.map_or_else(String::new, |session| session.place());
            model.overlay = Some(Overlay::Text {
                title: format!("who is at {place}"),
                lines: session::clients(&answer),
                top: 0,
            });
            model.draw(Redraw::Now);
        }
        Err(why) => model.complain(&why),
    }
}

fn verb_of_panes(model: &mut Model, verb: Verb) -> Vec<Effect> {
    match verb {
        Verb::SplitRight => return panes::split(model, Place::Split(Axis::Columns)),
        Verb::SplitDown => return panes::split(model, Place::Split(Axis::Rows)),
        Verb::NewFloat => return panes::split(model, Place::Float),
        Verb::NewTab => return panes::split(model, Place::Tab),
        Verb::ClosePane => return panes::close(model),
        Verb::LeavePane => return panes::leave(model),
        Verb::CloseTab => return panes::close_tab(model),
        Verb::FocusLeft => panes::go(model, Direction::Left),
        Verb::FocusRight => panes::go(model, Direction::Right),
        Verb::FocusUp => panes::go(model, Direction::Up),
        Verb::FocusDown => panes::go(model, Direction::Down),
        Verb::FocusNext => panes::next(model),
        Verb::FocusLast => panes::last(model),
        Verb::FocusNumber => model.show_numbers(),
        Verb::Zoom => panes::zoom(model),
        Verb::SwapBack => panes::swap(model, -1),
        Verb::SwapForward => panes::swap(model, 1),
        Verb::Rotate => panes::rotate(model, Direction::Right),
        Verb::RotateBack => panes::rotate(model, Direction::Left),
        Verb::NextLayout => panes::next_layout(model),
        Verb::BreakPane => panes::break_out(model),
        Verb::ToggleFloat => panes::toggle_float(model),
        Verb::HideFloats => panes::hide_floats(model),
        Verb::Synchronise => panes::synchronise(model),
        _ => return verb_of_tabs(model, verb),
    }
    Vec::new()
}

fn verb_of_tabs(model: &mut Model, verb: Verb) -> Vec<Effect> {
    match verb {
        Verb::NextTab => model.tabs.step(1),
        Verb::PreviousTab => model.tabs.step(-1),
        Verb::LastTab => {
            if let Some(tab) = model.tabs.before() {
                model.tabs.show(tab);
            }
        }
        Verb::NextAlert => panes::next_alert(model),
        Verb::MoveTabLeft => model.tabs.shift(-1),
        Verb::MoveTabRight => model.tabs.shift(1),
        Verb::RenameTab => panes::rename(model),
        _ => return verb_of_sessions(model, verb),
    }
    model.show_tabs();
    Vec::new()
}

fn verb_of_sessions(model: &mut Model, verb: Verb) -> Vec<Effect> {
    match verb {
        Verb::RenameSession => {
            session::rename(model);
            Vec::new()
        }
        Verb::WatchOnly => session::watch_only(model),
        Verb::RequestKeyboard => session::request(model),
        Verb::GiveKeyboard => session::give(model),
        Verb::TakeKeyboard => session::take(model),
        Verb::WhoIsHere => session::who(model),
        Verb::Redraw => session::redraw(model),
        Verb::SendPrefix => {
            let prefix = model.setup.config.keymap.prefix();
            typing::key(model, &prefix.event())
        }
        Verb::CopyMode => copying::enter(model),
        Verb::PasteBuffer => typing::paste_copied(model),
        _ => verb_of_views(model, verb),
    }
}

fn verb_of_views(model: &mut Model, verb: Verb) -> Vec<Effect> {
    let pick = |kind| Some(Overlay::Picker(Picker::new(kind)));
    match verb {
        Verb::ShowFleet => model.page = Page::Fleet,
        Verb::ShowDashboard => model.page = Page::Dashboard,
        Verb::ShowTabs => model.show_tabs(),
        Verb::PickSession => model.overlay = pick(Kind::Session),
        Verb::PickTab => model.overlay = pick(Kind::Tab),
        Verb::PickMachine => model.overlay = pick(Kind::Machine),
        Verb::SplitMachine => model.overlay = pick(Kind::Beside),
        Verb::JoinPane => model.overlay = pick(Kind::Join),
        Verb::Palette => model.overlay = pick(Kind::Palette),
        Verb::Help => model.help(),
        Verb::Messages => model.overlay = Some(Overlay::Messages { top: 0 }),
        Verb::ShowFiles => return browsing::show(model),
        Verb::Detach => return browsing::quit(model),
        Verb::Reload => return vec![Effect::Reload],
        Verb::Lock => {
            model.lock = Lock::Locked;
            model.say("locked: every key goes to the program; C-g C-g unlocks");
        }
        Verb::Dismiss => dismiss(model),
        Verb::Yes => return answer::confirmed(model),
        _ => return verb_of_the_list(model, verb),
    }
    Vec::new()
}

fn verb_of_the_list(model: &mut Model, verb: Verb) -> Vec<Effect> {
    match verb {
        Verb::Down => step(model, Step::Down, 1),
        Verb::Up => step(model, Step::Up, -1),
        Verb::First => step(model, Step::First, isize::MIN),
        Verb::Last => step(model, Step::Last, isize::MAX),
        Verb::Open => return open(model),
        Verb::Watch => return watch(model),
        Verb::New => return new(model),
        Verb::EndSession => ask_to_end(model),
        other => unhandled(model, other),
    }
    Vec::new()
}

/// In a text that is read its lines, else the rows of the list.
fn step(model: &mut Model, step: Step, lines: isize) {
    if model.overlay.is_some() {
        model.scroll(lines);
    } else {
        model.step(step);
    }
}

fn open(model: &mut Model) -> Vec<Effect> {
    match model.selection.row() {
        Some(Row::Session(session)) => open::show(model, session, AttachMode::Operator, Place::Tab),
        Some(Row::Machine(machine)) => {
            let now = model.now();
            open::open_shell(model, machine, None, Place::Tab, now)
        }
        None => Vec::new(),
    }
}

fn watch(model: &mut Model) -> Vec<Effect> {
    let Some(session) = model.selected_session().map(|session| session.id) else {
        model.say("select a session to watch it");
        return Vec::new();
    };
    open::show(model, session, AttachMode::Observer, Place::Tab)
}

fn new(model: &mut Model) -> Vec<Effect> {
    let Some(machine) = model.selected_machine().map(|machine| machine.id) else {
        model.say("select the machine that the session is to run on");
        return Vec::new();
    };
    let now = model.now();
    open::open_shell(model, machine, None, Place::Tab, now)
}

fn ask_to_end(model: &mut Model) {
    match model.selected_session().map(|session| session.id) {
        Some(session) => model.overlay = Some(Overlay::Confirm(Question::Close(session))),
        None => model.say("select a session to end it"),
    }
}

/// One step up: what lies on top, else the messages.
fn dismiss(model: &mut Model) {
    if model.overlay.take().is_none() {
        model.toasts.clear();
        model.tour = None;
    }
}

/// No verb ends here, as a test sees to; one that is new and does nothing says so.
fn unhandled(model: &mut Model, verb: Verb) {
    model.say(format!("`{}` does nothing", verb.id()));
}
