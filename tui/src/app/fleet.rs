//! What the lists of machines and sessions say.

use cmdop_client::follow::Change;
use cmdop_proto::{Refusal, v1};

use super::message::Now;
use super::model::{Model, Redraw};
use super::overlay::{Overlay, Question};
use super::records::{Machine, Session};

pub(super) fn machines(model: &mut Model, change: Change<v1::Machine>, now: Now) {
    let book = &mut model.machines;
    match change {
        Change::Changed(record) => {
            let before = record.id.parse().ok().and_then(|id| book.get(id));
            if let Some(machine) = Machine::read(&record, before, now) {
                book.insert(machine.id, machine);
            }
        }
        Change::Removed(id) => {
            if let Ok(id) = id.parse() {
                book.remove(id);
            }
        }
        Change::Synced => book.synced(),
        Change::Lost(error) => book.lost(error.refusal(), now.instant),
        Change::Failed(error) => {
            book.failed(error.refusal());
            model.complain(&error.refusal());
        }
    }
    settle(model);
}

pub(super) fn sessions(model: &mut Model, change: Change<v1::Session>, now: Now) {
    match change {
        Change::Changed(record) => take(model, &record, now),
        Change::Removed(id) => {
            if let Ok(id) = id.parse() {
                model.sessions.remove(id);
            }
        }
        Change::Synced => model.sessions.synced(),
        Change::Lost(error) => model.sessions.lost(error.refusal(), now.instant),
        Change::Failed(error) => {
            model.sessions.failed(error.refusal());
            model.complain(&error.refusal());
        }
    }
    settle(model);
}

/// Keeps the record of a session; those that are over leave the list.
pub(super) fn take(model: &mut Model, record: &v1::Session, now: Now) {
    let Some(session) = Session::read(record, now) else {
        return;
    };
    if session.is_ended() {
        model.sessions.remove(session.id);
    } else {
        model.sessions.insert(session.id, session);
    }
}

/// After the lists changed: selection and questions may stand on what is no more.
pub(super) fn settle(model: &mut Model) {
    model.reselect();
    relabel(model);
    if let Some(Overlay::Confirm(Question::Close(id))) = &model.overlay
        && model.sessions.get(*id).is_none()
    {
        model.overlay = None;
    }
    model.draw(Redraw::Soon);
}

/// Panes are called as their sessions are, as long as that is known.
pub(super) fn relabel(model: &mut Model) {
    for pane in model.panes.values_mut() {
        let session = pane.session.and_then(|id| model.sessions.get(id));
        if let Some(session) = session {
            pane.label = session.place();
            pane.machine = session.machine.or(pane.machine);
        }
    }
}

/// A session was ended.
pub(super) fn closed(model: &mut Model, answer: Result<v1::Session, Refusal>, now: Now) {
    match answer {
        Ok(record) => {
            if let Some(session) = Session::read(&record, now) {
                model.say(format!("ended {}", session.label()));
            }
            take(model, &record, now);
        }
        Err(why) => model.complain(&why),
    }
    settle(model);
}

/// A session was named.
pub(super) fn renamed(model: &mut Model, answer: Result<v1::Session, Refusal>, now: Now) {
    match answer {
        Ok(record) => take(model, &record, now),
        Err(why) => model.complain(&why),
    }
    model.touched = true;
    settle(model);
}
