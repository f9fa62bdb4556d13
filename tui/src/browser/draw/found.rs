//! What a search found.

use ratatui::layout::Rect;

use super::super::Browser;
use super::super::found::{Found, State};
use super::{fitting, parts, title};
use crate::dashboard::draw::cells::{Canvas, columns};
use crate::theme::Role;

pub(super) fn draw(browser: &Browser, area: Rect, canvas: &mut Canvas<'_>) {
    let Some(found) = browser.found() else {
        return;
    };
    let parts = parts(area);
    let (strong, ellipsis) = (canvas.style(Role::Title), canvas.charset.ellipsis());
    let mut pen = canvas.row(parts.title, 0);
    pen.skip(1);
    let said = format!("{} below {}", found.find.title(), found.spot.shown());
    title(
        &mut pen,
        &cmdop_proto::text::shown(&said, 4096),
        ellipsis,
        strong,
    );
    rows(found, parts.body, canvas);
    let role = match found.state {
        State::Failed(_) => Role::Warn,
        _ => Role::Muted,
    };
    let style = canvas.style(role);
    let dot = canvas.charset.dot();
    let mut pen = canvas.row(parts.foot, 0);
    pen.skip(1);
    fitting(&mut pen, &about(found), dot, style);
}

fn rows(found: &Found, area: Rect, canvas: &mut Canvas<'_>) {
    let (path, line, text) = (
        canvas.style(Role::Key),
        canvas.style(Role::Muted),
        canvas.style(Role::Text),
    );
    let visible = found.matches.iter().enumerate().skip(found.top);
    for (y, (place, it)) in (0..area.height).zip(visible) {
        let mut pen = canvas.row(area, y);
        pen.skip(1);
        // Some of the line is to be seen, however long the path is.
        let most = if it.line > 0 {
            pen.room() / 2
        } else {
            pen.room()
        };
        pen.left(&it.shown, columns(&it.shown).min(most), path);
        if it.line > 0 {
            pen.put(&format!(":{}: ", it.line), line);
            let room = pen.room();
            pen.left(&it.text, room, text);
        }
        if place == found.at {
            canvas.restyle(area, y, Role::Selected);
        }
    }
}

fn about(found: &Found) -> Vec<String> {
    let count = match found.matches.len() {
        1 => "1 match".to_owned(),
        count => format!("{count} matches"),
    };
    let state = match &found.state {
        State::Searching => "searching".to_owned(),
        State::Done => "that is all".to_owned(),
        State::Full => "there are more: look for less".to_owned(),
        State::Failed(why) => why.message.clone(),
    };
    vec![count, state]
}
