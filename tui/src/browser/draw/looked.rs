//! What is in the selected file.

use ratatui::layout::Rect;
use ratatui::style::Style;

use super::super::entry::Kind;
use super::super::path;
use super::super::preview::{Content, Piece, Preview, Token};
use super::{has_title, title};
use crate::dashboard::draw::cells::Canvas;
use crate::theme::Role;

/// Bytes in a row, as `Preview::len` counts them.
const ROW: usize = 8;

pub(super) fn draw(preview: &Preview, area: Rect, canvas: &mut Canvas<'_>) {
    let named =
        path::split(&preview.spot.path).map_or(String::new(), |(_, name)| path::shown(&name));
    let has_title = has_title(area);
    if has_title {
        let (style, ellipsis) = (canvas.style(Role::Title), canvas.charset.ellipsis());
        let mut pen = canvas.row(area, 0);
        pen.skip(1);
        title(&mut pen, &named, ellipsis, style);
    }
    let above = u16::from(has_title);
    let body = Rect {
        x: area.x + 1.min(area.width),
        y: area.y + above,
        width: area.width.saturating_sub(1),
        height: area.height - above,
    };
    match &preview.content {
        Content::Loading => words("loading", body, canvas),
        Content::Words(said) => words(said, body, canvas),
        Content::Image(kind, width, height) => {
            words(
                &format!("{kind} image, {width} x {height} pixels"),
                body,
                canvas,
            );
        }
        Content::Text(lines, is_cut) => {
            let visible = lines.iter().enumerate().skip(preview.top);
            for (y, (at, line)) in (0..body.height).zip(visible) {
                text(line, body, y, canvas);
                let is_last = *is_cut && at + 1 == lines.len();
                if is_last && y + 1 < body.height {
                    let style = canvas.style(Role::Muted);
                    canvas.row(body, y + 1).put("and more", style);
                }
            }
        }
        Content::Bytes(bytes) => {
            let rows = bytes.chunks(ROW).enumerate().skip(preview.top);
            for (y, (at, row)) in (0..body.height).zip(rows) {
                hex(at * ROW, row, body, y, canvas);
            }
        }
        Content::Directory(entries) => {
            let visible = entries.iter().skip(preview.top);
            for (y, entry) in (0..body.height).zip(visible) {
                let (role, sign) = match entry.kind {
                    Kind::Directory => (Role::Key, "/"),
                    Kind::Link => (Role::Toast, "@"),
                    Kind::Special => (Role::Warn, "="),
                    Kind::File => (Role::Text, ""),
                };
                let style = canvas.style(role);
                let name = format!("{}{sign}", entry.shown);
                canvas.row(body, y).left(&name, body.width, style);
            }
        }
    }
}

fn words(said: &str, area: Rect, canvas: &mut Canvas<'_>) {
    let style = canvas.style(Role::Muted);
    for (y, line) in (0..area.height).zip(crate::view::wrapped(said, area.width)) {
        canvas.row(area, y).put(&line, style);
    }
}

fn text(line: &[Piece], area: Rect, y: u16, canvas: &mut Canvas<'_>) {
    let styles: Vec<Style> = line
        .iter()
        .map(|(token, _)| canvas.style(look(*token)))
        .collect();
    let mut pen = canvas.row(area, y);
    for ((_, piece), style) in line.iter().zip(styles) {
        pen.put(piece, style);
    }
}

/// The looks that a theme has for other things do for the parts of a language too.
fn look(token: Token) -> Role {
    match token {
        Token::Plain => Role::Text,
        Token::Comment => Role::Muted,
        Token::String => Role::Online,
        Token::Constant => Role::Stale,
        Token::Keyword => Role::Key,
        Token::Name => Role::Toast,
    }
}

fn hex(offset: usize, row: &[u8], area: Rect, y: u16, canvas: &mut Canvas<'_>) {
    let (muted, plain, key) = (
        canvas.style(Role::Muted),
        canvas.style(Role::Text),
        canvas.style(Role::Key),
    );
    let digits: String = row.iter().map(|byte| format!("{byte:02x} ")).collect();
    let letter = |byte: &u8| match byte {
        0x20..0x7f => char::from(*byte),
        _ => '.',
    };
    let mut pen = canvas.row(area, y);
    pen.put(&format!("{offset:06x} "), muted);
    pen.left(&digits, 3 * ROW as u16, plain);
    pen.put(&row.iter().map(letter).collect::<String>(), key);
}
