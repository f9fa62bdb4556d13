//! What comes from attached sessions.

use cmdop_client::attach::Event;
use cmdop_proto::Refusal;
use cmdop_proto::v1::{self, AttachMode};

use super::fleet;
use super::message::{Effect, Now};
use super::model::{Model, Redraw};
use super::records::Session;
use crate::copy::clipboard;
use crate::pane::{Asked, AttachmentId, Link, Mark, Shown};
use crate::tiles::PaneId;

/// The relay accepted an attachment, or did not.
pub(super) fn answered(
    model: &mut Model,
    attachment: AttachmentId,
    answer: Result<v1::Session, Refusal>,
    now: Now,
) -> Vec<Effect> {
    let id = model.pane_of(attachment);
    let Some(pane) = id.and_then(|id| model.panes.get_mut(&id)) else {
        return Vec::new();
    };
    match answer {
        Ok(record) => {
            pane.link = Link::Live;
            fleet::take(model, &record, now);
        }
        Err(why) => {
            pane.link = Link::Failed(why.clone());
            model.complain(&why);
        }
    }
    model.touched = true;
    fleet::settle(model);
    Vec::new()
}

/// Something came from an attached session; what comes from an older attachment is dropped.
pub(super) fn happened(
    model: &mut Model,
    attachment: AttachmentId,
    event: Event,
    now: Now,
) -> Vec<Effect> {
    let Some(id) = model.pane_of(attachment) else {
        return Vec::new();
    };
    let Some(pane) = model.panes.get_mut(&id) else {
        return Vec::new();
    };
    match event {
        Event::Keyframe {
            size,
            data,
            history,
            echo,
            ..
        } => {
            let shown = pane.keyframe(size, &data, history, now.instant);
            pane.echo(echo);
            // It tells what is, not what happened.
            pane.take_asked();
            draw(model, id, shown);
            return Vec::new();
        }
        Event::Output {
            data,
            reached,
            echo,
            ..
        } => {
            let shown = pane.output(&data, now.instant);
            pane.echo(echo);
            pane.reached(reached, now.instant);
            return printed(model, id, shown);
        }
        Event::State(record) => fleet::take(model, &record, now),
        Event::Reconnecting { reason, .. } => {
            let reason = cmdop_proto::text::shown(&reason, 256);
            pane.link = Link::Reconnecting { reason };
            pane.forget_guesses();
        }
        Event::Reconnected => pane.link = Link::Live,
        Event::Refused(why) => {
            if why.reason == "made-observer" {
                pane.mode = AttachMode::Observer;
            }
            model.complain(&why);
        }
        Event::Ended(record) => {
            let how = Session::read(&record, now).map(|session| session.exit.to_string());
            pane.link = Link::Ended(how.unwrap_or_default());
            fleet::take(model, &record, now);
        }
        Event::Failed(error) => {
            let why = error.refusal();
            pane.link = Link::Failed(why.clone());
            model.complain(&why);
        }
    }
    model.touched = true;
    fleet::settle(model);
    Vec::new()
}

fn draw(model: &mut Model, id: PaneId, shown: Shown) {
    if model.is_shown(id) {
        model.draw(match shown {
            Shown::NotYet => Redraw::No,
            Shown::Soon => Redraw::Soon,
            Shown::Now => Redraw::Now,
        });
    }
}

fn printed(model: &mut Model, id: PaneId, shown: Shown) -> Vec<Effect> {
    draw(model, id, shown);
    let is_shown = model.is_shown(id);
    let Some(pane) = model.panes.get_mut(&id) else {
        return Vec::new();
    };
    let asked = pane.take_asked();
    let mark = if asked.bell {
        Mark::Bell
    } else {
        Mark::Activity
    };
    if !is_shown && pane.mark < mark {
        pane.mark = mark;
        model.draw(Redraw::Soon);
    }
    granted(model, id, asked)
}

/// What a program may have of what it asked for.
fn granted(model: &mut Model, id: PaneId, asked: Asked) -> Vec<Effect> {
    let mut effects = Vec::new();
    if asked.bell {
        effects.push(Effect::Bell);
    }
    let Some(pane) = model.panes.get(&id) else {
        return effects;
    };
    let (label, is_observer) = (pane.label.clone(), pane.is_observer());
    if let Some((title, body)) = asked.notification {
        model.say_of_program(format!("{label}: {title} {body}"));
    }
    // Who only watches a session does not let it into their clipboard.
    if let Some((selection, data)) = asked.clipboard.filter(|_| !is_observer) {
        match clipboard::from_program(&selection, &data) {
            _ if !model.setup.config.program_clipboard => {
                model.say_of_program(format!(
                    "{label} wanted to set the clipboard; the configuration forbids it"
                ));
            }
            Ok(text) => {
                model.say_of_program(format!(
                    "{label} copied {} characters",
                    text.chars().count()
                ));
                effects.push(Effect::Copy(text));
            }
            Err(why) => model.say_of_program(format!("{label} wanted to set the clipboard: {why}")),
        }
    }
    effects
}
