//! Remote text is attacker's text: what may be kept of it, and how it is shown.

/// `text` without control characters and without what could hide or reorder the rest (bidirectional
/// controls, zero-width marks), cut to `max_bytes` at a character's edge.
///
/// For every string that comes from another machine, at the edge and again where it is shown.
pub fn shown(text: &str, max_bytes: usize) -> String {
    let mut out = String::with_capacity(text.len().min(max_bytes));
    for c in text.chars().filter(|c| !is_hidden(*c)) {
        if out.len() + c.len_utf8() > max_bytes {
            break;
        }
        out.push(c);
    }
    out
}

/// Whether a character could change how its neighbours are shown instead of being shown itself.
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{00ad}' | '\u{061c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Whether `name` can be a hostname: letters, digits, `-`, `_` and `.`, 1 to 253 bytes, and no dot
/// or hyphen at either end.
pub fn is_hostname(name: &str) -> bool {
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    name.len() <= crate::limits::MAX_HOSTNAME
        && edge(name.chars().next())
        && edge(name.chars().last())
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

/// Whether `name` can name a session: as a hostname, at most 64 bytes.
pub fn is_name(name: &str) -> bool {
    name.len() <= crate::limits::MAX_NAME && is_hostname(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controls_and_reordering_marks_are_never_shown() {
        assert_eq!(shown("a\x1b[31mb\u{202e}c\r\n\u{9b}d", 100), "a[31mbcd");
    }

    #[test]
    fn text_is_cut_at_a_character() {
        assert_eq!(shown("äöü", 5), "äö");
    }

    #[test]
    fn a_hostname_has_no_surprises() {
        assert!(is_hostname("web-1.example.org"));
        for bad in ["", "-a", "a-", "a b", "a/b", "ä", "a\n", &"a".repeat(254)] {
            assert!(!is_hostname(bad), "{bad:?}");
        }
    }
}
