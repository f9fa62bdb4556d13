//! Looks as an emulator shows them, and their tags.

use super::*;
use crate::{Cell, Color, Emulator, Options, Underline};

fn emulator(bytes: &str) -> Emulator {
    let mut emulator = Emulator::new(4, 20, Options::default());
    emulator.feed(bytes.as_bytes());
    emulator
}

fn cell(emulator: &Emulator, col: u16) -> Cell<'_> {
    emulator.cell(0, col).unwrap()
}

fn uri(emulator: &Emulator, col: u16) -> Option<&str> {
    cell(emulator, col).link.map(Link::uri)
}

const OPEN: &str = "\x1b]8;id=1;https://example.org/\x1b\\";
const CLOSE: &str = "\x1b]8;;\x1b\\";

#[test]
fn only_addresses_that_people_follow_are_links() {
    let read = |parameters: &str, uri: &str| Link::read(parameters.as_bytes(), uri.as_bytes());
    let link = read("a=b:id=x1", "HTTPS://example.org/a;b?c").unwrap();
    assert_eq!((link.uri(), link.id()), ("HTTPS://example.org/a;b?c", "x1"));
    for uri in [
        "",
        "javascript:alert(1)",
        "http://a b",
        "http://\u{e9}",
        "ssh://-oProxyCommand=x",
        "data:,x",
    ] {
        assert_eq!(read("", uri), None, "{uri}");
    }
    assert_eq!(read("", &format!("http://{}", "x".repeat(MAX_URI))), None);
    assert_eq!(read("id=a\u{7f}", "http://x").unwrap().id(), "");
}

#[test]
fn tags_are_given_out_until_there_are_none() {
    let mut looks = Looks::default();
    let look = |n: usize| Look {
        link: Link::read(b"", format!("http://{n}").as_bytes()).map(Arc::new),
        ..Look::default()
    };
    for n in 0..TAGS {
        assert!(looks.tag(&look(n)).is_some());
    }
    assert_eq!(looks.tag(&look(0)), char::from_u32(FIRST));
    assert_eq!(looks.tag(&look(TAGS)), None);
    assert!(looks.wants_sweep(80) && !looks.wants_sweep(1 << 20));
    looks.sweep(std::iter::empty());
    assert!(looks.tag(&look(TAGS)).is_some());
}

#[test]
fn every_cell_knows_its_link_and_its_text_is_clean() {
    let emulator = emulator(&format!("a{OPEN}b你e\u{301}❤\u{fe0f}{CLOSE}c"));
    let cells: Vec<_> = [0, 1, 2, 3, 4, 5, 7]
        .map(|col| (cell(&emulator, col).text, uri(&emulator, col).is_some()))
        .into();
    assert_eq!(
        cells,
        [
            ("a", false),
            ("b", true),
            ("你", true),
            ("", false),
            ("e\u{301}", true),
            ("❤\u{fe0f}", true),
            ("c", false)
        ]
    );
    assert_eq!(cell(&emulator, 5).width, 2);
    assert_eq!(emulator.text(0), "ab你e\u{301}❤\u{fe0f}c\n");
}

#[test]
fn underlines_have_their_kind_and_colour() {
    let emulator = emulator("\x1b[4:3;58:2::255:0:0mw\x1b[21md\x1b[4ms\x1b[24;9mx\x1b[29my");
    let curly = cell(&emulator, 0);
    assert!(curly.underline && !curly.strike);
    assert_eq!(curly.underline_style, Underline::Curly);
    assert_eq!(curly.underline_color, Color::Rgb(255, 0, 0));
    assert_eq!(cell(&emulator, 1).underline_style, Underline::Double);
    assert_eq!(cell(&emulator, 2).underline_style, Underline::Single);
    assert!(cell(&emulator, 3).strike && !cell(&emulator, 3).underline);
    assert_eq!(cell(&emulator, 4).underline_color, Color::Default);
    assert!(!cell(&emulator, 4).strike);
}

#[test]
fn looks_move_with_their_cells_and_go_with_them() {
    let mut emulator = emulator(&format!("{OPEN}link{CLOSE}\r\x1b[2@"));
    assert_eq!(
        (uri(&emulator, 1), uri(&emulator, 2).is_some()),
        (None, true)
    );
    emulator.feed(b"\x1b[3Gxx\r\x1b[2P");
    assert_eq!(
        (uri(&emulator, 1), uri(&emulator, 2).is_some()),
        (None, true)
    );
    emulator.feed(b"\x1b[2K");
    assert!((0..20).all(|col| uri(&emulator, col).is_none()));
}

#[test]
fn a_snapshot_has_links_and_no_tags() {
    let whole = emulator(&format!("{OPEN}a{CLOSE}\x1b[4:3mb\x1b[m{OPEN}e\u{301}"));
    let bytes = whole.snapshot(0).bytes;
    let text = String::from_utf8(bytes).unwrap();
    assert!(!text.contains(is_tag), "{text:?}");
    let mut copy = emulator(&text);
    assert_eq!(copy.difference(&whole, 9), None);
    copy.feed(b"z");
    assert_eq!(uri(&copy, 3), Some("https://example.org/"));
}

#[test]
fn the_scrollback_keeps_underlines_and_drops_links() {
    let emulator = emulator(&format!("{OPEN}a{CLOSE}\x1b[4:3mb\x1b[mc\r\n\n\n\n"));
    let line = emulator.scrollback_line(0).unwrap();
    assert_eq!(line, "a\x1b[4:3mb\x1b[mc");
    let cells: Vec<_> = crate::line_cells(line).collect();
    assert_eq!(cells[1].underline_style, Underline::Curly);
}

#[test]
fn another_size_keeps_underlines() {
    let mut emulator = emulator("\x1b[9;4:4mab\x1b[m cd");
    emulator.resize(4, 3);
    emulator.resize(4, 20);
    assert_eq!(cell(&emulator, 1).underline_style, Underline::Dotted);
    assert!(cell(&emulator, 1).strike && !cell(&emulator, 3).strike);
}

#[test]
fn programs_cannot_print_tags() {
    let mut emulator = emulator(&format!("{OPEN}a{CLOSE}"));
    emulator.feed("b\u{e0100}".as_bytes());
    assert_eq!((cell(&emulator, 1).text, uri(&emulator, 1)), ("b", None));
}

#[test]
fn more_looks_than_tags_show_the_rest_without_until_there_is_room() {
    let mut emulator = Emulator::new(24, 80, Options::default());
    let colored = |n: usize| format!("\x1b[4;58:2::{}:{}:0mx", n / 250, n % 250);
    for n in 0..TAGS + 20 {
        emulator.feed(colored(n).as_bytes());
    }
    let colors = |emulator: &Emulator| {
        let cells = (0..24).flat_map(|row| (0..80).map(move |col| (row, col)));
        cells
            .filter_map(|(row, col)| emulator.cell(row, col))
            .filter(|cell| cell.underline_color != Color::Default)
            .count()
    };
    assert_eq!(colors(&emulator), TAGS);
    // What is gone from the screen makes room, once enough was printed to pay for looking.
    emulator.feed(b"\x1b[m\x1b[2J\x1b[H");
    for n in 0..1000 {
        emulator.feed(colored(n + 300).as_bytes());
    }
    assert!(colors(&emulator) > 0);
}
