//! What the grid alone would get wrong, one test for each rewriting.

use std::fmt::Write as _;

use crate::{
    Color, Cursor, CursorShape, Emulator, Event, MouseEncoding, MouseMode, Options, Prompt, Queries,
};

fn screen(rows: u16, cols: u16, bytes: &str) -> Emulator {
    let options = Options {
        queries: Queries::Answer,
        ..Options::default()
    };
    let mut emulator = Emulator::new(rows, cols, options);
    emulator.feed(bytes.as_bytes());
    emulator
}

fn text(bytes: &str) -> String {
    screen(4, 12, bytes).text(100)
}

fn place(emulator: &Emulator) -> (u16, u16) {
    let Cursor { row, col, .. } = emulator.cursor();
    (row, col)
}

fn replies(bytes: &str) -> String {
    String::from_utf8(screen(4, 12, bytes).take_replies()).unwrap()
}

#[test]
fn boxes_of_the_graphics_set_are_drawn() {
    assert_eq!(text("\x1b(0lqk\x1b(Bx"), "┌─┐x\n");
    assert_eq!(text("\x1b)0a\x0eq_\x0fq"), "a─ q\n");
}

#[test]
fn index_and_next_line_move_down() {
    assert_eq!(text("ab\x1bDc\x1bEd"), "ab\n  c\nd\n");
}

#[test]
fn tabs_can_be_set_cleared_and_gone_back() {
    assert_eq!(text("\x1b[3g\x1b[5G\x1bH\r\tx"), "    x\n");
    assert_eq!(place(&screen(4, 40, "ab\tc\x1b[Z")), (0, 8));
    assert_eq!(place(&screen(4, 40, "\x1b[2I")), (0, 16));
    assert_eq!(place(&screen(4, 40, "\x1b[9G\x1b[g\r\t")), (0, 16));
}

#[test]
fn the_cursor_is_saved_and_restored_in_every_spelling() {
    for (save, restore) in [
        ("\x1b[s", "\x1b[u"),
        ("\x1b7", "\x1b8"),
        ("\x1b[?1048h", "\x1b[?1048l"),
    ] {
        assert_eq!(text(&format!("ab{save}cd{restore}X")), "abXd\n");
    }
}

#[test]
fn insert_mode_inserts() {
    assert_eq!(text("abc\r\x1b[4hX你\x1b[4lY"), "X你Ybc\n");
}

#[test]
fn without_autowrap_the_last_column_is_overwritten() {
    assert_eq!(text("\x1b[?7l1234567890ABCDEF"), "1234567890AF\n");
    assert_eq!(text("\x1b[?7l1234567890AB你"), "1234567890你\n");
}

#[test]
fn a_repeated_character_is_repeated_at_most_a_row() {
    assert_eq!(text("a\x1b[3b"), "aaaa\n");
    assert_eq!(text("a\x1b[65535b"), "aaaaaaaaaaaaa\n");
    assert_eq!(text("a\r\x1b[3b"), "a\n");
}

#[test]
fn an_emoji_variation_never_breaks_the_grid() {
    let mut emulator = screen(24, 80, "\x1b[24;80H❤\u{fe0f}\x1b[23;80HX");
    assert_eq!(emulator.rebuilds(), 0);
    emulator.feed("\x1b[H❤\u{fe0f}x".as_bytes());
    assert_eq!(emulator.cell(0, 0).unwrap().width, 2);
    assert_eq!(emulator.cell(0, 2).unwrap().text, "x");
}

#[test]
fn broken_utf8_shows_as_a_question_mark_and_shifts_nothing() {
    let mut emulator = screen(4, 12, "");
    emulator.feed(b"a\xffb\xe4\xbd");
    assert!(!emulator.is_at_ground());
    emulator.feed(b"\xa0c");
    assert_eq!(emulator.text(0), "a?b你c\n");
}

#[test]
fn the_alternate_screen_is_blank_and_leaves_the_main_one_alone() {
    for mode in [47, 1047, 1049] {
        let mut emulator = screen(4, 12, &format!("main\x1b[?{mode}h"));
        assert!(emulator.modes().alternate_screen);
        assert_eq!(emulator.text(0), "");
        emulator.feed(format!("\x1b[Halt\x1b[?{mode}l").as_bytes());
        assert_eq!(emulator.text(0), "main\n");
        emulator.feed(format!("\x1b[?{mode}h").as_bytes());
        assert_eq!(emulator.text(0), "");
    }
    assert_eq!(
        place(&screen(4, 12, "ab\x1b[?1049h\x1b[4;4H\x1b[?1049l")),
        (0, 2)
    );
}

#[test]
fn origin_mode_counts_from_the_region() {
    let emulator = screen(6, 12, "\x1b[2;4r\x1b[?6h\x1b[9;3HX");
    assert_eq!(place(&emulator), (3, 3));
    assert_eq!(replies("\x1b[2;4r\x1b[?6h\x1b[6n"), "\x1b[1;1R");
}

#[test]
fn what_is_erased_takes_the_colour_of_the_background() {
    let emulator = screen(4, 12, "\x1b[44m\x1b[K");
    assert_eq!(emulator.cell(0, 11).unwrap().bg, Color::Indexed(4));
}

#[test]
fn gaps_in_the_scrollback_have_no_colour() {
    let emulator = screen(2, 20, "\x1b[42mdir\x1b[0m\tb\r\n\r\n");
    assert_eq!(emulator.scrollback_line(0), Some("\x1b[42mdir\x1b[m     b"));
}

#[test]
fn modes_are_tracked() {
    let emulator = screen(
        4,
        12,
        "\x1b[?1;1002;1006;1004;2004;2026h\x1b=\x1b[4 q\x1b[>5u\x1b[>4;2m\x1b[?25l",
    );
    let modes = emulator.modes();
    assert!(modes.application_cursor && modes.application_keypad && modes.bracketed_paste);
    assert!(modes.focus_events && modes.synchronized && !modes.cursor_visible);
    assert_eq!(
        (modes.mouse, modes.mouse_encoding),
        (MouseMode::ButtonMotion, MouseEncoding::Sgr)
    );
    assert_eq!((modes.kitty_keyboard, modes.modify_other_keys), (5, 2));
    assert_eq!(emulator.cursor().shape, CursorShape::Underline);
}

#[test]
fn queries_are_answered() {
    for (query, answer) in [
        ("\x1b[c", "\x1b[?62;22;52c"),
        ("\x1b[>c", "\x1b[>1;10;0c"),
        ("\x1b[5n", "\x1b[0n"),
        ("ab\x1b[6n", "\x1b[1;3R"),
        ("123456789012\x1b[6n", "\x1b[1;12R"),
        ("\x1b[?2026$p", "\x1b[?2026;2$y"),
        ("\x1b[?2004h\x1b[?2004$p", "\x1b[?2004;1$y"),
        ("\x1b[?4711$p", "\x1b[?4711;0$y"),
        ("\x1b[18t", "\x1b[8;4;12t"),
        ("\x1b[>1u\x1b[?u", "\x1b[?1u"),
        ("\x1b]11;?\x07", "\x1b]11;rgb:1010/1010/1010\x1b\\"),
        ("\x1b[1;31m\x1bP$qm\x1b\\", "\x1bP1$r0;1;31m\x1b\\"),
        ("\x1b[2;3r\x1bP$qr\x1b\\", "\x1bP1$r2;3r\x1b\\"),
        ("\x1bP$qx\x1b\\", "\x1bP0$r\x1b\\"),
        ("\x1bP+q544e\x1b\\", "\x1bP0+r\x1b\\"),
    ] {
        assert_eq!(replies(query), answer, "{query:?}");
    }
    assert!(replies("\x1b[>q").starts_with("\x1bP>|cmdop("));
}

#[test]
fn only_who_is_told_to_answers() {
    let mut emulator = Emulator::new(4, 12, Options::default());
    emulator.feed(b"\x1b[c\x1b[6n\x1b]11;?\x07\x1bP$qm\x1b\\");
    assert!(emulator.take_replies().is_empty());
}

#[test]
fn a_flood_of_queries_has_bounded_answers() {
    assert!(replies(&"\x1b[c".repeat(100_000)).len() <= 4096);
}

#[test]
fn what_is_not_screen_becomes_an_event() {
    let mut emulator = screen(
        4,
        12,
        "\x07\x1b]2;a;b\x07\x1b]7;file://host/tmp\x1b\\\x1b]52;c;aGk=\x07\x1b]52;c;?\x07\x1b]777;notify;t;b\x07\
         \x1b]9;hello\x07\x1b]9;4;1;50\x07\x1b]133;D;3\x07",
    );
    let notification = |title: &str, body: &str| Event::Notification {
        title: title.into(),
        body: body.into(),
    };
    assert_eq!(
        emulator.take_events(),
        [
            Event::Bell,
            Event::Title("a;b".into()),
            Event::Cwd("/tmp".into()),
            Event::Clipboard {
                selection: "c".into(),
                data: "aGk=".into()
            },
            notification("t", "b"),
            notification("", "hello"),
            Event::Prompt(Prompt::End(Some(3))),
        ]
    );
    assert_eq!(emulator.title(), "a;b");
}

#[test]
fn strings_without_an_end_take_bounded_memory_and_are_not_shown() {
    for start in ["\x1b]2;", "\x1bP", "\x1b_", "\x1bX", "\x1b^", "\x1b["] {
        let mut emulator = screen(4, 12, start);
        for _ in 0..64 {
            emulator.feed(&vec![b'1'; 100_000]);
        }
        assert!(
            emulator.snapshot(0).bytes.len() <= crate::lexer::MAX_OSC + 4096,
            "{start:?}"
        );
        emulator.feed(b"H\x1b\\ok");
        assert_eq!(emulator.text(0), "ok\n", "{start:?}");
    }
}

#[test]
fn lines_come_back_when_a_narrow_screen_gets_wide_again() {
    let mut whole = String::new();
    for line in 0..30 {
        let words = "text ".repeat(line % 20);
        let _ = write!(whole, "\r\nline {line} \x1b[3{}m{words}\x1b[?25h", line % 8);
    }
    let mut emulator = screen(24, 80, &whole);
    let before = screen(24, 80, &whole);
    emulator.resize(24, 40);
    assert_ne!(emulator.text(0), before.text(0));
    emulator.resize(24, 80);
    assert_eq!(emulator.difference(&before, 1000), None);
    emulator.resize(10, 33);
    emulator.resize(50, 200);
    emulator.resize(24, 80);
    assert_eq!(emulator.text(1000), before.text(1000));
}

#[test]
fn a_resize_keeps_the_cursor_with_its_text() {
    let mut emulator = screen(6, 20, "one\r\na prompt that wraps> ls");
    emulator.resize(6, 10);
    assert_eq!(place(&emulator), (3, 3));
    emulator.resize(6, 20);
    emulator.feed(b"!");
    assert_eq!(emulator.text(0), "one\na prompt that wraps> ls!\n");
}

#[test]
fn a_full_screen_program_survives_a_resize() {
    let mut emulator = screen(6, 20, "shell$ \x1b[?1049h\x1b[2;3Hhello\x1b[6;20H");
    emulator.resize(4, 10);
    emulator.resize(6, 20);
    emulator.feed(b"\x1b[?1049lls");
    assert_eq!(emulator.text(0), "shell$ ls\n");
}

#[test]
fn an_idle_screen_is_small() {
    let cell = 32;
    assert!(24 * 80 * cell + size_of::<Emulator>() < 100 << 10);
}
