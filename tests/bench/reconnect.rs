//! How long an attached client stands still after its relay was killed: from the moment that the new relay
//! listens to the first new byte on the client's terminal. Agent and client both have to come back.

use std::sync::mpsc;
use std::time::Duration;

use cmdop_tests::World;
use tokio::time::Instant;

use crate::candidate::Candidate;
use crate::figures::{Race, Table};

/// A relay that is not back with its peers by then never will be.
const PATIENCE: Duration = Duration::from_secs(60);

/// Measures `rounds` crashes, with a program that prints a line every ten milliseconds.
pub(crate) async fn measure(
    world: &mut World,
    candidates: &[Candidate],
    rounds: usize,
    table: &mut Table,
) {
    let cmdop = candidates
        .iter()
        .find(|candidate| candidate.name == "cmdop");
    let cmdop = cmdop.expect("cmdop is a candidate");
    let mut terminal = tokio::task::block_in_place(|| cmdop.shell());
    terminal.write(b"while sleep 0.01; do echo on; done\r");
    let (told, reads) = mpsc::channel();
    std::thread::spawn(move || {
        loop {
            terminal.read_until(b"on");
            if told.send(Instant::now()).is_err() {
                // The session ends with the world.
                return;
            }
        }
    });
    let mut race = Race::new();
    world.expect_errors();
    for _ in 0..rounds {
        world.relay.kill().await;
        // Whatever was under way is read while the new one starts.
        world.restart_relay().await;
        let listens = Instant::now();
        let took = tokio::task::block_in_place(|| first_after(&reads, listens));
        race.entry("cmdop").or_default().push(took);
    }
    table.row("back after a relay's crash, p50", "≤ 1 s", &race, 0.5);
    table.row("back after a relay's crash, p99", "", &race, 0.99);
}

fn first_after(reads: &mpsc::Receiver<Instant>, moment: Instant) -> Duration {
    loop {
        let read = reads.recv_timeout(PATIENCE);
        let read = read.expect("the client comes back after a crash of the relay");
        if read > moment {
            return read - moment;
        }
    }
}
