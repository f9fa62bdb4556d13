//! Reading the machine's instruments, once per heartbeat and not on the runtime's threads.

use std::path::PathBuf;
use std::time::Duration;

use cmdop_proto::v1;
use starship_battery::units::ratio::percent;
use sysinfo::{CpuRefreshKind, MemoryRefreshKind, RefreshKind, System};
use tokio::task::JoinHandle;

/// How long a reading may take. A file server that hangs must not hold up heartbeats, or the relay takes
/// the machine for lost.
const PATIENCE: Duration = Duration::from_secs(1);

/// Reads, one reading at a time, and remembers the last.
#[derive(Debug)]
pub(crate) struct Instruments {
    home: PathBuf,
    /// Away while a reading is being taken.
    readers: Option<Readers>,
    /// The reading that is under way, perhaps for longer than anybody waits.
    reading: Option<JoinHandle<(Readers, v1::Metrics)>>,
    last: v1::Metrics,
}

/// What is kept between two readings: the processor's share is a difference.
#[derive(Debug)]
struct Readers {
    /// `None` on a system that sysinfo cannot read.
    system: Option<System>,
    home: PathBuf,
}

impl Instruments {
    /// Instruments that watch the file system of `home`.
    pub(crate) fn new(home: PathBuf) -> Self {
        Self {
            readers: Some(Readers::new(home.clone())),
            home,
            reading: None,
            last: v1::Metrics::default(),
        }
    }

    /// A reading, or the last one if the machine does not give a new one in time. Cancel-safe.
    pub(crate) async fn read(&mut self) -> v1::Metrics {
        self.read_by(Readers::reading).await
    }

    async fn read_by(
        &mut self,
        take: impl FnOnce(&mut Readers) -> v1::Metrics + Send + 'static,
    ) -> v1::Metrics {
        // One that is overdue is not waited for again, and no other thread joins it.
        let patience = if self.reading.is_some() {
            Duration::ZERO
        } else {
            PATIENCE
        };
        let (readers, home) = (&mut self.readers, &self.home);
        let reading = self.reading.get_or_insert_with(|| {
            let readers = readers.take();
            let mut readers = readers.unwrap_or_else(|| Readers::new(home.clone()));
            tokio::task::spawn_blocking(move || {
                let metrics = take(&mut readers);
                (readers, metrics)
            })
        });
        let Ok(done) = tokio::time::timeout(patience, reading).await else {
            if !patience.is_zero() {
                tracing::warn!("the machine's metrics are late: is a file system hanging?");
            }
            return self.last;
        };
        self.reading = None;
        match done {
            Ok((readers, metrics)) => {
                self.readers = Some(readers);
                self.last = metrics;
            }
            Err(error) => tracing::warn!(%error, "the instruments could not be read"),
        }
        self.last
    }
}

impl Readers {
    fn new(home: PathBuf) -> Self {
        let kind = RefreshKind::nothing()
            .with_cpu(CpuRefreshKind::nothing().with_usage())
            .with_memory(MemoryRefreshKind::nothing().with_ram());
        Self {
            system: System::new_with_specifics(kind).ok(),
            home,
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
        let mut instruments = Instruments::new("/".into());
        instruments.read().await;
        let metrics = instruments.read().await;
        assert!(metrics.cpu_cores >= 1);
        assert!((0.0..=100.0).contains(&metrics.cpu_percent));
        assert!(metrics.memory_used_bytes > 0);
        assert!(metrics.memory_used_bytes <= metrics.memory_total_bytes);
        assert!(metrics.disk_total_bytes >= metrics.disk_used_bytes);
        assert!(metrics.uptime_ms > 0);
        assert!(metrics.process_count >= 1);
    }

    #[tokio::test]
    async fn a_reading_that_hangs_gives_the_last_one_and_is_waited_for_once() {
        let mut instruments = Instruments::new("/".into());
        let known = |process_count| v1::Metrics {
            process_count,
            ..v1::Metrics::default()
        };
        instruments.read_by(move |_| known(1)).await;
        let (release, hanging) = std::sync::mpsc::channel::<()>();
        let late = instruments.read_by(move |_| {
            let _ = hanging.recv();
            known(2)
        });
        assert_eq!(late.await, known(1));
        let begun = tokio::time::Instant::now();
        for _ in 0..100 {
            let none = instruments.read_by(|_| panic!("another thread would hang too"));
            assert_eq!(none.await, known(1));
        }
        assert!(begun.elapsed() < PATIENCE);
        release.send(()).unwrap();
        while instruments.read_by(move |_| known(3)).await == known(1) {
            tokio::task::yield_now().await;
        }
        assert!(instruments.last.process_count > 1);
    }
}
