//! A machine as the dashboard keeps it: its record, its fleets, and its last half hour.

use cmdop_proto::{text, v1};
use tokio::time::Instant;

use super::history::{History, SLOT};
use crate::app::{Machine, Now};

/// Fleets of one machine that are kept.
const MAX_FLEETS: usize = 16;

/// The longest name of a fleet that is kept.
const MAX_FLEET: usize = 64;

/// What a number can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Figure {
    /// Busy share of the processors, percent.
    Cpu,
    /// Used share of the memory, percent.
    Memory,
    /// Used share of the disk, percent.
    Disk,
    /// The load average of one minute.
    Load,
    /// Charge of the battery, percent.
    Battery,
    /// Sessions.
    Sessions,
    /// Seconds since the last heartbeat.
    Age,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Host {
    /// Its record.
    pub machine: Machine,
    /// The fleets that it is in, stripped, sorted, each once.
    pub fleets: Vec<String>,
    /// Its last half hour.
    pub history: History,
    /// Since when its agent is linked, by the server's clock; 0 if it is not.
    pub connected_at_ms: u64,
    /// What a search looks at, in lower case: name, labels, fleets, system.
    pub(super) words: String,
}

impl Host {
    /// Reads a record that came in the slot `slot`; `None` if its id is none.
    pub(super) fn read(
        record: &v1::Machine,
        before: Option<&Self>,
        now: Now,
        slot: u64,
    ) -> Option<Self> {
        let machine = Machine::read(record, before.map(|before| &before.machine), now)?;
        let mut fleets: Vec<_> = record
            .fleets
            .iter()
            .take(MAX_FLEETS)
            .map(|fleet| text::shown(fleet, MAX_FLEET))
            .filter(|fleet| !fleet.is_empty())
            .collect();
        fleets.sort();
        fleets.dedup();
        let words = [
            machine.name.as_str(),
            &machine.labels.join(" "),
            &fleets.join(" "),
            &machine.system,
        ];
        let mut host = Self {
            words: words.join(" ").to_lowercase(),
            machine,
            fleets,
            history: before
                .map(|before| before.history.clone())
                .unwrap_or_default(),
            connected_at_ms: record.connected_at_ms,
        };
        host.remember(before, now.instant, slot);
        Some(host)
    }

    /// A heartbeat that came just now goes into the half hour; what else changes does not.
    fn remember(&mut self, before: Option<&Self>, now: Instant, slot: u64) {
        let Some(age) = self.machine.age(now) else {
            return;
        };
        // The first record of a machine brings its last heartbeat, which may be old.
        let slot = match before {
            Some(_) if age.is_zero() => Some(slot),
            Some(_) => None,
            None => slot.checked_sub(age.as_secs() / SLOT.as_secs()),
        };
        if let Some(slot) = slot
            && self.machine.metrics.is_some()
        {
            let (cpu, memory) = (self.reading(Figure::Cpu), self.reading(Figure::Memory));
            let load = self.reading(Figure::Load);
            self.history.record(slot, cpu, memory, load);
        }
    }

    /// The group that it stands in: its first fleet, or none.
    pub fn fleet(&self) -> &str {
        self.fleets.first().map_or("", String::as_str)
    }

    /// A reading, if the machine has it; never NaN.
    pub fn reading(&self, figure: Figure) -> Option<f32> {
        let metrics = self.machine.metrics.as_ref();
        let value = match figure {
            Figure::Cpu => metrics?.cpu_percent,
            Figure::Memory => share(metrics?.memory_used_bytes, metrics?.memory_total_bytes)?,
            Figure::Disk => share(metrics?.disk_used_bytes, metrics?.disk_total_bytes)?,
            Figure::Load => metrics?.load_1,
            Figure::Battery => metrics?.battery.as_ref()?.percent,
            Figure::Sessions => self.machine.sessions as f32,
            Figure::Age => return None,
        };
        // It comes from a stranger.
        value.is_finite().then(|| value.max(0.0))
    }

    /// The same, with what depends on the time.
    pub fn figure(&self, figure: Figure, now: Instant) -> Option<f32> {
        match figure {
            Figure::Age => self.machine.age(now).map(|age| age.as_secs_f32()),
            _ => self.reading(figure),
        }
    }

    /// How many cores it says it has.
    pub fn cores(&self) -> u32 {
        self.machine
            .metrics
            .as_ref()
            .map_or(0, |metrics| metrics.cpu_cores)
    }

    /// Whether its battery is being charged.
    pub fn is_charging(&self) -> bool {
        let battery = self
            .machine
            .metrics
            .as_ref()
            .and_then(|metrics| metrics.battery.as_ref());
        battery.is_some_and(|battery| battery.charging)
    }
}

fn share(used: u64, total: u64) -> Option<f32> {
    (total > 0).then(|| (100.0 * used as f64 / total as f64).min(100.0) as f32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dashboard::tests::{at, record};

    #[test]
    fn what_a_stranger_says_is_stripped_and_no_number_is_nan() {
        let mut record = record(1, "web");
        record.fleets = vec![
            "\u{1b}[31meu".into(),
            String::new(),
            "eu".into(),
            "eu".into(),
        ];
        let metrics = record.metrics.as_mut().unwrap();
        metrics.cpu_percent = f32::NAN;
        metrics.load_1 = -3.0;
        metrics.disk_total_bytes = 0;
        let host = Host::read(&record, None, at(0), 0).unwrap();
        assert_eq!(host.fleets, ["[31meu", "eu"]);
        assert_eq!(host.reading(Figure::Cpu), None);
        assert_eq!(host.reading(Figure::Load), Some(0.0));
        assert_eq!(host.reading(Figure::Disk), None);
    }
}
