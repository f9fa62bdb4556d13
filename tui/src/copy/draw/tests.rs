//! What copy mode looks like, on a screen of few cells.

use ratatui::style::Modifier;

use super::*;
use crate::copy::{Command, Document, Input, Keys, Line, Mode, Page, Position, Row};

fn mode() -> Mode {
    let rows = ["$ grep 你好 poem", "a poem, a poem", "$ "];
    let rows = rows.iter().map(|row| Row::plain(row)).collect();
    let mut mode = Mode::new(
        Document::of_rows(rows, 30),
        Position::new(2, 1),
        Keys::Vi,
        (3, 30),
    );
    let lines = (0..40).map(|number| Line {
        number,
        text: format!("\x1b[31mline {number}"),
    });
    mode.prepend(&Page {
        epoch: 1,
        lines: lines.collect(),
        continues: false,
        is_oldest: false,
    });
    mode
}

fn theme() -> Theme {
    Theme::named("mono", Depth::True).expect("it is built in")
}

fn drawn(mode: &Mode, width: u16, height: u16) -> (Buffer, Option<Place>) {
    let area = Rect::new(0, 0, width, height);
    let mut buffer = Buffer::filled(area, ratatui::buffer::Cell::new("#"));
    let place = mode.draw(area, &mut buffer, &theme(), Depth::True);
    (buffer, place)
}

fn rows(buffer: &Buffer) -> Vec<String> {
    let row = |y| {
        (0..buffer.area.width)
            .map(|x| buffer[(x, y)].symbol())
            .collect::<String>()
    };
    (0..buffer.area.height)
        .map(|y| row(y).trim_end().to_owned())
        .collect()
}

/// The columns of a row that have an attribute.
fn with(buffer: &Buffer, y: u16, modifier: Modifier) -> Vec<u16> {
    let has = |x: &u16| buffer[(*x, y)].modifier.contains(modifier);
    (0..buffer.area.width).filter(has).collect()
}

#[test]
fn rows_and_the_place_are_shown() {
    let mut mode = mode();
    let (buffer, place) = drawn(&mode, 30, 3);
    // The right half of a wide character is a blank of the buffer.
    assert_eq!(
        rows(&buffer),
        ["$ grep 你 好  poem       [0/40+]", "a poem, a poem", "$"]
    );
    assert_eq!(place, Some(Place::new(0, 2)));
    mode.run(Command::PageUp);
    mode.run(Command::PageUp);
    let (buffer, _) = drawn(&mode, 30, 3);
    assert_eq!(
        rows(&buffer),
        [
            "line 38                [2/40+]",
            "line 39",
            "$ grep 你 好  poem"
        ]
    );
    assert_eq!(buffer[(0, 0)].fg, ratatui::style::Color::Indexed(1));
    mode.run(Command::TogglePosition);
    assert_eq!(rows(&drawn(&mode, 30, 3).0)[0], "line 38");
}

#[test]
fn what_is_selected_stands_out() {
    let mut mode = mode();
    mode.go(Position::new(1, 2));
    mode.run(Command::BeginSelection);
    mode.run(Command::NextWordEnd);
    let (buffer, _) = drawn(&mode, 30, 3);
    assert_eq!(with(&buffer, 1, Modifier::REVERSED), [2, 3, 4, 5]);
}

#[test]
fn what_was_found_stands_out_and_where_the_cursor_is_most() {
    let mut mode = mode();
    mode.run(Command::SearchBackward);
    for c in "poem".chars() {
        mode.input(Input::Character(c));
    }
    mode.input(Input::Accept);
    let (buffer, place) = drawn(&mode, 30, 3);
    assert_eq!(place, Some(Place::new(10, 1)));
    assert_eq!(
        with(&buffer, 1, Modifier::UNDERLINED),
        [2, 3, 4, 5, 10, 11, 12, 13]
    );
    assert_eq!(with(&buffer, 1, Modifier::REVERSED), [10, 11, 12, 13]);
    assert_eq!(with(&buffer, 0, Modifier::UNDERLINED), [12, 13, 14, 15]);
}

#[test]
fn a_question_is_in_the_last_row() {
    let mut mode = mode();
    mode.run(Command::SearchForward);
    for c in "a rather long pattern".chars() {
        mode.input(Input::Character(c));
    }
    let (buffer, place) = drawn(&mode, 14, 3);
    assert_eq!(rows(&buffer)[2], "/long pattern");
    assert_eq!(place, Some(Place::new(13, 2)));
    assert!(rows(&buffer)[0].ends_with("[0/40+]"));
}

#[test]
fn no_room_is_too_small() {
    let mut mode = mode();
    mode.run(Command::JumpToBackward);
    for (width, height) in [(0, 0), (1, 1), (2, 1), (1, 5), (40, 1)] {
        mode.resized(height, width);
        let (_, place) = drawn(&mode, width, height);
        assert!(place.is_none_or(|place| place.x < width && place.y < height));
    }
}
