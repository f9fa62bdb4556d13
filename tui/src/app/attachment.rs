//! Opening sessions, and what comes from the one that is attached.

use cmdop_client::attach::Event;
use cmdop_proto::v1::{self, AttachMode};
use cmdop_proto::{MachineId, Refusal, SessionId};
use ratatui::layout::Size as Terminal;

use super::fleet;
use super::message::{Effect, Now};
use super::model::{Focus, Model, Redraw};
use super::records::Session;
use super::selection::Row;
use crate::pane::{AttachmentId, Link, Pane, Shown};

/// Shows a session and gives it the keys. What is attached in this mode already is only shown.
pub(super) fn attach(model: &mut Model, session: SessionId, mode: AttachMode) -> Vec<Effect> {
    model.opening = None;
    model.focus = Focus::Pane;
    let is_shown = |pane: &Pane| pane.session == session && pane.mode == mode && !pane.is_over();
    if model.pane.as_ref().is_some_and(is_shown) {
        return Vec::new();
    }
    let attachment = AttachmentId(model.number());
    let room = model.room();
    model.pane = Some(Pane::new(attachment, session, mode, room));
    fleet::relabel(model);
    let size = (mode == AttachMode::Operator).then_some(room);
    vec![Effect::Attach {
        attachment,
        session,
        mode,
        size,
    }]
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
        [only] if model.sessions.keys().next().is_none() => open_shell(model, only, now),
        _ => Vec::new(),
    }
}

/// Asks for a login shell on a machine; it is attached when it is there.
pub(super) fn open_shell(model: &mut Model, machine: MachineId, now: Now) -> Vec<Effect> {
    let request = model.number();
    model.opening = Some(request);
    let name = model
        .machines
        .get(machine)
        .map_or("the machine", |machine| machine.name.as_str());
    model
        .toasts
        .info(format!("opening a shell on {name}…"), now.instant);
    vec![Effect::Create {
        request,
        machine,
        size: model.room(),
    }]
}

/// The session is there. Whoever asked for it may have turned to another one since.
pub(super) fn created(
    model: &mut Model,
    request: u64,
    answer: Result<v1::Session, Refusal>,
    now: Now,
) -> Vec<Effect> {
    model.now = now.instant;
    let is_awaited = model.opening == Some(request);
    if is_awaited {
        model.opening = None;
    }
    let session = match answer.map(|record| (Session::read(&record, now), record)) {
        Ok((Some(session), record)) => {
            fleet::take(model, &record, now);
            session
        }
        Ok((None, _)) => {
            let why = Refusal::internal("the relay named the new session in no way that we know");
            model.toasts.error(&why, now.instant);
            return fleet::settle(model);
        }
        Err(why) => {
            model.toasts.error(&why, now.instant);
            return fleet::settle(model);
        }
    };
    fleet::settle(model);
    if is_awaited {
        model.toasts.clear();
        model.select(Row::Session(session.id));
        attach(model, session.id, AttachMode::Operator)
    } else {
        let text = format!(
            "a shell on {} is ready: {}",
            session.machine_name,
            session.label()
        );
        model.toasts.info(text, now.instant);
        Vec::new()
    }
}

/// The relay accepted the attachment, or did not.
pub(super) fn answered(
    model: &mut Model,
    attachment: AttachmentId,
    answer: Result<v1::Session, Refusal>,
    now: Now,
) -> Vec<Effect> {
    model.now = now.instant;
    let Some(pane) = model
        .pane
        .as_mut()
        .filter(|pane| pane.attachment == attachment)
    else {
        return Vec::new();
    };
    match answer {
        Ok(record) => {
            pane.link = Link::Live;
            fleet::take(model, &record, now);
        }
        Err(why) => {
            model.toasts.error(&why, now.instant);
            pane.link = Link::Failed(why);
        }
    }
    fleet::settle(model)
}

/// Something came from the attached session; what comes from an older attachment is dropped.
pub(super) fn happened(
    model: &mut Model,
    attachment: AttachmentId,
    event: Event,
    now: Now,
) -> Vec<Effect> {
    model.now = now.instant;
    let Some(pane) = model
        .pane
        .as_mut()
        .filter(|pane| pane.attachment == attachment)
    else {
        return Vec::new();
    };
    match event {
        Event::Keyframe { size, data, .. } => {
            let shown = pane.keyframe(size, &data, now.instant);
            return printed(model, shown);
        }
        Event::Output { data, .. } => {
            let shown = pane.output(&data, now.instant);
            return printed(model, shown);
        }
        Event::State(record) => fleet::take(model, &record, now),
        Event::Reconnecting { reason, .. } => {
            let reason = cmdop_proto::text::shown(&reason, 256);
            pane.link = Link::Reconnecting { reason };
        }
        Event::Reconnected => pane.link = Link::Live,
        Event::Refused(why) if why.reason == "made-observer" => {
            pane.mode = AttachMode::Observer;
            model.toasts.error(&why, now.instant);
        }
        Event::Refused(why) => model.toasts.error(&why, now.instant),
        Event::Ended(record) => {
            let how = Session::read(&record, now).map(|session| session.exit.to_string());
            pane.link = Link::Ended(how.unwrap_or_default());
            fleet::take(model, &record, now);
        }
        Event::Failed(error) => {
            let why = error.refusal();
            model.toasts.error(&why, now.instant);
            pane.link = Link::Failed(why);
        }
    }
    fleet::settle(model)
}

fn printed(model: &mut Model, shown: Shown) -> Vec<Effect> {
    model.draw(match shown {
        Shown::NotYet => Redraw::No,
        Shown::Soon => Redraw::Soon,
        Shown::Now => Redraw::Now,
    });
    let rang = model.pane.as_mut().is_some_and(Pane::take_bell);
    if rang { vec![Effect::Bell] } else { Vec::new() }
}

/// The terminal changed its size: an operator's session follows, an observer's never does.
pub(super) fn resized(model: &mut Model, screen: Terminal) -> Vec<Effect> {
    let before = model.room();
    model.setup.screen = screen;
    model.draw(Redraw::Now);
    let follows = model
        .pane
        .as_ref()
        .is_some_and(|pane| !pane.is_observer() && !pane.is_over());
    if follows && model.room() != before {
        vec![Effect::Resize(model.room())]
    } else {
        Vec::new()
    }
}
