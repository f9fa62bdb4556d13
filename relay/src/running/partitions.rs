//! Links over a network that parts and heals, on paused time: HTTP/2 and its keepalive, the agent's
//! back-off, grace. Nothing here waits for a clock, so days pass in a moment.
//!
//! The network is pipes in memory: sockets of the system would be real while time is not.

mod agent;
mod network;

use std::time::Duration;

use cmdop_client::backoff::{FIRST_WAIT, LONGEST_WAIT};
use cmdop_proto::v1;
use proptest::prelude::*;
use tokio::time::Instant;

use agent::World;
use v1::SessionStatus::{Connected, Disconnected, GracePeriod};

const GRACE: Duration = Duration::from_secs(45);

/// A message's way there and back, and whatever is rounded to milliseconds.
const MOMENT: Duration = Duration::from_millis(20);

fn on_paused_time(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(test);
}

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The agent's connection breaks and cannot be made anew for `outage`; whether the session lived on.
async fn outage(world: &mut World, grace: Option<Duration>, outage: Duration) -> bool {
    let begun = Instant::now();
    world.network.cut();
    world.network.part();
    let healing = world.network.heal_after(outage);
    assert_eq!(world.next_status().await, GracePeriod);
    assert!(
        begun.elapsed() <= MOMENT,
        "a broken connection is seen at once"
    );
    let next = world.next_status().await;
    let took = begun.elapsed();
    let over_after = grace.unwrap_or(Duration::MAX);
    match next {
        Connected => {
            assert!(took >= outage && took < over_after, "{took:?}");
            // Whoever dials when the network heals is through; else it waits at most so long.
            assert!(took <= outage + LONGEST_WAIT + MOMENT, "{took:?}");
        }
        Disconnected => {
            assert!(
                took >= over_after && took <= over_after + MOMENT,
                "{took:?}"
            );
            assert!(
                outage + LONGEST_WAIT + MOMENT >= over_after,
                "it could be back"
            );
        }
        other => panic!("{other:?} after {took:?}"),
    }
    healing.await.expect("the network heals");
    next == Connected
}

#[test]
fn an_agent_that_is_cut_off_is_back_in_time_or_its_session_ends_to_the_moment() {
    let cases = [
        (Some(GRACE), s(0), true),
        (Some(GRACE), s(29), true),
        (Some(GRACE), s(31), true),
        (Some(GRACE), s(46), false),
        (Some(s(1)), s(2), false),
        (Some(s(86_400)), s(86_380), true),
        (None, s(10 * 86_400), true),
    ];
    for (grace, length, lives) in cases {
        on_paused_time(async {
            let mut world = World::start(grace).await;
            assert_eq!(outage(&mut world, grace, length).await, lives, "{length:?}");
            if !lives {
                world.agent_is_told_of_the_end().await;
            }
        });
    }
}

#[test]
fn silence_is_found_out_by_keepalive_and_a_short_one_is_nothing() {
    on_paused_time(async {
        let mut world = World::start(Some(GRACE)).await;
        let begun = Instant::now();
        world.network.part();
        tokio::time::sleep(s(29)).await;
        world.network.heal();
        tokio::time::sleep(s(120)).await;
        assert_eq!(world.still(), Connected);
        assert!(world.dials().is_empty(), "it was another link");
        world.network.part();
        let begun = begun + s(149);
        assert_eq!(world.next_status().await, GracePeriod);
        // A ping at the latest 25 s after the last word, and 10 s for its answer.
        assert!(begun.elapsed() <= s(35) + MOMENT, "{:?}", begun.elapsed());
        let noticed = Instant::now();
        assert_eq!(world.next_status().await, Disconnected);
        let took = noticed.elapsed();
        assert!(took >= GRACE && took <= GRACE + MOMENT, "{took:?}");
    });
}

#[test]
fn dialling_is_bounded_grows_and_begins_anew_after_a_link() {
    on_paused_time(async {
        let mut world = World::start(None).await;
        world.network.refuse(true);
        world.network.cut();
        tokio::time::sleep(s(600)).await;
        let dials = world.dials();
        let waits: Vec<_> = dials.windows(2).map(|pair| pair[1] - pair[0]).collect();
        // The first dial comes after the first wait.
        assert!(waits[0] >= 2 * FIRST_WAIT && waits[0] <= 4 * FIRST_WAIT + MOMENT);
        assert!(
            waits.iter().all(|wait| *wait <= LONGEST_WAIT + MOMENT),
            "{waits:?}"
        );
        // Ten minutes without a relay cost at most so many attempts.
        assert!(dials.len() <= 130, "{}", dials.len());
        let last: std::collections::BTreeSet<_> = waits.iter().rev().take(8).collect();
        assert!(last.len() > 4, "the longest waits are alike: {waits:?}");
        world.network.refuse(false);
        assert_eq!(world.next_status().await, GracePeriod);
        assert_eq!(world.next_status().await, Connected);
        let cut = Instant::now();
        world.network.cut();
        assert_eq!(world.next_status().await, GracePeriod);
        assert_eq!(world.next_status().await, Connected);
        assert!(
            cut.elapsed() <= 2 * FIRST_WAIT + MOMENT,
            "{:?}",
            cut.elapsed()
        );
    });
}

#[test]
fn a_relay_that_is_killed_and_restarted_has_its_agents_sessions_within_a_second() {
    for _ in 0..20 {
        on_paused_time(async {
            let mut world = World::start(Some(GRACE)).await;
            let killed = Instant::now();
            world.restart_relay();
            assert_eq!(world.next_status().await, Connected);
            assert!(killed.elapsed() < s(1), "{:?}", killed.elapsed());
        });
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn whatever_outages_come_the_session_lives_or_ends_by_its_grace(
        grace in prop::sample::select(vec![Some(s(1)), Some(s(30)), Some(s(45)), None]),
        outages in prop::collection::vec((0..90_000_u64, 0..60_000_u64), 1..8),
    ) {
        on_paused_time(async {
            let mut world = World::start(grace).await;
            for (up, down) in outages {
                tokio::time::sleep(Duration::from_millis(up)).await;
                assert_eq!(world.still(), Connected);
                if !outage(&mut world, grace, Duration::from_millis(down)).await {
                    break;
                }
            }
        });
    }
}
