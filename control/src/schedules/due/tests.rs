//! Due times across the changes of clocks, and at the ends of searches.

use super::*;

fn cron(expression: &str, zone: &str) -> Plan {
    let when = When::Cron {
        expression: expression.into(),
        zone: zone.into(),
    };
    Plan::of(&when, 0).unwrap()
}

fn ms(time: &str) -> u64 {
    time.parse::<Timestamp>().unwrap().as_millisecond() as u64
}

/// The first `count` times after `after`, in UTC.
fn times(plan: &Plan, after: &str, count: usize) -> Vec<String> {
    let mut last = ms(after);
    (0..count)
        .map_while(|_| {
            let next = plan.next_after(last)?;
            assert!(next > last, "{next} is not after {last}");
            last = next;
            Some(
                Timestamp::from_millisecond(next as i64)
                    .unwrap()
                    .to_string(),
            )
        })
        .collect()
}

#[test]
fn a_time_that_the_clocks_skip_is_due_once_when_they_go_on() {
    // Berlin, 2026-03-29: 02:00 is followed by 03:00.
    let plan = cron("30 2 * * *", "Europe/Berlin");
    assert_eq!(
        times(&plan, "2026-03-28T00:00:00Z", 3),
        [
            "2026-03-28T01:30:00Z",
            "2026-03-29T01:00:00Z",
            "2026-03-30T00:30:00Z"
        ]
    );
    // Several of the skipped hour are one, and it is also the one that is due at 03:00.
    let plan = cron("0,15,30,45 2,3 * * *", "Europe/Berlin");
    assert_eq!(
        times(&plan, "2026-03-29T00:59:00Z", 3),
        [
            "2026-03-29T01:00:00Z",
            "2026-03-29T01:15:00Z",
            "2026-03-29T01:30:00Z"
        ]
    );
}

#[test]
fn a_time_that_the_clocks_show_twice_is_due_once() {
    // Berlin, 2026-10-25: 03:00 is followed by 02:00.
    let plan = cron("30 2 * * *", "Europe/Berlin");
    assert_eq!(
        times(&plan, "2026-10-24T12:00:00Z", 2),
        ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]
    );
    // Asked in the second of the two hours too.
    assert_eq!(
        times(&plan, "2026-10-25T01:10:00Z", 1),
        ["2026-10-26T01:30:00Z"]
    );
    let plan = cron("0,30 2 * * *", "Europe/Berlin");
    assert_eq!(
        times(&plan, "2026-10-24T23:59:00Z", 3),
        [
            "2026-10-25T00:00:00Z",
            "2026-10-25T00:30:00Z",
            "2026-10-26T01:00:00Z"
        ]
    );
}

#[test]
fn every_second_of_an_hour_that_is_shown_twice_is_passed_over_at_once() {
    let plan = cron("* * 2 * * *", "Europe/Berlin");
    // In the second of the two hours.
    assert_eq!(
        times(&plan, "2026-10-25T01:10:00Z", 2),
        ["2026-10-26T01:00:00Z", "2026-10-26T01:00:01Z"]
    );
    assert_eq!(
        times(&plan, "2026-10-25T00:59:58Z", 2),
        ["2026-10-25T00:59:59Z", "2026-10-26T01:00:00Z"]
    );
}

#[test]
fn a_year_is_not_looked_for() {
    let when = When::Cron {
        expression: "0 0 * 1 1 * 4999".into(),
        zone: "Europe/Berlin".into(),
    };
    assert!(Plan::of(&when, 0).is_err());
}

#[test]
fn every_hour_is_an_hour_whatever_the_clocks_do() {
    for (expression, after) in [
        ("0 * * * *", "2026-03-28T23:30:00Z"),
        ("0 * * * *", "2026-10-24T22:30:00Z"),
        ("@hourly", "2026-10-24T22:30:00Z"),
        ("0 */1 * * *", "2026-10-24T22:30:00Z"),
    ] {
        let found = times(&cron(expression, "Europe/Berlin"), after, 6);
        let found: Vec<_> = found.iter().map(|time| ms(time)).collect();
        let steps = found.windows(2).map(|pair| pair[1] - pair[0]);
        assert!(
            steps.clone().all(|step| step == 3_600_000),
            "{expression} {found:?}"
        );
    }
    // Half an hour: Lord Howe Island, 2026-04-05.
    let found = times(
        &cron("*/30 * * * *", "Australia/Lord_Howe"),
        "2026-04-04T14:00:00Z",
        6,
    );
    assert_eq!(found[0], "2026-04-04T14:30:00Z");
    assert_eq!(found[5], "2026-04-04T17:00:00Z");
}

#[test]
fn a_zone_moves_the_hour_over_the_year() {
    let plan = cron("0 3 * * *", "America/New_York");
    assert_eq!(
        times(&plan, "2026-01-10T00:00:00Z", 1),
        ["2026-01-10T08:00:00Z"]
    );
    assert_eq!(
        times(&plan, "2026-07-10T00:00:00Z", 1),
        ["2026-07-10T07:00:00Z"]
    );
    assert_eq!(
        times(&cron("0 3 * * *", ""), "2026-07-10T00:00:00Z", 1),
        ["2026-07-10T03:00:00Z"]
    );
}

#[test]
fn seconds_and_rare_days_are_found() {
    assert_eq!(
        times(&cron("*/20 * * * * *", "UTC"), "2026-01-01T00:00:10.5Z", 2),
        ["2026-01-01T00:00:20Z", "2026-01-01T00:00:40Z"]
    );
    assert_eq!(
        times(&cron("0 0 29 2 *", "UTC"), "2026-01-01T00:00:00Z", 1),
        ["2028-02-29T00:00:00Z"]
    );
    assert_eq!(
        times(&cron("0 0 L * *", "UTC"), "2026-02-01T00:00:00Z", 1),
        ["2026-02-28T00:00:00Z"]
    );
    // A day that never comes is no endless search.
    assert_eq!(cron("0 0 30 2 *", "UTC").next_after(0), None);
}

#[test]
fn an_interval_is_counted_from_its_beginning_and_drifts_nowhere() {
    let plan = Plan::of(&When::Every { every_ms: 900_000 }, 1_000).unwrap();
    assert_eq!(plan.next_after(0), Some(901_000));
    assert_eq!(plan.next_after(900_999), Some(901_000));
    assert_eq!(plan.next_after(901_000), Some(1_801_000));
    // Years of absence are no loop.
    assert_eq!(
        plan.next_after(1_000 + 900_000 * 1_000_000),
        Some(1_000 + 900_000 * 1_000_001)
    );
    assert_eq!(plan.next_after(u64::MAX), None);
}

#[test]
fn once_is_once() {
    let plan = Plan::of(&When::At { at_ms: 5_000 }, 0).unwrap();
    assert_eq!(plan.next_after(4_999), Some(5_000));
    assert_eq!(plan.next_after(5_000), None);
}

#[test]
fn what_is_no_expression_or_no_zone_is_said() {
    let of = |expression: &str, zone: &str| {
        let when = When::Cron {
            expression: expression.into(),
            zone: zone.into(),
        };
        Plan::of(&when, 0).unwrap_err().to_string()
    };
    for bad in ["", "* * *", "61 * * * *", "\u{1b}[2J", "a b c d e"] {
        let said = of(bad, "UTC");
        assert!(
            said.contains("is not a cron expression") && !said.contains('\u{1b}'),
            "{said}"
        );
    }
    assert!(of("* * * * *", "Europe/Atlantis").contains("no time zone"));
}
