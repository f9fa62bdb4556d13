//! The one keyframe that a session keeps for all who need one, and who asked the agent for it.
//!
//! It does not know who waits; it knows whether what is here will do.

use cmdop_proto::{Offset, v1};

/// The newest keyframe, and the request that is under way.
#[derive(Debug, Default)]
pub(crate) struct Keyframes {
    newest: Option<Kept>,
    /// Scrollback lines that the agent was asked for; `None`: nothing is under way.
    asked: Option<u32>,
    /// The size changed: everybody needs the next one, not only who fell out.
    announce_next: bool,
    /// Counts the announced ones.
    announced: u64,
}

#[derive(Debug)]
struct Kept {
    frame: v1::Keyframe,
    scrollback: u32,
}

impl Keyframes {
    /// A keyframe at `at_least` or later, with at least `scrollback` lines.
    pub(crate) fn usable(&self, at_least: Offset, scrollback: u32) -> Option<&v1::Keyframe> {
        self.newest
            .as_ref()
            .filter(|kept| Offset(kept.frame.offset) >= at_least && kept.scrollback >= scrollback)
            .map(|kept| &kept.frame)
    }

    /// The announced keyframe that a reader who has seen `seen` announcements still has to show.
    pub(crate) fn announced(&self, seen: u64) -> Option<&v1::Keyframe> {
        let kept = self.newest.as_ref().filter(|_| self.announced > seen);
        kept.map(|kept| &kept.frame)
    }

    /// How many were announced.
    pub(crate) fn announcements(&self) -> u64 {
        self.announced
    }

    /// Whether the agent has to be asked now for one with `scrollback` lines: once for all who wait.
    pub(crate) fn ask(&mut self, scrollback: u32) -> bool {
        let needed = self.asked.is_none_or(|asked| asked < scrollback);
        if needed {
            self.asked = Some(scrollback);
        }
        needed
    }

    /// What the agent still owes, to be asked of a new stream.
    pub(crate) fn outstanding(&self) -> Option<u32> {
        self.asked
    }

    /// The terminal has another size: an older picture is of no use.
    pub(crate) fn resized(&mut self) {
        self.newest = None;
        self.announce_next = true;
        self.asked = None;
    }

    /// One came from the agent.
    pub(crate) fn came(&mut self, frame: v1::Keyframe) {
        let scrollback = self.asked.take().unwrap_or(0);
        self.newest = Some(Kept { frame, scrollback });
        if std::mem::take(&mut self.announce_next) {
            self.announced += 1;
        }
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

    #[test]
    fn the_agent_is_asked_once_for_all_who_wait() {
        let mut keyframes = Keyframes::default();
        assert!(keyframes.ask(100));
        assert!(!keyframes.ask(100));
        assert!(!keyframes.ask(0));
        assert!(keyframes.ask(200));
        keyframes.came(frame(7));
        assert!(keyframes.usable(Offset(7), 200).is_some());
        assert!(keyframes.usable(Offset(8), 0).is_none());
        assert!(keyframes.usable(Offset(0), 201).is_none());
    }

    #[test]
    fn after_a_resize_everybody_gets_the_next_one_once() {
        let mut keyframes = Keyframes::default();
        keyframes.came(frame(1));
        assert!(keyframes.announced(0).is_none());
        keyframes.resized();
        assert!(keyframes.usable(Offset(0), 0).is_none());
        keyframes.came(frame(5));
        assert_eq!(keyframes.announced(0).unwrap().offset, 5);
        assert!(keyframes.announced(keyframes.announcements()).is_none());
    }
}
