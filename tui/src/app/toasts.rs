//! Messages that come and go by themselves, newest last, a few at a time.

use std::time::Duration;

use cmdop_proto::Refusal;
use tokio::time::Instant;

use super::model::{Model, Redraw};

/// More would cover what they are about.
const MAX_TOASTS: usize = 3;

/// Longer ones are cut.
const MAX_TEXT: usize = 1 << 10;

/// How long a message stays.
const INFO_FOR: Duration = Duration::from_secs(4);

/// An error stays long enough to be read twice; Esc takes it away.
const ERROR_FOR: Duration = Duration::from_secs(12);

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Good to know.
    Info,
    /// Something failed.
    Error,
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Toast {
    /// How bad it is.
    pub level: Level,
    /// What happened.
    pub text: String,
    /// What to do; may be empty.
    pub hint: String,
    until: Instant,
}

/// The messages that are shown.
#[derive(Clone, Debug, Default)]
pub struct Toasts {
    shown: Vec<Toast>,
}

impl Toasts {
    /// Good to know.
    pub fn info(&mut self, text: impl Into<String>, now: Instant) {
        let (text, hint, until) = (text.into(), String::new(), now + INFO_FOR);
        self.push(Toast {
            level: Level::Info,
            text,
            hint,
            until,
        });
    }

    /// Something failed.
    pub fn error(&mut self, why: &Refusal, now: Instant) {
        let (text, hint) = (why.message.clone(), why.hint.clone());
        self.push(Toast {
            level: Level::Error,
            text,
            hint,
            until: now + ERROR_FOR,
        });
    }

    /// The same message again only stays longer; the oldest gives way.
    fn push(&mut self, toast: Toast) {
        self.shown
            .retain(|other| (&other.text, &other.hint) != (&toast.text, &toast.hint));
        self.shown.push(toast);
        let surplus = self.shown.len().saturating_sub(MAX_TOASTS);
        self.shown.drain(..surplus);
    }

    /// Takes away those whose time is up; whether there were any.
    pub fn expire(&mut self, now: Instant) -> bool {
        let before = self.shown.len();
        self.shown.retain(|toast| toast.until > now);
        self.shown.len() != before
    }

    /// Takes all away.
    pub fn clear(&mut self) {
        self.shown.clear();
    }

    /// When the next one's time is up.
    pub fn next_end(&self) -> Option<Instant> {
        self.shown.iter().map(|toast| toast.until).min()
    }

    /// Oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Toast> {
        self.shown.iter()
    }
}

impl Model {
    /// Tells the user something good to know.
    pub(super) fn say(&mut self, text: impl Into<String>) {
        self.note(&text.into());
        self.draw(Redraw::Now);
    }

    /// The same of what a program does, which may do it without end: with the next frame.
    pub(super) fn say_of_program(&mut self, text: impl Into<String>) {
        self.note(&text.into());
        self.draw(Redraw::Soon);
    }

    fn note(&mut self, text: &str) {
        let text = cmdop_proto::text::shown(text, MAX_TEXT);
        self.log.add(Level::Info, &text, self.wall_ms);
        self.toasts.info(text, self.now);
    }

    /// Tells the user what failed.
    pub(super) fn complain(&mut self, why: &Refusal) {
        let text = match why.hint.as_str() {
            "" => why.message.clone(),
            hint => format!("{} ({hint})", why.message),
        };
        let text = cmdop_proto::text::shown(&text, MAX_TEXT);
        self.log.add(Level::Error, &text, self.wall_ms);
        self.toasts.error(why, self.now);
        self.draw(Redraw::Now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_message_is_shown_once_and_a_flood_is_three() {
        let mut toasts = Toasts::default();
        let now = Instant::now();
        for n in 0..10 {
            toasts.info(format!("message {n}"), now);
            toasts.info("again", now);
        }
        let texts: Vec<_> = toasts.iter().map(|toast| toast.text.as_str()).collect();
        assert_eq!(texts, ["message 8", "message 9", "again"]);
    }

    #[test]
    fn a_message_leaves_when_its_time_is_up() {
        let mut toasts = Toasts::default();
        let now = Instant::now();
        toasts.info("short", now);
        toasts.error(&Refusal::internal("long"), now);
        assert_eq!(toasts.next_end(), Some(now + INFO_FOR));
        assert!(toasts.expire(now + INFO_FOR));
        assert!(!toasts.expire(now + INFO_FOR));
        assert_eq!(toasts.iter().count(), 1);
    }
}
