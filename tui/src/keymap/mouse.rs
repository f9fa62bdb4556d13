//! A mouse event as the bytes that a terminal would send a program for it.
//!
//! Source: xterm's control sequences, "Mouse Tracking".

use cmdop_emulator::{Modes, MouseEncoding, MouseMode};
use crossterm::event::{KeyModifiers, MouseButton, MouseEvent, MouseEventKind};

/// Added to a button's code for motion.
const MOTION: u16 = 32;
/// The wheel's first code.
const WHEEL: u16 = 64;
/// What says "released" where the button cannot be told.
const RELEASED: u16 = 3;
/// The largest coordinate that one byte can say.
const MAX_BYTE: u16 = 223;
/// The largest coordinate that two bytes of UTF-8 can say.
const MAX_UTF8: u16 = 2015;

/// The bytes for `event` at a row and column of the program's screen, from 0; `None` where the program
/// wants none of it. With a pixel encoding cells are told as if each were one pixel: their size is not
/// known here.
pub fn encode(event: MouseEvent, row: u16, col: u16, modes: &Modes) -> Option<Vec<u8>> {
    if !wants(event.kind, modes.mouse) {
        return None;
    }
    let (code, is_release) = code(event, modes.mouse);
    let (x, y) = (col.saturating_add(1), row.saturating_add(1));
    let end = if is_release { 'm' } else { 'M' };
    Some(match modes.mouse_encoding {
        MouseEncoding::Sgr | MouseEncoding::SgrPixels => {
            format!("\x1b[<{code};{x};{y}{end}").into_bytes()
        }
        MouseEncoding::Urxvt => {
            format!("\x1b[{};{x};{y}M", plain(code, is_release) + 32).into_bytes()
        }
        MouseEncoding::Default => {
            if x > MAX_BYTE || y > MAX_BYTE {
                return None;
            }
            let byte = |value: u16| (value + 32) as u8;
            vec![
                0x1b,
                b'[',
                b'M',
                byte(plain(code, is_release)),
                byte(x),
                byte(y),
            ]
        }
        MouseEncoding::Utf8 => {
            if x > MAX_UTF8 || y > MAX_UTF8 {
                return None;
            }
            let mut text = String::from("\x1b[M");
            let values = [plain(code, is_release), x, y];
            text.extend(
                values
                    .iter()
                    .filter_map(|value| char::from_u32(u32::from(value + 32))),
            );
            text.into_bytes()
        }
    })
}

/// Older encodings cannot say which button was released.
fn plain(code: u16, is_release: bool) -> u16 {
    if is_release {
        code & !3 | RELEASED
    } else {
        code
    }
}

fn wants(kind: MouseEventKind, mode: MouseMode) -> bool {
    use MouseEventKind::{Down, Moved, ScrollDown, ScrollLeft, ScrollRight, ScrollUp, Up};
    let is_press = matches!(
        kind,
        Down(_) | ScrollUp | ScrollDown | ScrollLeft | ScrollRight
    );
    match mode {
        MouseMode::None => false,
        MouseMode::Press => is_press,
        MouseMode::PressRelease => is_press || matches!(kind, Up(_)),
        MouseMode::ButtonMotion => kind != Moved,
        MouseMode::AnyMotion => true,
    }
}

fn code(event: MouseEvent, mode: MouseMode) -> (u16, bool) {
    let button = |button| match button {
        MouseButton::Left => 0,
        MouseButton::Middle => 1,
        MouseButton::Right => 2,
    };
    let (code, is_release) = match event.kind {
        MouseEventKind::Down(which) => (button(which), false),
        MouseEventKind::Up(which) => (button(which), true),
        MouseEventKind::Drag(which) => (button(which) + MOTION, false),
        MouseEventKind::Moved => (RELEASED + MOTION, false),
        MouseEventKind::ScrollUp => (WHEEL, false),
        MouseEventKind::ScrollDown => (WHEEL + 1, false),
        MouseEventKind::ScrollLeft => (WHEEL + 2, false),
        MouseEventKind::ScrollRight => (WHEEL + 3, false),
    };
    // X10's mode knows no modifiers.
    let modifiers = if mode == MouseMode::Press {
        KeyModifiers::NONE
    } else {
        event.modifiers
    };
    let added: u16 = [
        (KeyModifiers::SHIFT, 4),
        (KeyModifiers::ALT, 8),
        (KeyModifiers::CONTROL, 16),
    ]
    .iter()
    .filter(|(modifier, _)| modifiers.contains(*modifier))
    .map(|(_, value)| value)
    .sum();
    (code + added, is_release)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEFT: MouseButton = MouseButton::Left;

    fn sent(
        kind: MouseEventKind,
        mouse: MouseMode,
        mouse_encoding: MouseEncoding,
    ) -> Option<String> {
        let modes = Modes {
            mouse,
            mouse_encoding,
            ..Modes::default()
        };
        let event = MouseEvent {
            kind,
            column: 0,
            row: 0,
            modifiers: KeyModifiers::CONTROL,
        };
        encode(event, 4, 9, &modes).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    #[test]
    fn each_encoding_says_the_same_click() {
        let sent = |encoding| {
            sent(
                MouseEventKind::Down(LEFT),
                MouseMode::PressRelease,
                encoding,
            )
        };
        assert_eq!(sent(MouseEncoding::Sgr).unwrap(), "\x1b[<16;10;5M");
        assert_eq!(sent(MouseEncoding::Urxvt).unwrap(), "\x1b[48;10;5M");
        assert_eq!(sent(MouseEncoding::Default).unwrap(), "\x1b[M0*%");
        assert_eq!(sent(MouseEncoding::Utf8).unwrap(), "\x1b[M0*%");
    }

    #[test]
    fn a_release_names_its_button_where_it_can() {
        let sent = |encoding| sent(MouseEventKind::Up(LEFT), MouseMode::PressRelease, encoding);
        assert_eq!(sent(MouseEncoding::Sgr).unwrap(), "\x1b[<16;10;5m");
        assert_eq!(sent(MouseEncoding::Default).unwrap(), "\x1b[M3*%");
    }

    #[test]
    fn a_program_gets_what_it_asked_for_and_no_more() {
        use MouseEventKind::{Down, Drag, Moved, ScrollUp, Up};
        let kinds = [Down(LEFT), Up(LEFT), Drag(LEFT), Moved, ScrollUp];
        for (mode, wanted) in [
            (MouseMode::None, [false; 5]),
            (MouseMode::Press, [true, false, false, false, true]),
            (MouseMode::PressRelease, [true, true, false, false, true]),
            (MouseMode::ButtonMotion, [true, true, true, false, true]),
            (MouseMode::AnyMotion, [true; 5]),
        ] {
            let got = kinds.map(|kind| sent(kind, mode, MouseEncoding::Sgr).is_some());
            assert_eq!(got, wanted, "{mode:?}");
        }
    }

    #[test]
    fn what_an_encoding_cannot_say_is_not_sent() {
        let modes = Modes {
            mouse: MouseMode::PressRelease,
            ..Modes::default()
        };
        let event = MouseEvent {
            kind: MouseEventKind::Down(LEFT),
            column: 0,
            row: 0,
            modifiers: KeyModifiers::NONE,
        };
        assert_eq!(encode(event, 0, 250, &modes), None);
    }
}
