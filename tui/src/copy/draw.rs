//! Copy mode on the screen: rows, what is selected, what was found, and where this is.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position as Place, Rect};
use ratatui::style::Style;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::motion::{Stop, Way};
use super::row::Row;
use super::search::Hit;
use super::{Asks, Mode};
use crate::theme::{Depth, Role, Theme};

impl Mode {
    /// Draws it into `area`, and returns where the cursor came to stand.
    pub fn draw(
        &self,
        area: Rect,
        buffer: &mut Buffer,
        theme: &Theme,
        depth: Depth,
    ) -> Option<Place> {
        let area = area.intersection(buffer.area);
        if area.is_empty() {
            return None;
        }
        let hits = self.visible_hits(area.height);
        for y in 0..area.height {
            let at = self.top + i64::from(y);
            let line = Rect::new(area.x, area.y + y, area.width, 1);
            for x in line.left()..line.right() {
                buffer[(x, line.y)].reset();
            }
            if let Some(row) = self.document.row(at) {
                self.draw_row(row, line, buffer, depth);
                self.highlight(at, row, &hits, line, buffer, theme);
            }
        }
        self.draw_position(area, buffer, theme);
        if let Some(place) = self.draw_prompt(area, buffer, theme) {
            return Some(place);
        }
        let x = i64::from(area.x) + i64::from(self.cursor.col) - i64::from(self.left());
        let y = i64::from(area.y) + self.cursor.row - self.top;
        let place = Place::new(u16::try_from(x).ok()?, u16::try_from(y).ok()?);
        area.contains(place).then_some(place)
    }

    /// The first column that is shown: the view follows the cursor.
    pub(super) fn left(&self) -> u16 {
        self.cursor
            .col
            .saturating_add(1)
            .saturating_sub(self.view.1)
    }

    fn draw_row(&self, row: &Row, line: Rect, buffer: &mut Buffer, depth: Depth) {
        let left = self.left();
        for glyph in row.glyphs().filter(|glyph| glyph.col + glyph.width > left) {
            let Some(x) = glyph.col.checked_sub(left) else {
                continue;
            };
            if x >= line.width {
                break;
            }
            let fits = x + glyph.width <= line.width;
            let mut style = row.style(glyph.col);
            style.fg = style.fg.map(|color| depth.nearest(color));
            style.bg = style.bg.map(|color| depth.nearest(color));
            style.underline_color = style.underline_color.map(|color| depth.nearest(color));
            for column in x..(x + glyph.width).min(line.width) {
                buffer[(line.x + column, line.y)].set_style(style);
            }
            buffer[(line.x + x, line.y)].set_symbol(if fits { glyph.text } else { " " });
        }
    }

    /// The hits in the rows that are shown; those of a wrapped line are looked up once.
    fn visible_hits(&self, height: u16) -> Vec<Hit> {
        let Some(pattern) = self.finding.pattern() else {
            return Vec::new();
        };
        let mut hits = Vec::new();
        let last = (self.top + i64::from(height) - 1).min(self.document.last());
        let mut row = self.top;
        while row <= last {
            let found = pattern.hits(&self.document, row);
            let end = self.document.line(row).1;
            let is_shown = |hit: &Hit| hit.end.row >= self.top && hit.start.row <= last;
            hits.extend(found.into_iter().filter(is_shown));
            row = end + 1;
        }
        hits
    }

    fn highlight(
        &self,
        at: i64,
        row: &Row,
        hits: &[Hit],
        line: Rect,
        buffer: &mut Buffer,
        theme: &Theme,
    ) {
        let left = self.left();
        let mut paint = |columns: std::ops::Range<u16>, style: Style| {
            let columns = columns.start.saturating_sub(left)..columns.end.saturating_sub(left);
            for x in columns.start..columns.end.min(line.width) {
                let cell = &mut buffer[(line.x + x, line.y)];
                let symbol = cell.symbol().to_owned();
                cell.reset();
                cell.set_symbol(&symbol).set_style(style);
            }
        };
        for hit in hits {
            let is_current = self.finding.current() == Some(*hit);
            let role = if is_current {
                Role::SearchCurrent
            } else {
                Role::SearchHit
            };
            paint(hit.columns(at, row.width()), theme.style(role));
        }
        if let Some(part) = self.part() {
            paint(
                part.columns(&self.document, at),
                theme.style(Role::Selection),
            );
        }
    }

    /// tmux's `[12/20000]`: how far the view is scrolled up, and how far it could be.
    fn draw_position(&self, area: Rect, buffer: &mut Buffer, theme: &Theme) {
        if !self.shows_position {
            return;
        }
        let above = self.document.history_len();
        let more = if self.document.is_complete() { "" } else { "+" };
        let scrolled = (-self.top).max(0);
        let note = match (
            self.finding.has_failed(),
            self.finding.seeks() || self.seeks_top,
        ) {
            (true, _) => "not found ",
            (_, true) => "looking back… ",
            _ => "",
        };
        let place = format!("[{scrolled}/{above}{more}]");
        let text = format!("{note}{place}");
        let fits = text.width() <= usize::from(area.width);
        let text = if fits { text } else { place };
        let width = (text.width() as u16).min(area.width);
        let x = area.right() - width;
        buffer.set_stringn(
            x,
            area.y,
            &text,
            usize::from(width),
            theme.style(Role::Mode),
        );
    }

    /// What is asked, in the last row, and where its text ends.
    fn draw_prompt(&self, area: Rect, buffer: &mut Buffer, theme: &Theme) -> Option<Place> {
        let prompt = self.prompt.as_ref()?;
        let label = match prompt.asks {
            Asks::Pattern(Way::Down) => "/",
            Asks::Pattern(Way::Up) => "?",
            Asks::Line => "line: ",
            Asks::Character(Way::Down, Stop::On) => "to the character: ",
            Asks::Character(Way::Down, Stop::Short) => "to before the character: ",
            Asks::Character(Way::Up, Stop::On) => "back to the character: ",
            Asks::Character(Way::Up, Stop::Short) => "back to after the character: ",
        };
        let line = Rect::new(area.x, area.bottom() - 1, area.width, 1);
        let style = theme.style(Role::Status);
        for x in line.left()..line.right() {
            buffer[(x, line.y)].reset();
            buffer[(x, line.y)].set_style(style);
        }
        let room = usize::from(line.width).saturating_sub(1);
        let text = tail(&prompt.text, room.saturating_sub(label.width()));
        let (x, _) = buffer.set_stringn(line.x, line.y, label, room, style);
        let left = usize::from(line.right() - x).saturating_sub(1);
        let (x, _) = buffer.set_stringn(x, line.y, text, left, style);
        Some(Place::new(x.min(line.right() - 1), line.y))
    }
}

/// The end of a text that fits into `width` columns.
fn tail(text: &str, width: usize) -> &str {
    let mut used = 0;
    for (at, c) in text.char_indices().rev() {
        used += c.width().unwrap_or(0);
        if used > width {
            return &text[at + c.len_utf8()..];
        }
    }
    text
}

#[cfg(test)]
mod tests;
