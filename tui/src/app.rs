//! What the full-screen client knows, and the one function that changes it.
//!
//! Pure: messages and the time come in, effects come out. It draws nothing (`view`), waits for
//! nothing and sends nothing (`run`).

mod act;
mod answer;
mod attachment;
mod book;
mod browsing;
mod copying;
mod fleet;
mod keys;
pub mod log;
mod message;
mod model;
mod mouse;
mod open;
pub mod overlay;
pub mod picker;
pub mod reading;
mod records;
mod rooms;
mod saved;
mod selection;
pub mod strip;
pub mod tabs;
mod toasts;
pub mod tour;
mod typing;
mod watching;

#[cfg(test)]
mod tests;

pub use book::{Book, Feed};
pub use message::{Effect, Msg, Now};
pub use model::{Context, Lock, Model, Page, Redraw, Setup, Waiting};
pub use records::{Exit, Machine, Presence, Session};
pub use saved::Saved;
pub use selection::Row;
pub use toasts::{Level, Toast};

/// Takes in what happened at `now`; returns what is to be done about it, in order.
pub fn update(model: &mut Model, message: Msg, now: Now) -> Vec<Effect> {
    model.now = now.instant;
    model.wall_ms = now.wall_ms;
    model.browser.at(now);
    let page = model.page;
    let mut effects = happened(model, message, now);
    effects.extend(rooms::settle(model));
    effects.extend(browsing::settle(model, page));
    if model.page == Page::Dashboard {
        let area = model.tab_area().as_size();
        model.dashboard.prepare(area, now.instant);
    }
    if model.page == Page::Files {
        let area = model.tab_area().as_size();
        model.browser.prepare(area);
    }
    effects
}

fn happened(model: &mut Model, message: Msg, now: Now) -> Vec<Effect> {
    match message {
        Msg::Key(key) => return keys::pressed(model, &key),
        Msg::Paste(text) => return typing::pasted(model, &text),
        Msg::Mouse(event) => return mouse::happened(model, event),
        Msg::Machines(change) => {
            model.dashboard.machines(&change, now);
            browsing::machines(model, &change);
            fleet::machines(model, change, now);
            return open::first_shell(model, now);
        }
        Msg::Sessions(change) => {
            model.dashboard.sessions(&change, now);
            fleet::sessions(model, change, now);
            let restored = saved::restore(model);
            return [restored, open::first_shell(model, now)].concat();
        }
        Msg::Attached(attachment, answer) => {
            return attachment::answered(model, attachment, answer, now);
        }
        Msg::Pane(attachment, event) => return attachment::happened(model, attachment, event, now),
        Msg::Created(request, answer) => return open::created(model, request, answer, now),
        Msg::Closed(answer) => fleet::closed(model, answer, now),
        Msg::Renamed(answer) => fleet::renamed(model, answer, now),
        Msg::History(pane, page) => return copying::came(model, pane, page),
        Msg::Run(event) => {
            model.dashboard.run_event(event);
            model.draw(Redraw::Soon);
        }
        Msg::Files(event) => return browsing::happened(model, event),
        Msg::Clients(answer) => act::clients(model, answer),
        Msg::Focused(is_focused) => model.is_focused = is_focused,
        Msg::Resized(screen) => {
            model.setup.screen = screen;
            model.touched = true;
            model.draw(Redraw::Now);
        }
        Msg::RoundTrip(time) => {
            model.round_trip = Some(time);
            model
                .panes
                .values_mut()
                .for_each(|pane| pane.round_trip(time));
            model.draw(Redraw::Soon);
        }
        Msg::Themed(theme) => {
            model.setup.theme = *theme;
            model.draw(Redraw::Soon);
        }
        Msg::Configured(read) => {
            (model.setup.config, model.setup.theme) = *read;
            model.browser.settings = Model::files_settings(&model.setup.config);
            let prediction = model.setup.config.prediction();
            model
                .panes
                .values_mut()
                .for_each(|pane| pane.predict(prediction));
            model.waiting = None;
            model.touched = true;
            model.say("the configuration was read again");
        }
        Msg::Failed(why) => model.complain(&why),
        Msg::Tick => model.tick(),
    }
    Vec::new()
}
