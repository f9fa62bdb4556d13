//! A command on many machines: how each of them stands, and their output with what is equal folded into one.
//!
//! Pure: what a run tells goes in, blocks come out. Memory is bounded for each machine and for all of them.

mod blocks;
mod output;

use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

use bytes::Bytes;
use cmdop_proto::MachineId;
use tokio::time::Instant;

pub use blocks::{Block, BlockKey, ResultRow};
pub(super) use output::Tail;
pub use output::{Captured, MAX_OUTPUT};

/// What the outputs of all machines of one run may take together.
const MAX_ALL_OUTPUT: usize = 64 << 20;

/// Even of the largest fleet each machine keeps this much.
const MIN_OUTPUT: usize = 4 << 10;

/// Something that a run tells.
#[derive(Debug)]
pub struct RunEvent {
    /// Of which run: [`RunRequest::run`].
    pub run: u64,
    /// Of which machine.
    pub machine: MachineId,
    /// What.
    pub what: Happened,
}

/// What can happen on a machine.
#[derive(Debug)]
pub enum Happened {
    /// The program runs.
    Started,
    /// It wrote this, to either stream.
    Output(Bytes),
    /// It is over there.
    Ended {
        /// How.
        end: End,
        /// The last of its output, after `cut`.
        tail: Bytes,
        /// So many bytes between what came before and `tail` were not kept.
        cut: u64,
        /// How long it took, from being asked.
        took: Duration,
    },
}

/// How it ended on a machine.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// With this exit code.
    Exited(u8),
    /// By this signal.
    Killed(u32),
    /// It took longer than it was given.
    TimedOut,
    /// The machine is not there: nothing ran.
    Unreachable,
    /// It could not be run.
    Refused(String),
    /// It was asked, and nobody knows whether it ran.
    Unreported(String),
    /// It was called off.
    Cancelled,
}

impl End {
    /// Whether nobody has to look.
    pub fn is_success(&self) -> bool {
        *self == Self::Exited(0)
    }
}

/// How a machine stands.
#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Waiting,
    Running(Captured),
    /// By its number among the distinct ends.
    Ended(usize),
}

#[derive(Clone, Debug)]
struct Target {
    machine: MachineId,
    name: String,
    state: State,
    took: Duration,
}

/// An end with its output, kept once however many machines share it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Distinct {
    end: End,
    output: Captured,
}

/// What is to be run, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunRequest {
    /// Its number: what its events carry.
    pub run: u64,
    /// The line, for a shell.
    pub command: String,
    /// On which machines, with their names.
    pub machines: Vec<(MachineId, String)>,
    /// Bytes of output that are worth sending of each machine.
    pub max_output: usize,
}

/// How many machines stand how; they add up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Not asked yet.
    pub waiting: usize,
    /// The program runs, or is being started.
    pub running: usize,
    /// Exit code 0.
    pub ok: usize,
    /// Any other end.
    pub failed: usize,
    /// Nothing ran there.
    pub unreachable: usize,
    /// Called off.
    pub cancelled: usize,
}

/// See the module.
#[derive(Debug)]
pub struct Results {
    run: u64,
    command: String,
    targets: Vec<Target>,
    places: HashMap<MachineId, usize>,
    distinct: Vec<Distinct>,
    /// Keyed, so that no machine can make its output look like another's.
    hasher: RandomState,
    by_digest: HashMap<u64, Vec<usize>>,
    max_output: usize,
    started_at: Instant,
    expanded: BTreeSet<BlockKey>,
    blocks: Vec<Block>,
    /// Events came since the blocks were made.
    is_dirty: bool,
    cursor: blocks::Cursor,
}

impl Results {
    /// A run that begins now.
    pub(super) fn new(request: &RunRequest, now: Instant) -> Self {
        let target = |(machine, name): &(MachineId, String)| Target {
            machine: *machine,
            name: name.clone(),
            state: State::Waiting,
            took: Duration::ZERO,
        };
        let targets: Vec<_> = request.machines.iter().map(target).collect();
        let places = targets.iter().enumerate();
        Self {
            run: request.run,
            command: request.command.clone(),
            places: places
                .map(|(place, target)| (target.machine, place))
                .collect(),
            targets,
            distinct: Vec::new(),
            hasher: RandomState::new(),
            by_digest: HashMap::new(),
            max_output: request.max_output,
            started_at: now,
            expanded: BTreeSet::new(),
            blocks: Vec::new(),
            is_dirty: true,
            cursor: blocks::Cursor::default(),
        }
    }

    /// What each of so many machines may keep.
    pub(super) fn room_for(machines: usize) -> usize {
        (MAX_ALL_OUTPUT / machines.max(1)).clamp(MIN_OUTPUT, MAX_OUTPUT)
    }

    /// Takes in an event; one of an older run is dropped.
    pub(super) fn happened(&mut self, event: RunEvent) {
        let place = self.places.get(&event.machine).copied();
        let Some(place) = place.filter(|_| event.run == self.run) else {
            return;
        };
        let target = &mut self.targets[place];
        let output = match &mut target.state {
            State::Waiting => Captured::default(),
            State::Running(output) => std::mem::take(output),
            // What was called off may still be told; what ended, ended.
            State::Ended(_) => return,
        };
        self.is_dirty = true;
        let state = match event.what {
            Happened::Started => State::Running(output),
            Happened::Output(data) => State::Running(output.with(&data, self.max_output)),
            Happened::Ended {
                end,
                tail,
                cut,
                took,
            } => {
                target.took = took;
                let output = output.ended(&tail, cut, self.max_output);
                State::Ended(self.intern(Distinct { end, output }))
            }
        };
        self.targets[place].state = state;
    }

    /// The number of an end with its output: that of an equal one, or a new one.
    fn intern(&mut self, distinct: Distinct) -> usize {
        let digest = self.hasher.hash_one(&distinct);
        let same = self.by_digest.entry(digest).or_default();
        if let Some(known) = same.iter().find(|known| self.distinct[**known] == distinct) {
            return *known;
        }
        self.distinct.push(distinct);
        same.push(self.distinct.len() - 1);
        self.distinct.len() - 1
    }

    /// Calls off what is not over; `false`: nothing was left.
    pub(super) fn cancel(&mut self, now: Instant) -> bool {
        let is_open = |target: &Target| !matches!(target.state, State::Ended(_));
        let open: Vec<_> = self
            .targets
            .iter()
            .filter(|target| is_open(target))
            .collect();
        let open: Vec<_> = open.into_iter().map(|target| target.machine).collect();
        for machine in &open {
            self.happened(RunEvent {
                run: self.run,
                machine: *machine,
                what: Happened::Ended {
                    end: End::Cancelled,
                    tail: Bytes::new(),
                    cut: 0,
                    took: now.saturating_duration_since(self.started_at),
                },
            });
        }
        !open.is_empty()
    }

    /// The same command once more where it did not succeed, under a new number; `None` while something runs
    /// and where nothing failed.
    pub(super) fn again(&mut self, run: u64, now: Instant) -> Option<RunRequest> {
        let failed: Vec<_> = self
            .targets
            .iter()
            .enumerate()
            .filter(|(_, target)| self.has_failed(target))
            .map(|(place, _)| place)
            .collect();
        if !self.is_over() || failed.is_empty() {
            return None;
        }
        for place in &failed {
            self.targets[*place].state = State::Waiting;
        }
        (self.run, self.started_at, self.is_dirty) = (run, now, true);
        let machines = failed.into_iter().map(|place| &self.targets[place]);
        Some(RunRequest {
            run,
            command: self.command.clone(),
            machines: machines
                .map(|target| (target.machine, target.name.clone()))
                .collect(),
            max_output: self.max_output,
        })
    }

    fn has_failed(&self, target: &Target) -> bool {
        match target.state {
            State::Ended(number) => !self.distinct[number].end.is_success(),
            _ => false,
        }
    }

    /// The number of the run.
    pub fn run(&self) -> u64 {
        self.run
    }

    /// The line that is run.
    pub fn command(&self) -> &str {
        &self.command
    }

    /// Whether all machines have ended.
    pub fn is_over(&self) -> bool {
        let counts = self.counts();
        counts.waiting + counts.running == 0
    }

    /// How long it has been running.
    pub fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.started_at)
    }

    /// How the machines stand.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for target in &self.targets {
            let count = match &target.state {
                State::Waiting => &mut counts.waiting,
                State::Running(_) => &mut counts.running,
                State::Ended(number) => match &self.distinct[*number].end {
                    End::Exited(0) => &mut counts.ok,
                    End::Unreachable => &mut counts.unreachable,
                    End::Cancelled => &mut counts.cancelled,
                    _ => &mut counts.failed,
                },
            };
            *count += 1;
        }
        counts
    }
}

#[cfg(test)]
mod tests;
