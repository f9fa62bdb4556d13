//! A key press as the bytes that a terminal would send for it.
//!
//! crossterm hands over events, not bytes, so this is the way back: xterm's encoding, shaped by the
//! modes that the remote program has set. What a terminal cannot say (a lone modifier, a media key)
//! is nothing.

use cmdop_emulator::Modes;
use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

/// kitty's keyboard protocol, flag 1: keys that legacy encodings confuse are told apart.
const DISAMBIGUATE: u8 = 1;

/// The bytes for `event`; empty when it has none.
pub fn encode(event: &KeyEvent, modes: &Modes) -> Vec<u8> {
    if event.kind == KeyEventKind::Release {
        return Vec::new();
    }
    let modifiers = event.modifiers;
    if modes.kitty_keyboard & DISAMBIGUATE != 0
        && let Some(code) = ambiguous(event)
    {
        return format!("\x1b[{code};{}u", parameter(modifiers)).into_bytes();
    }
    match event.code {
        KeyCode::Char(c) => character(c, modifiers),
        KeyCode::Enter => alt(modifiers, b"\r"),
        KeyCode::Tab if modifiers.contains(KeyModifiers::SHIFT) => b"\x1b[Z".to_vec(),
        KeyCode::Tab => alt(modifiers, b"\t"),
        KeyCode::BackTab => b"\x1b[Z".to_vec(),
        KeyCode::Backspace if modifiers.contains(KeyModifiers::CONTROL) => alt(modifiers, b"\x08"),
        KeyCode::Backspace => alt(modifiers, b"\x7f"),
        KeyCode::Esc => alt(modifiers, b"\x1b"),
        KeyCode::Null => b"\0".to_vec(),
        code => function(code, modifiers, modes.application_cursor),
    }
}

/// The code of a key that the kitty protocol wants to be sent as `CSI code ; modifiers u`.
fn ambiguous(event: &KeyEvent) -> Option<u32> {
    let modified = !event.modifiers.difference(KeyModifiers::SHIFT).is_empty();
    match event.code {
        KeyCode::Esc => Some(27),
        KeyCode::Char(c) if modified => Some(c.to_lowercase().next().unwrap_or(c).into()),
        KeyCode::Enter if !event.modifiers.is_empty() => Some(13),
        KeyCode::Tab if modified => Some(9),
        KeyCode::Backspace if !event.modifiers.is_empty() => Some(127),
        _ => None,
    }
}

fn character(c: char, modifiers: KeyModifiers) -> Vec<u8> {
    if modifiers.contains(KeyModifiers::CONTROL)
        && let Some(control) = control(c)
    {
        return alt(modifiers, &[control]);
    }
    alt(modifiers, c.encode_utf8(&mut [0; 4]).as_bytes())
}

/// What ctrl makes of a character. The digits are how crossterm reports `C-\ C-] C-^ C-_`, and what
/// xterm sends for them.
fn control(c: char) -> Option<u8> {
    Some(match c {
        'a'..='z' | 'A'..='Z' | '[' | '\\' | ']' | '^' | '_' | '@' => c as u8 & 0x1f,
        ' ' | '2' | '`' => 0,
        '3' => 0x1b,
        '4' => 0x1c,
        '5' => 0x1d,
        '6' => 0x1e,
        '7' | '/' | '-' => 0x1f,
        '8' | '?' => 0x7f,
        _ => return None,
    })
}

/// Alt is an ESC before the bytes.
fn alt(modifiers: KeyModifiers, bytes: &[u8]) -> Vec<u8> {
    let escape: &[u8] = if modifiers.contains(KeyModifiers::ALT) {
        b"\x1b"
    } else {
        b""
    };
    [escape, bytes].concat()
}

/// Keys that have been escape sequences since the VT220.
fn function(code: KeyCode, modifiers: KeyModifiers, application_cursor: bool) -> Vec<u8> {
    let modified = parameter(modifiers) > 1;
    let letter = |letter: char, introducer: &str| {
        if modified {
            format!("\x1b[1;{}{letter}", parameter(modifiers))
        } else {
            format!("\x1b{introducer}{letter}")
        }
    };
    let number = |number: u8| {
        if modified {
            format!("\x1b[{number};{}~", parameter(modifiers))
        } else {
            format!("\x1b[{number}~")
        }
    };
    let cursor = if application_cursor { "O" } else { "[" };
    let sequence = match code {
        KeyCode::Up => letter('A', cursor),
        KeyCode::Down => letter('B', cursor),
        KeyCode::Right => letter('C', cursor),
        KeyCode::Left => letter('D', cursor),
        KeyCode::KeypadBegin => letter('E', cursor),
        KeyCode::End => letter('F', cursor),
        KeyCode::Home => letter('H', cursor),
        KeyCode::Insert => number(2),
        KeyCode::Delete => number(3),
        KeyCode::PageUp => number(5),
        KeyCode::PageDown => number(6),
        KeyCode::F(n @ 1..=4) => letter(char::from(b'P' + n - 1), "O"),
        KeyCode::F(n @ 5..=20) => number(FUNCTION_KEYS[usize::from(n) - 5]),
        _ => String::new(),
    };
    sequence.into_bytes()
}

/// The VT220's numbers of F5 to F20, with its gaps.
const FUNCTION_KEYS: [u8; 16] = [
    15, 17, 18, 19, 20, 21, 23, 24, 25, 26, 28, 29, 31, 32, 33, 34,
];

/// xterm's number for modifiers: 1 and a bit for each.
fn parameter(modifiers: KeyModifiers) -> u8 {
    let bit = |modifier, bit| if modifiers.contains(modifier) { bit } else { 0 };
    1 + bit(KeyModifiers::SHIFT, 1)
        + bit(KeyModifiers::ALT, 2)
        + bit(KeyModifiers::CONTROL, 4)
        + bit(KeyModifiers::SUPER, 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: KeyModifiers = KeyModifiers::NONE;
    const SHIFT: KeyModifiers = KeyModifiers::SHIFT;
    const ALT: KeyModifiers = KeyModifiers::ALT;
    const CTRL: KeyModifiers = KeyModifiers::CONTROL;

    fn check(modes: &Modes, table: &[(KeyCode, KeyModifiers, &str)]) {
        for (code, modifiers, expected) in table {
            let bytes = encode(&KeyEvent::new(*code, *modifiers), modes);
            assert_eq!(bytes, expected.as_bytes(), "{modifiers:?} {code:?}");
        }
    }

    #[test]
    fn characters_are_themselves() {
        check(
            &Modes::default(),
            &[
                (KeyCode::Char('a'), NONE, "a"),
                (KeyCode::Char('A'), SHIFT, "A"),
                (KeyCode::Char('€'), NONE, "€"),
                (KeyCode::Char('é'), ALT, "\x1bé"),
                (KeyCode::Char('x'), ALT, "\x1bx"),
                (KeyCode::Enter, NONE, "\r"),
                (KeyCode::Enter, ALT, "\x1b\r"),
                (KeyCode::Tab, NONE, "\t"),
                (KeyCode::Tab, SHIFT, "\x1b[Z"),
                (KeyCode::BackTab, SHIFT, "\x1b[Z"),
                (KeyCode::Backspace, NONE, "\x7f"),
                (KeyCode::Backspace, ALT, "\x1b\x7f"),
                (KeyCode::Backspace, CTRL, "\x08"),
                (KeyCode::Esc, NONE, "\x1b"),
                (KeyCode::Esc, ALT, "\x1b\x1b"),
                (KeyCode::Null, NONE, "\0"),
            ],
        );
    }

    #[test]
    fn ctrl_makes_every_control_character() {
        for (offset, c) in ('a'..='z').enumerate() {
            let bytes = encode(&KeyEvent::new(KeyCode::Char(c), CTRL), &Modes::default());
            assert_eq!(bytes, [offset as u8 + 1], "C-{c}");
        }
        check(
            &Modes::default(),
            &[
                (KeyCode::Char(' '), CTRL, "\0"),
                (KeyCode::Char('@'), CTRL, "\0"),
                (KeyCode::Char('4'), CTRL, "\x1c"),
                (KeyCode::Char('\\'), CTRL, "\x1c"),
                (KeyCode::Char('5'), CTRL, "\x1d"),
                (KeyCode::Char('6'), CTRL, "\x1e"),
                (KeyCode::Char('7'), CTRL, "\x1f"),
                (KeyCode::Char('/'), CTRL, "\x1f"),
                (KeyCode::Char('?'), CTRL, "\x7f"),
                (KeyCode::Char('c'), CTRL | ALT, "\x1b\x03"),
                (KeyCode::Char('C'), CTRL | SHIFT, "\x03"),
                (KeyCode::Char('1'), CTRL, "1"),
            ],
        );
    }

    #[test]
    fn arrows_follow_the_cursor_mode_unless_modified() {
        let application = Modes {
            application_cursor: true,
            ..Modes::default()
        };
        check(
            &Modes::default(),
            &[
                (KeyCode::Up, NONE, "\x1b[A"),
                (KeyCode::Down, NONE, "\x1b[B"),
                (KeyCode::Right, NONE, "\x1b[C"),
                (KeyCode::Left, NONE, "\x1b[D"),
                (KeyCode::Home, NONE, "\x1b[H"),
                (KeyCode::End, NONE, "\x1b[F"),
                (KeyCode::KeypadBegin, NONE, "\x1b[E"),
                (KeyCode::Up, CTRL, "\x1b[1;5A"),
                (KeyCode::Left, ALT | SHIFT, "\x1b[1;4D"),
            ],
        );
        check(
            &application,
            &[
                (KeyCode::Up, NONE, "\x1bOA"),
                (KeyCode::Home, NONE, "\x1bOH"),
                (KeyCode::Up, SHIFT, "\x1b[1;2A"),
            ],
        );
    }

    #[test]
    fn function_keys_have_the_numbers_of_the_vt220() {
        check(
            &Modes::default(),
            &[
                (KeyCode::F(1), NONE, "\x1bOP"),
                (KeyCode::F(4), NONE, "\x1bOS"),
                (KeyCode::F(1), SHIFT, "\x1b[1;2P"),
                (KeyCode::F(5), NONE, "\x1b[15~"),
                (KeyCode::F(6), NONE, "\x1b[17~"),
                (KeyCode::F(10), NONE, "\x1b[21~"),
                (KeyCode::F(11), NONE, "\x1b[23~"),
                (KeyCode::F(12), CTRL, "\x1b[24;5~"),
                (KeyCode::F(20), NONE, "\x1b[34~"),
                (KeyCode::F(21), NONE, ""),
                (KeyCode::Insert, NONE, "\x1b[2~"),
                (KeyCode::Delete, CTRL, "\x1b[3;5~"),
                (KeyCode::PageUp, NONE, "\x1b[5~"),
                (KeyCode::PageDown, ALT, "\x1b[6;3~"),
                (KeyCode::CapsLock, NONE, ""),
            ],
        );
    }

    #[test]
    fn the_kitty_protocol_tells_apart_what_legacy_confuses() {
        let kitty = Modes {
            kitty_keyboard: DISAMBIGUATE,
            ..Modes::default()
        };
        check(
            &kitty,
            &[
                (KeyCode::Esc, NONE, "\x1b[27;1u"),
                (KeyCode::Char('i'), CTRL, "\x1b[105;5u"),
                (KeyCode::Char('a'), ALT, "\x1b[97;3u"),
                (KeyCode::Char('A'), SHIFT, "A"),
                (KeyCode::Enter, NONE, "\r"),
                (KeyCode::Enter, SHIFT, "\x1b[13;2u"),
                (KeyCode::Tab, NONE, "\t"),
                (KeyCode::Up, NONE, "\x1b[A"),
            ],
        );
    }

    #[test]
    fn a_release_types_nothing() {
        let release = KeyEvent::new_with_kind(KeyCode::Char('a'), NONE, KeyEventKind::Release);
        assert!(encode(&release, &Modes::default()).is_empty());
    }
}
