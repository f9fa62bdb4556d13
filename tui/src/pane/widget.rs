//! A remote screen, cell by cell, in whatever room there is.
//!
//! Too large a screen is cropped around its cursor, with `⋯` where it goes on; too small a one
//! stands in a field of `·`. What a cell holds is shown stripped: no remote byte reaches the user's
//! terminal as anything but text.

use std::borrow::Cow;

use cmdop_emulator::{Cell, Color, Emulator};
use cmdop_proto::text::is_hidden;
use ratatui::buffer::{Buffer, CellDiffOption};
use ratatui::layout::{Position, Rect};
use ratatui::style::{Color as Shade, Modifier, Style};
use tokio::time::Instant;

use super::decoration::{Decoration, Decorator};
use super::picture::{Picture, Terms};
use crate::predict::Predictor;
use crate::theme::Depth;

/// An emulator's screen, to be drawn.
#[derive(Clone, Copy, Debug)]
pub struct Screen<'a> {
    emulator: &'a Emulator,
    depth: Depth,
    decoration: Decoration,
    /// For everything, on top of the program's own attributes.
    stale: bool,
    /// What surrounds a screen that is smaller than its room.
    around: Style,
    /// How it was drawn last.
    picture: Option<&'a Picture>,
    /// What keys that were not answered yet are guessed to do, now.
    predicted: Option<(&'a Predictor, Instant)>,
}

/// The first row and column that are visible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Origin {
    row: u16,
    col: u16,
}

impl Origin {
    /// Where a cell of the screen is in `area`, if it is there.
    fn place(self, area: Rect, row: u16, col: u16) -> Option<Position> {
        let x = area.x.checked_add(col.checked_sub(self.col)?)?;
        let y = area.y.checked_add(row.checked_sub(self.row)?)?;
        let at = Position::new(x, y);
        area.contains(at).then_some(at)
    }
}

impl<'a> Screen<'a> {
    pub(crate) fn new(emulator: &'a Emulator) -> Self {
        Self {
            emulator,
            depth: Depth::True,
            decoration: Decoration::Plain,
            stale: false,
            around: Style::new(),
            picture: None,
            predicted: None,
        }
    }

    /// In the colours that the terminal has.
    pub fn depth(self, depth: Depth) -> Self {
        Self { depth, ..self }
    }

    /// With what the terminal has beyond plain underlines.
    pub fn decoration(self, decoration: Decoration) -> Self {
        Self { decoration, ..self }
    }

    /// Dimmed: it may be out of date.
    pub fn stale(self, stale: bool) -> Self {
        Self { stale, ..self }
    }

    /// With this style around a screen that is smaller than its room.
    pub fn around(self, around: Style) -> Self {
        Self { around, ..self }
    }

    /// Drawn from how it was drawn last, if nothing changed since.
    pub(super) fn picture(self, picture: &'a Picture) -> Self {
        let picture = Some(picture);
        Self { picture, ..self }
    }

    /// With what keys are guessed to do on top.
    pub fn predicted(self, predictor: &'a Predictor, now: Instant) -> Self {
        let predicted = Some((predictor, now));
        Self { predicted, ..self }
    }

    /// Draws it into `area`, and returns where its cursor came to stand, if that is to be shown.
    pub fn render(self, area: Rect, buffer: &mut Buffer) -> Option<Position> {
        let area = area.intersection(buffer.area);
        if area.is_empty() {
            return None;
        }
        let origin = self.origin(area);
        let terms = Terms {
            room: area.as_size(),
            depth: self.depth,
            decoration: self.decoration,
            stale: self.stale,
            around: self.around,
        };
        let is_drawn = |picture: &Picture| picture.put(terms, area, buffer);
        if !self.picture.is_some_and(is_drawn) {
            self.draw(area, origin, buffer);
            if let Some(picture) = self.picture {
                picture.keep(terms, area, buffer);
            }
        }
        self.put_predicted(area, origin, buffer);
        self.mark_cuts(area, origin, buffer);
        let cursor = self.emulator.cursor();
        let guessed = self
            .predicted
            .and_then(|(predictor, now)| predictor.cursor(now));
        let (row, col) = guessed.unwrap_or((cursor.row, cursor.col));
        let at = origin.place(area, row, col);
        at.filter(|_| cursor.visible)
    }

    /// All cells, from the emulator.
    fn draw(&self, area: Rect, origin: Origin, buffer: &mut Buffer) {
        let (rows, cols) = self.emulator.size();
        let mut decorator = Decorator::new(self.decoration);
        for y in 0..area.height {
            for x in 0..area.width {
                let (row, col) = (origin.row + y, origin.col + x);
                if row >= rows || col >= cols {
                    buffer[(area.x + x, area.y + y)]
                        .set_char('·')
                        .set_style(self.around);
                } else if let Some(cell) = self.emulator.cell(row, col) {
                    let room = (area.width - x).min(cols - col);
                    let target = &mut buffer[(area.x + x, area.y + y)];
                    self.put(cell, room, x == 0, target);
                    decorator.decorate(cell, u16::from(cell.width).min(room), target);
                }
            }
        }
    }

    fn put_predicted(&self, area: Rect, origin: Origin, buffer: &mut Buffer) {
        let guesses = self
            .predicted
            .map(|(predictor, now)| predictor.overlay(now));
        for guess in guesses.into_iter().flatten() {
            let Some(at) = origin.place(area, guess.row, guess.col) else {
                continue;
            };
            let mut style = guess.style;
            style.fg = style.fg.map(|color| self.depth.nearest(color));
            style.bg = style.bg.map(|color| self.depth.nearest(color));
            let symbol = guess.character.encode_utf8(&mut [0; 4]).to_owned();
            buffer[at]
                .set_diff_option(CellDiffOption::None)
                .set_symbol(&stripped(&symbol))
                .set_style(style);
        }
    }

    /// The row and column of the program's screen that stand at a place, where it is drawn into `area`.
    pub fn at(self, area: Rect, place: Position) -> Option<(u16, u16)> {
        let (rows, cols) = self.emulator.size();
        let origin = self.origin(area);
        let row = origin.row + place.y.checked_sub(area.y)?;
        let col = origin.col + place.x.checked_sub(area.x)?;
        (row < rows && col < cols).then_some((row, col))
    }

    /// Follows the cursor: the last rows and columns that hold it, and the first ones if they do.
    fn origin(&self, area: Rect) -> Origin {
        let (rows, cols) = self.emulator.size();
        let cursor = self.emulator.cursor();
        let first = |cursor: u16, size: u16, room: u16| {
            (cursor + 1)
                .saturating_sub(room)
                .min(size.saturating_sub(room))
        };
        Origin {
            row: first(cursor.row, rows, area.height),
            col: first(cursor.col, cols, area.width),
        }
    }

    fn put(self, cell: Cell<'_>, room: u16, is_first: bool, target: &mut ratatui::buffer::Cell) {
        let mut style = style_of(cell, self.depth);
        match cell.width {
            // The right half of a wide character; its left half may be cut off.
            0 if is_first => target.set_symbol(" "),
            0 => target,
            // No room for its right half.
            2 if room < 2 => target.set_symbol(" "),
            _ if cell.text.is_empty() => target.set_symbol(" "),
            _ => target.set_symbol(&stripped(cell.text)),
        };
        if self.stale {
            style = style.add_modifier(Modifier::DIM);
        }
        target.set_style(style);
    }

    /// `⋯` in the corners of the edges beyond which the screen goes on.
    fn mark_cuts(self, area: Rect, origin: Origin, buffer: &mut Buffer) {
        let (rows, cols) = self.emulator.size();
        let cut_right = u32::from(origin.col) + u32::from(area.width) < u32::from(cols);
        let cut_below = u32::from(origin.row) + u32::from(area.height) < u32::from(rows);
        let (right, bottom) = (area.right() - 1, area.bottom() - 1);
        let mut mark = |x, y| {
            buffer[(x, y)]
                .set_diff_option(CellDiffOption::None)
                .set_char('⋯')
                .set_style(self.around);
        };
        if cut_right {
            mark(right, area.y);
        }
        if origin.col > 0 {
            mark(area.x, area.y);
        }
        if cut_below {
            mark(right, bottom);
        }
        if origin.row > 0 {
            mark(right, area.y);
        }
    }

    /// What the screen shows, for tests.
    #[cfg(test)]
    pub fn text(self) -> String {
        let (rows, cols) = self.emulator.size();
        let cell = |row, col| match self.emulator.cell(row, col) {
            Some(cell) if cell.width > 0 && cell.text.is_empty() => " ",
            Some(cell) => cell.text,
            None => "",
        };
        let row = |row| (0..cols).map(|col| cell(row, col)).collect::<String>();
        (0..rows)
            .map(|at| row(at).trim_end().to_owned() + "\n")
            .collect()
    }
}

/// How a cell looks, in the colours that the terminal has.
pub(crate) fn style_of(cell: Cell<'_>, depth: Depth) -> Style {
    let shade = |color| match color {
        Color::Default => Shade::Reset,
        Color::Indexed(index) => depth.nearest(Shade::Indexed(index)),
        Color::Rgb(r, g, b) => depth.nearest(Shade::Rgb(r, g, b)),
    };
    let mut style = Style::new().fg(shade(cell.fg)).bg(shade(cell.bg));
    for (on, modifier) in [
        (cell.bold, Modifier::BOLD),
        (cell.dim, Modifier::DIM),
        (cell.italic, Modifier::ITALIC),
        (cell.underline, Modifier::UNDERLINED),
        (cell.inverse, Modifier::REVERSED),
        (cell.strike, Modifier::CROSSED_OUT),
    ] {
        if on {
            style = style.add_modifier(modifier);
        }
    }
    if cell.underline_color != Color::Default {
        style = style.underline_color(shade(cell.underline_color));
    }
    style
}

/// Without what could join, reorder or hide its neighbours in the user's terminal.
fn stripped(text: &str) -> Cow<'_, str> {
    if text.len() == 1 || !text.chars().any(is_hidden) {
        return Cow::Borrowed(text);
    }
    let kept: String = text.chars().filter(|c| !is_hidden(*c)).collect();
    Cow::Owned(if kept.is_empty() { " ".into() } else { kept })
}

#[cfg(test)]
mod tests {
    use cmdop_emulator::Options;

    use super::*;

    fn emulator(rows: u16, cols: u16, bytes: &str) -> Emulator {
        let mut emulator = Emulator::new(rows, cols, Options::default());
        emulator.feed(bytes.as_bytes());
        emulator
    }

    fn drawn(emulator: &Emulator, width: u16, height: u16) -> (Vec<String>, Option<Position>) {
        let area = Rect::new(0, 0, width, height);
        let mut buffer = Buffer::empty(area);
        let cursor = Screen::new(emulator).render(area, &mut buffer);
        let row = |y| {
            (0..width)
                .map(|x| buffer[(x, y)].symbol())
                .collect::<String>()
        };
        ((0..height).map(row).collect(), cursor)
    }

    #[test]
    fn a_screen_that_fits_is_drawn_as_it_is() {
        let (rows, cursor) = drawn(&emulator(2, 4, "ab\r\ncd"), 4, 2);
        assert_eq!(rows, ["ab  ", "cd  "]);
        assert_eq!(cursor, Some(Position::new(2, 1)));
    }

    #[test]
    fn a_guess_stands_where_its_cell_is_drawn() {
        let now = Instant::now();
        let mut predictor = Predictor::new(crate::predict::Mode::On);
        let mut screen = emulator(4, 8, "1\r\n2\r\n3\r\n$ ");
        predictor.typed(b"a", 1, &screen, now);
        screen.feed(b"a");
        predictor.output(Some(1), &screen, now);
        predictor.typed(b"b", 2, &screen, now);
        let area = Rect::new(1, 1, 8, 2);
        let mut buffer = Buffer::empty(Rect::new(0, 0, 9, 3));
        let shown = Screen::new(&screen).predicted(&predictor, now);
        assert_eq!(shown.render(area, &mut buffer), Some(Position::new(5, 2)));
        assert_eq!(buffer[(4, 2)].symbol(), "b");
        assert!(buffer[(4, 2)].modifier.contains(Modifier::UNDERLINED));
        // One that is cropped away is not drawn elsewhere.
        let narrow = Rect::new(0, 0, 1, 1);
        shown.render(narrow, &mut buffer);
    }

    #[test]
    fn a_small_screen_stands_in_a_field_of_dots() {
        let (rows, _) = drawn(&emulator(2, 3, "abc"), 5, 3);
        assert_eq!(rows, ["abc··", "   ··", "·····"]);
    }

    #[test]
    fn a_large_screen_is_cropped_around_its_cursor() {
        let large = emulator(4, 8, "1\r\n2\r\n3\r\n4bcdefg");
        let (rows, cursor) = drawn(&large, 4, 2);
        assert_eq!(rows, ["⋯  ⋯", "efg "]);
        assert_eq!(cursor, Some(Position::new(3, 1)));
        let (rows, _) = drawn(&emulator(4, 8, "abcdefgh\x1b[H"), 4, 2);
        assert_eq!(rows, ["abc⋯", "   ⋯"]);
    }

    #[test]
    fn half_a_wide_character_is_never_drawn() {
        let wide = emulator(2, 6, "a漢b\x1b[H");
        let (rows, _) = drawn(&wide, 2, 2);
        assert!(!rows[0].contains('漢'), "{rows:?}");
        let (rows, _) = drawn(&wide, 6, 2);
        assert!(rows[0].starts_with("a漢"), "{rows:?}");
    }

    #[test]
    fn what_would_steer_the_users_terminal_is_not_drawn() {
        let (rows, _) = drawn(&emulator(2, 6, "a\u{202e}b\u{200d}c"), 6, 2);
        assert_eq!(rows[0], "abc   ");
    }

    #[test]
    fn a_programs_colours_are_its_own() {
        let area = Rect::new(0, 0, 2, 2);
        let mut buffer = Buffer::empty(area);
        let colourful = emulator(2, 2, "\x1b[1;31;48;2;1;2;3mx");
        Screen::new(&colourful).render(area, &mut buffer);
        assert_eq!(buffer[(0, 0)].fg, Shade::Indexed(1));
        assert_eq!(buffer[(0, 0)].bg, Shade::Rgb(1, 2, 3));
        assert_eq!(buffer[(0, 0)].modifier, Modifier::BOLD);
        Screen::new(&colourful)
            .depth(Depth::Palette)
            .render(area, &mut buffer);
        assert_eq!(buffer[(0, 0)].bg, Shade::Indexed(16));
    }
}
