//! Where things are on a screen of any size.
//!
//! From [`WIDE`] columns on list and session stand side by side. Below that a session that has the
//! keys has the whole screen, so that its size does not change when one looks at the list; the list
//! then shows it cropped, or below [`MEDIUM`] columns not at all.

use ratatui::layout::{Constraint, Layout, Rect, Size};

use crate::app::Focus;

/// Both parts fit for good.
pub const WIDE: u16 = 100;
/// Both parts fit for a look.
pub const MEDIUM: u16 = 70;

/// The list beside a session.
const LIST: u16 = 46;
/// The list where there is less room; all its columns fit.
const LIST_SMALL: u16 = 42;

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
    /// The list.
    pub list: Option<Rect>,
    /// The session, or what there is to say without one.
    pub session: Option<Rect>,
    /// Whether the session has a frame around it.
    pub framed: bool,
    /// The status bar.
    pub status: Option<Rect>,
}

/// Where things are on a screen of this size.
pub fn areas(screen: Size, focus: Focus, has_pane: bool) -> Areas {
    let whole = Rect::new(0, 0, screen.width, screen.height);
    let bar = u16::from(screen.height > 1);
    let [main, status] =
        Layout::vertical([Constraint::Fill(1), Constraint::Length(bar)]).areas(whole);
    let status = (bar > 0).then_some(status);
    let beside = |width| {
        let [list, session] =
            Layout::horizontal([Constraint::Length(width), Constraint::Fill(1)]).areas(main);
        Areas {
            main,
            list: Some(list),
            session: Some(session),
            framed: true,
            status,
        }
    };
    match screen.width {
        WIDE.. => beside(LIST),
        _ if focus == Focus::Pane && has_pane => Areas {
            main,
            list: None,
            session: Some(main),
            framed: false,
            status,
        },
        MEDIUM.. => beside(LIST_SMALL),
        _ => Areas {
            main,
            list: Some(main),
            session: None,
            framed: false,
            status,
        },
    }
}

/// The room of a session that has the keys.
pub fn pane_room(screen: Size) -> Size {
    let shown = areas(screen, Focus::Pane, true);
    let area = shown.session.unwrap_or(shown.main);
    if shown.framed {
        inner(area).as_size()
    } else {
        area.as_size()
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
    let list = areas(screen, Focus::List, true).list;
    list.is_some_and(|list| columns(inner(list).width).age > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_is_on_the_screen_and_none_covers_another() {
        for (width, height) in (1..=220).flat_map(|w| (1..=60).map(move |h| (w, h))) {
            for focus in [Focus::List, Focus::Pane] {
                let screen = Size::new(width, height);
                let shown = areas(screen, focus, true);
                let parts: Vec<_> = [shown.list, shown.session, shown.status]
                    .into_iter()
                    .flatten()
                    .collect();
                let cells: u32 = parts.iter().map(|part| part.area()).sum();
                assert_eq!(
                    cells,
                    u32::from(width) * u32::from(height),
                    "{screen:?} {focus:?}"
                );
                for (at, part) in parts.iter().enumerate() {
                    assert!(parts[..at].iter().all(|other| !other.intersects(*part)));
                }
            }
        }
    }

    #[test]
    fn a_session_has_the_same_room_whoever_has_the_keys() {
        assert_eq!(pane_room(Size::new(80, 24)), Size::new(80, 23));
        assert_eq!(pane_room(Size::new(120, 40)), Size::new(72, 37));
        let wide = areas(Size::new(120, 40), Focus::List, true);
        assert_eq!(wide, areas(Size::new(120, 40), Focus::Pane, true));
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
        let all = columns(LIST_SMALL - 2);
        assert!(all.cpu > 0 && all.memory > 0 && all.sessions > 0 && all.age > 0);
    }
}
