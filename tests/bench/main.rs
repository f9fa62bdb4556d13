//! How cmdop compares: echo, throughput, exec, interrupts and memory, beside a local terminal and ssh, in one run.
//!
//! `cargo bench -p cmdop-tests` prints a table of medians and of ratios to ssh. All candidates are
//! interleaved in every round, so that a busy machine slows all of them alike: read the ratios.
//! `cargo bench -p cmdop-tests -- --quick echo exec` does fewer rounds, and only what is named.
//! The programs are the release builds (`cargo build --release --workspace` first).

mod candidate;
mod client;
mod control;
mod dashboard;
mod echo;
mod exec;
mod fanout;
mod figures;
mod files;
mod idle;
mod interrupt;
mod link;
mod neighbour;
mod reconnect;
mod sshd;
mod terminal;
mod throughput;

use candidate::{Candidate, Narrow, Uplink};
use cmdop_tests::World;
use figures::Table;

/// What to measure.
#[derive(Debug)]
struct Plan {
    quick: bool,
    only: Vec<String>,
}

impl Plan {
    fn read() -> Self {
        let words: Vec<String> = std::env::args().skip(1).collect();
        let quick = words.iter().any(|word| word == "--quick");
        Self {
            quick,
            only: words
                .into_iter()
                .filter(|word| !word.starts_with('-'))
                .collect(),
        }
    }

    fn wants(&self, what: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|word| word == what)
    }

    /// Whether nothing but some of these is wanted.
    fn is_within(&self, parts: &[&str]) -> bool {
        let is_part = |word: &String| parts.contains(&word.as_str());
        !self.only.is_empty() && self.only.iter().all(is_part)
    }

    /// `full` rounds, or a fifth of them.
    fn rounds(&self, full: usize) -> usize {
        if self.quick { (full / 5).max(2) } else { full }
    }
}

#[tokio::main]
async fn main() {
    let plan = Plan::read();
    if plan.wants("dashboard") {
        dashboard::measure(plan.rounds(5_000));
        if plan.only.len() == 1 {
            return;
        }
    }
    if plan.wants("inside") {
        client::inside(plan.rounds(5_000));
        if plan.only.len() == 1 {
            return;
        }
    }
    if control::PARTS.iter().any(|part| plan.wants(part)) {
        control::measure(&plan).await;
        if plan.is_within(&control::PARTS) {
            return;
        }
    }
    let mut world = World::start().await;
    let sshd = sshd::Sshd::start().await;
    let mut table = Table::default();
    let candidates = Candidate::all(&world, sshd.as_ref());
    if plan.wants("echo") {
        echo::measure(&candidates, plan.rounds(40), &mut table).await;
    }
    if plan.wants("throughput") {
        throughput::measure(&candidates, world.directory(), plan.rounds(5), &mut table).await;
    }
    if plan.wants("exec") {
        exec::measure(&candidates, plan.rounds(25), &mut table).await;
    }
    if plan.wants("fanout") {
        fanout::measure(&world, sshd.as_ref(), plan.rounds(5), &mut table).await;
    }
    if plan.wants("files") {
        files::measure(&world, sshd.as_ref(), plan.rounds(5), &mut table).await;
    }
    if plan.wants("files") || plan.wants("beside") {
        files::beside(
            &world,
            sshd.as_ref(),
            &candidates,
            plan.rounds(5),
            &mut table,
        )
        .await;
    }
    if plan.wants("neighbour") {
        neighbour::measure(&candidates, plan.rounds(10), &mut table).await;
    }
    if plan.wants("interrupt") {
        let narrow = Narrow::start(&world, sshd.as_ref()).await;
        interrupt::measure(&narrow.candidates, "client", plan.rounds(20), &mut table);
        let uplink = Uplink::start(&mut world).await;
        interrupt::measure(&uplink.candidates, "agent", plan.rounds(20), &mut table);
    }
    if plan.wants("reconnect") {
        reconnect::measure(&mut world, &candidates, plan.rounds(25), &mut table).await;
    }
    println!("{table}");
    if plan.wants("idle") {
        idle::measure(world, if plan.quick { 50 } else { 200 }).await;
    }
}
