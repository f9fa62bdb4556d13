//! Opening sessions in panes, and closing panes.

use bytes::Bytes;
use cmdop_proto::v1::{self, AttachMode};
use cmdop_proto::{MachineId, Refusal, SessionId};

use super::fleet;
use super::message::{Effect, Now};
use super::model::{Model, Page, Redraw};
use super::records::Session;
use super::tabs::Tab;
use crate::pane::{AttachmentId, Link, Pane};
use crate::tiles::{Axis, PaneId};

/// Where a new pane goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// To a tab of its own.
    Tab,
    /// Beside or below the focused pane.
    Split(Axis),
    /// Above the others.
    Float,
}

/// Shows a session and gives it the keys. One that is shown already is only turned to; in another mode
/// it is attached anew, where it is.
pub(super) fn show(
    model: &mut Model,
    session: SessionId,
    mode: AttachMode,
    place: Place,
) -> Vec<Effect> {
    let mut panes = model.panes.iter();
    let shown = panes.find(|(_, pane)| pane.session == Some(session) && !pane.is_over());
    let shown = shown.map(|(id, pane)| (*id, pane.mode));
    match shown {
        Some((id, shown_in)) if shown_in == mode => {
            go_to(model, id);
            Vec::new()
        }
        Some((id, _)) => {
            go_to(model, id);
            reattach(model, id, mode)
        }
        None => {
            let machine = model
                .sessions
                .get(session)
                .and_then(|record| record.machine);
            let id = put(model, machine, mode, place);
            attach(model, id, session)
        }
    }
}

/// Gives a pane the keys, wherever it is.
pub(super) fn go_to(model: &mut Model, pane: PaneId) {
    let Some(tab) = model.tabs.of(pane).map(|tab| tab.id) else {
        return;
    };
    model.tabs.show(tab);
    if let Some(tab) = model.tabs.get_mut(tab) {
        tab.focus(pane);
    }
    model.page = Page::Tabs;
    model.touched = true;
    model.draw(Redraw::Now);
}

/// A new pane, without a session yet.
fn put(model: &mut Model, machine: Option<MachineId>, mode: AttachMode, place: Place) -> PaneId {
    let id = model.new_pane_id();
    let has_room_for_more = model.page == Page::Tabs && model.tabs.current().is_some();
    match (place, model.tabs.current_mut()) {
        (Place::Split(axis), Some(tab)) if has_room_for_more => {
            tab.zoomed = false;
            tab.split(axis, id);
        }
        (Place::Float, Some(tab)) if has_room_for_more => {
            tab.zoomed = false;
            tab.float(id);
        }
        _ => {
            let tab = model.new_tab_id();
            model.tabs.add(Tab::new(tab, id));
        }
    }
    let room = model.room_of(id);
    model.panes.insert(id, Pane::opening(machine, mode, room));
    model.page = Page::Tabs;
    model.touched = true;
    model.draw(Redraw::Now);
    id
}

/// Attaches a pane to a session.
pub(super) fn attach(model: &mut Model, id: PaneId, session: SessionId) -> Vec<Effect> {
    let attachment = AttachmentId(model.number());
    let room = model.room_of(id);
    let Some(pane) = model.panes.get_mut(&id) else {
        return Vec::new();
    };
    pane.attaching(attachment, session, room);
    pane.predict(model.setup.config.prediction());
    if let Some(time) = model.round_trip {
        pane.round_trip(time);
    }
    let (mode, size) = (pane.mode, pane.told);
    let early = Bytes::from(pane.take_early());
    if !early.is_empty() {
        pane.typed(&early, model.now);
    }
    model.touched = true;
    fleet::relabel(model);
    let attach = Effect::Attach {
        attachment,
        session,
        mode,
        size,
    };
    let early = (!early.is_empty()).then_some(Effect::Input(attachment, early));
    [Some(attach), early].into_iter().flatten().collect()
}

/// Attaches a pane's session anew, in this mode.
pub(super) fn reattach(model: &mut Model, id: PaneId, mode: AttachMode) -> Vec<Effect> {
    let Some(pane) = model.panes.get_mut(&id) else {
        return Vec::new();
    };
    let Some(session) = pane.session else {
        return Vec::new();
    };
    let before = Effect::Detach(pane.attachment);
    pane.mode = mode;
    [vec![before], attach(model, id, session)].concat()
}

/// Somebody who just set cmdop up wants to see a shell, and not how to get one.
pub(super) fn first_shell(model: &mut Model, now: Now) -> Vec<Effect> {
    let is_known = model.machines.is_current() && model.sessions.is_current();
    if !model.setup.first_shell || !is_known {
        return Vec::new();
    }
    model.setup.first_shell = false;
    let machines: Vec<_> = model.machines.keys().collect();
    match machines[..] {
        [only] if model.sessions.keys().next().is_none() && model.tabs.is_empty() => {
            open_shell(model, only, None, Place::Tab, now)
        }
        _ => Vec::new(),
    }
}

/// Asks for a login shell on a machine, in the directory of the session beside it; the pane is there
/// at once and attached when the session is.
pub(super) fn open_shell(
    model: &mut Model,
    machine: MachineId,
    beside: Option<SessionId>,
    place: Place,
    now: Now,
) -> Vec<Effect> {
    model.now = now.instant;
    let request = model.number();
    let id = put(model, Some(machine), AttachMode::Operator, place);
    let name = model
        .machines
        .get(machine)
        .map_or("the machine", |machine| machine.name.as_str());
    let label = name.to_owned();
    if let Some(pane) = model.panes.get_mut(&id) {
        pane.label = label;
    }
    model.opening.insert(request, id);
    vec![Effect::Create {
        request,
        machine,
        size: model.room_of(id),
        beside,
        directory: String::new(),
    }]
}

/// The same in a directory.
pub(super) fn in_directory(mut effects: Vec<Effect>, wanted: &str) -> Vec<Effect> {
    for effect in &mut effects {
        if let Effect::Create { directory, .. } = effect {
            wanted.clone_into(directory);
        }
    }
    effects
}

/// The session is there, or is not. Whoever asked for it may have closed its pane since.
pub(super) fn created(
    model: &mut Model,
    request: u64,
    answer: Result<v1::Session, Refusal>,
    now: Now,
) -> Vec<Effect> {
    let pane = model.opening.remove(&request);
    let pane = pane.filter(|id| model.panes.contains_key(id));
    let answer = answer.and_then(|record| {
        let session = Session::read(&record, now);
        let unknown =
            || Refusal::internal("the relay named the new session in no way that we know");
        session.map(|session| (session, record)).ok_or_else(unknown)
    });
    let effects = match (answer, pane) {
        (Ok((session, record)), Some(id)) => {
            fleet::take(model, &record, now);
            attach(model, id, session.id)
        }
        (Ok((session, record)), None) => {
            fleet::take(model, &record, now);
            let (place, label) = (&session.machine_name, session.label());
            model.say(format!("a shell on {place} is ready: {label}"));
            Vec::new()
        }
        (Err(why), pane) => {
            model.complain(&why);
            if let Some(pane) = pane.and_then(|id| model.panes.get_mut(&id)) {
                pane.link = Link::Failed(why);
            }
            Vec::new()
        }
    };
    fleet::settle(model);
    effects
}

/// Takes a pane away; its session lives on.
pub(super) fn leave(model: &mut Model, id: PaneId) -> Vec<Effect> {
    model.tabs.remove(id);
    let Some(pane) = model.panes.remove(&id) else {
        return Vec::new();
    };
    model.touched = true;
    if model.tabs.is_empty() {
        model.page = Page::Fleet;
    }
    model.draw(Redraw::Now);
    if pane.link == Link::Opening {
        return Vec::new();
    }
    vec![Effect::Detach(pane.attachment)]
}
