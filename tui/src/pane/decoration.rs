//! Kinds of underlines and links (OSC 8), on a terminal that has them.
//!
//! The drawing library knows one underline and no link. So what it does not know travels as part of a
//! cell's text: it begins before the text and ends after it, and the next cell finds the terminal as the
//! library believes it to be. A terminal that would print what it does not know gets none of it.

use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::num::NonZeroU16;

use cmdop_emulator::{Cell, Link, Underline};
use ratatui::buffer::{Cell as Target, CellDiffOption};

/// What links of one drawing may take, in bytes: after that, text is drawn without them. Each cell has the
/// whole address, for it may be drawn alone.
const MAX_LINK_BYTES: usize = 64 << 10;

/// Whether a terminal shows more than plain underlines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Decoration {
    /// Every underline is a plain one, and nothing leads anywhere.
    #[default]
    Plain,
    /// SGR 4:0 to 4:5, and OSC 8.
    Full,
}

impl Decoration {
    /// What the environment says; `variable` looks one up. There is no query that all of them answer, so
    /// these are the terminals that are known to have both.
    pub fn of_environment(variable: impl Fn(&str) -> Option<String>) -> Self {
        let value = |name| variable(name).unwrap_or_default();
        let names = [
            "xterm-kitty",
            "xterm-ghostty",
            "foot",
            "wezterm",
            "alacritty",
            "contour",
            "tmux",
        ];
        let term = value("TERM");
        let has_name = names.iter().any(|name| term.starts_with(name));
        let programs = ["WezTerm", "iTerm.app", "ghostty", "vscode", "tmux"];
        let has_program = programs.contains(&value("TERM_PROGRAM").as_str());
        // What GNOME's terminals say of their widget: 0.52 has both.
        let has_widget = value("VTE_VERSION").parse().unwrap_or(0) >= 5200;
        if has_name || has_program || has_widget {
            Self::Full
        } else {
            Self::Plain
        }
    }
}

/// Decorates the cells of one drawing.
#[derive(Debug)]
pub(super) struct Decorator {
    decoration: Decoration,
    /// What links may still take.
    room: usize,
}

impl Decorator {
    pub(super) fn new(decoration: Decoration) -> Self {
        Self {
            decoration,
            room: MAX_LINK_BYTES,
        }
    }

    /// Puts around a cell's text what the program gave it. `width` is the columns that the text takes.
    pub(super) fn decorate(&mut self, cell: Cell<'_>, width: u16, target: &mut Target) {
        let Some(width) = NonZeroU16::new(width).filter(|_| self.decoration == Decoration::Full)
        else {
            return;
        };
        let kind = kind(cell);
        let link = cell.link.filter(|link| self.has_room(link));
        if kind.is_none() && link.is_none() {
            return;
        }
        let mut text = String::new();
        if let Some(link) = link {
            let _ = write!(text, "\x1b]8;id={};{}\x1b\\", id(link), link.uri());
        }
        if let Some(kind) = kind {
            let _ = write!(text, "\x1b[4:{kind}m");
        }
        text.push_str(target.symbol());
        if kind.is_some() {
            text.push_str("\x1b[4m");
        }
        if link.is_some() {
            text.push_str("\x1b]8;;\x1b\\");
        }
        target
            .set_symbol(&text)
            .set_diff_option(CellDiffOption::ForcedWidth(width));
    }

    fn has_room(&mut self, link: &Link) -> bool {
        match self.room.checked_sub(link.uri().len()) {
            Some(room) => {
                self.room = room;
                true
            }
            None => false,
        }
    }
}

/// The number of an underline that is not a plain one.
fn kind(cell: Cell<'_>) -> Option<u8> {
    match cell.underline_style {
        _ if !cell.underline => None,
        Underline::Single => None,
        Underline::Double => Some(2),
        Underline::Curly => Some(3),
        Underline::Dotted => Some(4),
        Underline::Dashed => Some(5),
    }
}

/// Cells of one link are one link also for the terminal, which is told of each by itself.
fn id(link: &Link) -> String {
    let mut hasher = DefaultHasher::new();
    (link.id(), link.uri()).hash(&mut hasher);
    format!("{:x}", hasher.finish())
}

#[cfg(test)]
mod tests {
    use cmdop_emulator::{Emulator, Options};
    use ratatui::buffer::Buffer;
    use ratatui::layout::Rect;

    use super::*;
    use crate::pane::widget::Screen;

    fn drawn(printed: &str, decoration: Decoration) -> Buffer {
        let mut emulator = Emulator::new(2, 20, Options::default());
        emulator.feed(printed.as_bytes());
        let area = Rect::new(0, 0, 20, 2);
        let mut buffer = Buffer::empty(area);
        Screen::new(&emulator)
            .decoration(decoration)
            .render(area, &mut buffer);
        buffer
    }

    #[test]
    fn kinds_of_underlines_reach_a_terminal_that_has_them() {
        let printed = "\x1b[4:3ma\x1b[4:5m漢\x1b[4mb\x1b[mc";
        let full = drawn(printed, Decoration::Full);
        assert_eq!(full[(0, 0)].symbol(), "\x1b[4:3ma\x1b[4m");
        assert_eq!(full[(1, 0)].symbol(), "\x1b[4:5m漢\x1b[4m");
        assert_eq!(full[(3, 0)].symbol(), "b");
        assert_eq!(full[(4, 0)].symbol(), "c");
        let two = NonZeroU16::new(2).unwrap();
        assert_eq!(full[(1, 0)].diff_option, CellDiffOption::ForcedWidth(two));
        assert_eq!(drawn(printed, Decoration::Plain)[(0, 0)].symbol(), "a");
    }

    #[test]
    fn links_reach_a_terminal_that_has_them_and_end_with_their_cell() {
        let printed = "\x1b]8;;https://example.com/\x1b\\x\x1b]8;;\x1b\\y";
        let full = drawn(printed, Decoration::Full);
        let symbol = full[(0, 0)].symbol();
        assert!(symbol.starts_with("\x1b]8;id="), "{symbol:?}");
        assert!(
            symbol.ends_with(";https://example.com/\x1b\\x\x1b]8;;\x1b\\"),
            "{symbol:?}"
        );
        assert_eq!(full[(1, 0)].symbol(), "y");
    }

    #[test]
    fn long_links_do_not_make_long_frames() {
        let uri = format!("https://example.com/{}", "a".repeat(2000));
        let printed = format!("\x1b]8;;{uri}\x1b\\{}", "x".repeat(40));
        let full = drawn(&printed, Decoration::Full);
        let bytes: usize = full.content.iter().map(|cell| cell.symbol().len()).sum();
        assert!(bytes < MAX_LINK_BYTES + 40 * 100, "{bytes}");
        assert_eq!(full[(19, 1)].symbol(), "x");
    }

    #[test]
    fn only_terminals_that_are_known_to_have_it_get_it() {
        let of = |pairs: &'static [(&str, &str)]| {
            Decoration::of_environment(|name| {
                let found = pairs.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| (*value).to_owned())
            })
        };
        assert_eq!(of(&[("TERM", "xterm-kitty")]), Decoration::Full);
        assert_eq!(of(&[("TERM", "tmux-256color")]), Decoration::Full);
        assert_eq!(of(&[("VTE_VERSION", "7600")]), Decoration::Full);
        assert_eq!(of(&[("TERM", "linux")]), Decoration::Plain);
        assert_eq!(of(&[("TERM", "xterm-256color")]), Decoration::Plain);
        assert_eq!(of(&[("VTE_VERSION", "4000")]), Decoration::Plain);
    }
}
