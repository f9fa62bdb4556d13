//! What keys and pastes do.

use bytes::Bytes;
use cmdop_proto::Refusal;
use cmdop_proto::v1::AttachMode;
use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::attachment;
use super::message::{Effect, Now};
use super::model::{Focus, Model, Overlay, Question, Redraw};
use super::selection::{Row, Step};
use crate::keymap::{self, Action, Context, encode};
use crate::pane::Link;

/// A paste above this is refused: nobody types it, and it would hold up the keys behind it.
const MAX_PASTE: usize = 4 << 20;

/// Pieces of a paste, so that its echo does not wait for its end.
const PASTE_PIECE: usize = 16 << 10;

pub(super) fn pressed(model: &mut Model, key: &KeyEvent, now: Now) -> Vec<Effect> {
    model.now = now.instant;
    if key.kind == KeyEventKind::Release {
        return Vec::new();
    }
    let context = model.context();
    let action = keymap::lookup(context, key);
    if context == Context::Pane && action.is_none() {
        let modes = model
            .pane
            .as_ref()
            .map(crate::pane::Pane::modes)
            .unwrap_or_default();
        return send(model, &encode::encode(key, &modes).into(), now);
    }
    model.prefix = false;
    model.draw(Redraw::Now);
    action.map_or_else(Vec::new, |action| act(model, action, now))
}

fn act(model: &mut Model, action: Action, now: Now) -> Vec<Effect> {
    match action {
        Action::Prefix => model.prefix = true,
        Action::SendPrefix => return send_prefix(model, now),
        Action::Down => model.step(Step::Down),
        Action::Up => model.step(Step::Up),
        Action::First => model.step(Step::First),
        Action::Last => model.step(Step::Last),
        Action::Open => return open(model, now),
        Action::Watch => return watch(model, now),
        Action::New => return new(model, now),
        Action::Close => ask_to_close(model, now),
        Action::FocusPane => focus_pane(model),
        Action::FocusList => model.focus = Focus::List,
        Action::Help => model.overlay = Some(Overlay::Help),
        Action::Dismiss => dismiss(model),
        Action::Yes => return confirmed(model, now),
        Action::Quit => return vec![Effect::Quit],
    }
    Vec::new()
}

fn send_prefix(model: &mut Model, now: Now) -> Vec<Effect> {
    if model.focus == Focus::List {
        return Vec::new();
    }
    let modes = model
        .pane
        .as_ref()
        .map(crate::pane::Pane::modes)
        .unwrap_or_default();
    let prefix = KeyEvent::new(KeyCode::Char('b'), KeyModifiers::CONTROL);
    send(model, &encode::encode(&prefix, &modes).into(), now)
}

fn open(model: &mut Model, now: Now) -> Vec<Effect> {
    match model.selection.row() {
        Some(Row::Session(session)) => attachment::attach(model, session, AttachMode::Operator),
        Some(Row::Machine(machine)) => attachment::open_shell(model, machine, now),
        None => Vec::new(),
    }
}

fn watch(model: &mut Model, now: Now) -> Vec<Effect> {
    let Some(session) = model.selected_session().map(|session| session.id) else {
        model
            .toasts
            .info("select a session to watch it", now.instant);
        return Vec::new();
    };
    attachment::attach(model, session, AttachMode::Observer)
}

fn new(model: &mut Model, now: Now) -> Vec<Effect> {
    let Some(machine) = model.selected_machine().map(|machine| machine.id) else {
        model.toasts.info(
            "select the machine that the session is to run on",
            now.instant,
        );
        return Vec::new();
    };
    attachment::open_shell(model, machine, now)
}

fn ask_to_close(model: &mut Model, now: Now) {
    match model.selected_session().map(|session| session.id) {
        Some(session) => model.overlay = Some(Overlay::Confirm(Question::Close(session))),
        None => model.toasts.info("select a session to end it", now.instant),
    }
}

fn focus_pane(model: &mut Model) {
    if model.pane.is_some() {
        model.focus = Focus::Pane;
    }
}

/// One step up: the question or the help, else the messages.
fn dismiss(model: &mut Model) {
    if model.overlay.take().is_none() {
        model.toasts.clear();
    }
}

fn confirmed(model: &mut Model, now: Now) -> Vec<Effect> {
    match model.overlay.take() {
        Some(Overlay::Confirm(Question::Close(session))) => vec![Effect::Close(session)],
        Some(Overlay::Confirm(Question::Paste {
            attachment, bytes, ..
        })) => {
            match &model.pane {
                Some(pane) if pane.attachment == attachment => send(model, &bytes, now),
                // The pane that it was meant for is gone.
                _ => Vec::new(),
            }
        }
        _ => Vec::new(),
    }
}

pub(super) fn pasted(model: &mut Model, text: &str, now: Now) -> Vec<Effect> {
    model.now = now.instant;
    let (Context::Pane, Some(pane)) = (model.context(), &model.pane) else {
        return Vec::new();
    };
    let modes = pane.modes();
    let attachment = pane.attachment;
    if text.len() > MAX_PASTE {
        let why = Refusal::invalid(
            "bad-request",
            format!("{} MiB are too much to paste", text.len() >> 20),
        )
        .hint("copy it as a file");
        return refuse(model, &why, now);
    }
    let bytes = Bytes::from(keymap::paste(text, &modes));
    if keymap::is_harmless(text, &modes) || pane.is_observer() {
        return send(model, &bytes, now);
    }
    let lines = text.lines().count();
    model.overlay = Some(Overlay::Confirm(Question::Paste {
        attachment,
        bytes,
        lines,
    }));
    model.draw(Redraw::Now);
    Vec::new()
}

/// Sends bytes to the pane's program, or says why not. What cannot be sent is not kept: it would
/// arrive when nobody expects it any more.
fn send(model: &mut Model, bytes: &Bytes, now: Now) -> Vec<Effect> {
    let Some(pane) = &mut model.pane else {
        return Vec::new();
    };
    if bytes.is_empty() || pane.is_over() {
        return Vec::new();
    }
    if pane.is_observer() {
        let why = Refusal::denied(
            "observer-read-only",
            "this session is only watched: keys are not sent",
        )
        .hint("C-b d, then Enter attaches to type");
        return refuse(model, &why, now);
    }
    if let Link::Reconnecting { .. } = pane.link {
        let why = Refusal::unavailable("unreachable", "not connected: keys are not sent")
            .hint("they will be when the connection stands again");
        return refuse(model, &why, now);
    }
    pane.typed();
    let pieces = bytes
        .chunks(PASTE_PIECE)
        .map(|piece| Effect::Input(bytes.slice_ref(piece)));
    pieces.collect()
}

fn refuse(model: &mut Model, why: &Refusal, now: Now) -> Vec<Effect> {
    model.toasts.error(why, now.instant);
    model.draw(Redraw::Now);
    Vec::new()
}
