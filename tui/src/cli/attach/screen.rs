//! What is written to the user's terminal around the session's own bytes. Pure.

use cmdop_proto::Size;

/// Ends whatever sequence was cut short, and takes back what programs switch on: the other screen,
/// mouse, focus and paste reports, the kitty keyboard, scroll region, origin mode, application keys,
/// character sets, colours. Shows the cursor.
const RESET: &[u8] = b"\x18\x1b\\\
    \x1b[?1049l\x1b[?2026l\x1b[?9l\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1005l\x1b[?1006l\x1b[?1015l\
    \x1b[?1004l\x1b[?2004l\x1b[<99u\x1b[>4;0m\x1b[?1l\x1b>\x1b[?6l\x1b[?5l\x1b[?7h\x1b[4l\x1b[r\
    \x1b(B\x1b)B\x0f\x1b[0m\x1b[0 q\x1b[?25h";

/// Before the first keyframe: what stood on the screen moves into the terminal's own scrollback.
pub(in crate::cli) fn enter(size: Option<Size>) -> Vec<u8> {
    let rows = usize::from(size.unwrap_or(Size::DEFAULT).rows());
    let mut out = format!("\x1b[{rows};1H").into_bytes();
    out.extend(std::iter::repeat_n(b'\n', rows));
    out
}

/// Before each keyframe: a screen that is as good as new.
pub(in crate::cli) fn before_keyframe() -> Vec<u8> {
    let mut out = RESET.to_vec();
    out.extend_from_slice(b"\x1b[H\x1b[2J");
    out
}

/// On the way out: modes off, and the cursor on a line of its own below all that was shown.
pub(in crate::cli) fn leave(size: Option<Size>) -> Vec<u8> {
    let rows = size.unwrap_or(Size::DEFAULT).rows();
    let mut out = RESET.to_vec();
    out.extend_from_slice(format!("\x1b[{rows};1H\r\n").as_bytes());
    out
}

/// A line of ours in the title, where it disturbs no program's screen.
pub(in crate::cli) fn notice(text: &str) -> Vec<u8> {
    format!("\x1b]2;{}\x1b\\", cmdop_proto::text::shown(text, 200)).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_screen_that_was_left_has_no_mode_switched_on() {
        let text = String::from_utf8(leave(None)).unwrap();
        for off in [
            "?1049l", "?1000l", "?1003l", "?1006l", "?2004l", "?1004l", "<99u", "?25h",
        ] {
            assert!(text.contains(off), "{off}");
        }
    }
}
