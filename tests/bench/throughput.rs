//! 64 MiB of text, from `cat` there to the terminal here.

use std::path::Path;

use tokio::time::Instant;

use crate::candidate::Candidate;
use crate::figures::{Race, Shuffle, Table};

const SIZE: usize = 64 << 20;

/// Measures all candidates in turn, `rounds` times.
pub(crate) async fn measure(
    candidates: &[Candidate],
    directory: &Path,
    rounds: usize,
    table: &mut Table,
) {
    let file = directory.join("text");
    std::fs::write(&file, text()).expect("a file of the benchmark");
    let mut open: Vec<_> = candidates
        .iter()
        .map(|candidate| (candidate.name, candidate.shell()))
        .collect();
    let mut race = Race::new();
    let mut shuffle = Shuffle::new();
    for round in 0..rounds {
        shuffle.shuffle(&mut open);
        for (name, terminal) in &mut open {
            let mark = format!("over-{}", round + 1000);
            let command = format!("cat {}; echo over-$(({round} + 1000))\r", file.display());
            let before = Instant::now();
            terminal.write(command.as_bytes());
            let came = terminal.read_until(mark.as_bytes());
            race.entry(name).or_default().push(before.elapsed());
            assert!(came > SIZE, "{name} skipped: only {came} bytes came");
            tokio::task::yield_now().await;
        }
    }
    table.row("64 MiB of text", "≤ 1 × ssh", &race, 0.5);
}

/// Lines as a build log has them.
fn text() -> Vec<u8> {
    let mut text = Vec::with_capacity(SIZE + 128);
    let mut number = 0_u64;
    while text.len() < SIZE {
        number += 1;
        let line = format!(
            "{number:>9} Compiling crate-{} v0.{}.{} (registry)\n",
            number * 7919 % 997,
            number % 31,
            number % 7
        );
        text.extend_from_slice(line.as_bytes());
    }
    text
}
