//! Numbers in a few columns.

use std::time::Duration;

use super::super::host::{Figure, Host};
use tokio::time::Instant;

use crate::view::text::age;

/// Nothing is known.
const UNKNOWN: &str = "-";

/// A reading as it stands in its column.
pub(super) fn figure(host: &Host, figure: Figure, now: Instant) -> String {
    let Some(value) = host.figure(figure, now) else {
        return UNKNOWN.into();
    };
    match figure {
        Figure::Load => load(value),
        Figure::Sessions => (value as u64).to_string(),
        Figure::Age => age(Duration::from_secs(value as u64)),
        Figure::Cpu | Figure::Memory | Figure::Disk | Figure::Battery => percent(value),
    }
}

pub(super) fn percent(value: f32) -> String {
    format!("{:.0}%", value.min(999.0))
}

/// Two digits after the point where there is room for them.
pub(super) fn load(value: f32) -> String {
    match value {
        ..10.0 => format!("{value:.2}"),
        10.0..100.0 => format!("{value:.1}"),
        _ => format!("{:.0}", value.min(99_999.0)),
    }
}

/// How long something took, in at most five columns.
pub(super) fn took(took: Duration) -> String {
    match took.as_millis() {
        millis @ 0..=999 => format!("{millis}ms"),
        millis @ 1_000..=9_999 => format!("{:.1}s", millis as f32 / 1000.0),
        _ => age(took),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_to_their_columns() {
        let loads = [0.0, 9.994, 10.0, 99.94, 100.0, f32::MAX].map(load);
        assert_eq!(loads, ["0.00", "9.99", "10.0", "99.9", "100", "99999"]);
        let times = [0, 999, 1_500, 10_000, 6_000_000].map(|ms| took(Duration::from_millis(ms)));
        assert_eq!(times, ["0ms", "999ms", "1.5s", "10s", "1h"]);
        assert_eq!([percent(99.6), percent(f32::MAX)], ["100%", "999%"]);
    }
}
