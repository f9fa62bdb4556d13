//! Many targets: some at a time, their lines prefixed, and a summary that adds up.

use std::collections::BTreeSet;
use std::io;
use std::time::Duration;

use cmdop_client::dial::Lane;
use cmdop_client::exec::{self, Command, Event, Finished, Input};
use cmdop_client::{Connection, Error};
use cmdop_proto::text::shown;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::prefix::Prefixer;
use super::replay::{Reader, Replay};
use super::result::{Kept, Report, outcome};
use super::summary::{Outcome, Summary};
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::stdin::Stdin;
use crate::cli::stdout::Stdout;

/// Lines on their way to our reader. Few: a reader that stands still must stop the programs.
const LINES: usize = 64;

/// A target that has not started its program by then is given up.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// What the agent's own clock for `--timeout` may take to reach us.
const TIMEOUT_GRACE: Duration = Duration::from_secs(1);

/// Whole lines of one stream.
enum Lines {
    Out(Vec<u8>),
    Err(Vec<u8>),
}

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
    connection.relay(Lane::Bulk).await?;
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
    let printer = Printer {
        json: context.globals.json,
        stdout: Stdout::open().map_err(broken)?,
        stderr: Stdout::open_stderr().map_err(broken)?,
    };
    let mut fleet = Fleet::new(targets, task, jobs);
    let feed = feed_all(stdin, &mut replay);
    tokio::pin!(feed);
    let interrupted = tokio::select! {
        done = fleet.run(&printer, received) => done.map_err(broken)?,
        failure = &mut feed => return Err(failure),
    };
    if interrupted {
        for target in &fleet.outstanding {
            let report = Report::none(target, begun.elapsed());
            printer.report(&report).await.map_err(broken)?;
        }
    }
    if !context.globals.quiet && !single {
        let line = format!("{}\n", fleet.summary.line());
        printer
            .stderr
            .write_all(line.as_bytes())
            .await
            .map_err(broken)?;
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
        }
    }

    /// Runs all, printing what comes. `true`: interrupted, and `outstanding` says who did not report.
    async fn run(
        &mut self,
        printer: &Printer,
        mut lines: mpsc::Receiver<Lines>,
    ) -> io::Result<bool> {
        let mut interrupt =
            tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt())?;
        loop {
            self.fill();
            if self.running.is_empty() {
                // All reports are in; what was printed before them is in the queue.
                while let Ok(lines) = lines.try_recv() {
                    printer.print(&lines).await?;
                }
                return Ok(false);
            }
            // All branches are cancel-safe: receiving and joining lose nothing when another wins.
            tokio::select! {
                biased;
                _ = interrupt.recv() => {
                    self.running.abort_all();
                    return Ok(true);
                }
                Some(lines) = lines.recv() => printer.print(&lines).await?,
                Some(report) = self.running.join_next() => {
                    // Lines come before the result that follows them: the task sent them first.
                    while let Ok(lines) = lines.try_recv() {
                        printer.print(&lines).await?;
                    }
                    // A task that failed inside has not reported.
                    if let Ok(report) = report {
                        self.reported(printer, &report).await?;
                    }
                }
            }
        }
    }

    /// Starts targets while there is room.
    fn fill(&mut self) {
        while self.running.len() < self.jobs
            && let Some(target) = self.waiting.next()
        {
            self.running.spawn(self.task.clone().run(target));
        }
    }

    async fn reported(&mut self, printer: &Printer, report: &Report) -> io::Result<()> {
        if report.outcome != Outcome::NotReported {
            self.outstanding.remove(&report.target);
        }
        self.summary.count(report.outcome);
        self.only = Some(match &report.end {
            Ok(finished) if finished.timed_out => 75,
            Ok(finished) => finished.exit_code,
            Err(refusal) => Failure::from(refusal.clone()).code(),
        });
        printer.report(report).await
    }
}

/// Where results go.
struct Printer {
    json: bool,
    stdout: Stdout,
    stderr: Stdout,
}

impl Printer {
    async fn print(&self, lines: &Lines) -> io::Result<()> {
        match lines {
            Lines::Out(lines) => self.stdout.write_all(lines).await,
            Lines::Err(lines) => self.stderr.write_all(lines).await,
        }
    }

    /// A result as JSON, or what is worth a line about one that is not plain success.
    async fn report(&self, report: &Report) -> io::Result<()> {
        if self.json {
            return self.stdout.write_all(report.json().as_bytes()).await;
        }
        match report.fault() {
            Some(fault) => {
                let line = format!("{}: cmdop: {fault}\n", shown(&report.target, 64));
                self.stderr.write_all(line.as_bytes()).await
            }
            None => Ok(()),
        }
    }
}

impl Task {
    /// Runs one target to its end, and never fails: a failure is a result too.
    async fn run(mut self, target: String) -> Report {
        let begun = Instant::now();
        self.command.machine.clone_from(&target);
        let mut sink = Sink::new(&target, self.keep, self.lines.clone());
        let limit = self.command.timeout.map(|limit| limit + TIMEOUT_GRACE);
        let drive = self.drive(&mut sink);
        let end = match limit {
            None => drive.await,
            Some(limit) => tokio::time::timeout(limit, drive)
                .await
                .unwrap_or_else(|_| Err(too_long("the program", limit))),
        };
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

    async fn drive(&self, sink: &mut Sink) -> Result<Finished, Error> {
        let started = exec::run(&self.connection, self.command.clone());
        let (input, mut output) = tokio::time::timeout(START_TIMEOUT, started)
            .await
            .unwrap_or_else(|_| Err(too_long("starting the program", START_TIMEOUT)))?;
        let feed = feed(input, self.stdin.clone());
        tokio::pin!(feed);
        let mut feeding = true;
        loop {
            // Cancel-safe: `feed` is kept, and reading one event loses nothing.
            let event = tokio::select! {
                () = &mut feed, if feeding => { feeding = false; continue }
                event = output.next() => event?,
            };
            match event {
                Some(Event::Stdout(data)) => sink.stdout(&data).await,
                Some(Event::Stderr(data)) => sink.stderr(&data).await,
                Some(Event::Finished(finished)) => return Ok(finished),
                Some(Event::Started { .. }) => {}
                None => return Err(Error::Lost("the run ended without a result".into())),
            }
        }
    }
}

fn too_long(what: &str, after: Duration) -> Error {
    Error::Timeout {
        what: what.to_owned(),
        after,
    }
}

/// The input is kept until the end: dropping it would tell the agent that its caller is gone.
async fn feed(input: Input, stdin: Option<Reader>) {
    if let Some(mut stdin) = stdin {
        while let Some(piece) = stdin.next().await {
            if !input.stdin(piece).await {
                break;
            }
        }
        input.close_stdin().await;
    }
    std::future::pending::<()>().await;
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

    async fn stdout(&mut self, data: &[u8]) {
        if self.keep {
            self.kept.0.push(data);
        } else {
            let lines = self.prefixers.0.lines(data);
            self.send(Lines::Out(lines)).await;
        }
    }

    async fn stderr(&mut self, data: &[u8]) {
        if self.keep {
            self.kept.1.push(data);
        } else {
            let lines = self.prefixers.1.lines(data);
            self.send(Lines::Err(lines)).await;
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
