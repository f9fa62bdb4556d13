//! What the control plane and the relay's checks of its tokens take, on both databases: one part each for
//! `checks`, `login`, `catalogue`, `enrolments` and `appends`.
//!
//! The servers run in this process. PostgreSQL is the tests' own, which does not wait for its disk (`fsync=off`):
//! its figures for writes are those of the work, not of a disk.

mod catalogue;
mod checks;
mod plane;
#[path = "../../control/tests/postgres/server.rs"]
mod server;
mod writes;

use crate::Plan;
use crate::figures::Samples;
use plane::{Kind, Plane};

/// The parts.
pub(crate) const PARTS: [&str; 5] = ["checks", "login", "catalogue", "enrolments", "appends"];

/// Measures the parts that the plan wants.
pub(crate) async fn measure(plan: &Plan) {
    if plan.wants("checks") {
        checks::measure(plan.rounds(50_000));
    }
    for kind in [Kind::Sqlite, Kind::Postgres] {
        if plan.wants("login") {
            let plane = Plane::start(kind).await;
            login(&plane, plan.rounds(2_000)).await;
            plane.stop().await;
        }
        if plan.wants("catalogue") {
            catalogue::measure(kind, plan.rounds(500)).await;
        }
        if plan.wants("enrolments") {
            writes::enrolments(kind, plan.rounds(1_000)).await;
        }
        if plan.wants("appends") {
            writes::appends(kind, plan.rounds(2_500)).await;
        }
    }
}

/// The page on which people log in, over a connection that is there; no password is hashed for it.
async fn login(plane: &Plane, rounds: usize) {
    let mut samples = Samples::default();
    for _ in 0..rounds {
        let (taken, page) = plane.timed_page("/login").await;
        assert!(page.contains("<form"), "{page}");
        samples.push(taken);
    }
    line(plane.kind, "the login page", &samples, "p99 50 ms");
}

/// One line of figures.
fn line(kind: Kind, what: &str, samples: &Samples, goal: &str) {
    let at = |share| samples.quantile(share).as_secs_f64() * 1e3;
    println!(
        "  {:<11} {what:<44} p50 {:>8.3} ms  p99 {:>8.3} ms   goal {goal}",
        kind.name(),
        at(0.5),
        at(0.99)
    );
}
