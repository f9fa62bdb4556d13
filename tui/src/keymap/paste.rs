//! Pasted text on its way to a program: never a way out of the paste, never a surprise.

use cmdop_emulator::Modes;

/// The bytes for pasted text: line ends as the Enter key, no control characters but tabs (so that it
/// cannot end the bracket that it stands in, or steer the terminal), bracketed if the program asked.
pub fn paste(text: &str, modes: &Modes) -> Vec<u8> {
    let mut clean = String::with_capacity(text.len() + 12);
    if modes.bracketed_paste {
        clean.push_str("\x1b[200~");
    }
    let mut after_return = false;
    for c in text.chars() {
        match c {
            '\n' if after_return => {}
            '\r' | '\n' => clean.push('\r'),
            '\t' => clean.push('\t'),
            c if c.is_control() => {}
            c => clean.push(c),
        }
        after_return = c == '\r';
    }
    if modes.bracketed_paste {
        clean.push_str("\x1b[201~");
    }
    clean.into_bytes()
}

/// Whether a paste can run nothing by itself: the program brackets it, or it is part of one line.
pub fn is_harmless(text: &str, modes: &Modes) -> bool {
    modes.bracketed_paste || !text.contains(['\n', '\r'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn modes(bracketed_paste: bool) -> Modes {
        Modes {
            bracketed_paste,
            ..Modes::default()
        }
    }

    #[test]
    fn line_ends_become_the_enter_key() {
        assert_eq!(
            paste("a\r\nb\nc\rd\n\ne\tf", &modes(false)),
            b"a\rb\rc\rd\r\re\tf"
        );
    }

    #[test]
    fn a_paste_cannot_leave_its_bracket() {
        let hostile = "x\x1b[201~rm -rf /\x03\u{9b}y";
        assert_eq!(
            paste(hostile, &modes(true)),
            b"\x1b[200~x[201~rm -rf /y\x1b[201~"
        );
    }

    #[test]
    fn several_lines_are_harmless_only_where_they_are_bracketed() {
        assert!(is_harmless("ls", &modes(false)));
        assert!(!is_harmless("ls\n", &modes(false)));
        assert!(is_harmless("ls\nls\n", &modes(true)));
    }
}
