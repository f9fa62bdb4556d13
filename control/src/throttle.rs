//! How often somebody may guess: a bucket of tries for each key, refilled with time.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use metrics::Counter;
use tokio::time::Instant;

/// Buckets that are kept. More strangers than this at the same time have to wait.
const MAX_BUCKETS: usize = 20_000;

/// How many tries at once, and how long each takes to come back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rule {
    /// Tries of a full bucket.
    pub burst: u32,
    /// The time after which one try is back.
    pub refill: Duration,
}

/// Passwords from one address.
pub(crate) const PASSWORD_OF_PEER: Rule = Rule {
    burst: 20,
    refill: Duration::from_secs(3),
};

/// New device codes, and enrolments, for one address.
pub(crate) const STRANGER: Rule = Rule {
    burst: 60,
    refill: Duration::from_secs(1),
};

/// Requests to the token endpoint from one address: a whole site of machines may be behind one, and all
/// of them ask at once when the control plane comes back.
pub(crate) const TOKENS: Rule = Rule {
    burst: 1000,
    refill: Duration::from_millis(50),
};

/// Refusals of one account that are recorded: enough for a program that was set up wrongly, too little
/// to fill a disk with.
pub(crate) const DENIALS: Rule = Rule {
    burst: 100,
    refill: Duration::from_secs(10),
};

/// Tokens of one key, machine or relay that are revoked one by one: each is an entry at every relay until it would have
/// expired.
pub(crate) const SINGLE_TOKENS: Rule = Rule {
    burst: 100,
    refill: Duration::from_secs(10),
};

/// What is recorded of one thing that somebody guesses at, or shows in vain, again and again.
pub(crate) const IN_VAIN: Rule = Rule {
    burst: 1,
    refill: Duration::from_secs(60),
};

/// The buckets.
#[derive(Default)]
pub(crate) struct Throttle {
    buckets: Mutex<HashMap<String, Bucket>>,
    /// Those who had to wait.
    refused: Option<Counter>,
}

impl std::fmt::Debug for Throttle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Throttle")
    }
}

#[derive(Debug)]
struct Bucket {
    /// The bucket is full again at this time; each try moves it on by one refill.
    full_at: Instant,
}

impl Throttle {
    /// One that counts those who have to wait.
    pub(crate) fn counting(refused: Counter) -> Self {
        Self {
            refused: Some(refused),
            ..Self::default()
        }
    }

    /// Takes one try from the bucket of `key`; or says how long to wait for the next.
    pub(crate) fn take(&self, key: String, rule: Rule, now: Instant) -> Result<(), Duration> {
        self.try_take(key, rule, now).inspect_err(|_| {
            if let Some(refused) = &self.refused {
                refused.increment(1);
            }
        })
    }

    fn try_take(&self, key: String, rule: Rule, now: Instant) -> Result<(), Duration> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= MAX_BUCKETS && !buckets.contains_key(&key) {
            buckets.retain(|_, bucket| bucket.full_at > now);
            if buckets.len() >= MAX_BUCKETS {
                return Err(rule.refill);
            }
        }
        let bucket = buckets.entry(key).or_insert(Bucket { full_at: now });
        let full_at = bucket.full_at.max(now) + rule.refill;
        let latest = now + rule.refill * rule.burst;
        if full_at > latest {
            return Err(full_at - latest);
        }
        bucket.full_at = full_at;
        Ok(())
    }
}

/// Whose guesses count together: an IPv4 address, or the /64 that one IPv6 subscriber has.
pub(crate) fn neighbourhood(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_come_back_with_time_and_not_before() {
        let (throttle, start) = (Throttle::default(), Instant::now());
        let take = |now| throttle.take("ada".into(), PASSWORD_OF_PEER, now);
        for _ in 0..PASSWORD_OF_PEER.burst {
            take(start).unwrap();
        }
        assert_eq!(take(start).unwrap_err(), PASSWORD_OF_PEER.refill);
        let later = start + PASSWORD_OF_PEER.refill;
        take(later).unwrap();
        assert!(take(later).is_err());
        assert!(
            throttle
                .take("grace".into(), PASSWORD_OF_PEER, later)
                .is_ok()
        );
    }

    #[test]
    fn a_flood_of_strangers_takes_bounded_memory() {
        let (throttle, start) = (Throttle::default(), Instant::now());
        let take = |key: String, now| throttle.take(key, STRANGER, now);
        for n in 0..MAX_BUCKETS {
            take(n.to_string(), start).unwrap();
        }
        assert!(take("one more".into(), start).is_err());
        assert!(take("one more".into(), start + STRANGER.refill).is_ok());
        assert_eq!(throttle.buckets.lock().unwrap().len(), 1);
    }

    #[test]
    fn one_subscriber_is_one_neighbourhood() {
        let of = |text: &str| neighbourhood(text.parse().unwrap());
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("::ffff:10.0.0.1"), of("10.0.0.1"));
    }
}
