//! Echo in one session while another one of the same machine floods.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::candidate::Candidate;
use crate::echo;
use crate::figures::{Race, Shuffle, Table};

/// Measures all candidates in turn, `rounds` times.
pub(crate) async fn measure(candidates: &[Candidate], rounds: usize, table: &mut Table) {
    let (mut calm, mut beside) = (Race::new(), Race::new());
    let mut shuffle = Shuffle::new();
    let mut order: Vec<_> = candidates.iter().collect();
    for _ in 0..rounds {
        shuffle.shuffle(&mut order);
        for candidate in &order {
            let mut terminal = echo::typed_into(candidate);
            echo::burst(&mut terminal, |took| {
                calm.entry(candidate.name).or_default().push(took);
            });
            let flood = Flood::start(candidate);
            // What the flood finds when it starts is not what it makes.
            echo::burst(&mut terminal, |_| ());
            echo::burst(&mut terminal, |took| {
                beside.entry(candidate.name).or_default().push(took);
            });
            flood.stop();
            tokio::task::yield_now().await;
        }
    }
    table.row("echo alone, p99", "", &calm, 0.99);
    table.row("echo beside a flood, p50", "", &beside, 0.5);
    table.row("echo beside a flood, p99", "≤ alone + 10 ms", &beside, 0.99);
}

/// A session that prints without end, and a thread that reads it.
struct Flood {
    over: Arc<AtomicBool>,
    reader: std::thread::JoinHandle<()>,
}

impl Flood {
    fn start(candidate: &Candidate) -> Self {
        let mut terminal = candidate.shell();
        terminal.write(b"timeout 60 yes\r");
        terminal.read_until(b"y\r\ny\r\n");
        let over = Arc::new(AtomicBool::new(false));
        let reader = std::thread::spawn({
            let over = over.clone();
            move || {
                while !over.load(Ordering::Relaxed) {
                    terminal.read_until(b"y");
                }
                // A session outlives its client, and its program would flood on.
                terminal.write(b"\x03echo over-$((1 + 1))\r");
                terminal.read_until(b"over-2");
            }
        });
        Self { over, reader }
    }

    fn stop(self) {
        self.over.store(true, Ordering::Relaxed);
        self.reader.join().expect("the flood is read");
    }
}
