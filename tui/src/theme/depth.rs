//! How many colours the terminal has, and the nearest that it can show.

use ratatui::style::Color;

/// The colours of a terminal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Depth {
    /// None are wanted for the program's own parts (`NO_COLOR`); remote programs keep theirs, at the
    /// depth of 256.
    None,
    /// The sixteen of ANSI.
    Sixteen,
    /// xterm's palette of 256.
    #[default]
    Palette,
    /// 24 bits.
    True,
}

impl Depth {
    /// What the environment says; `variable` looks one up.
    pub fn of_environment(variable: impl Fn(&str) -> Option<String>) -> Self {
        let value = |name| variable(name).unwrap_or_default();
        if !value("NO_COLOR").is_empty() {
            return Self::None;
        }
        let term = value("TERM");
        if matches!(value("COLORTERM").as_str(), "truecolor" | "24bit") || term.ends_with("-direct")
        {
            Self::True
        } else if matches!(
            term.as_str(),
            "linux" | "vt220" | "vt100" | "ansi" | "xterm-16color"
        ) {
            Self::Sixteen
        } else {
            Self::Palette
        }
    }

    /// The nearest colour that can be shown.
    pub fn nearest(self, color: Color) -> Color {
        match (self, color) {
            (Self::None | Self::Palette, Color::Rgb(r, g, b)) => Color::Indexed(palette(r, g, b)),
            (Self::Sixteen, Color::Rgb(r, g, b)) => Color::Indexed(sixteen(r, g, b)),
            (Self::Sixteen, Color::Indexed(index @ 16..)) => {
                let (r, g, b) = rgb_of(index);
                Color::Indexed(sixteen(r, g, b))
            }
            _ => color,
        }
    }
}

/// The levels of the palette's 6×6×6 cube.
const LEVELS: [u8; 6] = [0, 95, 135, 175, 215, 255];

/// The entry of the cube or of the ramp of greys that is nearest.
fn palette(r: u8, g: u8, b: u8) -> u8 {
    let step = |value: u8| {
        (0..6u8)
            .min_by_key(|step| LEVELS[*step as usize].abs_diff(value))
            .unwrap_or(0)
    };
    let cube = 16 + 36 * step(r) + 6 * step(g) + step(b);
    let grey_level = (u16::from(r) + u16::from(g) + u16::from(b)) / 3;
    let grey = 232 + (grey_level.saturating_sub(3) / 10).min(23) as u8;
    if distance(rgb_of(grey), (r, g, b)) < distance(rgb_of(cube), (r, g, b)) {
        grey
    } else {
        cube
    }
}

fn rgb_of(index: u8) -> (u8, u8, u8) {
    match index {
        232.. => {
            let grey = 8 + 10 * (index - 232);
            (grey, grey, grey)
        }
        16.. => {
            let cube = usize::from(index - 16);
            (LEVELS[cube / 36], LEVELS[cube / 6 % 6], LEVELS[cube % 6])
        }
        _ => {
            // What the sixteen look like is the user's choice; these are xterm's.
            let full = if index < 8 { 205 } else { 255 };
            let part = |bit: u8| if index & bit == 0 { 0 } else { full };
            match index {
                7 => (229, 229, 229),
                8 => (127, 127, 127),
                _ => (part(1), part(2), part(4)),
            }
        }
    }
}

fn sixteen(r: u8, g: u8, b: u8) -> u8 {
    (0..16)
        .min_by_key(|index| distance(rgb_of(*index), (r, g, b)))
        .unwrap_or(7)
}

fn distance(one: (u8, u8, u8), other: (u8, u8, u8)) -> u32 {
    let square = |a: u8, b: u8| u32::from(a.abs_diff(b)).pow(2);
    square(one.0, other.0) + square(one.1, other.1) + square(one.2, other.2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_decides_the_depth() {
        let depth = |pairs: &[(&str, &str)]| {
            Depth::of_environment(|name| {
                pairs
                    .iter()
                    .find(|(key, _)| *key == name)
                    .map(|(_, value)| (*value).to_owned())
            })
        };
        assert_eq!(depth(&[("TERM", "xterm-256color")]), Depth::Palette);
        assert_eq!(
            depth(&[("TERM", "xterm"), ("COLORTERM", "truecolor")]),
            Depth::True
        );
        assert_eq!(depth(&[("TERM", "linux")]), Depth::Sixteen);
        assert_eq!(
            depth(&[("NO_COLOR", "1"), ("COLORTERM", "truecolor")]),
            Depth::None
        );
        assert_eq!(
            depth(&[("NO_COLOR", ""), ("COLORTERM", "24bit")]),
            Depth::True
        );
    }

    #[test]
    fn a_colour_of_the_palette_is_its_own_nearest() {
        for index in 16..=255u8 {
            let (r, g, b) = rgb_of(index);
            assert_eq!(rgb_of(palette(r, g, b)), (r, g, b), "{index}");
        }
    }

    #[test]
    fn a_terminal_gets_no_colour_that_it_lacks() {
        let red = Color::Rgb(250, 10, 10);
        assert_eq!(Depth::True.nearest(red), red);
        assert_eq!(Depth::Palette.nearest(red), Color::Indexed(196));
        assert_eq!(Depth::Sixteen.nearest(red), Color::Indexed(9));
        assert_eq!(
            Depth::Sixteen.nearest(Color::Indexed(196)),
            Color::Indexed(9)
        );
        assert_eq!(Depth::Sixteen.nearest(Color::Indexed(3)), Color::Indexed(3));
    }
}
