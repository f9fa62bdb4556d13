//! What the line of the cursor asks for, as people would read it.

use cmdop_emulator::Emulator;

/// Words that end a question whose answer must not be shown, in lower case. The flag of the terminal says
/// so too, but comes later than the question.
const SECRETS: [&str; 6] = [
    "password",
    "passwort",
    "passphrase",
    "passcode",
    "pin",
    "secret",
];

/// How many columns before the cursor are read.
const REACH: u16 = 80;

/// Whether the text before the cursor asks for something secret: `Password:`, `Enter passphrase for …: `.
pub(super) fn asks_for_secret(screen: &Emulator) -> bool {
    let cursor = screen.cursor();
    let from = cursor.col.saturating_sub(REACH);
    let cells = (from..cursor.col).filter_map(|col| screen.cell(cursor.row, col));
    let text: String = cells
        .map(|cell| if cell.text.is_empty() { " " } else { cell.text })
        .collect();
    let text = text.trim_end().to_lowercase();
    let Some(question) = text.strip_suffix([':', '?']) else {
        return false;
    };
    question
        .split(|c: char| !c.is_alphanumeric())
        .any(|word| SECRETS.contains(&word))
}

#[cfg(test)]
mod tests {
    use cmdop_emulator::Options;

    use super::*;

    fn asks(text: &str) -> bool {
        let mut emulator = Emulator::new(4, 80, Options::default());
        emulator.feed(text.as_bytes());
        asks_for_secret(&emulator)
    }

    #[test]
    fn a_question_for_a_secret_is_known() {
        for text in [
            "[sudo] password for me: ",
            "Password:",
            "Enter passphrase for key '/home/me/.ssh/id': ",
            "PIN?",
        ] {
            assert!(asks(text), "{text}");
        }
        for text in [
            "$ ",
            "name: ",
            "$ cat password.txt",
            "spin: ",
            "password: x",
        ] {
            assert!(!asks(text), "{text}");
        }
    }
}
