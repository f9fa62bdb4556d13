//! A few bytes must never cost more than they announce: every sequence there is, in floods.

use std::collections::BTreeSet;

use crate::lexer::Lexer;
use crate::normaliser::Normaliser;
use crate::{Emulator, Options, Queries};

const ROWS: u16 = 50;
const COLS: u16 = 120;
const SCREEN: usize = ROWS as usize * COLS as usize;

/// Every control function: C0, ESC and CSI with all that may stand in them, strings.
fn sequences() -> BTreeSet<Vec<u8>> {
    let mut all: BTreeSet<Vec<u8>> = (0..0x20_u8).map(|control| vec![control]).collect();
    for last in 0x30..=0x7e_u8 {
        for between in ["", "#", "(", ")", " ", "%"] {
            all.insert([b"\x1b", between.as_bytes(), &[last]].concat());
        }
        if last < 0x40 {
            continue;
        }
        for numbers in ["", "2", "6", "999", "1049", "9;9"] {
            for mark in ["", "?", ">", "=", "<"] {
                let start = format!("\x1b[{mark}{numbers}");
                all.insert([start.as_bytes(), &[last]].concat());
            }
            for between in ["!", " ", "$"] {
                let start = format!("\x1b[{numbers}{between}");
                all.insert([start.as_bytes(), &[last]].concat());
            }
        }
    }
    all.insert(format!("\x1b[?{}h", ["1049;47"; 6].join(";")).into_bytes());
    for text in [
        "\x1b[?1049;1047;47;1049;1047;47h\x1b[?1049;1047;47;1049l",
        "\x1b]2;t\x07",
        "\x1b]11;?\x07",
        "\x1bP$qm\x1b\\",
        "\x1b_x\x1b\\",
        "你",
        "e\u{301}",
        "❤\u{fe0f}",
        "x",
    ] {
        all.insert(text.as_bytes().to_vec());
    }
    all
}

/// What may be in force while the flood comes.
const BEFORE: [&str; 6] = [
    "",
    "x\x1b[4h",
    "x\x1b[?7l\x1b[38;2;111;112;113m",
    "\x1b[3g\x1b[120GH",
    "\x1b[?1049h\x1b[2;49r\x1b[?6h",
    "\x1b[50;120Hx",
];

#[test]
fn no_sequence_asks_more_of_the_grid_than_it_is_charged_for() {
    let options = Options {
        queries: Queries::Answer,
        ..Options::default()
    };
    for before in BEFORE {
        for sequence in sequences() {
            // Text between the sequences, so that none can be told from the one before it.
            for flood in [sequence.repeat(6), [&sequence[..], b"x"].concat().repeat(6)] {
                let mut normaliser = Normaliser::new(ROWS, COLS, options);
                let mut lexer = Lexer::default();
                lexer.feed(before.as_bytes(), &mut normaliser);
                normaliser.flush();
                let given = normaliser.grid.taken;
                normaliser.work = 0;
                lexer.feed(&flood, &mut normaliser);
                normaliser.flush();
                let shown = String::from_utf8_lossy(&sequence);
                let asked = normaliser.grid.taken - given;
                // Colours, and what the grid needs to be told to insert, come on top of a cell.
                let charged = 40 * (normaliser.work + flood.len()) as u64;
                assert!(
                    asked <= charged,
                    "{before:?} {shown:?}: {asked} of {charged}"
                );
                assert!(
                    normaliser.work <= 6 * 13 * SCREEN,
                    "{before:?} {shown:?}: {}",
                    normaliser.work
                );
                assert!(
                    normaliser.most_waiting <= (32 << 10) + 40 * SCREEN,
                    "{before:?} {shown:?}: {} waited",
                    normaliser.most_waiting
                );
            }
        }
    }
}

#[test]
fn a_burst_of_test_pictures_is_drawn_once() {
    let mut normaliser = Normaliser::new(ROWS, COLS, Options::default());
    Lexer::default().feed(&b"\x1b#8".repeat(10_000), &mut normaliser);
    assert!(normaliser.grid.taken < 2 * SCREEN as u64);
}

#[test]
fn what_waits_for_the_grid_does_not_pile_up() {
    for sequence in ["x\x1b#8", "x\x1b[999b", "\x1b[4hx\x1b[999b"] {
        let mut normaliser = Normaliser::new(ROWS, COLS, Options::default());
        Lexer::default().feed(sequence.repeat(1000).as_bytes(), &mut normaliser);
        normaliser.flush();
        let most = normaliser.most_waiting;
        assert!(most < (32 << 10) + 2 * SCREEN, "{sequence:?}: {most}");
    }
}

#[test]
fn a_flood_is_taken_in_turns_of_bounded_work() {
    let floods: [&[u8]; 4] = [b"\x1bc", b"\x1b[2J", b"x\x1b#8", b"\x1b[999S"];
    for sequence in floods {
        let flood = sequence.repeat(2000);
        let (mut turns, mut whole) = (
            Emulator::new(ROWS, COLS, Options::default()),
            Emulator::new(ROWS, COLS, Options::default()),
        );
        let mut at = 0;
        while at < flood.len() {
            let taken = turns.feed_some(&flood[at..], SCREEN);
            assert!(taken > 0);
            assert!(turns.normaliser.work <= 4 * SCREEN);
            at += taken;
        }
        whole.feed(&flood);
        assert_eq!(turns.difference(&whole, usize::MAX), None);
    }
}
