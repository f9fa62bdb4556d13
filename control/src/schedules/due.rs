//! When a schedule is due: the next time after a given one. Pure: it reads no clock.
//!
//! Cron expressions are matched on the wall clock of their zone, and the wall clock is led back to real
//! time here: a time that the clocks skip is due when they go on, one that they show twice is due the first
//! time. Where the hour is a wildcard, all hours are hours: none is left out, and none counts double.

use croner::Cron;
use croner::parser::{CronParser, Year};
use jiff::Timestamp;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};

use super::spec::When;

/// Steps of one search. A day that exists every 28 years is found in far fewer.
const MAX_STEPS: usize = 1000;

/// Why nothing can be due.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Error {
    /// The cron expression.
    #[error("`{expression}` is not a cron expression: {why}")]
    Expression {
        /// What was given.
        expression: String,
        /// What is wrong with it.
        why: String,
    },
    /// The time zone.
    #[error("there is no time zone `{0}`")]
    Zone(String),
}

/// What decides when a schedule is due.
#[derive(Clone, Debug)]
pub(crate) enum Plan {
    /// On the wall clock of a zone.
    Cron(Box<Wall>),
    /// Once.
    At(u64),
    /// Again and again, counted from a time.
    Every { every_ms: u64, from_ms: u64 },
}

/// A cron expression in its zone.
#[derive(Clone, Debug)]
pub(crate) struct Wall {
    cron: Cron,
    zone: TimeZone,
    /// The hour is a wildcard.
    every_hour: bool,
}

impl Plan {
    /// The plan of a schedule that was made at `from_ms`.
    pub(crate) fn of(when: &When, from_ms: u64) -> Result<Self, Error> {
        Ok(match when {
            When::Cron { expression, zone } => Self::Cron(Box::new(Wall::parse(expression, zone)?)),
            When::At { at_ms } => Self::At(*at_ms),
            When::Every { every_ms } => Self::Every {
                every_ms: (*every_ms).max(1),
                from_ms,
            },
        })
    }

    /// The first time after `after_ms`, if there is one.
    pub(crate) fn next_after(&self, after_ms: u64) -> Option<u64> {
        match self {
            Self::At(at_ms) => (*at_ms > after_ms).then_some(*at_ms),
            Self::Every { every_ms, from_ms } => {
                let gone = after_ms.saturating_sub(*from_ms) / every_ms;
                from_ms.checked_add(every_ms.checked_mul(gone + 1)?)
            }
            Self::Cron(wall) => {
                let next = wall.next_after((after_ms / 1000) as i64)?;
                u64::try_from(next).ok()?.checked_mul(1000)
            }
        }
    }
}

impl Wall {
    fn parse(expression: &str, zone: &str) -> Result<Self, Error> {
        let wrong = |why: String| Error::Expression {
            expression: cmdop_proto::text::shown(expression, 128),
            why: cmdop_proto::text::shown(&why, 256),
        };
        // A year would be looked for through thousands of them.
        let cron = CronParser::builder()
            .year(Year::Disallowed)
            .build()
            .parse(expression)
            .map_err(|error| wrong(error.to_string()))?;
        let zone = match zone {
            "" | "UTC" => TimeZone::UTC,
            zone => {
                TimeZone::get(zone).map_err(|_| Error::Zone(cmdop_proto::text::shown(zone, 64)))?
            }
        };
        Ok(Self {
            every_hour: hour_is_wildcard(expression),
            cron,
            zone,
        })
    }

    /// In seconds since the Unix epoch.
    fn next_after(&self, after: i64) -> Option<i64> {
        if self.every_hour {
            self.next_hour_by_hour(after)
        } else {
            self.next_on_the_wall(after)
        }
    }

    /// Each time of the wall clock is due once.
    fn next_on_the_wall(&self, after: i64) -> Option<i64> {
        let mut wall = after + self.offset(after)?;
        for _ in 0..MAX_STEPS {
            wall = self.matching(wall)?;
            let due = self.real(wall)?;
            if due > after {
                return Some(due);
            }
            // It is shown twice and was over the first time, as all of that hour that is shown twice.
            if let Some(change) = self.next_change(due)
                && change <= after
            {
                wall = change + self.offset(due)? - 1;
            }
        }
        None
    }

    /// Real time goes on, whatever the wall clock does.
    fn next_hour_by_hour(&self, after: i64) -> Option<i64> {
        let (mut since, mut offset) = (after, self.offset(after)?);
        let mut wall = after + offset;
        for _ in 0..MAX_STEPS {
            let due = self.matching(wall)? - offset;
            match self.next_change(since) {
                Some(change) if change <= due => {
                    (since, offset) = (change, self.offset(change)?);
                    // The moment of the change itself can be due.
                    wall = change + offset - 1;
                }
                _ => return Some(due),
            }
        }
        None
    }

    /// The next time of the wall clock that matches, as if it never changed.
    fn matching(&self, wall: i64) -> Option<i64> {
        let wall = chrono::DateTime::<chrono::Utc>::from_timestamp(wall, 0)?;
        let next = self.cron.find_next_occurrence(&wall, false).ok()?;
        Some(next.timestamp())
    }

    /// When the wall clock shows this; if it never does, when it goes on; if twice, the first time.
    fn real(&self, wall: i64) -> Option<i64> {
        let shown = at(wall)?.to_zoned(TimeZone::UTC).datetime();
        match self.zone.to_ambiguous_timestamp(shown).offset() {
            AmbiguousOffset::Unambiguous { offset } => Some(wall - seconds(offset)),
            AmbiguousOffset::Fold { before, .. } => Some(wall - seconds(before)),
            AmbiguousOffset::Gap { before, .. } => {
                let later = at(wall - seconds(before) + 1)?;
                let change = self.zone.preceding(later).next()?;
                Some(change.timestamp().as_second())
            }
        }
    }

    fn offset(&self, real: i64) -> Option<i64> {
        Some(seconds(self.zone.to_offset(at(real)?)))
    }

    /// When the zone next changes its offset, if ever.
    fn next_change(&self, real: i64) -> Option<i64> {
        let next = self.zone.following(at(real)?).next()?;
        Some(next.timestamp().as_second())
    }
}

fn at(second: i64) -> Option<Timestamp> {
    Timestamp::from_second(second).ok()
}

fn seconds(offset: Offset) -> i64 {
    i64::from(offset.seconds())
}

/// Whether the field of the hour stands for more than some hours by name. `@hourly` does.
fn hour_is_wildcard(expression: &str) -> bool {
    let fields: Vec<_> = expression.split_whitespace().collect();
    let hour = match fields.len() {
        1 => return fields[0].eq_ignore_ascii_case("@hourly"),
        5 => fields[1],
        _ => fields.get(2).copied().unwrap_or_default(),
    };
    hour.contains('*') || hour.contains('?')
}

#[cfg(test)]
mod tests;
