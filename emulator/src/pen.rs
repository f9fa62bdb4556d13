//! The attributes that text is written with, and the SGR sequences that change them.

use std::fmt::Write as _;

use crate::view::Cell;

/// A colour as a program asked for it; what it looks like is the theme's business.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Color {
    /// The terminal's own foreground or background.
    #[default]
    Default,
    /// One of the palette's 256 colours; 0 to 7 are the normal ones, 8 to 15 the bright ones.
    Indexed(u8),
    /// Red, green, blue.
    Rgb(u8, u8, u8),
}

impl From<vt100::Color> for Color {
    fn from(color: vt100::Color) -> Self {
        match color {
            vt100::Color::Default => Self::Default,
            vt100::Color::Idx(index) => Self::Indexed(index),
            vt100::Color::Rgb(red, green, blue) => Self::Rgb(red, green, blue),
        }
    }
}

impl Color {
    fn in_palette(self) -> Self {
        let Self::Rgb(red, green, blue) = self else {
            return self;
        };
        let [red, green, blue] =
            [red, green, blue].map(|level| ((u16::from(level) * 5 + 127) / 255) as u8);
        Self::Indexed(16 + 36 * red + 6 * green + blue)
    }
}

const BOLD: u8 = 1;
const DIM: u8 = 2;
const ITALIC: u8 = 4;
const UNDERLINE: u8 = 8;
const INVERSE: u8 = 16;
const STRIKE: u8 = 32;

/// How an underline looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Underline {
    /// One line.
    #[default]
    Single,
    /// Two.
    Double,
    /// A wave.
    Curly,
    /// Dots.
    Dotted,
    /// Dashes.
    Dashed,
}

/// The attributes that the grid does not have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Extra {
    underline: Underline,
    underline_color: Color,
    strike: bool,
}

/// Attributes of text. Bold and dim exclude each other, as they do in the grid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pen {
    fg: Color,
    bg: Color,
    flags: u8,
    /// Single while nothing is underlined.
    underline: Underline,
    underline_color: Color,
}

impl Pen {
    /// The attributes of a cell of the grid.
    pub(crate) fn of(cell: &vt100::Cell) -> Self {
        let mut flags = 0;
        for (on, flag) in [
            (cell.bold(), BOLD),
            (cell.dim(), DIM),
            (cell.italic(), ITALIC),
            (cell.underline(), UNDERLINE),
            (cell.inverse(), INVERSE),
        ] {
            if on {
                flags |= flag;
            }
        }
        Self {
            fg: cell.fgcolor().into(),
            bg: cell.bgcolor().into(),
            flags,
            ..Self::default()
        }
    }

    /// What the grid knows of these attributes.
    pub(crate) fn base(self) -> Self {
        Self {
            fg: self.fg,
            bg: self.bg,
            flags: self.flags & !STRIKE,
            ..Self::default()
        }
    }

    /// Whether the grid knows all that can be seen of these attributes.
    pub(crate) fn is_base(self) -> bool {
        let is_plain =
            self.underline == Underline::Single && self.underline_color == Color::Default;
        self.flags & STRIKE == 0 && (self.flags & UNDERLINE == 0 || is_plain)
    }

    /// What it does not know, as far as it can be seen: a colour of underlines needs one.
    pub(crate) fn extra(self) -> Extra {
        let is_underlined = self.flags & UNDERLINE != 0;
        Extra {
            underline: self.underline,
            underline_color: if is_underlined {
                self.underline_color
            } else {
                Color::Default
            },
            strike: self.flags & STRIKE != 0,
        }
    }

    /// What the grid knows of these attributes, and these of those that it does not.
    pub(crate) fn with(self, extra: Extra) -> Self {
        let mut pen = self.base();
        pen.underline = extra.underline;
        pen.underline_color = extra.underline_color;
        pen.set(STRIKE, extra.strike);
        pen
    }

    /// The same as far as it can be seen.
    pub(crate) fn visible(self) -> Self {
        self.with(self.extra())
    }

    /// A cell with these attributes.
    pub(crate) fn cell(self, text: &str, width: u8) -> Cell<'_> {
        Cell {
            text,
            width,
            fg: self.fg,
            bg: self.bg,
            bold: self.flags & BOLD != 0,
            dim: self.flags & DIM != 0,
            italic: self.flags & ITALIC != 0,
            underline: self.flags & UNDERLINE != 0,
            inverse: self.flags & INVERSE != 0,
            strike: self.flags & STRIKE != 0,
            underline_style: self.underline,
            underline_color: self.extra().underline_color,
            link: None,
        }
    }

    /// Whether a blank written with this pen looks different from a default blank.
    pub(crate) fn shows_on_blanks(self) -> bool {
        self.bg != Color::Default || self.flags & (UNDERLINE | INVERSE) != 0
    }

    /// Applies the parameters of one SGR sequence (ECMA-48 8.3.117, ISO 8613-6 for colours).
    /// A group is a parameter with its colon-separated subparameters.
    pub(crate) fn apply<'a>(&mut self, mut groups: impl Iterator<Item = &'a [u16]>) {
        while let Some(group) = groups.next() {
            match *group {
                [] | [0] => *self = Self::default(),
                [1] => self.flags = self.flags & !DIM | BOLD,
                [2] => self.flags = self.flags & !BOLD | DIM,
                [3] => self.flags |= ITALIC,
                [4] => self.underline(1),
                [21] => self.underline(2),
                [4, style] => self.underline(style),
                [7] => self.flags |= INVERSE,
                [22] => self.flags &= !(BOLD | DIM),
                [23] => self.flags &= !ITALIC,
                [24] => self.underline(0),
                [27] => self.flags &= !INVERSE,
                [9] => self.flags |= STRIKE,
                [29] => self.flags &= !STRIKE,
                [59] => self.underline_color = Color::Default,
                [n @ 30..=37] => self.fg = Color::Indexed((n - 30) as u8),
                [n @ 90..=97] => self.fg = Color::Indexed((n - 82) as u8),
                [39] => self.fg = Color::Default,
                [n @ 40..=47] => self.bg = Color::Indexed((n - 40) as u8),
                [n @ 100..=107] => self.bg = Color::Indexed((n - 92) as u8),
                [49] => self.bg = Color::Default,
                [target @ (38 | 48 | 58)] => {
                    if let Some(color) = color_in_parameters(&mut groups) {
                        self.color(target, color);
                    }
                }
                [target @ (38 | 48 | 58), ref rest @ ..] => {
                    if let Some(color) = color_in_subparameters(rest) {
                        self.color(target, color);
                    }
                }
                _ => {}
            }
        }
    }

    fn set(&mut self, flag: u8, on: bool) {
        if on {
            self.flags |= flag;
        } else {
            self.flags &= !flag;
        }
    }

    /// The number of a kind of underline; one that is not known is a single one.
    fn underline(&mut self, style: u16) {
        self.set(UNDERLINE, style != 0);
        self.underline = match style {
            2 => Underline::Double,
            3 => Underline::Curly,
            4 => Underline::Dotted,
            5 => Underline::Dashed,
            _ => Underline::Single,
        };
    }

    fn color(&mut self, target: u16, color: Color) {
        match target {
            38 => self.fg = color,
            48 => self.bg = color,
            _ => self.underline_color = color,
        }
    }

    /// The same with the nearest colours of the palette (the 6 × 6 × 6 cube of xterm's 256).
    pub(crate) fn in_palette(self) -> Self {
        Self {
            fg: self.fg.in_palette(),
            bg: self.bg.in_palette(),
            underline_color: self.underline_color.in_palette(),
            ..self
        }
    }

    /// Appends what turns `from` into `self`: nothing, or one SGR sequence.
    pub(crate) fn write_change(self, from: Self, out: &mut String) {
        if self == from {
            return;
        }
        if self == Self::default() {
            out.push_str("\x1b[m");
            return;
        }
        out.push_str("\x1b[");
        let start = out.len();
        for (flag, off) in [(ITALIC, 23), (INVERSE, 27), (STRIKE, 29)] {
            match (from.flags & flag != 0, self.flags & flag != 0) {
                (false, true) => put(out, off - 20),
                (true, false) => put(out, off),
                _ => {}
            }
        }
        self.write_underline(from, out);
        match (self.flags & (BOLD | DIM), from.flags & (BOLD | DIM)) {
            (now, before) if now == before => {}
            (0, _) => put(out, 22),
            (BOLD, _) => put(out, 1),
            _ => put(out, 2),
        }
        if self.fg != from.fg {
            put_color(out, self.fg, 30);
        }
        if self.bg != from.bg {
            put_color(out, self.bg, 40);
        }
        if self.underline_color != from.underline_color {
            put_underline_color(out, self.underline_color);
        }
        // Every parameter ends in a semicolon; the last one makes place for the final byte.
        debug_assert!(out.len() > start);
        out.pop();
        out.push('m');
    }

    fn write_underline(self, from: Self, out: &mut String) {
        let is_same = self.underline == from.underline;
        let style = match (self.flags & UNDERLINE != 0, from.flags & UNDERLINE != 0) {
            (false, false) => return,
            (true, true) if is_same => return,
            (false, true) => return put(out, 24),
            (true, _) => self.underline,
        };
        out.push_str(match style {
            Underline::Single => "4;",
            Underline::Double => "4:2;",
            Underline::Curly => "4:3;",
            Underline::Dotted => "4:4;",
            Underline::Dashed => "4:5;",
        });
    }
}

fn put_underline_color(out: &mut String, color: Color) {
    match color {
        Color::Default => put(out, 59),
        Color::Indexed(index) => {
            let _ = write!(out, "58:5:{index};");
        }
        Color::Rgb(red, green, blue) => {
            let _ = write!(out, "58:2::{red}:{green}:{blue};");
        }
    }
}

/// A colour after a bare 38, 48 or 58: `5;n` or `2;r;g;b` as parameters of their own.
fn color_in_parameters<'a>(groups: &mut impl Iterator<Item = &'a [u16]>) -> Option<Color> {
    let mut next = || groups.next().and_then(|group| group.first().copied());
    match next()? {
        5 => Some(Color::Indexed(u8::try_from(next()?).ok()?)),
        2 => {
            let (red, green, blue) = (next()?, next()?, next()?);
            rgb(red, green, blue)
        }
        _ => None,
    }
}

/// A colour after `38:`, `48:` or `58:`, with or without the colour space's identifier.
fn color_in_subparameters(rest: &[u16]) -> Option<Color> {
    match *rest {
        [5, index, ..] => Some(Color::Indexed(u8::try_from(index).ok()?)),
        [2, red, green, blue] | [2, _, red, green, blue, ..] => rgb(red, green, blue),
        _ => None,
    }
}

fn rgb(red: u16, green: u16, blue: u16) -> Option<Color> {
    let byte = |value| u8::try_from(value).ok();
    Some(Color::Rgb(byte(red)?, byte(green)?, byte(blue)?))
}

fn put(out: &mut String, number: u8) {
    put_number(out, u16::from(number));
    out.push(';');
}

fn put_color(out: &mut String, color: Color, base: u8) {
    match color {
        Color::Default => put(out, base + 9),
        Color::Indexed(index @ 0..=7) => put(out, base + index),
        Color::Indexed(index @ 8..=15) => put(out, base + 52 + index),
        Color::Indexed(index) => {
            let _ = write!(out, "{};5;{index};", base + 8);
        }
        Color::Rgb(red, green, blue) => {
            let _ = write!(out, "{};2;{red};{green};{blue};", base + 8);
        }
    }
}

/// Appends a number; the formatting machinery is too slow for what happens per cell.
pub(crate) fn put_number(out: &mut String, number: u16) {
    if number >= 10 {
        put_number(out, number / 10);
    }
    out.push((b'0' + (number % 10) as u8) as char);
}

/// Reads `ESC [ … m` at the start of `bytes`, if it is an SGR sequence of moderate size: its
/// length, with its effect applied to `pen`.
pub(crate) fn read_sgr(bytes: &[u8], pen: &mut Pen) -> Option<usize> {
    // As many parameters of four digits as all attributes at once: more goes the long way.
    let mut numbers = [0_u16; 28];
    let mut groups = [0_u8; 28];
    let (mut used, mut count, mut digits) = (0_usize, 0_usize, 0);
    for (at, &byte) in bytes.iter().enumerate().skip(2) {
        match byte {
            b'0'..=b'9' => {
                digits += 1;
                if digits > 4 {
                    return None;
                }
                numbers[used] = numbers[used] * 10 + u16::from(byte - b'0');
            }
            b';' | b':' | b'm' => {
                groups[count] += 1;
                used += 1;
                digits = 0;
                if byte != b':' {
                    count += 1;
                }
                if byte == b'm' {
                    let mut start = 0;
                    pen.apply(groups[..count].iter().map(|&length| {
                        let group = &numbers[start..start + usize::from(length)];
                        start += usize::from(length);
                        group
                    }));
                    return Some(at + 1);
                }
                if used == numbers.len() {
                    return None;
                }
            }
            _ => return None,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pen(sgr: &str) -> Pen {
        let mut pen = Pen::default();
        read_sgr(sgr.as_bytes(), &mut pen).unwrap();
        pen
    }

    #[test]
    fn the_colour_of_underlines_is_not_taken_for_attributes() {
        for spelling in ["58;2;255;0;7", "58:2::255:0:7", "58;5;4"] {
            let colored = pen(&format!("\x1b[31;1;{spelling}m"));
            assert_eq!(
                colored.visible(),
                pen("\x1b[31;1m"),
                "nothing is underlined"
            );
            assert_eq!(colored.base(), pen("\x1b[31;1m"));
        }
        assert_eq!(
            pen("\x1b[4;58;2;1;2;3m").underline_color,
            Color::Rgb(1, 2, 3)
        );
        assert_eq!(pen("\x1b[4;58:5:3;59m"), pen("\x1b[4m"));
    }

    #[test]
    fn colours_are_read_in_every_spelling() {
        for spelling in ["38;2;1;2;3", "38:2:1:2:3", "38:2::1:2:3"] {
            assert_eq!(pen(&format!("\x1b[{spelling}m")).fg, Color::Rgb(1, 2, 3));
        }
        assert_eq!(pen("\x1b[48;5;200m"), pen("\x1b[48:5:200m"));
        assert_eq!(pen("\x1b[38;2;256;0;0m"), Pen::default());
    }

    #[test]
    fn a_curly_underline_is_an_underline_and_its_zero_switches_it_off() {
        assert_eq!(pen("\x1b[4:3m").base(), pen("\x1b[4m"));
        assert_eq!(pen("\x1b[4:3m").underline, Underline::Curly);
        assert_eq!(pen("\x1b[4:3;4m"), pen("\x1b[4m"));
        assert_eq!(pen("\x1b[4:2m"), pen("\x1b[21m"));
        assert_eq!(pen("\x1b[4:3;24m"), Pen::default());
        assert_eq!(pen("\x1b[4;4:0m"), Pen::default());
    }

    #[test]
    fn a_change_is_undone_by_its_opposite() {
        let pens = [
            "0",
            "1;31",
            "2;44;7",
            "3;4;38;5;99",
            "48;2;9;8;7;1",
            "95;105",
            "7",
            "9;4:3;58:2::1:2:3",
            "4:5;58:5:200;1;3;7;9;38;2;101;102;103;48;2;101;102;103",
            "58:5:7",
        ]
        .map(|sgr| pen(&format!("\x1b[{sgr}m")));
        for from in pens {
            for to in pens {
                let (mut change, mut result) = (String::new(), from);
                to.write_change(from, &mut change);
                if !change.is_empty() {
                    assert_eq!(read_sgr(change.as_bytes(), &mut result), Some(change.len()));
                }
                assert_eq!(result, to, "{change:?}");
            }
        }
    }
}
