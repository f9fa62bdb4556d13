//! Samples, medians, and the table in which they are printed.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// The candidate that others are measured against, where it is there.
const BASELINE: &str = "ssh";

/// Measurements of one kind.
#[derive(Clone, Debug, Default)]
pub(crate) struct Samples(Vec<Duration>);

impl Samples {
    pub(crate) fn push(&mut self, sample: Duration) {
        self.0.push(sample);
    }

    /// The sample below which `share` of all lie; zero when there is none.
    pub(crate) fn quantile(&self, share: f64) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let index = ((sorted.len() as f64 - 1.0) * share).round() as usize;
        sorted.get(index).copied().unwrap_or_default()
    }
}

/// Samples of each candidate, by name.
pub(crate) type Race = BTreeMap<&'static str, Samples>;

/// One line for each figure, one column for each candidate.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    what: String,
    goal: &'static str,
    values: BTreeMap<&'static str, Duration>,
}

impl Table {
    /// Adds a figure. `goal` says what cmdop's ratio should be.
    pub(crate) fn row(&mut self, what: &str, goal: &'static str, race: &Race, share: f64) {
        let values = race
            .iter()
            .map(|(name, samples)| (*name, samples.quantile(share)));
        self.rows.push(Row {
            what: what.into(),
            goal,
            values: values.collect(),
        });
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\nmedians, and in brackets the ratio to {BASELINE} (smaller is faster)\n"
        )?;
        writeln!(
            f,
            "{:<34} {:>18} {:>18} {:>18}   goal",
            "", "local", BASELINE, "cmdop"
        )?;
        for row in &self.rows {
            write!(f, "{:<34}", row.what)?;
            let baseline = row.values.get(BASELINE).filter(|time| !time.is_zero());
            for name in ["local", BASELINE, "cmdop"] {
                let cell = row
                    .values
                    .get(name)
                    .filter(|time| !time.is_zero())
                    .map(|time| {
                        let ratio = baseline.map(|base| time.as_secs_f64() / base.as_secs_f64());
                        let ratio =
                            ratio.map_or_else(String::new, |ratio| format!(" ({ratio:.2})"));
                        format!("{}{ratio}", human(*time))
                    });
                write!(f, " {:>18}", cell.unwrap_or_else(|| "-".into()))?;
            }
            writeln!(f, "   {}", row.goal)?;
        }
        Ok(())
    }
}

fn human(time: Duration) -> String {
    let micros = time.as_secs_f64() * 1e6;
    match micros {
        below if below < 1e3 => format!("{below:.0} µs"),
        below if below < 1e6 => format!("{:.1} ms", below / 1e3),
        _ => format!("{:.2} s", micros / 1e6),
    }
}

/// Numbers that shuffle the order of candidates: the same in every run.
#[derive(Debug)]
pub(crate) struct Shuffle(u64);

impl Shuffle {
    pub(crate) fn new() -> Self {
        Self(0x2545_f491_4f6c_dd1d)
    }

    /// A new order of `items`.
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            items.swap(last, (self.0 % (last as u64 + 1)) as usize);
        }
    }
}
