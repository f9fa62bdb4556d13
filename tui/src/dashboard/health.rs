//! When a reading is worth a look and when it needs somebody: thresholds, and the state they give a machine.

use serde::Deserialize;

use super::host::{Figure, Host};
use crate::app::Presence;

use tokio::time::Instant;

/// How bad a reading is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// As it should be.
    #[default]
    Fine,
    /// Worth a look.
    Warn,
    /// Needs somebody.
    Critical,
}

/// From which value on.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Worth a look.
    pub warn: f32,
    /// Needs somebody.
    pub critical: f32,
}

/// The limits of all readings, as a configuration may have them.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Thresholds {
    /// Busy share of the processors, percent.
    pub cpu: Limits,
    /// Used share of the memory, percent.
    pub memory: Limits,
    /// Used share of the disk, percent.
    pub disk: Limits,
    /// Load of one minute for each core, percent: 100 is one waiting process a core.
    pub load: Limits,
    /// Charge of the battery, percent; here less is worse, and only while it is not charging.
    pub battery: Limits,
}

const fn limits(warn: f32, critical: f32) -> Limits {
    Limits { warn, critical }
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            cpu: limits(80.0, 95.0),
            memory: limits(80.0, 95.0),
            disk: limits(80.0, 95.0),
            load: limits(100.0, 200.0),
            battery: limits(30.0, 10.0),
        }
    }
}

impl Limits {
    fn rising(self, value: f32) -> Severity {
        match value {
            _ if value >= self.critical => Severity::Critical,
            _ if value >= self.warn => Severity::Warn,
            _ => Severity::Fine,
        }
    }

    fn falling(self, value: f32) -> Severity {
        match value {
            _ if value <= self.critical => Severity::Critical,
            _ if value <= self.warn => Severity::Warn,
            _ => Severity::Fine,
        }
    }
}

impl Thresholds {
    /// How bad a reading of this machine is; one that it does not have is fine.
    pub fn severity(&self, host: &Host, figure: Figure) -> Severity {
        let Some(value) = host.reading(figure) else {
            return Severity::Fine;
        };
        match figure {
            Figure::Cpu => self.cpu.rising(value),
            Figure::Memory => self.memory.rising(value),
            Figure::Disk => self.disk.rising(value),
            Figure::Load => self.load.rising(100.0 * value / host.cores().max(1) as f32),
            Figure::Battery if host.is_charging() => Severity::Fine,
            Figure::Battery => self.battery.falling(value),
            Figure::Sessions | Figure::Age => Severity::Fine,
        }
    }

    /// How bad the worst of all readings is.
    pub fn worst(&self, host: &Host) -> Severity {
        let all = [
            Figure::Cpu,
            Figure::Memory,
            Figure::Disk,
            Figure::Load,
            Figure::Battery,
        ];
        let severities = all.into_iter().map(|figure| self.severity(host, figure));
        severities.max().unwrap_or_default()
    }

    /// The state of a machine in one word; of a group the worst of its machines counts.
    pub fn health(&self, host: &Host, now: Instant) -> Health {
        match (host.machine.presence(now), self.worst(host)) {
            (Presence::Offline, _) => Health::Offline,
            (Presence::Stale, _) => Health::Stale,
            (Presence::Online, Severity::Critical) => Health::Critical,
            (Presence::Online, Severity::Warn) => Health::Warn,
            (Presence::Online, Severity::Fine) => Health::Fine,
        }
    }
}

/// The state of a machine or a group; the later the worse.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Health {
    /// It is there, and its readings are as they should be.
    #[default]
    Fine,
    /// A reading is worth a look.
    Warn,
    /// It was not heard of for too long.
    Stale,
    /// A reading needs somebody.
    Critical,
    /// It is not there.
    Offline,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_count_from_their_own_value_on() {
        let of = Thresholds::default();
        assert_eq!(of.cpu.rising(79.9), Severity::Fine);
        assert_eq!(of.cpu.rising(80.0), Severity::Warn);
        assert_eq!(of.cpu.rising(95.0), Severity::Critical);
        assert_eq!(of.battery.falling(10.0), Severity::Critical);
        assert_eq!(of.battery.falling(31.0), Severity::Fine);
        assert_eq!(of.cpu.rising(f32::NAN), Severity::Fine);
    }

    #[test]
    fn a_configuration_sets_some_limits_and_leaves_the_others() {
        let read: Thresholds = toml::from_str("cpu = { warn = 50, critical = 60 }").unwrap();
        assert_eq!(read.cpu, limits(50.0, 60.0));
        assert_eq!(read.disk, Thresholds::default().disk);
        assert!(toml::from_str::<Thresholds>("gpu = { warn = 1, critical = 2 }").is_err());
    }
}
