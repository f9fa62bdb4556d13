//! Which of our inputs became which command of the session: output carries the newest command that was
//! written before it was read, and this says which of our inputs that was. Free of IO.

use std::collections::VecDeque;

/// How many are remembered; output that answers older ones was under way for that many keys.
const MAX: usize = 512;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Written {
    /// Command ids and input numbers; both grow.
    known: VecDeque<(u64, u64)>,
    /// The newest one that is forgotten.
    forgotten: Option<u64>,
}

impl Written {
    /// An input was written as this command.
    pub(super) fn push(&mut self, command: u64, input: u64) {
        if command == 0 || self.known.back().is_some_and(|(last, _)| *last >= command) {
            return;
        }
        self.known.push_back((command, input));
        if self.known.len() > MAX {
            self.forgotten = self.known.pop_front().map(|(_, input)| input);
        }
    }

    /// The newest input that was written no later than `command`.
    pub(super) fn before(&self, command: u64) -> Option<u64> {
        let at = self.known.partition_point(|(known, _)| *known <= command);
        match at.checked_sub(1) {
            Some(at) => Some(self.known[at].1),
            None => self.forgotten,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_tells_the_newest_input_that_was_written_before_it() {
        let mut written = Written::default();
        assert_eq!(written.before(9), None);
        written.push(4, 1);
        written.push(7, 2);
        written.push(7, 2);
        written.push(0, 9);
        assert_eq!(written.before(3), None);
        assert_eq!(written.before(4), Some(1));
        assert_eq!(written.before(6), Some(1));
        assert_eq!(written.before(8), Some(2));
    }

    #[test]
    fn the_oldest_are_forgotten_and_stay_written() {
        let mut written = Written::default();
        (1..=1_000).for_each(|number| written.push(number * 2, number));
        assert_eq!(written.known.len(), MAX);
        assert_eq!(written.before(1), Some(1_000 - MAX as u64));
        assert_eq!(written.before(2_000), Some(1_000));
    }
}
