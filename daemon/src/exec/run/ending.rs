//! When a run is over: a program that ends, is ended, or leaves its output in other hands, and a caller
//! that does not come back.

use std::time::Duration;

use rustix::process::Signal;
use tokio::time::Instant;

use super::Run;

/// How long after a program's end its output may stay open in other hands.
const QUIET: Duration = Duration::from_millis(200);

/// How long a program has to end after TERM.
const TERM: Duration = Duration::from_secs(5);

/// How long an agent that is stopping waits for the caller to have the result.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Where a program stands on its way to the end.
#[derive(Debug)]
pub(super) struct Ending {
    /// When its time is over.
    deadline: Option<Instant>,
    forced: Option<Forced>,
    /// When it ended.
    ended: Option<Instant>,
    /// When the result was there.
    finished: Option<Instant>,
}

/// Somebody wants the program to end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Forced {
    pub(super) why: Why,
    /// When TERM was enough time; `None` once KILL was sent.
    pub(super) kill_at: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    TimedOut,
    CallerGone,
    Stopping,
}

impl Ending {
    /// `timeout` zero: it has all the time.
    pub(super) fn new(timeout: Duration) -> Self {
        Self {
            deadline: (!timeout.is_zero()).then(|| Instant::now() + timeout),
            forced: None,
            ended: None,
            finished: None,
        }
    }

    pub(super) fn is_forced(&self) -> bool {
        self.forced.is_some()
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended.is_some()
    }

    pub(super) fn has_timed_out(&self) -> bool {
        self.is_forced_by(Why::TimedOut)
    }

    pub(super) fn finished(&mut self) {
        self.finished = Some(Instant::now());
    }

    fn is_forced_by(&self, why: Why) -> bool {
        self.forced.is_some_and(|forced| forced.why == why)
    }

    /// When something must be done although nothing happens.
    fn wake(&self) -> Option<Instant> {
        match (self.forced, self.ended, self.finished) {
            (Some(forced), _, Some(finished)) if forced.why == Why::Stopping => {
                Some(finished + LAST_WORDS)
            }
            (_, _, Some(_)) => None,
            (Some(forced), _, None) if forced.kill_at.is_some() => forced.kill_at,
            // Past it, only the output that is still owed keeps us: it wakes us itself.
            (_, Some(ended), None) => Some(ended + QUIET).filter(|quiet| *quiet > Instant::now()),
            (None, None, None) => self.deadline,
            (Some(_), None, None) => None,
        }
    }
}

impl Run {
    /// Nobody will ever hear of it.
    pub(super) fn is_unheard(&self) -> bool {
        self.ending.is_forced_by(Why::CallerGone)
    }

    /// The program ended by itself or otherwise; what it wrote is still to be read.
    pub(super) fn program_ended(&mut self) {
        self.ending.ended = Some(Instant::now());
        self.stdin.close();
        self.stdout.pipe.program_ended();
        self.stderr.pipe.program_ended();
    }

    /// Its caller is gone for good.
    pub(super) fn abandon(&mut self) {
        self.force(Why::CallerGone);
        self.is_done |= self.finished.is_some();
    }

    pub(super) fn force(&mut self, why: Why) {
        if why == Why::CallerGone {
            self.talk.forget();
        }
        if let Some(forced) = &mut self.ending.forced {
            forced.why = why;
            return;
        }
        self.signal_group(Signal::TERM);
        // A stopped process hears nothing before it goes on.
        self.signal_group(Signal::CONT);
        self.ending.forced = Some(Forced {
            why,
            kill_at: Some(Instant::now() + TERM),
        });
    }

    /// When something must be done although nothing happens.
    pub(super) fn wake(&self) -> Option<Instant> {
        let lost = self.lost.filter(|_| !self.is_unheard());
        [self.ending.wake(), lost].into_iter().flatten().min()
    }

    pub(super) fn deadline_passed(&mut self) {
        let is_over = |time: Option<Instant>| time.is_some_and(|time| time <= Instant::now());
        if is_over(self.lost) && !self.is_unheard() {
            tracing::info!(pid = self.pid, "nobody came back to a run; ending it");
            return self.abandon();
        }
        if !is_over(self.ending.wake()) && self.ending.has_ended() {
            // The quiet time is over: see `is_over`.
            return;
        }
        if self.finished.is_some() {
            // The agent is stopping, and the caller had its time.
            self.is_done = true;
            return;
        }
        match &mut self.ending.forced {
            Some(forced) if forced.kill_at.is_some() => {
                forced.kill_at = None;
                self.signal_group(Signal::KILL);
            }
            None if self.ending.ended.is_none() => self.force(Why::TimedOut),
            // The quiet time is over: see `is_over`.
            _ => {}
        }
    }

    /// The program has ended and its output is complete; or others hold it open for too long.
    pub(super) fn is_over(&self) -> bool {
        let Some(ended) = self.ending.ended else {
            return false;
        };
        if self.stdout.pipe.is_closed() && self.stderr.pipe.is_closed() {
            return true;
        }
        let forced = self.ending.forced;
        let is_patient = forced.is_some_and(|forced| forced.kill_at.is_some());
        let is_settled = self.stdout.pipe.is_settled() && self.stderr.pipe.is_settled();
        !is_patient && is_settled && Instant::now() >= ended + QUIET
    }

    fn signal_group(&self, signal: Signal) {
        if let Some(process) = &self.process {
            process.signal_group(signal);
        }
    }

    #[cfg(test)]
    pub(super) fn kill_at(&mut self, time: Instant) {
        if let Some(forced) = &mut self.ending.forced {
            forced.kill_at = Some(time);
        }
    }
}
