//! What one machine's instruments said in the last half hour, in a ring of fixed size.
//!
//! Time comes in as the number of a slot; a slot holds the newest reading of its ten seconds. A reading
//! stands for the slots until the next one, up to the time after which a machine counts as silent.

use std::time::Duration;

/// The time of one slot.
pub const SLOT: Duration = Duration::from_secs(10);

/// Slots of one machine: half an hour.
pub const SLOTS: usize = 180;

/// A reading stands for so many slots after its own: agents send one every 30 s.
const HELD: u64 = 4;

/// No reading, in both widths.
const NONE: Sample = Sample {
    cpu: u8::MAX,
    memory: u8::MAX,
    load: u16::MAX,
};

/// Four bytes, so that half an hour of 2,000 machines takes 1.4 MB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sample {
    /// Half percents.
    cpu: u8,
    memory: u8,
    /// Hundredths.
    load: u16,
}

/// Which curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Series {
    /// Busy share of the processors, in percent.
    Cpu,
    /// Used share of the memory, in percent.
    Memory,
    /// The load average of one minute.
    Load,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct History {
    slots: Box<[Sample; SLOTS]>,
    /// The number of the slot that was written last.
    newest: Option<u64>,
}

impl Default for History {
    fn default() -> Self {
        Self {
            slots: Box::new([NONE; SLOTS]),
            newest: None,
        }
    }
}

impl History {
    /// Keeps a reading of the slot `now`; one of an older slot is dropped.
    pub fn record(&mut self, now: u64, cpu: Option<f32>, memory: Option<f32>, load: Option<f32>) {
        if let Some(newest) = self.newest {
            if now < newest {
                return;
            }
            self.skip(newest, now);
        }
        self.slots[place(now)] = Sample {
            cpu: half_percents(cpu),
            memory: half_percents(memory),
            load: load.map_or(NONE.load, |load| {
                (load * 100.0).round().clamp(0.0, f32::from(NONE.load - 1)) as u16
            }),
        };
        self.newest = Some(now);
    }

    /// Fills the slots between two readings.
    fn skip(&mut self, newest: u64, now: u64) {
        let held = self.slots[place(newest)];
        for slot in (newest + 1..now).rev().take(SLOTS) {
            self.slots[place(slot)] = if slot - newest <= HELD { held } else { NONE };
        }
    }

    /// The value in a slot, seen from the slot `now`.
    fn at(&self, slot: u64, now: u64, series: Series) -> Option<f32> {
        let newest = self.newest?;
        let sample = match slot {
            _ if slot > now || slot + SLOTS as u64 <= now.max(newest) => return None,
            _ if slot <= newest => self.slots[place(slot)],
            _ if slot - newest <= HELD => self.slots[place(newest)],
            _ => return None,
        };
        match series {
            Series::Cpu => (sample.cpu != NONE.cpu).then(|| f32::from(sample.cpu) / 2.0),
            Series::Memory => {
                (sample.memory != NONE.memory).then(|| f32::from(sample.memory) / 2.0)
            }
            Series::Load => (sample.load != NONE.load).then(|| f32::from(sample.load) / 100.0),
        }
    }

    /// The half hour up to the slot `now` in `columns` columns, the oldest first; a column shows the
    /// highest of its slots, so that no peak is lost.
    pub fn columns(
        &self,
        now: u64,
        series: Series,
        columns: usize,
    ) -> impl Iterator<Item = Option<f32>> {
        (0..columns).map(move |column| {
            let from = column * SLOTS / columns;
            // More columns than slots: some slots are drawn twice.
            let to = ((column + 1) * SLOTS / columns).max(from + 1);
            (from..to)
                .filter_map(|index| {
                    let ago = (SLOTS - 1 - index) as u64;
                    self.at(now.checked_sub(ago)?, now, series)
                })
                .reduce(f32::max)
        })
    }
}

fn place(slot: u64) -> usize {
    (slot % SLOTS as u64) as usize
}

fn half_percents(percent: Option<f32>) -> u8 {
    percent.map_or(NONE.cpu, |percent| {
        (percent.clamp(0.0, 100.0) * 2.0).round() as u8
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cpu(history: &History, now: u64) -> Vec<Option<f32>> {
        history.columns(now, Series::Cpu, SLOTS).collect()
    }

    #[test]
    fn half_an_hour_of_two_thousand_machines_takes_less_than_two_megabytes() {
        let bytes = size_of::<History>() + size_of::<[Sample; SLOTS]>();
        assert!(bytes * 2000 < 2 << 20, "{}", bytes * 2000);
        assert_eq!(SLOT * SLOTS as u32, Duration::from_secs(30 * 60));
    }

    #[test]
    fn a_reading_stands_until_the_next_one_and_silence_is_a_gap() {
        let mut history = History::default();
        history.record(1000, Some(10.0), None, None);
        history.record(1003, Some(20.0), None, None);
        history.record(1020, Some(30.0), None, None);
        let seen = cpu(&history, 1022);
        let at = |slot: usize| seen[SLOTS - 1 - (1022 - slot)];
        assert_eq!(at(999), None);
        assert_eq!(
            [at(1000), at(1002), at(1003)],
            [Some(10.0), Some(10.0), Some(20.0)]
        );
        assert_eq!([at(1007), at(1008), at(1019)], [Some(20.0), None, None]);
        assert_eq!([at(1020), at(1022)], [Some(30.0), Some(30.0)]);
        let later = cpu(&history, 1030);
        assert_eq!(later[SLOTS - 1], None, "silent by now");
    }

    #[test]
    fn what_is_older_than_half_an_hour_is_gone() {
        let mut history = History::default();
        history.record(5, Some(50.0), None, None);
        history.record(5 + 10 * SLOTS as u64, Some(60.0), None, None);
        let seen = cpu(&history, 5 + 10 * SLOTS as u64);
        assert_eq!(seen.iter().flatten().count(), 1);
        history.record(3, Some(99.0), None, None);
        assert_eq!(
            cpu(&history, 5 + 10 * SLOTS as u64),
            seen,
            "an old reading is dropped"
        );
    }

    #[test]
    fn a_narrow_curve_keeps_the_peaks_and_a_wide_one_has_no_holes() {
        let mut history = History::default();
        for slot in 0..SLOTS as u64 {
            let value = if slot == 77 { 100.0 } else { 1.0 };
            history.record(slot, Some(value), Some(f32::NAN), Some(1e9));
        }
        let now = SLOTS as u64 - 1;
        let narrow: Vec<_> = history.columns(now, Series::Cpu, 12).collect();
        assert_eq!(
            narrow.iter().filter(|value| **value == Some(100.0)).count(),
            1
        );
        assert!(
            history
                .columns(now, Series::Cpu, 500)
                .all(|value| value.is_some())
        );
        assert_eq!(history.columns(now, Series::Cpu, 0).count(), 0);
    }
}
