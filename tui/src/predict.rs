//! Local echo: what a key will most likely do is shown before the machine says so, as in mosh.
//!
//! Guesses are cells and a cursor over the pane's screen. They belong to epochs: what makes the next guess
//! uncertain (enter, escape, the end of a row, a wrong guess) begins a new one, and guesses of an epoch
//! are shown only after one of them has come true. So nothing is shown where nothing is echoed. The
//! invariant: whatever was guessed, once the machine has answered all keys, nothing is shown but its
//! screen.
//!
//! Pure: keys, output and the time come in. It does not know how long a key is under way but by
//! [`Predictor::round_trip`], nor what the PTY's flags are but by [`Predictor::echo`].

mod guess;
mod judge;
mod keys;
mod line;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use cmdop_emulator::Emulator;
use ratatui::style::{Modifier, Style};
use tokio::time::Instant;

use guess::{CursorGuess, Guess, Place};
use keys::Key;

/// In `auto`, guesses are shown when a round trip takes longer than this,
const SLOW: Duration = Duration::from_millis(30);

/// and until it takes less than this.
const FAST: Duration = Duration::from_millis(20);

/// A key that was answered no sooner than this makes `auto` show guesses, whatever the average says.
const STALL: Duration = Duration::from_millis(250);

/// How long a program may take to echo a key that it was given, before the guess counts as wrong.
const GRACE: Duration = Duration::from_millis(50);

/// How long a guess stays where nobody says what was answered, at least.
const PATIENCE: Duration = Duration::from_secs(1);

/// Two wrong guesses that were shown within this are a glitch: then none is shown for as long.
const GLITCH: Duration = Duration::from_secs(10);

/// Keys that are kept while it is not known where they will show.
const MAX_WAITING: usize = 128;

/// Guesses at one time; more are no longer worth anything.
const MAX_GUESSES: usize = 4096;

/// When to guess.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Never.
    Off,
    /// Always.
    On,
    /// Where the round trip is long enough to be felt.
    #[default]
    Auto,
}

/// What the terminal of the session does with keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Echo {
    /// Not told.
    #[default]
    Unknown,
    /// It echoes them itself.
    Terminal,
    /// It does not, and gives them on one by one: an editor, or a shell's line editor, which may echo them.
    Program,
    /// It does not, and gives them on by lines: somebody asks for a password.
    Hidden,
}

impl Echo {
    /// By the flags of the PTY: `ECHO` and `ICANON`.
    ///
    /// Line editors of shells run without `ECHO` and without `ICANON` and echo by themselves: the flag
    /// `ECHO` alone would switch prediction off in every shell.
    pub fn of_flags(echo: bool, canonical: bool) -> Self {
        match (echo, canonical) {
            (true, _) => Self::Terminal,
            (false, false) => Self::Program,
            (false, true) => Self::Hidden,
        }
    }
}

/// A cell that is guessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Predicted {
    /// The row of the screen.
    pub row: u16,
    /// The column.
    pub col: u16,
    /// What is to be shown there.
    pub character: char,
    /// How: as what it replaces, and underlined. In full colours.
    pub style: Style,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Predictor {
    mode: Mode,
    echo: Echo,
    size: (u16, u16),
    is_alternate: bool,
    guesses: BTreeMap<Place, Guess>,
    cursor: Option<CursorGuess>,
    /// Where the line began that is being typed: nothing is known about what is left of it.
    start: Option<Place>,
    epoch: u64,
    confirmed: u64,
    /// The newest input whose effect the screen may show, where that is told.
    reached: Option<u64>,
    /// When it was first told that an input was written.
    reached_at: VecDeque<(u64, Instant)>,
    /// It is not known where the cursor will be before this input is answered.
    lost: Option<(u64, Instant)>,
    /// Keys typed since then.
    waiting: VecDeque<(u64, Key)>,
    round_trip: Option<Duration>,
    is_slow: bool,
    /// The last wrong guess that was shown, and until when none is.
    wrong_at: Option<Instant>,
    off_until: Option<Instant>,
}

impl Predictor {
    /// One that knows nothing yet.
    pub fn new(mode: Mode) -> Self {
        Self {
            mode,
            echo: Echo::default(),
            size: (0, 0),
            is_alternate: false,
            guesses: BTreeMap::new(),
            cursor: None,
            start: None,
            epoch: 1,
            confirmed: 0,
            reached: None,
            reached_at: VecDeque::new(),
            lost: None,
            waiting: VecDeque::new(),
            round_trip: None,
            is_slow: false,
            wrong_at: None,
            off_until: None,
        }
    }

    /// Another mode.
    pub fn set_mode(&mut self, mode: Mode) {
        self.mode = mode;
        if mode == Mode::Off {
            self.forget();
        }
    }

    /// What the session's terminal does with keys, whenever it changes.
    pub fn echo(&mut self, echo: Echo) {
        if echo == Echo::Hidden {
            self.forget();
        }
        self.echo = echo;
    }

    /// How long a key is under way and back.
    pub fn round_trip(&mut self, time: Duration) {
        self.round_trip = Some(time);
        if time > SLOW {
            self.is_slow = true;
        } else if time < FAST && self.guesses.is_empty() {
            self.is_slow = false;
        }
    }

    /// Nothing is guessed, and nothing is taken for granted: after a keyframe, a lost connection.
    pub fn forget(&mut self) {
        self.guesses.clear();
        self.cursor = None;
        self.start = None;
        self.lost = None;
        self.waiting.clear();
        self.reached_at.clear();
        self.epoch += 1;
    }

    /// `bytes` were sent to the session as its input number `seq` (they grow), while `screen` was shown.
    pub fn typed(&mut self, bytes: &[u8], seq: u64, screen: &Emulator, now: Instant) {
        if self.mode == Mode::Off {
            return;
        }
        self.follow(screen);
        self.judge(screen, now);
        self.find_again(screen, now);
        if self.echo == Echo::Hidden || line::asks_for_secret(screen) {
            self.lose(seq, now);
            return;
        }
        let oldest = self.guesses.values().map(|guess| guess.at).min();
        if oldest.is_some_and(|at| now.duration_since(at) > STALL) {
            self.is_slow = true;
        }
        for key in keys::read(bytes) {
            self.key(key, seq, screen, now);
        }
    }

    /// The session printed something, and `screen` shows it. `reached` is the newest input of this client
    /// that was written before what was printed was read; none where that is not told.
    pub fn output(&mut self, reached: Option<u64>, screen: &Emulator, now: Instant) {
        if self.mode == Mode::Off {
            return;
        }
        if reached > self.reached {
            self.reached = reached;
            let newest = reached.unwrap_or_default();
            self.reached_at.push_back((newest, now));
            if self.reached_at.len() > MAX_WAITING {
                self.reached_at.pop_front();
            }
        }
        self.follow(screen);
        self.judge(screen, now);
        self.find_again(screen, now);
    }

    /// Time passed: call it at [`Predictor::deadline`].
    pub fn tick(&mut self, screen: &Emulator, now: Instant) {
        self.follow(screen);
        self.judge(screen, now);
        self.find_again(screen, now);
    }

    /// When a guess that nothing came of has to be looked at again.
    pub fn deadline(&self) -> Option<Instant> {
        let guesses = self.guesses.values().map(|guess| (guess.seq, guess.at));
        let is_last = self.guesses.is_empty() && self.lost.is_none();
        let cursor = self
            .cursor
            .filter(|_| is_last)
            .map(|cursor| (cursor.seq, cursor.at));
        let lost = self.lost.filter(|_| self.reached.is_none());
        let lost = lost.map(|(_, since)| since + self.patience());
        guesses
            .chain(cursor)
            .map(|(seq, at)| self.overdue_at(seq, at))
            .chain(lost)
            .min()
    }

    /// What is to be shown over the screen.
    pub fn overlay(&self, now: Instant) -> impl Iterator<Item = Predicted> + '_ {
        let guesses = self.guesses.iter().filter(move |_| self.shows(now));
        guesses
            .filter(|(_, guess)| guess.epoch <= self.confirmed)
            .map(|(place, guess)| Predicted {
                row: place.row,
                col: place.col,
                character: guess.shows,
                style: guess.style.add_modifier(Modifier::UNDERLINED),
            })
    }

    /// Where the cursor is to be shown, as row and column, if that is guessed.
    pub fn cursor(&self, now: Instant) -> Option<(u16, u16)> {
        let cursor = self.cursor.filter(|_| self.shows(now))?;
        (cursor.epoch <= self.confirmed).then_some((cursor.place.row, cursor.place.col))
    }

    fn shows(&self, now: Instant) -> bool {
        let is_on = match self.mode {
            Mode::Off => false,
            Mode::On => true,
            Mode::Auto => self.is_slow,
        };
        is_on && self.off_until.is_none_or(|until| now >= until)
    }

    /// Another size or another screen: no guess means anything there.
    fn follow(&mut self, screen: &Emulator) {
        let is_alternate = screen.modes().alternate_screen;
        if (screen.size(), is_alternate) != (self.size, self.is_alternate) {
            self.forget();
            (self.size, self.is_alternate) = (screen.size(), is_alternate);
        }
    }

    /// Where the cursor will be is not known before this input is answered. What was guessed before stays.
    fn lose(&mut self, seq: u64, now: Instant) {
        self.lost = Some((seq, now));
        self.waiting.clear();
        self.start = None;
        self.epoch += 1;
    }

    /// The input that made the cursor's place unknown is answered: it is where the screen has it, and what
    /// was typed since is guessed from there.
    fn find_again(&mut self, screen: &Emulator, now: Instant) {
        let Some((seq, since)) = self.lost else {
            return;
        };
        let is_answered = match self.reached {
            Some(reached) => reached >= seq,
            None => now.duration_since(since) >= self.patience(),
        };
        if !is_answered {
            return;
        }
        self.lost = None;
        self.cursor = None;
        let reached = self.reached.unwrap_or(u64::MAX);
        for (seq, key) in std::mem::take(&mut self.waiting) {
            if seq > reached {
                self.key(key, seq, screen, now);
            }
        }
    }

    fn key(&mut self, key: Key, seq: u64, screen: &Emulator, now: Instant) {
        if self.lost.is_some() && key != Key::Other {
            self.waiting.push_back((seq, key));
            if self.waiting.len() > MAX_WAITING {
                self.lose(seq, now);
            }
            return;
        }
        let is_guessed = self.guesses.len() < MAX_GUESSES && self.guess(key, seq, screen, now);
        if !is_guessed {
            self.lose(seq, now);
        }
    }

    fn patience(&self) -> Duration {
        PATIENCE.max(self.round_trip.unwrap_or_default() * 3)
    }

    /// When a guess that was made at `at` for input `seq` is wrong, if nothing has come of it.
    fn overdue_at(&self, seq: u64, at: Instant) -> Instant {
        let written = self.reached_at.iter().find(|(reached, _)| *reached >= seq);
        match written {
            Some((_, when)) => *when + GRACE,
            // It has not even been written: that is the network's fault, not the guess's.
            None if self.reached.is_some() => at + self.patience() * 8,
            None => at + self.patience(),
        }
    }
}

#[cfg(test)]
mod tests;
