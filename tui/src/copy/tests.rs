//! Copy mode by its commands: what a person would try.

use super::*;

mod random;

/// A screen of five rows, and nothing above that is here yet.
const SCREEN: [&str; 5] = ["$ cat poem", "one two", "  three  ", "", "$ "];

fn document(rows: &[&str]) -> Document {
    Document::of_rows(rows.iter().map(|row| Row::plain(row)).collect(), 20)
}

fn page(numbers: std::ops::Range<u64>, is_oldest: bool) -> Page {
    let line = |number| Line {
        number,
        text: format!("line {number}"),
    };
    Page {
        epoch: 1,
        lines: numbers.map(line).collect(),
        continues: false,
        is_oldest,
    }
}

/// Five rows of screen and a hundred of history, in a view of five.
fn mode(keys: Keys) -> Mode {
    let mut mode = Mode::new(document(&SCREEN), Position::new(4, 2), keys, (5, 20));
    mode.prepend(&page(0..100, true));
    mode
}

fn does(mode: &mut Mode, commands: &[Command]) -> Outcome {
    let mut outcome = Outcome::Redraw;
    for command in commands {
        outcome = mode.run(*command);
    }
    outcome
}

fn types(mode: &mut Mode, text: &str) {
    for c in text.chars() {
        mode.input(Input::Character(c));
    }
}

fn at(mode: &Mode) -> (i64, u16) {
    (mode.cursor().row, mode.cursor().col)
}

#[test]
fn it_begins_where_the_pane_is() {
    let mode = mode(Keys::Emacs);
    assert_eq!((mode.top(), at(&mode)), (0, (4, 1)));
}

#[test]
fn moving_up_scrolls_the_history_into_view() {
    let mut mode = mode(Keys::Vi);
    for _ in 0..6 {
        mode.run(Command::CursorUp);
    }
    assert_eq!((mode.top(), mode.cursor().row), (-2, -2));
    mode.run(Command::HistoryBottom);
    assert_eq!((mode.top(), mode.cursor().row), (0, 4));
    mode.run(Command::HistoryTop);
    assert_eq!((mode.top(), at(&mode)), (-100, (-100, 0)));
}

#[test]
fn a_count_repeats_what_follows() {
    let mut mode = mode(Keys::Vi);
    assert!(!mode.digit(0), "a key of its own");
    assert!(mode.digit(1) && mode.digit(0));
    mode.run(Command::CursorUp);
    assert_eq!(mode.cursor().row, -6);
    mode.run(Command::CursorUp);
    assert_eq!(mode.cursor().row, -7);
    for _ in 0..12 {
        mode.digit(9);
    }
    mode.run(Command::CursorUp);
    assert_eq!(mode.cursor().row, -100);
}

#[test]
fn up_and_down_keep_the_column_that_was_wanted() {
    let mut mode = mode(Keys::Vi);
    mode.go(Position::new(0, 7));
    does(
        &mut mode,
        &[
            Command::CursorDown,
            Command::CursorDown,
            Command::CursorDown,
        ],
    );
    assert_eq!(at(&mode), (3, 0));
    does(
        &mut mode,
        &[Command::CursorUp, Command::CursorUp, Command::CursorUp],
    );
    assert_eq!(at(&mode), (0, 7));
    does(&mut mode, &[Command::EndOfLine, Command::CursorDown]);
    assert_eq!(at(&mode), (1, 6));
}

#[test]
fn pages_move_the_view_and_the_cursor() {
    let mut mode = mode(Keys::Vi);
    mode.run(Command::PageUp);
    assert_eq!((mode.top(), mode.cursor().row), (-3, 1));
    mode.run(Command::HalfPageUp);
    assert_eq!((mode.top(), mode.cursor().row), (-5, -1));
    mode.run(Command::TopLine);
    assert_eq!(mode.cursor().row, -5);
    mode.run(Command::MiddleLine);
    assert_eq!(mode.cursor().row, -3);
    mode.run(Command::BottomLine);
    assert_eq!(mode.cursor().row, -1);
    mode.run(Command::ScrollUp);
    assert_eq!((mode.top(), mode.cursor().row), (-6, -2));
    mode.run(Command::ScrollMiddle);
    assert_eq!((mode.top(), mode.cursor().row), (-4, -2));
    for _ in 0..50 {
        mode.run(Command::PageDown);
    }
    assert_eq!((mode.top(), mode.cursor().row), (0, 4));
}

#[test]
fn a_line_is_shown_by_its_number() {
    let mut mode = mode(Keys::Vi);
    mode.run(Command::GotoLine);
    assert!(mode.asks());
    types(&mut mode, "42");
    mode.input(Input::Accept);
    assert_eq!((mode.top(), mode.cursor().row), (-42, -38));
    mode.run(Command::GotoLine);
    types(&mut mode, "no number");
    mode.input(Input::Accept);
    assert_eq!(mode.top(), -42);
}

#[test]
fn text_is_selected_and_copied() {
    let mut mode = mode(Keys::Vi);
    mode.go(Position::new(0, 2));
    does(&mut mode, &[Command::BeginSelection, Command::CursorDown]);
    assert_eq!(mode.selected().unwrap(), "cat poem\none");
    mode.run(Command::OtherEnd);
    assert_eq!(at(&mode), (0, 2));
    mode.run(Command::StartOfLine);
    assert_eq!(
        mode.run(Command::CopySelectionAndCancel),
        Outcome::CopiedAndLeft("$ cat poem\none".into())
    );
    does(&mut mode, &[Command::ClearSelection]);
    assert_eq!(mode.run(Command::CopySelectionAndCancel), Outcome::Left);
}

#[test]
fn emacs_copies_up_to_its_cursor() {
    let mut mode = mode(Keys::Emacs);
    mode.go(Position::new(1, 0));
    does(&mut mode, &[Command::BeginSelection, Command::NextWordEnd]);
    assert_eq!(at(&mode), (1, 3));
    assert_eq!(
        mode.run(Command::CopySelection),
        Outcome::Copied("one".into())
    );
    assert!(!mode.is_selecting());
    does(&mut mode, &[Command::NextWordEnd, Command::NextWordEnd]);
    assert_eq!(at(&mode), (2, 7));
}

#[test]
fn a_rectangle_goes_beyond_the_text() {
    let mut mode = mode(Keys::Vi);
    mode.go(Position::new(0, 2));
    does(
        &mut mode,
        &[Command::BeginSelection, Command::RectangleToggle],
    );
    does(&mut mode, &[Command::CursorDown, Command::CursorDown]);
    for _ in 0..10 {
        mode.run(Command::CursorRight);
    }
    assert_eq!(at(&mode), (2, 12));
    assert_eq!(mode.selected().unwrap(), "cat poem\ne two\nthree");
    mode.run(Command::ClearSelection);
    assert_eq!(at(&mode), (2, 6));
}

#[test]
fn lines_are_copied_without_selecting() {
    let mut mode = mode(Keys::Vi);
    mode.go(Position::new(1, 4));
    assert_eq!(
        mode.run(Command::CopyEndOfLineAndCancel),
        Outcome::CopiedAndLeft("two".into())
    );
    assert_eq!(
        mode.run(Command::CopyLineAndCancel),
        Outcome::CopiedAndLeft("one two".into())
    );
    does(&mut mode, &[Command::SelectLine, Command::CursorDown]);
    assert_eq!(mode.selected().unwrap(), "one two\n  three");
}

#[test]
fn marks_are_jumped_to_and_back() {
    let mut mode = mode(Keys::Vi);
    mode.run(Command::JumpToMark);
    assert_eq!(at(&mode), (4, 0));
    does(
        &mut mode,
        &[Command::SetMark, Command::HistoryTop, Command::JumpToMark],
    );
    assert_eq!(at(&mode), (4, 0));
    mode.run(Command::JumpToMark);
    assert_eq!(at(&mode), (-100, 0));
}

#[test]
fn a_character_is_jumped_to_again_and_back() {
    let mut mode = mode(Keys::Vi);
    mode.go(Position::new(0, 0));
    mode.run(Command::JumpForward);
    types(&mut mode, "t");
    assert_eq!((mode.asks(), at(&mode)), (false, (0, 4)));
    mode.run(Command::JumpToBackward);
    types(&mut mode, "$");
    assert_eq!(at(&mode), (0, 1));
    mode.run(Command::JumpReverse);
    assert_eq!(at(&mode), (0, 1), "there is no other");
}

#[test]
fn a_search_goes_to_what_it_finds_while_it_is_typed() {
    let mut mode = mode(Keys::Vi);
    mode.run(Command::SearchBackward);
    types(&mut mode, "line 9");
    assert_eq!(at(&mode), (-1, 0));
    types(&mut mode, "3");
    assert_eq!(at(&mode), (-7, 0));
    mode.input(Input::Erase);
    assert_eq!(at(&mode), (-1, 0));
    mode.input(Input::Accept);
    assert_eq!(at(&mode), (-1, 0));
    mode.run(Command::SearchAgain);
    assert_eq!(at(&mode), (-2, 0));
    mode.run(Command::SearchReverse);
    assert_eq!(at(&mode), (-1, 0));
    mode.digit(3);
    mode.run(Command::SearchAgain);
    assert_eq!(at(&mode), (-4, 0));
}

#[test]
fn a_search_that_is_given_up_goes_back() {
    let mut mode = mode(Keys::Vi);
    mode.run(Command::SearchBackward);
    types(&mut mode, "line 3");
    assert_ne!(mode.top(), 0);
    mode.input(Input::Cancel);
    assert_eq!((mode.top(), at(&mode)), (0, (4, 0)));
}

#[test]
fn a_search_begins_again_at_the_other_end() {
    let mut mode = mode(Keys::Vi);
    mode.run(Command::SearchForward);
    types(&mut mode, "three");
    mode.input(Input::Accept);
    assert_eq!(at(&mode), (2, 2));
    mode.run(Command::SearchAgain);
    assert_eq!(at(&mode), (2, 2));
    mode.run(Command::SearchBackward);
    types(&mut mode, "poem");
    mode.input(Input::Accept);
    assert_eq!(at(&mode), (0, 6));
    mode.run(Command::SearchForward);
    types(&mut mode, "line 0");
    mode.input(Input::Accept);
    assert_eq!(at(&mode), (-100, 0));
    mode.run(Command::SearchForward);
    types(&mut mode, "nowhere");
    mode.input(Input::Accept);
    assert_eq!(at(&mode), (-100, 0));
    assert!(mode.finding.has_failed());
}

#[test]
fn the_search_keys_search_on_while_it_is_typed() {
    let mut mode = mode(Keys::Emacs);
    mode.run(Command::SearchBackward);
    types(&mut mode, "line");
    mode.run(Command::SearchBackward);
    assert_eq!(at(&mode), (-2, 0));
    mode.run(Command::SearchForward);
    assert_eq!(at(&mode), (-1, 0));
    mode.input(Input::Accept);
    assert_eq!(at(&mode), (-1, 0));
}

#[test]
fn the_word_at_the_cursor_is_searched_as_it_is() {
    let mut mode = mode(Keys::Vi);
    mode.go(Position::new(-50, 5));
    mode.run(Command::SearchWordBackward);
    // "50" is in no line above.
    assert_eq!(at(&mode), (-50, 5));
    mode.go(Position::new(-50, 0));
    mode.run(Command::SearchWordForward);
    assert_eq!(at(&mode), (-49, 0));
}

#[test]
fn a_search_goes_on_in_what_comes_later() {
    let mut mode = Mode::new(document(&SCREEN), Position::new(4, 0), Keys::Vi, (5, 20));
    mode.run(Command::SearchBackward);
    types(&mut mode, "line 12$");
    mode.input(Input::Accept);
    assert_eq!(at(&mode), (4, 0));
    assert_eq!(
        mode.wants_older(),
        Some(Older {
            before: None,
            epoch: None
        })
    );
    assert_eq!(mode.wants_older(), None, "asked once");
    mode.prepend(&page(50..100, false));
    assert_eq!(at(&mode), (4, 0));
    assert_eq!(mode.wants_older().unwrap().before, Some(50));
    mode.prepend(&page(10..50, false));
    assert_eq!(at(&mode), (-88, 0));
    assert!(!mode.finding.seeks());
}

#[test]
fn a_search_that_finds_nothing_above_begins_again_below() {
    let mut mode = Mode::new(document(&SCREEN), Position::new(1, 0), Keys::Vi, (5, 20));
    mode.run(Command::SearchBackward);
    types(&mut mode, "three");
    mode.input(Input::Accept);
    assert!(mode.wants_older().is_some());
    mode.older_failed();
    assert_eq!(at(&mode), (2, 2));
}

#[test]
fn the_oldest_row_is_shown_when_it_came() {
    let mut mode = Mode::new(document(&SCREEN), Position::new(4, 0), Keys::Vi, (5, 20));
    mode.run(Command::HistoryTop);
    assert!(mode.wants_older().is_some());
    mode.prepend(&page(50..100, false));
    assert_eq!(mode.top(), -50);
    assert!(mode.wants_older().is_some());
    mode.prepend(&page(0..50, true));
    assert_eq!((mode.top(), mode.wants_older()), (-100, None));
}

#[test]
fn older_rows_are_fetched_before_they_are_looked_at() {
    let mut mode = Mode::new(document(&SCREEN), Position::new(4, 0), Keys::Vi, (5, 20));
    assert!(mode.wants_older().is_some());
    mode.prepend(&page(50..100, false));
    assert_eq!(mode.wants_older(), None);
    for _ in 0..15 {
        mode.run(Command::PageUp);
    }
    assert!(mode.wants_older().is_some());
    mode.prepend(&Page {
        epoch: 2,
        ..page(0..50, true)
    });
    assert_eq!(mode.wants_older(), None);
}

#[test]
fn the_mouse_selects_and_copies() {
    let mut mode = mode(Keys::Vi);
    let press = |row, col, clicks| Mouse::Press { row, col, clicks };
    mode.mouse(press(0, 2, 1));
    assert_eq!(mode.mouse(Mouse::Release), Outcome::Redraw);
    mode.mouse(press(0, 2, 1));
    mode.mouse(Mouse::Drag { row: 1, col: 2 });
    assert_eq!(
        mode.mouse(Mouse::Release),
        Outcome::CopiedAndLeft("cat poem\none".into())
    );
    mode.mouse(press(1, 5, 2));
    assert_eq!(mode.mouse(Mouse::Release), Outcome::Copied("two".into()));
    mode.mouse(press(2, 5, 3));
    assert_eq!(
        mode.mouse(Mouse::Release),
        Outcome::Copied("  three".into())
    );
    // What was under the mouse is in it, whoever's habits the keys have.
    let mut mode = self::mode(Keys::Emacs);
    mode.mouse(press(0, 2, 1));
    mode.mouse(Mouse::Drag { row: 0, col: 4 });
    assert_eq!(
        mode.mouse(Mouse::Release),
        Outcome::CopiedAndLeft("cat".into())
    );
}

#[test]
fn a_drag_beyond_the_edge_scrolls_as_long_as_it_lasts() {
    let mut mode = mode(Keys::Vi);
    mode.mouse(Mouse::Press {
        row: 2,
        col: 3,
        clicks: 1,
    });
    mode.mouse(Mouse::Drag { row: -1, col: 0 });
    assert!(mode.drags_beyond());
    for _ in 0..3 {
        mode.drag_on();
    }
    assert_eq!((mode.top(), at(&mode)), (-4, (-4, 0)));
    mode.mouse(Mouse::Drag { row: 9, col: 0 });
    assert_eq!(mode.top(), -3);
    assert!(matches!(
        mode.mouse(Mouse::Release),
        Outcome::CopiedAndLeft(_)
    ));
    assert!(!mode.drags_beyond());
}

#[test]
fn the_wheel_leaves_at_the_bottom_if_it_brought_it_up() {
    let mut mode = mode(Keys::Vi).leaving_at_bottom();
    assert_eq!(mode.mouse(Mouse::Wheel(-3)), Outcome::Redraw);
    assert_eq!((mode.top(), mode.cursor().row), (-3, 1));
    assert_eq!(mode.mouse(Mouse::Wheel(5)), Outcome::Left);
    let mut mode = self::mode(Keys::Vi);
    mode.mouse(Mouse::Wheel(-3));
    assert_eq!(mode.mouse(Mouse::Wheel(5)), Outcome::Redraw);
}

#[test]
fn it_is_left_by_its_key() {
    assert_eq!(mode(Keys::Vi).run(Command::Cancel), Outcome::Left);
}
