//! How much is asked for at once: chunks that follow the measured rate, and how many may be under way.
//!
//! Pure: bytes and times come in, sizes go out.

use std::time::Duration;

use cmdop_proto::limits::{MAX_CHUNK, MIN_CHUNK};

/// A chunk is what the way carries in this time: short enough that a repair costs little, long enough that
/// its hash and its acknowledgement do.
const CHUNK_TIME: Duration = Duration::from_millis(50);

/// The first chunk: nothing is known of the way.
const FIRST_CHUNK: usize = 256 << 10;

/// Chunks under way at least: one is read, one travels, one is written, one is acknowledged.
const MIN_UNDER_WAY: u64 = 4;

/// Bytes under way at most, for each file: it is memory, at some place on the way.
pub const MAX_UNDER_WAY: u64 = 16 << 20;

/// What one way is found to carry.
#[derive(Clone, Debug)]
pub struct Sizer {
    /// Bytes a second, smoothed; 0: not known.
    rate: f64,
    /// The shortest time from a question to its acknowledgement.
    round_trip: Duration,
}

impl Default for Sizer {
    fn default() -> Self {
        Self {
            rate: 0.0,
            round_trip: Duration::MAX,
        }
    }
}

impl Sizer {
    /// So many bytes were acknowledged in this time, the last of them this long after they were asked for.
    pub fn acknowledged(&mut self, bytes: u64, took: Duration, round_trip: Duration) {
        self.round_trip = self.round_trip.min(round_trip);
        let seconds = took.as_secs_f64();
        if seconds <= 0.0 || bytes == 0 {
            return;
        }
        let rate = bytes as f64 / seconds;
        self.rate = if self.rate == 0.0 {
            rate
        } else {
            self.rate.mul_add(0.75, rate * 0.25)
        };
    }

    /// The size of the next chunk: a power of two.
    pub fn chunk(&self) -> usize {
        if self.rate == 0.0 {
            return FIRST_CHUNK;
        }
        let carried = (self.rate * CHUNK_TIME.as_secs_f64()).min(MAX_CHUNK as f64);
        let carried = (carried as usize).clamp(MIN_CHUNK, MAX_CHUNK);
        // The power of two below it; both bounds are such.
        1 << carried.ilog2()
    }

    /// How many bytes may be under way: twice what the way holds, so that it can be found to hold more.
    pub fn window(&self) -> u64 {
        let least = self.chunk() as u64 * MIN_UNDER_WAY;
        if self.rate == 0.0 || self.round_trip == Duration::MAX {
            return least;
        }
        let holds = self.rate * self.round_trip.as_secs_f64() * 2.0;
        (holds.min(MAX_UNDER_WAY as f64) as u64).clamp(least.min(MAX_UNDER_WAY), MAX_UNDER_WAY)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_fast_way_gets_large_chunks_and_a_slow_one_small_ones() {
        let mut fast = Sizer::default();
        assert_eq!(fast.chunk(), FIRST_CHUNK);
        fast.acknowledged(100 << 20, Duration::from_secs(1), Duration::from_millis(1));
        assert_eq!(fast.chunk(), MAX_CHUNK);
        let mut slow = Sizer::default();
        slow.acknowledged(100_000, Duration::from_secs(1), Duration::from_millis(80));
        assert_eq!(slow.chunk(), MIN_CHUNK);
    }

    #[test]
    fn a_long_way_has_more_under_way() {
        let mut long = Sizer::default();
        long.acknowledged(20 << 20, Duration::from_secs(1), Duration::from_millis(200));
        assert!(long.window() >= (20 << 20) / 5, "{}", long.window());
    }

    proptest! {
        #[test]
        fn sizes_stay_in_their_bounds_whatever_is_measured(
            measured in proptest::collection::vec((any::<u64>(), any::<u64>(), any::<u64>()), 0..50)
        ) {
            let mut sizer = Sizer::default();
            for (bytes, took, round_trip) in measured {
                sizer.acknowledged(bytes, Duration::from_nanos(took), Duration::from_nanos(round_trip));
                prop_assert!((MIN_CHUNK..=MAX_CHUNK).contains(&sizer.chunk()));
                prop_assert!(sizer.chunk().is_power_of_two());
                prop_assert!(sizer.window() >= sizer.chunk() as u64);
                prop_assert!(sizer.window() <= MAX_UNDER_WAY);
            }
        }
    }
}
