//! The loop of a raw attach: keys in, output out, size changes and signals, nothing else.
//!
//! Output is written the moment it comes; what the terminal does not take at once is gathered, up to
//! [`MAX_PENDING`], and beyond that left in the connection, so that the session's own rules for slow
//! clients apply.

use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use cmdop_client::Error;
use cmdop_client::attach::{Attachment, Event, Keys};
use cmdop_emulator::QueryFilter;
use cmdop_proto::{Offset, Size, v1};
use tokio::time::Instant;

use super::escape::{Keystroke, Scanner, Wish};
use super::keyboard::Keyboard;
use super::signals::{Got, Signals};
use super::viewport::{self, Viewport};
use super::{screen, terminal};
use crate::cli::stdin::Stdin;
use crate::cli::stdout::Stdout;

/// Output that waits for the terminal. More makes Ctrl-C slow, less makes throughput slow.
const MAX_PENDING: usize = 256 << 10;

/// Ctrl-C, Ctrl-\\ and Ctrl-Z, as terminals are set by default: the relay answers them with a picture
/// if much output is under way.
const INTERRUPTS: [u8; 3] = [0x03, 0x1c, 0x1a];

/// A terminal that is behind by less shows it sooner than a picture comes.
const WORTH_HOLDING: usize = 8 << 10;

/// How long output is held back after an interrupt, for the picture that makes it needless.
const HOLD: Duration = Duration::from_millis(300);

/// Nothing came for so long: there is no flood behind it, and what is held back is all.
const QUIET: Duration = Duration::from_millis(20);

/// What is held back at most; what the relay and the connection have under way is less.
const MAX_HELD: usize = 2 << 20;

/// How long a size may take to be agreed on, before a session that does not fit the terminal is shown
/// in part.
const SETTLE: Duration = Duration::from_millis(300);

/// How an attach ended.
#[derive(Debug)]
pub(super) enum Outcome {
    /// The user detached, and the session has all that was typed.
    Detached,
    /// The user detached while the session did not take the last of it.
    Cut,
    /// The session is over.
    Ended(Box<v1::Session>),
    /// Nothing helps any more.
    Failed(Error),
    /// A signal told this process to stop.
    Killed(u8),
}

/// What the end of stdin means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum AtEnd {
    /// All is said: leave the session to itself.
    Detach,
    /// Nothing more is typed, but the program's end is awaited.
    Stay,
}

/// The state of one attach.
#[derive(Debug)]
pub(super) struct Pass {
    attachment: Attachment,
    keys: Keys,
    stdout: Stdout,
    scanner: Scanner,
    keyboard: Keyboard,
    filter: QueryFilter,
    operator: bool,
    at_end: AtEnd,
    notices: bool,
    pending: BytesMut,
    typed: Bytes,
    /// Nothing is written until then, or until a keyframe comes or nothing more does.
    hold_until: Option<Instant>,
    /// When the newest event came.
    heard_at: Instant,
    shown: bool,
    /// The session's size, as far as it is known.
    size: Size,
    /// Where its output goes on.
    next: Offset,
    /// The part that is shown, where the terminal is smaller.
    viewport: Option<Viewport>,
    /// When to look again whether the session fits the terminal.
    settles_at: Option<Instant>,
    outcome: Option<Outcome>,
}

impl Pass {
    pub(super) fn new(
        attachment: Attachment,
        stdout: Stdout,
        escape: Keystroke,
        (operator, at_end): (bool, AtEnd),
        notices: bool,
    ) -> Self {
        Self {
            keys: attachment.keys(),
            keyboard: Keyboard::new(attachment.client_id().to_string()),
            attachment,
            stdout,
            scanner: Scanner::new(escape),
            filter: QueryFilter::new(),
            operator,
            at_end,
            notices,
            pending: BytesMut::new(),
            typed: Bytes::new(),
            hold_until: None,
            heard_at: Instant::now(),
            shown: false,
            size: Size::DEFAULT,
            next: Offset::START,
            viewport: None,
            // An operator's terminal may be about to decide the size.
            settles_at: operator.then(|| Instant::now() + SETTLE),
            outcome: None,
        }
    }

    /// `raw`: the terminal on stdin, if it is one.
    pub(super) async fn run(
        mut self,
        mut stdin: Stdin,
        raw: Option<&terminal::Raw>,
    ) -> io::Result<Outcome> {
        let mut signals = Signals::new()?;
        let session = self.attachment.session().clone();
        self.told(&session);
        self.begin(self.size)?;
        let mut reading = true;
        let mut detaching = false;
        loop {
            if self.outcome.is_some() {
                self.hold_until = None;
            }
            if self.pending.is_empty()
                && let Some(outcome) = self.outcome.take()
            {
                return Ok(outcome);
            }
            if detaching && self.typed.is_empty() {
                drop(self.keys);
                let written = self.attachment.detach().await;
                return Ok(if written {
                    Outcome::Detached
                } else {
                    Outcome::Cut
                });
            }
            let live = self.outcome.is_none();
            let room = live && self.has_room();
            let hold_until = self.hold_until.map(|end| end.min(self.heard_at + QUIET));
            let typed = self.typed.clone();
            let settles_at = self.settles_at;
            let draw_at = self.viewport.as_ref().and_then(Viewport::draw_at);
            // All branches are cancel-safe: they wait, or take one thing whole. `keys.input` of one
            // piece either sends it or does not. Keys come before output, so that Ctrl-C beats a flood.
            tokio::select! {
                biased;
                signal = signals.next() => match signal {
                    Got::Resize => self.resized()?,
                    Got::Continued => {
                        // Whoever stopped us gave the terminal to a shell meanwhile.
                        if let Some(raw) = raw {
                            raw.again()?;
                        }
                        if let Some(viewport) = &mut self.viewport {
                            viewport.spoilt(Instant::now());
                        }
                        self.resized()?;
                    }
                    Got::Stop(number) => return Ok(Outcome::Killed(number)),
                },
                piece = stdin.read(), if live && reading && !detaching && self.typed.is_empty() => {
                    let piece = piece?;
                    if piece.is_empty() {
                        // Without a terminal, the end of stdin ends typing; the session goes on.
                        reading = false;
                        detaching = self.operator && self.at_end == AtEnd::Detach;
                    } else {
                        detaching = self.take_keys(piece);
                    }
                }
                _ = self.keys.input(typed), if live && !self.typed.is_empty() => self.typed = Bytes::new(),
                () = until(settles_at), if settles_at.is_some() => self.settle(),
                // Never while the terminal has not taken the frame before.
                () = until(draw_at), if draw_at.is_some() && self.pending.is_empty() => self.draw()?,
                () = until(hold_until), if hold_until.is_some() => self.hold_until = None,
                written = self.stdout.write(&self.pending), if hold_until.is_none() && !self.pending.is_empty() => {
                    let _ = self.pending.split_to(written?);
                }
                event = self.attachment.next(), if room => self.take_events(event)?,
            }
        }
    }

    fn take_keys(&mut self, piece: Bytes) -> bool {
        let typed = self.scanner.scan(piece);
        let is_interrupt = typed.data.iter().any(|byte| INTERRUPTS.contains(byte));
        if self.operator && is_interrupt && self.pending.len() >= WORTH_HOLDING {
            // The terminal is behind. What is under way is taken in at full speed and not shown: if
            // the relay skips the rest of a flood, a picture ends it.
            self.heard_at = Instant::now();
            self.hold_until = Some(self.heard_at + HOLD);
        }
        if self.operator
            && let Err(rest) = self.keys.try_input(typed.data)
        {
            self.typed = rest;
        }
        for wish in typed.wishes {
            self.wish(wish);
        }
        typed.detach
    }

    fn wish(&mut self, wish: Wish) {
        let notice = match self.keyboard.wish(wish) {
            Err(instead) => instead,
            Ok(_) if !self.operator => "an observer has no keyboard".into(),
            Ok(change) => {
                if self.keys.keyboard(change) {
                    return;
                }
                "the relay cannot be asked now".into()
            }
        };
        self.notice(&format!("cmdop: {notice}"));
    }

    /// A record came: its size and who may type may be others.
    fn told(&mut self, session: &v1::Session) {
        if let Some(size) = session.size.and_then(|size| Size::try_from(size).ok()) {
            self.size = size;
        }
        if let Some(notice) = self.keyboard.changed(session) {
            self.notice(&format!("cmdop: {notice}"));
        }
    }

    fn has_room(&self) -> bool {
        let most = match self.hold_until {
            None => MAX_PENDING,
            Some(_) => MAX_HELD,
        };
        self.pending.len() < most
    }

    fn resized(&mut self) -> io::Result<()> {
        let Some(size) = terminal::size() else {
            return Ok(());
        };
        if self.operator {
            self.keys.resize(size);
        }
        if let Some(viewport) = &mut self.viewport {
            viewport.resize(size, Instant::now())?;
        }
        self.settles_at = Some(Instant::now() + SETTLE);
        Ok(())
    }

    /// Whether the terminal is too small for the session. What is no terminal is never.
    fn is_too_small(&self) -> bool {
        let is_terminal = rustix::termios::isatty(rustix::stdio::stdout());
        let terminal = terminal::size().filter(|_| is_terminal);
        terminal.is_some_and(|terminal| !viewport::fits(self.size, terminal))
    }

    /// The sizes stand: where the session is shown in the wrong way, it is shown anew.
    fn settle(&mut self) {
        self.settles_at = None;
        if self.is_too_small() != self.viewport.is_some() {
            self.keys.redraw();
        }
    }

    /// The whole session is about to come, in this size.
    fn begin(&mut self, size: Size) -> io::Result<()> {
        self.size = size;
        let shows_part = self.settles_at.is_none() && self.is_too_small();
        self.viewport = match terminal::size().filter(|_| shows_part) {
            Some(terminal) => Some(Viewport::new(size, terminal)?),
            None => None,
        };
        Ok(())
    }

    fn draw(&mut self) -> io::Result<()> {
        if let Some(viewport) = &mut self.viewport {
            let frame = viewport.draw(Instant::now())?;
            self.pending.extend_from_slice(&frame);
        }
        Ok(())
    }

    /// Takes one event and what else is there already, then writes it all in as few writes as can be.
    fn take_events(&mut self, event: Option<Event>) -> io::Result<()> {
        let mut event = event;
        if self.hold_until.is_some() {
            self.heard_at = Instant::now();
        }
        loop {
            if let Some(event) = event {
                self.take_event(event)?;
            } else {
                let lost = Error::Lost("the attachment ended".into());
                self.outcome.get_or_insert(Outcome::Failed(lost));
            }
            if self.outcome.is_some() || !self.has_room() {
                break;
            }
            event = match self.attachment.try_next() {
                Some(event) => Some(event),
                None => break,
            };
        }
        self.flush()
    }

    fn take_event(&mut self, event: Event) -> io::Result<()> {
        match event {
            Event::Output { offset, data, .. } => return self.output(offset, &data),
            Event::Keyframe {
                offset, size, data, ..
            } => {
                self.next = offset;
                self.begin(size)?;
                // It shows all that waits, and more: what waits would only delay it.
                self.pending.clear();
                self.hold_until = None;
                if !std::mem::replace(&mut self.shown, true) {
                    self.pending
                        .extend_from_slice(&screen::enter(terminal::size()));
                }
                if let Some(viewport) = &mut self.viewport {
                    self.filter = QueryFilter::new();
                    viewport.keyframe(size, &data, Instant::now());
                } else {
                    self.pending
                        .extend_from_slice(&redrawn(&mut self.filter, &data));
                }
            }
            Event::Reconnecting { reason, attempt: 1 } => {
                self.notice(&format!("cmdop: reconnecting ({reason})"));
            }
            Event::Reconnected => self.notice("cmdop: connected"),
            Event::State(session) => self.told(&session),
            Event::Reconnecting { .. } => {}
            Event::Refused(refusal) => {
                if refusal.reason == "made-observer" {
                    self.operator = false;
                }
                self.notice(&format!("cmdop: {refusal}"));
            }
            Event::Ended(session) => {
                let held = self.filter.finish();
                self.pending.extend_from_slice(&held);
                self.outcome = Some(Outcome::Ended(Box::new(session)));
            }
            Event::Failed(error) => self.outcome = Some(Outcome::Failed(error)),
        }
        Ok(())
    }

    /// Tells something of ours in the terminal's title, unless it would split a sequence in two.
    fn notice(&mut self, text: &str) {
        if self.notices && self.filter.is_ground() {
            self.pending.extend_from_slice(&screen::notice(text));
        }
    }

    /// Nothing waits: straight to the terminal, without a copy.
    fn output(&mut self, offset: Offset, data: &Bytes) -> io::Result<()> {
        if offset < self.next {
            // The log again from its first byte: the picture of an empty screen.
            self.begin(self.size)?;
            self.pending.clear();
            self.pending
                .extend_from_slice(&redrawn(&mut self.filter, b""));
        }
        self.next = offset.advance(data.len());
        if let Some(viewport) = &mut self.viewport {
            viewport.feed(data, Instant::now());
            return Ok(());
        }
        let data = self.filter.filter(data);
        let written = if self.pending.is_empty() && self.hold_until.is_none() {
            self.stdout.try_write(&data)?
        } else {
            0
        };
        self.pending.extend_from_slice(&data[written..]);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.hold_until.is_some() {
            return Ok(());
        }
        let written = self.stdout.try_write(&self.pending)?;
        let _ = self.pending.split_to(written);
        Ok(())
    }
}

async fn until(deadline: Option<Instant>) {
    if let Some(deadline) = deadline {
        tokio::time::sleep_until(deadline).await;
    }
}

/// A keyframe as the terminal gets it. Its end may be the beginning of a query.
fn redrawn(filter: &mut QueryFilter, keyframe: &[u8]) -> Vec<u8> {
    *filter = QueryFilter::new();
    let mut out = screen::before_keyframe();
    out.extend_from_slice(&filter.filter(keyframe));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_that_a_keyframe_ends_in_the_middle_of_is_taken_out_too() {
        let mut filter = QueryFilter::new();
        let mut out = redrawn(&mut filter, b"screen\x1b[");
        out.extend_from_slice(&filter.filter(b"cand on"));
        assert!(out.ends_with(b"screenand on"), "{}", out.escape_ascii());
    }
}
