//! The page of files as cells. It decides nothing and changes nothing; what names and contents say was stripped when
//! they were made text.

mod found;
mod looked;
mod question;
mod sides;
mod transfers;

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect, Size};
use ratatui::style::Style;

use super::{Browser, Place, View};
use crate::dashboard::draw::cells::{Canvas, Pen, columns};
use crate::theme::{Role, Theme};

/// Below this width there is room for one side.
const TWO_FROM: u16 = 50;
/// From this width on the preview stands beside both sides; below it takes the place of the other one.
const THREE_FROM: u16 = 120;
/// From this height on a narrow screen has room for a preview below.
const BELOW_FROM: u16 = 10;
/// Heights from which on a list has a title, a line about all of it, and headings: below, a row more is worth more.
const TITLE_FROM: u16 = 3;
const FOOT_FROM: u16 = 5;
const HEADINGS_FROM: u16 = 8;
/// Rows of something in the background.
pub(super) const JOB_ROWS: u16 = 2;

/// Where things are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Layout {
    /// All but what is asked.
    pub(super) whole: Rect,
    left: Option<Rect>,
    right: Option<Rect>,
    pub(super) preview: Option<Rect>,
    prompt: Rect,
}

impl Layout {
    pub(super) fn side(&self, place: Place) -> Option<Rect> {
        match place {
            Place::Left => self.left,
            Place::Right => self.right,
        }
    }
}

/// Where things are on a page of this size.
pub(super) fn layout(browser: &Browser, room: Size) -> Layout {
    let area = Rect::from((Position::ORIGIN, room));
    let asked = u16::from(browser.prompt.is_some() && area.height > 0);
    let whole = Rect {
        height: area.height - asked,
        ..area
    };
    let prompt = Rect {
        y: whole.bottom(),
        height: asked,
        ..area
    };
    let layout = Layout {
        whole,
        prompt,
        ..Layout::default()
    };
    let has_preview = browser.preview.is_some();
    let focus = |area| match browser.focus {
        Place::Left => (Some(area), None),
        Place::Right => (None, Some(area)),
    };
    if area.width < TWO_FROM {
        let has_preview = has_preview && whole.height >= BELOW_FROM;
        let below = if has_preview { whole.height / 2 } else { 0 };
        let upper = Rect {
            height: whole.height - below,
            ..whole
        };
        let (left, right) = focus(upper);
        let preview = has_preview.then_some(Rect {
            y: upper.bottom(),
            height: below,
            ..whole
        });
        return Layout {
            left,
            right,
            preview,
            ..layout
        };
    }
    let parts = if has_preview && area.width >= THREE_FROM {
        3
    } else {
        2
    };
    // Between them stands a line.
    let part = |at: u16| {
        let width = (whole.width - (parts - 1)) / parts;
        let x = at * (width + 1);
        let width = if at + 1 == parts {
            whole.width - x
        } else {
            width
        };
        Rect { x, width, ..whole }
    };
    let (left, right, preview) = match (parts, has_preview, browser.focus) {
        (3, ..) => (Some(part(0)), Some(part(1)), Some(part(2))),
        (_, false, _) => (Some(part(0)), Some(part(1)), None),
        (_, true, Place::Left) => (Some(part(0)), None, Some(part(1))),
        (_, true, Place::Right) => (None, Some(part(1)), Some(part(0))),
    };
    Layout {
        left,
        right,
        preview,
        ..layout
    }
}

/// Where the parts of a list are, from top to bottom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Parts {
    title: Rect,
    headings: Rect,
    body: Rect,
    foot: Rect,
}

fn parts(area: Rect) -> Parts {
    let title = u16::from(area.height >= TITLE_FROM);
    let headings = u16::from(area.height >= HEADINGS_FROM);
    let foot = u16::from(area.height >= FOOT_FROM);
    let body = area.height - title - headings - foot;
    let part = |y, height| Rect {
        y: area.y + y,
        height,
        ..area
    };
    Parts {
        title: part(0, title),
        headings: part(title, headings),
        body: part(title + headings, body),
        foot: part(title + headings + body, foot),
    }
}

/// How many rows of a list are visible.
pub(super) fn rows(area: Option<Rect>) -> usize {
    area.map_or(0, |area| body(area).height.into())
}

/// Where its rows are.
pub(super) fn body(area: Rect) -> Rect {
    parts(area).body
}

/// Whether its first row is its title.
pub(super) fn has_title(area: Rect) -> bool {
    area.height >= TITLE_FROM
}

/// How many lines of a preview are visible.
pub(super) fn preview_rows(area: Rect) -> usize {
    area.height
        .saturating_sub(u16::from(has_title(area)))
        .into()
}

/// Where what is in the background is listed.
pub(super) fn transfers_body(whole: Rect) -> Rect {
    let title = u16::from(has_title(whole));
    Rect {
        y: whole.y + title,
        height: whole.height - title,
        ..whole
    }
}

/// How much of it is visible.
pub(super) fn transfers_rows(whole: Rect) -> usize {
    usize::from(transfers_body(whole).height / JOB_ROWS).max(1)
}

/// Paints the page as it was prepared for this area, which begins in the corner; the buffer is blank there. Returns
/// where the cursor stands while a line is typed.
pub fn draw(browser: &Browser, theme: &Theme, area: Rect, buffer: &mut Buffer) -> Option<Position> {
    let area = area.intersection(buffer.area);
    if area.is_empty() {
        return None;
    }
    buffer.set_style(area, theme.style(Role::Text));
    let layout = layout(browser, area.as_size());
    let mut canvas = Canvas {
        buffer,
        theme,
        charset: browser.settings.charset,
    };
    match browser.view {
        View::Sides => {
            for place in Place::BOTH {
                if let Some(area) = layout.side(place) {
                    sides::draw(browser, place, area, &mut canvas);
                }
            }
            if let (Some(area), Some(preview)) = (layout.preview, browser.preview()) {
                looked::draw(preview, area, &mut canvas);
            }
            rules(&layout, &mut canvas);
        }
        View::Transfers => transfers::draw(browser, layout.whole, &mut canvas),
        View::Found => found::draw(browser, layout.whole, &mut canvas),
    }
    question::draw(browser, layout.prompt, &mut canvas)
}

/// The lines between what stands side by side.
fn rules(layout: &Layout, canvas: &mut Canvas<'_>) {
    let style = canvas.style(Role::Border);
    let rule = canvas.charset.rule();
    for area in [layout.left, layout.right, layout.preview]
        .into_iter()
        .flatten()
    {
        if area.right() >= layout.whole.right() {
            continue;
        }
        let line = Rect {
            x: area.right(),
            width: 1,
            ..area
        };
        for row in 0..line.height {
            canvas.row(line, row).put(rule, style);
        }
    }
}

/// A title: what does not fit is cut off at its beginning, which says least.
fn title(pen: &mut Pen<'_>, text: &str, ellipsis: &str, style: Style) {
    let room = pen.room();
    if columns(text) <= room {
        return pen.put(text, style);
    }
    let mut kept = text;
    while columns(kept) + columns(ellipsis) > room && !kept.is_empty() {
        let mut chars = kept.chars();
        chars.next();
        kept = chars.as_str();
    }
    pen.put(ellipsis, style);
    pen.put(kept, style);
}

/// As many of the parts as there is room for, the first of them first.
fn fitting(pen: &mut Pen<'_>, parts: &[String], dot: &str, style: Style) {
    for (at, part) in parts.iter().filter(|part| !part.is_empty()).enumerate() {
        let separator = if at == 0 { "" } else { dot };
        if at > 0 && columns(part) + columns(separator) > pen.room() {
            return;
        }
        pen.put(separator, style);
        let room = pen.room();
        pen.left(part, columns(part).min(room), style);
    }
}
