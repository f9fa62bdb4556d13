//! How often something was guessed at, and until when nobody may guess again. Kept in the database: it counts
//! for all control planes that share it, outlives a restart, and an administrator can lift it.
//!
//! A guess counts before it is looked at, so that a thousand at once are a thousand; one that was right gives
//! everything back. No lockout is longer than its rule says, and none grows once its day is over.

use std::time::Duration;

use super::query::query;
use super::{Error, Store, Transaction};

/// Guesses that are remembered.
const MAX_ROWS: i64 = if cfg!(test) { 100 } else { 100_000 };

/// So many of the oldest guesses at passwords give way to new ones. Whoever makes up names can fill the table, and
/// must not have a code of somebody's second factor forgotten, or not counted, by it.
const GIVE_WAY: i64 = MAX_ROWS / 100;

/// Nobody may guess at anything new for so long where nothing gives way.
const FULL: Duration = Duration::from_secs(60);

/// After this long without a guess all is as if there had been none.
const FORGOTTEN: Duration = Duration::from_secs(24 * 60 * 60);

/// The first wait; each wrong guess doubles it.
const FIRST: Duration = Duration::from_secs(1);

/// How guesses slow down.
#[derive(Clone, Copy, Debug)]
pub struct BackOff {
    /// Guesses before the first wait: what a person mistypes.
    pub free: u32,
    /// The longest wait.
    pub longest: Duration,
}

impl BackOff {
    /// How long to wait after guess number `failures`, from 1.
    pub(crate) fn after(self, failures: i64) -> Duration {
        let beyond = failures - i64::from(self.free);
        if beyond < 0 {
            return Duration::ZERO;
        }
        let doubled = FIRST.saturating_mul(1 << beyond.min(20));
        doubled.min(self.longest)
    }
}

/// What is guessed at, and by which rules.
#[derive(Clone, Copy, Debug)]
pub struct Guess<'a> {
    /// A stable name, such as `password/ada`.
    pub subject: &'a str,
    /// The network that it comes from.
    pub source: &'a str,
    /// For one source.
    pub from_one: BackOff,
    /// For all together.
    pub from_all: BackOff,
}

impl Store {
    /// Somebody guesses. Nothing if they may; else how long nobody may.
    pub async fn guess(&self, guess: Guess<'_>, now_ms: u64) -> Result<Option<Duration>, Error> {
        let mut tx = self.write().await?;
        let rows = [(guess.source, guess.from_one), ("", guess.from_all)];
        let mut wait_ms = 0;
        let mut failures = [0; 2];
        for ((source, _), failures) in rows.iter().zip(&mut failures) {
            let (so_far, until_ms) = counted(&mut tx, guess.subject, source, now_ms).await?;
            *failures = so_far;
            wait_ms = wait_ms.max(until_ms.saturating_sub(now_ms));
        }
        if wait_ms > 0 {
            return Ok(Some(Duration::from_millis(wait_ms)));
        }
        for ((source, rule), failures) in rows.into_iter().zip(failures) {
            let until_ms = now_ms + rule.after(failures + 1).as_millis() as u64;
            let place = (guess.subject, source);
            if failures == 0 && !has_room(&mut tx, now_ms).await? {
                tracing::warn!("so many guesses are remembered that nobody may make a new one");
                return Ok(Some(FULL));
            }
            keep(&mut tx, place, failures + 1, now_ms, until_ms).await?;
        }
        tx.commit().await?;
        Ok(None)
    }

    /// The guess was right.
    pub async fn was_right(&self, guess: Guess<'_>) -> Result<(), Error> {
        let mut tx = self.write().await?;
        query("DELETE FROM lockouts WHERE subject = $1 AND source IN ($2, '')")
            .bind(guess.subject)
            .bind(guess.source)
            .execute(&mut tx)
            .await?;
        tx.commit().await
    }

    /// The guess was none, but others may have been: for what a guesser can get right whenever they like.
    pub async fn take_back(&self, guess: Guess<'_>) -> Result<(), Error> {
        let mut tx = self.write().await?;
        query(
            "UPDATE lockouts SET failures = failures - 1, until_ms = 0 \
             WHERE subject = $1 AND source IN ($2, '') AND failures > 0",
        )
        .bind(guess.subject)
        .bind(guess.source)
        .execute(&mut tx)
        .await?;
        tx.commit().await
    }

    /// Lets everybody guess at `subject` again.
    pub async fn unlock(&self, subject: &str) -> Result<(), Error> {
        let mut tx = self.write().await?;
        query("DELETE FROM lockouts WHERE subject = $1")
            .bind(subject)
            .execute(&mut tx)
            .await?;
        tx.commit().await
    }

    /// Drops guesses that count no more.
    pub async fn forget_guesses(&self, now_ms: u64) -> Result<(), Error> {
        let mut tx = self.write().await?;
        query("DELETE FROM lockouts WHERE guessed_at_ms <= $1")
            .bind(now_ms.saturating_sub(FORGOTTEN.as_millis() as u64) as i64)
            .execute(&mut tx)
            .await?;
        tx.commit().await
    }
}

/// Guesses so far, and until when there may be no other.
async fn counted(
    tx: &mut Transaction,
    subject: &str,
    source: &str,
    now_ms: u64,
) -> Result<(i64, u64), Error> {
    let found: Option<(i64, i64)> = query(
        "SELECT failures, until_ms FROM lockouts \
         WHERE subject = $1 AND source = $2 AND guessed_at_ms > $3",
    )
    .bind(subject)
    .bind(source)
    .bind(now_ms.saturating_sub(FORGOTTEN.as_millis() as u64) as i64)
    .fetch_optional(tx)
    .await?;
    Ok(found.map_or((0, 0), |(failures, until)| (failures, until.max(0) as u64)))
}

/// Whether another row fits, after the oldest guesses at passwords that hold nobody up have given way.
async fn has_room(tx: &mut Transaction, now_ms: u64) -> Result<bool, Error> {
    let rows: i64 = query("SELECT COUNT(*) FROM lockouts")
        .fetch_one(&mut *tx)
        .await?;
    if rows < MAX_ROWS {
        return Ok(true);
    }
    let gone = query(
        "DELETE FROM lockouts WHERE (subject, source) IN (SELECT subject, source FROM lockouts \
         WHERE subject LIKE 'password/%' AND until_ms <= $1 ORDER BY guessed_at_ms LIMIT $2)",
    )
    .bind(now_ms as i64)
    .bind(GIVE_WAY)
    .execute(tx)
    .await?;
    Ok(gone > 0)
}

async fn keep(
    tx: &mut Transaction,
    (subject, source): (&str, &str),
    failures: i64,
    now_ms: u64,
    until_ms: u64,
) -> Result<(), Error> {
    query(
        "INSERT INTO lockouts (subject, source, failures, guessed_at_ms, until_ms) \
         VALUES ($1, $2, $3, $4, $5) ON CONFLICT (subject, source) DO UPDATE SET \
         failures = excluded.failures, guessed_at_ms = excluded.guessed_at_ms, \
         until_ms = excluded.until_ms",
    )
    .bind(subject)
    .bind(source)
    .bind(failures)
    .bind(now_ms as i64)
    .bind(until_ms as i64)
    .execute(tx)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::scratch::{NOW, Scratch};

    const GUESS: Guess<'static> = Guess {
        subject: "password/ada",
        source: "10.0.0.1",
        from_one: BackOff {
            free: 3,
            longest: Duration::from_secs(8),
        },
        from_all: BackOff {
            free: 6,
            longest: Duration::from_secs(2),
        },
    };

    const OTHER: Guess<'static> = Guess {
        source: "10.0.0.2",
        ..GUESS
    };

    #[test]
    fn each_wrong_guess_doubles_the_wait_up_to_the_longest() {
        let waits = (1..=8).map(|count| GUESS.from_one.after(count).as_secs());
        assert_eq!(waits.collect::<Vec<_>>(), [0, 0, 1, 2, 4, 8, 8, 8]);
        assert_eq!(GUESS.from_one.after(i64::MAX), GUESS.from_one.longest);
    }

    #[tokio::test]
    async fn nobody_may_guess_before_the_wait_is_over() {
        for scratch in Scratch::each().await {
            let guess = |now_ms| scratch.store.guess(GUESS, now_ms);
            for _ in 0..3 {
                assert_eq!(guess(NOW).await.unwrap(), None);
            }
            let second = Some(Duration::from_secs(1));
            assert_eq!(guess(NOW).await.unwrap(), second);
            assert_eq!(guess(NOW + 1000).await.unwrap(), None);
            let next = guess(NOW + 1000).await.unwrap();
            assert_eq!(
                next,
                Some(Duration::from_secs(2)),
                "only what was let in counts"
            );
        }
    }

    #[tokio::test]
    async fn one_source_does_not_lock_out_another_and_all_together_slow_down() {
        for scratch in Scratch::each().await {
            let store = &scratch.store;
            for _ in 0..3 {
                assert_eq!(store.guess(GUESS, NOW).await.unwrap(), None);
            }
            assert!(store.guess(GUESS, NOW).await.unwrap().is_some());
            for _ in 0..2 {
                assert_eq!(store.guess(OTHER, NOW).await.unwrap(), None);
            }
            let sixth = Guess {
                source: "10.0.0.3",
                ..GUESS
            };
            assert_eq!(store.guess(sixth, NOW).await.unwrap(), None);
            let wait = store.guess(OTHER, NOW).await.unwrap().unwrap();
            assert!(wait <= GUESS.from_all.longest, "{wait:?}");
        }
    }

    #[tokio::test]
    async fn a_lockout_ends_when_it_was_right_when_an_administrator_says_so_and_with_its_day() {
        for scratch in Scratch::each().await {
            let store = &scratch.store;
            let lock = async || {
                while store.guess(GUESS, NOW).await.unwrap().is_none() {}
            };
            lock().await;
            store.unlock(GUESS.subject).await.unwrap();
            assert_eq!(store.guess(GUESS, NOW).await.unwrap(), None);
            lock().await;
            store.was_right(GUESS).await.unwrap();
            assert_eq!(store.guess(GUESS, NOW).await.unwrap(), None);
            lock().await;
            let tomorrow = NOW + FORGOTTEN.as_millis() as u64;
            for _ in 0..3 {
                assert_eq!(store.guess(GUESS, tomorrow).await.unwrap(), None);
            }
            store.forget_guesses(tomorrow * 2).await.unwrap();
            assert_eq!(store.guess(GUESS, tomorrow).await.unwrap(), None);
        }
    }

    #[tokio::test]
    async fn who_can_be_right_at_will_gains_no_guesses_by_it() {
        for scratch in Scratch::each().await {
            let store = &scratch.store;
            for _ in 0..2 {
                assert_eq!(store.guess(GUESS, NOW).await.unwrap(), None);
            }
            for _ in 0..5 {
                assert_eq!(store.guess(GUESS, NOW).await.unwrap(), None);
                store.take_back(GUESS).await.unwrap();
            }
            assert_eq!(store.guess(GUESS, NOW).await.unwrap(), None);
            assert!(store.guess(GUESS, NOW).await.unwrap().is_some());
        }
    }

    #[tokio::test]
    async fn whoever_fills_the_table_with_names_gains_no_guesses_at_a_code() {
        for scratch in Scratch::each().await {
            let store = &scratch.store;
            let code = Guess {
                subject: "second-factor/ada",
                ..GUESS
            };
            assert_eq!(store.guess(code, NOW).await.unwrap(), None);
            for n in 0..2 * MAX_ROWS as u64 {
                let subject = format!("password/{n}");
                let name = Guess {
                    subject: &subject,
                    ..GUESS
                };
                assert_eq!(store.guess(name, NOW + n).await.unwrap(), None);
            }
            let rows: i64 = query("SELECT COUNT(*) FROM lockouts")
                .fetch_one(&mut store.read().await.unwrap())
                .await
                .unwrap();
            assert!(rows <= MAX_ROWS, "{rows}");
            for _ in 0..2 {
                assert_eq!(store.guess(code, NOW).await.unwrap(), None);
            }
            assert!(store.guess(code, NOW).await.unwrap().is_some());
        }
    }

    #[tokio::test]
    async fn where_nothing_gives_way_nobody_makes_a_new_guess() {
        for scratch in Scratch::each().await {
            let store = &scratch.store;
            let guess = async |n: u64| {
                let subject = format!("second-factor/{n}");
                let guess = Guess {
                    subject: &subject,
                    ..GUESS
                };
                store.guess(guess, NOW).await.unwrap()
            };
            for n in 0..MAX_ROWS as u64 / 2 {
                assert_eq!(guess(n).await, None);
            }
            assert_eq!(guess(u64::MAX).await, Some(FULL));
            assert_eq!(guess(0).await, None, "what is counted already goes on");
        }
    }

    #[tokio::test]
    async fn a_thousand_guesses_at_once_are_a_thousand() {
        for scratch in Scratch::each().await {
            let store = &scratch.store;
            let guesses = (0..40).map(|_| store.guess(GUESS, NOW));
            let allowed = futures_util::future::join_all(guesses).await;
            let allowed = allowed.into_iter().filter(|wait| matches!(wait, Ok(None)));
            assert_eq!(allowed.count(), 3);
        }
    }
}
