//! What a program asked of whoever shows its screen, in order and bounded.
//!
//! Every string here is stripped of control characters and cut to a length: it comes from a
//! program that may be hostile. It is still text somebody else wrote.

/// How many events wait at most; a flood of bells is worth no more than this many.
const MAX_EVENTS: usize = 256;

/// How many bytes of text all waiting events may hold together.
const MAX_BYTES: usize = 2 << 20;

/// Titles, icon names and directories are cut to this many bytes.
pub(crate) const MAX_NAME: usize = 1024;

/// Something that happened in the stream and is not part of the screen.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The bell rang.
    Bell,
    /// The window's title changed (OSC 0 and 2); at most 1 KiB.
    Title(String),
    /// The icon's name changed (OSC 0 and 1); at most 1 KiB.
    IconName(String),
    /// The program's directory as it reported it: the path of OSC 7's `file://` URL, still
    /// percent-encoded, or what OSC 9;9 and OSC 1337;CurrentDir gave; at most 1 KiB.
    Cwd(String),
    /// The program wants a person's attention (OSC 9, OSC 777;notify); each part at most 1 KiB.
    Notification {
        /// The headline; empty for OSC 9, which has none.
        title: String,
        /// The text.
        body: String,
    },
    /// The program wants to set a clipboard (OSC 52). Whether it may is the host's decision.
    Clipboard {
        /// Which clipboards: letters of `cpqs01234567`; empty means the terminal's choice.
        selection: String,
        /// What to put there, base64 as received, at most 1 MiB; empty clears the clipboard.
        data: String,
    },
    /// A shell marked a step of its prompt cycle (OSC 133).
    Prompt(Prompt),
    /// The grid panicked and was rebuilt from what could be read of it; see the crate's docs.
    Rebuilt,
}

/// A step of a shell's prompt cycle (OSC 133).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prompt {
    /// `A`: a prompt begins.
    Start,
    /// `B`: the prompt ends, what follows is typed by the user.
    Input,
    /// `C`: the command runs, what follows is its output.
    Output,
    /// `D`: the command ended, with its exit code if the shell told.
    End(Option<i32>),
}

/// The queue of events that nobody has taken yet.
#[derive(Debug, Default)]
pub(crate) struct Events {
    waiting: Vec<Event>,
    bytes: usize,
}

impl Events {
    /// Adds `event`, unless the queue is full. A name replaces an older name of the same kind
    /// that is last in the queue, so that a spinner in a title costs one entry.
    pub(crate) fn push(&mut self, event: Event) {
        if let (Some(Event::Title(last)), Event::Title(new)) = (self.waiting.last_mut(), &event) {
            self.bytes += new.len();
            self.bytes -= last.len();
            last.clone_from(new);
            return;
        }
        if self.waiting.len() < MAX_EVENTS && self.bytes + event.weight() <= MAX_BYTES {
            self.bytes += event.weight();
            self.waiting.push(event);
        }
    }

    /// Everything that happened since the last call, oldest first.
    pub(crate) fn take(&mut self) -> Vec<Event> {
        self.bytes = 0;
        std::mem::take(&mut self.waiting)
    }
}

impl Event {
    fn weight(&self) -> usize {
        match self {
            Self::Title(text) | Self::IconName(text) | Self::Cwd(text) => text.len(),
            Self::Notification { title, body } => title.len() + body.len(),
            Self::Clipboard { selection, data } => selection.len() + data.len(),
            Self::Bell | Self::Prompt(_) | Self::Rebuilt => 0,
        }
    }
}

/// `bytes` as text without control characters, at most `max` bytes long.
pub(crate) fn clean(bytes: &[u8], max: usize) -> String {
    let mut text = String::new();
    // A replacement character is three times as long as the byte it replaces.
    let head = &bytes[..bytes.len().min(max)];
    for character in String::from_utf8_lossy(head).chars() {
        if character.is_control() || character == '\u{feff}' {
            continue;
        }
        if text.len() + character.len_utf8() > max {
            break;
        }
        text.push(character);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remote_text_has_no_controls_and_a_bounded_length() {
        assert_eq!(clean(b"a\x1b[31m\x07b\xff\n", 64), "a[31mb\u{fffd}");
        assert_eq!(clean("ééé".as_bytes(), 4), "éé");
        assert!(clean(&[0xff; 100], 10).len() <= 10);
    }

    #[test]
    fn a_flood_of_events_is_bounded() {
        let mut events = Events::default();
        for _ in 0..10_000 {
            events.push(Event::Bell);
            events.push(Event::Cwd("x".repeat(MAX_NAME)));
        }
        assert_eq!(events.take().len(), MAX_EVENTS);
        assert!(events.take().is_empty());
    }

    #[test]
    fn a_title_replaces_the_title_before_it() {
        let mut events = Events::default();
        events.push(Event::Title("one".into()));
        events.push(Event::Title("two".into()));
        assert_eq!(events.take(), [Event::Title("two".into())]);
    }
}
