//! Faults by the dozen, drawn from a seed, on one small world: programs are killed and stopped, links
//! are cut and refused, clients attach twice. No byte is lost or doubled, no key written twice.
//!
//! A seed fixes which faults come in which order and how long they last, not how the machine schedules
//! the programs: a seed that failed once may have to run several times.
//!
//! ```text
//! plan ──► storm (does it to the world) ──► clients (keep every byte, resend every key) ──► oracle
//! ```

#![allow(clippy::unwrap_used, reason = "what a test unwraps it asserts")]

mod client;
mod oracle;
mod plan;
mod run;
mod storm;
mod workload;

use plan::Plan;
use tokio::task::{JoinSet, LocalSet};

/// One test a seed, so that a failure names it and they run side by side.
macro_rules! seeds {
    ($($name:ident: $seed:literal,)*) => { $(
        #[tokio::test]
        async fn $name() {
            run::endure(&Plan::of($seed)).await;
        }
    )* };
}

mod no_byte_is_lost_and_no_key_is_doubled_with {
    use super::*;

    seeds! {
        seed_01: 1, seed_02: 2, seed_03: 3, seed_04: 4, seed_05: 5,
        seed_06: 6, seed_07: 7, seed_08: 8, seed_09: 9, seed_10: 10,
        seed_11: 11, seed_12: 12, seed_13: 13, seed_14: 14, seed_15: 15,
        seed_16: 16, seed_17: 17, seed_18: 18, seed_19: 19, seed_20: 20,
    }
}

/// By hand: `CMDOP_CHAOS_SEED=7` runs that one, `CMDOP_CHAOS_SEEDS=1000` the first thousand. A seed that
/// fails does not keep the others from running.
#[tokio::test]
async fn as_many_seeds_as_are_asked_for() {
    let number = |name| {
        let text = std::env::var(name).ok()?;
        let parsed = text.parse::<u64>();
        Some(parsed.unwrap_or_else(|_| panic!("{name} is no number: {text}")))
    };
    let seeds = number("CMDOP_CHAOS_SEED").into_iter();
    let seeds = seeds.chain(1..=number("CMDOP_CHAOS_SEEDS").unwrap_or(0));
    let local = LocalSet::new();
    let mut failed = Vec::new();
    for seed in seeds {
        let mut run = JoinSet::new();
        run.spawn_local_on(async move { run::endure(&Plan::of(seed)).await }, &local);
        let ended = local.run_until(run.join_next()).await;
        if !matches!(ended, Some(Ok(()))) {
            failed.push(seed);
        }
    }
    assert!(failed.is_empty(), "seeds that failed: {failed:?}");
}
