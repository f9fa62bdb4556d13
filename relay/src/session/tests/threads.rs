//! The fan-out under threads: the session's own code, locks and wakers, with every switch between
//! threads chosen by shuttle. Whoever is not woken in time sleeps for ever, and shuttle says so.
//!
//! `CMDOP_SCHEDULES=100000` explores for longer than the suite has time for.

mod stage;

use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::thread;

use super::*;
use crate::lock::scheduled;
use stage::{Reader, Stage};

/// Schedules of each kind and test, in the suite.
const SCHEDULES: usize = 150;

/// Where the choices of a run begin: the same schedules on every machine.
const SEED: u64 = 0x5eed_ca5e;

/// How many switches at unlikely places a schedule of the second kind makes.
const DEPTH: usize = 3;

fn explore(threads: fn()) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    // Nothing runs on it; its clock stands still.
    let _clock = runtime.enter();
    let schedules = std::env::var("CMDOP_SCHEDULES").ok();
    let schedules = schedules.map_or(SCHEDULES, |n| n.parse().expect("a number"));
    let mut config = shuttle::Config::new();
    config.stack_size = 512 << 10;
    scheduled::run(|| {
        let random = RandomScheduler::new_from_seed(SEED, schedules);
        shuttle::Runner::new(random, config.clone()).run(threads);
        let unlikely = PctScheduler::new_from_seed(SEED, DEPTH, schedules);
        shuttle::Runner::new(unlikely, config).run(threads);
    });
}

/// Ends what the readers wait for, and sees that nobody still sleeps.
fn close(stage: &Arc<Stage>, threads: Vec<thread::JoinHandle<()>>) {
    for thread in threads {
        thread.join().expect("no thread fails");
    }
    assert!(stage.session().is_ended());
}

#[test]
fn every_reader_gets_every_byte_once_whoever_runs_when() {
    explore(|| {
        let stage = Stage::new(2);
        let threads = vec![
            stage.agent(),
            stage.printer(0),
            stage.reader(Mode::Operator, Reader::read_to_the_end),
            stage.reader_who_answers(Mode::Operator, Reader::read_to_the_end),
        ];
        close(&stage, threads);
    });
}

#[test]
fn who_falls_out_of_the_window_gets_a_picture_and_every_byte_after_it() {
    explore(|| {
        let stage = Stage::new(2);
        let mut slow = stage.attach(Mode::Observer, ClientId::new());
        let slow = thread::spawn(move || {
            slow.sleep_until_out_of_the_window();
            assert!(slow.read_to_the_end().pictures > 0);
        });
        let threads = vec![
            stage.agent(),
            stage.printer(0),
            stage.reader(Mode::Operator, Reader::read_to_the_end),
            slow,
        ];
        close(&stage, threads);
    });
}

#[test]
fn who_leaves_and_comes_back_goes_on_where_it_was_and_harms_nobody() {
    explore(|| {
        let stage = Stage::new(2);
        let restless = |mut reader: Reader| {
            for _ in 0..3 {
                reader.read_some();
                reader.leave_and_come_back();
            }
            reader.read_to_the_end()
        };
        let threads = vec![
            stage.agent(),
            stage.printer(0),
            stage.reader(Mode::Operator, restless),
            stage.reader(Mode::Observer, Reader::read_to_the_end),
        ];
        close(&stage, threads);
    });
}

#[test]
fn an_older_stream_of_a_client_ends_and_the_newer_one_misses_nothing() {
    explore(|| {
        let stage = Stage::new(1);
        let id = ClientId::new();
        let mut older = stage.attach(Mode::Operator, id);
        let replaced = thread::spawn(move || {
            let cut = older.read_to_the_cut();
            assert_eq!(cut.reason, "replaced");
        });
        let newer = stage.reader_as(Mode::Operator, id, Reader::read_to_the_end);
        let threads = vec![stage.agent(), stage.printer(0), replaced, newer];
        close(&stage, threads);
    });
}

#[test]
fn typists_who_wait_for_room_are_woken_and_each_input_is_written_once() {
    explore(|| {
        let stage = Stage::new(1);
        let threads = vec![
            stage.agent(),
            stage.printer(2),
            stage.typist(),
            stage.typist(),
            stage.reader(Mode::Observer, Reader::read_to_the_end),
        ];
        close(&stage, threads);
    });
}

#[test]
fn who_waits_for_the_end_hears_of_it() {
    explore(|| {
        let stage = Stage::new(1);
        let session = stage.session().clone();
        let waiting = thread::spawn(move || shuttle::future::block_on(session.over()));
        let threads = vec![
            stage.agent(),
            stage.printer(0),
            stage.reader(Mode::Observer, Reader::read_to_the_end),
            waiting,
        ];
        close(&stage, threads);
    });
}
