//! Whether guesses came true.

use cmdop_emulator::Emulator;
use tokio::time::Instant;

use super::guess::{Guess, Place, character};
use super::{GLITCH, Predictor};

/// What became of a guess.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// It shows that keys are echoed.
    True,
    /// It is as guessed, but would have been anyway.
    Trivial,
    /// Nothing came yet.
    Open,
    Wrong,
}

impl Predictor {
    /// Looks at every guess again.
    pub(super) fn judge(&mut self, screen: &Emulator, now: Instant) {
        let verdicts: Vec<_> = self
            .guesses
            .iter()
            .map(|(place, guess)| {
                (
                    *place,
                    guess.epoch,
                    self.verdict(*place, guess, screen, now),
                )
            })
            .collect();
        // A wrong guess says more than a right one beside it, but of its own epoch only.
        let wrong = verdicts
            .iter()
            .filter(|(.., verdict)| *verdict == Verdict::Wrong);
        if let Some(epoch) = wrong.map(|(_, epoch, _)| *epoch).min() {
            self.was_wrong(epoch, now);
            return;
        }
        for (place, epoch, verdict) in verdicts {
            match verdict {
                Verdict::True => {
                    self.confirmed = self.confirmed.max(epoch);
                    self.guesses.remove(&place);
                }
                Verdict::Trivial => {
                    self.guesses.remove(&place);
                }
                Verdict::Open | Verdict::Wrong => {}
            }
        }
        self.judge_cursor(screen, now);
    }

    fn verdict(&self, place: Place, guess: &Guess, screen: &Emulator, now: Instant) -> Verdict {
        let here = character(screen, place);
        let is_written = self.reached.is_some_and(|reached| reached >= guess.seq);
        let is_overdue = now >= self.overdue_at(guess.seq, guess.at);
        let is_known = here.is_some_and(|here| guess.before.contains(&here));
        if here == Some(guess.shows) {
            let cursor = screen.cursor();
            let is_passed = cursor.row == place.row && cursor.col > place.col;
            let is_news = !is_known && here != Some(' ');
            return match (is_news, is_written || is_overdue) {
                (true, true) => Verdict::True,
                (true, false) if self.reached.is_none() => Verdict::True,
                (false, true) => Verdict::Trivial,
                (false, false) if self.reached.is_none() && is_passed => Verdict::Trivial,
                _ => Verdict::Open,
            };
        }
        let is_unexpected = !is_known && (is_written || self.reached.is_none());
        if is_unexpected || is_overdue {
            Verdict::Wrong
        } else {
            Verdict::Open
        }
    }

    fn judge_cursor(&mut self, screen: &Emulator, now: Instant) {
        let Some(guess) = self.cursor else {
            return;
        };
        let cursor = screen.cursor();
        let is_there = (cursor.row, cursor.col) == (guess.place.row, guess.place.col);
        let is_written = self.reached.is_none_or(|reached| reached >= guess.seq);
        if !self.guesses.is_empty() || self.lost.is_some() {
            return;
        }
        if is_there && is_written {
            self.cursor = None;
        } else if now >= self.overdue_at(guess.seq, guess.at) {
            self.was_wrong(guess.epoch, now);
        }
    }

    /// A guess of that epoch was wrong: it goes, with all that rests on it.
    fn was_wrong(&mut self, epoch: u64, now: Instant) {
        let was_shown = epoch <= self.confirmed && self.shows(now);
        let newest = self.guesses.values().map(|guess| guess.seq);
        let newest = newest.chain(self.cursor.map(|cursor| cursor.seq)).max();
        let newest = newest.unwrap_or_default();
        self.guesses.retain(|_, guess| guess.epoch < epoch);
        self.cursor = None;
        if self.lost.is_none() {
            self.lose(newest, now);
        } else {
            self.epoch += 1;
        }
        if was_shown {
            let again = self
                .wrong_at
                .is_some_and(|last| now.duration_since(last) < GLITCH);
            if again {
                self.off_until = Some(now + GLITCH);
            }
            self.wrong_at = Some(now);
        }
    }
}
