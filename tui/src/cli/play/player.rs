//! A player: the time and keys in, bytes for the terminal out. Pure but for reading its tape.
//!
//! Output is hostile: queries are taken out of it, as `attach` does it. At a terminal an emulator
//! follows, so that a jump ends in the exact state of that moment without showing what lies between.

use std::fmt::Write as _;
use std::io::{BufRead, Seek};
use std::time::Duration;

use cmdop_emulator::{Emulator, Options, QueryFilter};
use cmdop_proto::Size;
use cmdop_proto::text::shown;
use tokio::time::Instant;

use super::clock::{Clock, Due, Speed};
use super::format::Kind;
use super::keys::Key;
use super::tape::{Error, Event, Tape};
use crate::cli::attach::screen;

/// How far an arrow jumps.
const JUMP: Duration = Duration::from_secs(5);

/// What one press of `+` does.
const FASTER: f64 = 2.0;

/// Output for one turn of the loop. More makes keys slow.
const MAX_OUT: usize = 256 << 10;

/// Recorded output that a jump passes over before keys are looked at again.
const MAX_PASSED: usize = 1 << 20;

/// What a player waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// Nothing: there is more to do once what it gave is written.
    No,
    /// The next event.
    Until(Instant),
    /// A key.
    Key,
    /// The recording is over.
    Over,
}

/// The state of one playing.
#[derive(Debug)]
pub(super) struct Player<R> {
    tape: Tape<R>,
    next: Option<Event>,
    clock: Clock,
    filter: QueryFilter,
    /// What the recorded terminal shows; `None` where nobody can jump.
    screen: Option<Emulator>,
    /// A jump that is under way, to here.
    target: Option<Duration>,
    /// The time of the newest event.
    reached: Duration,
    notices: bool,
}

impl<R: BufRead + Seek> Player<R> {
    /// Plays bytes, for a pipe.
    pub(super) fn new(tape: Tape<R>, speed: Speed, now: Instant) -> Self {
        Self {
            tape,
            next: None,
            clock: Clock::new(speed, now),
            filter: QueryFilter::new(),
            screen: None,
            target: None,
            reached: Duration::ZERO,
            notices: false,
        }
    }

    /// The same for a terminal, whose title may get `notices`.
    pub(super) fn at_terminal(self, notices: bool) -> Self {
        let screen = Some(blank(self.tape.header().size));
        Self {
            screen,
            notices,
            ..self
        }
    }

    /// The recording's last line breaks off.
    pub(super) fn is_cut(&self) -> bool {
        self.tape.is_cut()
    }

    /// Does what is due now.
    pub(super) fn play(&mut self, now: Instant, out: &mut Vec<u8>) -> Result<Wait, Error> {
        if let Some(target) = self.target {
            if !self.pass_some(target)? {
                return Ok(Wait::No);
            }
            self.target = None;
            let place = self.place(target)?;
            self.clock.jump(place, now);
            self.redraw(out);
            self.notice(now, out);
        }
        while out.len() < MAX_OUT {
            let Some(at) = self.peek()? else {
                if self.clock.is_paused() {
                    return Ok(Wait::Key);
                }
                out.extend_from_slice(&self.filter.finish());
                return Ok(Wait::Over);
            };
            match self.clock.due(at, now) {
                Due::Now => self.show_next(out),
                Due::At(instant) => return Ok(Wait::Until(instant)),
                Due::Paused => return Ok(Wait::Key),
            }
        }
        Ok(Wait::No)
    }

    /// Does what a person wants, save for `Quit`, which is the caller's to do.
    pub(super) fn press(&mut self, key: Key, now: Instant, out: &mut Vec<u8>) -> Result<(), Error> {
        match key {
            Key::Pause if self.clock.is_paused() => self.clock.go_on(now),
            Key::Pause => self.clock.pause(now),
            Key::Step => {
                self.clock.pause(now);
                return self.step(now, out);
            }
            Key::Forward => {
                let target = self.position(now).saturating_add(JUMP);
                return self.jump(target, now);
            }
            Key::Back => {
                let target = self.position(now).saturating_sub(JUMP);
                return self.jump(target, now);
            }
            Key::Faster => self.clock.change_speed(FASTER, now),
            Key::Slower => self.clock.change_speed(FASTER.recip(), now),
            Key::Quit => {}
        }
        self.notice(now, out);
        Ok(())
    }

    /// Draws all of the screen again: somebody else may have drawn on it.
    pub(super) fn redraw(&mut self, out: &mut Vec<u8>) {
        let Some(screen) = &self.screen else { return };
        // Whatever waits is shown by this, too.
        out.clear();
        self.filter = QueryFilter::new();
        out.extend_from_slice(&screen::before_keyframe());
        // Its end may be the beginning of a query.
        let bytes = screen.snapshot(0).bytes;
        out.extend_from_slice(&self.filter.filter(&bytes));
    }

    fn position(&self, now: Instant) -> Duration {
        self.target.unwrap_or_else(|| self.clock.position(now))
    }

    /// Where a jump ends: after the last event there is nothing.
    fn place(&mut self, target: Duration) -> Result<Duration, Error> {
        Ok(if self.peek()?.is_some() {
            target
        } else {
            target.min(self.reached)
        })
    }

    /// The time of the next event.
    fn peek(&mut self) -> Result<Option<Duration>, Error> {
        if self.next.is_none() {
            self.next = self.tape.next()?;
        }
        Ok(self.next.as_ref().map(|event| event.at))
    }

    fn jump(&mut self, target: Duration, now: Instant) -> Result<(), Error> {
        let Some(screen) = &mut self.screen else {
            return Ok(());
        };
        if target < self.reached {
            self.tape.rewind()?;
            self.next = None;
            self.reached = Duration::ZERO;
            *screen = blank(self.tape.header().size);
        }
        self.clock.jump(target, now);
        self.target = Some(target);
        Ok(())
    }

    /// Passes over events up to `target`; `true` once it is there.
    fn pass_some(&mut self, target: Duration) -> Result<bool, Error> {
        let mut passed = 0;
        while self.peek()?.is_some_and(|at| at <= target) {
            if passed >= MAX_PASSED {
                return Ok(false);
            }
            if let Some(event) = self.next.take() {
                self.reached = event.at;
                if let Kind::Output(text) = &event.kind {
                    passed += text.len();
                }
                // Even an event of nothing has to be read.
                passed += 16;
                self.follow(&event.kind);
            }
        }
        Ok(true)
    }

    /// Up to the next output, whenever that is.
    fn step(&mut self, now: Instant, out: &mut Vec<u8>) -> Result<(), Error> {
        while self.target.is_none()
            && let Some(at) = self.peek()?
        {
            let is_output =
                matches!(&self.next, Some(event) if matches!(event.kind, Kind::Output(_)));
            self.clock.jump(at, now);
            self.show_next(out);
            if is_output {
                break;
            }
        }
        self.notice(now, out);
        Ok(())
    }

    fn show_next(&mut self, out: &mut Vec<u8>) {
        let Some(event) = self.next.take() else {
            return;
        };
        self.reached = event.at;
        self.clock.reached(event.at);
        match &event.kind {
            Kind::Output(text) => out.extend_from_slice(&self.filter.filter(text.as_bytes())),
            Kind::Marker(label) if !label.is_empty() => {
                self.tell(&shown(label, 100), out);
            }
            Kind::Resize(_) | Kind::Marker(_) | Kind::Other => {}
        }
        self.follow(&event.kind);
    }

    /// The screen follows what happens.
    fn follow(&mut self, kind: &Kind) {
        let Some(screen) = &mut self.screen else {
            return;
        };
        match kind {
            Kind::Output(text) => {
                screen.feed(text.as_bytes());
                // Nobody wants to know, and they would only wait.
                screen.take_events();
            }
            Kind::Resize(size) => screen.resize(size.rows(), size.cols()),
            Kind::Marker(_) | Kind::Other => {}
        }
    }

    /// Tells where it is and how fast.
    fn notice(&mut self, now: Instant, out: &mut Vec<u8>) {
        let seconds = self.position(now).as_secs();
        let mut text = format!("{}:{:02}", seconds / 60, seconds % 60);
        if let Speed::Times(factor) = self.clock.speed()
            && (factor - 1.0).abs() > f64::EPSILON
        {
            // Writing to a string cannot fail.
            let _ = write!(text, ", {}x", (factor * 100.0).round() / 100.0);
        }
        if self.clock.is_paused() {
            text.push_str(", paused");
        }
        self.tell(&text, out);
    }

    /// Says something in the terminal's title, unless it would split a sequence in two.
    fn tell(&mut self, text: &str, out: &mut Vec<u8>) {
        if self.notices && self.filter.is_ground() && self.is_between_sequences() {
            out.extend_from_slice(&screen::notice(&format!("cmdop play: {text}")));
        }
    }

    fn is_between_sequences(&self) -> bool {
        self.screen.as_ref().is_some_and(Emulator::is_at_ground)
    }
}

fn blank(size: Size) -> Emulator {
    Emulator::new(size.rows(), size.cols(), Options::default())
}

#[cfg(test)]
mod tests;
