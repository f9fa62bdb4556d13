//! One program from a cold client: start, connect, run `true`, end.

use tokio::time::Instant;

use crate::candidate::Candidate;
use crate::figures::{Race, Shuffle, Table};

/// Measures all candidates in turn, `rounds` times.
pub(crate) async fn measure(candidates: &[Candidate], rounds: usize, table: &mut Table) {
    let mut order: Vec<_> = candidates.iter().collect();
    let mut race = Race::new();
    let mut shuffle = Shuffle::new();
    for candidate in &order {
        run(candidate);
    }
    for _ in 0..rounds {
        shuffle.shuffle(&mut order);
        for candidate in &order {
            let before = Instant::now();
            run(candidate);
            race.entry(candidate.name)
                .or_default()
                .push(before.elapsed());
            tokio::task::yield_now().await;
        }
    }
    table.row("exec true, cold client", "≤ 0.12 × ssh", &race, 0.5);
}

fn run(candidate: &Candidate) {
    candidate.run("true");
}
