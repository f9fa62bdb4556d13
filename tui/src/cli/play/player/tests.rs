//! What a player does at which time, and what a jump shows.

use std::fmt::Write as _;
use std::io::Cursor;

use proptest::prelude::*;

use super::*;

/// A recording of 20 × 4 with these outputs at these milliseconds.
fn recording(outputs: &[(u64, &str)]) -> String {
    let mut text = String::from("{\"version\": 2, \"width\": 20, \"height\": 4}\n");
    for (ms, data) in outputs {
        let line = serde_json::json!([*ms as f64 / 1000.0, "o", data]);
        let _ = writeln!(text, "{line}");
    }
    text
}

/// Somebody at a terminal who plays a recording, with a clock of their own.
struct Viewer {
    player: Player<Cursor<Vec<u8>>>,
    terminal: Emulator,
    now: Instant,
    wait: Wait,
}

impl Viewer {
    fn new(text: &str, speed: Speed) -> Self {
        let now = Instant::now();
        let tape = Tape::open(Cursor::new(text.as_bytes().to_vec()), None).unwrap();
        let mut viewer = Self {
            player: Player::new(tape, speed, now).at_terminal(true),
            terminal: Emulator::new(4, 20, Options::default()),
            now,
            wait: Wait::No,
        };
        viewer.look();
        viewer
    }

    /// All that is due now reaches the terminal.
    fn look(&mut self) {
        loop {
            let mut out = Vec::new();
            self.wait = self.player.play(self.now, &mut out).unwrap();
            self.terminal.feed(&out);
            if self.wait != Wait::No {
                return;
            }
        }
    }

    fn pass(&mut self, ms: u64) -> &mut Self {
        self.now += Duration::from_millis(ms);
        self.look();
        self
    }

    fn press(&mut self, key: Key) -> &mut Self {
        let mut out = Vec::new();
        self.player.press(key, self.now, &mut out).unwrap();
        self.terminal.feed(&out);
        self.look();
        self
    }

    fn shows(&self) -> String {
        self.terminal.text(0).trim_end().to_owned()
    }

    fn waits_ms(&self) -> u128 {
        match self.wait {
            Wait::Until(then) => (then - self.now).as_millis(),
            other => panic!("it waits for {other:?}"),
        }
    }
}

const ONCE: Speed = Speed::Times(1.0);

fn letters() -> String {
    recording(&[
        (0, "a"),
        (2000, "b"),
        (4000, "c"),
        (8000, "d"),
        (16_000, "e"),
    ])
}

#[test]
fn output_comes_when_it_came() {
    let mut viewer = Viewer::new(&letters(), ONCE);
    assert_eq!((viewer.shows().as_str(), viewer.waits_ms()), ("a", 2000));
    assert_eq!(viewer.pass(1999).shows(), "a");
    assert_eq!(viewer.pass(1).shows(), "ab");
    assert_eq!(viewer.pass(14_000).shows(), "abcde");
    assert_eq!(viewer.wait, Wait::Over);
}

#[test]
fn a_pause_holds_and_a_step_shows_the_next_output() {
    let mut viewer = Viewer::new(&letters(), ONCE);
    viewer.press(Key::Pause).pass(60_000);
    assert_eq!((viewer.shows().as_str(), viewer.wait), ("a", Wait::Key));
    assert_eq!(viewer.press(Key::Step).shows(), "ab");
    assert_eq!(viewer.press(Key::Step).pass(60_000).shows(), "abc");
    viewer.press(Key::Pause);
    assert_eq!(
        viewer.waits_ms(),
        4000,
        "it goes on from where it stepped to"
    );
    for _ in 0..9 {
        viewer.press(Key::Step);
    }
    assert_eq!((viewer.shows().as_str(), viewer.wait), ("abcde", Wait::Key));
}

#[test]
fn a_step_passes_what_shows_nothing() {
    let mut text = recording(&[(0, "a")]);
    text.push_str(
        "[1, \"m\", \"here\"]\n[2, \"i\", \"x\"]\n[3, \"o\", \"b\"]\n[4, \"o\", \"c\"]\n",
    );
    let mut viewer = Viewer::new(&text, ONCE);
    assert_eq!(viewer.press(Key::Step).shows(), "ab");
}

#[test]
fn plus_and_minus_change_the_speed() {
    let mut viewer = Viewer::new(&letters(), ONCE);
    assert_eq!(viewer.press(Key::Faster).waits_ms(), 1000);
    assert_eq!(viewer.press(Key::Faster).waits_ms(), 500);
    for _ in 0..3 {
        viewer.press(Key::Slower);
    }
    assert_eq!(viewer.waits_ms(), 4000);
}

#[test]
fn a_jump_ahead_shows_that_moment_and_goes_on_from_it() {
    let mut viewer = Viewer::new(&letters(), ONCE);
    viewer.pass(1000).press(Key::Forward);
    assert_eq!((viewer.shows().as_str(), viewer.waits_ms()), ("abc", 2000));
}

#[test]
fn a_jump_back_shows_that_moment_and_goes_on_from_it() {
    let mut viewer = Viewer::new(&letters(), ONCE);
    viewer.pass(8500).press(Key::Back);
    assert_eq!((viewer.shows().as_str(), viewer.waits_ms()), ("ab", 500));
    viewer.press(Key::Back);
    assert_eq!((viewer.shows().as_str(), viewer.waits_ms()), ("a", 2000));
    assert_eq!(viewer.pass(60_000).shows(), "abcde");
}

#[test]
fn a_jump_while_it_is_paused_stays_paused() {
    let mut viewer = Viewer::new(&letters(), ONCE);
    viewer
        .pass(8000)
        .press(Key::Pause)
        .press(Key::Back)
        .pass(60_000);
    assert_eq!((viewer.shows().as_str(), viewer.wait), ("ab", Wait::Key));
    // Beyond the end is the end: one jump back from there is not for nothing.
    viewer
        .press(Key::Forward)
        .press(Key::Forward)
        .press(Key::Forward);
    viewer.press(Key::Forward).press(Key::Back);
    assert_eq!(viewer.shows(), "abcd");
}

#[test]
fn a_jump_back_undoes_what_was_switched_on_since() {
    let text = recording(&[
        (0, "main"),
        (6000, "\x1b[?1049h\x1b[?25l\x1b[?1000h\x1b[31mother"),
        (60_000, "end"),
    ]);
    let mut viewer = Viewer::new(&text, ONCE);
    viewer.pass(6000);
    assert!(viewer.terminal.modes().alternate_screen);
    viewer.press(Key::Back);
    assert_eq!(viewer.shows(), "main");
    let modes = viewer.terminal.modes();
    assert!(!modes.alternate_screen && modes.cursor_visible);
    assert_eq!(
        viewer.terminal.modes().mouse,
        cmdop_emulator::MouseMode::None
    );
}

#[test]
fn a_jump_over_much_output_comes_in_pieces() {
    let line = "x".repeat(MAX_PASSED / 4);
    let outputs: Vec<_> = (0..20)
        .map(|second| (second * 100, line.as_str()))
        .collect();
    let mut viewer = Viewer::new(&recording(&outputs), ONCE);
    let mut out = Vec::new();
    viewer
        .player
        .press(Key::Forward, viewer.now, &mut out)
        .unwrap();
    let mut turns = 0;
    while viewer.player.play(viewer.now, &mut out).unwrap() == Wait::No {
        turns += 1;
    }
    assert!(turns >= 4, "{turns}");
}

#[test]
fn the_terminal_never_sees_a_query() {
    let queries = "\x1b[c\x1b[6n\x1b]11;?\x07\x1bP$qm\x1b\\\x1b[?u";
    // The last one comes in two pieces, between which a person jumps.
    let text = recording(&[(0, &format!("a{queries}b")), (1000, "\x1b["), (9000, "cd")]);
    let mut viewer = Viewer::new(&text, ONCE);
    let mut out = Vec::new();
    viewer.now += Duration::from_secs(2);
    viewer.player.play(viewer.now, &mut out).unwrap();
    viewer
        .player
        .press(Key::Pause, viewer.now, &mut out)
        .unwrap();
    viewer
        .player
        .press(Key::Forward, viewer.now, &mut out)
        .unwrap();
    viewer.player.play(viewer.now, &mut out).unwrap();
    viewer
        .player
        .press(Key::Step, viewer.now, &mut out)
        .unwrap();
    let mut asked = Emulator::new(
        4,
        20,
        Options {
            queries: cmdop_emulator::Queries::Answer,
            ..Options::default()
        },
    );
    asked.feed(&out);
    assert_eq!(asked.take_replies(), b"", "{}", out.escape_ascii());
    assert_eq!(asked.text(0).trim_end(), "abd", "{}", out.escape_ascii());
}

#[test]
fn a_notice_never_splits_a_sequence() {
    let text = recording(&[(0, "\x1b]8;;http"), (5000, "://x\x07link")]);
    let mut viewer = Viewer::new(&text, ONCE);
    viewer.press(Key::Pause);
    viewer.press(Key::Pause);
    assert_eq!(viewer.pass(5000).shows(), "link");
}

#[test]
fn at_full_speed_all_comes_at_once_and_without_a_terminal_nothing_else() {
    let tape = Tape::open(Cursor::new(letters().into_bytes()), None).unwrap();
    let now = Instant::now();
    let mut player = Player::new(tape, Speed::Max, now);
    let mut out = Vec::new();
    assert_eq!(player.play(now, &mut out).unwrap(), Wait::Over);
    assert_eq!(out, b"abcde");
}

#[test]
fn a_bad_line_ends_it_with_its_number() {
    let text = letters() + "[17, \"o\", 5]\n";
    let tape = Tape::open(Cursor::new(text.into_bytes()), None).unwrap();
    let now = Instant::now();
    let error = Player::new(tape, Speed::Max, now).play(now, &mut Vec::new());
    assert_eq!(
        error.unwrap_err().to_string(),
        "line 7 has output that is no text"
    );
}

/// What a recording may hold.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z\r\n]{0,12}",
        prop::sample::select(vec![
            "\x1b[?1049h",
            "\x1b[?1049l",
            "\x1b[31m",
            "\x1b[2J",
            "\x1b[H",
            "\x1b[3;5H",
            "\x1b[",
            "1m",
            "\x1b[?25l",
            "\x1b7",
            "\x1b8",
            "\x1b[2;3r",
            "ä€😀",
        ])
        .prop_map(str::to_owned),
    ]
}

proptest! {
    #[test]
    fn whatever_keys_are_pressed_the_terminal_shows_what_it_would_have_shown_then(
        pieces in proptest::collection::vec((0_u64..4000, piece()), 1..30),
        acts in proptest::collection::vec(
            (0_u64..4000, prop::sample::select(vec![
                Key::Pause, Key::Step, Key::Forward, Key::Back, Key::Faster, Key::Slower,
            ])),
            0..20,
        ),
    ) {
        let mut at = 0;
        let mut outputs = Vec::new();
        for (pause, data) in &pieces {
            at += pause;
            outputs.push((at, data.as_str()));
        }
        let text = recording(&outputs);
        let mut viewer = Viewer::new(&text, ONCE);
        for (ms, key) in acts {
            viewer.pass(ms).press(key);
            // As many outputs as were reached, straight into a terminal.
            let reached = viewer.player.reached;
            let mut straight = Emulator::new(4, 20, Options::default());
            let mut shown = 0;
            for (at, data) in &outputs {
                if Duration::from_secs_f64(*at as f64 / 1000.0) <= reached {
                    straight.feed(data.as_bytes());
                    shown += 1;
                }
            }
            // A step may stand between two outputs of one moment.
            let between = outputs.get(shown.max(1) - 1).is_some_and(|(at, _)| {
                outputs.iter().filter(|(other, _)| other == at).count() > 1
            });
            // Inside a sequence the filter may hold back what the straight terminal obeyed already.
            if shown > 0 && !between && straight.is_at_ground() {
                prop_assert_eq!(viewer.terminal.text(0), straight.text(0));
                prop_assert_eq!(viewer.terminal.cursor(), straight.cursor());
            }
        }
    }
}
