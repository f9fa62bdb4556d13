//! Where things are on a screen of any size.

use ratatui::layout::{Constraint, Layout, Rect, Size};

/// From here on there is room beside the list of machines for what is selected in it.
pub const WIDE: u16 = 90;

/// The list where something stands beside it.
const LIST: u16 = 46;

/// Columns of a machine's row before its name: a glyph and a word.
pub const STATE: u16 = 10;
/// A glyph alone, where the word has no room.
pub const GLYPH: u16 = 2;
/// What a name keeps before another column gets room.
const NAME_MIN: u16 = 12;
/// Below this width of a list its states are glyphs without words.
const WORDS_FROM: u16 = 26;

/// Where things are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Areas {
    /// All but the status bar.
    pub main: Rect,
    /// The status bar.
    pub status: Option<Rect>,
}

/// Where things are on the page of machines and sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fleet {
    /// The list.
    pub list: Rect,
    /// What there is to say about the selected row.
    pub about: Option<Rect>,
}

/// Where things are on a screen of this size.
pub fn areas(screen: Size) -> Areas {
    let whole = Rect::new(0, 0, screen.width, screen.height);
    let bar = u16::from(screen.height > 1);
    let [main, status] =
        Layout::vertical([Constraint::Fill(1), Constraint::Length(bar)]).areas(whole);
    let status = (bar > 0).then_some(status);
    Areas { main, status }
}

/// Where the list is in this area.
pub fn fleet(main: Rect) -> Fleet {
    if main.width < WIDE {
        return Fleet {
            list: main,
            about: None,
        };
    }
    let [list, about] =
        Layout::horizontal([Constraint::Length(LIST), Constraint::Fill(1)]).areas(main);
    Fleet {
        list,
        about: Some(about),
    }
}

/// The inside of a frame; all of it where a frame would leave nothing.
pub fn inner(area: Rect) -> Rect {
    if has_frame(area) {
        Rect::new(area.x + 1, area.y + 1, area.width - 2, area.height - 2)
    } else {
        area
    }
}

/// Whether there is room for a frame and something in it.
pub fn has_frame(area: Rect) -> bool {
    area.width >= 6 && area.height >= 4
}

/// The columns of the list that have room, with their widths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Columns {
    /// The state: a glyph, and a word where there is room.
    pub state: u16,
    /// The name.
    pub name: u16,
    /// Busy share of the processors.
    pub cpu: u16,
    /// Used share of the memory.
    pub memory: u16,
    /// How many sessions.
    pub sessions: u16,
    /// How old the last heartbeat is.
    pub age: u16,
}

/// The columns of a list that is so wide inside. What matters most comes first.
pub fn columns(width: u16) -> Columns {
    let state = if width >= WORDS_FROM { STATE } else { GLYPH }.min(width);
    let mut left = (width - state).saturating_sub(NAME_MIN);
    let mut take = |wanted| {
        if left < wanted {
            left = 0;
            return 0;
        }
        left -= wanted;
        wanted
    };
    let (cpu, age, memory, sessions) = (take(5), take(5), take(5), take(3));
    let name = width - state - cpu - age - memory - sessions;
    Columns {
        state,
        name,
        cpu,
        memory,
        sessions,
        age,
    }
}

/// Whether the list, where it is shown on this screen, shows ages.
pub fn shows_age(screen: Size) -> bool {
    let list = fleet(areas(screen).main).list;
    columns(inner(list).width).age > 0
}

/// The first row to show so that `selected` is among `room` rows, moving as little as possible.
pub(crate) fn scrolled(top: usize, selected: usize, rows: usize, room: usize) -> usize {
    let room = room.max(1);
    top.max((selected + 1).saturating_sub(room))
        .min(selected)
        .min(rows.saturating_sub(room))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_is_on_the_screen_and_none_covers_another() {
        for (width, height) in (1..=220).flat_map(|w| (1..=60).map(move |h| (w, h))) {
            let screen = Size::new(width, height);
            let shown = areas(screen);
            let parts = fleet(shown.main);
            let parts = [Some(parts.list), parts.about, shown.status];
            let parts: Vec<_> = parts.into_iter().flatten().collect();
            let cells: u32 = parts.iter().map(|part| part.area()).sum();
            assert_eq!(cells, u32::from(width) * u32::from(height), "{screen:?}");
            for (at, part) in parts.iter().enumerate() {
                assert!(parts[..at].iter().all(|other| !other.intersects(*part)));
            }
        }
    }

    #[test]
    fn columns_fill_the_width_and_the_name_comes_first() {
        for width in 0..=200 {
            let c = columns(width);
            let sum = c.state + c.name + c.cpu + c.memory + c.sessions + c.age;
            assert_eq!(sum, width);
            assert!(
                c.name >= NAME_MIN || c.cpu + c.memory + c.sessions + c.age == 0,
                "{width}"
            );
        }
        let all = columns(LIST - 2);
        assert!(all.cpu > 0 && all.memory > 0 && all.sessions > 0 && all.age > 0);
    }
}
