//! Text into cells: a pen that fills one row from the left, and never leaves it.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use unicode_width::UnicodeWidthStr as _;

use super::Charset;
use crate::theme::{Role, Theme};

/// What is painted on, and in what look.
pub(crate) struct Canvas<'a> {
    pub(crate) buffer: &'a mut Buffer,
    pub(crate) theme: &'a Theme,
    pub(crate) charset: Charset,
}

impl Canvas<'_> {
    pub(crate) fn style(&self, role: Role) -> Style {
        self.theme.style(role)
    }

    /// A pen at the left of a row of `area`; one below it writes nothing.
    pub(crate) fn row(&mut self, area: Rect, row: u16) -> Pen<'_> {
        let is_inside = row < area.height;
        Pen {
            x: area.x,
            end: if is_inside { area.right() } else { area.x },
            y: area.y.saturating_add(row),
            charset: self.charset,
            buffer: self.buffer,
        }
    }

    /// The whole row in another look, on top of what is written.
    pub(crate) fn restyle(&mut self, area: Rect, row: u16, role: Role) {
        let row = Rect {
            y: area.y + row,
            height: 1,
            ..area
        };
        self.buffer.set_style(row, self.theme.style(role));
    }
}

/// See the module.
pub(crate) struct Pen<'a> {
    buffer: &'a mut Buffer,
    charset: Charset,
    x: u16,
    y: u16,
    end: u16,
}

impl Pen<'_> {
    /// The columns that are left.
    pub(crate) fn room(&self) -> u16 {
        self.end - self.x
    }

    /// Where it stands.
    pub(crate) fn column(&self) -> u16 {
        self.x
    }

    /// Goes on without writing.
    pub(crate) fn skip(&mut self, columns: u16) {
        self.x += columns.min(self.room());
    }

    /// Text in exactly `width` columns, its beginning at the left.
    pub(crate) fn left(&mut self, text: &str, width: u16, style: Style) {
        let width = width.min(self.room());
        self.write(text, width, style);
        self.x += width;
    }

    /// Text in exactly `width` columns, its end at the right.
    pub(crate) fn right(&mut self, text: &str, width: u16, style: Style) {
        let width = width.min(self.room());
        let fill = width.saturating_sub(columns(text));
        self.x += fill;
        self.write(text, width - fill, style);
        self.x += width - fill;
    }

    /// Text in as many columns as it takes.
    pub(crate) fn put(&mut self, text: &str, style: Style) {
        self.left(text, columns(text), style);
    }

    /// Text that takes at most `width` columns; what does not fit is cut off, and that is seen.
    fn write(&mut self, text: &str, width: u16, style: Style) {
        if width == 0 {
            return;
        }
        if text.len() <= usize::from(width) && text.bytes().all(|byte| (0x20..0x7f).contains(&byte))
        {
            for (cell, byte) in (self.x..).zip(text.bytes()) {
                self.buffer[(cell, self.y)]
                    .set_char(char::from(byte))
                    .set_style(style);
            }
            return;
        }
        if columns(text) <= width {
            self.buffer
                .set_stringn(self.x, self.y, text, width.into(), style);
            return;
        }
        let kept = usize::from(width - 1);
        let (x, y) = self.buffer.set_stringn(self.x, self.y, text, kept, style);
        self.buffer
            .set_stringn(x, y, self.charset.ellipsis(), 1, style);
    }
}

/// How many columns a text takes.
pub(crate) fn columns(text: &str) -> u16 {
    text.width().min(usize::from(u16::MAX)) as u16
}
