//! One program, from its start to `finished`: output to the caller, input from the caller, and an end
//! even if it does not want one.

use std::io;
use std::time::Duration;

use cmdop_proto::v1::exec_request::Request as Down;
use cmdop_proto::v1::exec_response::Response;
use cmdop_proto::{Refusal, v1};
use rustix::process::Signal;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Job;
use super::output::Output;
use super::program::{NotStarted, Started};
use super::stdin::Stdin;
use super::talk::{Address, Event as Talked, Intake, Talk};
use crate::process::{self, Process};

/// How long after a program's end its output may stay open in other hands.
pub(crate) const QUIET: Duration = Duration::from_millis(200);

/// How long a program has to end after TERM.
const TERM: Duration = Duration::from_secs(5);

/// Runs it. The error is for the link: there was no stream that could carry it.
pub(super) async fn run(job: Job) -> Result<(), Refusal> {
    let mut talk = Talk::begin(Address {
        lane: job.lane,
        tokens: job.tokens,
        stream_token: job.start.stream_token.clone(),
        run_id: job.start.run_id.clone(),
    });
    // The program starts while the stream is being opened.
    let starting = async {
        let prepared = super::prepare(&job.start, &job.user).await;
        let program = prepared.map_err(NotStarted::Machine)?;
        tokio::task::spawn_blocking(move || program.start())
            .await
            .map_err(|panic| NotStarted::Machine(Refusal::internal(panic.to_string())))?
    };
    let started = match talk.meanwhile(starting).await {
        Ok(started) => started,
        Err(NotStarted::Shell { line, code }) => {
            say_not_found(&mut talk, line, code);
            return talk.goodbye().await;
        }
        Err(NotStarted::Machine(refusal)) => {
            talk.refuse(job.command_id, &refusal);
            return talk.goodbye().await;
        }
    };
    let timeout = Duration::from_millis(job.start.timeout_ms);
    match Run::new(talk, started, timeout) {
        Ok(run) => run.live(job.stop, job.caller_gone).await,
        Err(error) => Err(Refusal::internal(format!(
            "cannot watch a program: {error}"
        ))),
    }
}

/// As a shell would: a line on stderr, and its exit code.
fn say_not_found(talk: &mut Talk, line: String, code: u32) {
    let stderr_bytes = line.len() as u64;
    talk.say(Response::Stderr(v1::ExecOutput {
        offset: 0,
        data: line.into(),
    }));
    talk.say(Response::Finished(v1::ExecFinished {
        exit: Some(v1::Exit {
            outcome: Some(v1::exit::Outcome::Code(code)),
        }),
        timed_out: false,
        stdout_bytes: 0,
        stderr_bytes,
    }));
}

struct Run {
    talk: Talk,
    process: Process,
    stdin: Stdin,
    stdout: Output,
    stderr: Output,
    deadline: Option<Instant>,
    forced: Option<Forced>,
    /// When the program ended.
    ended: Option<Instant>,
}

/// Somebody wants the program to end.
#[derive(Clone, Copy, Debug)]
struct Forced {
    why: Why,
    /// When TERM was enough time; `None` once KILL was sent.
    kill_at: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    TimedOut,
    CallerGone,
    Stopping,
}

enum Event {
    Stop,
    CallerGone,
    Talk(Talked),
    Ended,
    Stdin,
    Stdout,
    Stderr,
    Deadline,
}

impl Run {
    fn new(mut talk: Talk, started: Started, timeout: Duration) -> io::Result<Self> {
        talk.say(Response::Started(v1::ExecStarted {
            pid: started.pid.as_raw_nonzero().get() as u32,
        }));
        Ok(Self {
            talk,
            process: Process::watch(started.pid)?,
            stdin: Stdin::new(started.stdin)?,
            stdout: Output::new(started.stdout)?,
            stderr: Output::new(started.stderr)?,
            deadline: (!timeout.is_zero()).then(|| Instant::now() + timeout),
            forced: None,
            ended: None,
        })
    }

    async fn live(
        mut self,
        stop: CancellationToken,
        caller_gone: CancellationToken,
    ) -> Result<(), Refusal> {
        let mut refusal = None;
        while !self.is_over() {
            match self.next(&stop, &caller_gone).await {
                Event::Stop => self.force(Why::Stopping),
                Event::CallerGone => self.force(Why::CallerGone),
                Event::Talk(Talked::Request(request)) => self.obey(request),
                Event::Talk(Talked::Room) => {}
                Event::Talk(Talked::Gone(why)) => {
                    refusal = why;
                    self.force(Why::CallerGone);
                }
                Event::Ended => self.ended(),
                Event::Stdin => self.stdin.write(),
                Event::Stdout => self.read_stdout(),
                Event::Stderr => self.read_stderr(),
                Event::Deadline => self.deadline_passed(),
            }
        }
        self.finish().await?;
        refusal.map_or(Ok(()), Err)
    }

    /// Cancel-safe throughout.
    async fn next(&mut self, stop: &CancellationToken, caller_gone: &CancellationToken) -> Event {
        let intake = if self.stdin.has_room() {
            Intake::Open
        } else {
            Intake::Closed
        };
        // Reading waits until what was read before has left: this is the back-pressure.
        let may_read = self.is_unheard() || self.talk.is_flushed();
        let wake = self.wake();
        tokio::select! {
            biased;
            () = stop.cancelled(), if self.forced.is_none() => Event::Stop,
            () = caller_gone.cancelled(), if !self.is_unheard() => Event::CallerGone,
            event = self.talk.next(intake) => Event::Talk(event),
            () = self.process.ended(), if self.ended.is_none() => Event::Ended,
            // Before what a flood keeps ready for ever.
            () = at(wake), if wake.is_some() => Event::Deadline,
            () = self.stdout.readable(), if may_read => Event::Stdout,
            () = self.stderr.readable(), if may_read => Event::Stderr,
            () = self.stdin.writable() => Event::Stdin,
        }
    }

    fn obey(&mut self, request: Down) {
        match request {
            Down::Stdin(data) => self.stdin.push(data),
            Down::StdinClosed(_) => self.stdin.complete(),
            Down::Signal(number) => self.signal(number),
            // The agent had it in the control message.
            Down::Start(_) => {}
        }
    }

    fn signal(&self, number: u32) {
        if let Some(signal) = process::signal(number) {
            self.process.signal_group(signal);
        } else {
            tracing::warn!(number, "refused a signal that does not exist");
        }
    }

    fn read_stdout(&mut self) {
        if let Some(output) = self.stdout.read()
            && !self.is_unheard()
        {
            self.talk.say(Response::Stdout(output));
        }
    }

    fn read_stderr(&mut self) {
        if let Some(output) = self.stderr.read()
            && !self.is_unheard()
        {
            self.talk.say(Response::Stderr(output));
        }
    }

    fn is_unheard(&self) -> bool {
        self.forced
            .is_some_and(|forced| forced.why == Why::CallerGone)
    }

    fn ended(&mut self) {
        self.ended = Some(Instant::now());
        self.stdin.close();
        self.stdout.program_ended();
        self.stderr.program_ended();
    }

    fn force(&mut self, why: Why) {
        if why == Why::CallerGone {
            self.talk.forget();
        }
        if let Some(forced) = &mut self.forced {
            forced.why = why;
            return;
        }
        self.process.signal_group(Signal::TERM);
        // A stopped process hears nothing before it goes on.
        self.process.signal_group(Signal::CONT);
        self.forced = Some(Forced {
            why,
            kill_at: Some(Instant::now() + TERM),
        });
    }

    /// When something must be done although nothing happens.
    fn wake(&self) -> Option<Instant> {
        match (self.forced, self.ended) {
            (Some(forced), _) if forced.kill_at.is_some() => forced.kill_at,
            // Past it, only the output that is still owed keeps us: it wakes us itself.
            (_, Some(ended)) => Some(ended + QUIET).filter(|quiet| *quiet > Instant::now()),
            (None, None) => self.deadline,
            (Some(_), None) => None,
        }
    }

    fn deadline_passed(&mut self) {
        match &mut self.forced {
            Some(forced) if forced.kill_at.is_some() => {
                self.process.signal_group(Signal::KILL);
                forced.kill_at = None;
            }
            None if self.ended.is_none() => self.force(Why::TimedOut),
            // The quiet time is over: see `is_over`.
            _ => {}
        }
    }

    /// The program has ended and its output is complete; or others hold it open for too long.
    fn is_over(&self) -> bool {
        let Some(ended) = self.ended else {
            return false;
        };
        if self.stdout.is_closed() && self.stderr.is_closed() {
            return true;
        }
        let is_patient = self.forced.is_some_and(|forced| forced.kill_at.is_some());
        let is_settled = self.stdout.is_settled() && self.stderr.is_settled();
        !is_patient && is_settled && Instant::now() >= ended + QUIET
    }

    async fn finish(self) -> Result<(), Refusal> {
        let exit = self.process.reap();
        let Some(Why::CallerGone) = self.forced.map(|forced| forced.why) else {
            let mut talk = self.talk;
            talk.say(Response::Finished(v1::ExecFinished {
                exit: Some(exit),
                timed_out: self
                    .forced
                    .is_some_and(|forced| forced.why == Why::TimedOut),
                stdout_bytes: self.stdout.bytes(),
                stderr_bytes: self.stderr.bytes(),
            }));
            return talk.goodbye().await;
        };
        Ok(())
    }
}

async fn at(wake: Option<Instant>) {
    if let Some(wake) = wake.filter(|wake| *wake > Instant::now()) {
        tokio::time::sleep_until(wake).await;
    }
}

#[cfg(test)]
mod tests;
