//! Reading the machine's instruments, once per heartbeat and not on the runtime's threads.

use std::path::PathBuf;

use cmdop_proto::v1;
use starship_battery::units::ratio::percent;
use sysinfo::{CpuRefreshKind, MemoryRefreshKind, RefreshKind, System};

/// What is kept between two readings: the processor's share is a difference.
#[derive(Debug)]
pub(crate) struct Instruments {
    /// `None` on a system that sysinfo cannot read.
    system: Option<System>,
    home: PathBuf,
}

impl Instruments {
    /// Instruments that watch the file system of `home`.
    pub(crate) fn new(home: PathBuf) -> Self {
        let kind = RefreshKind::nothing()
            .with_cpu(CpuRefreshKind::nothing().with_usage())
            .with_memory(MemoryRefreshKind::nothing().with_ram());
        Self {
            system: System::new_with_specifics(kind).ok(),
            home,
        }
    }

    /// One reading, taken on a thread that may block.
    pub(crate) async fn read(mut self) -> (Self, v1::Metrics) {
        let home = self.home.clone();
        let reading = tokio::task::spawn_blocking(move || {
            let metrics = self.reading();
            (self, metrics)
        });
        match reading.await {
            Ok(done) => done,
            Err(error) => {
                tracing::warn!(%error, "the instruments could not be read");
                (Self::new(home), v1::Metrics::default())
            }
        }
    }

    fn reading(&mut self) -> v1::Metrics {
        if let Some(system) = &mut self.system {
            system.refresh_cpu_usage();
            system.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
        }
        let system = self.system.as_ref();
        let load = System::load_average().unwrap_or_default();
        let (disk_total_bytes, disk_used_bytes) = self.disk().unwrap_or_default();
        v1::Metrics {
            cpu_percent: system.map_or(0.0, |s| s.global_cpu_usage().clamp(0.0, 100.0)),
            cpu_cores: system.map_or(0, |s| s.cpus().len() as u32),
            memory_used_bytes: system.map_or(0, System::used_memory),
            memory_total_bytes: system.map_or(0, System::total_memory),
            disk_used_bytes,
            disk_total_bytes,
            load_1: load.one as f32,
            load_5: load.five as f32,
            load_15: load.fifteen as f32,
            uptime_ms: System::uptime().unwrap_or(0) * 1000,
            process_count: process_count(),
            battery: battery(),
        }
    }

    /// Total and used bytes, as df(1) counts them.
    fn disk(&self) -> Option<(u64, u64)> {
        let stat = rustix::fs::statvfs(&self.home).ok()?;
        let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
        let used = stat.f_blocks.saturating_sub(stat.f_bfree);
        Some((bytes(stat.f_blocks), bytes(used)))
    }
}

/// The names alone: reading what each process does would cost more than all the rest.
fn process_count() -> u32 {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return 0;
    };
    let is_process = |name: &std::ffi::OsStr| {
        name.as_encoded_bytes()
            .first()
            .is_some_and(u8::is_ascii_digit)
    };
    entries
        .flatten()
        .filter(|entry| is_process(&entry.file_name()))
        .count() as u32
}

fn battery() -> Option<v1::Battery> {
    let manager = starship_battery::Manager::new().ok()?;
    let battery = manager.batteries().ok()?.flatten().next()?;
    Some(v1::Battery {
        percent: battery.state_of_charge().get::<percent>().clamp(0.0, 100.0),
        charging: matches!(
            battery.state(),
            starship_battery::State::Charging | starship_battery::State::Full
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_reading_is_plausible() {
        let (instruments, _) = Instruments::new("/".into()).read().await;
        let (_, metrics) = instruments.read().await;
        assert!(metrics.cpu_cores >= 1);
        assert!((0.0..=100.0).contains(&metrics.cpu_percent));
        assert!(metrics.memory_used_bytes > 0);
        assert!(metrics.memory_used_bytes <= metrics.memory_total_bytes);
        assert!(metrics.disk_total_bytes >= metrics.disk_used_bytes);
        assert!(metrics.uptime_ms > 0);
        assert!(metrics.process_count >= 1);
    }
}
