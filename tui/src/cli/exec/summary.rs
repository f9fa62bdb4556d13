//! How a run on many machines went, in figures that always add up. Pure.

/// How one target fared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// It exited with 0.
    Ok,
    /// It exited otherwise, or could not be run.
    Failed,
    /// Its agent is not there.
    Offline,
    /// It took longer than it was given.
    TimedOut,
    /// It was asked, and nothing came back: nobody knows whether it ran.
    NotReported,
}

/// Counts of all outcomes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Summary {
    targets: usize,
    ok: usize,
    failed: usize,
    offline: usize,
    timed_out: usize,
}

impl Summary {
    /// Nobody has reported yet.
    pub(super) fn new(targets: usize) -> Self {
        Self {
            targets,
            ..Self::default()
        }
    }

    /// Counts one target; one that did not report stays where it is.
    pub(super) fn count(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Ok => self.ok += 1,
            Outcome::Failed => self.failed += 1,
            Outcome::Offline => self.offline += 1,
            Outcome::TimedOut => self.timed_out += 1,
            Outcome::NotReported => {}
        }
    }

    fn not_reported(self) -> usize {
        self.targets - self.ok - self.failed - self.offline - self.timed_out
    }

    /// Whether every target exited with 0.
    pub(super) fn is_ok(self) -> bool {
        self.ok == self.targets
    }

    /// One line for people.
    pub(super) fn line(self) -> String {
        format!(
            "ok {}  failed {}  offline {}  timed out {}  not reported {}  = targets {}",
            self.ok,
            self.failed,
            self.offline,
            self.timed_out,
            self.not_reported(),
            self.targets
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figures_add_up_whatever_happens() {
        use Outcome::{Failed, NotReported, Offline, Ok, TimedOut};
        let all = [Ok, Failed, Offline, TimedOut, NotReported];
        for reported in 0..=12_usize {
            let mut summary = Summary::new(12);
            for index in 0..reported {
                summary.count(all[(index * 7 + reported) % all.len()]);
            }
            let line = summary.line();
            let numbers: Vec<usize> = line
                .split_whitespace()
                .filter_map(|word| word.parse().ok())
                .collect();
            assert_eq!(numbers.len(), 6, "{line}");
            assert_eq!(numbers[..5].iter().sum::<usize>(), numbers[5], "{line}");
        }
    }

    #[test]
    fn only_all_ok_is_ok() {
        let mut summary = Summary::new(2);
        summary.count(Outcome::Ok);
        assert!(!summary.is_ok());
        summary.count(Outcome::Ok);
        assert!(summary.is_ok());
        assert_eq!(
            summary.line(),
            "ok 2  failed 0  offline 0  timed out 0  not reported 0  = targets 2"
        );
    }
}
