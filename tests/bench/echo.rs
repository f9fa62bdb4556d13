//! From the key to its echo: one byte typed, one byte awaited, echoed by the remote kernel's terminal.

use tokio::time::Instant;

use crate::candidate::Candidate;
use crate::figures::{Race, Shuffle, Table};
use crate::terminal::Terminal;

/// Keys of each candidate in one round; far below a terminal's line limit.
const KEYS: usize = 50;

/// Measures all candidates in turn, `rounds` times.
pub(crate) async fn measure(candidates: &[Candidate], rounds: usize, table: &mut Table) {
    let mut open: Vec<_> = candidates
        .iter()
        .map(|candidate| (candidate.name, typed_into(candidate)))
        .collect();
    let mut race = Race::new();
    let mut shuffle = Shuffle::new();
    for _ in 0..rounds {
        shuffle.shuffle(&mut open);
        for (name, terminal) in &mut open {
            let samples = race.entry(name).or_default();
            burst(terminal, |took| samples.push(took));
            tokio::task::yield_now().await;
        }
    }
    table.row("echo, p50", "≤ 1.5 × ssh", &race, 0.5);
    table.row("echo, p99", "≤ 2 × ssh", &race, 0.99);
}

/// A terminal that only echoes.
pub(crate) fn typed_into(candidate: &Candidate) -> Terminal {
    let mut terminal = candidate.shell();
    // The kernel echoes; the program only takes lines away.
    terminal.write(b"cat >/dev/null\r");
    terminal.read_until(b"\n");
    burst(&mut terminal, |_| ());
    terminal
}

/// Types [`KEYS`] keys, each after the echo of the one before.
pub(crate) fn burst(terminal: &mut Terminal, mut took: impl FnMut(std::time::Duration)) {
    for key in (b'a'..=b'z').cycle().take(KEYS) {
        let before = Instant::now();
        terminal.write(&[key]);
        terminal.read_until(&[key]);
        took(before.elapsed());
    }
    terminal.write(b"\r");
    terminal.read_until(b"\n");
}
