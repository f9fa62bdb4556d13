//! A line of the scrollback, cell by cell, for whoever shows what scrolled off.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use crate::pen::{Pen, read_sgr};
use crate::view::Cell;

/// The cells of a line as [`crate::Emulator::scrollback_line`] gives it, without the right halves of wide
/// characters.
///
/// The line may come from elsewhere: controls in it, and sequences that are no SGR, are left out.
pub fn line_cells(line: &str) -> impl Iterator<Item = Cell<'_>> {
    Cells {
        rest: line,
        pen: Pen::default(),
    }
}

struct Cells<'a> {
    rest: &'a str,
    pen: Pen,
}

impl<'a> Iterator for Cells<'a> {
    type Item = Cell<'a>;

    fn next(&mut self) -> Option<Cell<'a>> {
        loop {
            let first = self.rest.chars().next()?;
            if first == '\x1b' {
                let length = read_sgr(self.rest.as_bytes(), &mut self.pen)
                    .filter(|length| self.rest.is_char_boundary(*length));
                self.rest = &self.rest[length.unwrap_or(1)..];
                continue;
            }
            let width = first.width().unwrap_or(0).min(2);
            let end = self.rest[first.len_utf8()..]
                .char_indices()
                .find(|(_, next)| next.width() != Some(0))
                .map_or(self.rest.len(), |(at, _)| first.len_utf8() + at);
            let (text, rest) = self.rest.split_at(end);
            self.rest = rest;
            if width == 0 {
                // A control, or marks without a character to stand on.
                continue;
            }
            let is_emoji = text.contains('\u{fe0f}') && text.width() == 2;
            let width = if is_emoji { 2 } else { width as u8 };
            return Some(self.pen.cell(text, width));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Color;

    fn cells(line: &str) -> Vec<(&str, u8, Color)> {
        line_cells(line)
            .map(|cell| (cell.text, cell.width, cell.fg))
            .collect()
    }

    #[test]
    fn a_line_is_read_cell_by_cell() {
        let red = Color::Indexed(1);
        assert_eq!(
            cells("a\x1b[31m你e\u{301}\x1b[m❤\u{fe0f}"),
            [
                ("a", 1, Color::Default),
                ("你", 2, red),
                ("e\u{301}", 1, red),
                ("❤\u{fe0f}", 2, Color::Default)
            ]
        );
    }

    #[test]
    fn what_does_not_belong_in_a_line_is_left_out() {
        let text = |line| cells(line).iter().map(|cell| cell.0).collect::<String>();
        assert_eq!(text("a\r\n\x07b\x1b]2;t\u{9b}c\x1b[2J\x1b"), "ab]2;tc[2J");
        assert_eq!(text("\u{301}a"), "a");
    }
}
