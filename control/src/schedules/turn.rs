//! What becomes of the times that have come: which are run, which are passed over, and when the next one is.
//! Pure: the time comes in.

use std::time::Duration;

use super::due::Plan;
use super::spec::{Misfire, Overlap};

/// A time that passed this long ago was missed: until then a busy control plane is only a little late.
pub(crate) const MISSED_AFTER: Duration = Duration::from_secs(60);

/// Runs of one schedule that go on at the same time.
const MAX_PARALLEL: usize = 16;

/// Times of one schedule that are looked at in one step: more than a minute of seconds is not left.
const MAX_TIMES: usize = 64;

/// One time that has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Time {
    pub(crate) at_ms: u64,
    /// It and maybe others after it passed while nobody was there.
    pub(crate) missed: bool,
}

/// The times that have come by `now_ms`, of which `first_ms` is the first, and the next after them.
pub(crate) fn come(plan: &Plan, first_ms: u64, now_ms: u64) -> (Vec<Time>, Option<u64>) {
    let (mut times, mut next) = (Vec::new(), Some(first_ms));
    let missed_before = now_ms.saturating_sub(MISSED_AFTER.as_millis() as u64);
    if first_ms < missed_before {
        times.push(Time {
            at_ms: first_ms,
            missed: true,
        });
        next = plan.next_after(missed_before);
    }
    while let Some(at_ms) = next
        && at_ms <= now_ms
        && times.len() < MAX_TIMES
    {
        times.push(Time {
            at_ms,
            missed: false,
        });
        next = plan.next_after(at_ms);
    }
    (times, next)
}

/// Runs of a schedule that are not over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Open {
    pub(crate) waiting: usize,
    pub(crate) running: usize,
}

/// Why a time is passed over; nothing: it is run.
pub(crate) fn passed_over(
    time: Time,
    overlap: Overlap,
    misfire: Misfire,
    open: Open,
) -> Option<&'static str> {
    if time.missed && misfire == Misfire::Skip {
        return Some("the control plane was away when its time came");
    }
    let under_way = open.waiting + open.running;
    match overlap {
        Overlap::Skip if under_way > 0 => Some("the run before was not over"),
        Overlap::Queue if open.waiting > 0 && under_way > 1 => {
            Some("a run was waiting already for the one before it")
        }
        Overlap::Allow if under_way >= MAX_PARALLEL => {
            Some("as many runs as may go on side by side were not over")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::spec::When;
    use super::*;

    const HOUR: u64 = 3_600_000;

    fn every(every_ms: u64) -> Plan {
        Plan::of(&When::Every { every_ms }, 0).unwrap()
    }

    fn on_time(at_ms: u64) -> Time {
        Time {
            at_ms,
            missed: false,
        }
    }

    #[test]
    fn each_time_of_the_last_minute_is_its_own() {
        let (times, next) = come(&every(1000), 10_000, 13_500);
        let at: Vec<_> = times.iter().map(|time| time.at_ms).collect();
        assert_eq!(at, [10_000, 11_000, 12_000, 13_000]);
        assert!(times.iter().all(|time| !time.missed));
        assert_eq!(next, Some(14_000));
    }

    #[test]
    fn what_passed_in_an_absence_is_one_time_and_what_comes_goes_on() {
        let (times, next) = come(&every(HOUR), HOUR, 5 * HOUR + 30 * 60_000);
        assert_eq!(
            times,
            [Time {
                at_ms: HOUR,
                missed: true
            }]
        );
        assert_eq!(next, Some(6 * HOUR));
        // The last of them may be of this minute.
        let (times, next) = come(&every(HOUR), HOUR, 5 * HOUR + 10);
        assert_eq!((times.len(), times[1]), (2, on_time(5 * HOUR)));
        assert_eq!(next, Some(6 * HOUR));
    }

    #[test]
    fn an_absence_of_years_is_looked_at_in_no_time() {
        let (times, next) = come(&every(1000), 1000, 1000 * HOUR * 24);
        assert!(
            times.len() <= MAX_TIMES && times[0].missed,
            "{}",
            times.len()
        );
        assert!(next.is_some());
    }

    #[test]
    fn a_single_time_is_the_last() {
        let once = Plan::of(&When::At { at_ms: 5_000 }, 0).unwrap();
        assert_eq!(come(&once, 5_000, 5_001), (vec![on_time(5_000)], None));
        let (times, next) = come(&once, 5_000, HOUR);
        assert!(times[0].missed && times.len() == 1 && next.is_none());
    }

    #[test]
    fn overlap_is_as_the_schedule_says() {
        let decide = |overlap, waiting, running| {
            let open = Open { waiting, running };
            passed_over(on_time(1), overlap, Misfire::Skip, open).is_none()
        };
        for (overlap, waiting, running, runs) in [
            (Overlap::Skip, 0, 0, true),
            (Overlap::Skip, 0, 1, false),
            (Overlap::Skip, 1, 0, false),
            (Overlap::Queue, 0, 0, true),
            (Overlap::Queue, 0, 1, true),
            (Overlap::Queue, 1, 0, true),
            (Overlap::Queue, 1, 1, false),
            (Overlap::Queue, 2, 0, false),
            (Overlap::Allow, 0, 15, true),
            (Overlap::Allow, 1, 15, false),
        ] {
            assert_eq!(
                decide(overlap, waiting, running),
                runs,
                "{overlap:?} {waiting} {running}"
            );
        }
    }

    #[test]
    fn a_missed_time_is_run_only_where_the_schedule_wants_it() {
        let missed = Time {
            at_ms: 1,
            missed: true,
        };
        let decide = |misfire| passed_over(missed, Overlap::Skip, misfire, Open::default());
        assert!(decide(Misfire::Skip).is_some());
        assert!(decide(Misfire::RunOnce).is_none());
    }
}
