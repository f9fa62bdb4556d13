//! Many targets: some at a time, their lines prefixed, and a summary that adds up.

use std::collections::BTreeSet;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use cmdop_client::Connection;
use cmdop_client::dial::Lane;
use cmdop_client::exec::Command;
use cmdop_proto::text::shown;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::drive::{self, START_TIMEOUT, too_long};
use super::prefix::Prefixer;
use super::printer::{Lines, Printer};
use super::replay::{Reader, Replay};
use super::result::{Kept, Report, outcome};
use super::summary::{Outcome, Summary};
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::stdin::Stdin;

/// Lines on their way to our reader. Few: a reader that stands still must stop the programs.
const LINES: usize = 64;

/// What the exit code of a program says whose reader went away: 128 + SIGPIPE.
const BROKEN_PIPE: u8 = 141;

/// How long a relay may take to hear that we gave programs up.
const LEAVING: Duration = Duration::from_secs(2);

/// What every target gets.
#[derive(Clone)]
struct Task {
    connection: Connection,
    command: Command,
    stdin: Option<Reader>,
    keep: bool,
    lines: mpsc::Sender<Lines>,
}

pub(super) async fn run(
    context: &Context,
    connection: &Connection,
    targets: Vec<String>,
    command: Command,
    jobs: usize,
) -> Result<u8, Failure> {
    let broken =
        |error: io::Error| Failure::internal(format!("cannot use stdin or stdout: {error}"));
    // One way in for all: if it is closed, that is one message and not one for each target.
    let limit = command.timeout.unwrap_or(START_TIMEOUT);
    tokio::time::timeout(limit, connection.relay(Lane::Bulk))
        .await
        .unwrap_or_else(|_| Err(too_long("connecting to the relay", limit)))?;
    context.warn_of_clock(connection);
    let mut replay = Replay::new();
    let stdin = command
        .stdin
        .then(Stdin::open)
        .transpose()
        .map_err(broken)?;
    let begun = Instant::now();
    let (lines, received) = mpsc::channel(LINES);
    let task = Task {
        connection: connection.clone(),
        command,
        stdin: stdin.is_some().then(|| replay.reader()),
        keep: context.globals.json,
        lines,
    };
    let single = targets.len() == 1;
    let mut printer = Printer::open(context.globals.json).map_err(broken)?;
    let mut fleet = Fleet::new(targets, task, jobs);
    let feed = feed_all(stdin, &mut replay);
    tokio::pin!(feed);
    let done = tokio::select! {
        done = fleet.run(&mut printer, received) => done,
        failure = &mut feed => {
            fleet.give_up(connection).await;
            return Err(failure);
        }
    };
    if !matches!(done, Ok(false)) || fleet.has_given_up {
        fleet.give_up(connection).await;
    }
    let interrupted = match done {
        Ok(interrupted) => interrupted,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(BROKEN_PIPE),
        Err(error) => return Err(broken(error)),
    };
    if interrupted {
        for target in &fleet.outstanding {
            printer.report(&Report::none(target, begun.elapsed()));
        }
    }
    if !context.globals.quiet && !single {
        printer.say(format!("{}\n", fleet.summary.line()));
    }
    match printer.finish(interrupted).await {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(broken(error)),
        _ => {}
    }
    Ok(match fleet.only {
        _ if interrupted => 130,
        Some(code) if single => code,
        _ => u8::from(!fleet.summary.is_ok()),
    })
}

/// The targets of one run.
struct Fleet {
    waiting: std::vec::IntoIter<String>,
    outstanding: BTreeSet<String>,
    running: JoinSet<Report>,
    task: Task,
    jobs: usize,
    summary: Summary,
    /// The exit code that the newest report stands for.
    only: Option<u8>,
    /// A program took too long for us, not for its agent.
    has_given_up: bool,
}

impl Fleet {
    fn new(targets: Vec<String>, task: Task, jobs: usize) -> Self {
        Self {
            summary: Summary::new(targets.len()),
            outstanding: targets.iter().cloned().collect(),
            waiting: targets.into_iter(),
            running: JoinSet::new(),
            task,
            jobs,
            only: None,
            has_given_up: false,
        }
    }

    /// Runs all, printing what comes. `true`: interrupted, and `outstanding` says who did not report.
    async fn run(
        &mut self,
        printer: &mut Printer,
        mut lines: mpsc::Receiver<Lines>,
    ) -> io::Result<bool> {
        let mut interrupt =
            tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt())?;
        loop {
            self.fill();
            // All branches are cancel-safe: receiving, joining and writing lose nothing when another
            // wins. Nothing waits for our reader but the branch that writes, so that Ctrl-C is seen.
            tokio::select! {
                biased;
                _ = interrupt.recv() => {
                    take_all(&mut lines, printer);
                    return Ok(true);
                }
                written = printer.write(), if printer.has_work() => written?,
                Some(lines) = lines.recv(), if printer.has_room() => printer.print(lines),
                Some(report) = self.running.join_next(), if printer.has_room() => {
                    // Lines come before the result that follows them: the task sent them first.
                    take_all(&mut lines, printer);
                    // A task that failed inside has not reported.
                    if let Ok(report) = report {
                        self.reported(printer, &report);
                    }
                }
                // All reports are in, and all that was printed before them.
                () = std::future::ready(()), if self.running.is_empty() => {
                    take_all(&mut lines, printer);
                    return Ok(false);
                }
            }
        }
    }

    /// The programs that are left are to end now, not when their agents have lost patience.
    async fn give_up(&mut self, connection: &Connection) {
        self.running.shutdown().await;
        connection.settle(LEAVING).await;
    }

    /// Starts targets while there is room.
    fn fill(&mut self) {
        while self.running.len() < self.jobs
            && let Some(target) = self.waiting.next()
        {
            self.running.spawn(self.task.clone().run(target));
        }
    }

    fn reported(&mut self, printer: &mut Printer, report: &Report) {
        if report.outcome != Outcome::NotReported {
            self.outstanding.remove(&report.target);
        }
        self.summary.count(report.outcome);
        self.has_given_up |= report.end.is_err();
        self.only = Some(match &report.end {
            Ok(finished) if finished.timed_out => 75,
            Ok(finished) => finished.exit_code,
            Err(refusal) => Failure::from(refusal.clone()).code(),
        });
        printer.report(report);
    }
}

/// At most as many as the channel holds: whoever prints stands still meanwhile.
fn take_all(lines: &mut mpsc::Receiver<Lines>, printer: &mut Printer) {
    while let Ok(lines) = lines.try_recv() {
        printer.print(lines);
    }
}

impl Task {
    /// Runs one target to its end, and never fails: a failure is a result too.
    async fn run(mut self, target: String) -> Report {
        let begun = Instant::now();
        self.command.machine.clone_from(&target);
        let mut sink = Sink::new(&target, self.keep, self.lines.clone());
        let end = drive::run(&self.connection, self.command, self.stdin, &mut sink).await;
        sink.finish().await;
        Report {
            outcome: outcome(&end),
            end: end.map_err(|error| error.refusal()),
            target,
            took: begun.elapsed(),
            stdout: sink.kept.0,
            stderr: sink.kept.1,
        }
    }
}

/// Copies our stdin for all targets. Returns only if that cannot be done; a stdin that cannot be read
/// is one that has ended.
async fn feed_all(stdin: Option<Stdin>, replay: &mut Replay) -> Failure {
    if let Some(mut stdin) = stdin {
        loop {
            let piece = stdin.read().await.unwrap_or_default();
            let ended = piece.is_empty();
            if replay.push(piece).is_err() {
                return Failure::usage(
                    "stdin is larger than 64 MiB, too large to copy to many machines",
                )
                .hint("run on one machine at a time, or send no stdin with -n");
            }
            if ended {
                break;
            }
        }
    }
    std::future::pending().await
}

/// What a target prints: kept for `--json`, or on its way to our reader in whole lines.
struct Sink {
    keep: bool,
    kept: (Kept, Kept),
    prefixers: (Prefixer, Prefixer),
    lines: mpsc::Sender<Lines>,
}

impl Sink {
    fn new(target: &str, keep: bool, lines: mpsc::Sender<Lines>) -> Self {
        let host = shown(target, 253);
        Self {
            keep,
            kept: (Kept::default(), Kept::default()),
            prefixers: (Prefixer::new(&host), Prefixer::new(&host)),
            lines,
        }
    }

    async fn finish(&mut self) {
        let (out, err) = (self.prefixers.0.finish(), self.prefixers.1.finish());
        self.send(Lines::Out(out)).await;
        self.send(Lines::Err(err)).await;
    }

    /// Nobody to print to means that the run is being given up.
    async fn send(&self, lines: Lines) {
        let (Lines::Out(text) | Lines::Err(text)) = &lines;
        if !text.is_empty() {
            let _ = self.lines.send(lines).await;
        }
    }
}

impl drive::Sink for Sink {
    async fn stdout(&mut self, data: Bytes) {
        if self.keep {
            self.kept.0.push(&data);
        } else {
            let lines = self.prefixers.0.lines(&data);
            self.send(Lines::Out(lines)).await;
        }
    }

    async fn stderr(&mut self, data: Bytes) {
        if self.keep {
            self.kept.1.push(&data);
        } else {
            let lines = self.prefixers.1.lines(&data);
            self.send(Lines::Err(lines)).await;
        }
    }
}
