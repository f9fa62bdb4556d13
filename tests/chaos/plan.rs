//! What will go wrong: drawn from a seed, before anything runs. The same seed gives the same plan.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// Faults of one run, without those that come while another lasts. So many fit into a few seconds.
const FAULTS: std::ops::RangeInclusive<u64> = 6..=9;

/// The peace before a fault: sometimes shorter than it takes to recover from the last one.
const PEACE_MS: std::ops::RangeInclusive<u64> = 30..=500;

/// How long what is stopped or refused stays so. Programs print less in it than an agent's log holds.
const LENGTH_MS: std::ops::RangeInclusive<u64> = 100..=1000;

/// One thing that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// SIGKILL to the relay; a new one starts at its address.
    KillRelay,
    /// SIGKILL to the agent's worker; its holder starts a new one.
    KillWorker,
    /// SIGSTOP to the relay, and SIGCONT.
    StopRelay,
    /// SIGSTOP to the agent's worker, and SIGCONT.
    StopWorker,
    /// Every connection is reset.
    Cut,
    /// Every connection is reset, and new ones are for a while.
    Refuse,
    /// A second stream of a client that is attached, which types again what it does not know written.
    Duplicate,
    /// SIGKILL to a `cmdop attach`; another one attaches.
    KillClient,
}

impl Fault {
    const ALL: [Self; 8] = [
        Self::KillRelay,
        Self::KillWorker,
        Self::StopRelay,
        Self::StopWorker,
        Self::Cut,
        Self::Refuse,
        Self::Duplicate,
        Self::KillClient,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::KillRelay => "relay killed",
            Self::KillWorker => "worker killed",
            Self::StopRelay => "relay stopped",
            Self::StopWorker => "worker stopped",
            Self::Cut => "cut",
            Self::Refuse => "refused",
            Self::Duplicate => "attached twice",
            Self::KillClient => "client killed",
        }
    }

    /// What may happen while this one lasts; nothing for what is over at once.
    fn company(self) -> &'static [Self] {
        match self {
            Self::StopRelay => &[Self::Cut, Self::KillWorker],
            Self::StopWorker => &[
                Self::Cut,
                Self::KillRelay,
                Self::KillWorker,
                Self::Duplicate,
            ],
            Self::Refuse => &[Self::KillRelay, Self::KillWorker],
            _ => &[],
        }
    }
}

/// One fault in its place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    /// The peace before it.
    pub(crate) peace: Duration,
    /// What happens.
    pub(crate) fault: Fault,
    /// How long it lasts, if it lasts.
    pub(crate) length: Duration,
    /// What happens in its middle.
    pub(crate) meanwhile: Option<Fault>,
    /// A number for what else there is to choose.
    pub(crate) choice: u64,
}

/// The faults of one run.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Where they were drawn from.
    pub(crate) seed: u64,
    /// One after the other.
    pub(crate) steps: Vec<Step>,
    /// The worker dies once more while the programs end.
    pub(crate) dies_at_the_end: bool,
}

impl Plan {
    /// The plan of a seed.
    pub(crate) fn of(seed: u64) -> Self {
        let mut dice = Dice::of(seed);
        let count = dice.within(&FAULTS);
        let steps = (0..count).map(|_| Step::draw(&mut dice)).collect();
        Self {
            seed,
            steps,
            dies_at_the_end: dice.below(2) == 0,
        }
    }

    fn faults(&self) -> impl Iterator<Item = Fault> {
        let at_the_end = self.dies_at_the_end.then_some(Fault::KillWorker);
        let steps = self.steps.iter();
        let steps = steps.flat_map(|step| [Some(step.fault), step.meanwhile]);
        steps.flatten().chain(at_the_end)
    }
}

/// `9 faults (2 cut, 1 relay killed, …)`.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut kinds = BTreeMap::<_, u32>::new();
        for fault in self.faults() {
            *kinds.entry(fault.name()).or_default() += 1;
        }
        let kinds: Vec<_> = kinds
            .iter()
            .map(|(kind, count)| format!("{count} {kind}"))
            .collect();
        write!(f, "{} faults ({})", self.faults().count(), kinds.join(", "))
    }
}

impl Step {
    fn draw(dice: &mut Dice) -> Self {
        let fault = dice.one_of(&Fault::ALL).expect("there are faults");
        let meanwhile = if dice.below(2) == 0 {
            dice.one_of(fault.company())
        } else {
            None
        };
        Self {
            peace: Duration::from_millis(dice.within(&PEACE_MS)),
            fault,
            length: Duration::from_millis(dice.within(&LENGTH_MS)),
            meanwhile,
            choice: dice.next(),
        }
    }
}

/// Marsaglia's xorshift: good enough to choose a fault, and the same everywhere.
#[derive(Debug)]
struct Dice(u64);

impl Dice {
    fn of(seed: u64) -> Self {
        // Neighbouring seeds must not begin alike, and the state must not be zero.
        let mut dice = Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        for _ in 0..8 {
            dice.next();
        }
        dice
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: u64) -> u64 {
        // The low bits of a xorshift are its weakest.
        (self.next() >> 16) % end
    }

    fn within(&mut self, range: &std::ops::RangeInclusive<u64>) -> u64 {
        range.start() + self.below(range.end() - range.start() + 1)
    }

    fn one_of<T: Copy>(&mut self, items: &[T]) -> Option<T> {
        let index = self.below((items.len() as u64).max(1)) as usize;
        items.get(index).copied()
    }
}

#[test]
fn a_seed_gives_the_same_plan_every_time_and_twenty_seeds_every_fault() {
    let shown = |seed| format!("{:?}", Plan::of(seed));
    assert_eq!(shown(7), shown(7));
    assert_ne!(shown(7), shown(8));
    let drawn: Vec<_> = (1..=20)
        .flat_map(|seed| Plan::of(seed).faults().collect::<Vec<_>>())
        .collect();
    for fault in Fault::ALL {
        let count = drawn.iter().filter(|other| **other == fault).count();
        assert!(count >= 10, "{fault:?} comes only {count} times");
    }
}
