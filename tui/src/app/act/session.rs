//! The session in the focused pane: its name, who may type, who is here.

use cmdop_proto::v1::{self, AttachMode, KeyboardChange, keyboard_change};

use super::super::message::Effect;
use super::super::model::Model;
use super::super::open;
use super::super::overlay::{Overlay, Prompt, Purpose};
use crate::line::Line;

/// Asks for a name for the session.
pub(super) fn rename(model: &mut Model) {
    let selected = || model.selected_session();
    let Some(session) = model.shown_session().or_else(selected) else {
        model.say("there is no session to name");
        return;
    };
    model.overlay = Some(Overlay::Prompt(Prompt {
        purpose: Purpose::RenameSession(session.id),
        line: Line::new(&session.name),
    }));
}

/// Attaches read-only, or to type again.
pub(super) fn watch_only(model: &mut Model) -> Vec<Effect> {
    let Some((id, pane)) = model.focused().zip(model.focused_pane()) else {
        return Vec::new();
    };
    if pane.is_over() || pane.session.is_none() {
        return Vec::new();
    }
    let mode = match pane.mode {
        AttachMode::Observer => AttachMode::Operator,
        _ => AttachMode::Observer,
    };
    open::reattach(model, id, mode)
}

/// Asks for the keyboard. Where everybody types it becomes exclusive: it is ours then.
pub(super) fn request(model: &mut Model) -> Vec<Effect> {
    let is_exclusive = model
        .shown_session()
        .is_some_and(|session| session.keyboard.is_some());
    change(
        model,
        if is_exclusive {
            keyboard_change::Change::Request(true)
        } else {
            keyboard_change::Change::Mode(v1::KeyboardMode::Exclusive.into())
        },
    )
}

/// Hands the keyboard to who asked for it first; if nobody did, everybody types again.
pub(super) fn give(model: &mut Model) -> Vec<Effect> {
    let asked = model
        .shown_session()
        .and_then(|session| session.asks_for_keyboard.clone());
    change(
        model,
        match asked {
            Some(client) => keyboard_change::Change::Give(client),
            None => keyboard_change::Change::Mode(v1::KeyboardMode::Free.into()),
        },
    )
}

/// Takes the keyboard from a holder who does not use it.
pub(super) fn take(model: &mut Model) -> Vec<Effect> {
    change(model, keyboard_change::Change::Take(true))
}

fn change(model: &mut Model, change: keyboard_change::Change) -> Vec<Effect> {
    match model.focused_pane() {
        Some(pane) if pane.is_observer() => {
            model.say("who only watches has no use for the keyboard");
            Vec::new()
        }
        Some(pane) if pane.is_attached() => {
            let change = KeyboardChange {
                change: Some(change),
            };
            vec![Effect::Keyboard(pane.attachment, change)]
        }
        _ => Vec::new(),
    }
}

/// Who is attached.
pub(super) fn who(model: &mut Model) -> Vec<Effect> {
    let selected = || model.selected_session();
    match model
        .shown_session()
        .or_else(selected)
        .map(|session| session.id)
    {
        Some(session) => vec![Effect::AskClients(session)],
        None => Vec::new(),
    }
}

/// Everything anew: the session's screen, and ours.
pub(super) fn redraw(model: &mut Model) -> Vec<Effect> {
    let session = model.focused_pane().filter(|pane| pane.is_attached());
    let session = session.map(|pane| Effect::Redraw(pane.attachment));
    session.into_iter().chain([Effect::Repaint]).collect()
}

/// What is said of who is attached, a line each.
pub(in super::super) fn clients(answer: &v1::KeyboardResponse) -> Vec<String> {
    let shown = |text: &str| cmdop_proto::text::shown(text, 64);
    let keyboard = answer
        .session
        .as_ref()
        .and_then(|session| session.keyboard.as_ref());
    let holder = keyboard.and_then(|keyboard| keyboard.holder.as_ref());
    let holder = holder.map(|holder| holder.client_id.as_str());
    let waits = |id: &str| {
        let mut requests = keyboard.into_iter().flat_map(|keyboard| &keyboard.requests);
        requests.any(|who| who.client_id == id)
    };
    let mut lines = vec![match keyboard.map(v1::Keyboard::mode) {
        Some(v1::KeyboardMode::Exclusive) => "one at a time may type".to_owned(),
        _ => "every operator may type".to_owned(),
    }];
    for client in &answer.clients {
        let who = client.who.clone().unwrap_or_default();
        let mode = match client.mode() {
            AttachMode::Observer => "watches",
            _ => "operates",
        };
        let size = client
            .size
            .as_ref()
            .map(|size| format!(" at {}x{}", size.cols, size.rows));
        let keyboard = if holder == Some(who.client_id.as_str()) {
            ", holds the keyboard"
        } else if waits(&who.client_id) {
            ", asked for the keyboard"
        } else {
            ""
        };
        let name = match shown(&who.account_name) {
            name if name.is_empty() => "somebody".to_owned(),
            name => name,
        };
        let size = size.unwrap_or_default();
        lines.push(format!(
            "{name} ({}) {mode}{size}{keyboard}",
            shown(&who.client_id)
        ));
    }
    lines
}
