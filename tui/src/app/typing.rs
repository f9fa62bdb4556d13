//! What is typed and pasted into programs.

use bytes::Bytes;
use cmdop_proto::Refusal;
use crossterm::event::KeyEvent;

use super::message::Effect;
use super::model::{Context, Model, Redraw};
use super::overlay::{Overlay, Question};
use super::rooms;
use crate::keymap::tables::PREFIX;
use crate::keymap::{self, Action, Verb, encode};
use crate::pane::{AttachmentId, Link, Pane};

/// A paste above this is refused: nobody types it, and it would hold up the keys behind it.
const MAX_PASTE: usize = 4 << 20;

/// Pieces of a paste, so that its echo does not wait for its end.
const PASTE_PIECE: usize = 16 << 10;

/// A key for the program, and in a synchronised tab for all of its programs: each gets it as its own
/// modes want it.
pub(super) fn key(model: &mut Model, key: &KeyEvent) -> Vec<Effect> {
    send(model, |pane| {
        Bytes::from(encode::encode(key, &pane.modes()))
    })
}

pub(super) fn pasted(model: &mut Model, text: &str) -> Vec<Effect> {
    if let Context::Line = model.context() {
        model.type_line(text);
        return Vec::new();
    }
    if model.context() == Context::Dashboard {
        let now = model.now();
        if model.dashboard.paste(text, now) {
            model.draw(Redraw::Now);
        }
        return Vec::new();
    }
    if model.context() == Context::Files {
        if model.browser.paste(text) {
            model.draw(Redraw::Now);
        }
        return Vec::new();
    }
    let (Context::Pane | Context::Locked, Some(pane)) = (model.context(), model.focused_pane())
    else {
        return Vec::new();
    };
    let attachment = pane.attachment;
    paste(model, text, attachment)
}

/// Types what was copied last.
pub(super) fn paste_copied(model: &mut Model) -> Vec<Effect> {
    if model.copied.is_empty() {
        model.say("nothing was copied yet");
        return Vec::new();
    }
    let text = model.copied.clone();
    pasted(model, &text)
}

fn paste(model: &mut Model, text: &str, attachment: AttachmentId) -> Vec<Effect> {
    if text.len() > MAX_PASTE {
        let size = format!("{} MiB are too much to paste", text.len() >> 20);
        let why = Refusal::invalid("bad-request", size).hint("copy it as a file: cmdop cp");
        model.complain(&why);
        return Vec::new();
    }
    let is_observer = model.focused_pane().is_some_and(Pane::is_observer);
    // In a synchronised tab it goes to programs of different modes.
    let is_harmless = rooms::typed_into(model).iter().all(|id| {
        let pane = model.panes.get(id);
        pane.is_none_or(|pane| keymap::is_harmless(text, &pane.modes()))
    });
    if is_harmless || is_observer {
        return send_paste(model, text);
    }
    model.overlay = Some(Overlay::Confirm(Question::Paste {
        attachment,
        text: text.to_owned(),
    }));
    model.draw(Redraw::Now);
    Vec::new()
}

/// Pastes into the focused pane's program, and where the tab is synchronised into the others: each gets it
/// as its own modes want it.
pub(super) fn send_paste(model: &mut Model, text: &str) -> Vec<Effect> {
    send(model, |pane| {
        Bytes::from(keymap::paste(text, &pane.modes()))
    })
}

/// Sends to the focused pane, or says why not. What cannot be sent is not kept: it would arrive when
/// nobody expects it any more.
fn send(model: &mut Model, bytes: impl Fn(&Pane) -> Bytes) -> Vec<Effect> {
    if let Some(why) = model.focused_pane().and_then(|pane| refusal(model, pane)) {
        model.complain(&why);
        return Vec::new();
    }
    let mut effects = Vec::new();
    let (mut is_full, mut guessed) = (false, false);
    for id in rooms::typed_into(model) {
        let Some(pane) = model.panes.get_mut(&id) else {
            continue;
        };
        let bytes = bytes(pane);
        if pane.link == Link::Opening {
            is_full |= !pane.type_early(&bytes);
        } else if pane.takes_input() {
            for piece in bytes.chunks(PASTE_PIECE) {
                pane.typed(piece, model.now);
                effects.push(Effect::Input(pane.attachment, bytes.slice_ref(piece)));
            }
            guessed |= pane.shows_guesses(model.now);
        }
    }
    if guessed {
        model.draw(Redraw::Now);
    }
    if is_full {
        let what = "its shell is not there yet: keys are lost";
        model.complain(&Refusal::exhausted("input-full", what));
    }
    effects
}

/// Why nothing can be typed into a pane.
fn refusal(model: &Model, pane: &Pane) -> Option<Refusal> {
    if pane.is_over() {
        return None;
    }
    if pane.is_observer() {
        let what = "this session is only watched: keys are not sent";
        let why = Refusal::denied("observer-read-only", what);
        let keymap = &model.setup.config.keymap;
        let keys = keymap.keys_of(PREFIX, &Action::Do(Verb::WatchOnly));
        return Some(
            why.hint(keys.map_or_else(String::new, |keys| format!("{keys} attaches to type"))),
        );
    }
    if let Link::Reconnecting { .. } = pane.link {
        let what = "not connected: keys are not sent";
        let why = Refusal::unavailable("unreachable", what);
        return Some(why.hint("they will be when the connection stands again"));
    }
    None
}
