//! Guesses step by step, and against a shell at the other end of a slow line.

use cmdop_emulator::Options;

use super::*;

mod shell;

use shell::World;

fn screen(text: &str) -> Emulator {
    let mut emulator = Emulator::new(5, 20, Options::default());
    emulator.feed(text.as_bytes());
    emulator
}

/// What is shown: the screen, and what is guessed over it.
fn shown(predictor: &Predictor, screen: &Emulator, now: Instant) -> Vec<String> {
    let (rows, cols) = screen.size();
    let mut cells: Vec<Vec<String>> = (0..rows)
        .map(|row| {
            (0..cols)
                .map(|col| match screen.cell(row, col) {
                    Some(cell) if cell.width == 1 && cell.text.is_empty() => " ".to_owned(),
                    cell => cell.map(|cell| cell.text.to_owned()).unwrap_or_default(),
                })
                .collect()
        })
        .collect();
    for guess in predictor.overlay(now) {
        assert!(guess.style.add_modifier.contains(Modifier::UNDERLINED));
        cells[usize::from(guess.row)][usize::from(guess.col)] = guess.character.to_string();
    }
    cells
        .iter()
        .map(|row| row.concat().trim_end().to_owned())
        .collect()
}

/// A shell that has echoed `x` already, so that its epoch is confirmed, and what is on its screen.
fn confirmed(now: Instant) -> (Predictor, Emulator) {
    let mut predictor = Predictor::new(Mode::On);
    let mut screen = screen("$ ");
    predictor.typed(b"x", 1, &screen, now);
    screen.feed(b"x");
    predictor.output(Some(1), &screen, now);
    assert_eq!(predictor.cursor(now), None);
    (predictor, screen)
}

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

#[test]
fn nothing_is_shown_before_something_was_echoed() {
    let now = Instant::now();
    let mut predictor = Predictor::new(Mode::On);
    let mut screen = screen("$ ");
    predictor.typed(b"l", 1, &screen, now);
    assert_eq!(shown(&predictor, &screen, now)[0], "$");
    predictor.typed(b"s", 2, &screen, now);
    screen.feed(b"l");
    predictor.output(Some(1), &screen, now);
    assert_eq!(shown(&predictor, &screen, now)[0], "$ ls");
    assert_eq!(predictor.cursor(now), Some((0, 4)));
}

#[test]
fn a_confirmed_line_is_edited_at_once() {
    let now = Instant::now();
    let (mut predictor, screen) = confirmed(now);
    let mut seq = 1;
    for (keys, line, col) in [
        ("abc", "$ xabc", 6),
        ("\x7f", "$ xab", 5),
        ("\x1b[D\x1b[D", "$ xab", 3),
        ("z", "$ xzab", 4),
        ("\x1b[D\x7f", "$ zab", 2),
        ("\x1bOC\x1bOC", "$ zab", 4),
        ("\x7f\x7f", "$ b", 2),
    ] {
        seq += 1;
        predictor.typed(keys.as_bytes(), seq, &screen, now);
        assert_eq!(shown(&predictor, &screen, now)[0], line, "{keys:?}");
        assert_eq!(predictor.cursor(now), Some((0, col)), "{keys:?}");
    }
}

#[test]
fn beyond_what_was_typed_nothing_is_taken_for_granted() {
    let now = Instant::now();
    let (mut predictor, screen) = confirmed(now);
    predictor.typed(b"\x7f\x7f\x7f", 2, &screen, now);
    // The blank of the prompt and its dollar are not ours.
    assert!(shown(&predictor, &screen, now)[0].starts_with('$'));
}

#[test]
fn a_prompt_at_the_right_stays_where_it_is() {
    let now = Instant::now();
    let (mut predictor, mut screen) = confirmed(now);
    screen.feed(b"\x1b7\x1b[1;15H12:00\x1b8");
    predictor.output(Some(1), &screen, now);
    predictor.typed(b"abc", 2, &screen, now);
    assert_eq!(shown(&predictor, &screen, now)[0], "$ xabc        12:00");
}

#[test]
fn a_wrong_guess_is_gone_with_the_output_that_shows_it() {
    let now = Instant::now();
    let (mut predictor, mut screen) = confirmed(now);
    predictor.typed(b"q", 2, &screen, now);
    assert_eq!(shown(&predictor, &screen, now)[0], "$ xq");
    screen.feed(b"*");
    predictor.output(Some(2), &screen, now);
    assert_eq!(shown(&predictor, &screen, now)[0], "$ x*");
    assert_eq!(predictor.cursor(now), None);
    // And so is what rests on it: the next one has to come true first.
    predictor.typed(b"q", 3, &screen, now);
    assert_eq!(shown(&predictor, &screen, now)[0], "$ x*");
}

#[test]
fn a_key_that_nothing_comes_of_is_shown_no_longer_than_a_moment() {
    let now = Instant::now();
    let (mut predictor, screen) = confirmed(now);
    predictor.typed(b"q", 2, &screen, now);
    predictor.output(Some(2), &screen, now + ms(100));
    assert_eq!(shown(&predictor, &screen, now)[0], "$ xq");
    let deadline = predictor.deadline().unwrap();
    assert_eq!(deadline, now + ms(100) + GRACE);
    predictor.tick(&screen, deadline);
    assert_eq!(shown(&predictor, &screen, now)[0], "$ x");
    assert_eq!(predictor.deadline(), None);
}

#[test]
fn without_numbers_guesses_are_held_against_the_screen() {
    let now = Instant::now();
    let mut predictor = Predictor::new(Mode::On);
    let mut screen = screen("$ ");
    predictor.typed(b"l", 1, &screen, now);
    screen.feed(b"l");
    predictor.output(None, &screen, now);
    predictor.typed(b"s -", 2, &screen, now);
    assert_eq!(shown(&predictor, &screen, now)[0], "$ ls -");
    screen.feed(b"s ");
    predictor.output(None, &screen, now);
    assert_eq!(shown(&predictor, &screen, now)[0], "$ ls -");
    screen.feed(b"#");
    predictor.output(None, &screen, now);
    assert_eq!(shown(&predictor, &screen, now)[0], "$ ls #");
    // Nothing more is guessed until it is quiet.
    predictor.typed(b"x", 3, &screen, now);
    assert_eq!(shown(&predictor, &screen, now)[0], "$ ls #");
    let quiet = predictor.deadline().unwrap();
    predictor.tick(&screen, quiet);
    assert_eq!(predictor.deadline(), None);
}

#[test]
fn enter_makes_the_next_line_uncertain() {
    let now = Instant::now();
    let (mut predictor, mut screen) = confirmed(now);
    predictor.typed(b"y\rz", 2, &screen, now);
    predictor.typed(b"w", 3, &screen, now);
    assert_eq!(shown(&predictor, &screen, now)[0], "$ xy");
    screen.feed(b"y\r\n$ z");
    predictor.output(Some(2), &screen, now);
    // What was typed since is guessed where it will be, but not shown before one has come true.
    assert_eq!(shown(&predictor, &screen, now)[1], "$ z");
    screen.feed(b"w");
    predictor.output(Some(3), &screen, now);
    predictor.typed(b"v", 4, &screen, now);
    assert_eq!(shown(&predictor, &screen, now)[1], "$ zwv");
}

#[test]
fn a_terminal_that_hides_what_is_typed_is_believed() {
    let now = Instant::now();
    let (mut predictor, screen) = confirmed(now);
    predictor.typed(b"a", 2, &screen, now);
    predictor.echo(Echo::Hidden);
    assert_eq!(shown(&predictor, &screen, now)[0], "$ x");
    predictor.typed(b"b", 3, &screen, now);
    assert_eq!(shown(&predictor, &screen, now)[0], "$ x");
    assert_eq!(Echo::of_flags(false, true), Echo::Hidden);
    assert_eq!(Echo::of_flags(false, false), Echo::Program);
    assert_eq!(Echo::of_flags(true, true), Echo::Terminal);
}

#[test]
fn nothing_is_guessed_where_the_line_asks_for_a_password() {
    let now = Instant::now();
    let (mut predictor, mut screen) = confirmed(now);
    // Without an enter: the epoch is still the confirmed one.
    screen.feed(b"\r\nPassword: ");
    predictor.output(Some(1), &screen, now);
    predictor.typed(b"hunter2", 2, &screen, now);
    assert_eq!(shown(&predictor, &screen, now)[1], "Password:");
}

#[test]
fn the_other_screen_has_to_echo_first() {
    let now = Instant::now();
    let (mut predictor, mut screen) = confirmed(now);
    screen.feed(b"\x1b[?1049h\x1b[?1h\x1b[H");
    predictor.output(Some(1), &screen, now);
    predictor.typed(b"x", 2, &screen, now);
    assert_eq!(shown(&predictor, &screen, now)[0], "");
}

#[test]
fn auto_shows_guesses_where_they_are_felt() {
    let now = Instant::now();
    let (mut predictor, mut screen) = confirmed(now);
    predictor.set_mode(Mode::Auto);
    predictor.typed(b"a", 2, &screen, now);
    for (trip, expected) in [(10, "$ x"), (31, "$ xa"), (25, "$ xa"), (10, "$ xa")] {
        predictor.round_trip(ms(trip));
        assert_eq!(shown(&predictor, &screen, now)[0], expected, "{trip}");
    }
    // Not taken away under somebody's eyes.
    screen.feed(b"a");
    predictor.output(Some(2), &screen, now);
    predictor.round_trip(ms(10));
    predictor.typed(b"b", 3, &screen, now);
    assert_eq!(shown(&predictor, &screen, now)[0], "$ xa");
    predictor.typed(b"c", 4, &screen, now + STALL + ms(1));
    assert_eq!(shown(&predictor, &screen, now)[0], "$ xabc");
    predictor.set_mode(Mode::Off);
    assert_eq!(shown(&predictor, &screen, now)[0], "$ xa");
}

#[test]
fn two_wrong_guesses_in_a_short_time_switch_it_off_for_a_while() {
    let now = Instant::now();
    let (mut predictor, mut screen) = confirmed(now);
    let mut seq = 1;
    for _ in 0..2 {
        predictor.typed(b"q", seq + 1, &screen, now);
        screen.feed(b"*");
        predictor.output(Some(seq + 1), &screen, now);
        predictor.typed(b"r", seq + 2, &screen, now);
        screen.feed(b"r");
        predictor.output(Some(seq + 2), &screen, now);
        seq += 2;
    }
    predictor.typed(b"s", seq + 1, &screen, now);
    assert_eq!(shown(&predictor, &screen, now)[0], "$ x*r*r");
    assert_eq!(shown(&predictor, &screen, now + GLITCH)[0], "$ x*r*rs");
}

#[test]
fn the_last_column_is_where_guessing_ends() {
    let now = Instant::now();
    let (mut predictor, screen) = confirmed(now);
    predictor.typed(b"12345678901234567890", 2, &screen, now);
    assert_eq!(shown(&predictor, &screen, now)[0], "$ x1234567890123456");
    assert_eq!(shown(&predictor, &screen, now)[1], "");
}

#[test]
fn another_size_forgets_everything() {
    let now = Instant::now();
    let (mut predictor, mut screen) = confirmed(now);
    predictor.typed(b"ab", 2, &screen, now);
    screen.resize(5, 10);
    predictor.output(Some(1), &screen, now);
    assert_eq!(shown(&predictor, &screen, now)[0], "$ x");
    assert_eq!(predictor.deadline(), None);
}

#[test]
fn what_is_typed_is_seen_at_once_and_ends_as_what_is_printed() {
    let mut world = World::new(ms(100));
    world.types("e");
    world.passes(ms(300));
    for (typed, line) in [("c", "$ ec"), ("h", "$ ech"), ("o", "$ echo")] {
        world.types(typed);
        assert_eq!(world.line(), line, "at once");
        world.passes(ms(10));
    }
    world.types("\x1b[D\x1b[DX\x7f");
    assert_eq!(world.line(), "$ echo");
    world.passes(ms(500));
    assert_eq!(world.rows(), world.shell_rows());
    world.types("\r");
    for key in ["a", "b", "c"] {
        world.passes(ms(30));
        world.types(key);
    }
    world.passes(ms(500));
    assert_eq!(world.rows(), world.shell_rows());
    world.types("d");
    assert_eq!(world.line(), "$ abcd");
}

#[test]
fn a_password_is_never_seen() {
    let mut world = World::new(ms(100));
    world.types("s");
    world.passes(ms(300));
    world.types("udo");
    assert_eq!(world.line(), "$ sudo");
    world.types("\r");
    // Typed before the question is here, while it comes, and after.
    for key in "hunter2".chars() {
        world.types(&key.to_string());
        world.passes(ms(40));
        for row in world.rows() {
            assert!(!row.contains(|c| "ht2".contains(c)), "{row}");
        }
    }
    world.passes(ms(500));
    world.types("\r");
    world.passes(ms(500));
    assert_eq!(world.rows(), world.shell_rows());
}
