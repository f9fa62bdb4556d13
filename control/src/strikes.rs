//! Wrong guesses at what is too long to be guessed: invitations, API keys, client assertions. Who goes on with them
//! all the same, a program that was set up wrongly or a stranger, is slowed down, twice as long each time.
//!
//! Kept in memory, by each control plane for itself: what counts for several is in `store::lockouts`.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::store::BackOff;

/// Who is remembered. More than this at once, and the oldest are forgotten.
const MAX_STRUCK: usize = 20_000;

/// After this long without a strike all is as if there had been none.
const FORGOTTEN: Duration = Duration::from_secs(60 * 60);

/// Invitations, from one network.
pub(crate) const INVITATION: BackOff = BackOff {
    free: 10,
    longest: Duration::from_secs(15 * 60),
};

/// API keys, from one network: a whole site may be behind one, with one program whose key was revoked.
pub(crate) const API_KEY: BackOff = BackOff {
    free: 100,
    longest: Duration::from_secs(60),
};

/// Assertions of one machine or relay, from one network.
pub(crate) const ASSERTION: BackOff = BackOff {
    free: 20,
    longest: Duration::from_secs(60),
};

#[derive(Debug)]
struct Struck {
    count: i64,
    last: Instant,
    until: Instant,
}

/// The strikes.
#[derive(Debug, Default)]
pub(crate) struct Strikes {
    of: Mutex<HashMap<String, Struck>>,
}

impl Strikes {
    /// How long `who` has to wait before the next try, if at all.
    pub(crate) fn wait(&self, who: &str, now: Instant) -> Option<Duration> {
        let of = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        let left = of.get(who)?.until.saturating_duration_since(now);
        (!left.is_zero()).then_some(left)
    }

    /// `who` was wrong.
    pub(crate) fn strike(&self, who: String, rule: BackOff, now: Instant) {
        let mut of = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        if of.len() >= MAX_STRUCK {
            of.retain(|_, struck| now < struck.last + FORGOTTEN);
        }
        if of.len() >= MAX_STRUCK && !of.contains_key(&who) {
            let oldest = of.iter().min_by_key(|(_, struck)| struck.last);
            if let Some(oldest) = oldest.map(|(who, _)| who.clone()) {
                of.remove(&oldest);
            }
        }
        let struck = of.entry(who).or_insert(Struck {
            count: 0,
            last: now,
            until: now,
        });
        if now >= struck.last + FORGOTTEN {
            struck.count = 0;
        }
        struck.count += 1;
        struck.last = now;
        struck.until = now + rule.after(struck.count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_strike_doubles_the_wait_and_an_hour_forgets_them() {
        let (strikes, start) = (Strikes::default(), Instant::now());
        for _ in 1..INVITATION.free {
            strikes.strike("a".into(), INVITATION, start);
            assert_eq!(strikes.wait("a", start), None);
        }
        let mut now = start;
        for seconds in [1, 2, 4, 8] {
            strikes.strike("a".into(), INVITATION, now);
            let wait = strikes.wait("a", now).unwrap();
            assert_eq!(wait.as_secs(), seconds);
            now += wait;
            assert_eq!(strikes.wait("a", now), None);
        }
        assert_eq!(strikes.wait("b", now), None);
        now += FORGOTTEN;
        strikes.strike("a".into(), INVITATION, now);
        assert_eq!(strikes.wait("a", now), None);
    }

    #[test]
    fn only_so_many_are_remembered() {
        let (strikes, now) = (Strikes::default(), Instant::now());
        for n in 0..=MAX_STRUCK {
            strikes.strike(n.to_string(), API_KEY, now);
        }
        assert_eq!(strikes.of.lock().unwrap().len(), MAX_STRUCK);
    }
}
