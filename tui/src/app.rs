//! What the full-screen client knows, and the one function that changes it.
//!
//! Pure: messages and the time come in, effects come out. It draws nothing (`view`), waits for
//! nothing and sends nothing (`run`).

mod attachment;
mod book;
mod fleet;
mod keys;
mod message;
mod model;
mod records;
mod selection;
mod toasts;

#[cfg(test)]
mod tests;

pub use book::{Book, Feed};
pub use message::{Effect, Msg, Now};
pub use model::{Focus, Model, Overlay, Question, Redraw, Setup};
pub use records::{Exit, Machine, Presence, Session};
pub use selection::Row;
pub use toasts::{Level, Toast};

/// Takes in what happened at `now`; returns what is to be done about it, in order.
pub fn update(model: &mut Model, message: Msg, now: Now) -> Vec<Effect> {
    match message {
        Msg::Key(key) => keys::pressed(model, &key, now),
        Msg::Paste(text) => keys::pasted(model, &text, now),
        Msg::Resized(screen) => attachment::resized(model, screen),
        Msg::Machines(change) => {
            let effects = fleet::machines(model, change, now);
            [effects, attachment::first_shell(model, now)].concat()
        }
        Msg::Sessions(change) => {
            let effects = fleet::sessions(model, change, now);
            [effects, attachment::first_shell(model, now)].concat()
        }
        Msg::Attached(attachment, answer) => attachment::answered(model, attachment, answer, now),
        Msg::Pane(attachment, event) => attachment::happened(model, attachment, event, now),
        Msg::Created(request, answer) => attachment::created(model, request, answer, now),
        Msg::Closed(answer) => fleet::closed(model, answer, now),
        Msg::Tick => {
            model.tick(now);
            Vec::new()
        }
    }
}
