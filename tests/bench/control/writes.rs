//! What the control plane writes: machines that join, and records of the audit log, one after the other and
//! several at once. Below the wire: one address may not enrol a hundred machines a second.

use std::collections::BTreeMap;

use cmdop_control::store::{Event, NewMachine, Store};
use cmdop_proto::WorkspaceId;
use cmdop_tests::forge;
use futures_util::StreamExt as _;
use tokio::time::Instant;

use super::line;
use super::plane::{Kind, Plane};
use crate::figures::Samples;

/// Machines that join at the same time.
const AT_ONCE: usize = 8;

fn now_ms() -> u64 {
    forge::now() as u64 * 1000
}

/// Joins `count` machines, each with a token of its own; the tokens are there already.
pub(super) async fn enrolments(kind: Kind, count: usize) {
    let plane = Plane::start(kind).await;
    let store = plane.store().await;
    let workspace = store.workspace(plane.workspace);
    let hash = |n: usize| format!("{n:064}");
    for n in 0..count {
        let (until, labels, hash) = (now_ms() + 3_600_000, BTreeMap::new(), hash(n));
        let added = workspace.add_machine_token(&hash, &labels, until, now_ms());
        added.await.expect("a token");
    }
    let mut samples = Samples::default();
    let begun = Instant::now();
    let id = plane.workspace;
    let joins = (0..count).map(|n| join(&store, id, hash(n), n));
    let joins = futures_util::stream::iter(joins).buffer_unordered(AT_ONCE);
    let taken: Vec<_> = joins.collect().await;
    for took in taken {
        samples.push(took);
    }
    let rate = count as f64 / begun.elapsed().as_secs_f64();
    line(kind, "a machine joins, 8 at once", &samples, "");
    println!(
        "  {:<11} {rate:.0} enrolments a second   goal 100",
        kind.name()
    );
    store.close().await;
    plane.stop().await;
}

async fn join(
    store: &Store,
    workspace: WorkspaceId,
    hash: String,
    n: usize,
) -> std::time::Duration {
    let machine = NewMachine {
        name: format!("web-{n}"),
        public_key: "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA\n-----END PUBLIC KEY-----\n"
            .into(),
        labels: BTreeMap::new(),
        os: "linux".into(),
        arch: "x86_64".into(),
        agent_version: "0.1.0".into(),
    };
    let begun = Instant::now();
    let workspace = store.workspace(workspace);
    let joined = workspace.enroll_machine(&hash, machine, now_ms()).await;
    joined.expect("it joins");
    begun.elapsed()
}

/// Appends `count` records to one chain.
pub(super) async fn appends(kind: Kind, count: usize) {
    let plane = Plane::start(kind).await;
    let store = plane.store().await;
    let workspace = store.workspace(plane.workspace);
    let mut samples = Samples::default();
    for n in 0..count {
        let event = Event::new("exec-started", "web-1").detail("command", format!("make -j {n}"));
        let begun = Instant::now();
        let noted = workspace.note(event, now_ms()).await;
        noted.expect("the log takes it");
        samples.push(begun.elapsed());
    }
    line(
        kind,
        "a record is appended to the audit log",
        &samples,
        "p99 5 ms",
    );
    store.close().await;
    plane.stop().await;
}
