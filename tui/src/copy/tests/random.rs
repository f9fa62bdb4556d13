//! Long random sequences of everything that can happen.

use proptest::prelude::*;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::*;
use crate::theme::{Depth, Theme};

#[derive(Clone, Debug)]
enum Step {
    Run(usize),
    Digit(u8),
    Input(Input),
    Mouse(Mouse),
    DragOn,
    Resize(u16, u16),
    Page(Vec<String>, u64, bool, bool),
    Failed,
    Draw(u16, u16),
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-c (){}.]{0,30}",
        2 => "[a你好 ]{0,12}",
        1 => Just("e\u{301}x❤\u{fe0f}\u{202e}y".to_owned()),
        1 => Just("\x1b[31mred\x1b[m plain\x1b[7m   ".to_owned()),
        1 => Just(String::new()),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let input = prop_oneof![
        6 => prop::sample::select(vec!['a', 'b', '(', '[', '*', '你', '.', '3', '\u{202e}', '\x1b'])
            .prop_map(Input::Character),
        1 => Just(Input::Erase),
        1 => Just(Input::EraseAll),
        2 => Just(Input::Accept),
        1 => Just(Input::Cancel),
    ];
    let mouse = prop_oneof![
        (-2..9_i32, 0..30_u16, 1..5_u8).prop_map(|(row, col, clicks)| Mouse::Press {
            row,
            col,
            clicks
        }),
        (-2..9_i32, 0..30_u16).prop_map(|(row, col)| Mouse::Drag { row, col }),
        Just(Mouse::Release),
        (-9..9_i32).prop_map(Mouse::Wheel),
    ];
    prop_oneof![
        20 => (0..Command::ALL.len()).prop_map(Step::Run),
        2 => (0..12_u8).prop_map(Step::Digit),
        8 => input.prop_map(Step::Input),
        4 => mouse.prop_map(Step::Mouse),
        1 => Just(Step::DragOn),
        1 => (0..9_u16, 0..30_u16).prop_map(|(rows, cols)| Step::Resize(rows, cols)),
        3 => (prop::collection::vec(text(), 0..9), 0..3_u64, any::<bool>(), prop::bool::weighted(0.05))
            .prop_map(|(lines, skew, continues, oldest)| Step::Page(lines, skew, continues, oldest)),
        1 => Just(Step::Failed),
        3 => (0..9_u16, 0..30_u16).prop_map(|(rows, cols)| Step::Draw(rows, cols)),
    ]
}

fn holds(mode: &Mode) -> Result<(), TestCaseError> {
    let (document, cursor) = (mode.document(), mode.cursor());
    prop_assert!(cursor.row >= document.first() && cursor.row <= document.last());
    prop_assert!(cursor.col < document.cols());
    prop_assert!(
        mode.top >= document.first() && mode.top <= mode.lowest_top().max(document.first())
    );
    prop_assert!(cursor.row >= mode.top && cursor.row < mode.top + i64::from(mode.view.0));
    if let Some(glyph) = document
        .row(cursor.row)
        .and_then(|row| row.glyph(cursor.col))
    {
        prop_assert_eq!(glyph.col, cursor.col, "inside a wide character");
    }
    if let Some(selected) = mode.selected() {
        prop_assert!(
            selected.lines().all(|line| !line.ends_with(' ')),
            "{:?}",
            selected
        );
    }
    Ok(())
}

/// A page that joins what is here, unless `skew` keeps it from that.
fn joining(mode: &Mode, lines: &[String], skew: u64, continues: bool, is_oldest: bool) -> Page {
    let before = mode
        .document()
        .older()
        .and_then(|older| older.before)
        .unwrap_or(1_000_000);
    let first = before.saturating_sub(lines.len() as u64 + skew / 2);
    Page {
        epoch: 1,
        lines: (first..)
            .zip(lines)
            .map(|(number, text)| Line {
                number,
                text: text.clone(),
            })
            .collect(),
        continues,
        is_oldest,
    }
}

fn take(mode: &mut Mode, step: Step) {
    let outcome = match step {
        Step::Run(index) => mode.run(Command::ALL[index]),
        Step::Digit(digit) => {
            mode.digit(digit);
            Outcome::Redraw
        }
        Step::Input(input) => mode.input(input),
        Step::Mouse(event) => mode.mouse(event),
        Step::DragOn => mode.drag_on(),
        Step::Resize(rows, cols) => {
            mode.resized(rows, cols);
            Outcome::Redraw
        }
        Step::Page(lines, skew, continues, oldest) => {
            mode.wants_older();
            let page = joining(mode, &lines, skew, continues, oldest);
            mode.prepend(&page);
            Outcome::Redraw
        }
        Step::Failed => {
            mode.older_failed();
            Outcome::Redraw
        }
        Step::Draw(rows, cols) => {
            let area = Rect::new(0, 0, 30, 9);
            let mut buffer = Buffer::empty(area);
            let room = Rect::new(3, 1, cols, rows);
            if let Some(place) = mode.draw(
                room,
                &mut buffer,
                &Theme::standard(Depth::True),
                Depth::Sixteen,
            ) {
                assert!(room.contains(place));
            }
            Outcome::Redraw
        }
    };
    if let Outcome::Copied(text) | Outcome::CopiedAndLeft(text) = outcome {
        assert!(!text.is_empty());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_cursor_is_on_a_glyph_that_is_shown(
        rows in prop::collection::vec(text(), 0..7),
        cursor in (0..9_i64, 0..40_u16),
        keys in prop::sample::select(Keys::ALL.to_vec()),
        view in (0..9_u16, 0..30_u16),
        steps in prop::collection::vec(step(), 0..150),
    ) {
        let rows = rows.iter().flat_map(|row| Row::of_line(row, 12, false)).collect();
        let document = Document::of_rows(rows, 12);
        let mut mode = Mode::new(document, Position::new(cursor.0, cursor.1), keys, view);
        holds(&mode)?;
        for step in steps {
            take(&mut mode, step);
            holds(&mode)?;
        }
    }

    #[test]
    fn what_is_copied_from_a_screen_is_what_was_printed(
        words in prop::collection::vec("[a-zé]{1,9}", 1..60), cols in 4..40_u16,
    ) {
        // One long line, wrapped wherever it is: copied, it is the same line.
        let line = words.join(" ");
        let mut emulator = cmdop_emulator::Emulator::new(200, cols, cmdop_emulator::Options::default());
        emulator.feed(line.as_bytes());
        let document = Document::of_screen(&emulator).without_history();
        let mut mode = Mode::new(document, Position::new(0, 0), Keys::Vi, (200, cols));
        mode.run(Command::SelectLine);
        // Not so for a wide character that finds no room: the grid does not call that wrapped.
        prop_assert_eq!(mode.selected().unwrap(), line);
    }
}
