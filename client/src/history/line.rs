//! One line of history: characters and SGR sequences, whatever the agent sent.

/// What a line costs besides its text.
const OVERHEAD: usize = 64;

/// The longest SGR sequence that is kept: all attributes and two true colours.
const MAX_SGR: usize = 64;

/// A line that left the screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    text: Box<str>,
    is_whole: bool,
}

impl Line {
    pub(super) fn new(text: &str, is_whole: bool) -> Self {
        Self {
            text: kept(text).into_boxed_str(),
            is_whole,
        }
    }

    /// Its text with SGR sequences (`ESC [ … m`) and no other control character. It starts from default
    /// attributes, and may be wider than the screen.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Its text alone.
    pub fn plain(&self) -> String {
        let mut parts = self.text.split('\x1b');
        let mut plain = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            plain.push_str(part.split_once('m').map_or("", |(_, rest)| rest));
        }
        plain
    }

    /// Its end has left the screen too; else it goes on at the screen's top.
    pub fn is_whole(&self) -> bool {
        self.is_whole
    }

    pub(super) fn bytes(&self) -> usize {
        self.text.len() + OVERHEAD
    }
}

fn kept(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(char::is_control) {
        let (clean, tail) = rest.split_at(at);
        out.push_str(clean);
        let length = sgr(tail).unwrap_or(0);
        out.push_str(&tail[..length]);
        let control = tail.chars().next().map_or(0, char::len_utf8);
        rest = &tail[length.max(control)..];
    }
    out.push_str(rest);
    out
}

/// How long the SGR sequence is that `text` starts with.
fn sgr(text: &str) -> Option<usize> {
    let parameters = text.strip_prefix("\x1b[")?;
    let length = parameters
        .bytes()
        .take(MAX_SGR)
        .position(|byte| !matches!(byte, b'0'..=b'9' | b';' | b':'))?;
    (parameters.as_bytes().get(length) == Some(&b'm')).then_some(length + 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_characters_and_attributes_is_kept() {
        let line = Line::new(
            "a\x1b[1;38:2:1:2:3mb\x1b[2Jc\x1b]0;t\x07d\u{9b}e\x1b[mä\r\t",
            true,
        );
        assert_eq!(line.text(), "a\x1b[1;38:2:1:2:3mb[2Jc]0;tde\x1b[mä");
        assert_eq!(line.plain(), "ab[2Jc]0;tdeä");
        let endless = format!("\x1b[{}m", "1;".repeat(100));
        assert!(!Line::new(&endless, true).text().contains('\x1b'));
    }
}
