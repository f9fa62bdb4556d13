//! Where in a recording the present moment is: speed, pauses, jumps. Pure: it is told the time.

use std::str::FromStr;
use std::time::Duration;

use tokio::time::Instant;

/// How slow and how fast a recording can be played.
const FACTORS: std::ops::RangeInclusive<f64> = 0.01..=1000.0;

/// Nothing is awaited for longer at once, so that no sum of times overflows.
const MAX_WAIT: Duration = Duration::from_secs(86_400);

/// How fast.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::cli) enum Speed {
    /// So many times as fast as it was.
    Times(f64),
    /// All at once.
    Max,
}

impl FromStr for Speed {
    type Err = String;

    /// Reads `max`, or a number with or without an `x`.
    fn from_str(text: &str) -> Result<Self, String> {
        if text == "max" {
            return Ok(Self::Max);
        }
        match text.strip_suffix('x').unwrap_or(text).parse() {
            Ok(factor) if FACTORS.contains(&factor) => Ok(Self::Times(factor)),
            _ => Err("it is no speed from 0.01 to 1000, nor `max`".into()),
        }
    }
}

/// When an event is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    Now,
    At(Instant),
    /// Not before somebody goes on.
    Paused,
}

/// The place in the recording at any moment.
#[derive(Debug)]
pub(super) struct Clock {
    /// The place at `since`.
    base: Duration,
    /// `None`: it stands.
    since: Option<Instant>,
    speed: Speed,
}

impl Clock {
    /// Runs from the start.
    pub(super) fn new(speed: Speed, now: Instant) -> Self {
        Self {
            base: Duration::ZERO,
            since: Some(now),
            speed,
        }
    }

    pub(super) fn position(&self, now: Instant) -> Duration {
        match (self.since, self.speed) {
            (Some(since), Speed::Times(factor)) => {
                let passed = now.saturating_duration_since(since);
                self.base.saturating_add(times(passed, factor))
            }
            // At full speed only events move it.
            _ => self.base,
        }
    }

    pub(super) fn due(&self, at: Duration, now: Instant) -> Due {
        let left = at.saturating_sub(self.position(now));
        match (self.since, self.speed) {
            (None, _) => Due::Paused,
            (Some(_), Speed::Max) => Due::Now,
            (Some(_), Speed::Times(factor)) => {
                let left = times(left, factor.recip()).min(MAX_WAIT);
                // Less than the rounding of a factor is no time.
                if left < Duration::from_micros(1) {
                    Due::Now
                } else {
                    Due::At(now + left)
                }
            }
        }
    }

    pub(super) fn speed(&self) -> Speed {
        self.speed
    }

    pub(super) fn is_paused(&self) -> bool {
        self.since.is_none()
    }

    pub(super) fn pause(&mut self, now: Instant) {
        self.base = self.position(now);
        self.since = None;
    }

    pub(super) fn go_on(&mut self, now: Instant) {
        if self.since.is_none() {
            self.since = Some(now);
        }
    }

    /// The place is another one from now on.
    pub(super) fn jump(&mut self, to: Duration, now: Instant) {
        self.base = to;
        if let Some(since) = &mut self.since {
            *since = now;
        }
    }

    /// An event was shown: where nothing else moves the place, this does.
    pub(super) fn reached(&mut self, at: Duration) {
        if self.speed == Speed::Max {
            self.base = self.base.max(at);
        }
    }

    /// Plays `by` times as fast as until now. Full speed stays what it is.
    pub(super) fn change_speed(&mut self, by: f64, now: Instant) {
        if let Speed::Times(factor) = self.speed {
            let position = self.position(now);
            self.jump(position, now);
            let factor = (factor * by).clamp(*FACTORS.start(), *FACTORS.end());
            self.speed = Speed::Times(factor);
        }
    }
}

fn times(duration: Duration, factor: f64) -> Duration {
    Duration::try_from_secs_f64(duration.as_secs_f64() * factor).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn twice_the_speed_is_half_the_wait() {
        let start = Instant::now();
        let clock = Clock::new(Speed::Times(2.0), start);
        assert_eq!(clock.due(10 * SECOND, start), Due::At(start + 5 * SECOND));
        assert_eq!(clock.position(start + 5 * SECOND), 10 * SECOND);
        assert_eq!(clock.due(10 * SECOND, start + 5 * SECOND), Due::Now);
    }

    #[test]
    fn a_pause_takes_no_time_of_the_recording() {
        let start = Instant::now();
        let mut clock = Clock::new(Speed::Times(1.0), start);
        clock.pause(start + 3 * SECOND);
        assert_eq!(clock.position(start + 60 * SECOND), 3 * SECOND);
        assert_eq!(clock.due(SECOND, start + 60 * SECOND), Due::Paused);
        clock.go_on(start + 60 * SECOND);
        let due = clock.due(5 * SECOND, start + 60 * SECOND);
        assert_eq!(due, Due::At(start + 62 * SECOND));
    }

    #[test]
    fn another_speed_counts_from_now_on_and_has_limits() {
        let start = Instant::now();
        let mut clock = Clock::new(Speed::Times(1.0), start);
        clock.change_speed(2.0, start + 10 * SECOND);
        assert_eq!(clock.position(start + 11 * SECOND), 12 * SECOND);
        for _ in 0..100 {
            clock.change_speed(2.0, start);
        }
        assert_eq!(clock.speed(), Speed::Times(1000.0));
    }

    #[test]
    fn at_full_speed_all_is_due_and_a_pause_still_holds() {
        let start = Instant::now();
        let mut clock = Clock::new(Speed::Max, start);
        assert_eq!(clock.due(Duration::MAX, start), Due::Now);
        clock.reached(7 * SECOND);
        assert_eq!(clock.position(start), 7 * SECOND);
        clock.pause(start);
        assert_eq!(clock.due(SECOND, start), Due::Paused);
    }

    #[test]
    fn a_speed_has_a_spelling() {
        assert_eq!("2".parse(), Ok(Speed::Times(2.0)));
        assert_eq!("0.5x".parse(), Ok(Speed::Times(0.5)));
        assert_eq!("max".parse(), Ok(Speed::Max));
        for bad in ["0", "-1", "nan", "inf", "1e9", "", "fast"] {
            assert!(bad.parse::<Speed>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_time_and_no_speed_makes_it_panic_and_what_is_due_then_is_due(
            factor in 0.01_f64..1000.0,
            at in any::<u64>(),
            passed in 0_u64..1_000_000_000,
        ) {
            let start = Instant::now();
            let clock = Clock::new(Speed::Times(factor), start);
            let at = Duration::from_millis(at);
            let mut now = start + Duration::from_millis(passed);
            // A wait that was cut short is waited for again; a rounded one at most once more.
            for _ in 0..3 {
                match clock.due(at, now) {
                    Due::At(then) => { prop_assert!(then > now); now = then; }
                    Due::Now => break,
                    Due::Paused => prop_assert!(false, "nobody paused it"),
                }
            }
        }
    }
}
