//! One run of a caller, from its start until the caller has its result: output to the caller, input
//! from the caller, and an end even if the program does not want one.
//!
//! Its stream may be lost and another take its place: what the caller is not known to have is kept in a
//! [`Window`] of each stream, and when one is full the program waits.

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

use super::living::{Living, Why, at, ended};
use super::output::Output;
use super::program::{NotStarted, Started};
use super::talk::{Address, Event as Talked, Gone, Intake, Talk};
use super::window::Window;
use super::{Job, Visit};
use crate::process;

/// How long an agent that is stopping waits for the caller to have the result.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Runs it. The error is for the link: there was no stream that could carry it.
pub(super) async fn run(job: Job) -> Result<(), Refusal> {
    let (mut talk, started) = begin(&job).await;
    let (holder, command_id) = (job.holder.clone(), job.command_id);
    let started = match started {
        Ok(started) => started,
        Err(NotStarted::Shell { line, code }) => return not_found(talk, line, code, job).await,
        Err(NotStarted::Machine(refusal)) => {
            talk.refuse(command_id, &refusal);
            return talk.goodbye().await;
        }
    };
    let pid = started.pid();
    holder.program_started(pid).await;
    let done = match Run::new(talk, started, job) {
        Ok(run) => run.live().await,
        Err(error) => Err(unwatched(&error)),
    };
    holder.program_over(pid).await;
    done
}

/// Opens the stream, and starts the program meanwhile.
pub(super) async fn begin(job: &Job) -> (Talk, Result<Started, NotStarted>) {
    let mut talk = Talk::begin(Address {
        lane: job.lane.clone(),
        tokens: job.tokens.clone(),
        stream_token: job.start.stream_token.clone(),
        stream_id: job.start.run_id.clone(),
    });
    let starting = async {
        let prepared = super::prepare(&job.start, &job.user).await;
        let program = prepared.map_err(NotStarted::Machine)?;
        tokio::task::spawn_blocking(move || program.start())
            .await
            .map_err(|panic| NotStarted::Machine(Refusal::internal(panic.to_string())))?
    };
    let started = talk.meanwhile(starting).await;
    (talk, started)
}

/// As a shell would: a line on stderr, and its exit code.
pub(super) async fn not_found(
    talk: Talk,
    line: String,
    code: u32,
    job: Job,
) -> Result<(), Refusal> {
    let mut run = Run::of(talk, Living::none(), job);
    run.stderr.push(line.as_bytes());
    run.finish(v1::Exit {
        outcome: Some(v1::exit::Outcome::Code(code)),
    });
    run.live().await
}

pub(super) fn unwatched(error: &io::Error) -> Refusal {
    Refusal::internal(format!("cannot watch a program: {error}"))
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
    living: Living,
    stdout: Window,
    stderr: Window,
    finished: Option<v1::ExecFinished>,
    /// When an agent that is stopping gives the caller up.
    last_words: Option<Instant>,
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
        let pid = started.pid();
        let timeout = Duration::from_millis(job.start.timeout_ms);
        let living = Living::new(started, timeout)?;
        let mut run = Self::of(talk, living, job);
        run.pid = pid;
        run.talk.say(Response::Started(v1::ExecStarted {
            pid,
            resumes: run.patience.resumes(),
        }));
        Ok(run)
    }

    fn of(talk: Talk, living: Living, job: Job) -> Self {
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
            living,
            stdout: Window::default(),
            stderr: Window::default(),
            finished: None,
            last_words: None,
            is_told: false,
            is_done: false,
        }
    }

    async fn live(mut self) -> Result<(), Refusal> {
        self.tell();
        while !self.is_done {
            match self.next().await {
                Event::Stop => self.stopping(),
                Event::CallerGone => self.abandon(),
                Event::Visit(visit) => self.visited(visit),
                Event::Talk(Talked::Request(request)) => self.obey(request),
                Event::Talk(Talked::Room) => {}
                Event::Talk(Talked::Gone(gone)) => self.lost(gone),
                Event::Ended => self.living.process_ended(),
                Event::Stdin => self.living.stdin.write(),
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
        let intake = if self.living.stdin.has_room() {
            Intake::Open
        } else {
            Intake::Closed
        };
        // Reading waits until what was read before has left: this is the back-pressure. Without a
        // stream it goes on until the window is full.
        let is_unheard = self.is_unheard();
        let flows = is_unheard || self.lost.is_some() || self.talk.is_flushed();
        let reads_stdout = flows && (is_unheard || self.stdout.has_room());
        let reads_stderr = flows && (is_unheard || self.stderr.has_room());
        let (is_forced, has_ended) = (self.living.is_forced(), self.living.has_ended());
        let wake = self.wake();
        let Living {
            process,
            stdin,
            stdout,
            stderr,
            ..
        } = &mut self.living;
        tokio::select! {
            biased;
            () = self.stop.cancelled(), if !is_forced => Event::Stop,
            () = self.caller_gone.cancelled(), if !is_unheard => Event::CallerGone,
            Some(visit) = self.visits.recv() => Event::Visit(visit),
            event = self.talk.next(intake) => Event::Talk(event),
            () = ended(process.as_mut()), if !has_ended => Event::Ended,
            // Before what a flood keeps ready for ever.
            () = at(wake), if wake.is_some() => Event::Deadline,
            () = stdout.readable(), if reads_stdout => Event::Output,
            () = stderr.readable(), if reads_stderr => Event::Output,
            () = stdin.writable() => Event::Stdin,
        }
    }

    fn obey(&mut self, request: Down) {
        match request {
            Down::Stdin(data) => self.living.stdin.push(&data),
            Down::StdinClosed(_) => self.living.stdin.complete(),
            Down::Signal(number) => self.signal(number),
            Down::Ack(ack) => {
                self.stdout.acked(ack.stdout);
                self.stderr.acked(ack.stderr);
            }
            // It cannot have what it was not told.
            Down::Done(_) | Down::Forget(_) => self.is_done |= self.is_told,
            Down::End(_) => self.abandon(),
            // The agent had them in control messages.
            Down::Start(_) | Down::Resume(_) => {}
        }
    }

    fn signal(&self, number: u32) {
        match process::signal(number) {
            Some(signal) => self.living.signal(signal),
            None => tracing::warn!(number, "refused a signal that does not exist"),
        }
    }

    /// What either stream has now: a flood on one does not hide the other.
    fn read(&mut self) {
        let is_unheard = self.is_unheard();
        // Straight on its way, if nothing waits before it.
        let flows = self.lost.is_none() && !is_unheard;
        let Living { stdout, stderr, .. } = &mut self.living;
        let both: [(&mut Output, &mut Window, Say); 2] = [
            (stdout, &mut self.stdout, Response::Stdout),
            (stderr, &mut self.stderr, Response::Stderr),
        ];
        for (pipe, window, say) in both {
            if !is_unheard && !window.has_room() {
                continue;
            }
            let Some(data) = pipe.read().filter(|_| !is_unheard) else {
                continue;
            };
            let offset = window.end();
            let is_next = window.is_sent();
            window.push(&data);
            if flows && is_next && self.talk.is_flushed() {
                window.all_sent();
                self.talk.say(say(v1::ExecOutput { offset, data }));
            }
        }
    }

    /// Tells the caller what it was not told, as far as the stream takes it.
    fn tell(&mut self) {
        while self.lost.is_none() && !self.is_unheard() && !self.is_done {
            if !self.patience.resumes() {
                // Nobody will come back for it, nor acknowledge it.
                self.stdout.acked(u64::MAX);
                self.stderr.acked(u64::MAX);
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
        let resumes = self.patience.resumes();
        if let Some(offset) = self.living.stdin.take_ack().filter(|_| resumes) {
            return Some(Response::StdinAck(offset));
        }
        if let Some(output) = self.stdout.take_unsent() {
            return Some(Response::Stdout(output));
        }
        if let Some(output) = self.stderr.take_unsent() {
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
        if !self.stdout.holds(stdout) || !self.stderr.holds(stderr) {
            return visit.refuse(&Refusal::invalid(
                "bad-offset",
                "the output from there on is not kept: somebody else has read it",
            ));
        }
        self.stdout.go_on_from(stdout);
        self.stderr.go_on_from(stderr);
        // Whoever was there before hears no more, and is not listened to.
        self.talk = Talk::begin(visit.address);
        self.was_visited = true;
        self.lost = None;
        self.is_told = false;
        self.talk.say(Response::Resumed(v1::ExecResumed {
            pid: self.pid,
            stdin_from: self.living.stdin.received(),
            detached: false,
        }));
        let taken = self.living.stdin.ack_now();
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

    /// Nobody will ever hear of it.
    fn is_unheard(&self) -> bool {
        self.living.is_forced_by(Why::CallerGone)
    }

    /// Its caller is gone for good.
    fn abandon(&mut self) {
        self.talk.forget();
        self.living.force(Why::CallerGone);
        self.is_done |= self.finished.is_some();
    }

    fn stopping(&mut self) {
        self.living.force(Why::Stopping);
        if self.finished.is_some() {
            self.last_words = Some(Instant::now() + LAST_WORDS);
        }
    }

    /// When something must be done although nothing happens.
    fn wake(&self) -> Option<Instant> {
        let lost = self.lost.filter(|_| !self.is_unheard());
        let living = match self.finished {
            Some(_) => self.last_words,
            None => self.living.wake(),
        };
        [living, lost].into_iter().flatten().min()
    }

    fn deadline_passed(&mut self) {
        let is_due = |time: Option<Instant>| time.is_some_and(|time| time <= Instant::now());
        if is_due(self.lost) && !self.is_unheard() {
            tracing::info!(pid = self.pid, "nobody came back to a run; ending it");
            self.abandon();
        } else if self.finished.is_some() {
            self.is_done |= is_due(self.last_words);
        } else {
            self.living.deadline_passed();
        }
    }

    /// The program has ended, and all that it wrote was read.
    fn conclude(&mut self) {
        if self.finished.is_none() && self.living.is_over() {
            let exit = self.living.reap();
            self.finish(exit);
        }
    }

    fn finish(&mut self, exit: v1::Exit) {
        if self.living.is_forced_by(Why::Stopping) {
            self.last_words = Some(Instant::now() + LAST_WORDS);
        }
        self.has_ended.store(true, Ordering::Relaxed);
        self.is_done |= self.is_unheard();
        self.finished = Some(v1::ExecFinished {
            exit: Some(exit),
            timed_out: self.living.is_forced_by(Why::TimedOut),
            ended_on_request: self.living.is_forced_by(Why::Stopping),
            stdout_bytes: self.stdout.end(),
            stderr_bytes: self.stderr.end(),
            ..v1::ExecFinished::default()
        });
    }
}

#[cfg(test)]
mod tests;
