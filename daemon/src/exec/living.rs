//! A program with its pipes, on its way to an end: it ends by itself, is told to, or leaves its output in
//! other hands. What becomes of its output is not decided here.

use std::io;
use std::time::Duration;

use cmdop_proto::v1;
use rustix::process::Signal;
use tokio::time::Instant;

use super::output::Output;
use super::program::Started;
use super::stdin::Stdin;
use crate::process::Process;

/// How long after a program's end its output may stay open in other hands.
const QUIET: Duration = Duration::from_millis(200);

/// How long a program has to end after TERM.
const TERM: Duration = Duration::from_secs(5);

/// See the module.
#[derive(Debug)]
pub(super) struct Living {
    /// Gone once it was reaped.
    pub(super) process: Option<Process>,
    pub(super) stdin: Stdin,
    pub(super) stdout: Output,
    pub(super) stderr: Output,
    /// When its time is over.
    deadline: Option<Instant>,
    forced: Option<Forced>,
    /// When it ended.
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
pub(super) enum Why {
    TimedOut,
    /// Nobody wants it or its output any more.
    CallerGone,
    Stopping,
}

impl Living {
    /// Takes charge of a program; `timeout` zero: it has all the time.
    pub(super) fn new(started: Started, timeout: Duration) -> io::Result<Self> {
        Ok(Self {
            process: Some(Process::watch(started.pid)?),
            stdin: Stdin::new(started.stdin)?,
            stdout: Output::new(started.stdout)?,
            stderr: Output::new(started.stderr)?,
            deadline: (!timeout.is_zero()).then(|| Instant::now() + timeout),
            forced: None,
            ended: None,
        })
    }

    /// What never lived.
    pub(super) fn none() -> Self {
        Self {
            process: None,
            stdin: Stdin::default(),
            stdout: Output::default(),
            stderr: Output::default(),
            deadline: None,
            forced: None,
            ended: None,
        }
    }

    pub(super) fn is_forced(&self) -> bool {
        self.forced.is_some()
    }

    pub(super) fn is_forced_by(&self, why: Why) -> bool {
        self.forced.is_some_and(|forced| forced.why == why)
    }

    /// Its process ended; the output that it left is still to be read.
    pub(super) fn has_ended(&self) -> bool {
        self.ended.is_some()
    }

    /// Its process ended by itself or otherwise; what it wrote is still to be read.
    pub(super) fn process_ended(&mut self) {
        self.ended = Some(Instant::now());
        self.stdin.close();
        self.stdout.program_ended();
        self.stderr.program_ended();
    }

    /// TERM now, KILL in a while. The newest reason counts.
    pub(super) fn force(&mut self, why: Why) {
        if let Some(forced) = &mut self.forced {
            forced.why = why;
            return;
        }
        self.signal(Signal::TERM);
        // A stopped process hears nothing before it goes on.
        self.signal(Signal::CONT);
        self.forced = Some(Forced {
            why,
            kill_at: Some(Instant::now() + TERM),
        });
    }

    /// When something must be done although nothing happens.
    pub(super) fn wake(&self) -> Option<Instant> {
        match (self.forced, self.ended) {
            (Some(forced), _) if forced.kill_at.is_some() => forced.kill_at,
            // Past it, only the output that is still owed keeps us: it wakes us itself.
            (_, Some(ended)) => Some(ended + QUIET).filter(|quiet| *quiet > Instant::now()),
            (None, None) => self.deadline,
            (Some(_), None) => None,
        }
    }

    /// Does what is due.
    pub(super) fn deadline_passed(&mut self) {
        let is_due = |time: Option<Instant>| time.is_some_and(|time| time <= Instant::now());
        match &mut self.forced {
            Some(forced) if is_due(forced.kill_at) => {
                forced.kill_at = None;
                self.signal(Signal::KILL);
            }
            None if self.ended.is_none() && is_due(self.deadline) => self.force(Why::TimedOut),
            // The quiet time is over: see `is_over`.
            _ => {}
        }
    }

    /// The program has ended and its output is complete; or others hold it open for too long.
    pub(super) fn is_over(&self) -> bool {
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

    /// How it ended, once it is over. Nothing more is read.
    pub(super) fn reap(&mut self) -> v1::Exit {
        self.stdout.close();
        self.stderr.close();
        self.process.take().map(Process::reap).unwrap_or_default()
    }

    /// Signals its process group.
    pub(super) fn signal(&self, signal: Signal) {
        if let Some(process) = &self.process {
            process.signal_group(signal);
        }
    }

    #[cfg(test)]
    pub(super) fn kill_at(&mut self, time: Instant) {
        if let Some(forced) = &mut self.forced {
            forced.kill_at = Some(time);
        }
    }
}

/// Waits for the end of a process, for ever if there is none.
pub(super) async fn ended(process: Option<&mut Process>) {
    match process {
        Some(process) => process.ended().await,
        None => std::future::pending().await,
    }
}

/// Waits for a point in time that may be past, for ever if there is none.
pub(super) async fn at(wake: Option<Instant>) {
    match wake {
        Some(wake) if wake > Instant::now() => tokio::time::sleep_until(wake).await,
        Some(_) => {}
        None => std::future::pending().await,
    }
}
