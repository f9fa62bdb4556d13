//! The one keyframe that a session keeps for all who need one, and who asked the agent for it.
//!
//! It does not know who waits; it knows whether what is here will do.

use std::time::Duration;

use cmdop_proto::{Offset, v1};
use tokio::time::Instant;

/// A screen is drawn in milliseconds; an agent that owes one for so long has lost the request, or
/// answered with something that is none.
const ANSWER: Duration = Duration::from_secs(10);

/// The newest keyframe, and the request that is under way.
#[derive(Debug, Default)]
pub(crate) struct Keyframes {
    newest: Option<v1::Keyframe>,
    /// When the agent was asked for one; `None`: nothing is under way.
    asked: Option<Instant>,
    /// The size changed: everybody needs the next one, not only who fell out.
    announce_next: bool,
    /// Counts the announced ones.
    announced: u64,
}

impl Keyframes {
    /// A keyframe at `at_least` or later.
    pub(crate) fn usable(&self, at_least: Offset) -> Option<&v1::Keyframe> {
        let newest = self.newest.as_ref();
        newest.filter(|frame| Offset(frame.offset) >= at_least)
    }

    /// The announced keyframe that a reader who has seen `seen` announcements still has to show.
    pub(crate) fn announced(&self, seen: u64) -> Option<&v1::Keyframe> {
        self.newest.as_ref().filter(|_| self.announced > seen)
    }

    /// How many were announced.
    pub(crate) fn announcements(&self) -> u64 {
        self.announced
    }

    /// Whether the agent has to be asked now: once for all who wait.
    pub(crate) fn ask(&mut self, now: Instant) -> bool {
        let needed = self.asked.is_none();
        self.asked.get_or_insert(now);
        needed
    }

    /// Whether the agent owes one still, which it is to be asked for once more.
    pub(crate) fn ask_again(&mut self, now: Instant) -> bool {
        self.asked = self.asked.map(|_| now);
        self.asked.is_some()
    }

    /// When the agent has owed one for too long.
    pub(crate) fn overdue_at(&self) -> Option<Instant> {
        self.asked.map(|at| at + ANSWER)
    }

    /// Nobody waits for it any more.
    pub(crate) fn withdraw(&mut self) {
        self.asked = None;
    }

    /// The terminal has another size: an older picture is of no use.
    pub(crate) fn resized(&mut self) {
        self.newest = None;
        self.announce_next = true;
        self.asked = None;
    }

    /// One came from the agent.
    pub(crate) fn came(&mut self, frame: v1::Keyframe) {
        self.asked = None;
        self.newest = Some(frame);
        if std::mem::take(&mut self.announce_next) {
            self.announced += 1;
        }
    }

    /// The bytes that it keeps.
    pub(crate) fn bytes(&self) -> usize {
        self.newest.as_ref().map_or(0, |frame| frame.data.len())
    }

    /// Gives its memory back.
    pub(crate) fn forget(&mut self) {
        self.newest = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(offset: u64) -> v1::Keyframe {
        v1::Keyframe {
            offset,
            ..v1::Keyframe::default()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_agent_is_asked_once_for_all_who_wait() {
        let mut keyframes = Keyframes::default();
        let now = Instant::now();
        assert!(keyframes.ask(now));
        assert!(!keyframes.ask(now));
        assert!(keyframes.ask_again(now));
        keyframes.came(frame(7));
        assert!(!keyframes.ask_again(now));
        assert!(keyframes.ask(now));
        assert!(keyframes.usable(Offset(7)).is_some());
        assert!(keyframes.usable(Offset(8)).is_none());
    }

    #[test]
    fn after_a_resize_everybody_gets_the_next_one_once() {
        let mut keyframes = Keyframes::default();
        keyframes.came(frame(1));
        assert!(keyframes.announced(0).is_none());
        keyframes.resized();
        assert!(keyframes.usable(Offset(0)).is_none());
        keyframes.came(frame(5));
        assert_eq!(keyframes.announced(0).unwrap().offset, 5);
        assert!(keyframes.announced(keyframes.announcements()).is_none());
    }
}
