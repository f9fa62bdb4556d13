//! One run of a caller, from its start until the caller has its result: output to the caller, input
//! from the caller, and an end even if the program does not want one.
//!
//! Its stream may be lost and another take its place: what the caller is not known to have is kept in a
//! [`Window`] of each stream, and when one is full the program waits.

mod ending;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cmdop_proto::v1::exec_request::Request as Down;
use cmdop_proto::v1::exec_response::Response;
use cmdop_proto::{Refusal, limits, v1};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::output::Output;
use super::program::{NotStarted, Started};
use super::stdin::Stdin;
use super::talk::{Address, Event as Talked, Gone, Intake, Talk};
use super::window::Window;
use super::{Job, Visit};
use crate::process::{self, Process};
use ending::{Ending, Why};

/// Runs it. The error is for the link: there was no stream that could carry it.
pub(super) async fn run(job: Job) -> Result<(), Refusal> {
    let mut talk = Talk::begin(Address {
        lane: job.lane.clone(),
        tokens: job.tokens.clone(),
        stream_token: job.start.stream_token.clone(),
        stream_id: job.start.run_id.clone(),
    });
    // The program starts while the stream is being opened.
    let starting = async {
        let prepared = super::prepare(&job.start, &job.user).await;
        let program = prepared.map_err(NotStarted::Machine)?;
        tokio::task::spawn_blocking(move || program.start())
            .await
            .map_err(|panic| NotStarted::Machine(Refusal::internal(panic.to_string())))?
    };
    let run = match talk.meanwhile(starting).await {
        Ok(started) => Run::new(talk, started, job),
        Err(NotStarted::Shell { line, code }) => Ok(Run::not_found(talk, line, code, job)),
        Err(NotStarted::Machine(refusal)) => {
            talk.refuse(job.command_id, &refusal);
            return talk.goodbye().await;
        }
    };
    match run {
        Ok(run) => run.live().await,
        Err(error) => Err(Refusal::internal(format!(
            "cannot watch a program: {error}"
        ))),
    }
}

/// How long a run outlives the loss of its stream.
#[derive(Clone, Copy, Debug)]
struct Patience {
    /// Zero: not at all.
    grace: Duration,
    /// More, if it was our own link that was lost.
    notice: Duration,
}

impl Patience {
    fn of(job: &Job) -> Self {
        let grace = Duration::from_millis(job.start.grace_ms);
        Self {
            grace: grace.min(limits::MAX_RUN_GRACE),
            notice: job.notice,
        }
    }

    fn resumes(self) -> bool {
        !self.grace.is_zero()
    }
}

/// An output stream of the program.
#[derive(Debug, Default)]
struct Stream {
    pipe: Output,
    window: Window,
}

struct Run {
    talk: Talk,
    visits: mpsc::Receiver<Visit>,
    stop: CancellationToken,
    caller_gone: CancellationToken,
    /// For the table of runs: there is nothing left but the result.
    has_ended: Arc<AtomicBool>,
    patience: Patience,
    /// When to give up the caller, whose stream is lost.
    lost: Option<Instant>,
    /// Another caller than the first one came.
    was_visited: bool,
    /// Why the first stream never came about.
    refusal: Option<Refusal>,
    pid: u32,
    /// Gone once it was reaped.
    process: Option<Process>,
    stdin: Stdin,
    stdout: Stream,
    stderr: Stream,
    ending: Ending,
    finished: Option<v1::ExecFinished>,
    /// The present caller was told of the end.
    is_told: bool,
    /// Nobody wants anything of it any more.
    is_done: bool,
}

/// How a piece of a stream is told.
type Say = fn(v1::ExecOutput) -> Response;

enum Event {
    Stop,
    CallerGone,
    Visit(Visit),
    Talk(Talked),
    Ended,
    Stdin,
    Output,
    Deadline,
}

impl Run {
    fn new(talk: Talk, started: Started, job: Job) -> io::Result<Self> {
        let pid = started.pid.as_raw_nonzero().get() as u32;
        let process = Process::watch(started.pid)?;
        let mut run = Self::without_program(talk, job);
        run.pid = pid;
        run.process = Some(process);
        run.stdin = Stdin::new(started.stdin)?;
        run.stdout.pipe = Output::new(started.stdout)?;
        run.stderr.pipe = Output::new(started.stderr)?;
        run.talk.say(Response::Started(v1::ExecStarted {
            pid,
            resumes: run.patience.resumes(),
        }));
        Ok(run)
    }

    /// As a shell would: a line on stderr, and its exit code.
    fn not_found(talk: Talk, line: String, code: u32, job: Job) -> Self {
        let mut run = Self::without_program(talk, job);
        run.stderr.window.push(line.as_bytes());
        run.finish(v1::Exit {
            outcome: Some(v1::exit::Outcome::Code(code)),
        });
        run
    }

    fn without_program(talk: Talk, job: Job) -> Self {
        let timeout = Duration::from_millis(job.start.timeout_ms);
        Self {
            talk,
            patience: Patience::of(&job),
            visits: job.visits,
            stop: job.stop,
            caller_gone: job.caller_gone,
            has_ended: job.has_ended,
            lost: None,
            was_visited: false,
            refusal: None,
            pid: 0,
            process: None,
            stdin: Stdin::default(),
            stdout: Stream::default(),
            stderr: Stream::default(),
            ending: Ending::new(timeout),
            finished: None,
            is_told: false,
            is_done: false,
        }
    }

    async fn live(mut self) -> Result<(), Refusal> {
        self.tell();
        while !self.is_done {
            match self.next().await {
                Event::Stop => self.force(Why::Stopping),
                Event::CallerGone => self.abandon(),
                Event::Visit(visit) => self.visited(visit),
                Event::Talk(Talked::Request(request)) => self.obey(request),
                Event::Talk(Talked::Room) => {}
                Event::Talk(Talked::Gone(gone)) => self.lost(gone),
                Event::Ended => self.program_ended(),
                Event::Stdin => self.stdin.write(),
                Event::Output => self.read(),
                Event::Deadline => self.deadline_passed(),
            }
            self.conclude();
            self.tell();
        }
        if self.lost.is_none() && !self.is_unheard() {
            self.talk.goodbye().await?;
        }
        self.refusal.map_or(Ok(()), Err)
    }

    /// Cancel-safe throughout.
    async fn next(&mut self) -> Event {
        let intake = if self.stdin.has_room() {
            Intake::Open
        } else {
            Intake::Closed
        };
        // Reading waits until what was read before has left: this is the back-pressure. Without a
        // stream it goes on until the window is full.
        let is_unheard = self.is_unheard();
        let flows = is_unheard || self.lost.is_some() || self.talk.is_flushed();
        let reads_stdout = flows && (is_unheard || self.stdout.window.has_room());
        let reads_stderr = flows && (is_unheard || self.stderr.window.has_room());
        let is_forced = self.ending.is_forced();
        let wake = self.wake();
        tokio::select! {
            biased;
            () = self.stop.cancelled(), if !is_forced => Event::Stop,
            () = self.caller_gone.cancelled(), if !is_unheard => Event::CallerGone,
            Some(visit) = self.visits.recv() => Event::Visit(visit),
            event = self.talk.next(intake) => Event::Talk(event),
            () = ended(self.process.as_mut()), if !self.ending.has_ended() => Event::Ended,
            // Before what a flood keeps ready for ever.
            () = at(wake), if wake.is_some() => Event::Deadline,
            () = self.stdout.pipe.readable(), if reads_stdout => Event::Output,
            () = self.stderr.pipe.readable(), if reads_stderr => Event::Output,
            () = self.stdin.writable() => Event::Stdin,
        }
    }

    fn obey(&mut self, request: Down) {
        match request {
            Down::Stdin(data) => self.stdin.push(&data),
            Down::StdinClosed(_) => self.stdin.complete(),
            Down::Signal(number) => self.signal(number),
            Down::Ack(ack) => {
                self.stdout.window.acked(ack.stdout);
                self.stderr.window.acked(ack.stderr);
            }
            // It cannot have what it was not told.
            Down::Done(_) => self.is_done |= self.is_told,
            Down::End(_) => self.abandon(),
            // The agent had them in control messages.
            Down::Start(_) | Down::Resume(_) => {}
        }
    }

    fn signal(&self, number: u32) {
        match (process::signal(number), &self.process) {
            (Some(signal), Some(process)) => process.signal_group(signal),
            (Some(_), None) => {}
            (None, _) => tracing::warn!(number, "refused a signal that does not exist"),
        }
    }

    /// What either stream has now: a flood on one does not hide the other.
    fn read(&mut self) {
        let is_unheard = self.is_unheard();
        // Straight on its way, if nothing waits before it.
        let flows = self.lost.is_none() && !is_unheard;
        let both: [(&mut Stream, Say); 2] = [
            (&mut self.stdout, Response::Stdout),
            (&mut self.stderr, Response::Stderr),
        ];
        for (stream, say) in both {
            if !is_unheard && !stream.window.has_room() {
                continue;
            }
            let Some(data) = stream.pipe.read().filter(|_| !is_unheard) else {
                continue;
            };
            let offset = stream.window.end();
            let is_next = stream.window.is_sent();
            stream.window.push(&data);
            if flows && is_next && self.talk.is_flushed() {
                stream.window.all_sent();
                self.talk.say(say(v1::ExecOutput { offset, data }));
            }
        }
    }

    /// Tells the caller what it was not told, as far as the stream takes it.
    fn tell(&mut self) {
        while self.lost.is_none() && !self.is_unheard() && !self.is_done {
            if !self.patience.resumes() {
                // Nobody will come back for it, nor acknowledge it.
                self.stdout.window.acked(u64::MAX);
                self.stderr.window.acked(u64::MAX);
                self.is_done = self.is_told;
            }
            if !self.talk.is_flushed() {
                return;
            }
            let Some(response) = self.next_word() else {
                return;
            };
            self.talk.say(response);
        }
    }

    fn next_word(&mut self) -> Option<Response> {
        if let Some(offset) = self.stdin.take_ack().filter(|_| self.patience.resumes()) {
            return Some(Response::StdinAck(offset));
        }
        if let Some(output) = self.stdout.window.take_unsent() {
            return Some(Response::Stdout(output));
        }
        if let Some(output) = self.stderr.window.take_unsent() {
            return Some(Response::Stderr(output));
        }
        let finished = self.finished.filter(|_| !self.is_told)?;
        self.is_told = true;
        Some(Response::Finished(finished))
    }

    /// A caller is at the other end of another stream.
    fn visited(&mut self, visit: Visit) {
        let (stdout, stderr) = (visit.stdout_from, visit.stderr_from);
        if self.is_unheard() || !self.patience.resumes() {
            return visit.refuse(&super::unknown_run());
        }
        if !self.stdout.window.holds(stdout) || !self.stderr.window.holds(stderr) {
            return visit.refuse(&Refusal::invalid(
                "bad-offset",
                "the output from there on is not kept: somebody else has read it",
            ));
        }
        self.stdout.window.go_on_from(stdout);
        self.stderr.window.go_on_from(stderr);
        // Whoever was there before hears no more, and is not listened to.
        self.talk = Talk::begin(visit.address);
        self.was_visited = true;
        self.lost = None;
        self.is_told = false;
        self.talk.say(Response::Resumed(v1::ExecResumed {
            pid: self.pid,
            stdin_from: self.stdin.received(),
            detached: false,
        }));
        let taken = self.stdin.ack_now();
        self.talk.say(Response::StdinAck(taken));
    }

    /// The stream is over; a caller that may come back has a while.
    fn lost(&mut self, gone: Gone) {
        self.talk.forget();
        let Patience { grace, notice } = self.patience;
        let patience = match gone {
            Gone::Link => grace + notice,
            // Its caller was lost before the stream was there.
            Gone::Refused(refusal) if !self.was_visited && refusal.reason != "run-unknown" => {
                self.refusal = Some(refusal);
                return self.abandon();
            }
            Gone::Caller | Gone::Refused(_) => grace,
        };
        if self.patience.resumes() {
            self.lost = Some(Instant::now() + patience);
        } else {
            self.abandon();
        }
    }

    /// The program has ended, and all that it wrote was read.
    fn conclude(&mut self) {
        if self.finished.is_some() || !self.is_over() {
            return;
        }
        let exit = self.process.take().map(Process::reap).unwrap_or_default();
        self.stdout.pipe.close();
        self.stderr.pipe.close();
        self.finish(exit);
    }

    fn finish(&mut self, exit: v1::Exit) {
        self.ending.finished();
        self.has_ended.store(true, Ordering::Relaxed);
        self.is_done |= self.is_unheard();
        self.finished = Some(v1::ExecFinished {
            exit: Some(exit),
            timed_out: self.ending.has_timed_out(),
            stdout_bytes: self.stdout.window.end(),
            stderr_bytes: self.stderr.window.end(),
            ..v1::ExecFinished::default()
        });
    }
}

async fn ended(process: Option<&mut Process>) {
    match process {
        Some(process) => process.ended().await,
        None => std::future::pending().await,
    }
}

async fn at(wake: Option<Instant>) {
    if let Some(wake) = wake.filter(|wake| *wake > Instant::now()) {
        tokio::time::sleep_until(wake).await;
    }
}

#[cfg(test)]
mod tests;
