//! The lifecycle as it is promised, in milliseconds since the session began and nothing else.

use super::*;

/// How long a session may outlive its agent's link, in these tests.
pub(super) const GRACES: [Option<Duration>; 5] = [
    Some(Duration::from_millis(1)),
    Some(Duration::from_secs(1)),
    Some(Duration::from_secs(30)),
    Some(Duration::from_secs(7200)),
    None,
];

const BACKGROUND: u64 = 3_600_000;

/// Where a session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// With its agent.
    Linked,
    /// Without it, until then.
    Grace(Option<u64>),
    Over,
}

pub(super) struct Table {
    grace: Option<u64>,
    now: u64,
    place: Place,
    /// Its client is away, until then.
    away_until: Option<u64>,
}

impl Table {
    pub(super) fn begin(grace: Option<Duration>) -> Self {
        Self {
            grace: grace.map(|grace| grace.as_millis() as u64),
            now: 0,
            place: Place::Linked,
            away_until: None,
        }
    }

    pub(super) fn place(&self) -> Place {
        self.place
    }

    pub(super) fn status(&self) -> v1::SessionStatus {
        match (self.place, self.away_until) {
            (Place::Linked, None) => v1::SessionStatus::Connected,
            (Place::Linked, Some(_)) => v1::SessionStatus::Background,
            (Place::Grace(_), _) => v1::SessionStatus::GracePeriod,
            (Place::Over, _) => v1::SessionStatus::Disconnected,
        }
    }

    /// When time alone ends it.
    fn deadline(&self) -> Option<u64> {
        let grace = match self.place {
            Place::Linked => None,
            Place::Grace(until) => until,
            Place::Over => return None,
        };
        [grace, self.away_until].into_iter().flatten().min()
    }

    /// A pause that passes the deadline, cut a millisecond before it and at it.
    pub(super) fn parts(&self, step: &Step) -> Vec<Step> {
        let (Step::Pass(ms), Some(deadline)) = (step, self.deadline()) else {
            return vec![step.clone()];
        };
        let left = deadline - self.now;
        if *ms < left {
            return vec![step.clone()];
        }
        let parts = [left.saturating_sub(1), left.min(1), ms - left];
        parts.map(Step::Pass).to_vec()
    }

    pub(super) fn take(&mut self, step: &Step) {
        if self.place == Place::Over {
            return;
        }
        match step {
            Step::Partition if self.place == Place::Linked => self.lose(),
            Step::Partition | Step::GhostCloses => {}
            Step::Heal => self.place = Place::Linked,
            Step::Away => {
                let until = self.now + BACKGROUND;
                self.away_until.get_or_insert(until);
            }
            Step::Back | Step::Type => self.away_until = None,
            Step::RelayRestarts => {
                // What clients said of themselves is forgotten; they say it again.
                self.away_until = None;
                if self.place != Place::Linked {
                    self.lose();
                }
            }
            Step::Exit => self.place = Place::Over,
            Step::Pass(ms) => {
                self.now += ms;
                if self.deadline().is_some_and(|deadline| self.now >= deadline) {
                    self.place = Place::Over;
                }
            }
        }
    }

    fn lose(&mut self) {
        self.place = Place::Grace(self.grace.map(|grace| self.now + grace));
    }
}
