//! One reader's place in a session's log, and what it gets next.
//!
//! The rule that all clients live by: contiguous bytes, or a keyframe that says where they go on.
//! Nothing here waits or wakes.

use cmdop_proto::{Offset, limits, v1};

use super::keyframe::Keyframes;
use super::log::{Log, Piece, Read};

/// Unsent bytes that are more than a picture of the screen is likely to be.
pub(crate) const WORTH_SKIPPING: u64 = 32 << 10;

/// Where a reader is.
#[derive(Debug)]
pub(crate) struct Cursor {
    place: Place,
    /// Announced keyframes that it has had, or is past.
    seen: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// It has every byte below this.
    At(Offset),
    /// It cannot go on without a keyframe.
    Lost {
        /// The log ended here when that became so.
        log_end: Offset,
        /// A keyframe before this would take it back to what it has, or to what it skips.
        at_least: Offset,
    },
}

/// What a reader gets next.
#[derive(Debug, PartialEq)]
pub(crate) enum Next {
    /// These bytes, which follow on what it has.
    Bytes(Piece),
    /// A picture, from which it goes on.
    Keyframe(v1::Keyframe),
    /// Nothing yet.
    Wait,
    /// Nothing before the agent makes a keyframe.
    NeedsKeyframe,
}

impl Cursor {
    /// A reader that knows nothing. It starts with the log itself if that is whole and it may; else
    /// it needs a picture.
    pub(crate) fn fresh(log: &Log, keyframes: &Keyframes, may_replay: bool) -> Self {
        let place = if log.start() == Offset::START && may_replay {
            Place::At(Offset::START)
        } else {
            Place::Lost {
                log_end: log.end(),
                at_least: Offset::START,
            }
        };
        Self::new(place, keyframes)
    }

    /// A reader that has every byte below `from`. Beyond the end it waits: the relay may have
    /// restarted and know less than its clients; [`Cursor::agent_ends_at`] settles it.
    pub(crate) fn resumed(log: &Log, keyframes: &Keyframes, from: Offset) -> Self {
        let place = if from >= log.start() {
            Place::At(from)
        } else {
            Place::Lost {
                log_end: log.end(),
                at_least: from,
            }
        };
        Self::new(place, keyframes)
    }

    /// The same, where the log is about to go back to `from`.
    pub(crate) fn waiting(keyframes: &Keyframes, from: Offset) -> Self {
        Self::new(Place::At(from), keyframes)
    }

    fn new(place: Place, keyframes: &Keyframes) -> Self {
        Self {
            place,
            seen: keyframes.announcements(),
        }
    }

    /// The agent's log ends at `end`: nobody can have more.
    pub(crate) fn agent_ends_at(&mut self, end: Offset) {
        if matches!(self.place, Place::At(at) if at > end) {
            self.place = Place::Lost {
                log_end: end,
                at_least: Offset::START,
            };
        }
    }

    /// Its operator interrupts the program: nobody wants to see the rest of a flood first. What it
    /// does not have yet gives way to a picture, if that is the shorter way.
    pub(crate) fn skip_flood(&mut self, log: &Log) {
        if matches!(self.place, Place::At(at) if log.end() - at > WORTH_SKIPPING) {
            self.place = Place::Lost {
                log_end: log.end(),
                at_least: log.end(),
            };
        }
    }

    /// It takes the bytes from `from` on after all, if they are still here.
    pub(crate) fn go_back(&mut self, from: Offset, log: &Log) {
        if self.has().is_none() && from >= log.start() {
            self.place = Place::At(from);
        }
    }

    /// Up to where it certainly has been served, for the agent's credit.
    pub(crate) fn position(&self) -> Offset {
        match self.place {
            Place::At(at) => at,
            Place::Lost { log_end, .. } => log_end,
        }
    }

    /// Up to where it has every byte; `None`: it waits for a keyframe.
    pub(crate) fn has(&self) -> Option<Offset> {
        match self.place {
            Place::At(at) => Some(at),
            Place::Lost { .. } => None,
        }
    }

    /// Whether it has all that there is.
    pub(crate) fn is_caught_up(&self, log: &Log) -> bool {
        matches!(self.place, Place::At(at) if at >= log.end())
    }

    /// Takes what comes next: a picture, or at most `room` and [`limits::MAX_OUTPUT`] bytes, so that a
    /// message for this client never stands behind more than that.
    pub(crate) fn next(&mut self, log: &Log, keyframes: &Keyframes, room: usize) -> Next {
        if let Place::At(at) = self.place {
            let most = room.min(limits::MAX_OUTPUT);
            match self.next_bytes(at, log, keyframes, most) {
                Some(next) => return next,
                None => {
                    self.place = Place::Lost {
                        log_end: log.end(),
                        at_least: at,
                    };
                }
            }
        }
        let at_least = match self.place {
            Place::Lost { at_least, .. } => at_least.max(log.start()),
            Place::At(_) => log.start(),
        };
        match keyframes.usable(at_least) {
            Some(frame) => self.show(frame, keyframes),
            None => Next::NeedsKeyframe,
        }
    }

    /// `None`: it fell out of the window.
    fn next_bytes(
        &mut self,
        at: Offset,
        log: &Log,
        keyframes: &Keyframes,
        mut most: usize,
    ) -> Option<Next> {
        if let Some(frame) = keyframes.announced(self.seen) {
            match Offset(frame.offset) {
                place if place == at => return Some(self.show(frame, keyframes)),
                place if place > at => most = most.min((place - at) as usize),
                _ => self.seen = keyframes.announcements(),
            }
        }
        match log.read(at, most) {
            Read::Piece(piece) => {
                self.place = Place::At(at.advance(piece.data.len()));
                Some(Next::Bytes(piece))
            }
            Read::Nothing => Some(Next::Wait),
            Read::Gone => None,
        }
    }

    fn show(&mut self, frame: &v1::Keyframe, keyframes: &Keyframes) -> Next {
        self.place = Place::At(Offset(frame.offset));
        self.seen = keyframes.announcements();
        Next::Keyframe(frame.clone())
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use cmdop_proto::CommandId;
    use proptest::prelude::*;

    use super::*;

    const BOUND: usize = 1_000;

    fn byte(at: u64) -> u8 {
        (at.wrapping_mul(2_654_435_761) >> 7) as u8
    }

    fn append(log: &mut Log, len: usize) {
        let start = log.end();
        let data: Bytes = (start.0..start.0 + len as u64).map(byte).collect();
        log.append(start, data, CommandId(0)).unwrap();
    }

    fn frame(offset: Offset) -> v1::Keyframe {
        v1::Keyframe {
            offset: offset.0,
            ..v1::Keyframe::default()
        }
    }

    #[test]
    fn a_new_reader_of_a_whole_log_gets_it_from_its_first_byte() {
        let mut log = Log::new(Offset::START, BOUND);
        append(&mut log, 10);
        let keyframes = Keyframes::default();
        let mut cursor = Cursor::fresh(&log, &keyframes, true);
        assert!(
            matches!(cursor.next(&log, &keyframes, usize::MAX), Next::Bytes(p) if p.start == Offset(0))
        );
        let mut cursor = Cursor::fresh(&log, &keyframes, false);
        assert_eq!(
            cursor.next(&log, &keyframes, usize::MAX),
            Next::NeedsKeyframe
        );
    }

    #[test]
    fn a_reader_with_more_than_the_agent_has_gets_a_picture() {
        let log = Log::new(Offset(100), BOUND);
        let keyframes = Keyframes::default();
        let mut cursor = Cursor::resumed(&log, &keyframes, Offset(500));
        assert_eq!(cursor.next(&log, &keyframes, usize::MAX), Next::Wait);
        cursor.agent_ends_at(Offset(499));
        assert_eq!(
            cursor.next(&log, &keyframes, usize::MAX),
            Next::NeedsKeyframe
        );
    }

    #[test]
    fn an_announced_keyframe_comes_exactly_at_its_offset() {
        let mut log = Log::new(Offset::START, BOUND);
        append(&mut log, 10);
        let mut keyframes = Keyframes::default();
        let mut cursor = Cursor::fresh(&log, &keyframes, true);
        keyframes.resized();
        keyframes.came(frame(Offset(6)));
        assert!(
            matches!(cursor.next(&log, &keyframes, usize::MAX), Next::Bytes(p) if p.data.len() == 6)
        );
        assert!(
            matches!(cursor.next(&log, &keyframes, usize::MAX), Next::Keyframe(k) if k.offset == 6)
        );
        assert!(
            matches!(cursor.next(&log, &keyframes, usize::MAX), Next::Bytes(p) if p.start == Offset(6))
        );
        assert_eq!(cursor.next(&log, &keyframes, usize::MAX), Next::Wait);
    }

    #[test]
    fn an_interrupt_skips_a_flood_but_not_a_few_lines() {
        let mut log = Log::new(Offset::START, 1 << 20);
        let mut keyframes = Keyframes::default();
        keyframes.came(frame(Offset(0)));
        let mut cursor = Cursor::fresh(&log, &keyframes, true);
        append(&mut log, 1000);
        cursor.skip_flood(&log);
        assert!(matches!(
            cursor.next(&log, &keyframes, usize::MAX),
            Next::Bytes(_)
        ));
        append(&mut log, 100_000);
        cursor.skip_flood(&log);
        // The picture that is there shows less than the client has.
        assert_eq!(
            cursor.next(&log, &keyframes, usize::MAX),
            Next::NeedsKeyframe
        );
        keyframes.came(frame(log.end()));
        assert!(matches!(
            cursor.next(&log, &keyframes, usize::MAX),
            Next::Keyframe(_)
        ));
        assert_eq!(cursor.next(&log, &keyframes, usize::MAX), Next::Wait);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Append(usize),
        Read,
        AgentAnswers,
        Resize,
        Reattach,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (1usize..700).prop_map(Step::Append),
            6 => Just(Step::Read),
            2 => Just(Step::AgentAnswers),
            1 => Just(Step::Resize),
            1 => Just(Step::Reattach),
        ]
    }

    proptest! {
        /// However slow a reader is and whenever it comes back: each byte that it gets is the one
        /// that follows on what it has, or on the keyframe that it was shown.
        #[test]
        fn no_reader_sees_an_unannounced_gap_or_a_byte_twice(
            steps in proptest::collection::vec(step(), 1..200),
        ) {
            let mut log = Log::new(Offset::START, BOUND);
            let mut keyframes = Keyframes::default();
            let mut cursor = Cursor::fresh(&log, &keyframes, true);
            let mut have = Offset::START;
            for step in steps {
                match step {
                    Step::Append(len) => append(&mut log, len),
                    Step::Resize => keyframes.resized(),
                    Step::AgentAnswers => keyframes.came(frame(log.end())),
                    Step::Reattach => cursor = Cursor::resumed(&log, &keyframes, have),
                    Step::Read => match cursor.next(&log, &keyframes, usize::MAX) {
                        Next::Bytes(piece) => {
                            prop_assert_eq!(piece.start, have);
                            for (at, got) in (have.0..).zip(&piece.data) {
                                prop_assert_eq!(*got, byte(at));
                            }
                            have = have.advance(piece.data.len());
                        }
                        Next::Keyframe(frame) => {
                            prop_assert!(Offset(frame.offset) >= have);
                            have = Offset(frame.offset);
                        }
                        Next::Wait => prop_assert_eq!(have, log.end()),
                        Next::NeedsKeyframe => prop_assert!(
                            have < log.start(), "{have} is in the window"),
                    },
                }
            }
        }
    }
}
