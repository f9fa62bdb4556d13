//! What the results of a command on many machines promise.

use super::*;
use crate::dashboard::selection::Step;

struct Fixture {
    results: Results,
    machines: Vec<MachineId>,
}

impl Fixture {
    fn new(count: usize) -> Self {
        let machines: Vec<_> = (0..count).map(|_| MachineId::new()).collect();
        let names = machines.iter().enumerate();
        let request = RunRequest {
            run: 7,
            command: "uptime".into(),
            machines: names
                .map(|(n, id)| (*id, format!("web-{}", n + 1)))
                .collect(),
            max_output: Results::room_for(count),
        };
        Self {
            results: Results::new(&request, Instant::now()),
            machines,
        }
    }

    fn tell(&mut self, machine: usize, what: Happened) {
        let machine = self.machines[machine];
        self.results.happened(RunEvent {
            run: self.results.run,
            machine,
            what,
        });
    }

    fn end(&mut self, machine: usize, end: End, output: &'static str) {
        self.tell(machine, Happened::Started);
        self.tell(
            machine,
            Happened::Output(Bytes::from_static(output.as_bytes())),
        );
        let took = Duration::from_millis(10 * (machine as u64 + 1));
        let (tail, cut) = (Bytes::new(), 0);
        self.tell(
            machine,
            Happened::Ended {
                end,
                tail,
                cut,
                took,
            },
        );
    }

    fn blocks(&mut self) -> Vec<(BlockKey, usize, String)> {
        self.results.refresh();
        let blocks = self.results.blocks().iter();
        blocks
            .map(|block| (block.key, block.count, block.names.clone()))
            .collect()
    }
}

#[test]
fn machines_that_ended_alike_are_one_block_and_failures_come_first() {
    let mut run = Fixture::new(6);
    run.end(0, End::Exited(0), "ok\n");
    run.end(1, End::Exited(0), "ok\n");
    run.end(2, End::Exited(1), "ok\n");
    run.end(3, End::Exited(0), "other\n");
    run.tell(4, Happened::Started);
    assert_eq!(
        run.blocks(),
        [
            (BlockKey::Ended(1), 1, "web-3".into()),
            (BlockKey::Running, 1, "web-5".into()),
            (BlockKey::Waiting, 1, "web-6".into()),
            (BlockKey::Ended(0), 2, "web-1, web-2".into()),
            (BlockKey::Ended(2), 1, "web-4".into()),
        ]
    );
    let counts = run.results.counts();
    assert_eq!(
        (counts.ok, counts.failed, counts.running, counts.waiting),
        (3, 1, 1, 1)
    );
    assert_eq!(
        run.results.distinct.len(),
        3,
        "an output that many share is kept once"
    );
}

#[test]
fn the_cursor_stays_on_its_block_while_others_come() {
    let mut run = Fixture::new(3);
    run.end(0, End::Exited(0), "one\ntwo\n");
    run.results.step(Step::Last);
    run.results.expand();
    run.results.step(Step::Rows(2));
    assert_eq!(
        run.results.row(run.results.cursor()),
        Some(ResultRow::Line(1, 1))
    );
    run.end(1, End::Exited(3), "failed\n");
    run.results.refresh();
    // Its block is the third now: after the failed one and the waiting one.
    assert_eq!(
        run.results.row(run.results.cursor()),
        Some(ResultRow::Line(2, 1))
    );
}

#[test]
fn what_did_not_succeed_is_run_once_more_and_its_old_events_are_dropped() {
    let mut run = Fixture::new(3);
    run.end(0, End::Exited(0), "");
    run.end(1, End::Exited(1), "");
    assert!(
        run.results.again(8, Instant::now()).is_none(),
        "one is waiting"
    );
    run.end(2, End::Unreachable, "");
    let request = run.results.again(8, Instant::now()).unwrap();
    let names: Vec<_> = request
        .machines
        .iter()
        .map(|(_, name)| name.as_str())
        .collect();
    assert_eq!((request.run, names), (8, vec!["web-2", "web-3"]));
    let machine = run.machines[1];
    run.results.happened(RunEvent {
        run: 7,
        machine,
        what: Happened::Started,
    });
    assert_eq!(run.results.counts().waiting, 2);
    run.end(1, End::Exited(0), "");
    run.end(2, End::Exited(0), "");
    assert!(
        run.results.again(9, Instant::now()).is_none(),
        "nothing failed"
    );
}

#[test]
fn what_is_called_off_says_so_and_what_ended_before_stays() {
    let mut run = Fixture::new(3);
    run.end(0, End::Exited(0), "");
    run.tell(1, Happened::Started);
    assert!(run.results.cancel(Instant::now()));
    assert!(run.results.is_over() && !run.results.cancel(Instant::now()));
    assert_eq!(
        (run.results.counts().cancelled, run.results.counts().ok),
        (2, 1)
    );
    run.end(1, End::Exited(0), "late");
    assert_eq!(run.results.counts().cancelled, 2);
}

#[test]
fn the_outputs_of_a_fleet_are_bounded_together() {
    for machines in [1, 10, 2_000, 1_000_000] {
        let all = Results::room_for(machines) * machines;
        assert!(
            all <= MAX_ALL_OUTPUT.max(MIN_OUTPUT * machines),
            "{machines}"
        );
    }
    assert_eq!(Results::room_for(1), MAX_OUTPUT);
}
