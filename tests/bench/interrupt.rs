//! Ctrl-C in a flood behind a narrow link: how long until the shell's prompt is there.

use std::time::Duration;

use tokio::time::Instant;

use crate::candidate::Candidate;
use crate::figures::{Race, Shuffle, Table};

/// How long the flood runs before: every buffer on the way is full by then.
const FLOOD: Duration = Duration::from_secs(2);

/// Measures all candidates in turn, `rounds` times; `who` is behind the link.
pub(crate) fn measure(candidates: &[Candidate], who: &str, rounds: usize, table: &mut Table) {
    let mut race = Race::new();
    let mut shuffle = Shuffle::new();
    let mut order: Vec<_> = candidates.iter().collect();
    for _ in 0..rounds {
        shuffle.shuffle(&mut order);
        for candidate in &order {
            // The link passes bytes on the other threads of the runtime.
            let took = tokio::task::block_in_place(|| one(candidate));
            race.entry(candidate.name).or_default().push(took);
        }
    }
    let what = format!("Ctrl-C, {who} at 100 KB/s, 2 × 40 ms");
    table.row(&format!("{what}, p50"), "", &race, 0.5);
    table.row(&format!("{what}, p99"), "≤ 500 ms", &race, 0.99);
}

fn one(candidate: &Candidate) -> Duration {
    let mut terminal = candidate.shell();
    // The program ends by itself if the interrupt is lost.
    terminal.write(b"PS1=back-$((1 + 1)); timeout 60 yes\r");
    terminal.read_for(FLOOD);
    let before = Instant::now();
    terminal.write(b"\x03");
    terminal.read_until(b"back-2");
    before.elapsed()
}
