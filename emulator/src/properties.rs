//! The promises of this crate, held against random terminal output.

use proptest::prelude::*;

use crate::{Emulator, Options, Queries};

/// A piece of terminal output: mostly what programs write, sometimes what they should not.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let small = 0_u16..24;
    prop_oneof![
        8 => "[ -~]{1,12}".prop_map(String::into_bytes),
        4 => Just(b"\r\n".to_vec()),
        3 => prop::sample::select(vec!["\n", "\r", "\t", "\x08", "\x0e", "\x0f", "\x07", "\x0b"])
            .prop_map(|text| text.as_bytes().to_vec()),
        4 => prop::sample::select(vec![
            "你", "好世界", "é", "e\u{301}", "\u{301}", "❤\u{fe0f}", "\u{fe0f}", "1\u{fe0f}\u{20e3}",
            "👨\u{200d}👩\u{200d}👧", "🇩🇪", "👍\u{1F3FD}", "─┼", "\u{fffd}", "\u{9b}", "\u{ad}", "x\u{7f}", "a\u{e0100}",
        ]).prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 1..6),
        6 => (small.clone(), small.clone(), prop::sample::select(
            "@ABCDEFGHIJKLMPSTXZ`abdefgrsu".as_bytes().to_vec(),
        )).prop_map(|(a, b, end)| {
            let mut bytes = format!("\x1b[{a};{b}").into_bytes();
            // One parameter, two, or none.
            match a % 3 { 0 => bytes.truncate(2), 1 => bytes = format!("\x1b[{a}").into_bytes(), _ => {} }
            bytes.push(end);
            bytes
        }),
        6 => prop::collection::vec(prop::sample::select(vec![
            "0", "", "1", "2", "3", "4", "4:3", "4:0", "7", "9", "22", "24", "27", "31", "44", "97", "100",
            "39", "49", "38;5;99", "48;5;200", "38;2;1;2;3", "48:2::7:8:9", "58;2;255;0;7", "58:5:3", "59", "9", "29", "4:5", "21", "38", "999",
        ]), 0..4).prop_map(|sgr| format!("\x1b[{}m", sgr.join(";")).into_bytes()),
        4 => (prop::sample::select(vec![
            1, 6, 7, 9, 25, 47, 66, 1000, 1002, 1003, 1004, 1005, 1006, 1007, 1015, 1016, 1047, 1048, 1049,
            1049, 1049, 2004, 2026, 12345,
        ]), any::<bool>()).prop_map(|(mode, on)| {
            format!("\x1b[?{mode}{}", if on { 'h' } else { 'l' }).into_bytes()
        }),
        4 => prop::sample::select(vec![
            "\x1b7", "\x1b8", "\x1bD", "\x1bE", "\x1bM", "\x1bH", "\x1b=", "\x1b>", "\x1bc", "\x1b(0", "\x1b(B",
            "\x1b)0", "\x1b)B", "\x1b#8", "\x1b[4h", "\x1b[4l", "\x1b[!p", "\x1b[3g", "\x1b[3 q", "\x1b[?7l",
            "\x1b[>4;2m", "\x1b[>1u", "\x1b[=5;1u", "\x1b[<u", "\x1b[?u", "\x1b[2J", "\x1b[K", "\x1b[1K", "\x1b[2K",
            "\x1b[3J", "\x1b[2;4r", "\x1b[r", "\x1b[99999b", "\x1b[5;3n", "\x1b[6n", "\x1b[c", "\x1b[18t", "\x1b[<<1m",
        ]).prop_map(|text| text.as_bytes().to_vec()),
        2 => prop::sample::select(vec![
            "\x1b]2;a title;with more\x07", "\x1b]0;both\x1b\\", "\x1b]8;;http://x\x1b\\", "\x1b]8;id=7;https://y/?z;w\x07", "\x1b]8;;\x1b\\", "\x1b]8;;bad:\x07", "\x1b]52;c;aGk=\x07",
            "\x1b]133;A\x07", "\x1b]7;file://h/tmp\x07", "\x1bP$qm\x1b\\", "\x1bP+q544e\x1b\\", "\x1b_Gf=24;AAAA\x1b\\",
            "\x1bX\x07sos\x1b\\", "\x1b]11;?\x07", "\x1b]2;cancelled\x18", "\x1bP1$r0m\x1a", "\x1b[1\n;2H", "\x1b\x1b[H",
        ]).prop_map(|text| text.as_bytes().to_vec()),
    ]
}

/// Bytes that are legible when a test fails.
#[derive(Clone)]
struct Stream(Vec<u8>);

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(&self.0))
    }
}

fn stream(pieces: usize) -> impl Strategy<Value = Stream> {
    prop::collection::vec(piece(), 0..pieces).prop_map(|pieces| Stream(pieces.concat()))
}

/// Many lines, most of them such that the fast path takes them.
fn flood() -> impl Strategy<Value = Stream> {
    let line = prop_oneof![
        8 => "[ -~]{0,30}".prop_map(String::into_bytes),
        2 => "[a-z]{0,6}(\t[a-z ]{0,3}){0,3}".prop_map(String::into_bytes),
        3 => (0..50_u8, "[ -~]{0,9}", "[ -~]{0,9}")
            .prop_map(|(sgr, a, b)| format!("\x1b[1;{sgr}m{a}\t\x1b[0m{b}\x1b[7m ").into_bytes()),
        2 => "[a-z你好é─]{0,12}".prop_map(String::into_bytes),
        1 => stream(3).prop_map(|Stream(bytes)| bytes),
    ];
    let ends = prop::sample::select(
        vec!["\r\n"; 30]
            .into_iter()
            .chain(["\n"])
            .collect::<Vec<_>>(),
    );
    prop::collection::vec((line, ends), 0..300).prop_map(|lines| {
        Stream(
            lines
                .into_iter()
                .flat_map(|(line, end)| [&line, end.as_bytes()].concat())
                .collect(),
        )
    })
}

fn emulator(rows: u16, cols: u16) -> Emulator {
    Emulator::new(
        rows,
        cols,
        Options {
            queries: Queries::Answer,
            ..Options::default()
        },
    )
}

fn fed(rows: u16, cols: u16, bytes: &[u8]) -> Emulator {
    let mut emulator = emulator(rows, cols);
    emulator.feed(bytes);
    emulator
}

fn same(ours: &Emulator, theirs: &Emulator) -> Result<(), TestCaseError> {
    match ours.difference(theirs, usize::MAX) {
        None => Ok(()),
        Some(difference) => Err(TestCaseError::fail(difference)),
    }
}

fn cases(cases: u32) -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(cases);
    ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(cases(3000))]

    #[test]
    fn a_snapshot_at_any_byte_is_the_whole_state(
        Stream(bytes) in stream(60), rows in 2..9_u16, cols in 2..24_u16, cut in any::<prop::sample::Index>(),
    ) {
        let cut = cut.index(bytes.len() + 1);
        let whole = fed(rows, cols, &bytes[..cut]);
        prop_assert_eq!(whole.rebuilds(), 0);
        let mut copy = fed(rows, cols, &whole.snapshot(usize::MAX).bytes);
        same(&whole, &copy)?;
        let mark = whole.history_mark();
        copy.continue_history(mark.epoch, mark.next);
        prop_assert_eq!(copy.history(None, 9, 999), whole.history(None, 9, 999));
        copy.feed(&bytes[cut..]);
        let whole = fed(rows, cols, &bytes);
        same(&whole, &copy)?;
        prop_assert_eq!(copy.history(None, 9, 999), whole.history(None, 9, 999));
    }

    #[test]
    fn where_the_stream_is_cut_makes_no_difference(
        Stream(bytes) in stream(60), rows in 2..9_u16, cols in 2..24_u16, size in 1..20_usize,
    ) {
        let whole = fed(rows, cols, &bytes);
        let mut pieces = emulator(rows, cols);
        for piece in bytes.chunks(size) {
            pieces.feed(piece);
        }
        same(&whole, &pieces)?;
        prop_assert_eq!(whole.normaliser.replies, pieces.normaliser.replies);
    }

    #[test]
    fn no_stream_and_no_resize_breaks_it(
        steps in prop::collection::vec((stream(20), 0..12_u16, 0..30_u16), 1..6),
    ) {
        let mut emulator = emulator(5, 20);
        for (Stream(bytes), rows, cols) in steps {
            emulator.feed(&bytes);
            emulator.resize(rows, cols);
            prop_assert_eq!(emulator.size(), (rows.max(2), cols.max(2)));
            let (rows, cols) = emulator.size();
            let copy = fed(rows, cols, &emulator.snapshot(0).bytes);
            prop_assert_eq!(emulator.difference(&copy, 0), None);
        }
        prop_assert_eq!(emulator.rebuilds(), 0);
    }
}

proptest! {
    #![proptest_config(cases(600))]

    #[test]
    fn the_fast_path_makes_no_difference(
        Stream(bytes) in flood(), Stream(before) in stream(4), rows in 2..9_u16, cols in 2..34_u16, lines in 0..400_usize,
    ) {
        let options = Options { scrollback_lines: lines, ..Options::default() };
        let (mut fast, mut slow) = (Emulator::new(rows, cols, options), Emulator::new(rows, cols, options));
        fast.feed(&before);
        slow.feed(&before);
        fast.feed(&bytes);
        for piece in bytes.chunks(7) {
            slow.feed(piece);
        }
        same(&fast, &slow)?;
        prop_assert_eq!(fast.history(None, 9, 999), slow.history(None, 9, 999));
    }
}
