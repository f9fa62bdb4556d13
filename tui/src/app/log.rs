//! The messages so far, for whoever missed one.

use std::collections::VecDeque;

use super::toasts::Level;

/// Older ones are forgotten.
const MAX_ENTRIES: usize = 500;

/// A message, and when it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// How bad it is.
    pub level: Level,
    /// What happened.
    pub text: String,
    /// How often, one after the other.
    pub times: u32,
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Log {
    entries: VecDeque<Entry>,
}

impl Log {
    /// Adds a message; the same again is counted.
    pub fn add(&mut self, level: Level, text: &str, at_ms: u64) {
        if let Some(last) = self.entries.back_mut().filter(|last| last.text == text) {
            last.at_ms = at_ms;
            last.times += 1;
            return;
        }
        if self.entries.len() == MAX_ENTRIES {
            self.entries.pop_front();
        }
        self.entries.push_back(Entry {
            at_ms,
            level,
            text: text.to_owned(),
            times: 1,
        });
    }

    /// The newest first.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().rev()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_message_is_counted_and_old_ones_are_forgotten() {
        let mut log = Log::default();
        for number in 0..600 {
            log.add(Level::Info, &format!("message {number}"), number);
            log.add(Level::Info, &format!("message {number}"), number);
        }
        assert_eq!(log.iter().count(), MAX_ENTRIES);
        let newest = log.iter().next().unwrap();
        assert_eq!((newest.text.as_str(), newest.times), ("message 599", 2));
    }
}
