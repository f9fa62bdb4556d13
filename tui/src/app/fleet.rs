//! What the lists of machines and sessions say.

use cmdop_client::follow::Change;
use cmdop_proto::{Refusal, v1};

use super::message::{Effect, Now};
use super::model::{Model, Overlay, Question, Redraw};
use super::records::{Machine, Session};

pub(super) fn machines(model: &mut Model, change: Change<v1::Machine>, now: Now) -> Vec<Effect> {
    model.now = now.instant;
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
            model.toasts.error(&error.refusal(), now.instant);
        }
    }
    settle(model)
}

pub(super) fn sessions(model: &mut Model, change: Change<v1::Session>, now: Now) -> Vec<Effect> {
    model.now = now.instant;
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
            model.toasts.error(&error.refusal(), now.instant);
        }
    }
    settle(model)
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
pub(super) fn settle(model: &mut Model) -> Vec<Effect> {
    model.reselect();
    relabel(model);
    if let Some(Overlay::Confirm(Question::Close(id))) = &model.overlay
        && model.sessions.get(*id).is_none()
    {
        model.overlay = None;
    }
    model.draw(Redraw::Soon);
    Vec::new()
}

/// The pane is called as its session is, as long as that is known.
pub(super) fn relabel(model: &mut Model) {
    let label = model.shown_session().map(Session::place);
    if let (Some(pane), Some(label)) = (&mut model.pane, label) {
        pane.label = label;
    }
}

pub(super) fn closed(
    model: &mut Model,
    answer: Result<v1::Session, Refusal>,
    now: Now,
) -> Vec<Effect> {
    model.now = now.instant;
    match answer {
        Ok(record) => {
            if let Some(session) = Session::read(&record, now) {
                model
                    .toasts
                    .info(format!("ended {}", session.label()), now.instant);
            }
            take(model, &record, now);
        }
        Err(why) => model.toasts.error(&why, now.instant),
    }
    settle(model)
}
