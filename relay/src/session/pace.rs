//! Delivery to clients that want the newest state and not every byte: so many updates a second.
//!
//! An update is what little was printed since the last one, or a picture instead of much. Each ends
//! where the log ended when it began, or beyond; between two of them the client is left asleep.

use std::time::Duration;

use cmdop_proto::{Offset, v1};
use tokio::time::Instant;

use super::cursor::{Cursor, WORTH_SKIPPING};
use super::lifecycle::Now;
use super::log::Log;
use super::state::{After, State};

/// Updates a second where a client names no number: enough to follow what happens.
const DEFAULT_RATE: u32 = 10;

/// More than a screen shows.
const MAX_RATE: u32 = 60;

/// One client's pace.
#[derive(Debug)]
pub(crate) struct Pace {
    interval: Duration,
    /// No update begins before.
    due: Instant,
    /// An update is under way, to this offset.
    up_to: Option<Offset>,
    /// It waits for a picture instead of the bytes from here on.
    skipped_from: Option<Offset>,
    /// It sleeps until `due`, whatever is printed.
    is_asleep: bool,
}

/// What a paced client does now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// It goes on as any client does.
    Go,
    /// Not before its next update is due.
    Hold,
}

/// Whether a picture can be had instead of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pictures {
    /// The agent is there to draw one.
    Drawn,
    /// What is in the window is all that there is.
    None,
}

impl Pace {
    /// The pace that a client asks for; `None`: every byte.
    pub(crate) fn read(open: &v1::AttachOpen) -> Option<u32> {
        (open.delivery() == v1::Delivery::Latest).then(|| match open.max_updates_per_second {
            0 => DEFAULT_RATE,
            rate => rate.min(MAX_RATE),
        })
    }

    pub(crate) fn new(rate: u32, now: Instant) -> Self {
        Self {
            interval: Duration::from_secs(1) / rate.clamp(1, MAX_RATE),
            due: now,
            up_to: None,
            skipped_from: None,
            is_asleep: false,
        }
    }

    /// Whether new output is no reason to wake it.
    pub(crate) fn is_asleep(&self) -> bool {
        self.is_asleep
    }

    /// When it has to be woken.
    pub(crate) fn wake_at(&self) -> Option<Instant> {
        self.is_asleep.then_some(self.due)
    }

    /// Looks at what waits, and begins an update if one is due.
    pub(crate) fn turn(
        &mut self,
        cursor: &mut Cursor,
        log: &Log,
        pictures: Pictures,
        now: Instant,
    ) -> Turn {
        self.is_asleep = false;
        if pictures == Pictures::None
            && let Some(from) = self.skipped_from.take()
        {
            // Nobody draws the picture that it waits for: the bytes, if they are still here.
            cursor.go_back(from, log);
        }
        if let (Some(up_to), Some(has)) = (self.up_to, cursor.has())
            && has >= up_to
        {
            self.up_to = None;
            self.skipped_from = None;
        }
        if self.up_to.is_some() {
            return Turn::Go;
        }
        if now < self.due {
            self.is_asleep = true;
            return Turn::Hold;
        }
        if cursor.is_caught_up(log) {
            return Turn::Go;
        }
        self.due = now + self.interval;
        self.up_to = Some(log.end());
        if pictures == Pictures::Drawn
            && let Some(from) = cursor.has().filter(|at| log.end() - *at > WORTH_SKIPPING)
        {
            self.skipped_from = Some(from);
            cursor.skip_flood(log);
        }
        Turn::Go
    }
}

impl State {
    /// Wakes those whose next update is due.
    pub(super) fn wake_paced(&mut self, now: Now, after: &mut After) {
        for client in &mut self.clients {
            let is_due = |pace: &Pace| pace.wake_at().is_some_and(|at| now.instant >= at);
            if client.pace.as_ref().is_some_and(is_due) {
                after.wakes.take(&mut client.waker);
            }
        }
    }

    /// When the next of them is due.
    pub(super) fn paced_until(&self) -> Option<Instant> {
        let paces = self.clients.iter().filter(|client| client.waker.is_some());
        paces
            .filter_map(|client| client.pace.as_ref()?.wake_at())
            .min()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use cmdop_proto::CommandId;
    use proptest::prelude::*;

    use super::super::cursor::Next;
    use super::super::keyframe::Keyframes;
    use super::*;

    fn append(log: &mut Log, len: usize) {
        let data = Bytes::from(vec![b'x'; len]);
        log.append(log.end(), data, CommandId(0)).unwrap();
    }

    fn frame(offset: Offset) -> v1::Keyframe {
        v1::Keyframe {
            offset: offset.0,
            ..v1::Keyframe::default()
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Print(usize),
        Draw,
        Pass(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => (1usize..200_000).prop_map(Step::Print),
            2 => Just(Step::Draw),
            3 => (1u64..120).prop_map(Step::Pass),
        ]
    }

    proptest! {
        /// However much is printed, whenever pictures come and whenever the agent leaves: no more than
        /// so many updates begin in any second, what comes is contiguous or a picture, and once all is
        /// quiet the client has the newest state.
        #[test]
        fn a_paced_client_gets_few_updates_and_ends_on_the_newest_state(
            steps in proptest::collection::vec(step(), 1..120),
            rate in 1u32..30,
        ) {
            let mut now = Instant::now();
            let mut log = Log::new(Offset::START, 1 << 20);
            let mut keyframes = Keyframes::default();
            let mut cursor = Cursor::fresh(&log, &keyframes, true);
            let mut pace = Pace::new(rate, now);
            let mut have = Offset::START;
            let mut begun: Vec<Instant> = Vec::new();
            let quiet = [Step::Pass(2000), Step::Draw, Step::Pass(2000), Step::Draw, Step::Pass(2000)];
            for step in steps.into_iter().chain(quiet) {
                match step {
                    Step::Print(len) => append(&mut log, len),
                    Step::Draw => keyframes.came(frame(log.end())),
                    Step::Pass(ms) => now += Duration::from_millis(ms),
                }
                loop {
                    let was_idle = pace.up_to.is_none();
                    if pace.turn(&mut cursor, &log, Pictures::Drawn, now) == Turn::Hold {
                        prop_assert!(pace.wake_at().is_some_and(|at| at > now));
                        break;
                    }
                    if was_idle && pace.up_to.is_some() {
                        begun.push(now);
                    }
                    match cursor.next(&log, &keyframes, usize::MAX) {
                        Next::Bytes(piece) => {
                            prop_assert_eq!(piece.start, have);
                            have = have.advance(piece.data.len());
                        }
                        Next::Keyframe(frame) => {
                            prop_assert!(Offset(frame.offset) >= have);
                            have = Offset(frame.offset);
                        }
                        Next::Wait | Next::NeedsKeyframe => break,
                    }
                }
            }
            prop_assert_eq!(have, log.end());
            for pair in begun.windows(2) {
                prop_assert!(pair[1] - pair[0] >= pace.interval);
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn without_an_agent_to_draw_the_bytes_come_after_all() {
        let now = Instant::now();
        let mut log = Log::new(Offset::START, 1 << 20);
        let keyframes = Keyframes::default();
        let mut cursor = Cursor::fresh(&log, &keyframes, true);
        let mut pace = Pace::new(10, now);
        append(&mut log, 200_000);
        let turn = pace.turn(&mut cursor, &log, Pictures::Drawn, now);
        assert_eq!(turn, Turn::Go);
        assert!(matches!(
            cursor.next(&log, &keyframes, usize::MAX),
            Next::NeedsKeyframe
        ));
        let turn = pace.turn(&mut cursor, &log, Pictures::None, now);
        assert_eq!(turn, Turn::Go);
        assert!(
            matches!(cursor.next(&log, &keyframes, usize::MAX), Next::Bytes(p) if p.start == Offset(0))
        );
    }

    #[test]
    fn a_rate_is_bounded_and_has_a_default() {
        let open = |delivery: v1::Delivery, rate| v1::AttachOpen {
            delivery: delivery.into(),
            max_updates_per_second: rate,
            ..v1::AttachOpen::default()
        };
        assert_eq!(Pace::read(&open(v1::Delivery::Unspecified, 9)), None);
        assert_eq!(Pace::read(&open(v1::Delivery::Lossless, 9)), None);
        assert_eq!(Pace::read(&open(v1::Delivery::Latest, 0)), Some(10));
        assert_eq!(Pace::read(&open(v1::Delivery::Latest, 5)), Some(5));
        assert_eq!(Pace::read(&open(v1::Delivery::Latest, u32::MAX)), Some(60));
    }
}
