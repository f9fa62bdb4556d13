//! One line of text that is being typed: for names, searches and commands.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use unicode_width::UnicodeWidthStr as _;

/// Longer ones are of no use to anything that asks for a line.
const MAX_BYTES: usize = 4 << 10;

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    text: String,
    /// A byte offset, between two characters.
    cursor: usize,
}

impl Line {
    /// A line to be changed; its cursor is at its end.
    pub fn new(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            cursor: text.len(),
        }
    }

    /// What stands in it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// How many columns are before the cursor.
    pub fn column(&self) -> usize {
        self.text[..self.cursor].width()
    }

    /// Adds text at the cursor, without controls.
    pub fn insert(&mut self, text: &str) {
        for c in text.chars().filter(|c| !c.is_control()) {
            if self.text.len() + c.len_utf8() > MAX_BYTES {
                return;
            }
            self.text.insert(self.cursor, c);
            self.cursor += c.len_utf8();
        }
    }

    /// Takes a key; `false`: it means nothing to a line.
    pub fn press(&mut self, key: &KeyEvent) -> bool {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        let alt = key.modifiers.contains(KeyModifiers::ALT);
        match key.code {
            KeyCode::Char('a') if control => self.cursor = 0,
            KeyCode::Char('e') if control => self.cursor = self.text.len(),
            KeyCode::Char('b') if control => self.cursor = self.left(),
            KeyCode::Char('f') if control => self.cursor = self.right(),
            KeyCode::Char('d') if control => self.cut(self.cursor, self.right()),
            KeyCode::Char('h') if control => self.cut(self.left(), self.cursor),
            KeyCode::Char('k') if control => self.cut(self.cursor, self.text.len()),
            KeyCode::Char('u') if control => self.cut(0, self.cursor),
            KeyCode::Char('w') if control => self.cut(self.word_left(), self.cursor),
            KeyCode::Backspace if alt => self.cut(self.word_left(), self.cursor),
            KeyCode::Char('b') if alt => self.cursor = self.word_left(),
            KeyCode::Char('f') if alt => self.cursor = self.word_right(),
            KeyCode::Char(_) if control || alt => return false,
            KeyCode::Char(c) => self.insert(c.encode_utf8(&mut [0; 4])),
            KeyCode::Backspace => self.cut(self.left(), self.cursor),
            KeyCode::Delete => self.cut(self.cursor, self.right()),
            KeyCode::Left if control => self.cursor = self.word_left(),
            KeyCode::Right if control => self.cursor = self.word_right(),
            KeyCode::Left => self.cursor = self.left(),
            KeyCode::Right => self.cursor = self.right(),
            KeyCode::Home => self.cursor = 0,
            KeyCode::End => self.cursor = self.text.len(),
            _ => return false,
        }
        true
    }

    fn cut(&mut self, from: usize, to: usize) {
        self.text.replace_range(from..to, "");
        self.cursor = from;
    }

    fn left(&self) -> usize {
        let before = self.text[..self.cursor].char_indices().next_back();
        before.map_or(0, |(at, _)| at)
    }

    fn right(&self) -> usize {
        let next = self.text[self.cursor..].chars().next();
        self.cursor + next.map_or(0, char::len_utf8)
    }

    fn word_left(&self) -> usize {
        let before = self.text[..self.cursor].trim_end_matches(|c: char| !c.is_alphanumeric());
        let start = before.trim_end_matches(char::is_alphanumeric);
        start.len()
    }

    fn word_right(&self) -> usize {
        let after = self.text[self.cursor..].trim_start_matches(|c: char| !c.is_alphanumeric());
        let rest = after.trim_start_matches(char::is_alphanumeric);
        self.text.len() - rest.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(start: &str, keys: &[&str]) -> (String, usize) {
        let mut line = Line::new(start);
        for key in keys {
            let chord: crate::keymap::Chord = key.parse().unwrap();
            line.press(&chord.event());
        }
        (line.text().to_owned(), line.column())
    }

    #[test]
    fn a_line_is_edited_as_in_a_shell() {
        assert_eq!(after("web", &["-", "1"]), ("web-1".into(), 5));
        assert_eq!(after("web-1 db", &["C-w"]), ("web-1 ".into(), 6));
        assert_eq!(
            after("web", &["C-a", "x", "Right", "Backspace"]),
            ("xeb".into(), 1)
        );
        assert_eq!(after("web-1 db", &["M-b", "C-k"]), ("web-1 ".into(), 6));
        assert_eq!(after("web", &["C-u", "é", "漢"]), ("é漢".into(), 3));
        assert_eq!(
            after("é漢", &["Left", "Delete", "Home", "C-Right"]),
            ("é".into(), 1)
        );
    }

    #[test]
    fn a_line_takes_no_controls_and_no_flood() {
        let mut line = Line::default();
        line.insert("a\x1b[31m\nb");
        assert_eq!(line.text(), "a[31mb");
        line.insert(&"漢".repeat(10_000));
        assert!(line.text().len() <= MAX_BYTES);
        assert!(!line.press(&"C-x".parse::<crate::keymap::Chord>().unwrap().event()));
    }
}
