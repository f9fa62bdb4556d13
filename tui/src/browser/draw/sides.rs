//! One side: its directory, what is in it, and how much that is.

use std::time::Duration;

use ratatui::layout::Rect;
use ratatui::style::Style;

use super::super::entry::{By, Entry, Kind};
use super::super::side::{Hidden, Side, State};
use super::super::{Browser, Place};
use super::{fitting, parts, title};
use crate::dashboard::draw::cells::{Canvas, Pen, columns as width_of};
use crate::theme::Role;
use crate::view::text;

/// The room of the mark before a name.
const MARK: u16 = 2;
const SIZE: u16 = 10;
const AGE: u16 = 6;
const MODE: u16 = 11;
/// What a name keeps before another column gets room.
const NAME_MIN: u16 = 16;

/// The widths of the columns; a column without room has none.
struct Columns {
    name: u16,
    size: u16,
    age: u16,
    mode: u16,
}

fn columns(width: u16) -> Columns {
    let mut left = width.saturating_sub(MARK + NAME_MIN);
    let mut take = |wanted| {
        let taken = if left < wanted { 0 } else { wanted };
        left -= taken;
        taken
    };
    let (size, age, mode) = (take(SIZE), take(AGE), take(MODE));
    Columns {
        name: width.saturating_sub(MARK + size + age + mode),
        size,
        age,
        mode,
    }
}

pub(super) fn draw(browser: &Browser, place: Place, area: Rect, canvas: &mut Canvas<'_>) {
    let side = browser.side(place);
    let has_keys = browser.focus == place;
    let parts = parts(area);
    heading(side, has_keys, parts.title, canvas);
    headings(side, parts.headings, canvas);
    rows(browser, side, has_keys, parts.body, canvas);
    let style = canvas.style(Role::Muted);
    let dot = canvas.charset.dot();
    let mut pen = canvas.row(parts.foot, 0);
    pen.skip(1);
    fitting(&mut pen, &about(side), dot, style);
}

fn heading(side: &Side, has_keys: bool, area: Rect, canvas: &mut Canvas<'_>) {
    let (style, ellipsis) = if has_keys {
        (canvas.style(Role::Title), canvas.charset.ellipsis())
    } else {
        (canvas.style(Role::Muted), canvas.charset.ellipsis())
    };
    let sign = canvas.charset.fold(true);
    let key = canvas.style(Role::Key);
    let mut pen = canvas.row(area, 0);
    pen.left(if has_keys { sign } else { "" }, MARK, key);
    title(&mut pen, &side.spot().shown(), ellipsis, style);
}

fn headings(side: &Side, area: Rect, canvas: &mut Canvas<'_>) {
    let (plain, strong) = (canvas.style(Role::Heading), canvas.style(Role::Title));
    let order = side.order();
    let arrow = if order.is_reversed {
        canvas.charset.upwards()
    } else {
        canvas.charset.downwards()
    };
    let named = |by: By, name: &str| {
        if order.by == by {
            (format!("{name} {arrow}"), strong)
        } else {
            (name.to_owned(), plain)
        }
    };
    let widths = columns(area.width);
    let mut pen = canvas.row(area, 0);
    pen.skip(MARK);
    let (name, style) = named(By::Name, "name");
    pen.left(&name, widths.name, style);
    let (size, style) = named(By::Size, "size");
    pen.right(&size, widths.size, style);
    let (age, style) = named(By::Time, "age");
    pen.right(&age, widths.age, style);
    pen.right(
        if widths.mode > 0 { "mode" } else { "" },
        widths.mode,
        plain,
    );
}

fn rows(browser: &Browser, side: &Side, has_keys: bool, area: Rect, canvas: &mut Canvas<'_>) {
    if side.rows().len() == 0 {
        return nothing(side, area, canvas);
    }
    let widths = columns(area.width);
    let visible = side.rows().enumerate().skip(side.top);
    for (y, (place, entry)) in (0..area.height).zip(visible) {
        row(browser, side, entry, &widths, &mut Row { area, y, canvas });
        if place == side.place() {
            let role = if has_keys {
                Role::Selected
            } else {
                Role::SelectedUnfocused
            };
            canvas.restyle(area, y, role);
        }
    }
}

struct Row<'a, 'b> {
    area: Rect,
    y: u16,
    canvas: &'a mut Canvas<'b>,
}

fn row(browser: &Browser, side: &Side, entry: &Entry, widths: &Columns, row: &mut Row<'_, '_>) {
    let canvas = &mut *row.canvas;
    let (key, text_style, muted) = (
        canvas.style(Role::Key),
        canvas.style(Role::Text),
        canvas.style(Role::Muted),
    );
    let look = canvas.style(look(entry));
    let is_marked = side.is_marked(entry);
    let mark = if is_marked { canvas.charset.mark() } else { "" };
    let mut pen = canvas.row(row.area, row.y);
    pen.left(mark, MARK, key);
    name(
        &mut pen,
        entry,
        widths.name,
        if is_marked { key } else { look },
        muted,
    );
    let size = match entry.kind {
        Kind::File => text::bytes(entry.size),
        _ => String::new(),
    };
    pen.right(&size, widths.size, text_style);
    let age = (browser.wall_ms as i64)
        .saturating_sub(entry.mtime_ms)
        .max(0);
    let age = text::age(Duration::from_millis(age as u64));
    pen.right(&age, widths.age, muted);
    pen.right(&entry.permissions(), widths.mode, muted);
}

/// How an entry looks; a sign behind its name says the same.
fn look(entry: &Entry) -> Role {
    match entry.kind {
        Kind::Directory => Role::Key,
        Kind::Link => Role::Toast,
        Kind::Special => Role::Warn,
        Kind::File if entry.is_program() => Role::Online,
        Kind::File => Role::Text,
    }
}

fn name(pen: &mut Pen<'_>, entry: &Entry, width: u16, style: Style, muted: Style) {
    let sign = match entry.kind {
        Kind::Directory => "/",
        Kind::Link => "@",
        Kind::Special => "=",
        Kind::File if entry.is_program() => "*",
        Kind::File => "",
    };
    // The sign stays, where the name has to give way.
    let width = width.min(pen.room());
    let sign_width = width_of(sign).min(width);
    let named = width_of(&entry.shown).min(width - sign_width);
    pen.left(&entry.shown, named, style);
    pen.left(sign, sign_width, muted);
    let target = if entry.target.is_empty() {
        String::new()
    } else {
        format!(" -> {}", entry.target)
    };
    pen.left(&target, width - named - sign_width, muted);
}

/// What to say where there is no row.
fn nothing(side: &Side, area: Rect, canvas: &mut Canvas<'_>) {
    let (role, said) = match side.state() {
        State::Loading => (Role::Muted, "loading".to_owned()),
        State::Failed(why) => (Role::Warn, why.message.clone()),
        State::Listed if !side.filter().is_empty() => {
            (Role::Muted, format!("no name holds {}", side.filter()))
        }
        State::Listed if !side.listing().entries.is_empty() => {
            (Role::Muted, "only hidden names".to_owned())
        }
        State::Listed => (Role::Muted, "empty".to_owned()),
    };
    let style = canvas.style(role);
    let lines = crate::view::wrapped(&said, area.width.saturating_sub(MARK));
    for (y, line) in (0..area.height).zip(lines) {
        let mut pen = canvas.row(area, y);
        pen.skip(MARK);
        pen.put(&line, style);
    }
}

/// How much there is, what matters most first.
fn about(side: &Side) -> Vec<String> {
    let (marked, bytes) = side.marked();
    let marks = match marked {
        0 => String::new(),
        count if bytes == 0 => format!("{count} marked"),
        count => format!("{count} marked, {}", text::bytes(bytes)),
    };
    let filter = match side.filter() {
        "" => String::new(),
        filter => format!("/{filter}"),
    };
    let listing = side.listing();
    let count = match (side.rows().len(), listing.is_cut) {
        (1, false) => "1 item".to_owned(),
        (count, false) => format!("{count} items"),
        (count, true) => format!("the first {count} items"),
    };
    let hidden = match side.hidden() {
        Hidden::Shown => "hidden too".to_owned(),
        Hidden::Omitted => String::new(),
    };
    let access = if listing.may_write { "" } else { "read only" };
    let free = listing
        .free
        .map(|free| format!("{} free", text::bytes(free)));
    vec![
        marks,
        filter,
        count,
        access.to_owned(),
        free.unwrap_or_default(),
        hidden,
    ]
}
